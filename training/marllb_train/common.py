# SPDX-License-Identifier: Apache-2.0
"""What every training shares: configuration, seeds, progress, checkpoints, threads over the simulator, curves, evaluation."""

import json
import math
import os
import pickle
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from .simlib import Family, World

# Seeds of the simulator: disjoint by construction. Index i of a base is scenario i; the test belongs to bench:policies.
TRAIN_SEED = 10**9
SELECT_SEED = 5 * 10**8
V1 = Family()
V2 = Family(family=2)
# A third of the batch is v1 as it stands, a third v2; the rest is what both leave out.
MIX = (
    (0.33, Family(p_mask=0.1)),
    (0.34, replace(V2, p_mask=0.1)),
    (0.13, Family(p_rtt=0.5, p_sparse=0.1, p_mask=0.3, p_right=0.3)),
    (0.14, Family(m_lo=6, m_hi=16, n_hi=49, p_rtt=0.3, p_sparse=0.2, p_mask=0.3)),
    (0.06, Family(p_tick=1.0, p_mask=0.2)),
)

# Distillation learns from every server alike: smaller pools teach as much a second of computing.
DISTIL_MIX = tuple((p, replace(f, n_hi=min(f.n_hi, 33))) for p, f in MIX)

# Evolution pays for every candidate: as the families, with fewer of the costliest pools. With the strategy that runs the model: it passes the
# envelope, as it does in use; shared counts have parameters of their own.
ES_MIX = {
    "own": (
        (0.38, replace(V1, n_hi=49), "model+sed@trust=hint"),
        (0.28, replace(V2, n_hi=49), "model+sed@trust=hint"),
        (0.05, Family(n_hi=25, p_rtt=0.5, p_sparse=0.1, p_mask=0.5, p_right=0.5), "model+sed"),
        (0.06, Family(m_lo=6, m_hi=12, n_hi=17, p_sparse=0.2, p_rtt=0.3), "model+sed"),
        (0.03, Family(n_hi=25, p_tick=1.0), "model+sed"),
        (0.12, Family(n_hi=33, p_right=1.0), "model+sed@trust=hint"),
        (0.08, Family(n_lo=6, n_hi=17, m_hi=4, p_right=1.0, p_sessions=1.0), "model+sed@trust=exact"),
    ),
    "shared": ((1.0, replace(V1, n_hi=49, m_lo=2), "model+sed@gossip=20"),),
}


def drawn(rng, mix):
    """What stands beside the probability."""
    return mix[rng.choice(len(mix), p=[m[0] for m in mix])][1:]


def drawn_family(rng, mix=MIX):
    return drawn(rng, mix)[0]


def write(path, data):
    """Whole or not at all, whenever the process is killed."""
    tmp = path.with_suffix(path.suffix + ".tmp")
    tmp.write_bytes(data)
    os.replace(tmp, path)


