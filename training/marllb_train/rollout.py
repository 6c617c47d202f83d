# SPDX-License-Identifier: Apache-2.0
"""Episodes for the two reinforcement learners: what the load balancers saw, what was true, and a reward per step."""

import pickle
import zlib

import numpy as np

from .common import TRAIN_SEED, parallel
from .simlib import Family, World

WANT = ("server", "pool", "listed", "base", "capacity", "others", "jobs", "action")
RL_OFFSET = 2 * 10**7  # scenario indices apart from the others'


def reward(jobs, oracle_jobs, listed, capacity, kind):
    """[M, T] from [M, T, N].

    "jobs": jobs in the system (Little's law: what all flows wait) over the oracle's at the same moment on the same arrivals, and the
    fullest server's queue over capacity as a tail term. Both are differences of logs, so that every scenario weighs alike.
    "fairness": the paper's product over servers of queue over capacity relative to the largest (its logarithm, per server)."""
    mask = listed > 0
    cap = np.maximum(capacity, 1e-3)
    load = np.where(mask, (jobs + 1) / cap, 0)
    if kind == "fairness":
        top = np.maximum(load.max(-1), 1e-9)
        return np.where(mask, np.log(np.maximum(load, 1e-9) / top[..., None]), 0).sum(-1) / np.maximum(mask.sum(-1), 1)
    best = np.where(mask, (oracle_jobs + 1) / cap, 0)
    n = np.maximum(mask.sum(-1), 1)
    smooth = lambda x: np.where(mask, x, 0).sum(-1) / n + 0.5
    r = -(np.log(smooth(jobs)) - np.log(smooth(oracle_jobs)))
    tail = -(np.log(load.max(-1) + 0.1) - np.log(best.max(-1) + 0.1))
    return np.clip(r + 0.25 * tail, -3, 3)


def padded(a, m, n):
    """Arrays of one episode to m load balancers and n servers."""
    out = {}
    for k, v in a.items():
        wide = [(0, m - v.shape[0]), (0, 0)]
        if v.ndim > 2 and k != "pool":
            wide.append((0, n - v.shape[2]))
        wide += [(0, 0)] * (v.ndim - len(wide))
        out[k] = np.pad(v, wide).astype(np.float32)
    return out


def episodes(model, count, first, conf, noise_kind, noise_level=0.0):
    """`count` scenarios of at most conf n_max servers and m_max load balancers, padded to that."""
    family = Family(n_hi=conf["n_max"] + 0.999, m_hi=conf["m_max"], p_mask=0.1)

    def one(i):
        w = World(family, TRAIN_SEED, RL_OFFSET + i)
        level = noise_level / w.n if noise_kind == 2 else noise_level
        a, result = w.trace(model, conf["steps"], noise_kind, level, i, want=WANT)
        o, _ = w.trace(model, conf["steps"], oracle=True, want=("jobs",))
        a["reward"] = reward(a["jobs"], o["jobs"], a["listed"], a["capacity"], conf["reward"])
        a["mask"] = a.pop("listed")
        a["lbs"] = np.ones(a["reward"].shape, np.float32) * a["mask"].max(-1)
        return padded(a, conf["m_max"], conf["n_max"])

    return parallel(one, range(first, first + count))


def truth(a):
    """What critics and the mixing network see of a server: [..., N, 5] from arrays [..., N]."""
    m = a["mask"]
    n = np.maximum(m.sum(-1, keepdims=True), 1)
    cap = np.log(np.maximum(a["capacity"], 1e-3))
    load = np.log((a["jobs"] + 1) / np.maximum(a["capacity"], 1e-3))
    mean = lambda x: (x * m).sum(-1, keepdims=True) / n
    base = a["base"]
    return (np.stack([
        cap - mean(cap), load - mean(load), np.broadcast_to(mean(load), load.shape), np.log1p(a["jobs"]) - np.log1p(a["others"]),
        base - mean(base) - (cap - mean(cap)),
    ], -1) * m[..., None]).astype(np.float32)


class Replay:
    def __init__(self, capacity):
        self.capacity, self.data = capacity, []

    def pack(self):
        """For a checkpoint: a run that resumes must draw from the same episodes. Mostly padding, so it gets small."""
        return zlib.compress(pickle.dumps(self.data), 1)

    def unpack(self, packed):
        """None, of a checkpoint that was made before these held episodes: fresh ones are collected."""
        self.data = pickle.loads(zlib.decompress(packed)) if packed else []

    def add(self, eps):
        self.data = (self.data + eps)[-self.capacity :]

    def sample(self, rng, batch, length, one_lb):
        """Windows [batch, (M,) length, ...] of random episodes; one_lb: of one load balancer that exists."""
        out = []
        for _ in range(batch):
            e = self.data[rng.integers(len(self.data))]
            steps = int(e["lbs"][0].sum())
            t = int(rng.integers(0, max(steps - length, 0) + 1))
            if one_lb:
                i = int(rng.integers(int(e["lbs"][:, 0].sum())))
                out.append({k: v[i, t : t + length] for k, v in e.items()})
            else:
                out.append({k: v[:, t : t + length] for k, v in e.items()})
        return {k: np.stack([o[k] for o in out]) for k in out[0]}
