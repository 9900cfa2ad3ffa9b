"""Weights against the reference implementation of safetensors."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from tributary_worker import Diverged, JobError, Tensor
from tributary_worker.weights import Overlaid, Weights, write_weights


class WeightsTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = str(Path(folder.name) / "weights.safetensors")

    def test_reads_what_the_reference_writes(self) -> None:
        tensors = {
            "a": np.arange(6, dtype=np.float32).reshape(2, 3),
            "count": np.array(2**40, np.int64),
            "half": np.array([1.5, -2], np.float16),
            "table": np.array([True, False]),
            "empty": np.zeros((0, 4), np.float64),
        }
        save_file(tensors, self.path)
        read = Weights(self.path)
        self.assertEqual(set(read), set(tensors))
        for name, value in tensors.items():
            np.testing.assert_array_equal(read[name], value)
            self.assertEqual((read[name].dtype, read[name].shape), (value.dtype, value.shape))
            self.assertFalse(read[name].flags.writeable)

    def test_the_reference_reads_what_is_written(self) -> None:
        tensors = (Tensor("ä", "F32", (3,), "average"), Tensor("n", "I64", (), "max"), Tensor("h", "F16", (1,), "average"))
        write_weights(self.path, tensors, {"n": np.array(7), "ä": np.arange(3.0), "h": np.array([0.5])}, 1)
        read = load_file(self.path)
        self.assertEqual(list(read), ["h", "n", "ä"] if list(read)[0] == "h" else list(read))
        np.testing.assert_array_equal(read["ä"], np.arange(3, dtype=np.float32))
        self.assertEqual((read["n"].dtype, int(read["n"])), (np.dtype(np.int64), 7))

    def test_bfloat16_is_rounded_to_nearest_even(self) -> None:
        # 1 + 2^-8 lies between 1 and 1 + 2^-7: even wins; 1 + 3·2^-8 between 1 + 2^-7 and 1 + 2^-6: even again.
        values = np.array([1 + 2**-8, 1 + 3 * 2**-8, -3.0], np.float32)
        write_weights(self.path, (Tensor("b", "BF16", (3,), "average"),), {"b": values}, 1)
        np.testing.assert_array_equal(Weights(self.path)["b"], np.array([1, 1 + 2**-6, -3], np.float32))
        with safe_open(self.path, framework="np") as file:
            self.assertEqual(file.get_slice("b").get_dtype(), "BF16")

    def test_refuses_what_the_manifest_does_not_say(self) -> None:
        tensor = (Tensor("w", "F32", (2,), "average"),)
        for values in ({}, {"w": np.zeros(3)}, {"w": np.zeros(2, np.int64)}):
            with self.assertRaises(JobError) as refused:
                write_weights(self.path + str(len(values)) + str(values), tensor, values, 1)
            self.assertEqual(refused.exception.code, "MODEL_MISMATCH")
        with self.assertRaises(Diverged):
            write_weights(self.path, tensor, {"w": np.array([1, np.nan])}, 5)

    def test_own_values_replace_those_of_the_round_where_they_fit(self) -> None:
        base = {"a": np.zeros(2), "b": np.zeros(2)}
        overlaid = Overlaid(base, {"a": np.ones(2), "b": np.ones(3)})
        np.testing.assert_array_equal(overlaid["a"], np.ones(2))
        np.testing.assert_array_equal(overlaid["b"], np.zeros(2))


if __name__ == "__main__":
    unittest.main()
