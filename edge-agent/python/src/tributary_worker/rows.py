"""The declared data set, in a file that the agent keeps; only the rows that are asked for come into memory."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from typing import Any, Sequence

import numpy as np
import numpy.typing as npt

from .errors import JobError

_magic = b"TRIBROW1"
_most_header_bytes = 2**22


@dataclass(frozen=True)
class Affine:
    """What a stored value stands for: value / scale, less ``shift``, by ``divisor``. Feature k has entry ⌊k / run⌋ mod entries."""

    scale: float = 1.0
    shift: Sequence[float] = (0.0,)
    divisor: Sequence[float] = (1.0,)
    run: int = 1

    def apply(self, stored: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """float32 of bytes or numbers ``[rows, features]``, each rounded once from float64, as the agent's own trainer has them."""
        shift, divisor = np.asarray(self.shift, np.float64), np.asarray(self.divisor, np.float64)
        if len(shift) == 1 and stored.dtype == np.uint8:
            table = ((np.arange(256) / self.scale - shift[0]) / divisor[0]).astype(np.float32)
            looked: npt.NDArray[np.float32] = table[stored]
            return looked
        entry = np.arange(stored.shape[1]) // self.run % len(shift)
        exact = stored.astype(np.float64)
        numbers: npt.NDArray[np.float32] = ((exact / self.scale - shift[entry]) / divisor[entry]).astype(np.float32)
        return numbers


@dataclass(frozen=True)
class Rows:
    """Examples by number; every framework that trains on this device sees the same ones."""

    #: ``[examples, features]``: numbers, or what ``affine`` turns into numbers.
    stored: npt.NDArray[Any]
    #: Classes from 0 (int32) or numbers (float32): ``[examples]``, or ``[examples, labels]`` where one has several.
    labels: npt.NDArray[Any]
    #: Of one example; as many numbers as ``stored`` has a row.
    shape: tuple[int, ...]
    affine: Affine | None = None

    @staticmethod
    def of(features: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Rows:
        """Arrays of one's own: ``[examples, …shape]``, ``[examples, …]``."""
        flat = np.ascontiguousarray(features, dtype=np.float32).reshape(len(features), -1)
        return Rows(flat, labels, tuple(features.shape[1:]))

    @staticmethod
    def open(path: str, shape: Sequence[int], affine: dict[str, Any] | None = None) -> Rows:
        """
        Maps a file of rows (docs/datasets.md). ``affine`` is what its values stand for where the work says so, and not its header.
        Raises JobError DATA_MISMATCH, OSError.
        """
        with open(path, "rb") as file:
            prefix = file.read(12)
            length = int.from_bytes(prefix[8:], "little")
            if prefix[:8] != _magic or length > _most_header_bytes:
                raise JobError("DATA_MISMATCH", "the file of the data set is no file of rows")
            header: dict[str, Any] = json.loads(file.read(length))
        features, labels, plain = header["features"], header["labels"], header["stored"] == "f32"
        row = [("labels", "<i4" if header["labelDtype"] == "i32" else "<f4", (labels,))]
        row.append(("features", "<f4" if plain else "u1", (features,)))
        # Rows are multiples of four bytes.
        dtype = np.dtype(row + ([] if plain or features % 4 == 0 else [("rest", "u1", (-features % 4,))]))
        count = header["examples"]
        if os.path.getsize(path) != 12 + length + count * dtype.itemsize or int(np.prod(shape)) != features:
            raise JobError("DATA_MISMATCH", f"an example has {features} numbers; the model takes {tuple(shape)}")
        rows: npt.NDArray[Any] = np.empty(0, dtype)
        if count > 0:
            rows = np.memmap(path, dtype=dtype, mode="r", offset=12 + length, shape=(count,))
        truths = rows["labels"] if labels > 1 else rows["labels"][:, 0]
        if header["integerLabels"] and header["labelDtype"] == "f32":
            truths = truths.astype(np.int32)
        stands = affine if affine is not None else None if plain else header["affine"]
        return Rows(
            rows["features"],
            truths,
            tuple(shape),
            None if stands is None else Affine(stands["scale"], stands["shift"], stands["divisor"], stands["run"]),
        )

    def shaped(self, shape: Sequence[int] | None) -> Rows:
        """The same examples in another shape of one example. Raises JobError DATA_MISMATCH."""
        if shape is None:
            return self
        if int(np.prod(shape)) != int(np.prod(self.shape)):
            raise JobError("DATA_MISMATCH", f"an example has shape {self.shape}; the model takes {tuple(shape)}")
        return replace(self, shape=tuple(shape))

    def __len__(self) -> int:
        return len(self.stored)

    def features(self, rows: npt.NDArray[Any] | slice = slice(None)) -> npt.NDArray[np.float32]:
        """float32 ``[rows, …shape]``."""
        chosen = self.stored[rows]
        numbers = np.array(chosen, dtype=np.float32) if self.affine is None else self.affine.apply(chosen)
        return numbers.reshape(len(chosen), *self.shape)

    def targets(self, rows: npt.NDArray[Any] | slice = slice(None)) -> npt.NDArray[Any]:
        """Labels ``[rows, …]``."""
        return np.array(self.labels[rows])
