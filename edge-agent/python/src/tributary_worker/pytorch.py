"""A trainer of a PyTorch model: ``PyTorchTrainer(Net)``."""

from __future__ import annotations

import random
from typing import Any, Callable, Iterator, Mapping, Sequence, Union

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from .errors import Diverged, JobError
from .losses import EvaluationSums
from .rows import Rows
from .task import Array, Task, TrainSettings
from .trainer import EvaluateResult, TrainResult

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
#: One local epoch as training scripts have it; may return the mean loss.
EpochFunction = Callable[[nn.Module, "DataLoader[Any]", torch.optim.Optimizer], Union[float, None]]


class PyTorchTrainer:
    """Trains ``model`` as the task says: its optimiser, loss, batch size and seed, or what is given here instead.

    Tensors go by the names of ``state_dict``. Parameters that the manifest calls frozen do not train.
    """

    def __init__(
        self,
        model: Callable[[], nn.Module],
        *,
        train: EpochFunction | None = None,
        optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer] | None = None,
        loss: Loss | None = None,
        data: Callable[[bool], "Dataset[Any]"] | None = None,
        shape: Sequence[int] | None = None,
        partial: bool = False,
        names: Mapping[str, str] | None = None,
        device: str = "cpu",
    ) -> None:
        """
        :param model: makes the model, after the generators are seeded
        :param train: trains one local epoch on the batches of a DataLoader, in place of the loop here
        :param optimizer: makes the optimiser of the parameters that train, in place of the task's
        :param loss: of outputs and labels, in place of the task's, for training
        :param data: opens a data set of one's own, in place of the declared one; told whether to train
        :param shape: of one example as the model takes it, where the manifest does not tell
        :param partial: the task has only some of the model's tensors, such as adapters; the rest stay as ``model`` makes them
        :param names: names of the manifest that are called otherwise in ``state_dict``
        """
        self._make = model
        self._train = train
        self._optimizer = optimizer
        self._loss = loss
        self._data = data
        self._shape = shape
        self._partial = partial
        self._names = dict(names or {})
        self._device = torch.device(device)
        self._model: nn.Module | None = None

    def load(self, weights: Mapping[str, Array], task: Task) -> None:
        torch.manual_seed(task.seed_number)
        random.seed(task.seed)
        np.random.seed(task.seed_number % 2**32)
        model = self._make()
        state = model.state_dict()
        own = {self._own(tensor.name): tensor for tensor in task.tensors}
        for name, tensor in own.items():
            if name not in state or tuple(state[name].shape) != tensor.shape:
                has = f"shape {tuple(state[name].shape)}" if name in state else "none"
                raise JobError("MODEL_MISMATCH", f"the manifest has {tensor.name!r} of shape {tensor.shape}, the model {has}")
        missing = [name for name in state if name not in own]
        if missing and not self._partial:
            raise JobError(
                "MODEL_MISMATCH", f"the manifest lacks {missing[0]!r} of the model; say partial=True where that is meant"
            )
        with torch.no_grad():
            seen: dict[int, str] = {}
            for name, tensor in own.items():
                value = torch.from_numpy(np.array(weights[tensor.name]))
                target = state[name]
                tied = seen.setdefault(target.data_ptr(), name) if target.numel() > 0 else name
                if tied != name and not torch.equal(target, value.to(target.dtype)):
                    raise JobError("MODEL_MISMATCH", f"{name!r} is tied to {tied!r} in the model, but has other values")
                target.copy_(value)
        frozen = {name for name, tensor in own.items() if tensor.policy == "frozen"}
        for name, parameter in model.named_parameters():
            if name in frozen:
                parameter.requires_grad_(False)
        self._model = model.to(self._device)

    def train(self, task: Task) -> TrainResult:
        model = self._loaded()
        parameters = [each for each in model.parameters() if each.requires_grad]
        optimizer = (self._optimizer or (lambda these: _optimizer(these, task.settings)))(parameters)
        data, examples = self._open(task, training=True)
        progress = _Progress(task, task.steps_in(examples))
        anchors = [each.detach().clone() for each in parameters] if task.settings.proximal else []
        loss_sum: float | None = 0.0
        model.train()
        for order in task.orders(examples):
            loader = _Loader(data, task, order, progress)
            if self._train is None:
                loss_sum = (loss_sum or 0.0) + self._epoch(model, loader, optimizer, anchors, task.settings)
                continue
            mean = self._train(model, loader, optimizer)
            told = isinstance(mean, (int, float)) and loss_sum is not None
            loss_sum = loss_sum + float(mean) * len(order) if told and loss_sum is not None and mean is not None else None
        seen = examples * task.settings.local_epochs
        state = model.state_dict()
        values = {tensor.name: _plain(state[self._own(tensor.name)]) for tensor in task.tensors if tensor.policy != "frozen"}
        return TrainResult(values, progress.steps, examples, None if loss_sum is None else loss_sum / max(seen, 1))

    def evaluate(self, task: Task) -> EvaluateResult:
        model = self._loaded()
        data, examples = self._open(task, training=False)
        sums = EvaluationSums(task.settings, task.metrics)
        model.eval()
        with torch.no_grad():
            for features, labels in _Loader(data, task, np.arange(examples), _Progress(task, task.steps_in(examples))):
                sums.add(_plain(model(features.to(self._device))), _plain(labels))
        return sums.result()

    def _epoch(
        self,
        model: nn.Module,
        loader: "DataLoader[Any]",
        optimizer: torch.optim.Optimizer,
        anchors: list[torch.Tensor],
        settings: TrainSettings,
    ) -> float:
        parameters = [each for each in model.parameters() if each.requires_grad]
        loss_of = self._loss or _loss(settings)
        total = 0.0
        for step, (features, labels) in enumerate(loader, start=1):
            optimizer.zero_grad()
            loss = loss_of(model(features.to(self._device)), labels.to(self._device))
            loss.backward()
            if settings.gradient_clipping_norm is not None:
                nn.utils.clip_grad_norm_(parameters, settings.gradient_clipping_norm)
            for parameter, anchor in zip(parameters, anchors):
                if parameter.grad is not None:
                    # FedProx (Li et al. 2020): the gradient of μ/2·‖w − w₀‖².
                    parameter.grad.add_(parameter.detach() - anchor, alpha=settings.proximal or 0.0)
            optimizer.step()
            value = float(loss.detach())
            if not np.isfinite(value):
                raise Diverged(step)
            total += value * len(labels)
        return total

    def _open(self, task: Task, training: bool) -> tuple["Dataset[Any]", int]:
        data: Any = self._data(training) if self._data is not None else task.data
        if data is None:
            raise JobError("DATA_MISMATCH", "there is no declared data set, and the trainer opens none (data=…)")
        return (_RowsDataset(data.shaped(self._shape)) if isinstance(data, Rows) else data), len(data)

    def _own(self, name: str) -> str:
        return self._names.get(name, name)

    def _loaded(self) -> nn.Module:
        if self._model is None:
            raise JobError("TRAINER_FAILED", "load comes before train and evaluate")
        return self._model


