# SPDX-License-Identifier: Apache-2.0
"""python -m marllb_train --model NAME [--config FILE|NAME] [--out FOLDER] [--fresh] [--threads N] [--nice N] [--set KEY=VALUE]"""

import argparse
import os
import sys
from pathlib import Path

from .conf import HERE, load, models


def count(text):
    n = int(text)
    if not 1 <= n <= 256:
        raise ValueError(text)
    return n


def arguments(argv):
    p = argparse.ArgumentParser(prog="npm run train --", description="Trains a policy on native/sim and exports it as ONNX.")
    p.add_argument("--model", choices=models(), default="marl")
    p.add_argument("--config", default="default", help="a file, or a name in training/configs/MODEL/: default, paper, smoke")
    p.add_argument("--out", help="folder of checkpoints, curves and the model; default training/runs/MODEL-CONFIG")
    p.add_argument("--fresh", action="store_true", help="begin anew instead of resuming the folder's checkpoint")
    p.add_argument("--threads", type=count, default=1, help="threads of the simulator")
    p.add_argument("--nice", type=int, default=10, help="added to the process's niceness")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="overrides a value of the configuration")
    return p.parse_args(argv)


def main(argv=None):
    args = arguments(argv)
    conf = load(args.model, args.config, args.set)
    os.environ["MARLLB_TRAIN_THREADS"] = str(args.threads)
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    os.nice(args.nice)
    from . import pipeline  # after XLA_FLAGS

    out = Path(args.out or HERE / "runs" / f"{args.model}-{Path(args.config).stem}")
    try:
        pipeline.TRAIN[args.model](conf, out, args.fresh)
    except KeyboardInterrupt:
        print(f"\nstopped; the same command goes on from the last checkpoint in {out}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
