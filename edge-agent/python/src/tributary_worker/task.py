"""What a trainer is given: the job that the agent wrote, read and made convenient."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Literal, Mapping

import numpy as np
import numpy.typing as npt

from .errors import JobError
from .rows import Rows

Array = npt.NDArray[Any]
Policy = Literal["average", "max", "keep-local", "frozen"]


@dataclass(frozen=True)
class Tensor:
    """A tensor of the manifest."""

    name: str
    #: As in safetensors: F32, BF16, I64, …
    dtype: str
    shape: tuple[int, ...]
    policy: Policy
    #: A running statistic.
    buffer: bool = False

    @property
    def sent(self) -> bool:
        """Whether its new value leaves the worker for the agent, which makes the update of it."""
        return self.policy in ("average", "max")


@dataclass(frozen=True)
class TrainSettings:
    """What the task says about training. ``None`` is the default of optimiser or loss."""

    batch_size: int
    loss: str
    local_epochs: int = 1
    learning_rate: float = 0.01
    optimizer: str = "sgd"
    momentum: float | None = None
    beta1: float | None = None
    beta2: float | None = None
    epsilon: float | None = None
    weight_decay: float | None = None
    gradient_clipping_norm: float | None = None
    proximal: float | None = None
    label_smoothing: float | None = None
    ignore_index: int | None = None
    huber_delta: float | None = None


@dataclass(frozen=True)
class Task:
    """One job. Its files belong to the job and are gone after it."""

    kind: Literal["train", "evaluate"]
    tensors: tuple[Tensor, ...]
    settings: TrainSettings
    #: The declared data set, or ``None`` where the trainer is to open data of its own.
    data: Rows | None
    seed: bytes
    #: Rows of ``data`` in the order of training, ``[local epochs, examples]``; ``None`` without a declared data set.
    given_orders: Array | None = None
    #: What an evaluation is to find beside the loss; ``EvaluationSums`` knows them all.
    metrics: tuple[str, ...] = ()
    on_step: Callable[[int, int, float | None], None] = field(default=lambda done, total, loss: None)

    @property
    def seed_number(self) -> int:
        """The seed as an integer of 63 bits, for generators that take one."""
        return int.from_bytes(self.seed[:8], "little") >> 1

    def orders(self, examples: int) -> Iterator[Array]:
        """The order of the rows in each local epoch: as the agent drew it or, for data of the trainer's own, drawn from the seed."""
        for epoch in range(self.settings.local_epochs):
            if self.given_orders is not None and self.given_orders.shape[1] == examples:
                yield np.asarray(self.given_orders[epoch], dtype=np.int64)
            else:
                generator = np.random.Generator(np.random.PCG64([*self.seed, epoch]))
                yield generator.permutation(examples)

    def batches(self, order: Array) -> Iterator[Array]:
        """An order cut into steps; the last one takes what is left."""
        for start in range(0, len(order), self.settings.batch_size):
            yield order[start : start + self.settings.batch_size]

    def steps_in(self, examples: int) -> int:
        """Steps of all local epochs together."""
        return -(-examples // self.settings.batch_size) * self.settings.local_epochs

    def report(self, done: int, total: int, loss: float | None = None) -> None:
        """Tells the agent how far training is: it shows that, and gives up on who is silent for long. Cheap; call it at every step."""
        self.on_step(done, total, loss)


@dataclass(frozen=True)
class JobFile:
    """The job as the agent wrote it."""

    task: Task
    trainer: str
    weights: str
    #: Values of `keep-local` tensors from the round before.
    local: str | None
    result: str
    local_result: str


def read_job(path: str) -> dict[str, Any]:
    """The agent's file, at most 64 MiB of JSON."""
    if os.path.getsize(path) > 2**26:
        raise JobError("SETTINGS_INVALID", "the job's file is larger than 64 MiB")
    with open(path, encoding="utf-8") as file:
        job: dict[str, Any] = json.load(file)
    return job


def parse_job(job: Mapping[str, Any]) -> JobFile:
    """Opens what the job names. Raises JobError, OSError."""
    settings = {_snake(key): value for key, value in job["settings"].items()}
    known = set(TrainSettings.__dataclass_fields__)
    tensors = tuple(
        Tensor(each["name"], each["dtype"], tuple(each["shape"]), each["policy"], each.get("buffer", False))
        for each in job["tensors"]
    )
    data = job.get("data")
    orders = job.get("orders")
    task = Task(
        kind=job["kind"],
        tensors=tensors,
        settings=TrainSettings(**{key: value for key, value in settings.items() if key in known}),
        data=None if data is None else Rows.open(data["file"], data["shape"], data.get("affine")),
        seed=bytes.fromhex(job["seed"]),
        given_orders=None if orders is None else np.load(orders, mmap_mode="r", allow_pickle=False),
        metrics=tuple(job.get("metrics", ())),
    )
    return JobFile(
        task, job["trainer"], job["weights"], job.get("local"), job.get("result", ""), job.get("localResult", "")
    )


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
