#!/usr/bin/env bash
# Sets up everything that `make demo` (runtime) or `make test` (dev) needs; quick when it is there.
set -euo pipefail
cd "$(dirname "$0")/.."
want=${1:-runtime}
python=${PYTHON:-python3.11}
command -v "$python" >/dev/null 2>&1 || python=python3

# Trust the certificates that the machine trusts: networks with a proxy of their own have such.
export UV_SYSTEM_CERTS=1
# A file system that cannot link (a container's, a shared one) gets copies without a warning.
export UV_LINK_MODE=copy

say() { printf '\033[1m▸ %s\033[0m\n' "$*"; }
fail() { printf '\n✗ %s\n' "$1" >&2; [ -z "${2:-}" ] || printf '  %s\n' "$2" >&2; exit 1; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  fail "Python 3.11 or newer is needed." "Install it, or name it: make demo PYTHON=/path/to/python3.11"
command -v npm >/dev/null 2>&1 || fail "npm is needed for the front-end assets." "Install Node.js 20 or newer."

# A stamp holds the digest of what it was made from: a changed lock file is installed again.
digest() { cat "$@" | cksum | tr -d ' '; }
fresh() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

if [ ! -x .venv/bin/python ]; then
  say "Virtual environment (.venv)"
  "$python" -m venv .venv || fail "The virtual environment could not be made." "On Debian: apt-get install python3-venv"
fi
key=$(digest requirements-setup.lock)
if ! fresh .venv/.setup "$key"; then
  say "Installer"
  .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-setup.lock
  echo "$key" >.venv/.setup
fi

lock=requirements.lock
[ "$want" = dev ] && lock=requirements-dev.lock
key=$(digest "$lock" pyproject.toml)
if ! fresh ".venv/.$want" "$key"; then
  say "Locked dependencies ($lock)"
  .venv/bin/uv pip install --python .venv/bin/python --require-hashes -r "$lock"
  .venv/bin/uv pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
  echo "$key" >".venv/.$want"
fi

.venv/bin/python tools/build_assets.py
if [ "$want" = dev ]; then
  # Wheels for Linux on x86-64 only: elsewhere the tests that want it are skipped.
  key=$(digest requirements-fuzz.lock)
  if [ "$(uname -sm)" = "Linux x86_64" ] && ! fresh .venv/.fuzz "$key"; then
    say "Coverage-guided fuzzing (requirements-fuzz.lock)"
    if .venv/bin/uv pip install -q --python .venv/bin/python --only-binary :all: \
      --require-hashes -r requirements-fuzz.lock; then
      echo "$key" >.venv/.fuzz
    fi
  fi
  key=$(digest tests/clients/node/package-lock.json)
  if ! fresh tests/clients/node/node_modules/.stamp "$key"; then
    say "Other people's FHIR clients for Node.js (tests/clients/node)"
    npm ci --prefix tests/clients/node --ignore-scripts --no-audit --no-fund --omit=optional --omit=peer
    echo "$key" >tests/clients/node/node_modules/.stamp
  fi
  tools/browser.sh
  tools/softhsm.sh
fi
exit 0
