"""Other packages' optimisers on our tasks: their environment and process, and the gateway that is all they can ask.

`runners` holds what runs on their side, with their package and the standard library alone.
"""
