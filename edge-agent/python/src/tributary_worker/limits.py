"""Bounds that the worker sets itself, before anything large is imported."""

from __future__ import annotations

import os
import resource
import signal
import threading

_reserve = 2**29


def apply_limits(memory_bytes: int | None) -> None:
    """Private memory beyond the limit is refused by the kernel, as MemoryError here; a core dump, which would hold data, is not written.

    A quarter more is left for what is reserved and never used. What counts is held against the limit by the agent.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes is not None:
        bound = memory_bytes + memory_bytes // 4 + _reserve
        resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))


def end_with_agent() -> None:
    """Ends the whole process group once the agent's end of stdin closes, however it ended; training code reads an empty stdin."""
    line = os.dup(0)
    os.set_inheritable(line, False)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)

    def watch() -> None:
        while os.read(line, 4096):
            pass
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, name="agent", daemon=True).start()
