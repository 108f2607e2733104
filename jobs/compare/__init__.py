"""Strategies and peers on one task with equal budgets: the runs that it takes, what they found, who won.

Statistics are in `evaluation.comparison`; how a peer runs is in `peers`.
"""
