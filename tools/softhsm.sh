#!/usr/bin/env bash
# Unpacks SoftHSM (Debian's package) into .tools/softhsm for the tests of keys in PKCS #11 tokens;
# no root is needed. Where it cannot be had, those tests are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$PWD/.tools/softhsm
module=usr/lib/softhsm/libsofthsm2.so

[ -n "${PATER_SOFTHSM:-}" ] && exit 0
[ -f "/$module" ] && exit 0
[ -f "$target/$module" ] && exit 0
command -v apt-get >/dev/null 2>&1 || { echo "SoftHSM is not here: its tests are skipped." >&2; exit 0; }
printf '\033[1m▸ SoftHSM (unpacked into .tools)\033[0m\n'
# A package list and cache of our own.
state=$PWD/.tools/apt-softhsm
mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$target"
apt=(apt-get -qq -o "Dir::State::lists=$state/lists" -o "Dir::Cache=$state/cache" -o Debug::NoLocking=1)
"${apt[@]}" update 2>/dev/null || true
(cd "$state/cache/archives" && "${apt[@]}" download softhsm2 libsofthsm2 softhsm2-common >/dev/null 2>&1) || true
for package in "$state"/cache/archives/*.deb; do
  [ -f "$package" ] && dpkg-deb -x "$package" "$target"
done
[ -f "$target/$module" ] || echo "SoftHSM could not be downloaded: its tests are skipped." >&2
exit 0
