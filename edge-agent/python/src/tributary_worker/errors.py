"""Why a job cannot be done. The code is what the agent goes by."""

from __future__ import annotations

from typing import Literal

Code = Literal[
    "MODEL_MISMATCH",
    "DATA_MISMATCH",
    "SETTINGS_INVALID",
    "TRAINER_MISSING",
    "MEMORY_LIMIT",
    "DIVERGED",
    "TRAINER_FAILED",
]


class JobError(Exception):
    """A job that is refused or failed; the message says what is wrong and what to do."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code


class Diverged(JobError):
    """The loss or a weight stopped being finite. ``step`` is when that was noticed, from 1."""

    def __init__(self, step: int) -> None:
        super().__init__("DIVERGED", f"training diverged by step {step}: use a smaller learning rate")
        self.step = step
