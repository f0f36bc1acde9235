"""The scans find what they are for: secrets that were written down, and known vulnerabilities."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

ROOT = Path(__file__).parent.parent


def _tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


secrets, dependencies = _tool("scan_secrets"), _tool("scan_dependencies")

_PEM = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)
_R = "q9Zt4LwX7bN2mK8vR5cJ1hG6yD3sF0pA"  # not a secret
# what somebody may write down by mistake, put together here so that this file is not one
_SEEDED = {
    "private key": _PEM,
    "private key in a string": repr(_PEM),
    "private JWK": '{"kty": "OKP", "d" ' + f': "{_R}{_R}"}}',
    "JSON web token": f"Authorization: Bearer eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhYmMifQ.{_R}",
    "AWS key": "AKIA" + "ABCDEFGHIJ234567",
    "GitHub token": "ghp_" + _R + "abcd",
    "GitLab token": "glpat-" + _R[:20],
    "Slack token": "xoxb-" + _R,
    "Google key": "AIza" + _R + "abc",
    "Stripe key": "sk_live_" + _R,
    "password in an address": "dsn = 'postgresql://pater:" + "hunter22" + "@db/pater'",
    "an assigned password": "PASSWORD" + f' = "{_R}"',
    "one in JSON": '"client_secret"' + f': "{_R}"',
    "one in YAML": "api_key" + f": '{_R}'",
}


@pytest.mark.parametrize("kind", _SEEDED)
def test_a_seeded_secret_is_found(kind: str) -> None:
    text = f"first line\n{_SEEDED[kind]}\n"
    assert [line for line, _ in secrets.finds(text)] == [2]


@pytest.mark.parametrize(
    "text",
    [
        'token = "the words of a person"', 'password = ""', "password = settings.mail_password",
        "https://user@host/path", "postgresql://user:$PASSWORD@host/db", 'secret: "********"',
        'TOKEN_URL = "/oauth/token/introspection"', "-----BEGIN PRIVATE KEY-----\n…",
        'token_endpoint="https://pater.example/oauth/token"', 'passwords = "access/passwords.py"',
    ],
)  # fmt: skip
def test_words_and_addresses_are_none(text: str) -> None:
    assert list(secrets.finds(text)) == []


def test_the_repository_holds_no_secret_and_the_scan_would_tell(tmp_path: Path) -> None:
    assert secrets.scan(ROOT) == []
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "new.py").write_text("key = '''" + _PEM + "'''\n")
    assert secrets.scan(tmp_path) == ["new.py:1: private key"]


class _Service(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
        known = {("PyPI", "leftpad", "1.0"), ("npm", "@scope/pad", "2.0.0")}
        results: list[dict[str, Any]] = [
            {"vulns": [{"id": "TEST-1"}]}
            if (q["package"]["ecosystem"], q["package"]["name"], q["version"]) in known
            else {}
            for q in asked
        ]
        body = json.dumps({"results": results}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def service() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _locks(folder: Path) -> None:
    (folder / "requirements.lock").write_text("leftpad==1.0 \\\n    --hash=sha256:00\nok[x]==3.1\n")
    packages = {"": {}, "node_modules/@scope/pad": {"version": "2.0.0"}}
    (folder / "package-lock.json").write_text(json.dumps({"packages": packages}))


def test_known_vulnerabilities_are_told_and_end_a_strict_scan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _locks(tmp_path)
    with service() as address:
        assert dependencies.main(tmp_path, address, strict=False) == 0
        assert dependencies.main(tmp_path, address, strict=True) == 1
    said = capsys.readouterr().out
    assert "PyPI leftpad 1.0: TEST-1" in said and "npm @scope/pad 2.0.0: TEST-1" in said
    assert "3 locked packages, 2 with known vulnerabilities" in said


def test_without_the_service_it_says_that_nothing_was_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _locks(tmp_path)
    assert dependencies.main(tmp_path, "http://127.0.0.1:1", strict=False) == 0
    assert dependencies.main(tmp_path, "http://127.0.0.1:1", strict=True) == 1
    assert capsys.readouterr().out.count("NOT CHECKED") == 2


def test_every_lock_is_read() -> None:
    found = set(dependencies.locked(ROOT))
    assert {name for _, name, _ in found} >= {"starlette", "pytest", "cryptography"}
    assert {system for system, _, _ in found} == {"PyPI", "npm"}
