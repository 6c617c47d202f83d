# SPDX-License-Identifier: Apache-2.0
"""A few steps of each training: it runs, exports a model that loads, draws its curves, and resumes where it stopped."""

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from marllb_train import common, conf, pipeline, simlib
from marllb_train.__main__ import main


class Killed(Exception):
    pass


class SmokeTest(unittest.TestCase):
    def test_what_can_be_configured_can_be_trained(self):
        self.assertEqual(sorted(pipeline.TRAIN), conf.models())

    def killed(self, model, at):
        """Ends a run where its save number `at` would be, starts it again, and compares it with one that was left alone."""
        with tempfile.TemporaryDirectory() as tmp:
            argv = lambda name: ["--model", model, "--config", "smoke", "--out", f"{tmp}/{name}/run", "--nice", "0"]
            save, saves = common.Run.save, []

            def fails(run, **state):
                saves.append(0)
                if len(saves) == at:
                    raise Killed
                save(run, **state)

            with mock.patch.object(common.Run, "save", fails), self.assertRaises(Killed):
                main(argv("killed"))
            for name in ("killed", "whole"):
                self.assertEqual(main(argv(name)), 0)
            for file in (f"{model}.onnx", "curves.jsonl", f"{model}.scores.json"):
                a, b = ((Path(tmp) / name / "run" / file).read_bytes() for name in ("killed", "whole"))
                self.assertEqual(a, b, file)

    def test_marl_killed_while_distilling(self):
        self.killed("marl", 2)

    def test_marl_killed_while_evolving(self):
        self.killed("marl", 4)

    def test_sac_gru_killed(self):
        self.killed("sac-gru", 2)

    def test_qmix_killed(self):
        self.killed("qmix", 2)

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

    def test_an_interrupted_run_says_how_it_goes_on(self):
        with tempfile.TemporaryDirectory() as tmp, mock.patch.dict(pipeline.TRAIN, {"qmix": mock.Mock(side_effect=KeyboardInterrupt)}):
            with contextlib.redirect_stderr(io.StringIO()) as err:
                self.assertEqual(main(["--model", "qmix", "--config", "smoke", "--out", tmp, "--nice", "0"]), 130)
            self.assertIn(f"goes on from the last checkpoint in {tmp}", err.getvalue())

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