class Run:
    """A folder of one training: configuration, log of curves, checkpoints that a later start resumes from."""

    def __init__(self, folder, config, fresh=False):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config, self.curves = config, []
        self.ckpt = self.folder / "checkpoint.pkl"
        if fresh and self.ckpt.exists():
            self.ckpt.unlink()
        # What was noted behind the last checkpoint is noted again; what is of another configuration is refused before anything changes.
        self._state = self._load()
        (self.folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        write(self.folder / "curves.jsonl", "".join(json.dumps(row) + "\n" for row in self.curves).encode())

    def _load(self):
        if not self.ckpt.exists():
            return None
        try:
            state = pickle.loads(self.ckpt.read_bytes())
        except Exception as e:
            raise SystemExit(f"{self.ckpt} cannot be read ({e}); use --fresh or another --out") from None
        if state["config"] != self.config:
            raise SystemExit(f"{self.ckpt} is of another configuration; use --fresh or another --out")
        self.curves = state["curves"]
        return state

    def resume(self):
        """What save() was given last, None in a fresh run."""
        return self._state

    def save(self, **state):
        self._state = {"config": self.config, "curves": list(self.curves), **state}
        write(self.ckpt, pickle.dumps(self._state))

    def note(self, **row):
        self.curves.append(row)
        with open(self.folder / "curves.jsonl", "a") as f:
            f.write(json.dumps(row) + "\n")


class Progress:
    """A bar on a terminal, a line now and then elsewhere."""

    def __init__(self, total, what, start=0):
        self.total, self.what, self.t0, self.start, self.last = total, what, time.time(), start, 0.0
        self.tty = sys.stderr.isatty()

    def show(self, done, text=""):
        now = time.time()
        if now - self.last < (0.2 if self.tty else 15) and done < self.total:
            return
        self.last = now
        each = (now - self.t0) / max(done - self.start, 1)
        left = each * (self.total - done)
        bar = "#" * int(24 * done / self.total)
        line = f"{self.what} [{bar:<24}] {done}/{self.total} {left / 60:.1f} min left {text}"
        print("\r" + line + "\033[K" if self.tty else line, end="" if self.tty else "\n", file=sys.stderr, flush=True)
        if self.tty and done >= self.total:
            print(file=sys.stderr)


def threads():
    return int(os.environ.get("MARLLB_TRAIN_THREADS", "1"))


_pool = None


def parallel(f, items):
    """f over items, in order; the simulator runs without Python's lock."""
    global _pool
    if threads() == 1:
        return [f(x) for x in items]
    if _pool is None:
        _pool = ThreadPoolExecutor(threads())
    return list(_pool.map(f, items))


def objective(r):
    """Lower is better; of one run."""
    return math.log(r["mean"]) + 0.5 * math.log(r["cvar95"]) + 0.25 * r["mean_log"]


class Validation:
    """Selection scenarios of v1 with the references' results, kept in a file: they cost more than the model's."""

    def __init__(self, n, folder, references=("oracle", "kalman+sed", "SED"), family=V1, name="v1"):
        self.n, self.family, self.name = n, family, name
        self.file = Path(folder) / f"references-{name}.json"
        self.ref = json.loads(self.file.read_text()) if self.file.exists() else {}
        for s in references:
            have = self.ref.setdefault(s, [])
            # Of another simulator, a change of it or of its scenarios: one run tells.
            if have and have[0] != self._world(0).run(s):
                have.clear()
            if len(have) < n:
                print(f"references: {s} on {n} scenarios", file=sys.stderr, flush=True)
                have += parallel(lambda i: self._world(i).run(s), range(len(have), n))
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write(self.file, json.dumps(self.ref).encode())

    def _world(self, i):
        return World(self.family, SELECT_SEED, i)

    def run(self, model, strategy="model+sed"):
        return parallel(lambda i: self._world(i).run(strategy, model), range(self.n))

    def compare(self, results):
        """{reference: {mean: (ratio, half-width of 95 %), p99: ...}} as geometric means of paired ratios."""
        out = {}
        for s, ref in self.ref.items():
            out[s] = {}
            for k in ("mean", "p99"):
                d = np.array([math.log(a[k] / b[k]) for a, b in zip(results, ref)])
                g = math.exp(d.mean())
                out[s][k] = (round(g, 4), round(g * 1.96 * d.std(ddof=1) / math.sqrt(len(d)), 4))
        return out


def describe(cmp):
    return "  ".join(f"vs {s.split('+')[0]} {c['mean'][0]:.4f}/{c['p99'][0]:.4f}" for s, c in cmp.items())


def plot(path, rows, series, title, x="step"):
    """series: [(label, key, panel)]"""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = sorted({p for _, _, p in series})
    fig, axes = plt.subplots(len(panels), 1, figsize=(8, 3 * len(panels)), sharex=True, squeeze=False)
    for label, key, p in series:
        pts = [(r[x], r[key]) for r in rows if key in r and x in r]
        if pts:
            axes[panels.index(p)][0].plot(*zip(*pts), label=label)
    for a, p in zip(axes[:, 0], panels):
        a.set_ylabel(p)
        a.grid(alpha=0.3)
        a.legend()
    axes[-1][0].set_xlabel(x)
    fig.suptitle(title)
    fig.tight_layout()
    fig.savefig(path, dpi=110)
    plt.close(fig)
