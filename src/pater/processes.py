"""Several server processes on one port: started, watched, replaced when they die, stopped together.

The parent serves nothing itself, so that it can start a process anew at any time.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Final

import structlog

MOST: Final = 16
_STOP_SECONDS: Final = 30.0
_SOON: Final = 5.0
"""A process that ends within so many seconds was not able to serve."""
_TRIES: Final = 3
_PAUSE: Final = 0.2
_log = structlog.get_logger("pater.processes")


class Processes:
    """`count` processes that each run `serve(number, alive)`; number 0 is the one with the chores.

    `alive` is a pipe that ends with the parent, however that ends.
    """

    def __init__(self, count: int, serve: Callable[[int, int], None]) -> None:
        self._count = count
        self._serve = serve
        self._running: dict[int, tuple[int, float]] = {}  # process: number, when started
        self._pipe = (-1, -1)
        self._short = 0
        self._stopping = False

    def run(self) -> bool:
        """Until SIGINT or SIGTERM; False when the processes could not be kept running.

        A process that dies is replaced, unless that happens again and again right after its start.
        """
        self._pipe = os.pipe()
        before = {
            number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            for number in range(self._count):
                self._start(number)
            while self._running and not self._stopping:
                self._look()
                time.sleep(_PAUSE)
            self._stop_all()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            for end in self._pipe:
                os.close(end)
        return self._short < _TRIES

    def _start(self, number: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        process = os.fork()
        if process:
            self._running[process] = (number, time.monotonic())
            return
        status = 1
        try:
            for one in (signal.SIGINT, signal.SIGTERM):
                signal.signal(one, signal.SIG_DFL)
            alive, ours = self._pipe
            os.close(ours)
            self._serve(number, alive)
            status = 0
        except BaseException as error:
            # The kind and the place, never the text: it may hold data.
            traceback.print_tb(error.__traceback__)
            _log.error("a server process failed", number=number, error=type(error).__name__)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _look(self) -> None:
        """Replaces those that have ended."""
        for process, (number, started) in list(self._running.items()):
            ended, status = os.waitpid(process, os.WNOHANG)
            if not ended or self._stopping:
                continue
            del self._running[process]
            _log.error("a server process ended", number=number, status=status)
            self._short = self._short + 1 if time.monotonic() - started < _SOON else 0
            if self._short >= _TRIES:
                self._stopping = True
                return
            self._start(number)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _stop_all(self) -> None:
        for process in self._running:
            _send(process, signal.SIGTERM)
        end = time.monotonic() + _STOP_SECONDS
        while self._running:
            for process in list(self._running):
                try:
                    ended, _ = os.waitpid(process, os.WNOHANG)
                except ChildProcessError:
                    ended = process
                if ended:
                    del self._running[process]
                elif time.monotonic() > end:
                    _send(process, signal.SIGKILL)
            time.sleep(_PAUSE / 4)


def _send(process: int, number: signal.Signals) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return
