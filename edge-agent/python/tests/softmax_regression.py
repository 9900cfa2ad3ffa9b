"""Softmax regression as its definition says, in float64: what every framework must find."""

from __future__ import annotations

import numpy as np
from job import examples

from tributary_worker import Array


def trained(weight: Array, bias: Array, learning_rate: float = 0.1) -> tuple[Array, Array]:
    """`weight` [6, 3]; two epochs over the 22 examples in the orders and batches of `task_of`."""
    data = examples()
    weight, bias = weight.astype(np.float64), bias.astype(np.float64)
    for order in (np.arange(22) * 5 % 22, np.arange(22)):
        for at in range(0, 22, 4):
            rows = order[at : at + 4]
            x = data.features(rows).astype(np.float64)
            scores = np.exp(x @ weight + bias)
            error = scores / scores.sum(axis=1, keepdims=True) - np.eye(3)[data.targets(rows)]
            weight = weight - learning_rate * x.T @ error / len(rows)
            bias = bias - learning_rate * error.mean(axis=0)
    return weight, bias
