"""Dresses the pages: fetches the government design system by npm and keeps only what pages use.

`python tools/build_assets.py` writes `src/pater/web/static/build/`: one style sheet (tokens, the
component rules that can apply to our markup, font faces), the fonts and the icons. It does nothing
when nothing changed. The whole vendor sheet has 1 MB; what is left has about 40 kB.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENDOR = ROOT / "node_modules" / "@gov-design-system-ce"
TARGET = ROOT / "src" / "pater" / "web" / "static" / "build"

COMPONENTS = ("gov-container", "gov-button", "gov-tag")
# the values of attributes which our macros write; rules for any other value can never apply
ATTRIBUTES = {
    "data-type": {"solid", "outlined", "base", "link", "subtle", "bold"},
    "data-color": {"primary", "neutral", "error", "success", "warning", "secondary"},
    "data-size": {"xs", "s", "m", "l"},
    "data-theme": {"light"},
}
CLASSES = {*COMPONENTS, "gov-icon"}
FACES = ("regular", "italic", "medium", "bold")
ILLUSTRATIONS = (
    "doc-health", "doc-patient", "health", "institution", "digital", "portal", "secured",
    "history", "user-login", "doc-search", "help", "settings", "documents", "card-400",
    "card-403", "card-404", "card-500", "pills", "vaccine", "illness", "id-card", "time",
)  # fmt: skip


def main() -> int:
    """Builds when the inputs differ from those of the last build; returns the exit status."""
    stamp = TARGET / "stamp.txt"
    wanted = _digest()
    if stamp.is_file() and stamp.read_text() == wanted:
        print("assets: nothing changed")
        return 0
    if not _installed():
        npm = shutil.which("npm")
        if npm is None:
            print("assets: npm is missing; install Node.js 20 or newer", file=sys.stderr)
            return 1
        subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=ROOT, check=True
        )
    if TARGET.exists():
        shutil.rmtree(TARGET)
    TARGET.mkdir(parents=True)
    sheet = [_tokens(), _fonts()]
    for name in COMPONENTS:
        path = VENDOR / "styles" / "lib" / "html" / "components" / f"{name}.css"
        sheet.append(prune(path.read_text()))
    (TARGET / "gov.css").write_text("\n".join(sheet))
    (TARGET / "icons.json").write_text(json.dumps(_icons(), sort_keys=True))
    stamp.write_text(wanted)
    size = sum(path.stat().st_size for path in TARGET.rglob("*") if path.is_file())
    print(f"assets: {size / 1024:.0f} kB in {TARGET.relative_to(ROOT)}")
    return 0


def _digest() -> str:
    parts = (Path(__file__).read_bytes(), (ROOT / "package-lock.json").read_bytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _installed() -> bool:
    """Whether node_modules holds exactly the locked versions."""
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    for path, entry in locked.items():
        if not path:
            continue
        manifest = ROOT / path / "package.json"
        if (
            not manifest.is_file()
            or json.loads(manifest.read_text())["version"] != entry["version"]
        ):
            return False
    return True


def _tokens() -> str:
    """The design tokens of the light theme, with the sizes of each screen width."""
    css = (VENDOR / "styles" / "lib" / "html" / "tokens.css").read_text()
    kept = (
        (prelude, body)
        for prelude, body in blocks(css)
        if "dark" not in prelude and "prefers-color-scheme" not in prelude
    )
    return "".join(f"{prelude}{{{body}}}" for prelude, body in kept)


def _fonts() -> str:
    """Copies the faces pages use, under names that carry their content, and writes their rules."""
    folder = VENDOR / "fonts" / "lib"
    css = (folder / "roboto.css").read_text()
    faces: list[str] = []
    (TARGET / "fonts").mkdir()
    for _, body in blocks(re.sub(r"/\*.*?\*/", "", css, flags=re.S)):
        found = re.search(r"url\('([^']+)'\)", body)
        if found is None or found[1].removesuffix(".woff2").removesuffix("-ext") not in {
            f"roboto-{face}" for face in FACES
        }:
            continue
        data = (folder / found[1]).read_bytes()
        name = f"{Path(found[1]).stem}.{hashlib.sha256(data).hexdigest()[:10]}.woff2"
        (TARGET / "fonts" / name).write_bytes(data)
        # never a local font: it may lack characters; text shows at once in the fallback face
        body = re.sub(r"src:[^;]+;", f"src: url('fonts/{name}') format('woff2');", body)
        body = body.replace("font-display: auto", "font-display: swap")
        faces.append("@font-face{" + re.sub(r"\s+", " ", body).strip() + "}")
    return "".join(faces)


def _icons() -> dict[str, dict[str, str]]:
    """Each icon's view box and inner markup by name (illustrations start with `art-`)."""
    folder = VENDOR / "icons" / "lib"
    files = {path.stem: path for path in sorted((folder / "components").glob("*.svg"))}
    files |= {f"art-{name}": folder / "complex" / f"{name}.svg" for name in ILLUSTRATIONS}
    icons: dict[str, dict[str, str]] = {}
    for name, path in files.items():
        found = re.search(r'<svg[^>]*viewBox="([^"]+)"[^>]*>(.*)</svg>', path.read_text(), re.S)
        if found is None:
            raise SystemExit(f"assets: {path.name} is not an icon")
        # identifiers must differ between icons that share a page
        inner = re.sub(r'(id="|url\(#)', rf"\g<1>{name}-", found[2].strip())
        icons[name] = {"box": found[1], "inner": re.sub(r"\s+", " ", inner)}
    return icons


def blocks(css: str) -> Iterator[tuple[str, str]]:
    """The top-level rules of a style sheet as (prelude, body) (no braces in strings expected)."""
    depth, start, brace = 0, 0, 0
    for index, char in enumerate(css):
        if char == "{":
            if depth == 0:
                brace = index
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                yield css[start:brace].strip(), css[brace + 1 : index]
                start = index + 1


def prune(css: str) -> str:
    """The rules that can match plain HTML written by our macros."""
    out: list[str] = []
    for prelude, body in blocks(css):
        if prelude.startswith(("@media", "@supports", "@container")):
            inner = prune(body)
            if inner:
                out.append(f"{prelude}{{{inner}}}")
        elif prelude.startswith("@"):
            out.append(f"{prelude}{{{body}}}")
        else:
            kept = [selector for selector in _selectors(prelude) if _can_match(selector)]
            if kept:
                out.append(f"{','.join(kept)}{{{body}}}")
    return "".join(out)


def _selectors(prelude: str) -> list[str]:
    """Splits a selector list at the commas which are not inside brackets."""
    parts, depth, start = [], 0, 0
    for index, char in enumerate(prelude):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(char, 0)
        if char == "," and depth == 0:
            parts.append(prelude[start:index])
            start = index + 1
    return [*parts, prelude[start:]]


def _can_match(selector: str) -> bool:
    bare = re.sub(r":not\((?:[^()]|\([^()]*\))*\)", "", selector)
    if re.search(r"(?:^|[\s>+~(])gov-", bare) or ".element" in bare:
        return False  # the web component, not plain HTML
    if not set(re.findall(r"\.([\w-]+)", bare)) <= CLASSES:
        return False
    for name, value in re.findall(r'\[([\w-]+)(?:[~^*|$]?="?([^\]"]*)"?(?: i)?)?\]', bare):
        if value not in ATTRIBUTES.get(name, set()):
            return False
    return True


if __name__ == "__main__":
    raise SystemExit(main())
