"""What is optimised: tasks, their examples and splits, metrics, prompts, loaders, targets, and the built-in library.

Here belongs whatever says *what a good answer is* and *what is asked*: reading and checking a user's files,
dividing examples, scoring one output. What measures many outputs (cache, budget, statistics) belongs to
`evaluation`, and whatever proposes or changes prompts to `agents` and `graphs`; neither may be imported here.
"""
