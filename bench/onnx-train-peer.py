"""PyTorch eager beside bench/onnx-train.ts: one thread, plain SGD, minibatches gathered from data in memory.

Reads lines "model batch seconds" from standard input, trains that long, and answers with samples a second.
"""

import pathlib
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "packages" / "onnx-train" / "fixtures"))

from small_models import McMahanCnn, Recurrent, Transformer, two_nn  # noqa: E402

MODELS = {
    "2nn": (two_nn, lambda count: torch.rand(count, 784)),
    "mcmahan-cnn": (McMahanCnn, lambda count: torch.rand(count, 1, 28, 28)),
    "transformer": (Transformer, lambda count: torch.randint(64, (count, 16))),
    "lstm": (lambda: Recurrent(torch.nn.LSTM), lambda count: torch.rand(count, 15, 8)),
}
BATCHES = 12


class Trainer:
    """A model with its data, warmed up."""

    def __init__(self, name, batch):
        build, draw = MODELS[name]
        self.model = build().train()
        self.data = draw(batch * BATCHES)
        self.labels = torch.randint(10, (batch * BATCHES,))
        self.rows = torch.arange(batch * BATCHES).reshape(BATCHES, batch)
        self.loss = torch.nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.run(0.3)

    def run(self, seconds):
        """Samples a second over that long."""
        started = time.perf_counter()
        samples = 0
        while time.perf_counter() - started < seconds:
            for rows in self.rows:
                self.optimizer.zero_grad()
                self.loss(self.model(self.data[rows]), self.labels[rows]).backward()
                self.optimizer.step()
            samples += self.rows.numel()
        return samples / (time.perf_counter() - started)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(1)
    print(torch.__version__, flush=True)
    trainers = {}
    for line in sys.stdin:
        name, batch, seconds = line.split()
        key = (name, int(batch))
        if key not in trainers:
            trainers[key] = Trainer(*key)
        print(trainers[key].run(float(seconds)), flush=True)
