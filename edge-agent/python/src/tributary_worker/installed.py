"""Training code of the device's owner."""

from __future__ import annotations

import importlib
from typing import Callable, cast

from .errors import JobError
from .trainer import Trainer


def load_trainer(reference: str) -> Trainer:
    """The object that ``module:attribute`` names, or what it makes when called. Raises JobError TRAINER_MISSING."""
    module_name, _, attribute = reference.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise JobError("TRAINER_MISSING", f"{error}: is it on `path` in trainers.json, and installed for its python?") from error
    try:
        found: object = getattr(module, attribute)
    except AttributeError as error:
        raise JobError("TRAINER_MISSING", f"module {module_name} has no {attribute}") from error
    if isinstance(found, type) or (callable(found) and not isinstance(found, Trainer)):
        found = cast(Callable[[], object], found)()
    if not isinstance(found, Trainer):
        raise JobError("TRAINER_MISSING", f"{reference} has not the three methods of a trainer: load, train, evaluate")
    return found
