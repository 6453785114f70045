# Thin doors to up.py and to the tools of the virtual environment; `make` alone tells them.
.DEFAULT_GOAL := help
.PHONY: help up demo test lint format types lock ci clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## start this installation
	python3 up.py

demo: ## the demo world and its tour
	python3 up.py demo

test: ## linters and every test (ARGS="-k name" runs only pytest with these arguments)
	python3 up.py test $(ARGS)

lint: ## ruff
	.venv/bin/ruff check .

format: ## lay the code out
	.venv/bin/ruff format .

types: ## mypy --strict on the three packages
	.venv/bin/mypy

lock: ## pin requirements*.in, with hashes, into requirements*.txt (needs uv)
	uv pip compile --universal --generate-hashes --python-version 3.11 -q --no-header requirements.in -o requirements.txt
	uv pip compile --universal --generate-hashes --python-version 3.11 -q --no-header -c requirements.txt requirements-redis.in -o requirements-redis.txt
	uv pip compile --universal --generate-hashes --python-version 3.11 -q --no-header -c requirements.txt requirements-tsa.in -o requirements-tsa.txt
	uv pip compile --universal --generate-hashes --python-version 3.11 -q --no-header -c requirements.txt -c requirements-redis.txt -c requirements-tsa.txt requirements-dev.in -o requirements-dev.txt

ci: ## what CI runs, on a Debian machine
	.ci/run

clean: ## remove caches; state (var/, backups/) stays
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
