"""Where diagnostic code will run, isolated from files, network, keys and the parent process.

Empty so far: no strategy of this version runs code that a model wrote.
"""
