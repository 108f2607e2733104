from .random_search import STRATEGY as STRATEGY
