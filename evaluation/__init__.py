"""Measuring: the evaluator with its cache and journal, the budget, and the statistics of validation.

What belongs here: what a call costs and whether it may be made, scores and what may be concluded from them. What does
not: who makes prompts (`agents`), what a task or target is (`tasks`), how a run proceeds (`graphs`). The statistics
(`intervals`, `sequential`, `preservation`, `shrinkage`, `certify`, `power`, `spending`) are pure functions of arrays;
`simulate` shows that they keep their error rates.
"""
