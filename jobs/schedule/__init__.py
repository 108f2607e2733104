"""Jobs files at their times: the format of a schedules file, what is due, and the loop that fires it.

What a fire does is `batch`'s.
"""
