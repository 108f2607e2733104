"""`landscape`: how rugged the prompts of some runs are. What the runs left, measuring them on one panel, the screen.

No statistics here (`evaluation.landscape`) and no search.
"""
