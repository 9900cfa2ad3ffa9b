"""What metrics are made of: additive integers by name, the same that the agent's own trainer finds (docs/evaluation.md)."""

from __future__ import annotations

import math
from typing import Callable, Iterator

import numpy as np

from .task import Array

_unit = 2**20
#: Above so many classes there are no confusion counts, and above the other no counts by class.
_most_confused = 32
_most_counted = 1000
_top = 5
_bins = 256
_carried = 2**62
#: What an error or a label counts for at most, and its square.
_most = 2.0**30
_most_square = 2.0**60
#: Units that add up in an int64, however many a batch has.
_small = 2.0**40

Wanted = Callable[[str], bool]
Sums = Iterator[tuple[str, int]]


def units_of(value: float, most: float = 2.0**60) -> int:
    """Units of 2^-20 in a number; what is no number counts as ``most``."""
    bounded = value if abs(value) <= most else (-most if value < 0 else most)
    return math.floor(bounded * _unit + 0.5)


def wide(name: str, total: int) -> Sums:
    """A sum of any size as integers of 64 bits: what is left below 2^62, and the carry, where there is one, beside."""
    carry = abs(total) // _carried * (1 if total >= 0 else -1)
    yield name, total - carry * _carried
    if carry != 0:
        yield f"{name}_carry", carry


class UnitTotal:
    """A sum of real numbers, each rounded to a multiple of 2^-20: exact at any size, and so the same in any order."""

    def __init__(self) -> None:
        self.units = 0

    def add(self, values: Array, most: Array | float) -> None:
        """:param most: numbers beyond it count as so much, with their sign; what is no number as well"""
        bounded = np.where(np.abs(values) <= most, values, np.where(values < 0, -np.asarray(most), most))
        units = np.floor(bounded * _unit + 0.5)
        small = np.abs(units) <= _small
        self.units += int(units[small].astype(np.int64).sum()) + sum(int(each) for each in units[~small])


class ScoreCounts:
    """Histograms of the scores of positives and of negatives, over σ(z/2) of their logits z."""

    def __init__(self) -> None:
        self._counts = {True: np.zeros(_bins, np.int64), False: np.zeros(_bins, np.int64)}

    def add(self, positive: Array, logits: Array) -> None:
        with np.errstate(over="ignore"):
            scores = _bins / (1 + np.exp(-np.where(np.isnan(logits), -np.inf, logits) / 2))
        bins = np.minimum(np.floor(scores).astype(np.int64), _bins - 1)
        for kind, counts in self._counts.items():
            counts += np.bincount(bins[positive == kind], minlength=_bins)

    def sums(self) -> Sums:
        """Without zeros, but for the first bin: who counted nothing says so."""
        for kind, counts in self._counts.items():
            for bin, count in enumerate(counts.tolist()):
                if count > 0 or bin == 0:
                    yield f"score_{'positive' if kind else 'negative'}_{bin}", count


def _of_two(confusion: Array) -> Sums:
    names = ("true_negative", "false_positive", "false_negative", "true_positive")
    yield from zip(names, confusion.reshape(-1).tolist())


