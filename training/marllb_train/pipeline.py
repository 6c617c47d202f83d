# SPDX-License-Identifier: Apache-2.0
"""From a configuration to a model file, for each of the three."""

import json
import pickle
from pathlib import Path

import jax
import numpy as np

from . import distil, es, marl, qmix, sac
from .common import V2, Run, Validation, describe, plot
from .graph import flatten, unflatten
from .simlib import Model


def publish(out, name, onnx_bytes, scores, extra):
    """model.onnx and what is known of it, for models/ (training/README.md says how it gets there)."""
    (out / f"{name}.onnx").write_bytes(onnx_bytes)
    (out / f"{name}.scores.json").write_text(json.dumps({"scores": scores, **extra}, indent=2) + "\n")
    print(f"{out / name}.onnx: {describe(scores)}")


def train_member(conf, member, out, fresh, references):
    """One network from nothing to the best of its candidates: (parameters, scores)."""
    run = Run(out, conf, fresh)
    quick = Validation(conf["distil"]["validate"], references)
    shape = {"seed": conf["seed"], "hidden": conf["hidden"], "inner": conf["inner"], "member": member}
    w = distil.train(run, {**conf["distil"], **shape}, quick)
    w = marl.with_shared_heads(w)
    candidates = es.train(run, {**conf["es"], "seed": conf["seed"]}, w, quick)
    best, scores = es.select(candidates, w, both(conf, references))
    plot(out / "curves.png", run.curves, [
        ("capacity", "capacity_loss", "distillation loss"), ("others' excess", "excess_loss", "distillation loss"),
        ("mean", "mean_vs_oracle", "over the oracle"), ("p99", "p99_vs_oracle", "over the oracle"),
    ], "marl")
    return unflatten(best, w), scores


def both(conf, references):
    return Validation(conf["select"], references), Validation(conf["select"], references, family=V2, name="v2")


def train_marl(conf, out, fresh):
    """`members` networks from seed, seed + 1 ...: the first in the run's folder, each other in one of its own. The model is all of them."""
    one, found = {k: v for k, v in conf.items() if k != "members"}, []
    for i in range(conf["members"]):
        folder = out / f"member-{i + 1}" if i else out
        found.append(train_member({**one, "seed": conf["seed"] + i}, i, folder, fresh, out.parent))
    data, (_, scores) = marl.to_onnx([w for w, _ in found]), found[0]
    if len(found) > 1:
        model = Model(data)
        scores = {v.name: v.compare(v.run(model)) for v in both(conf, out.parent)}
        print(f"all {len(found)} on v2: {describe(scores['v2'])}", flush=True)
    parameters = sum(int(flatten(w).size) for w, _ in found)
    publish(out, "marl", data, scores["v1"], {"v2": scores["v2"], "members": [s for _, s in found], "parameters": parameters})


def reinforced(name, learner, series):
    def train(conf, out, fresh):
        run = Run(out, conf, fresh)
        warm = None
        if conf["marl"]:
            path = ROOT / conf["marl"]
            if not path.exists():
                raise SystemExit(f"{name} starts from the distilled policy: train marl first ({conf['marl']} is missing)")
            warm = pickle.loads(path.read_bytes())["distil"][0]
        candidates = learner.train(run, conf, Validation(conf["validate"], out.parent), warm)
        select, best, found = Validation(conf["select"], out.parent), None, {}
        model = Model(learner.to_onnx(candidates["start"], conf))
        # The start and the three that did best while training; a look at all would cost more than training one.
        seen = sorted((r for r in run.curves if "mean_vs_kalman" in r), key=lambda r: r["mean_vs_kalman"] + r["p99_vs_kalman"])
        for label in dict.fromkeys(["start", *(f"update {r['step']}" for r in seen)][:4]):
            w = candidates[label]
            model.set(flatten(w))
            found[label] = select.compare(select.run(model))
            print(f"select {label}: {describe(found[label])}", flush=True)
            score = found[label]["oracle"]["mean"][0] + found[label]["oracle"]["p99"][0]
            if label != "start" and (best is None or score < best[0]):  # the start is for comparison: it has learned nothing of its own
                best = (score, label)
        label = best[1]
        silent = {k: np.zeros_like(v) if k.startswith("head") else v for k, v in candidates[label].items()}
        model.set(flatten(silent))
        plot(out / "curves.png", run.curves, series, name)
        publish(out, name, learner.to_onnx(candidates[label], conf), found[label],
                {"chosen": label, "all": found, "output_zeroed": select.compare(select.run(model)), "parameters": int(flatten(candidates[label]).size)})

    return train


ROOT = Path(__file__).resolve().parents[1]
jax.config.update("jax_compilation_cache_dir", str(ROOT / "runs" / ".jax-cache"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 1)

SCORES = [("mean", "mean_vs_kalman", "over Kalman"), ("p99", "p99_vs_kalman", "over Kalman"), ("reward", "reward", "reward")]
TRAIN = {
    "marl": train_marl,
    "sac-gru": reinforced("sac-gru", sac, [*SCORES, ("critic", "critic_loss", "loss")]),
    "qmix": reinforced("qmix", qmix, [*SCORES, ("TD", "td_loss", "loss")]),
}
