"""The `Decider`: meta-prompts for an agent of a user's own that decides in sequence, live.

What belongs here: the public class, its state file, and what its caller may set. What does not: how an arm is chosen
(`evaluation.choosing`), and batch runs in an environment (`graphs.decide`).
"""
