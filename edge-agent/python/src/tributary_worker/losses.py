"""What outputs are measured by, in float64 and the same for every framework: sums of them compare."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from .errors import JobError
from .metrics import BinaryMetrics, ClassMetrics, RealMetrics
from .task import Array, TrainSettings
from .trainer import EvaluateResult

_unit = 2.0**-20
#: What a loss counts for at most, and what one that is not a number counts for.
_worst_loss = 2.0**10


class EvaluationSums:
    """Adds up batches. Each example's loss is rounded to a multiple of 2^-20, so that the sum is exact in any order."""

    def __init__(self, settings: TrainSettings, metrics: Sequence[str] = ()) -> None:
        """:param metrics: what to find beside the loss: ``task.metrics``"""
        self._settings = settings
        self._metrics = frozenset(metrics)
        self._classes: ClassMetrics | None = None
        self._binary = BinaryMetrics(self._wanted)
        self._real = RealMetrics(self._wanted)
        self._examples = 0
        self._correct = 0.0
        self._loss = 0.0

    def add(self, outputs: Array, labels: Array) -> None:
        """Scores ``[batch, …, classes]`` (logits) with classes ``[batch, …]``, or numbers with numbers of the same shape."""
        count = len(outputs)
        scores = np.asarray(outputs, dtype=np.float64)
        loss = self._settings.loss
        if loss in ("softmax-cross-entropy", "negative-log-likelihood"):
            self._add_classes(scores.reshape(count, -1, scores.shape[-1]), np.asarray(labels).reshape(count, -1))
        else:
            truth = np.asarray(labels, dtype=np.float64).reshape(count, -1)
            flat = scores.reshape(count, -1)
            if flat.shape != truth.shape:
                raise JobError("DATA_MISMATCH", f"outputs of shape {outputs.shape} for labels of shape {labels.shape}")
            self._add_numbers(flat, truth)
        self._examples += count

    def result(self) -> EvaluateResult:
        """What was added up."""
        if self._settings.loss in ("mean-squared-error", "mean-absolute-error", "huber"):
            return EvaluateResult(self._examples, self._loss, None, sums=dict(self._real.sums()))
        found = self._binary if self._settings.loss == "sigmoid-binary-cross-entropy" else self._classes
        return EvaluateResult(self._examples, self._loss, round(self._correct), sums={} if found is None else dict(found.sums()))

    def _wanted(self, metric: str) -> bool:
        return metric in self._metrics

    def _add_classes(self, scores: Array, labels: Array) -> None:
        classes = labels.astype(np.int64)
        ignored = self._settings.ignore_index
        counts = np.ones(classes.shape, bool) if ignored is None else classes != ignored
        if classes.shape != scores.shape[:2] or ((classes < 0) | (classes >= scores.shape[2]))[counts].any():
            raise JobError("DATA_MISMATCH", f"labels do not fit {scores.shape[2]} classes in {scores.shape[1]} positions")
        logs = scores - _log_sum_exp(scores) if self._settings.loss == "softmax-cross-entropy" else scores
        chosen = np.take_along_axis(logs, np.where(counts, classes, 0)[..., None], axis=2)[..., 0]
        smoothing = (self._settings.label_smoothing or 0.0) if self._settings.loss == "softmax-cross-entropy" else 0.0
        losses = -((1 - smoothing) * chosen + (smoothing * logs.mean(axis=2) if smoothing > 0 else 0.0))
        counted = np.maximum(counts.sum(axis=1), 1)
        means = np.where(counts, losses, 0.0).sum(axis=1) / counted
        self._add(means)
        hits = ((scores.argmax(axis=2) == classes) & counts).sum(axis=1)
        self._correct += float((hits / counted).sum())
        if self._classes is None:
            self._classes = ClassMetrics(scores.shape[2], scores.shape[1], self._wanted)
        self._classes.add(scores[counts], classes[counts], means, counts.sum(axis=1), _worst_loss)

    def _add_numbers(self, outputs: Array, truth: Array) -> None:
        difference = outputs - truth
        kind = self._settings.loss
        if kind == "sigmoid-binary-cross-entropy":
            losses = np.maximum(outputs, 0) - outputs * truth + np.log1p(np.exp(-np.abs(outputs)))
            self._correct += float(((outputs > 0) == (truth > 0.5)).mean(axis=1).sum())
            self._binary.add(outputs.reshape(-1), truth.reshape(-1))
        elif kind == "mean-squared-error":
            losses = difference**2
        elif kind == "mean-absolute-error":
            losses = np.abs(difference)
        else:
            clipped = np.clip(difference, -(self._settings.huber_delta or 1.0), self._settings.huber_delta or 1.0)
            losses = clipped * (difference - clipped / 2)
        self._add(losses.mean(axis=1))
        if kind != "sigmoid-binary-cross-entropy":
            self._real.add(outputs, truth)

    def _add(self, losses: Array) -> None:
        self._loss += float(_rounded(losses).sum())


def _rounded(losses: Array) -> Array:
    bounded = np.where(losses <= _worst_loss, losses, _worst_loss)
    rounded: Array = np.round(bounded / _unit) * _unit
    return rounded


def _log_sum_exp(scores: Array) -> Array:
    highest = scores.max(axis=-1, keepdims=True)
    total: Array = highest + np.log(np.exp(scores - highest).sum(axis=-1, keepdims=True))
    return total
