"""Talking to language models: names, prices, one retry layer, chat clients, the embedded model, embeddings.

What belongs here: everything that knows a provider's API or how a model is started, addressed, priced and asked.
What does not: prompts, examples and targets (`tasks`), caching and budgets (`evaluation`), what an agent says
(`agents`). Nothing here imports from those folders. Importing this package is cheap; its modules import langchain
and the embedded model's library only when they are used.
"""
