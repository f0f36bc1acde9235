"""Nothing that somebody sends becomes a line of the log, or escapes from its line."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys

import structlog
from hypothesis import given
from hypothesis import strategies as st

from pater.log_lines import LONGEST, JsonLines

_BAD = ("\n", "\r", "\x1b", "\x00", "\x08", "\x7f", "\x85", "\u2028", "\u2029", "\u202e")


def _record(message: str, *args: object, **more: object) -> logging.LogRecord:
    return logging.LogRecord("library", logging.WARNING, "f.py", 1, message, args, None, **more)  # type: ignore[arg-type]


@given(st.text() | st.sampled_from(_BAD).map(lambda bad: f"a{bad}INFO all is well"))
def test_a_message_of_a_library_is_one_line_of_visible_characters(text: str) -> None:
    line = JsonLines().format(_record("it said %s", text))
    assert line.isascii() and line.isprintable() and len(line.splitlines()) == 1
    assert json.loads(line)["event"] == f"it said {text}"[:LONGEST]


def test_an_exception_is_one_line_too() -> None:
    try:
        raise ValueError("first\nINFO second")
    except ValueError:
        record = _record("failed")
        record.exc_info = sys.exc_info()
    line = JsonLines().format(record)
    assert len(line.splitlines()) == 1 and "ValueError" in json.loads(line)["traceback"]


@given(st.text(), st.text())
def test_our_own_lines_are_one_line_too(event: str, value: str) -> None:
    out = io.StringIO()
    log = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[structlog.processors.JSONRenderer()],
        wrapper_class=structlog.BoundLogger,  # whatever level another test has configured
    )
    log.info(event, value=value)
    line = out.getvalue()
    assert line.endswith("\n") and line[:-1].isascii() and line[:-1].isprintable()
    assert json.loads(line)["value"] == value


def test_so_it_is_configured() -> None:
    program = (
        "import logging, structlog\n"
        "from pater.log_lines import configure\n"
        "configure('info')\n"
        f"for bad in {_BAD!r}:\n"
        "    logging.getLogger('x').warning('%s', f'a{bad}b')\n"
        "    structlog.get_logger().info(f'a{bad}b', more=f'c{bad}d')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    lines = [json.loads(line) for line in done.stderr.decode("ascii").splitlines()]
    assert [line["event"] for line in lines] == [f"a{bad}b" for bad in _BAD for _ in range(2)]