class _Progress:
    """Counts the steps of a job as batches are taken."""

    def __init__(self, task: Task, total: int) -> None:
        self._task = task
        self._total = total
        self.steps = 0

    def next(self) -> None:
        self.steps += 1
        self._task.report(self.steps, max(self._total, self.steps))


class _RowsDataset(Dataset):
    """Declared examples; asked for a list of rows it gives a batch."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Any) -> tuple[torch.Tensor, torch.Tensor]:
        labels = self._rows.targets(rows)
        targets = torch.from_numpy(np.asarray(labels))
        return torch.from_numpy(self._rows.features(rows)), targets if targets.is_floating_point() else targets.long()


class _Loader(DataLoader):
    """A DataLoader over the batches of one epoch, in the order of the job."""

    def __init__(self, data: "Dataset[Any]", task: Task, order: Array, progress: _Progress) -> None:
        batches = [batch.tolist() for batch in task.batches(order)]
        # Rows are cut out of a mapped file at once; a data set of one's own is asked for one example after the other.
        whole = isinstance(data, _RowsDataset)
        super().__init__(data, sampler=batches, batch_size=None) if whole else super().__init__(data, batch_sampler=batches)
        # Set late: the base class watches assignments of its own names.
        self._progress = progress

    def __iter__(self) -> Iterator[Any]:
        for batch in super().__iter__():
            yield batch
            self._progress.next()


def _plain(tensor: torch.Tensor) -> Array:
    held = tensor.detach().cpu()
    # NumPy has no bfloat16; float32 holds it exactly.
    return np.array((held.float() if held.dtype == torch.bfloat16 else held).numpy())


def _optimizer(parameters: list[nn.Parameter], settings: TrainSettings) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer in ("adam", "adamw"):
        kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
        return kind(
            parameters,
            lr=rate,
            betas=(_given(settings.beta1, 0.9), _given(settings.beta2, 0.999)),
            eps=_given(settings.epsilon, 1e-8),
            weight_decay=_given(decay, 0.0 if settings.optimizer == "adam" else 0.01),
        )
    return torch.optim.SGD(
        parameters,
        lr=rate,
        momentum=0.0 if settings.optimizer == "sgd" else _given(settings.momentum, 0.9),
        nesterov=settings.optimizer == "nesterov",
        weight_decay=_given(decay, 0.0),
    )


def _loss(settings: TrainSettings) -> Loss:
    ignored = -100 if settings.ignore_index is None else settings.ignore_index

    def by_class(score: Loss) -> Loss:
        # PyTorch wants classes on the second axis, the platform has them on the last.
        return lambda outputs, labels: score(outputs.reshape(-1, outputs.shape[-1]), labels.reshape(-1).long())

    kinds: dict[str, Loss] = {
        "softmax-cross-entropy": by_class(
            lambda scores, classes: functional.cross_entropy(
                scores, classes, ignore_index=ignored, label_smoothing=settings.label_smoothing or 0.0
            )
        ),
        "negative-log-likelihood": by_class(
            lambda scores, classes: functional.nll_loss(scores, classes, ignore_index=ignored)
        ),
        "sigmoid-binary-cross-entropy": lambda outputs, labels: functional.binary_cross_entropy_with_logits(
            outputs, labels.to(outputs.dtype).reshape(outputs.shape)
        ),
        "mean-squared-error": lambda outputs, labels: functional.mse_loss(outputs, labels.reshape(outputs.shape)),
        "mean-absolute-error": lambda outputs, labels: functional.l1_loss(outputs, labels.reshape(outputs.shape)),
        "huber": lambda outputs, labels: functional.huber_loss(
            outputs, labels.reshape(outputs.shape), delta=settings.huber_delta or 1.0
        ),
    }
    return kinds[settings.loss]


def _given(value: float | None, default: float) -> float:
    return default if value is None else value
