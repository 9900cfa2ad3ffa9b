"""A multi-layer perceptron and a linear model of scikit-learn, for MNIST."""

from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier

from tributary_worker.sklearn import SklearnTrainer


def perceptron() -> SklearnTrainer:
    return SklearnTrainer(lambda: MLPClassifier(hidden_layer_sizes=(50,)), classes=10)


def linear() -> SklearnTrainer:
    return SklearnTrainer(lambda: SGDClassifier(loss="log_loss"), classes=10)
