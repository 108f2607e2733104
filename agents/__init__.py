"""The roles: who proposes prompts and who judges them, one role per file.

What belongs here: diagnostician, proposer, critic, validator, rewriter, what they share (the workspace of records,
hypotheses as directions, edits and what each is worth), the playbook that plays a role without a language model, and
the prompt templates (`prompts/*.txt`). What does not: LangGraph (`graphs`), statistics and budgets (`evaluation`). An
agent is given what it needs and returns what it decided; it keeps no state between calls.
"""
