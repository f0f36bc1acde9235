"""The certification authority of the running program: its command beside it, and its port."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx

from tests.folders import scratch
from tests.system.running import Running
from tests.waiting import PATIENCE


def openssl(*words: str | Path) -> str:
    """What the `openssl` command prints on both outputs."""
    done = subprocess.run(
        ["openssl", *map(str, words)], capture_output=True, timeout=PATIENCE, check=False
    )
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def test_an_operator_issues_and_revokes_and_everybody_can_check(running: Running) -> None:
    with scratch() as folder:
        csr, made, chain, crl = (folder / n for n in ("csr.pem", "a.pem", "chain.pem", "a.crl"))
        openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=anything",
                "-keyout", folder / "key.pem", "-out", csr)  # fmt: skip
        issued = running.command("ca", "issue", "system", str(csr), "--name", "nis", "--ico",
                                 "27520536", "--organization", "Nemocnice")  # fmt: skip
        made.write_text(issued + "\n", "utf-8")
        chain.write_bytes(httpx.get(f"{running.url}/pki/chain.pem", timeout=PATIENCE).content)
        assert "OK" in openssl("verify", "-CAfile", chain, made)
        question = ("ocsp", "-issuer", chain, "-cert", made, "-CAfile", chain,
                    "-url", f"{running.url}/pki/ocsp")  # fmt: skip
        said = openssl(*question)
        assert "Response verify OK" in said
        assert "a.pem: good" in said
        serial = openssl("x509", "-noout", "-serial", "-in", made).partition("=")[2].strip()
        running.command("ca", "revoke", serial, "--reason", "superseded")
        assert "a.pem: revoked" in openssl(*question)
        crl.write_bytes(httpx.get(f"{running.url}/pki/issuing.crl", timeout=PATIENCE).content)
        lists = openssl("crl", "-inform", "DER", "-noout", "-text", "-in", crl)
        assert serial in lists
        assert "Superseded" in lists
