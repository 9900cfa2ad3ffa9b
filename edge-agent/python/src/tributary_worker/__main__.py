"""``python -m tributary_worker run|probe``: what the agent starts."""

from __future__ import annotations

import argparse
import importlib
import platform
import re
import sys
import time
import traceback
from dataclasses import replace

from . import __version__
from .channel import Channel
from .errors import Diverged, JobError
from .installed import load_trainer
from .limits import apply_limits, end_with_agent
from .metrics import units_of, wide
from .task import parse_job, read_job
from .trainer import EvaluateResult
from .weights import Overlaid, Weights, write_weights

_frameworks = {"pytorch": "torch", "keras": "keras", "sklearn": "sklearn", "numpy": "numpy"}
_memory = re.compile(r"can't allocate memory|out of memory|OOM when allocating|bad_alloc|Unable to allocate", re.IGNORECASE)


def main(arguments: list[str] | None = None) -> int:
    """Does one thing and tells the outcome on the channel; the exit code is 0 when that was possible."""
    parser = argparse.ArgumentParser(prog="tributary_worker", description=__doc__)
    parser.add_argument("--channel", type=int, default=1, help="descriptor for the agent's lines; stdout unless told")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="does one job")
    run.add_argument("job", help="file that the agent wrote")
    probe = commands.add_parser("probe", help="says whether a framework and a trainer load here")
    probe.add_argument("framework", choices=sorted(_frameworks))
    probe.add_argument("trainer", nargs="?", help="module:attribute")
    options = parser.parse_args(arguments)
    channel = Channel(options.channel)
    if options.channel != 1:
        end_with_agent()
    try:
        if options.command == "probe":
            _probe(channel, options.framework, options.trainer)
        else:
            _run(channel, options.job)
    except Diverged as error:
        channel.send("failed", code=error.code, message=str(error), step=error.step)
    except JobError as error:
        traceback.print_exc()
        channel.send("failed", code=error.code, message=str(error)[:2000])
    except BaseException as error:  # noqa: BLE001: whatever training code throws is told, not only Exceptions
        traceback.print_exc()
        sys.stderr.flush()
        text = f"{type(error).__name__}: {error}"
        short = isinstance(error, MemoryError) or _memory.search(text) is not None
        channel.send("failed", code="MEMORY_LIMIT" if short else "TRAINER_FAILED", message=text[:2000])
    return 0


def _probe(channel: Channel, framework: str, trainer: str | None) -> None:
    try:
        module = importlib.import_module(_frameworks[framework])
    except ImportError as error:
        raise JobError("TRAINER_MISSING", f"{framework} cannot be imported: {error}") from error
    if trainer is not None:
        load_trainer(trainer)
    version = str(getattr(module, "__version__", "unknown"))
    channel.send("probed", worker=__version__, python=platform.python_version(), framework=framework, version=version)


def _sums_of(found: EvaluateResult) -> dict[str, str]:
    """In decimal: JSON has no integers of 64 bits that everybody reads."""
    sums = {name: str(int(value)) for name, value in found.sums.items()}
    if found.absolute_error_sum is not None and "absolute_error_q20" not in sums:
        sums.update({name: str(value) for name, value in wide("absolute_error_q20", units_of(found.absolute_error_sum))})
    return sums


def _run(channel: Channel, path: str) -> None:
    description = read_job(path)
    # Before the trainer's module, and with it the framework, is imported.
    apply_limits(description.get("memoryBytes"))
    job = parse_job(description)
    task = replace(job.task, on_step=channel.progress)
    trainer = load_trainer(job.trainer)
    channel.send("started", worker=__version__)
    base = Weights(job.weights)
    trainer.load(base if job.local is None else Overlaid(base, Weights(job.local)), task)
    started = time.monotonic()
    if task.kind == "evaluate":
        found = trainer.evaluate(task)
        channel.send(
            "evaluated",
            examples=int(found.examples),
            correct=None if found.correct is None else int(found.correct),
            lossSum=float(found.loss_sum),
            sums=_sums_of(found),
            seconds=time.monotonic() - started,
        )
        return
    result = trainer.train(task)
    write_weights(job.result, [each for each in task.tensors if each.sent], result.weights, result.steps)
    kept = [each for each in task.tensors if each.policy == "keep-local"]
    if kept:
        write_weights(job.local_result, kept, result.weights, result.steps)
    channel.send(
        "trained",
        examples=int(result.examples),
        steps=int(result.steps),
        meanLoss=None if result.mean_loss is None else float(result.mean_loss),
        seconds=time.monotonic() - started,
    )


if __name__ == "__main__":
    sys.exit(main())
