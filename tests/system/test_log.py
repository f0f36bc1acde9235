"""The log of a running service under crafted requests: each line is JSON, and none is theirs."""

from __future__ import annotations

import json
import socket

import httpx

from tests.system.running import Running
from tests.waiting import PATIENCE

_MARK = "forged-entry"


def _raw(port: int, request: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as wire:
        wire.sendall(request)
        wire.settimeout(PATIENCE)
        wire.recv(1024)


def test_no_request_writes_a_line(running: Running) -> None:
    begin = running.log.stat().st_size
    forged = f'\n{{"event": "{_MARK}"}}\r\n'
    bad = ("%0d%0a" + _MARK, "%0a%0d" + _MARK, "%1b[31m" + _MARK, "%e2%80%a8" + _MARK)
    with httpx.Client(base_url=running.url, timeout=PATIENCE) as http:
        for text in bad:
            http.get(f"/fhir/{text}")
            http.get(f"/{text}")
            http.get(f"/fhir/Patient?name={text}", headers={"authorization": "Bearer x"})
            http.post("/login", data={"login": forged, "password": forged})
            http.post("/oauth/token", data={"grant_type": forged, "client_id": forged})
            http.post("/fhir/Bundle", content=forged, headers={"content-type": "application/json"})
            http.get("/patient", headers={"user-agent": "x\x1b[31m" + _MARK, "x-request-id": _MARK})
    for line in (
        b"GET / HTTP/1.1\r\nhost: x\r\nx-a: \x0b\x0c" + _MARK.encode() + b"\r\n\r\n",
        b"GET /\x00" + _MARK.encode() + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        _MARK.encode() + b"\r\n\r\n",
    ):
        _raw(running.port, line)
    with running.log.open("rb") as log:
        log.seek(begin)
        lines = log.read().decode("utf-8").splitlines()
    for text in lines:
        assert isinstance(json.loads(text), dict), text
        assert _MARK not in text or json.loads(text)["event"] != _MARK
