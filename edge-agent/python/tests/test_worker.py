"""The worker as a process, with trainers that need nothing but NumPy."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

import numpy as np
from job import Outcome, examples, run_job
from safetensors.numpy import load_file, save_file

WEIGHTS = {"w": np.ones((2, 3), np.float32), "b": np.zeros(3, np.float32)}


class WorkerTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_trainer(self, name: str, **job: Any) -> Outcome:
        return run_job(self.folder, f"plain_trainers:{name}", WEIGHTS, examples(), **job)

    def test_result_and_progress_arrive_apart_from_what_is_printed(self) -> None:
        done = self.run_trainer("Counting")
        self.assertEqual([line["kind"] for line in done.lines][0], "started")
        last = done.lines[-1]
        # 22 examples in batches of 4 are 6 steps, twice.
        self.assertEqual((last["kind"], last["steps"], last["examples"], last["meanLoss"]), ("trained", 12, 22, 1.5))
        self.assertTrue(any(line["kind"] == "progress" and line["totalSteps"] == 12 for line in done.lines))
        self.assertIn("the trainer says something", done.log)
        self.assertIn("so does a child", done.log)
        assert done.result is not None
        np.testing.assert_array_equal(done.result["w"], np.full((2, 3), 13, np.float32))

    def test_an_exception_is_told_with_its_trace_in_the_log(self) -> None:
        done = self.run_trainer("Failing")
        self.assertEqual(done.lines[-1]["code"], "TRAINER_FAILED")
        self.assertEqual(done.lines[-1]["message"], "ValueError: row 12 has no label")
        self.assertIn("plain_trainers.py", done.log)
        self.assertIsNone(done.result)

    def test_memory_beyond_the_limit_is_refused(self) -> None:
        done = self.run_trainer("Hungry", memoryBytes=2**29)
        self.assertEqual(done.lines[-1]["code"], "MEMORY_LIMIT")

    def test_leaving_early_is_a_failure(self) -> None:
        self.assertEqual(self.run_trainer("Leaving").lines[-1]["code"], "TRAINER_FAILED")

    def test_weights_that_are_not_finite_are_divergence(self) -> None:
        done = self.run_trainer("Infinite")
        self.assertEqual((done.lines[-1]["code"], done.lines[-1]["step"]), ("DIVERGED", 9))

    def test_other_shapes_are_named(self) -> None:
        message = self.run_trainer("Reshaping").lines[-1]["message"]
        self.assertEqual(message, "the trainer gave 'w' of shape (1, 3); the manifest says (2, 3)")

    def test_what_is_no_trainer_is_said(self) -> None:
        for name in ("NOT_A_TRAINER", "Absent"):
            self.assertEqual(self.run_trainer(name).lines[-1]["code"], "TRAINER_MISSING")
        done = run_job(self.folder, "no_such_module:x", WEIGHTS, examples())
        self.assertEqual(done.lines[-1]["code"], "TRAINER_MISSING")

    def test_what_is_kept_local_goes_on_from_its_own_values_and_apart_from_the_result(self) -> None:
        tensors = [
            {"name": "w", "dtype": "F32", "shape": [2, 3], "policy": "keep-local"},
            {"name": "b", "dtype": "F32", "shape": [3], "policy": "average"},
        ]
        own = str(self.folder / "own.safetensors")
        save_file({"w": np.full((2, 3), 100, np.float32)}, own)
        done = self.run_trainer("Counting", tensors=tensors, local=own)
        assert done.result is not None
        self.assertEqual(list(done.result), ["b"])
        kept = load_file(str(self.folder / "local.safetensors"))
        np.testing.assert_array_equal(kept["w"], np.full((2, 3), 112, np.float32))

    def test_a_loss_that_is_no_number_is_null(self) -> None:
        done = self.run_trainer("Counting", kind="evaluate")
        self.assertEqual((done.lines[-1]["kind"], done.lines[-1]["lossSum"]), ("evaluated", None))


if __name__ == "__main__":
    unittest.main()
