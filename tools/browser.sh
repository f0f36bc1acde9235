#!/usr/bin/env bash
# Makes sure that headless Chromium is there for the browser tests: Debian's package, installed as
# root, or unpacked into .tools/chromium when we are somebody else.
set -euo pipefail
cd "$(dirname "$0")/.."
local_root=$PWD/.tools/chromium

say() { printf '\033[1m▸ %s\033[0m\n' "$*"; }
[ -n "${PATER_CHROMIUM:-}" ] && exit 0
command -v chromium >/dev/null 2>&1 && exit 0
[ -x .tools/chromium-run ] && exit 0
command -v apt-get >/dev/null 2>&1 || {
  echo "✗ Chromium is needed for the browser tests. Install it, or name it in PATER_CHROMIUM." >&2
  exit 1
}

packages=(chromium fonts-liberation)
if [ "$(id -u)" = 0 ]; then
  say "Chromium (Debian's package)"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  exit 0
fi

# Without root: a private package list and cache, and the packages unpacked side by side.
say "Chromium (Debian's package, unpacked into .tools because we are not root)"
state=$PWD/.tools/apt
mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$local_root"
apt=(apt-get -qq -o "Dir::State::lists=$state/lists" -o "Dir::Cache=$state/cache" -o Debug::NoLocking=1)
# An image may tidy the system's own cache after each run, which only root can: not our concern.
"${apt[@]}" update 2>/dev/null || true
"${apt[@]}" install -y --no-install-recommends --download-only "${packages[@]}" >/dev/null 2>&1 || true
ls "$state"/cache/archives/chromium_*.deb >/dev/null 2>&1 || {
  echo "✗ Chromium could not be downloaded. Install it as root: apt-get install chromium" >&2
  exit 1
}
count=0
for package in "$state"/cache/archives/*.deb; do
  dpkg-deb -x "$package" "$local_root"
  count=$((count + 1))
done
echo "  $count packages unpacked"
cat >.tools/chromium-run <<RUN
#!/bin/sh
root=$local_root
libs=\$(find "\$root/lib" "\$root/usr/lib" -maxdepth 2 -type d 2>/dev/null | tr '\n' ':')
export LD_LIBRARY_PATH="\$libs\${LD_LIBRARY_PATH:-}"
export FONTCONFIG_PATH="\${FONTCONFIG_PATH:-\$root/etc/fonts}"
export XDG_DATA_DIRS="\$root/usr/share:/usr/share"
exec "\$root/usr/lib/chromium/chromium" "\$@"
RUN
chmod +x .tools/chromium-run
