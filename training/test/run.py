# SPDX-License-Identifier: Apache-2.0
"""npm test's entry: unittest as TAP, in training/.venv where there is one; one SKIP line where the requirements are not installed."""

import os
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE.parent / ".venv/bin/python"
TESTS = 35  # said where they cannot be counted


class Tap(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.n = 0

    def _line(self, ok, test, note=""):
        self.n += 1
        print(f"{'ok' if ok else 'not ok'} {self.n} - {test.id()}{note}", flush=True)

    def addSuccess(self, test):
        self._line(True, test)

    def addSkip(self, test, reason):
        self._line(True, test, f" # SKIP {reason}")

    def _bad(self, test, err):
        for line in self._exc_info_to_string(err, test).splitlines():
            print("#", line)
        self._line(False, test)

    addFailure = addError = _bad


def main():
    try:
        import jax, matplotlib, numpy, onnx, onnxruntime, optax  # noqa: F401, E401
    except ImportError as e:
        if VENV.exists() and Path(sys.executable) != VENV and "MARLLB_NO_VENV" not in os.environ:
            os.execve(VENV, [str(VENV), *sys.argv], {**os.environ, "MARLLB_NO_VENV": "1"})
        print(f"# SKIP {TESTS} {e.name} is not installed (python3 -m venv training/.venv && "
              "training/.venv/bin/pip install -r training/requirements.txt)")
        return 0
    sys.path[:0] = [str(HERE.parent), str(HERE)]
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    suite, result = unittest.defaultTestLoader.discover(str(HERE), "test_*.py"), Tap()
    print("TAP version 13")
    suite.run(result)
    print(f"1..{result.n}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
