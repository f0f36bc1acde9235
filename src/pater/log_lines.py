"""Log lines: one JSON object each, so that nothing that somebody sends begins a line of its own."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

import structlog

LONGEST: Final = 10_000
"""Characters of one message; libraries may repeat what they were sent."""


class JsonLines(logging.Formatter):
    """What libraries log, in the shape of our own lines."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; control characters and line ends are escaped by JSON."""
        said = {
            "logger": record.name,
            "event": record.getMessage()[:LONGEST],
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)[-LONGEST:]
        return json.dumps(said)


def configure(level: str) -> None:
    """Structured lines on standard error, without personal data: no content of requests."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=number, handlers=[handler])
    # it tells every address that is asked, and addresses may name people
    logging.getLogger("httpx").setLevel(max(number, logging.WARNING))
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
