"""Losses and hits by hand."""

from __future__ import annotations

import math
import unittest
from typing import Any

import numpy as np

from tributary_worker import JobError, TrainSettings
from tributary_worker.losses import EvaluationSums


def sums(loss: str, outputs: Any, labels: Any, **options: Any) -> Any:
    total = EvaluationSums(TrainSettings(batch_size=1, loss=loss, **options))
    total.add(np.array(outputs, np.float32), np.array(labels))
    return total.result()


class LossesTest(unittest.TestCase):
    def test_classes(self) -> None:
        found = sums("softmax-cross-entropy", [[0, 0], [math.log(3), 0]], [1, 1])
        self.assertEqual(found.correct, 0)
        self.assertAlmostEqual(found.loss_sum, math.log(2) + math.log(4), places=5)

    def test_ignored_positions_do_not_count(self) -> None:
        found = sums("softmax-cross-entropy", [[[9, 0], [0, 9]]], [[0, -1]], ignore_index=-1)
        self.assertEqual((found.examples, found.correct), (1, 1))

    def test_numbers(self) -> None:
        squares = sums("mean-squared-error", [[1.0, 3.0]], [[0.0, 0.0]])
        self.assertEqual((squares.loss_sum, squares.sums, squares.correct), (5, {"absolute_error_q20": 2 * 2**20}, None))
        # Beyond δ = 1 the loss is |d| − ½, below it d²/2.
        self.assertEqual(sums("huber", [[3.0], [0.5]], [[0.0], [0.0]]).loss_sum, 2.5 + 0.125)

    def test_truths(self) -> None:
        found = sums("sigmoid-binary-cross-entropy", [[0.0], [2.0]], [[1.0], [1.0]])
        self.assertEqual(found.correct, 1)
        self.assertAlmostEqual(found.loss_sum, math.log(2) + math.log(1 + math.exp(-2)), places=5)

    def test_a_loss_that_is_no_number_counts_as_the_worst(self) -> None:
        self.assertEqual(sums("mean-squared-error", [[math.nan], [1e30]], [[0.0], [0.0]]).loss_sum, 2048)

    def test_labels_beyond_the_classes_are_refused(self) -> None:
        with self.assertRaises(JobError):
            sums("softmax-cross-entropy", [[0, 0]], [2])


if __name__ == "__main__":
    unittest.main()
