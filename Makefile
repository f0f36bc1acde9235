# Two commands: `make demo` runs Páteř with a small demonstration region, `make test` proves it.
PYTHON ?= python3.11
export PYTHON
.DEFAULT_GOAL := help
.PHONY: help demo test check bench clean

help:
	@echo 'make demo    sets everything up and serves a demonstration at http://127.0.0.1:8080'
	@echo 'make test    sets everything up, checks the code and runs every test'
	@echo 'make check   lint, types and import rules only'
	@echo 'make bench   measures the hot paths beside their floors (about 5 minutes)'
	@echo 'make clean   removes what was built (never the data in .pater)'

demo:
	@tools/setup.sh runtime
	@.venv/bin/pater demo $(if $(EMPTY),--empty)

check:
	@tools/setup.sh dev
	@tools/check.sh

test: check
	@echo '▸ Tests' && .venv/bin/pytest

bench:
	@tools/setup.sh dev
	@.venv/bin/python -m bench

clean:
	rm -rf .venv .tools node_modules build dist src/pater/web/static/build
