"""The PyTorch adapter against a loop that PyTorch users would write."""

from __future__ import annotations

import unittest
from typing import Any

import numpy as np
import torch
from job import examples, task_of
from torch import nn

from tributary_worker import Diverged, JobError
from tributary_worker.pytorch import PyTorchTrainer


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 5)
        self.norm = nn.BatchNorm1d(5)
        self.last = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.norm(self.first(x))))  # type: ignore[no-any-return]


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(6, 6, bias=False)
        self.out = nn.Linear(6, 6, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.tanh(self.embed(x)))  # type: ignore[no-any-return]


class Lora(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(99)
        self.base = nn.Linear(6, 3)
        self.base.requires_grad_(False)
        self.down = nn.Linear(6, 2, bias=False)
        self.up = nn.Linear(2, 3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + self.up(self.down(x))  # type: ignore[no-any-return]


def start(make: Any, **policies: str) -> dict[str, Any]:
    torch.manual_seed(1)
    state = make().state_dict()
    return {
        name: (value.numpy().copy(), policies.get(name.replace(".", "_"), "average" if value.is_floating_point() else "max"))
        for name, value in state.items()
    }


def arrays(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, (value, _) in tensors.items()}


def by_hand(make: Any, tensors: dict[str, Any], optimizer: Any, clip: float | None = None, mu: float = 0.0) -> dict[str, Any]:
    model = make()
    model.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in arrays(tensors).items()})
    data = examples()
    anchors = [p.detach().clone() for p in model.parameters()]
    using = optimizer(model.parameters())
    model.train()
    for order in (np.arange(22) * 5 % 22, np.arange(22)):
        for at in range(0, 22, 4):
            rows = order[at : at + 4]
            using.zero_grad()
            scores = model(torch.from_numpy(data.features(rows)))
            nn.functional.cross_entropy(scores, torch.from_numpy(data.targets(rows)).long()).backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            for p, anchor in zip(model.parameters(), anchors):
                p.grad.add_(mu * (p.detach() - anchor))
            using.step()
    return {name: value.numpy() for name, value in model.state_dict().items()}


