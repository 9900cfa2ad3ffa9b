"""Weights in files of the safetensors format: mapped, not read, and written one tensor at a time. No pickle."""

from __future__ import annotations

import json
import os
from typing import Any, Iterator, Mapping, Sequence

import numpy as np

from .errors import Diverged, JobError
from .task import Array, Tensor

_dtypes: Mapping[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
    "BOOL": "|b1",
}
_most_header_bytes = 2**20


class Weights(Mapping[str, Array]):
    """Tensors of a file by name, as read-only views; BF16, which NumPy does not have, widened to float32 when asked for."""

    def __init__(self, path: str) -> None:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > _most_header_bytes or 8 + length > size:
                raise JobError("MODEL_MISMATCH", f"{os.path.basename(path)} is no safetensors file")
            header: dict[str, Any] = json.loads(file.read(length))
        self._start = 8 + length
        self._entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        self._bytes = np.memmap(path, dtype=np.uint8, mode="r") if size > self._start else np.zeros(0, np.uint8)

    def __getitem__(self, name: str) -> Array:
        entry = self._entries[name]
        begin, end = entry["data_offsets"]
        raw = self._bytes[self._start + begin : self._start + end]
        values: Array = np.frombuffer(raw, dtype=_dtypes[entry["dtype"]]).reshape(entry["shape"])
        if entry["dtype"] == "BF16":
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class Overlaid(Mapping[str, Array]):
    """The weights of a round with this device's own values for what is kept local."""

    def __init__(self, weights: Mapping[str, Array], local: Mapping[str, Array]) -> None:
        self._weights = weights
        self._local = local

    def __getitem__(self, name: str) -> Array:
        base = self._weights[name]
        own = self._local.get(name)
        return base if own is None or own.shape != base.shape or own.dtype != base.dtype else own

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)


def write_weights(path: str, tensors: Sequence[Tensor], values: Mapping[str, Array], step: int) -> None:
    """Writes these tensors in this order, each in the dtype of the manifest.

    Raises JobError MODEL_MISMATCH for one that is missing or has another shape or kind, Diverged for one that is not finite.
    """
    header: dict[str, object] = {}
    offset = 0
    for tensor in tensors:
        size = int(np.prod(tensor.shape, dtype=np.int64)) * np.dtype(_dtypes[tensor.dtype]).itemsize
        header[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "xb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for tensor in tensors:
            file.write(_encode(tensor, values, step).data)


def _encode(tensor: Tensor, values: Mapping[str, Array], step: int) -> Array:
    value = values.get(tensor.name)
    if value is None:
        raise JobError("MODEL_MISMATCH", f"the trainer gave no {tensor.name!r}, which the manifest sends ({tensor.policy})")
    array = np.asarray(value)
    if tuple(array.shape) != tensor.shape:
        raise JobError(
            "MODEL_MISMATCH", f"the trainer gave {tensor.name!r} of shape {array.shape}; the manifest says {tensor.shape}"
        )
    if tensor.dtype[0] in "FB" and tensor.dtype != "BOOL":
        if array.dtype.kind != "f":
            raise JobError("MODEL_MISMATCH", f"the trainer gave {tensor.name!r} as {array.dtype}, not as floats")
        if not np.isfinite(array).all():
            raise Diverged(step)
        if tensor.dtype == "BF16":
            return _bfloat16(array.astype(np.float32))
    elif not np.can_cast(array.dtype, _dtypes[tensor.dtype], "same_kind"):
        raise JobError("MODEL_MISMATCH", f"the trainer gave {tensor.name!r} as {array.dtype}, not as {tensor.dtype}")
    with np.errstate(over="ignore"):
        return np.array(array, dtype=_dtypes[tensor.dtype], order="C").reshape(-1).view(np.uint8)


def _bfloat16(values: Array) -> Array:
    """Rounded to nearest, ties to even."""
    bits: Array = np.ascontiguousarray(values).reshape(-1).view(np.uint32)
    rounded: Array = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype("<u2")
    return rounded.view(np.uint8)
