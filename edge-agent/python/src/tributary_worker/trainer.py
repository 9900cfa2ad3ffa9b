"""What training code is to the worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Protocol, runtime_checkable

from .task import Array, Task


@dataclass(frozen=True)
class TrainResult:
    """What one job learned."""

    #: New values by name of the manifest. `frozen` tensors may be left out; all others must be there.
    weights: Mapping[str, Array]
    steps: int
    #: Examples of one local epoch.
    examples: int
    #: Over all examples seen, each before the step that learned from it; ``None`` where the code does not tell.
    mean_loss: float | None


@dataclass(frozen=True)
class EvaluateResult:
    """Sums over the held-out examples."""

    examples: int
    loss_sum: float
    #: ``None`` where labels are real numbers.
    correct: int | None
    #: ``None`` but for such labels.
    absolute_error_sum: float | None = None
    #: What else ``task.metrics`` asks for: additive integers by name (docs/evaluation.md).
    sums: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class Trainer(Protocol):
    """A model and how it is trained. One object does one job."""

    def load(self, weights: Mapping[str, Array], task: Task) -> None:
        """Takes the weights of the round by their names in the manifest. The arrays are read-only views of a file."""

    def train(self, task: Task) -> TrainResult:
        """Trains from the loaded weights over ``task.settings.local_epochs``. The same task must give the same result."""

    def evaluate(self, task: Task) -> EvaluateResult:
        """Measures the loaded weights on ``task.data``."""
