# SPDX-License-Identifier: Apache-2.0
"""From a configuration to a model file, for each of the three."""

import json
from pathlib import Path

import jax

from . import distil, es, marl
from .common import Run, Validation, describe, plot
from .graph import flatten, unflatten
from .simlib import Model


def publish(out, name, onnx_bytes, scores, extra):
    """model.onnx and what is known of it, for models/ (training/README.md says how it gets there)."""
    (out / f"{name}.onnx").write_bytes(onnx_bytes)
    (out / f"{name}.scores.json").write_text(json.dumps({"scores": scores, **extra}, indent=2) + "\n")
    print(f"{out / name}.onnx: {describe(scores)}")


def train_marl(conf, out, fresh):
    run = Run(out, conf, fresh)
    quick = Validation(conf["distil"]["validate"], out.parent)
    w = distil.train(run, {**conf["distil"], "seed": conf["seed"], "hidden": conf["hidden"], "inner": conf["inner"]}, quick)
    vector = es.train(run, {**conf["es"], "seed": conf["seed"]}, w, quick)
    select = Validation(conf["select"], out.parent)
    best, scores = es.select(vector, w, select)
    plot(out / "curves.png", run.curves, [
        ("capacity", "capacity_loss", "distillation loss"), ("others' excess", "excess_loss", "distillation loss"),
        ("mean", "mean_vs_oracle", "over the oracle"), ("p99", "p99_vs_oracle", "over the oracle"),
    ], "marl")
    publish(out, "marl", marl.to_onnx(unflatten(best, w)), scores, {"parameters": int(flatten(w).size)})


jax.config.update("jax_compilation_cache_dir", str(Path(__file__).resolve().parents[1] / "runs" / ".jax-cache"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 1)

TRAIN = {"marl": train_marl}
