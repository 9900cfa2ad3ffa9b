"""The Keras adapter against definitions."""

from __future__ import annotations

import unittest
from typing import Any

import keras
import numpy as np
from job import examples, task_of
from softmax_regression import trained

from tributary_worker import JobError
from tributary_worker.keras import KerasTrainer

START = np.random.Generator(np.random.PCG64(3)).normal(size=(3, 6)).astype(np.float32)
BIAS = np.array([0.1, 0, -0.1], np.float32)


def linear() -> Any:
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, name="fc")])


def normalised() -> Any:
    return keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(5, name="a"), keras.layers.BatchNormalization(name="n"), keras.layers.Dense(3, name="b")]
    )


def variables(model: Any) -> dict[str, Any]:
    return {variable.path.split("/", 1)[1]: variable.numpy() for variable in model.variables}


class KerasTest(unittest.TestCase):
    def test_names_and_layout_of_another_framework_train_as_the_definition_says(self) -> None:
        tensors = {"fc.weight": START, "fc.bias": BIAS}
        trainer = KerasTrainer(
            linear, names={"fc.weight": "fc/kernel", "fc.bias": "fc/bias"}, axes={"fc.weight": (1, 0)}
        )
        task = task_of(tensors, examples())
        trainer.load(tensors, task)
        result = trainer.train(task)
        weight, bias = trained(START.T, BIAS)
        np.testing.assert_allclose(result.weights["fc.weight"], weight.T, rtol=0, atol=1e-6)
        np.testing.assert_allclose(result.weights["fc.bias"], bias, rtol=0, atol=1e-6)
        self.assertEqual((result.steps, result.examples), (12, 22))

    def test_batch_norm_statistics_move_and_frozen_variables_do_not(self) -> None:
        tensors: dict[str, Any] = variables(normalised())
        described = {name: (value, "frozen" if name == "a/kernel" else "average") for name, value in tensors.items()}
        trainer = KerasTrainer(normalised)
        task = task_of(described, examples(), optimizer="adam", learning_rate=0.01)
        trainer.load(tensors, task)
        result = trainer.train(task)
        np.testing.assert_array_equal(result.weights["a/kernel"], tensors["a/kernel"])
        for name in ("n/moving_mean", "n/moving_variance", "n/gamma", "b/kernel"):
            self.assertTrue((result.weights[name] != tensors[name]).any(), name)

    def test_evaluates_as_keras_does(self) -> None:
        model = normalised()
        tensors = variables(model)
        data = examples()
        task = task_of(tensors, data, kind="evaluate")
        trainer = KerasTrainer(normalised)
        trainer.load(tensors, task)
        found = trainer.evaluate(task)
        scores = model(data.stored, training=False)
        losses = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)(data.labels, scores)
        self.assertAlmostEqual(found.loss_sum, float(np.sum(losses)), places=3)
        self.assertEqual(found.correct, int((np.argmax(scores, axis=1) == data.labels).sum()))

    def test_what_does_not_fit_is_named(self) -> None:
        with self.assertRaisesRegex(JobError, "fc/bias"):
            KerasTrainer(linear).load({"fc/kernel": START.T}, task_of({"fc/kernel": START.T}, None))
        with self.assertRaisesRegex(JobError, "0 variables 'other'"):
            KerasTrainer(linear).load({"other": BIAS}, task_of({"other": BIAS}, None))


if __name__ == "__main__":
    unittest.main()
