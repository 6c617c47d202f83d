# SPDX-License-Identifier: Apache-2.0
"""The default model: a GRU per server, shared, with the pool's mean hidden state as context; two heads on the Kalman weight: an
offset of its logarithm and a bias in flows. Twice the same network: `step` in JAX for training, `to_onnx` for use.

The bias has three parts: what the other load balancers have there beyond the server's share (the head's), the level of kappa, and a
spread of kappa over (load balancer, server) by the observation's stratum. Level and spread follow the pool's features, one pair for own
counts and one for counts that are shared; kappa itself is 1, so that a VIP's trust measures from SED as it is configured.

A model file may hold several networks, trained from different seeds, and decides by the mean of what they say: what each got wrong by chance in
training cancels in part."""

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import numpy_helper

from . import simlib
from .graph import Graph

PF_M, PF_LOAD = 1, 2  # pool features (observe_features.c): log M - 1; .8 log(own flows per server + .05)
SF_OFFSET, SF_CONFIGURED = 0, 1  # 1.5 x log Kalman over configured; 1.5 x log configured, both centred


def init(seed, hidden=16, inner=16):
    f, p = simlib.sizes()
    r = np.random.default_rng(seed)
    w = lambda i, o, g=1.0: (r.standard_normal((i, o)) * g / np.sqrt(i)).astype(np.float32)
    z = lambda *s: np.zeros(s, np.float32)
    h3 = 3 * hidden
    return {
        "in_server": w(f, inner), "in_pool": w(p, inner, 0.7), "in_b": z(inner),
        "gru_x": w(inner, h3), "gru_h": w(hidden, 2 * hidden), "gru_n": w(hidden, hidden), "gru_ctx": w(hidden, h3, 0.5),
        "gru_b": np.concatenate([np.full(hidden, -1.0), np.zeros(2 * hidden)]).astype(np.float32),
        "head_h": w(hidden, 2, 0.1), "head_x": w(inner, 2, 0.1), "head_s": z(f, 2), "head_b": z(2),
        "gain": np.asarray([1.0, 0.6], np.float32),
        # Logarithms of level and spread, from the pool's features; the spread is also scaled by 1 - 1 / M.
        "kappa_own": z(p, 2), "kappa_own_b": np.log([0.5, 1.1]).astype(np.float32),
        "shared_kappa": z(p, 2), "shared_kappa_b": np.log([1.0, 0.6]).astype(np.float32),
        # A head of the offset for shared counts; es.train begins it at the distilled one.
        "shared_head_h": z(hidden, 1), "shared_head_x": z(inner, 1), "shared_head_s": z(f, 1),
    }


def with_shared_heads(w):
    """Shared counts begin at the offset of own counts."""
    return {**w, **{f"shared_{k}": np.asarray(w[k])[:, :1] * w["gain"][0] for k in ("head_h", "head_x", "head_s")}}


def from_file(path, shape, member=0):
    """The parameters of a network in a model file (of several the one of that number, from 0), in `shape`'s arrays. What it does not have is as
    in `shape` where it is a parameter of its own, and 0 where it is the row of a feature that the file's schema did not have: the network does
    what the file's does."""
    held = {t.name[2:]: numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer if t.name.startswith("w.")}
    several = {k.split(".")[0] for k in held if "." in k}
    if several:
        own = f"{member % len(several) + 1}."
        held = {k[len(own):]: v for k, v in held.items() if k.startswith(own)}
    out = {}
    for k, v in shape.items():
        if k not in held:
            out[k] = v
            continue
        have = held[k]
        rows = v.shape[0] - have.shape[0]
        if rows < 0 or v.shape[1:] != have.shape[1:]:
            raise SystemExit(f"{path}: its {k} is {have.shape}, this network's is {v.shape}")
        out[k] = np.concatenate([have, np.zeros((rows, *have.shape[1:]), np.float32)]).astype(np.float32)
    return out


def hidden_size(params):
    return params["gru_n"].shape[0]


def excess_unit(server, pool):
    """sqrt(expected flows of the other load balancers + .5): [..., N, F], [..., P] -> [..., N]"""
    others = (jnp.exp(pool[..., PF_M] + 1) - 1) * (jnp.exp(pool[..., PF_LOAD] / 0.8) - 0.05)
    share = jnp.exp((server[..., SF_OFFSET] + server[..., SF_CONFIGURED]) / 1.5)
    return jnp.sqrt(jnp.maximum(others[..., None] * share, 0) + 0.5)


def bias_unit(server, pool):
    """The bias of one unit of excess, in flows: a share 1 / M of it, since all M load balancers see it and answer it at once."""
    return excess_unit(server, pool) / jnp.exp(pool[..., PF_M] + 1)[..., None]


def step(w, h, server, pool, mask):
    """One step. h [G,N,H], server [G,N,F], pool [G,P], mask [G,N] -> h', log-weight offset [G,N], head of the bias [G,N]."""
    hid = h.shape[-1]
    n = jnp.maximum(mask.sum(-1), 1)[:, None]
    x = jnp.tanh(server @ w["in_server"] + (pool @ w["in_pool"])[:, None, :] + w["in_b"])
    ctx = (h * mask[..., None]).sum(1, keepdims=True) / n[..., None]
    pre = x @ w["gru_x"] + ctx @ w["gru_ctx"] + w["gru_b"]
    zr = jax.nn.sigmoid(pre[..., : 2 * hid] + h @ w["gru_h"])
    z, r = zr[..., :hid], zr[..., hid:]
    c = jnp.tanh(pre[..., 2 * hid :] + (r * h) @ w["gru_n"])
    h = h + z * (c - h)
    out = h @ w["head_h"] + x @ w["head_x"] + server @ w["head_s"] + w["head_b"]
    lw = out[..., 0]
    lw = (lw - (lw * mask).sum(-1, keepdims=True) / n) * mask
    return h, lw, out[..., 1] * mask


