"""The floor of reading: the same HTTP server software answering with a body it already has."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.child import free_port

_ROOT = Path(__file__).resolve().parents[1]
_HEADERS = {
    "ETag": 'W/"1"',
    "Last-Modified": "Sun, 01 Nov 2026 00:00:00 GMT",
    "Cache-Control": "no-store",
}


@lru_cache(maxsize=64)
def _body(size: int) -> bytes:
    return b"{" + b" " * (size - 2) + b"}"


async def _static(request: Request) -> Response:
    body = _body(int(request.path_params["size"]))
    return Response(body, media_type="application/fhir+json", headers=_HEADERS)


app = Starlette(routes=[Route("/{size:int}", _static)])


@contextmanager
def static_server() -> Iterator[tuple[int, int]]:
    """Runs the floor in a process of its own; gives (port, pid)."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.static_app", str(port)],
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 30
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}/2", timeout=2).close()
                break
            except (URLError, OSError):
                if time.monotonic() > end or process.poll() is not None:
                    raise
                time.sleep(0.05)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(10)


def main() -> None:
    """Serves on 127.0.0.1 with the settings of `pater.serving`."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
    )


if __name__ == "__main__":
    main()
