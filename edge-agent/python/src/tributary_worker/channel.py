"""The line to the agent: JSON, one object a line, on a descriptor that nothing else writes to."""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import time

_pause_seconds = 0.2


class Channel:
    """Writes lines; safe from several threads."""

    def __init__(self, descriptor: int) -> None:
        self._lock = threading.Lock()
        if descriptor == 1:
            # What training code prints must not come between the lines.
            descriptor = os.dup(1)
        os.set_inheritable(descriptor, False)
        self._descriptor = descriptor
        sys.stdout.flush()
        os.dup2(2, 1)
        self._told_at = -math.inf

    def send(self, kind: str, **fields: object) -> None:
        """One line. NaN and infinity, which JSON does not have, become null."""
        plain = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in fields.items()
        }
        line = json.dumps({"kind": kind, **plain}, allow_nan=False).encode() + b"\n"
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]

    def progress(self, done: int, total: int, loss: float | None) -> None:
        """A few times a second at most, however often it is called."""
        now = time.monotonic()
        if now - self._told_at < _pause_seconds and done < total:
            return
        self._told_at = now
        self.send("progress", steps=int(done), totalSteps=int(total), loss=None if loss is None else float(loss))
