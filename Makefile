.PHONY: setup test test-all lint studio bench

setup:        ## install everything, the embedded model included
	uv sync

test:         ## what the README and CI run (at most 8 minutes)
	uv run pytest

test-all:     ## full counts too: simulations, kills
	uv run pytest -m "full or not full"

lint:         ## formatting, rules, types
	uv run ruff format --check .
	uv run ruff check .
	uv run pyright

studio:       ## LangGraph Studio's server on this repository's graphs
	uv run langgraph dev --n-jobs-per-worker 4

bench:        ## error rates and coverage of the validation statistics
	uv run python -m sage_spo.evaluation.simulate
