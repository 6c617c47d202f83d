# SPDX-License-Identifier: Apache-2.0
"""Step 1 of the default model: learn to tell what only the simulator knows, true capacities and the other load balancers' share,
on the trajectories that the policy itself makes. Back-propagation through the whole scenario."""

import functools
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax

from . import marl
from .common import DISTIL_MIX, TRAIN_SEED, Progress, describe, drawn_family, parallel
from .conf import HERE
from .graph import flatten
from .simlib import Model, World

BUCKETS = (4, 8, 16, 32, 64, 128)
LBS = 4       # load balancers of a scenario that give gradients
GROUP = 4     # scenarios an update
SKIP = 3      # steps at the start that nobody can know anything at


def bucket(n):
    return next(b for b in BUCKETS if b >= n)


def collect(model, family, index, steps, rng_seed):
    w = World(family, TRAIN_SEED, index)
    a, result = w.trace(model, steps, want=("server", "pool", "listed", "base", "capacity", "busy", "others"))
    pick = np.random.default_rng(rng_seed).permutation(w.m)[:LBS]
    return {k: v[pick] for k, v in a.items()} | {"n": w.n, "result": result, "m": w.m}


def targets(a):
    """Adds masks and targets to one scenario's arrays [G, T, N...]."""
    mask = a["listed"]
    n = np.maximum(mask.sum(-1, keepdims=True), 1)
    cap = np.where(mask > 0, np.maximum(a["capacity"], 1e-6), 1)
    lw = (np.log(cap) - a["base"]) * mask
    lw = (lw - lw.sum(-1, keepdims=True) / n) * mask
    # The bias acts until the next step: aim at the mean of the counts at both ends.
    nxt = np.concatenate([a["others"][:, 1:], a["others"][:, -1:]], 1)
    o = 0.5 * (a["others"] + nxt) * mask
    e = o.sum(-1, keepdims=True) / (cap * mask).sum(-1, keepdims=True).clip(1e-9) * cap
    scale = 1 / np.sqrt(e + 0.5)
    # A server whose cores are not all in use says little of its capacity.
    weight = mask * np.where(a["busy"] >= 0.999, 1.0, 0.3)
    weight[:, :SKIP] = 0
    return {
        "server": a["server"], "pool": a["pool"], "mask": mask, "lw": np.clip(lw, -4, 4), "weight": weight.astype(np.float32),
        "excess": np.clip((o - e) * scale, -3, 3) * mask, "scale": scale.astype(np.float32),
    }


def pad(a, n):
    """To LBS load balancers and n servers."""
    out = {}
    for k, v in a.items():
        wide = [(0, LBS - v.shape[0]), (0, 0)] + ([] if k == "pool" else [(0, n - v.shape[2])]) + [(0, 0)] * (k in ("server", "pool"))
        out[k] = np.pad(v, wide).astype(np.float32)
    return out


def huber(x):
    a = jnp.abs(x)
    return jnp.where(a < 1, 0.5 * a * a, a - 0.5)


def scenario_loss(w, a, excess_weight):
    """a: arrays [G, T, ...] of one scenario."""
    t = {k: jnp.swapaxes(v, 0, 1) for k, v in a.items()}

    # Computing a step again in the backward pass is quicker than fetching all it left behind: memory is the limit, not arithmetic.
    @jax.checkpoint
    def one(h, s):
        h, lw, bias = marl.step(w, h, s["server"], s["pool"], s["mask"])
        bias = bias * marl.excess_unit(s["server"], s["pool"]) * s["scale"]
        live = (s["weight"] > 0).astype(jnp.float32)
        return h, jnp.stack([
            (s["weight"] * huber(lw - s["lw"])).sum(), s["weight"].sum(), (live * huber(bias - s["excess"])).sum(), live.sum(),
        ])

    _, sums = jax.lax.scan(one, jnp.zeros(t["mask"].shape[1:] + (marl.hidden_size(w),)), t)
    s = sums.sum(0)
    lw, ex = s[0] / jnp.maximum(s[1], 1), s[2] / jnp.maximum(s[3], 1)
    return lw + excess_weight * ex, jnp.stack([lw, ex])


