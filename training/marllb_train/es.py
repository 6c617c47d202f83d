# SPDX-License-Identifier: Apache-2.0
"""Step 2 of the default model: evolution strategy (antithetic, centred ranks; Salimans et al. 2017) on what is wanted itself, completion
times. Every candidate of a generation meets the same scenarios, and ranks are taken within each, so that hard ones weigh no more."""

import numpy as np

from . import marl
from .common import TRAIN_SEED, Progress, describe, drawn_family, objective, parallel
from .graph import flatten, unflatten
from .simlib import Model, World

MIX_OFFSET = 10**7  # scenario indices apart from distillation's


def fitness(models, vectors, worlds):
    """Objective [candidates, worlds]."""
    out = np.empty((len(vectors), len(worlds)))

    def column(j):
        # One model handle a thread: parameters are set in place.
        m = models[j % len(models)]
        for i, v in enumerate(vectors):
            m.set(v)
            out[i, j] = objective(worlds[j].run("model+sed", m))

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


def scales(w):
    """Step per parameter: by the spread of its array, so that heads (small) and gates (large) move alike."""
    return np.concatenate([np.full(v.size, max(float(np.std(v)), 0.05) if v.size > 2 else 0.3) for v in w.values()]).astype(np.float32)


def train(run, conf, w, validation, make=marl.to_onnx, mix=None):
    """Returns the candidates for selection: {name: vector}."""
    x = flatten(w).astype(np.float64)
    scale = scales(w) if conf.get("scaled") else np.ones_like(x)
    mean, velocity, first = x.copy(), np.zeros_like(x), 0
    kept = run.resume()
    candidates = {"distilled": x.astype(np.float32)}
    if kept and "es" in kept:
        x, mean, velocity, first, candidates = kept["es"]
    from .common import threads

    models = [Model(make(w)) for _ in range(threads())]
    bar = Progress(conf["generations"], "evolve", first)
    rng0 = conf["seed"]
    base = run.curves[-1]["step"] if run.curves else 0
    for g in range(first, conf["generations"]):
        rng = np.random.default_rng((rng0, 77, g))
        k, s = conf["pairs"], conf["scenarios"]
        decay = 1 - 0.8 * g / conf["generations"]
        eps = rng.standard_normal((k, x.size))
        eps = np.concatenate([eps, -eps])
        jobs = [(drawn_family(rng, mix) if mix else drawn_family(rng), MIX_OFFSET + g * s + i) for i in range(s)]
        worlds = parallel(lambda j: World(j[0], TRAIN_SEED, j[1]), jobs)
        f = fitness(models, [(x + conf["sigma"] * scale * e).astype(np.float32) for e in eps], worlds)
        grad = ranks(f) @ eps / len(eps)
        # The length of a rank gradient says little: take its direction, per parameter of unit size.
        velocity = 0.8 * velocity + 0.2 * grad
        x = x + conf["lr"] * decay * scale * velocity * np.sqrt(x.size) / (np.linalg.norm(velocity) + 1e-12)
        mean = conf["average"] * mean + (1 - conf["average"]) * x
        run.note(generation=g, spread=float(f.mean(1).std()), step=base + g + 1)
        bar.show(g + 1, f"spread {f.mean(1).std():.4f}")
        if (g + 1) % conf["validate_every"] == 0 or g + 1 == conf["generations"]:
            models[0].set(mean)
            cmp = validation.compare(validation.run(models[0]))
            candidates[f"generation {g + 1}"] = mean.astype(np.float32)
            run.note(generation=g + 1, step=base + g + 1, mean_vs_oracle=cmp["oracle"]["mean"][0], p99_vs_oracle=cmp["oracle"]["p99"][0])
            print(f"\nevolve {g + 1}: {describe(cmp)}", flush=True)
            run.save(distil=(w, None, 10**9), es=(x, mean, velocity, g + 1, candidates))
    return candidates


def select(candidates, w, validation, make=marl.to_onnx, last=4):
    """The best of the last few by mean + p99 over the oracle."""
    model, best = Model(make(w)), None
    for name in list(candidates)[-last:]:
        model.set(candidates[name])
        cmp = validation.compare(validation.run(model))
        score = cmp["oracle"]["mean"][0] + cmp["oracle"]["p99"][0]
        print(f"select {name}: {describe(cmp)}", flush=True)
        if best is None or score < best[0]:
            best = (score, candidates[name], cmp)
    return best[1], best[2]