class PyTorchTest(unittest.TestCase):
    def train(self, make: Any, tensors: dict[str, Any], options: dict[str, Any] | None = None, **settings: Any) -> Any:
        trainer = PyTorchTrainer(make, **(options or {}))
        task = task_of(tensors, examples(), **settings)
        trainer.load(arrays(tensors), task)
        return trainer.train(task)

    def test_trains_as_a_script_does_with_batch_norm_and_counters(self) -> None:
        tensors = start(Net)
        result = self.train(Net, tensors)
        expected = by_hand(Net, tensors, lambda these: torch.optim.SGD(these, 0.1))
        self.assertEqual(set(result.weights), set(expected))
        for name, value in expected.items():
            np.testing.assert_array_equal(result.weights[name], value, name)
        self.assertEqual(int(result.weights["norm.num_batches_tracked"]), 12)
        self.assertEqual(result.weights["norm.num_batches_tracked"].dtype, np.int64)
        self.assertEqual((result.steps, result.examples), (12, 22))

    def test_optimisers_and_their_settings(self) -> None:
        tensors = start(Net)
        kinds: list[tuple[dict[str, Any], Any]] = [
            ({"optimizer": "momentum", "momentum": 0.5}, lambda p: torch.optim.SGD(p, 0.1, momentum=0.5)),
            ({"optimizer": "nesterov"}, lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True)),
            ({"optimizer": "adam", "beta1": 0.8}, lambda p: torch.optim.Adam(p, 0.1, betas=(0.8, 0.999))),
            ({"optimizer": "adamw"}, lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.01)),
            ({"weight_decay": 0.3}, lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.3)),
        ]
        for settings, make in kinds:
            result = self.train(Net, tensors, **settings)
            for name, value in by_hand(Net, tensors, make).items():
                np.testing.assert_array_equal(result.weights[name], value, f"{settings} {name}")

    def test_gradients_are_clipped_before_the_proximal_term(self) -> None:
        tensors = start(Net)
        result = self.train(Net, tensors, gradient_clipping_norm=0.2, proximal=0.7)
        expected = by_hand(Net, tensors, lambda p: torch.optim.SGD(p, 0.1), clip=0.2, mu=0.7)
        for name, value in expected.items():
            np.testing.assert_allclose(result.weights[name], value, rtol=0, atol=1e-7, err_msg=name)

    def test_frozen_parameters_keep_their_values(self) -> None:
        tensors = start(Net, first_weight="frozen", first_bias="keep-local")
        result = self.train(Net, tensors)
        self.assertNotIn("first.weight", result.weights)
        self.assertIn("first.bias", result.weights)
        trainer = PyTorchTrainer(Net)
        task = task_of(tensors, examples())
        trainer.load(arrays(tensors), task)
        trainer.train(task)
        np.testing.assert_array_equal(trainer._loaded().state_dict()["first.weight"].numpy(), tensors["first.weight"][0])

    def test_tied_weights_stay_tied(self) -> None:
        tensors = start(Tied)
        result = self.train(Tied, tensors)
        np.testing.assert_array_equal(result.weights["embed.weight"], result.weights["out.weight"])
        untied = {**tensors, "out.weight": (tensors["out.weight"][0] + 1, "average")}
        with self.assertRaisesRegex(JobError, "tied"):
            self.train(Tied, untied)

    def test_only_the_adapters_travel(self) -> None:
        tensors = {name: each for name, each in start(Lora).items() if not name.startswith("base")}
        result = self.train(Lora, tensors, {"partial": True})
        self.assertEqual(set(result.weights), {"down.weight", "up.weight"})
        self.assertTrue((result.weights["up.weight"] != tensors["up.weight"][0]).any())
        with self.assertRaisesRegex(JobError, "base.weight"):
            self.train(Lora, tensors)

    def test_another_shape_is_refused_by_name(self) -> None:
        tensors = {**start(Net), "last.bias": (np.zeros(4, np.float32), "average")}
        with self.assertRaisesRegex(JobError, "last.bias"):
            self.train(Net, tensors)

    def test_an_epoch_function_and_data_of_its_own(self) -> None:
        seen: list[int] = []

        def train(model: nn.Module, loader: Any, optimizer: torch.optim.Optimizer) -> float:
            for x, y in loader:
                seen.append(len(x))
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            return 0.25

        data = torch.utils.data.TensorDataset(torch.randn(10, 6), torch.zeros(10, dtype=torch.long))
        result = self.train(Net, start(Net), {"train": train, "data": lambda training: data})
        self.assertEqual(seen, [4, 4, 2] * 2)
        self.assertEqual((result.steps, result.examples, result.mean_loss), (6, 10, 0.25))

    def test_the_same_job_gives_the_same_bytes_with_dropout(self) -> None:
        def make() -> nn.Module:
            return nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 3))

        tensors = start(make)
        one, two = self.train(make, tensors), self.train(make, tensors)
        for name, value in one.weights.items():
            np.testing.assert_array_equal(value, two.weights[name])

    def test_divergence_has_its_step(self) -> None:
        with self.assertRaises(Diverged):
            self.train(Net, start(Net), learning_rate=1e38)

    def test_evaluation_is_that_of_pytorch(self) -> None:
        tensors = start(Net)
        data = examples()
        task = task_of(tensors, data, kind="evaluate")
        trainer = PyTorchTrainer(Net)
        trainer.load(arrays(tensors), task)
        found = trainer.evaluate(task)
        model = Net()
        model.load_state_dict({name: torch.from_numpy(value) for name, value in arrays(tensors).items()})
        model.eval()
        scores = model(torch.from_numpy(data.stored))
        labels = torch.from_numpy(data.labels).long()
        self.assertEqual(found.correct, int((scores.argmax(1) == labels).sum()))
        loss = float(nn.functional.cross_entropy(scores, labels, reduction="sum").detach())
        self.assertAlmostEqual(found.loss_sum, loss, places=4)
        self.assertEqual(found.examples, 22)


if __name__ == "__main__":
    unittest.main()
