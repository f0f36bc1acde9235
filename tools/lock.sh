#!/usr/bin/env bash
# Locks the dependencies with hashes and without index addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
for name in requirements-setup requirements requirements-dev requirements-fuzz requirements-bench; do
  .venv/bin/uv pip compile -q --generate-hashes --no-header --no-annotate --no-emit-index-url \
    --python-version 3.11 "$name.in" -o "$name.lock"
done
