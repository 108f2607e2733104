"""`decide`: runs of agents that decide in sequence, several methods and seeds of one environment, in a table.

What belongs here: what a call means, the runs that it takes and how they stand, the table and the plot, and the
command. What does not: one run (`graphs.decide`), the environments (`tasks.environments`).
"""
