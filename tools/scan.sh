#!/usr/bin/env bash
# Secrets in the repository (always an error), and known vulnerabilities of what is locked
# (told; an error with --strict).
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
[ -x "$python" ] || python=${PYTHON:-python3}
"$python" tools/scan_secrets.py
"$python" tools/scan_dependencies.py "$@"
