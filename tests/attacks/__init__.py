"""Hostile programs that must all fail in the sandbox, each with a control that shows that the attack is real.

What belongs here: the programs as data (`programs_*`, by theme), the scene they attack (`scene`, `victim`), the
control that lets them succeed (`control`, `child`, `naive`), the runner that judges both, and `as_user`, which runs any
of it as an ordinary user. What doesn't: how the sandbox words a refusal (`tests/unit/sandbox`).
"""
