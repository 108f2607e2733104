"""The state machines: one graph per file, the state and context they share, the registry of strategies.

What belongs here: nodes and edges, what a run's state holds, where run-time objects come from (`session`). What does
not: how a candidate is made or judged (`agents`), how anything is measured or decided statistically (`evaluation`).
`optimize` is the outer machine; a strategy is a subgraph of it.
"""
