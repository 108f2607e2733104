"""The front doors: the Python functions, the command line and what it shows.

What belongs here: reading what a person asked for, starting and stopping runs, and everything that is printed.
What does not: how prompts are searched (`graphs`), measured (`evaluation`) or stored (`traces`). A command imports
the heavy parts when it runs, so that `show`, `runs` and `--help` answer at once.
"""
