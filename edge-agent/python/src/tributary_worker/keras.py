"""A trainer of a Keras model on TensorFlow: ``KerasTrainer(make_model)``."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from .errors import Diverged, JobError
from .losses import EvaluationSums
from .rows import Rows
from .task import Array, Task, TrainSettings
from .trainer import EvaluateResult, TrainResult


class KerasTrainer:
    """Trains ``model``, whose outputs are logits, as the task says. Tensors go by the paths of its variables (``dense/kernel``)."""

    def __init__(
        self,
        model: Callable[[], Any],
        *,
        names: Mapping[str, str] | None = None,
        axes: Mapping[str, Sequence[int]] | None = None,
        optimizer: Callable[[], Any] | None = None,
        loss: Callable[[Any, Any], Any] | None = None,
        data: Callable[[bool], Rows] | None = None,
        shape: Sequence[int] | None = None,
        partial: bool = False,
    ) -> None:
        """
        :param names: paths of variables by names of the manifest, where those differ
        :param axes: how a tensor of the manifest is transposed into its variable: ``{"fc.weight": (1, 0)}`` for a kernel that
            PyTorch stores as [outputs, inputs]
        :param loss: of labels and outputs, one number an example
        :param shape: of one example as the model takes it, where the manifest does not tell
        :param partial: the task has only some of the model's variables
        """
        self._make = model
        self._names = dict(names or {})
        self._axes = {name: tuple(order) for name, order in (axes or {}).items()}
        self._optimizer = optimizer
        self._loss = loss
        self._data = data
        self._shape = shape
        self._partial = partial
        self._model: Any = None
        self._variables: dict[str, Any] = {}

    def load(self, weights: Mapping[str, Array], task: Task) -> None:
        keras.utils.set_random_seed(task.seed_number % 2**31)
        model = self._make()
        paths = {variable.path: variable for variable in model.variables}
        for tensor in task.tensors:
            path = self._names.get(tensor.name, tensor.name)
            # The model's own name may be left away: Keras numbers models that are made twice.
            found = [variable for name, variable in paths.items() if name == path or name.endswith(f"/{path}")]
            if len(found) != 1:
                raise JobError("MODEL_MISMATCH", f"the model has {len(found)} variables {path!r}; it has {sorted(paths)}"[:500])
            value = weights[tensor.name]
            if tensor.name in self._axes:
                value = np.transpose(value, self._axes[tensor.name])
            if tuple(found[0].shape) != value.shape:
                raise JobError("MODEL_MISMATCH", f"{tensor.name!r} has shape {value.shape}, variable {path} {found[0].shape}")
            found[0].assign(value)
            if tensor.policy == "frozen":
                found[0].trainable = False
            self._variables[tensor.name] = found[0]
        given = {id(variable) for variable in self._variables.values()}
        missing = [name for name, variable in paths.items() if id(variable) not in given and "seed_generator" not in name]
        if missing and not self._partial:
            raise JobError("MODEL_MISMATCH", f"the manifest lacks {missing[0]!r} of the model; say partial=True where that is meant")
        self._model = model

    def train(self, task: Task) -> TrainResult:
        model, settings = self._model, task.settings
        data = self._open(task, training=True)
        trained = [variable for variable in model.trainable_variables]
        optimizer = self._optimizer() if self._optimizer is not None else _optimizer(settings)
        optimizer.build(trained)
        anchors = [tf.identity(variable.value) for variable in trained]
        loss_of = self._loss or _loss(settings)

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def step(features: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(loss_of(labels, model(features, training=True)))
            gradients = tape.gradient(loss, [variable.value for variable in trained])
            if settings.gradient_clipping_norm is not None:
                gradients, _ = tf.clip_by_global_norm(gradients, settings.gradient_clipping_norm)
            # FedProx, then weight decay as PyTorch's SGD and Adam have it.
            decay = 0.0 if settings.optimizer == "adamw" else settings.weight_decay or 0.0
            gradients = [
                gradient
                if gradient is None
                else gradient + (settings.proximal or 0.0) * (variable.value - anchor) + decay * variable.value
                for gradient, variable, anchor in zip(gradients, trained, anchors)
            ]
            optimizer.apply_gradients([(g, v) for g, v in zip(gradients, trained) if g is not None])
            return loss

        total, steps, planned = 0.0, 0, task.steps_in(len(data))
        for order in task.orders(len(data)):
            for batch in task.batches(order):
                loss = float(step(tf.constant(data.features(batch)), tf.constant(data.targets(batch))))
                steps += 1
                if not np.isfinite(loss):
                    raise Diverged(steps)
                total += loss * len(batch)
                task.report(steps, planned, loss)
        values = {}
        for name, variable in self._variables.items():
            value = variable.numpy()
            axes = self._axes.get(name)
            values[name] = value if axes is None else np.transpose(value, np.argsort(axes))
        return TrainResult(values, steps, len(data), total / max(len(data) * settings.local_epochs, 1))

    def evaluate(self, task: Task) -> EvaluateResult:
        data = self._open(task, training=False)
        sums = EvaluationSums(task.settings, task.metrics)
        forward = tf.function(lambda features: self._model(features, training=False), reduce_retracing=True)
        for done, batch in enumerate(task.batches(np.arange(len(data))), start=1):
            sums.add(forward(tf.constant(data.features(batch))).numpy(), data.targets(batch))
            task.report(done, task.steps_in(len(data)))
        return sums.result()

    def _open(self, task: Task, training: bool) -> Rows:
        data = self._data(training) if self._data is not None else task.data
        if data is None:
            raise JobError("DATA_MISMATCH", "there is no declared data set, and the trainer opens none (data=…)")
        return data.shaped(self._shape)


def _optimizer(settings: TrainSettings) -> Any:
    rate = settings.learning_rate
    if settings.optimizer in ("adam", "adamw"):
        shared = {
            "learning_rate": rate,
            "beta_1": 0.9 if settings.beta1 is None else settings.beta1,
            "beta_2": 0.999 if settings.beta2 is None else settings.beta2,
            "epsilon": 1e-8 if settings.epsilon is None else settings.epsilon,
        }
        if settings.optimizer == "adam":
            return keras.optimizers.Adam(**shared)
        return keras.optimizers.AdamW(weight_decay=0.01 if settings.weight_decay is None else settings.weight_decay, **shared)
    if settings.optimizer == "sgd":
        return keras.optimizers.SGD(rate)
    momentum = 0.9 if settings.momentum is None else settings.momentum
    return keras.optimizers.SGD(rate, momentum=momentum, nesterov=settings.optimizer == "nesterov")


def _loss(settings: TrainSettings) -> Callable[[Any, Any], Any]:
    kind = settings.loss
    if kind in ("softmax-cross-entropy", "negative-log-likelihood"):
        return lambda labels, outputs: _class_losses(settings, labels, outputs)
    if kind == "sigmoid-binary-cross-entropy":
        return lambda labels, outputs: tf.nn.sigmoid_cross_entropy_with_logits(
            tf.reshape(tf.cast(labels, outputs.dtype), tf.shape(outputs)), outputs
        )
    if kind == "mean-squared-error":
        return lambda labels, outputs: tf.square(outputs - tf.reshape(labels, tf.shape(outputs)))
    if kind == "mean-absolute-error":
        return lambda labels, outputs: tf.abs(outputs - tf.reshape(labels, tf.shape(outputs)))

    def huber(labels: Any, outputs: Any) -> Any:
        difference = outputs - tf.reshape(labels, tf.shape(outputs))
        clipped = tf.clip_by_value(difference, -(settings.huber_delta or 1.0), settings.huber_delta or 1.0)
        return clipped * (difference - clipped / 2)

    return huber


def _class_losses(settings: TrainSettings, labels: Any, outputs: Any) -> Any:
    """One number a position that counts."""
    scores = tf.reshape(outputs, (-1, outputs.shape[-1]))
    classes = tf.reshape(tf.cast(labels, tf.int32), (-1,))
    if settings.ignore_index is not None:
        counts = tf.not_equal(classes, settings.ignore_index)
        scores, classes = tf.boolean_mask(scores, counts), tf.boolean_mask(classes, counts)
    logs = scores if settings.loss == "negative-log-likelihood" else tf.nn.log_softmax(scores)
    smoothing = (settings.label_smoothing or 0.0) if settings.loss == "softmax-cross-entropy" else 0.0
    chosen = tf.gather(logs, classes, batch_dims=1)
    return -((1 - smoothing) * chosen + smoothing * tf.reduce_mean(logs, axis=-1))
