"""Decision environments: where an agent acts round after round and sees what each action is worth.

What belongs here: the protocol that every environment keeps (`protocol`), the built-in ones (linear regression,
travelling salesman, bandits, drifting bandits), a user's own by `module:factory` or http(s) address (`loading`), and
the guard that keeps what hangs, raises or gives nonsense away from a run (`guard`). What does not: who acts (`agents`),
what is learned from it (`evaluation.choosing`), how a run proceeds (`graphs`).
"""
