# SPDX-License-Identifier: Apache-2.0
"""python -m marllb_train --model marl|sac-gru|qmix [--config FILE|paper] [--out FOLDER] [--smoke] [--fresh] [--set key=value]"""

import argparse
import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]


def arguments(argv):
    p = argparse.ArgumentParser(prog="npm run train --", description="Trains a policy on native/sim and exports it as ONNX.")
    p.add_argument("--model", choices=("marl", "sac-gru", "qmix"), default="marl")
    p.add_argument("--config", default="default", help="a file, or a name in training/configs/MODEL/: default, paper, smoke")
    p.add_argument("--out", help="folder of checkpoints, curves and the model; default training/runs/MODEL-CONFIG")
    p.add_argument("--fresh", action="store_true", help="begin anew instead of resuming the folder's checkpoint")
    p.add_argument("--threads", type=int, default=1, help="threads of the simulator")
    p.add_argument("--nice", type=int, default=10, help="added to the process's niceness")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="overrides a value of the configuration")
    return p.parse_args(argv)


def configuration(args):
    path = Path(args.config)
    if not path.suffix:
        path = HERE / "configs" / args.model / f"{args.config}.json"
    if not path.exists():
        raise SystemExit(f"no configuration {path}")
    conf = json.loads(path.read_text())
    for item in args.set:
        key, _, value = item.partition("=")
        at, parts = conf, key.split(".")
        for k in parts[:-1]:
            at = at.get(k, {})
        if parts[-1] not in at:
            raise SystemExit(f"--set {key}: not in {path.name}")
        at[parts[-1]] = json.loads(value)
    return conf


def main(argv=None):
    args = arguments(argv)
    conf = configuration(args)
    os.environ["MARLLB_TRAIN_THREADS"] = str(args.threads)
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    os.nice(args.nice)
    from . import pipeline  # after XLA_FLAGS

    out = Path(args.out or HERE / "runs" / f"{args.model}-{Path(args.config).stem}")
    pipeline.TRAIN[args.model](conf, out, args.fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main())