class ClassMetrics:
    """Counts of predicted classes: the first of equal scores is predicted, and a score that is no number is the lowest."""

    def __init__(self, classes: int, positions: int, wanted: Wanted) -> None:
        self._classes = classes
        # Of two classes both are the same four numbers.
        self._confused = classes <= _most_confused and (wanted("confusion") or (classes == 2 and wanted("f1")))
        self._counted = not self._confused and wanted("f1") and classes <= _most_counted
        self._confusion = np.zeros((classes, classes) if self._confused else (0, 0), np.int64)
        self._by_class = np.zeros((3, classes if self._counted else 0), np.int64)
        self._scores = ScoreCounts() if classes == 2 and wanted("auc") else None
        self._with_top = classes > _top and wanted("top-5")
        perplexity = wanted("perplexity") or (positions > 1 and wanted("perplexity-of-sequences"))
        self._losses = UnitTotal() if perplexity else None
        self._positions = 0
        self._correct = 0

    def add(self, scores: Array, labels: Array, losses: Array, counted: Array, worst_loss: float) -> None:
        """Scores ``[positions, classes]`` and labels of positions that count; mean loss and number of them by example."""
        self._positions += len(labels)
        if self._losses is not None:
            self._losses.add(losses * counted, worst_loss * counted)
        known = np.where(np.isnan(scores), -np.inf, scores)
        predicted = known.argmax(axis=1)
        if self._confused:
            np.add.at(self._confusion, (labels, predicted), 1)
        if self._counted:
            agreed = labels[labels == predicted]
            self._by_class += np.stack([np.bincount(each, minlength=self._classes) for each in (labels, predicted, agreed)])
        if self._with_top:
            own = np.take_along_axis(scores, labels[:, None], axis=1)
            earlier = np.arange(self._classes) < labels[:, None]
            before = ((scores > own) | ((scores == own) & earlier)).sum(axis=1)
            self._correct += int(((before < _top) & ~np.isnan(own[:, 0])).sum())
        if self._scores is not None:
            with np.errstate(invalid="ignore"):
                self._scores.add(labels == 1, scores[:, 1] - scores[:, 0])

    def sums(self) -> Sums:
        if not (self._confused or self._counted or self._scores or self._with_top or self._losses):
            return
        yield "positions", self._positions
        if self._with_top:
            yield "top5_correct", self._correct
        if self._losses is not None:
            yield from wide("position_loss_q20", self._losses.units)
        if self._confused and self._classes == 2:
            yield from _of_two(self._confusion)
        elif self._confused:
            # Zeros are left out, but for some that tell who counted nothing from who did not count.
            for actual, row in enumerate(self._confusion.tolist()):
                for predicted, count in enumerate(row):
                    if count > 0 or actual == predicted:
                        yield f"confusion_{actual}_{predicted}", count
        for label, counts in enumerate(self._by_class.T.tolist()):
            for name, count in zip(("actual", "predicted", "agreed"), counts):
                if count > 0 or (label == 0 and name != "agreed"):
                    yield f"{name}_{label}", count
        if self._scores is not None:
            yield from self._scores.sums()


class BinaryMetrics:
    """Truths and logits: a label above ½ is a positive, and so is what has a logit above 0."""

    def __init__(self, wanted: Wanted) -> None:
        self._confused = wanted("confusion") or wanted("f1")
        self._confusion = np.zeros((2, 2), np.int64)
        self._scores = ScoreCounts() if wanted("auc") else None
        self._positions = 0

    def add(self, logits: Array, truths: Array) -> None:
        """Both flat."""
        self._positions += len(truths)
        positive = truths > 0.5
        np.add.at(self._confusion, (positive.astype(np.int64), (logits > 0).astype(np.int64)), 1)
        if self._scores is not None:
            self._scores.add(positive, logits)

    def sums(self) -> Sums:
        if not (self._confused or self._scores):
            return
        yield "positions", self._positions
        if self._confused:
            yield from _of_two(self._confusion)
        if self._scores is not None:
            yield from self._scores.sums()


class RealMetrics:
    """Errors of numbers, each example's a mean over its outputs."""

    def __init__(self, wanted: Wanted) -> None:
        self._absolute = UnitTotal()
        self._squared = UnitTotal() if wanted("rmse") or wanted("r2") else None
        self._labels = (UnitTotal(), UnitTotal()) if wanted("r2") else None
        self._examples = 0

    def add(self, outputs: Array, truths: Array) -> None:
        """Both ``[examples, outputs]``, float64."""
        self._examples += len(truths)
        errors = outputs - truths
        self._absolute.add(np.abs(errors).mean(axis=1), _most)
        with np.errstate(over="ignore"):
            if self._squared is not None:
                self._squared.add((errors**2).mean(axis=1), _most_square)
            if self._labels is not None:
                self._labels[0].add(truths.mean(axis=1), _most)
                self._labels[1].add((truths**2).mean(axis=1), _most_square)

    def sums(self) -> Sums:
        yield from wide("absolute_error_q20", self._absolute.units)
        if self._squared is not None:
            yield "error_examples", self._examples
            yield from wide("squared_error_q20", self._squared.units)
        if self._labels is not None:
            yield "label_examples", self._examples
            yield from wide("label_q20", self._labels[0].units)
            yield from wide("label_square_q20", self._labels[1].units)
