# SPDX-License-Identifier: Apache-2.0
"""Step 2 of the default model: evolution strategy (antithetic, centred ranks; Salimans et al. 2017) on what is wanted itself, completion
times. Every candidate of a generation meets the same scenarios, and ranks are taken within each, so that hard ones weigh no more."""

import numpy as np

from . import marl
from .common import ES_MIX, TRAIN_SEED, Progress, describe, drawn, objective, parallel, threads
from .graph import flatten, unflatten
from .simlib import Model, World

WATCHED = {"own": "model+sed", "shared": "model+sed@gossip=20"}
MIX_OFFSET = 10**7  # scenario indices apart from distillation's


def fitness(models, vectors, worlds):
    """Objective [candidates, worlds]; worlds with the strategies that run on them."""
    out = np.empty((len(vectors), len(worlds)))

    def column(j):
        # One model handle a thread: parameters are set in place.
        m = models[j % len(models)]
        for i, v in enumerate(vectors):
            m.set(v)
            world, strategy = worlds[j]
            out[i, j] = objective(world.run(strategy, m))

    if len(models) == 1:
        for j in range(len(worlds)):
            column(j)
    else:
        parallel(lambda t: [column(j) for j in range(t, len(worlds), len(models))], range(len(models)))
    return out


def ranks(f):
    """Centred ranks down each column, lower objective = higher rank; summed over columns."""
    r = f.argsort(0).argsort(0) / (len(f) - 1) - 0.5
    return -r.mean(1)


def scales(w, by_name):
    """Size of a step per parameter, from {name or "": factor}; "" is the default. 0 freezes an array."""
    for k in by_name:
        if k and k not in w:
            raise SystemExit(f"es: scale of {k!r}, but the parameters are {', '.join(sorted(w))}")
    return np.concatenate([np.full(v.size, float(by_name.get(k, by_name[""]))) for k, v in sorted(w.items())])


def stage_of(stages, g):
    for st in stages:
        if g < st["generations"]:
            return st, g / st["generations"]
        g -= st["generations"]
    raise IndexError(g)


def train(run, conf, w, validation, make=marl.to_onnx):
    """Returns the candidates for selection: {name: vector}. Stages differ in which parameters move, how far, and on how much."""
    x = flatten(w).astype(np.float64)
    total = sum(st["generations"] for st in conf["stages"])
    mean, velocity, first = x.copy(), np.zeros_like(x), 0
    candidates = {"distilled": x.astype(np.float32)}
    kept = run.resume()
    if kept and "es" in kept:
        x, mean, velocity, first, candidates = kept["es"]
    models = [Model(make(w)) for _ in range(threads())]
    bar = Progress(total, "evolve", first)
    base = max((r["step"] for r in run.curves if "generation" not in r), default=0)
    for g in range(first, total):
        st, part = stage_of(conf["stages"], g)
        if part == 0:  # a stage begins where the one before has settled
            x, velocity = mean.copy(), np.zeros_like(x)
        scale = scales(w, st["scale"])
        rng = np.random.default_rng((conf["seed"], 77, g))
        k, s = st["pairs"], st["scenarios"]
        eps = rng.standard_normal((k, x.size)) * (scale > 0)
        eps = np.concatenate([eps, -eps])
        jobs = [(*drawn(rng, ES_MIX[st["mix"]]), MIX_OFFSET + g * 100 + i) for i in range(s)]
        worlds = parallel(lambda j: (World(j[0], TRAIN_SEED, j[2]), j[1]), jobs)
        f = fitness(models, [(x + st["sigma"] * scale * e).astype(np.float32) for e in eps], worlds)
        # The length of a rank gradient says little: keep its direction, each parameter moving by about lr x its scale.
        velocity = 0.8 * velocity + 0.2 * (ranks(f) @ eps)
        live = np.sqrt((scale > 0).sum())
        x = x + st["lr"] * (1 - 0.7 * part) * scale * velocity * live / (np.linalg.norm(velocity) + 1e-12)
        mean = conf["average"] * mean + (1 - conf["average"]) * x
        run.note(step=base + g + 1, generation=g + 1, spread=float(f.mean(1).std()))
        bar.show(g + 1, f"spread {f.mean(1).std():.4f}")
        if (g + 1) % conf["validate_every"] == 0 or g + 1 == total:
            models[0].set(mean)
            cmp = validation.compare(validation.run(models[0], WATCHED[st["mix"]]))
            candidates[f"{st['mix']} {g + 1}"] = mean.astype(np.float32)
            run.note(step=base + g + 1, generation=g + 1, mean_vs_oracle=cmp["oracle"]["mean"][0], p99_vs_oracle=cmp["oracle"]["p99"][0])
            print(f"\nevolve {g + 1} ({st['mix']}): {describe(cmp)}", flush=True)
            run.save(distil=(w, None, 10**9), es=(x, mean, velocity, g + 1, candidates))
    return candidates


def select(candidates, w, validations, make=marl.to_onnx, last=5):
    """The best of the last few by mean + p99 over the oracle, of all families, own counts only; with what shared counts came to last."""
    model, best = Model(make(w)), None
    for name in [c for c in candidates if not c.startswith("shared")][-last:]:
        model.set(candidates[name])
        found = {v.name: v.compare(v.run(model)) for v in validations}
        score = sum(c["oracle"]["mean"][0] + c["oracle"]["p99"][0] for c in found.values())
        for family, cmp in found.items():
            print(f"select {name} on {family}: {describe(cmp)}", flush=True)
        if best is None or score < best[0]:
            best = (score, candidates[name], found)
    final, latest = unflatten(best[1], w), unflatten(candidates[list(candidates)[-1]], w)
    return flatten({k: latest[k] if k.startswith("shared") else v for k, v in final.items()}), best[2]
