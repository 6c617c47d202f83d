# SPDX-License-Identifier: Apache-2.0
"""Configurations: every shipped one is whole; what is wrong is said in a sentence, and nothing is written."""

import json
import tempfile
import unittest
from pathlib import Path

from marllb_train import conf
from marllb_train.common import Run


def smoke(model, *overrides):
    return conf.load(model, "smoke", overrides)


class ConfTest(unittest.TestCase):
    def refused(self, why, f, *args):
        with self.assertRaises(SystemExit) as e:
            f(*args)
        self.assertIn(why, str(e.exception))

    def test_every_shipped_one_is_whole(self):
        files = sorted((conf.HERE / "configs").glob("*/*.json"))
        self.assertGreaterEqual(len(files), 10)
        for f in files:
            self.assertEqual(conf.load(f.parent.name, f.stem), json.loads(f.read_text()))

    def test_overrides(self):
        c = smoke("marl", "hidden=24", "es.stages.1.pairs=3", "es.stages.0.scale.gain=2", "distil.lr=1")
        self.assertEqual((c["hidden"], c["es"]["stages"][1]["pairs"], c["es"]["stages"][0]["scale"]["gain"]), (24, 3, 2))
        self.assertEqual(smoke("qmix", 'reward="fairness"', "marl=null")["reward"], "fairness")

    def test_wrong_overrides_are_refused(self):
        for item, why in (
            ("hiden=24", "there is no hiden; nearest is hidden"),
            ("es.stage.0.pairs=3", "there is no es.stage; nearest is stages"),
            ("es.stages.2.pairs=3", "there is no es.stages.2"),
            ("seed.x=3", "there is no seed.x"),
            ("hidden", "expected KEY=VALUE"),
            ("hidden=", "'' is no JSON"),
            ("hidden=many", "'many' is no JSON"),
            ('hidden="24"', "hidden is a string, expected a number"),
            ("hidden=2.5", "hidden is 2.5, expected a whole number"),
            ("hidden=-1", "hidden is -1, expected a whole number"),
            ("seed=true", "seed is true or false, expected a number"),
            ("es.stages=[]x", "is no JSON"),
            ("es.stages=[3]", "es.stages.0 is a number, expected an object"),
            ("es.stages.0.scale.gain=null", "es.stages.0.scale.gain is null, expected a number"),
            ("distil={}", "distil.start is missing"),
        ):
            self.refused(why, smoke, "marl", item)

    def test_wrong_files_are_refused(self):
        self.refused("no configuration", conf.load, "marl", "none")
        with tempfile.TemporaryDirectory() as tmp:
            file = Path(tmp) / "mine.json"
            file.write_text("{")
            self.refused("no JSON", conf.load, "qmix", str(file))
            file.write_text(json.dumps({**smoke("qmix"), "lamda": 1}))
            self.refused("lamda is no key of this model; nearest is lambda", conf.load, "qmix", str(file))

    def test_another_configuration_leaves_the_folder_as_it_was(self):
        with tempfile.TemporaryDirectory() as tmp:
            run = Run(tmp, {"seed": 1})
            run.note(step=0, loss=1.0)
            run.save(x=1)
            run.note(step=1, loss=0.5)
            self.refused("another configuration", Run, tmp, {"seed": 2})
            self.assertEqual(json.loads((Path(tmp) / "config.json").read_text()), {"seed": 1})
            again = Run(tmp, {"seed": 1})
            self.assertEqual((again.resume()["x"], again.curves), (1, [{"step": 0, "loss": 1.0}]))
            self.assertEqual((Path(tmp) / "curves.jsonl").read_text(), '{"step": 0, "loss": 1.0}\n')
            fresh = Run(tmp, {"seed": 2}, fresh=True)
            self.assertEqual((fresh.resume(), fresh.curves, (Path(tmp) / "curves.jsonl").read_text()), (None, [], ""))

    def test_a_broken_checkpoint_is_said_to_be_one(self):
        with tempfile.TemporaryDirectory() as tmp:
            (Path(tmp) / "checkpoint.pkl").write_bytes(b"\x80\x05half")
            self.refused("cannot be read", Run, tmp, {"seed": 1})


if __name__ == "__main__":
    unittest.main()
