"""Sums of metrics beside those of scikit-learn and NumPy (fixtures/make_metrics.py), and that any split gives the same."""

from __future__ import annotations

import json
import unittest
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from tributary_worker import TrainSettings
from tributary_worker.losses import EvaluationSums
from tributary_worker.metrics import UnitTotal, wide

cases: dict[str, Any] = json.loads((Path(__file__).parent / "fixtures" / "metrics.json").read_text())
everything = ("accuracy", "top-5", "f1", "confusion", "auc", "perplexity", "mae", "rmse", "r2")


def arrays(case: Any) -> tuple[Any, Any]:
    outputs = np.array(case["outputs"], np.float32).reshape(case["shape"])
    real = not case["loss"].startswith("softmax")
    labels = np.array(case["labels"], np.float32 if real else np.int32)
    return outputs, labels.reshape(case["shape"] if real else case["shape"][:-1])


def found(case: Any, parts: list[Any], metrics: tuple[str, ...] = everything) -> Any:
    """What several devices find, each with its rows."""
    outputs, labels = arrays(case)
    settings = TrainSettings(batch_size=1, loss=case["loss"], ignore_index=case.get("ignored"))
    total: Counter[str] = Counter()
    for rows in parts:
        sums = EvaluationSums(settings, metrics)
        for batch in np.array_split(rows, 3):
            if len(batch) > 0:
                sums.add(outputs[batch], labels[batch])
        total.update(sums.result().sums)
    return {name: str(value) for name, value in total.items()}


class MetricsTest(unittest.TestCase):
    def test_sums_are_those_of_scikit_learn(self) -> None:
        for name, case in cases.items():
            with self.subTest(name):
                expected = case["sums"]
                sums = found(case, [np.arange(case["shape"][0])])
                self.assertEqual(sums, {**expected, "position_loss_q20": sums["position_loss_q20"]} if "position_loss_q20" in expected else expected)
                if "position_loss_q20" in expected:
                    # Logarithms differ in their last bit.
                    self.assertLessEqual(abs(int(sums["position_loss_q20"]) - int(expected["position_loss_q20"])), 2)

    def test_any_split_over_devices_gives_the_same(self) -> None:
        draw = np.random.default_rng(1)
        for name, case in cases.items():
            with self.subTest(name):
                rows = draw.permutation(case["shape"][0])
                cuts = np.sort(draw.integers(0, len(rows) + 1, 4))
                whole = found(case, [np.arange(len(rows))])
                split = found(case, np.split(rows, cuts))
                # A device that has a class but no count of it says 0.
                self.assertEqual({k: v for k, v in split.items() if v != "0"}, {k: v for k, v in whole.items() if v != "0"})

    def test_only_what_is_asked_for_is_found(self) -> None:
        one = [np.arange(50)]
        self.assertEqual(found(cases["ten classes"], one, ()), {})
        self.assertEqual(found(cases["truths"], one, ("accuracy",)), {})
        self.assertEqual(set(found(cases["ten classes"], one, ("top-5",))), {"positions", "top5_correct"})
        self.assertEqual(set(found(cases["numbers"], one, ())), {"absolute_error_q20"})
        self.assertNotIn("label_q20", found(cases["numbers"], one, ("rmse",)))
        by_class = found(cases["ten classes"], one, ("f1", "perplexity-of-sequences"))
        self.assertIn("actual_3", by_class)
        self.assertFalse({"confusion_0_0", "position_loss_q20"} & set(by_class))

    def test_sums_of_any_size_are_exact(self) -> None:
        total = UnitTotal()
        total.add(np.array([2.0**60, 2.0**-20, -(2.0**60), np.nan, 1e300, -np.inf]), 2.0**60)
        self.assertEqual(total.units, 1 + 2**80)
        self.assertEqual(dict(wide("x", 2**80 + 5)), {"x": 5, "x_carry": 2**18})
        self.assertEqual(dict(wide("x", -(2**62) - 1)), {"x": -1, "x_carry": -1})
        self.assertEqual(dict(wide("x", -7)), {"x": -7})

    def test_scores_that_are_no_numbers_are_the_lowest(self) -> None:
        sums = EvaluationSums(TrainSettings(batch_size=1, loss="softmax-cross-entropy"), ("top-5", "confusion"))
        sums.add(np.array([[np.nan, 0, 1, 2, 3, 4], [np.nan, -1, -2, -3, -4, -5]], np.float32), np.array([0, 1]))
        counted = sums.result().sums
        self.assertEqual((counted["confusion_0_5"], counted["confusion_1_1"], counted["top5_correct"]), (1, 1, 1))


if __name__ == "__main__":
    unittest.main()
