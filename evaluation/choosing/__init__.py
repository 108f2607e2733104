"""Choosing what an agent that decides in sequence is told next: bandits over meta-prompts and over exemplars.

What belongs here: the choosers (`chooser.make_chooser`, `exemplars.make_exemplar_chooser`), the network that the
learned ones fit, and the table of arms that they choose from. What does not: what a meta-prompt says (`agents`), what
an environment is (`tasks`), how a run proceeds (`graphs`). All of it is numpy, deterministic in (seed, what was
observed), and free of input and output but for networks spilled to a folder that the caller names.
"""
