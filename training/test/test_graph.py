# SPDX-License-Identifier: Apache-2.0
"""The evaluator in C, onnxruntime and the JAX function agree."""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import onnxruntime

from marllb_train import marl, qmix, sac, simlib
from marllb_train.graph import Graph, flatten, unflatten

MODELS = Path(__file__).resolve().parents[2] / "models"


def reference(onnx_bytes, inputs):
    s = onnxruntime.InferenceSession(onnx_bytes, providers=["CPUExecutionProvider"])
    return s.run(None, {i.name: x for i, x in zip(s.get_inputs(), inputs)})


def example(batch, n, state, seed=0):
    f, p = simlib.sizes()
    r = np.random.default_rng(seed)
    x = [r.standard_normal(s).astype(np.float32) for s in ((batch, n, f), (batch, p), (batch, n), (batch, n, state))]
    x[2] = (x[2] > -1).astype(np.float32)
    x[2][:, 0] = 1
    return x


def with_strata(x, shared=0.0, seed=9):
    batch, n = x[2].shape
    return [*x, np.random.default_rng(seed).random((batch, n), np.float32), np.full((batch, 1), shared, np.float32)]


def check(test, onnx_bytes, inputs, tol=2e-5):
    want = reference(onnx_bytes, inputs)
    got = simlib.evaluate(onnx_bytes, inputs, len(want))
    for a, b in zip(want, got):
        test.assertEqual(a.size, b.size)
        np.testing.assert_allclose(b, a.ravel(), rtol=tol, atol=tol)


