"""Many jobs from one file, run until they are done: its format, what comes next, the processes, what came of it.

What runs one job is the command line itself; when files are run is said in `schedule`.
"""
