# Two commands: `make demo` runs Páteř with a small demonstration region, `make test` proves it.
PYTHON ?= python3.11
export PYTHON
# The program is compiled once, not again by each of some hundred processes.
unexport PYTHONDONTWRITEBYTECODE
# So many test files run side by side: much of a test's time is waiting, not work.
JOBS ?= 3
.DEFAULT_GOAL := help
.PHONY: help demo test check scan bench clean

help:
	@echo 'make demo    sets everything up and serves a demonstration at http://127.0.0.1:8080'
	@echo 'make test    sets everything up, checks the code and runs every test'
	@echo 'make check   lint, types and import rules only'
	@echo 'make scan    looks for secrets and known vulnerabilities (asks a service of the internet)'
	@echo 'make bench   measures the hot paths beside their floors (about 5 minutes)'
	@echo 'make clean   removes what was built (never the data in .pater)'

demo:
	@tools/setup.sh runtime
	@.venv/bin/pater demo $(if $(EMPTY),--empty)

check:
	@tools/setup.sh dev
	@tools/check.sh

test: check
	@echo '▸ Tests' && .venv/bin/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

scan:
	@tools/scan.sh --strict

bench:
	@tools/setup.sh dev
	@.venv/bin/python -m bench

clean:
	rm -rf .venv .venv-bench .tools node_modules build dist src/pater/web/static/build
