# SPDX-License-Identifier: Apache-2.0
import json
import math
import tempfile
import unittest
from pathlib import Path

import numpy as np

from marllb_train import marl, simlib
from marllb_train.common import Validation
from marllb_train.graph import flatten
from marllb_train.simlib import Family, Model, SimError, World


def silent(hidden=16):
    """A model whose heads say nothing: the Kalman filter."""
    w = marl.init(3, hidden, hidden)
    return {k: np.zeros_like(v) if k.startswith("head") else v for k, v in w.items()}


def plain(w):
    """Kappa 1 / load balancers at every server: the level's logarithm is -log M, and the pool's feature is log M - 1."""
    w = {k: v.copy() for k, v in w.items()}
    w["kappa_own"][marl.PF_M, 0], w["kappa_own_b"][:] = -1, (-1, -99)
    return w


class SimlibTest(unittest.TestCase):
    def test_same_seed_same_result(self):
        a, b = (World(Family(), 11, 4).run("kalman+sed") for _ in range(2))
        self.assertEqual(a, b)
        self.assertNotEqual(a["mean"], World(Family(), 11, 5).run("kalman+sed")["mean"])

    def test_references_of_another_simulator_are_measured_anew(self):
        with tempfile.TemporaryDirectory() as tmp:
            first = Validation(2, tmp, ("SED",)).ref["SED"]
            file = Path(tmp) / "references-v1.json"
            self.assertEqual(json.loads(file.read_text())["SED"], first)
            file.write_text(json.dumps({"SED": [{**r, "mean": r["mean"] * 2} for r in first]}))
            self.assertEqual(Validation(2, tmp, ("SED",)).ref["SED"], first)

    def test_a_silent_model_is_kalman(self):
        m = Model(marl.to_onnx(plain(silent())))
        d = []
        for i in range(40):
            w = World(Family(), 12, i)
            d.append(math.log(w.run("model+sed", m)["mean"] / w.run("kalman+sed")["mean"]))
        # Weights in float instead of double break ties otherwise, so runs part but must not differ on average.
        self.assertLess(abs(np.mean(d)), 0.004)
        self.assertLess(np.abs(d).max(), 0.1)

    def test_parameters_change_the_run(self):
        w = marl.init(3)
        m, world = Model(marl.to_onnx(w)), World(Family(n_lo=8, n_hi=9), 12, 1)
        before = world.run("model+sed", m)["mean"]
        self.assertEqual(m.params, flatten(w).size)
        np.testing.assert_array_equal(m.get(), flatten(w))
        m.set(flatten(w) + 0.3)
        self.assertNotEqual(before, world.run("model+sed", m)["mean"])
        m.set(flatten(w))
        self.assertEqual(before, world.run("model+sed", m)["mean"])

    def test_trace_is_the_run(self):
        m, w = Model(marl.to_onnx(silent())), World(Family(n_lo=6, n_hi=7, m_lo=3, m_hi=3), 12, 2)
        a, result = w.trace(m, 140)
        plain = w.run("model+sed", m)
        for k in ("mean", "p99", "jobs"):  # reading the truth advances servers in smaller steps: rounding
            self.assertAlmostEqual(result[k] / plain[k], 1, 5)
        self.assertEqual(a["server"].shape, (3, 140, 6, simlib.sizes()[0]))
        self.assertTrue((a["present"] >= 1).all())
        self.assertTrue(np.isfinite(a["base"]).all())
        self.assertTrue((a["capacity"] >= 0).all() and a["capacity"].max() > 0)
        for kind, key in ((0, "server"), (1, "pool")):
            lo, hi = (np.array([f[i] for f in simlib.features(kind)]) for i in (2, 3))
            self.assertTrue((a[key] >= lo - 1e-3).all() and (a[key] <= hi + 1e-3).all(), key)

    def test_masked_blocks_are_zero(self):
        m = Model(marl.to_onnx(silent()))
        blocks = [b for _, b, _, _ in simlib.features(0)]
        seen = set()
        for i in range(12):
            w = World(Family(n_hi=9, m_hi=2, p_mask=1), 13, i)
            a, _ = w.trace(m, 140, want=("server",))
            for k, b in enumerate(blocks):
                if not int(w.info["mask"]) & b:
                    self.assertEqual(np.abs(a["server"][..., k]).max(), 0)
            seen.add(w.info["mask"])
        self.assertGreater(len(seen), 1)

    def test_a_strategy_that_is_none(self):
        with self.assertRaisesRegex(SimError, "nonsense"):
            World(Family(), 1, 1).run("nonsense+sed")

    def test_a_model_of_another_schema_is_refused(self):
        with self.assertRaisesRegex(SimError, "schema"):
            Model(marl.to_onnx(silent(), {"observation_schema": 999}))


if __name__ == "__main__":
    unittest.main()
