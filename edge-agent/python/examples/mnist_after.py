"""Trains a small convolutional network on MNIST: python mnist_after.py FOLDER."""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tributary_worker.pytorch import PyTorchTrainer


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 5, padding=2)
        self.norm = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8 * 14 * 14, 10)

    def forward(self, images):
        features = nn.functional.max_pool2d(torch.relu(self.norm(self.conv(images))), 2)
        return self.fc(features.flatten(1))


def train(model, loader, optimizer):
    model.train()
    total = 0.0
    for images, labels in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(images)
    return total / len(loader.dataset)


def load(folder, part):
    images = np.fromfile(folder / f"{part}-images-idx3-ubyte", np.uint8, offset=16).reshape(-1, 1, 28, 28) / np.float32(255)
    labels = np.fromfile(folder / f"{part}-labels-idx1-ubyte", np.uint8, offset=8).astype(np.int64)
    return TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))


def main():
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    loader = DataLoader(load(Path(sys.argv[1]), "train"), batch_size=32, shuffle=True)
    for epoch in range(3):
        print(f"epoch {epoch + 1}: loss {train(model, loader, optimizer):.4f}")
    torch.save(model.state_dict(), "mnist.pt")


trainer = PyTorchTrainer(Net, train=train, shape=(1, 28, 28))

if __name__ == "__main__":
    main()