def make_update(opt, conf):
    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(w, state, batch):
        grads, parts = jax.vmap(jax.grad(lambda w, a: scenario_loss(w, a, conf["excess_weight"]), has_aux=True), (None, 0))(w, batch)
        norm = jnp.sqrt(sum((g**2).sum(tuple(range(1, g.ndim))) for g in jax.tree.leaves(grads)))
        k = jnp.minimum(1, conf["clip"] / (norm + 1e-9))
        grads = jax.tree.map(lambda g: (g * k.reshape((-1,) + (1,) * (g.ndim - 1))).mean(0), grads)
        grads["gain"] = jnp.zeros_like(grads["gain"])
        up, state = opt.update(grads, state, w)
        return optax.apply_updates(w, up), state, parts.mean(0)

    return update


def train(run, conf, validation):
    """Returns the parameters. One round: conf["round"] fresh scenarios on the current policy, each used conf["passes"] times."""
    w = {k: jnp.asarray(v) for k, v in marl.init(conf["seed"], conf["hidden"], conf["inner"]).items()}
    if conf["start"]:  # relative to training/: a model file, or another run's checkpoint
        path = HERE / conf["start"]
        if path.suffix == ".onnx":
            w = jax.tree.map(jnp.asarray, marl.from_file(path, {k: np.asarray(v) for k, v in w.items()}, conf["member"]))
        else:
            w = jax.tree.map(jnp.asarray, pickle.loads(path.read_bytes())["distil"][0])
    rounds, per_round = conf["rounds"], conf["round"] // GROUP * conf["passes"]
    sched = optax.warmup_cosine_decay_schedule(conf["lr"] / 10, conf["lr"], min(50, rounds * per_round // 5), rounds * per_round, conf["lr"] / 100)
    opt = optax.adam(sched)
    state, first = opt.init(w), 0
    kept = run.resume()
    if kept and "distil" in kept:
        w, state, first = kept["distil"]
        w, state = jax.tree.map(jnp.asarray, (w, state))
    model = Model(marl.to_onnx({k: np.asarray(v) for k, v in w.items()}))
    update, bar = make_update(opt, conf), Progress(rounds, "distil", first)
    for r in range(first, rounds):
        rng = np.random.default_rng((conf["seed"], r))
        model.set(flatten(w))
        jobs = [(drawn_family(rng, DISTIL_MIX), r * conf["round"] + i) for i in range(conf["round"])]
        data = parallel(lambda j: collect(model, j[0], j[1], conf["steps"], j[1]), jobs)
        data.sort(key=lambda a: a["n"])
        groups = [data[i : i + GROUP] for i in range(0, len(data) - GROUP + 1, GROUP)]
        ready = []
        for g in groups:
            n = bucket(max(a["n"] for a in g))
            ready.append({k: np.stack(v) for k, v in _columns([pad(targets(a), n) for a in g]).items()})
        parts = []
        for _ in range(conf["passes"]):
            for i in rng.permutation(len(ready)):
                w, state, p = update(w, state, ready[i])
                parts.append(np.asarray(p))
        lw, ex = np.mean(parts, 0)
        if not math.isfinite(lw):
            raise SystemExit("distillation diverged: lower the learning rate")
        run.note(step=r * per_round, capacity_loss=float(lw), excess_loss=float(ex))
        bar.show(r + 1, f"capacity {lw:.4f} excess {ex:.4f}")
        if (r + 1) % conf["validate_every"] == 0 or r + 1 == rounds:
            model.set(flatten(w))
            cmp = validation.compare(validation.run(model))
            run.note(step=(r + 1) * per_round, mean_vs_oracle=cmp["oracle"]["mean"][0], p99_vs_oracle=cmp["oracle"]["p99"][0])
            print(f"\ndistil {r + 1}: {describe(cmp)}", flush=True)
            run.save(distil=(jax.tree.map(np.asarray, w), jax.tree.map(np.asarray, state), r + 1))
    return {k: np.asarray(v) for k, v in w.items()}


def _columns(dicts):
    return {k: [d[k] for d in dicts] for k in dicts[0]}
