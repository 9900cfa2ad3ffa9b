"""The two networks of McMahan et al. 2017 for MNIST, with the names of their tensors in the platform's ONNX files."""

import torch
from torch import nn

from tributary_worker.pytorch import PyTorchTrainer


class TwoNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden1 = nn.Linear(784, 200)
        self.hidden2 = nn.Linear(200, 200)
        self.classifier = nn.Linear(200, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.hidden1(images.flatten(1)))
        return self.classifier(torch.relu(self.hidden2(hidden)))


class CNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 64, 5, padding=2)
        self.hidden = nn.Linear(64 * 7 * 7, 512)
        self.classifier = nn.Linear(512, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = nn.functional.max_pool2d(torch.relu(self.conv1(images.reshape(-1, 1, 28, 28))), 2)
        features = nn.functional.max_pool2d(torch.relu(self.conv2(features)), 2)
        return self.classifier(torch.relu(self.hidden(features.flatten(1))))


def two_nn() -> PyTorchTrainer:
    return PyTorchTrainer(TwoNN)


def cnn() -> PyTorchTrainer:
    return PyTorchTrainer(CNN)