class GraphTest(unittest.TestCase):
    def test_every_op(self):
        g = Graph()
        r = np.random.default_rng(1)
        w = g.param("w", r.standard_normal((6, 21)))
        v = g.param("v", r.standard_normal((5, 6)))
        b = g.param("b", r.standard_normal(5))
        pos = g.add(g.op("Abs", "x"), g.const([0.5]))
        cut = g.slice("x", 1, 1, -1)
        a, c = g.split("x", 2, [2, 4])
        outs = [
            (g.matmul("x", w), 3), (g.op("Gemm", "y", v, b, transB=1), 2), (g.op("Softplus", "x"), 3), (g.op("Log", pos), 3),
            (g.op("Sqrt", pos), 3), (g.op("Relu", "x"), 3), (g.op("Neg", cut), 3), (g.op("Concat", c, a, axis=2), 3),
        ]
        self._compare(g, outs)
        g = Graph()
        m = g.const(np.linspace(-1, 1, 6))
        outs = [
            (g.sum("x", 1), 3), (g.op("ReduceMean", "x", axes=[0, 2], keepdims=0), 1), (g.op("ReduceMax", "x", axes=[2]), 3),
            (g.op("Min", "x", g.unsqueeze("y", 1)), 3), (g.op("Max", "y", m), 2), (g.op("Div", "x", g.const([3.0])), 3),
            (g.squeeze(g.sum("x", 2), 2), 2), (g.op("Gather", m, g.op("ArgMax", "x", axis=2, keepdims=0)), 2),
        ]
        self._compare(g, outs)

    def _compare(self, g, outs):
        r = np.random.default_rng(2)
        x, y = r.standard_normal((3, 4, 6)).astype(np.float32), r.standard_normal((3, 6)).astype(np.float32)
        data = g.model("ops", [("x", [3, 4, 6]), ("y", [3, 6])],
                       [(f"o{i}", [f"d{i}{k}" for k in range(rank)], v) for i, (v, rank) in enumerate(outs)], {})
        check(self, data, [x, y])

    def test_a_start_from_an_older_schema_does_the_same(self):
        """A file of schema 2, widened to the present features: new ones have no weight, whatever they hold."""
        with mock.patch.object(simlib, "sizes", lambda: (20, 10)):
            data = marl.to_onnx(marl.init(3))
        with tempfile.NamedTemporaryFile(suffix=".onnx") as f:
            f.write(data)
            f.flush()
            w = marl.from_file(f.name, marl.init(1))
            with self.assertRaises(SystemExit):
                marl.from_file(f.name, marl.init(1, hidden=24))
        x = with_strata(example(2, 5, 16))
        held = reference(data, [x[0][..., :20], x[1][..., :10], *x[2:]])
        for a, b in zip(held, reference(marl.to_onnx(w), x)):
            np.testing.assert_allclose(b, a, rtol=2e-5, atol=2e-5)

    def test_marl_in_three_ways(self):
        w = marl.init(5, 24, 16)
        data = marl.to_onnx(w)
        for batch, n in ((1, 1), (1, 13), (5, 64)):
            x = with_strata(example(batch, n, 24, n))
            check(self, data, x)
            h, lw, bias = marl.step(w, x[3], x[0], x[1], x[2])
            o = reference(data, x)
            np.testing.assert_allclose(np.clip(lw * w["gain"][0], -4, 4), o[0], atol=2e-5)
            excess = np.clip(bias * w["gain"][1], -4, 4) * marl.bias_unit(x[0], x[1])
            spread = (1 - 1 / np.exp(x[1][:, 1:2] + 1)) * (x[4] - 0.5)
            level, wide = np.exp(w["kappa_own_b"])
            np.testing.assert_allclose((level - 1 + wide * spread + excess) * x[2], o[1], atol=2e-3, rtol=1e-3)
            np.testing.assert_allclose(h * x[2][..., None], o[2], atol=2e-5)
            # Where counts are shared, another level and spread, and no excess.
            x = with_strata(x[:4], shared=1.0)
            check(self, data, x)
            level, wide = np.exp(w["shared_kappa_b"])
            np.testing.assert_allclose((level - 1 + wide * spread) * x[2], reference(data, x)[1], atol=1e-4)

    def test_several_decide_by_their_mean(self):
        ws = [marl.init(5, 24, 16), marl.init(6, 16, 16)]
        data = marl.to_onnx(ws)
        for shared in (0.0, 1.0):
            x = with_strata(example(3, 7, 40), shared)
            check(self, data, x)
            alone = [reference(marl.to_onnx(w), [*x[:3], state, *x[4:]]) for w, state in zip(ws, np.split(x[3], [24], 2))]
            got = reference(data, x)
            np.testing.assert_allclose(got[0], (alone[0][0] + alone[1][0]) / 2, atol=2e-5)
            np.testing.assert_allclose(got[1], (alone[0][1] + alone[1][1]) / 2, atol=2e-5)
            np.testing.assert_allclose(got[2], np.concatenate([alone[0][2], alone[1][2]], 2), atol=2e-5)
        for i, w in enumerate(ws):
            with tempfile.NamedTemporaryFile(suffix=".onnx") as f:
                f.write(data)
                f.flush()
                held = marl.from_file(f.name, w, i)
            for k in w:
                np.testing.assert_array_equal(held[k], w[k])

    def test_padding_changes_nothing(self):
        data = marl.to_onnx(marl.init(5))
        x = with_strata(example(1, 9, 16))
        x[2][:] = 1
        wide = [np.pad(x[0], ((0, 0), (0, 5), (0, 0)), constant_values=7), x[1], np.pad(x[2], ((0, 0), (0, 5))),
                np.pad(x[3], ((0, 0), (0, 5), (0, 0)), constant_values=-3),
                np.pad(x[4], ((0, 0), (0, 5))), x[5]]
        for a, b in zip(reference(data, x), reference(data, wide)):
            np.testing.assert_allclose(a, b[:, :9], atol=1e-5)

    def test_sac_gru_in_three_ways(self):
        for conf in (
            {"seed": 2, "pre": [12, 10], "hidden": 8, "post": [9], "reach": 4.0, "log_std": -1.0, "grid": None},
            {"seed": 2, "pre": [12], "hidden": 8, "post": [], "reach": 0.4, "log_std": -1.0, "grid": [1.0, 1.2, 1.4]},
        ):
            w = sac.init(conf)
            x = example(2, 11, 8)
            data = sac.to_onnx(w, conf)
            check(self, data, x)
            obs = {"server": x[0], "pool": x[1], "mask": x[2]}
            h, mean, _ = sac.actor(w, x[3], obs, conf["reach"])
            o = reference(data, x)
            want = conf["reach"] * np.tanh(mean) * x[2]
            if conf["grid"]:
                grid = np.log(conf["grid"])
                want = grid[np.abs(want[..., None] - grid).argmin(-1)]
            np.testing.assert_allclose(want, o[0], atol=2e-5)
            np.testing.assert_allclose(h * x[2][..., None], o[2], atol=2e-5)
            # Without noise the noisy graph is the plain one.
            noisy = sac.to_onnx(w, conf, noise=True)
            zero = reference(noisy, [*x, np.zeros((2, 11, 1), np.float32)])
            np.testing.assert_allclose(zero[0], o[0], atol=2e-4)
            self.assertEqual(len(zero), 4)

    def test_qmix_in_three_ways(self):
        for absolute in (False, True):
            conf = {"seed": 2, "pre": [12], "hidden": 8, "post": [9], "reach": 4.0, "beta": 2.0, "absolute": absolute,
                    "actions": [-0.3, -0.1, 0.0, 0.1, 0.3]}
            w = qmix.init(conf)
            x = example(2, 11, 9)
            data = qmix.to_onnx(w, conf)
            check(self, data, x)
            obs, z = {"server": x[0], "pool": x[1], "mask": x[2]}, x[3][..., 8]
            h, u = qmix.utilities(w, x[3][..., :8], z, obs, np.float32(conf["actions"]), absolute)
            inc = np.float32(conf["actions"])[np.asarray(u).argmax(-1)]
            want = qmix.moved(z, inc, x[2], absolute, conf["reach"])
            o = reference(data, x)
            np.testing.assert_allclose(want, o[0], atol=2e-5)
            np.testing.assert_allclose(np.concatenate([h, want[..., None]], -1) * x[2][..., None], o[2], atol=2e-5)
            # A thousand at one action makes it that action.
            noise = np.zeros((2, 11, 5), np.float32)
            noise[..., 4] = 1000
            forced = reference(qmix.to_onnx(w, conf, noise=True), [*x, noise])
            np.testing.assert_allclose(forced[3], 0.3, atol=1e-6)

    def test_parameters_have_one_order(self):
        """Whatever order a dict has, the vector set in the simulator is the graph's own."""
        conf = {"seed": 2, "pre": [12], "hidden": 8, "post": [9], "reach": 4.0, "beta": 2.0, "absolute": False, "actions": [-0.1, 0.1],
                "log_std": -1.0, "grid": None}
        for make, w in ((marl.to_onnx, marl.init(3)), (lambda w: sac.to_onnx(w, conf), sac.init(conf)),
                        (lambda w: qmix.to_onnx(w, conf), qmix.init(conf))):
            for order in (sorted(w), sorted(w, reverse=True), list(w)):
                shuffled = {k: w[k] for k in order}
                np.testing.assert_array_equal(simlib.Model(make(shuffled)).get(), flatten(shuffled))
                back = unflatten(flatten(shuffled), w)
                for k in w:
                    np.testing.assert_array_equal(back[k], w[k])

    def test_mixing_is_monotonic(self):
        m = qmix.mixer_init(4)
        r = np.random.default_rng(0)
        u, token = r.standard_normal((3, 2, 5)).astype(np.float32), r.standard_normal((3, 2, 5, qmix.TOKEN)).astype(np.float32)
        live = np.ones((3, 2, 5), np.float32)
        live[:, :, 4] = 0
        q = np.asarray(qmix.mix(m, u, token, live))
        for i in range(2):
            for j in range(5):
                v = u.copy()
                v[:, i, j] += 1
                d = np.asarray(qmix.mix(m, v, token, live)) - q
                self.assertTrue((d > 0).all() if j < 4 else np.abs(d).max() == 0)

    def test_shipped_models(self):
        found = sorted(MODELS.glob("*.onnx"))
        if not found:
            self.skipTest("models/ holds no model")
        for path in found:
            with self.subTest(path.name):
                data = path.read_bytes()
                inputs = onnxruntime.InferenceSession(data).get_inputs()
                server, pool, state = inputs[0].shape[2], inputs[1].shape[1], inputs[3].shape[2]  # of its schema: the first ones
                for batch, n in ((1, 3), (2, 40)):
                    x = example(batch, n, state, n)
                    x = [x[0][..., :server], x[1][..., :pool], *x[2:]]
                    check(self, data, with_strata(x) if len(inputs) > 4 else x)
                simlib.Model(data)
                self.assertTrue(path.with_suffix(".md").exists(), "model card")


if __name__ == "__main__":
    unittest.main()
