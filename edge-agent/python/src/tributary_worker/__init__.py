"""Trains on the device that holds the data, for the edge agent of Tributary.

A trainer is an object with three methods (``Trainer``); ``tributary_worker.pytorch``, ``.keras`` and ``.sklearn`` make one of
a model. The agent starts ``python -m tributary_worker run`` for each job, in a process of its own.
"""

from .errors import Diverged, JobError
from .task import Array, Policy, Task, Tensor, TrainSettings
from .rows import Rows
from .trainer import EvaluateResult, Trainer, TrainResult

__all__ = [
    "Array",
    "Diverged",
    "EvaluateResult",
    "JobError",
    "Policy",
    "Rows",
    "Task",
    "Tensor",
    "TrainResult",
    "TrainSettings",
    "Trainer",
]

__version__ = "0.1.0"
