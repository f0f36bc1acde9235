#!/usr/bin/env bash
# Lint, format, types, the import rules of the house; secrets and known vulnerabilities.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '\033[1m▸ %s\033[0m\n' "$*"; }
say "Lint (ruff)" && .venv/bin/ruff check . && .venv/bin/ruff format --check -q .
say "Types (mypy --strict)" && .venv/bin/mypy
say "Import rules (import-linter)" && .venv/bin/lint-imports --no-logo 2>/dev/null || .venv/bin/lint-imports
say "Secrets and known vulnerabilities" && tools/scan.sh
