"""A trainer of a scikit-learn estimator that learns by ``partial_fit``: linear models and multi-layer perceptrons."""

from __future__ import annotations

from typing import Any, Callable, Mapping

import numpy as np

from .errors import Diverged, JobError
from .losses import EvaluationSums
from .rows import Rows
from .task import Array, Task, TrainSettings
from .trainer import EvaluateResult, TrainResult


class SklearnTrainer:
    """Trains ``estimator`` in batches. Tensors are its arrays: ``coef_`` and ``intercept_``, or ``coefs_.0``, ``intercepts_.0``, ….

    The task's learning rate and batch size hold, and its weight decay as ``alpha``; loss and solver are the estimator's.
    """

    def __init__(
        self,
        estimator: Callable[[], Any],
        *,
        classes: int | None = None,
        data: Callable[[bool], Rows] | None = None,
    ) -> None:
        """:param classes: of a classifier, numbered from 0; a device need not have examples of all"""
        self._make = estimator
        self._classes = classes
        self._data = data
        self._estimator: Any = None
        self._weights: dict[str, Array] = {}

    def load(self, weights: Mapping[str, Array], task: Task) -> None:
        self._weights = {tensor.name: np.array(weights[tensor.name], dtype=np.float64) for tensor in task.tensors}
        estimator = self._make()
        settings = {"random_state": task.seed_number % 2**32, **_settings(estimator, task.settings)}
        known = estimator.get_params()
        estimator.set_params(**{name: value for name, value in settings.items() if name in known})
        self._estimator = estimator

    def train(self, task: Task) -> TrainResult:
        data = self._open(task, training=True)
        estimator = self._begin(data)
        steps, planned, loss = 0, task.steps_in(len(data)), 0.0
        for order in task.orders(len(data)):
            for batch in task.batches(order):
                self._fit(estimator, data, batch)
                steps += 1
                # Perceptrons tell the loss of their batch before its step, linear models none.
                loss += float(getattr(estimator, "loss_", np.nan)) * len(batch)
                task.report(steps, planned)
        mean = loss / (len(data) * task.settings.local_epochs)
        values = {name: _array_of(estimator, name) for name in self._weights}
        if not all(np.isfinite(value).all() for value in values.values()):
            raise Diverged(steps)
        return TrainResult(values, steps, len(data), mean if np.isfinite(mean) else None)

    def evaluate(self, task: Task) -> EvaluateResult:
        data = self._open(task, training=False)
        estimator = self._begin(data)
        sums = EvaluationSums(task.settings, task.metrics)
        for batch in task.batches(np.arange(len(data))):
            sums.add(_outputs(estimator, _flat(data.features(batch)), task.settings), data.targets(batch))
        return sums.result()

    def _begin(self, data: Rows) -> Any:
        """An estimator makes its arrays at its first fit; then they get the values of the round, and what else it learned is forgotten."""
        if len(data) == 0:
            raise JobError("DATA_MISMATCH", "the data set is empty")
        estimator = self._estimator
        self._fit(estimator, data, np.arange(min(2, len(data))))
        for name, value in self._weights.items():
            target = _array_of(estimator, name)
            if target.shape != value.shape:
                raise JobError("MODEL_MISMATCH", f"the manifest has {name!r} of shape {value.shape}, the estimator {target.shape}")
            target[...] = value
        # Momenta, which a multi-layer perceptron makes anew where it has none.
        if hasattr(estimator, "_optimizer"):
            del estimator._optimizer
        if hasattr(estimator, "t_"):
            estimator.t_ = 1.0 if hasattr(estimator, "coef_") else 0
        return estimator

    def _fit(self, estimator: Any, data: Rows, rows: Array) -> None:
        features, labels = _flat(data.features(rows)), data.targets(rows)
        if hasattr(estimator, "batch_size"):
            # One step a batch.
            estimator.batch_size = len(rows)
        if self._classes is None:
            estimator.partial_fit(features, labels)
        else:
            estimator.partial_fit(features, labels, classes=np.arange(self._classes))

    def _open(self, task: Task, training: bool) -> Rows:
        data = self._data(training) if self._data is not None else task.data
        if data is None:
            raise JobError("DATA_MISMATCH", "there is no declared data set, and the trainer opens none (data=…)")
        return data


def _settings(estimator: Any, settings: TrainSettings) -> dict[str, object]:
    decay = {} if settings.weight_decay is None else {"alpha": settings.weight_decay}
    if hasattr(estimator, "hidden_layer_sizes"):
        solver = "adam" if settings.optimizer.startswith("adam") else "sgd"
        momentum = 0.0 if settings.optimizer == "sgd" else 0.9 if settings.momentum is None else settings.momentum
        return {
            "solver": solver,
            "learning_rate_init": settings.learning_rate,
            "momentum": momentum,
            "nesterovs_momentum": settings.optimizer == "nesterov",
            **decay,
        }
    return {"learning_rate": "constant", "eta0": settings.learning_rate, **decay}


def _array_of(estimator: Any, name: str) -> Array:
    attribute, _, index = name.partition(".")
    found = getattr(estimator, attribute, None)
    if found is None or (index != "" and (not isinstance(found, list) or not index.isdigit() or int(index) >= len(found))):
        raise JobError("MODEL_MISMATCH", f"the estimator has no array {name!r}")
    array: Array = found[int(index)] if index != "" else found
    return array


def _flat(features: Array) -> Array:
    return features.reshape(len(features), -1)


def _outputs(estimator: Any, features: Array, settings: TrainSettings) -> Array:
    if settings.loss in ("mean-squared-error", "mean-absolute-error", "huber"):
        predicted: Array = estimator.predict(features)
        return predicted
    if hasattr(estimator, "decision_function"):
        scores = np.asarray(estimator.decision_function(features))
    else:
        # Log-probabilities are logits too.
        scores = np.log(np.maximum(estimator.predict_proba(features), 1e-300))
        if settings.loss == "sigmoid-binary-cross-entropy":
            scores = scores[:, 1] - scores[:, 0]
    if scores.ndim == 1 and settings.loss != "sigmoid-binary-cross-entropy":
        return np.stack([np.zeros_like(scores), scores], axis=1)
    return scores
