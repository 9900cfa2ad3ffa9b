"""Jobs for tests, as the agent writes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

import numpy as np
from safetensors.numpy import load_file, save_file

from tributary_worker.rows import Rows
from tributary_worker.task import Task, Tensor, TrainSettings

SETTINGS = {
    "framework": "pytorch",
    "localEpochs": 2,
    "batchSize": 4,
    "learningRate": 0.1,
    "optimizer": "sgd",
    "loss": "softmax-cross-entropy",
}


def examples(count: int = 22, width: int = 6, classes: int = 3) -> Rows:
    """Seeded examples."""
    generator = np.random.Generator(np.random.PCG64(7))
    features = generator.normal(size=(count, width)).astype(np.float32)
    return Rows.of(features, (np.arange(count) % classes).astype(np.int32))


def task_of(tensors: Mapping[str, Any], data: Rows | None, kind: Any = "train", **settings: Any) -> Task:
    """`tensors`: arrays, or (array, policy)."""
    described = []
    for name, each in tensors.items():
        array, policy = each if isinstance(each, tuple) else (each, "average")
        dtype = {"f": "F", "i": "I"}[array.dtype.kind] + str(8 * array.dtype.itemsize)
        described.append(Tensor(name, dtype, tuple(array.shape), policy))
    orders = None if data is None else np.stack([np.arange(len(data)) * 5 % len(data), np.arange(len(data))])
    values = {"batch_size": 4, "loss": "softmax-cross-entropy", "local_epochs": 2, "learning_rate": 0.1, **settings}
    return Task(kind, tuple(described), TrainSettings(**values), data, bytes(range(32)), orders)


def write_rows(path: Path, features: Any, labels: Any, **header: Any) -> None:
    """A file of rows as the agent keeps it."""
    affine = {"scale": 1, "shift": [0], "divisor": [1], "run": 1}
    described = {
        "examples": len(features),
        "stored": "u8" if features.dtype == np.uint8 else "f32",
        "features": features.shape[1],
        "labels": 1,
        "labelDtype": "i32",
        "integerLabels": True,
        "affine": affine,
        "columns": None,
        "classCounts": None,
        "skipped": 0,
        **header,
    }
    text = json.dumps(described).encode()
    text += b" " * (-(len(text) + 12) % 4096)
    body = b"".join(
        label.tobytes() + row.tobytes() + b"\0" * (-row.nbytes % 4) for row, label in zip(features, np.atleast_1d(labels))
    )
    path.write_bytes(b"TRIBROW1" + len(text).to_bytes(4, "little") + text + body)


@dataclass
class Outcome:
    code: int
    lines: list[dict[str, Any]]
    log: str
    result: dict[str, Any] | None


def run_job(folder: Path, trainer: str, weights: Mapping[str, Any], data: Rows, **job: Any) -> Outcome:
    """Runs the worker as the agent does, in a process of its own."""
    save_file(dict(weights), str(folder / "base.safetensors"))
    write_rows(folder / "data.rows", data.stored, data.labels)
    np.save(folder / "orders.npy", np.stack([np.arange(len(data))] * 2).astype(np.int32))
    description = {
        "kind": "train",
        "trainer": trainer,
        "weights": str(folder / "base.safetensors"),
        "result": str(folder / "result.safetensors"),
        "localResult": str(folder / "local.safetensors"),
        "tensors": [
            {"name": name, "dtype": "F32", "shape": list(value.shape), "policy": "average"} for name, value in weights.items()
        ],
        "data": {"file": str(folder / "data.rows"), "shape": list(data.shape)},
        "orders": str(folder / "orders.npy"),
        "seed": "00" * 32,
        "settings": SETTINGS,
        **job,
    }
    (folder / "job.json").write_text(json.dumps(description))
    here = Path(__file__).parent
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "tributary_worker", "--channel", str(write), "run", str(folder / "job.json")],
        env={"PYTHONPATH": os.pathsep.join([str(here.parent / "src"), str(here)]), "PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[write],
        start_new_session=True,
    )
    os.close(write)
    with os.fdopen(read) as channel:
        lines = [json.loads(line) for line in channel]
    assert process.stdout is not None and process.stdin is not None
    log = process.stdout.read().decode()
    process.stdin.close()
    code = process.wait(60)
    process.stdout.close()
    result = folder / "result.safetensors"
    return Outcome(code, lines, log, load_file(str(result)) if lines and lines[-1]["kind"] == "trained" else None)
