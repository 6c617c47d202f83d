# SPDX-License-Identifier: Apache-2.0
"""A few steps of each training: it runs, exports a model that loads, draws its curves, and resumes where it stopped."""

import json
import tempfile
import unittest
from pathlib import Path

from marllb_train import simlib
from marllb_train.__main__ import main


class SmokeTest(unittest.TestCase):
    def smoke(self, model, config="smoke"):
        with tempfile.TemporaryDirectory() as tmp:
            out = Path(tmp) / "run"
            argv = ["--model", model, "--config", config, "--out", str(out), "--nice", "0"]
            self.assertEqual(main(argv), 0)
            data = (out / f"{model}.onnx").read_bytes()
            simlib.Model(data)
            self.assertTrue((out / "curves.png").stat().st_size > 1000)
            rows = [json.loads(x) for x in (out / "curves.jsonl").read_text().splitlines()]
            self.assertGreater(len(rows), 1)
            self.assertTrue((out / "checkpoint.pkl").exists())
            # A finished run resumes to the same model without training anew.
            self.assertEqual(main(argv), 0)
            self.assertEqual((out / f"{model}.onnx").read_bytes(), data)

    def test_marl(self):
        self.smoke("marl")

    def test_sac_gru(self):
        self.smoke("sac-gru")

    def test_qmix(self):
        self.smoke("qmix")

    def test_sac_gru_paper(self):
        self.smoke("sac-gru", "paper-smoke")

    def test_qmix_paper(self):
        self.smoke("qmix", "paper-smoke")


if __name__ == "__main__":
    unittest.main()
