# SPDX-License-Identifier: Apache-2.0
"""The recurrent network that SAC-GRU's actor and QMIX's agent share: dense layers, a GRU with the pool's mean state as context, dense
layers, a linear head that also sees the features. In JAX and as ONNX; per server, so any number of servers."""

import jax
import jax.numpy as jnp
import numpy as np

from . import simlib
from .graph import Graph


def init(seed, pre, hidden, post, outs):
    """pre, post: widths of the dense layers before and after the GRU."""
    f, p = simlib.sizes()
    r = np.random.default_rng(seed)
    w = lambda i, o, g=1.0: (r.standard_normal((i, o)) * g / np.sqrt(i)).astype(np.float32)
    z = lambda *s: np.zeros(s, np.float32)
    out = {"in_server": w(f, pre[0]), "in_pool": w(p, pre[0], 0.7), "in_b": z(pre[0])}
    for i in range(1, len(pre)):
        out |= {f"pre{i}": w(pre[i - 1], pre[i]), f"pre{i}_b": z(pre[i])}
    h3 = 3 * hidden
    out |= {
        "gru_x": w(pre[-1], h3), "gru_h": w(hidden, 2 * hidden), "gru_n": w(hidden, hidden), "gru_ctx": w(hidden, h3, 0.5),
        "gru_b": np.concatenate([np.full(hidden, -1.0), np.zeros(2 * hidden)]).astype(np.float32),
    }
    last = hidden
    for i, width in enumerate(post):
        out |= {f"post{i}": w(last, width), f"post{i}_b": z(width)}
        last = width
    return out | {"head_h": w(last, outs, 0.1), "head_x": w(pre[-1], outs, 0.1), "head_s": z(f, outs), "head_b": z(outs)}


def from_marl(w, seed, outs, first):
    """Warm start: the distilled policy's trunk and its head of the log weight as output `first`."""
    shape = init(seed, [w["in_b"].size], w["gru_n"].shape[0], [], outs)
    out = {k: np.array(w[k]) if k in w and not k.startswith("head") else v for k, v in shape.items()}
    for k in ("head_h", "head_x", "head_s", "head_b"):
        out[k] = np.zeros_like(shape[k]) if k != "head_b" else shape[k] * 0
        out[k][..., first] = np.asarray(w[k])[..., 0] * w["gain"][0]
    # The distilled policy stands on the Kalman weight, this one on the configured: the difference is a feature (1.5 x its log).
    out["head_s"][0, first] += 1 / 1.5
    return out


def hidden_size(w):
    return w["gru_n"].shape[0]


def step(w, h, server, pool, mask):
    """h [..., N, H], server [..., N, F], pool [..., P], mask [..., N] -> h', outputs [..., N, outs]"""
    hid = h.shape[-1]
    n = jnp.maximum(mask.sum(-1), 1)[..., None, None]
    x = jnp.tanh(server @ w["in_server"] + (pool @ w["in_pool"])[..., None, :] + w["in_b"])
    i = 1
    while f"pre{i}" in w:
        x, i = jnp.tanh(x @ w[f"pre{i}"] + w[f"pre{i}_b"]), i + 1
    ctx = (h * mask[..., None]).sum(-2, keepdims=True) / n
    pre = x @ w["gru_x"] + ctx @ w["gru_ctx"] + w["gru_b"]
    zr = jax.nn.sigmoid(pre[..., : 2 * hid] + h @ w["gru_h"])
    z, r = zr[..., :hid], zr[..., hid:]
    c = jnp.tanh(pre[..., 2 * hid :] + (r * h) @ w["gru_n"])
    h = h + z * (c - h)
    y, i = h, 0
    while f"post{i}" in w:
        y, i = jnp.tanh(y @ w[f"post{i}"] + w[f"post{i}_b"]), i + 1
    return h, y @ w["head_h"] + x @ w["head_x"] + server @ w["head_s"] + w["head_b"]


def centred(x, mask):
    return (x - (x * mask).sum(-1, keepdims=True) / jnp.maximum(mask.sum(-1, keepdims=True), 1)) * mask


class OnnxTrunk:
    """The same in a graph; afterwards h (state), out (all outputs), mask3 and count are names of values."""

    def __init__(self, w, names, state):
        """state: name of the hidden state's value, or what makes it from the graph."""
        g, hid = Graph(), hidden_size(w)
        state = state(g) if callable(state) else state
        W = {k: g.param(k, w[k]) for k in names}
        self.g, self.W, self.hid = g, W, hid
        self.mask3 = g.unsqueeze("mask", 2)
        self.count = g.op("Max", g.sum(self.mask3, 1), g.const([1.0]))
        dense = lambda x, k: g.op("Tanh", g.add(g.matmul(x, W[k]), W[f"{k}_b"]))
        x = g.op("Tanh", g.add(g.matmul("server", W["in_server"]), g.unsqueeze(g.add(g.matmul("pool", W["in_pool"]), W["in_b"]), 1)))
        for i in range(1, 9):
            x = dense(x, f"pre{i}") if f"pre{i}" in W else x
        ctx = g.masked_mean(state, self.mask3, self.count)
        pre = g.add(g.matmul(x, W["gru_x"]), g.add(g.matmul(ctx, W["gru_ctx"]), W["gru_b"]))
        pre_zr, pre_c = g.split(pre, 2, [2 * hid, hid])
        z, r = g.split(g.op("Sigmoid", g.add(pre_zr, g.matmul(state, W["gru_h"]))), 2, [hid, hid])
        c = g.op("Tanh", g.add(pre_c, g.matmul(g.mul(r, state), W["gru_n"])))
        self.h = y = g.add(state, g.mul(z, g.sub(c, state)))
        for i in range(9):
            y = dense(y, f"post{i}") if f"post{i}" in W else y
        self.out = g.add(g.matmul(y, W["head_h"]), g.matmul(x, W["head_x"]), g.matmul("server", W["head_s"]), W["head_b"])

    def centred(self, x):
        """x [B,N,1]"""
        return self.g.mul(self.g.sub(x, self.g.masked_mean(x, self.mask3, self.count)), self.mask3)

    def finish(self, name, size, offset, state, extra_inputs=(), action=None, meta=None):
        g, (f, p) = self.g, simlib.sizes()
        outs = [("log_weight", ["B", "N"], g.squeeze(offset, 2)), ("bias", ["B", "N"], g.mul("mask", g.const([0.0]))),
                ("state_out", ["B", "N", size], g.mul(state, self.mask3))]
        if action:
            outs.append(("action", ["B", "N"], g.squeeze(action, 2)))
        return g.model(
            name,
            [("server", ["B", "N", f]), ("pool", ["B", p]), ("mask", ["B", "N"]), ("state", ["B", "N", size]), *extra_inputs],
            outs,
            {"observation_schema": simlib.schema(), "base": "configured", "native_step_ms": 200, "state_size": size, **(meta or {})},
        )
