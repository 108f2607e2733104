"""What a run leaves behind: the run store (SQL), the event log (JSON lines) and the report made from them.

`store` is the way in: `rows` says what it holds, `tables` how, `migrations` how an older file becomes a newer one;
`schema`, `codec` and `writer` are its parts. `events` writes the log, `redact` keeps secrets out of it.

Here belongs what is written down and read back. What a number means (scores, spending, verdicts) is decided by
those who add the rows; nothing here imports another folder of the package. LangGraph's checkpoints are not kept
here: they have a file of their own, as two libraries writing one SQLite file would lock each other out.
"""
