"""The declared data set, in files that the agent wrote; only the rows that are asked for come into memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import JobError


@dataclass(frozen=True)
class Rows:
    """Examples by number; every framework that trains on this device sees the same ones."""

    stored: npt.NDArray[Any]
    #: Classes from 0 (int32), or numbers (float32).
    labels: npt.NDArray[Any]
    #: Features are kept in the bytes of their file and stand for themselves divided by it.
    scale: float = 1.0

    @staticmethod
    def open(features: str, labels: str, scale: float) -> Rows:
        """Maps two .npy files. Raises JobError DATA_MISMATCH, OSError, ValueError."""
        rows = Rows(
            np.load(features, mmap_mode="r", allow_pickle=False),
            np.load(labels, mmap_mode="r", allow_pickle=False),
            scale,
        )
        if rows.stored.ndim < 1 or len(rows.stored) != len(rows.labels):
            raise JobError("DATA_MISMATCH", f"there are {len(rows.labels)} labels for {len(rows.stored)} examples")
        return rows

    def __len__(self) -> int:
        return len(self.stored)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example."""
        return tuple(self.stored.shape[1:])

    def features(self, rows: npt.NDArray[Any] | slice) -> npt.NDArray[np.float32]:
        """float32 ``[rows, …shape]``."""
        chosen = self.stored[rows]
        if self.scale != 1.0:
            # Rounded once, from float64, as the agent's own trainer does.
            chosen = chosen / np.float64(self.scale)
        return np.array(chosen, dtype=np.float32)

    def targets(self, rows: npt.NDArray[Any] | slice) -> npt.NDArray[Any]:
        """Labels ``[rows, …]``."""
        return np.array(self.labels[rows])
