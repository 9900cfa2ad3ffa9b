"""The 2NN of McMahan et al. 2017 in Keras. Its tensors have the names and the layout of the platform's ONNX file: [outputs, inputs]."""

import keras

from tributary_worker.keras import KerasTrainer

LAYERS = ("hidden1", "hidden2", "classifier")


def model() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(200, activation="relu", name="hidden1"),
            keras.layers.Dense(200, activation="relu", name="hidden2"),
            keras.layers.Dense(10, name="classifier"),
        ]
    )


def two_nn() -> KerasTrainer:
    return KerasTrainer(
        model,
        names={f"{layer}.{ours}": f"{layer}/{theirs}" for layer in LAYERS for ours, theirs in (("weight", "kernel"), ("bias", "bias"))},
        axes={f"{layer}.weight": (1, 0) for layer in LAYERS},
    )