def _member(g, w, prefix, state, m3, count):
    """One network in the graph: its next state, log-weight offset [B,N,1], belief about the others [B,N,1], logs of level and spread [B,2]."""
    hid = hidden_size(w)
    W = {k: g.param(prefix + k, v) for k, v in w.items()}
    pooled = g.unsqueeze(g.add(g.matmul("pool", W["in_pool"]), W["in_b"]), 1)
    x = g.op("Tanh", g.add(g.matmul("server", W["in_server"]), pooled))
    ctx = g.masked_mean(state, m3, count)
    pre = g.add(g.matmul(x, W["gru_x"]), g.add(g.matmul(ctx, W["gru_ctx"]), W["gru_b"]))
    pre_zr, pre_c = g.split(pre, 2, [2 * hid, hid])
    z, r = g.split(g.op("Sigmoid", g.add(pre_zr, g.matmul(state, W["gru_h"]))), 2, [hid, hid])
    c = g.op("Tanh", g.add(pre_c, g.matmul(g.mul(r, state), W["gru_n"])))
    h = g.add(state, g.mul(z, g.sub(c, state)))
    out = g.add(g.matmul(h, W["head_h"]), g.matmul(x, W["head_x"]), g.matmul("server", W["head_s"]), W["head_b"])
    lw, bias = g.split(g.mul(out, W["gain"]), 2, [1, 1])
    own = g.sub(g.const([1.0]), "shared")  # [B, 1]
    lw_shared = g.add(g.matmul(h, W["shared_head_h"]), g.matmul(x, W["shared_head_x"]), g.matmul("server", W["shared_head_s"]))
    lw = g.add(g.mul(g.unsqueeze(own, 2), lw), g.mul(g.unsqueeze("shared", 2), lw_shared))
    logs = lambda kind: g.add(g.matmul("pool", W[kind]), W[kind + "_b"])
    return h, lw, g.clip(bias, -4.0, 4.0), g.add(g.mul(own, logs("kappa_own")), g.mul("shared", logs("shared_kappa")))


def to_onnx(w, extra=None):
    """The same as ONNX; see models/FORMAT.md for inputs and outputs. A list of networks decides by the mean of what they say: each keeps a
    state of its own, the states lie one behind the other."""
    members = w if isinstance(w, list) else [w]
    f, p = simlib.sizes()
    sizes, g = [hidden_size(m) for m in members], Graph()
    m3 = g.unsqueeze("mask", 2)
    count = g.op("Max", g.sum(m3, 1), g.const([1.0]))
    prefix = ["" if len(members) == 1 else f"{i + 1}." for i in range(len(members))]
    states = ["state"] if len(members) == 1 else g.split("state", 2, sizes)
    said = [_member(g, m, name, state, m3, count) for m, name, state in zip(members, prefix, states)]
    mean = lambda i: said[0][i] if len(said) == 1 else g.mul(g.add(*(s[i] for s in said)), g.const([1 / len(said)]))
    h = said[0][0] if len(said) == 1 else g.op("Concat", *(s[0] for s in said), axis=2)
    lw, bias, logs = mean(1), mean(2), mean(3)
    one = g.const([1.0])
    own = g.sub(one, "shared")
    lw = g.squeeze(g.mul(g.sub(lw, g.masked_mean(lw, m3, count)), m3), 2)
    lw = g.clip(lw, -4.0, 4.0)
    # others = (M - 1) x own flows per server x the server's share
    m = g.op("Exp", g.add(g.slice("pool", 1, PF_M, PF_M + 1), g.const([1.0])))
    load = g.op("Exp", g.mul(g.slice("pool", 1, PF_LOAD, PF_LOAD + 1), g.const([1 / 0.8])))
    others = g.mul(g.sub(m, g.const([1.0])), g.sub(load, g.const([0.05])))
    off = g.add(g.slice("server", 2, SF_OFFSET, SF_OFFSET + 1), g.slice("server", 2, SF_CONFIGURED, SF_CONFIGURED + 1))
    share = g.op("Exp", g.mul(g.squeeze(off, 2), g.const([1 / 1.5])))
    unit = g.op("Sqrt", g.add(g.op("Max", g.mul(others, share), g.const([0.0])), g.const([0.5])))
    excess = g.mul(g.squeeze(bias, 2), g.op("Div", unit, m))
    level, spread = g.split(g.op("Exp", g.clip(logs, -4.0, 1.0)), 1, [1, 1])
    spread = g.mul(spread, g.sub(one, g.op("Div", one, m)))
    kappa = g.add(level, g.mul(spread, g.sub("stratum", g.const([0.5]))))  # [B, N]
    bias = g.mul(g.add(g.sub(kappa, one), g.mul(own, excess)), "mask")
    meta = {"observation_schema": simlib.schema(), "base": "kalman", "kappa": 1, "native_step_ms": 200, "state_size": sum(sizes), **(extra or {})}
    return g.model(
        "marl",
        [("server", ["B", "N", f]), ("pool", ["B", p]), ("mask", ["B", "N"]), ("state", ["B", "N", sum(sizes)]),
         ("stratum", ["B", "N"]), ("shared", ["B", 1])],
        [("log_weight", ["B", "N"], lw), ("bias", ["B", "N"], bias), ("state_out", ["B", "N", sum(sizes)], g.mul(h, m3))],
        meta,
    )
