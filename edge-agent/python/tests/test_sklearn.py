"""The scikit-learn adapter against definitions."""

from __future__ import annotations

import unittest
from typing import Any

import numpy as np
from job import examples, task_of
from sklearn.linear_model import SGDRegressor
from sklearn.neural_network import MLPClassifier
from softmax_regression import trained

from tributary_worker import JobError
from tributary_worker.rows import Rows
from tributary_worker.sklearn import SklearnTrainer

START = np.random.Generator(np.random.PCG64(3)).normal(size=(6, 3))


class SklearnTest(unittest.TestCase):
    def test_a_perceptron_without_hidden_layers_is_softmax_regression(self) -> None:
        tensors = {"coefs_.0": START, "intercepts_.0": np.zeros(3)}
        trainer = SklearnTrainer(lambda: MLPClassifier(hidden_layer_sizes=(), alpha=0), classes=3)
        task = task_of(tensors, examples())
        trainer.load(tensors, task)
        result = trainer.train(task)
        weight, bias = trained(START, np.zeros(3))
        np.testing.assert_allclose(result.weights["coefs_.0"], weight, rtol=0, atol=1e-6)
        np.testing.assert_allclose(result.weights["intercepts_.0"], bias, rtol=0, atol=1e-6)

    def test_a_linear_model_takes_one_step_an_example(self) -> None:
        data = examples()
        rows = Rows.of(data.stored, np.linspace(-1, 1, 22).astype(np.float32))
        tensors: dict[str, Any] = {"coef_": np.full(6, 0.5), "intercept_": np.zeros(1)}
        trainer = SklearnTrainer(lambda: SGDRegressor(alpha=0, shuffle=False))
        task = task_of(tensors, rows, loss="mean-squared-error", learning_rate=0.01)
        trainer.load(tensors, task)
        result = trainer.train(task)
        weight, bias = np.full(6, 0.5), 0.0
        for row in [*(np.arange(22) * 5 % 22), *range(22)]:
            x = rows.stored[row].astype(np.float64)
            error = x @ weight + bias - float(rows.labels[row])
            weight, bias = weight - 0.01 * error * x, bias - 0.01 * error
        np.testing.assert_allclose(result.weights["coef_"], weight, rtol=0, atol=1e-6)
        np.testing.assert_allclose(result.weights["intercept_"], [bias], rtol=0, atol=1e-6)

    def test_evaluates_the_weights_that_were_loaded(self) -> None:
        data = examples()
        tensors = {"coefs_.0": START, "intercepts_.0": np.zeros(3)}
        trainer = SklearnTrainer(lambda: MLPClassifier(hidden_layer_sizes=()), classes=3)
        task = task_of(tensors, data, kind="evaluate")
        trainer.load(tensors, task)
        found = trainer.evaluate(task)
        scores = data.stored.astype(np.float64) @ START
        self.assertEqual(found.correct, int((scores.argmax(axis=1) == data.labels).sum()))
        losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(22), data.labels]
        self.assertAlmostEqual(found.loss_sum, float(losses.sum()), places=4)

    def test_an_array_that_the_estimator_lacks_is_named(self) -> None:
        trainer = SklearnTrainer(lambda: MLPClassifier(hidden_layer_sizes=()), classes=3)
        task = task_of({"coefs_.1": START}, examples())
        trainer.load({"coefs_.1": START}, task)
        with self.assertRaisesRegex(JobError, "coefs_.1"):
            trainer.train(task)


if __name__ == "__main__":
    unittest.main()
