"""Asks whether locked dependencies have published vulnerabilities (OSV, Python and npm).

Names and versions of the lock files are sent, nothing else. Where the service cannot be asked it
says so and ends with 0: an offline build is not a broken one. Finds are listed; with `--strict`
they, and a service that does not answer, end with 1.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.request import Request, urlopen

ROOT: Final = Path(__file__).resolve().parent.parent
SERVICE: Final = os.environ.get("PATER_OSV", "https://api.osv.dev")
SECONDS: Final = 10.0
_MOST: Final = 1_000  # questions in one request
_PINNED: Final = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)

Package = tuple[str, str, str]  # ecosystem, name, version


def locked(root: Path) -> Iterator[Package]:
    """What the lock files name."""
    for path in sorted(root.glob("requirements*.lock")):
        for name, version in _PINNED.findall(path.read_text("utf-8")):
            yield "PyPI", name.lower(), version
    lock = root / "package-lock.json"
    if lock.is_file():
        for place, one in json.loads(lock.read_text("utf-8")).get("packages", {}).items():
            if place and "version" in one:
                yield "npm", place.rpartition("node_modules/")[2], one["version"]


def vulnerable(packages: list[Package], service: str) -> dict[Package, list[str]]:
    """The ids of what is known against each; raises OSError when the service does not answer."""
    found: dict[Package, list[str]] = {}
    for first in range(0, len(packages), _MOST):
        some = packages[first : first + _MOST]
        queries = [
            {"package": {"ecosystem": system, "name": name}, "version": version}
            for system, name, version in some
        ]
        for package, result in zip(some, _ask(service, queries), strict=True):
            ids = [str(each["id"]) for each in (result or {}).get("vulns", ())]
            if ids:
                found[package] = ids
    return found


def _ask(service: str, queries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    body = json.dumps({"queries": queries}).encode()
    request = Request(f"{service}/v1/querybatch", body, {"content-type": "application/json"})
    with urlopen(request, timeout=SECONDS) as answer:
        results = json.loads(answer.read())["results"]
    if len(results) != len(queries):
        raise URLError("the service answered something else")
    return list(results)


def main(root: Path, service: str, *, strict: bool) -> int:
    """Tells what is known; the exit status."""
    packages = sorted(set(locked(root)))
    try:
        found = vulnerable(packages, service)
    except (OSError, ValueError, KeyError) as error:
        print(f"NOT CHECKED for known vulnerabilities: {service} cannot be asked ({error})")
        return int(strict)
    for (system, name, version), ids in found.items():
        print(f"{system} {name} {version}: {', '.join(ids)}")
    print(f"{len(packages)} locked packages, {len(found)} with known vulnerabilities")
    return int(strict and bool(found))


if __name__ == "__main__":
    sys.exit(main(ROOT, SERVICE, strict="--strict" in sys.argv))
