"""Processes of their own for the lines of a large import: started, asked, ended."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Final

from pater.records.import_input import Chunk
from pater.records.import_lines import Made, Prepare, make
from pater.records.import_worker import receive, send

Maker = Callable[[Chunk, Sequence[int], Prepare], Awaitable[Made]]

# Without the folder we were started in: what lies there is none of ours.
_COMMAND: Final = ("-P", "-m", "pater.records.import_worker")


class WorkerError(Exception):
    """A process failed or was lost; its work can be given to another."""


async def in_thread(chunk: Chunk, rids: Sequence[int], how: Prepare) -> Made:
    """Makes a chunk ready in a thread of this process."""
    return await asyncio.to_thread(make, chunk, rids, how)


@contextmanager
def processes(count: int) -> Iterator[Maker]:
    """`count` processes that make chunks ready, one chunk each at a time; ended at the end.

    Not those of `concurrent.futures`: they would load all of the program again, and their queues
    cost as much as a good part of the work.
    """
    idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
    started = []
    threads = ThreadPoolExecutor(count, "import")

    def ask(*work: object) -> Made:
        process = idle.get()
        assert process.stdin is not None and process.stdout is not None
        try:
            send(process.stdin, work)
            answer = receive(process.stdout)
        except (OSError, EOFError) as error:
            raise WorkerError("lost") from error
        finally:
            idle.put(process)
        if not isinstance(answer, Made):
            raise WorkerError(str(answer))
        return answer

    async def maker(chunk: Chunk, rids: Sequence[int], how: Prepare) -> Made:
        return await asyncio.get_running_loop().run_in_executor(threads, ask, chunk, rids, how)

    try:
        for _ in range(count):
            process = subprocess.Popen(
                [sys.executable, *_COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            started.append(process)
            idle.put(process)
        yield maker
    finally:
        for process in started:
            process.kill()  # it holds nothing that would be lost
        threads.shutdown(wait=True, cancel_futures=True)
        for process in started:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:  # what it did not read any more
                        continue
