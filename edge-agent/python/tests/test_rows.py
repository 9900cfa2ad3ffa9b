"""Files of rows, as the agent writes them."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import numpy as np
from job import write_rows

from tributary_worker import JobError, Rows


class RowsTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "data.rows"

    def test_numbers_come_as_they_are(self) -> None:
        features = np.arange(12, dtype=np.float32).reshape(2, 6)
        write_rows(self.path, features, np.array([4, 5], np.int32))
        rows = Rows.open(str(self.path), (2, 3))
        np.testing.assert_array_equal(rows.features(np.array([1, 0])), features[::-1].reshape(2, 2, 3))
        np.testing.assert_array_equal(rows.targets(), [4, 5])
        self.assertEqual(rows.targets().dtype, np.int32)

    def test_bytes_are_rounded_once(self) -> None:
        features = np.array([[0, 51, 255]], np.uint8)
        affine = {"scale": 255, "shift": [0], "divisor": [1], "run": 1}
        write_rows(self.path, features, np.array([0], np.int32), affine=affine)
        np.testing.assert_array_equal(Rows.open(str(self.path), (3,)).features(), np.array([[0, 0.2, 1]], np.float32))

    def test_channels_have_entries_of_their_own(self) -> None:
        # Two channels of two values each.
        features = np.array([[0, 10, 20, 30]], np.uint8)
        affine = {"scale": 10, "shift": [1, 2], "divisor": [1, 4], "run": 2}
        write_rows(self.path, features, np.array([0], np.int32), affine=affine)
        expected = np.array([[-1, 0, 0, 0.25]], np.float32)
        np.testing.assert_array_equal(Rows.open(str(self.path), (4,)).features(), expected)

    def test_the_work_says_what_values_stand_for(self) -> None:
        affine = {"scale": 1, "shift": [1, 100], "divisor": [2, 50], "run": 1}
        write_rows(self.path, np.array([[3, 50], [0, 175]], np.float32), np.array([0, 1], np.int32))
        rows = Rows.open(str(self.path), (2,), affine)
        np.testing.assert_array_equal(rows.features(), np.array([[1, -1], [-0.5, 1.5]], np.float32))
        one = {"scale": 1, "shift": [1], "divisor": [2], "run": 1}
        np.testing.assert_array_equal(
            Rows.open(str(self.path), (2,), one).features(np.array([1])), np.array([[-0.5, 87]], np.float32)
        )
        write_rows(self.path, np.array([[30, 20]], np.uint8), np.array([0], np.int32))
        by_ten = {**one, "scale": 10}
        np.testing.assert_array_equal(
            Rows.open(str(self.path), (2,), by_ten).features(), np.array([[1, 0.5]], np.float32)
        )

    def test_labels_that_are_numbers_or_integers_in_floats(self) -> None:
        features = np.zeros((2, 1), np.float32)
        write_rows(self.path, features, np.array([0.5, 2], np.float32), labelDtype="f32", integerLabels=False)
        np.testing.assert_array_equal(Rows.open(str(self.path), (1,)).targets(), np.array([0.5, 2], np.float32))
        write_rows(self.path, features, np.array([1, 2], np.float32), labelDtype="f32")
        self.assertEqual(Rows.open(str(self.path), (1,)).targets().dtype, np.int32)

    def test_a_model_may_take_another_shape(self) -> None:
        rows = Rows.of(np.arange(12, dtype=np.float32).reshape(2, 6), np.array([0, 1]))
        self.assertEqual(rows.shaped((1, 2, 3)).features().shape, (2, 1, 2, 3))
        with self.assertRaises(JobError):
            rows.shaped((5,))

    def test_what_does_not_fit_is_refused(self) -> None:
        write_rows(self.path, np.zeros((2, 4), np.float32), np.array([0, 1], np.int32))
        with self.assertRaisesRegex(JobError, r"4 numbers; the model takes \(5,\)"):
            Rows.open(str(self.path), (5,))
        self.path.write_bytes(self.path.read_bytes()[:-1])
        with self.assertRaises(JobError):
            Rows.open(str(self.path), (4,))
        self.path.write_bytes(b"\x93NUMPY" + bytes(20))
        with self.assertRaisesRegex(JobError, "no file of rows"):
            Rows.open(str(self.path), (4,))


if __name__ == "__main__":
    unittest.main()
