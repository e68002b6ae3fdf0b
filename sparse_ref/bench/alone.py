"""Work in a process of its own, so that its peak of memory is its own."""

import contextlib
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Say = Callable[[str], None]

HEARTBEAT = 20.0  # seconds of silence after which a line says that it still runs
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
FORGET_PEAK = "5"  # what Linux takes to begin its count of the peak anew (proc_pid_clear_refs(5))


def run(who: str, what: str, work: Callable[..., Any], arguments: Sequence[Any], say: Say) -> Any:
    """What ``work(*arguments, say)`` returns in a new process.

    Parameters
    ----------
    who, what : str
        For errors and signs of life: who wants the work done, and what it is about.
    work : callable
        A function of a module; its arguments and its result must be able to travel.
    arguments : sequence
    say : callable
        Its lines come through, and a sign of life in between.

    Raises
    ------
    RuntimeError
        The process ended before it had a result.
    """
    context = multiprocessing.get_context("spawn")  # a fork would start with our memory
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(theirs, work, tuple(arguments)), daemon=True)
    process.start()
    theirs.close()
    try:
        return _listen(what, ours, say)
    except EOFError:
        process.join()
        raise RuntimeError(
            f"{who}: the process that trained {what} ended with code {process.exitcode} "
            "before it had a result (a negative code is the signal that killed it)"
        ) from None
    finally:
        process.terminate()
        process.join()


def peak_bytes() -> int:
    """Most memory this process ever had resident, or has had since `forget_peak`.

    Linux's ``ru_maxrss`` starts with what the parent had when it made the process, so the kernel's
    own count of this program is asked first.
    """
    if STATUS.exists():
        (line,) = (n for n in STATUS.read_text().splitlines() if n.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def forget_peak() -> None:
    """Begin the count of the peak anew, where the system can: a compiler's does not count."""
    with contextlib.suppress(OSError):
        CLEAR.write_text(FORGET_PEAK)


def _listen(what, connection, say):
    began = time.perf_counter()
    while True:
        if not connection.poll(HEARTBEAT):
            say(f"{what}: still at it, {time.perf_counter() - began:.0f} s")
            continue
        kind, message = connection.recv()
        if kind == "result":
            return message
        say(message)


def _child(connection: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    result = work(*arguments, lambda line: connection.send(("line", line)))
    connection.send(("result", result))
