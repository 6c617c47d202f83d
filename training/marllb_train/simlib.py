# SPDX-License-Identifier: Apache-2.0
"""The simulator (native/sim/simlib.h) through ctypes: worlds, models, runs, traces."""

import ctypes as C
import os
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
INFO = ("n", "m", "flows", "tick_s", "mask", "size_s", "sparsity")
RESULT = ("mean", "p99", "cvar95", "mean_log", "measured", "refused", "jobs", "failed")


class SimError(RuntimeError):
    """The simulator's sentence on what is wrong."""


@dataclass(frozen=True)
class Family:
    """Family v1 or v2 and what training varies on top (simlib.h, struct simlib_family)."""

    family: int = 1
    pad: int = 0
    n_lo: float = 2
    n_hi: float = 65
    m_lo: int = 1
    m_hi: int = 6
    p_rtt: float = 0
    p_sparse: float = 0
    p_mask: float = 0
    p_tick: float = 0
    p_right: float = 0
    p_sessions: float = 0


class _Family(C.Structure):
    _fields_ = [(f.name, C.c_uint32 if f.type in (int, "int") else C.c_double) for f in fields(Family)]


class _Trace(C.Structure):
    _fields_ = [
        ("steps", C.c_uint32), ("noise_kind", C.c_uint32), ("noise_level", C.c_double), ("noise_seed", C.c_uint64),
        ("oracle", C.c_uint32), ("pad", C.c_uint32),
    ] + [(k, C.c_void_p) for k in ("server", "pool", "present", "listed", "base", "capacity", "busy", "others", "jobs", "action")]


def _find():
    """The library, built by `npm run build`; MARLLB_SIMLIB names another."""
    for p in (os.environ.get("MARLLB_SIMLIB"), ROOT / "build/native/bin/libmarllb_simlib.so", ROOT / "build/native/sim/libmarllb_simlib.so"):
        if p and Path(p).exists():
            return str(p)
    raise SimError("libmarllb_simlib.so is not built: run `npm run build` first")


_lib = None


def lib():
    global _lib
    if _lib is None:
        L = C.CDLL(_find())
        P, I, D, U64, U32, S = C.c_void_p, C.c_int, C.POINTER(C.c_double), C.c_uint64, C.c_uint32, C.c_char_p
        for name, res, args in (
            ("simlib_world_new", I, [C.POINTER(P), C.POINTER(_Family), U64, U64, S]),
            ("simlib_world_free", None, [P]),
            ("simlib_world_info", None, [P, D]),
            ("simlib_model_new", I, [C.POINTER(P), S, U64, S]),
            ("simlib_model_free", None, [P]),
            ("simlib_model_params", U64, [P]),
            ("simlib_model_get", None, [P, P]),
            ("simlib_model_set", None, [P, P]),
            ("simlib_run", I, [P, S, P, D, S]),
            ("simlib_trace", I, [P, P, C.POINTER(_Trace), D, S]),
            ("simlib_eval", I, [S, U64, U32, P, P, P, U32, P, U64, P, S]),
            ("simlib_server_features", U32, []),
            ("simlib_pool_features", U32, []),
            ("simlib_schema", U32, []),
            ("simlib_feature", I, [U32, U32, S, C.POINTER(U32), C.POINTER(C.c_float), C.POINTER(C.c_float)]),
        ):
            f = getattr(L, name)
            f.restype, f.argtypes = res, args
        _lib = L
    return _lib


def _check(rc, err):
    if rc:
        raise SimError(err.value.decode() or os.strerror(-rc))


def schema():
    return lib().simlib_schema()


def sizes():
    """(server features, pool features)"""
    return lib().simlib_server_features(), lib().simlib_pool_features()


def features(kind):
    """[(name, block, lo, hi)] of the server's (0) or the pool's (1)."""
    out = []
    for i in range(sizes()[kind]):
        name, block, lo, hi = C.create_string_buffer(64), C.c_uint32(), C.c_float(), C.c_float()
        lib().simlib_feature(kind, i, name, block, lo, hi)
        out.append((name.value.decode(), block.value, round(lo.value, 4), round(hi.value, 4)))
    return out


class Model:
    """An ONNX graph in the simulator. `set` replaces its parameters, in the order of its "w.*" initializers."""

    def __init__(self, onnx_bytes):
        self.h, err = C.c_void_p(), C.create_string_buffer(256)
        _check(lib().simlib_model_new(C.byref(self.h), onnx_bytes, len(onnx_bytes), err), err)
        self.params = lib().simlib_model_params(self.h)

    def get(self):
        p = np.empty(self.params, np.float32)
        lib().simlib_model_get(self.h, p.ctypes.data)
        return p

    def set(self, p):
        p = np.ascontiguousarray(p, np.float32)
        assert p.size == self.params
        lib().simlib_model_set(self.h, p.ctypes.data)

    def __del__(self):
        if getattr(self, "h", None):
            lib().simlib_model_free(self.h)


class World:
    """One scenario with its arrivals and disturbances: the same for every strategy run on it."""

    def __init__(self, family, seed, index):
        self.h, err = C.c_void_p(), C.create_string_buffer(256)
        f = _Family(**{k.name: getattr(family, k.name) for k in fields(Family)})
        _check(lib().simlib_world_new(C.byref(self.h), C.byref(f), seed, index, err), err)
        out = (C.c_double * len(INFO))()
        lib().simlib_world_info(self.h, out)
        self.info = dict(zip(INFO, out))
        self.n, self.m = int(self.info["n"]), int(self.info["m"])

    def run(self, strategy, model=None):
        out, err = (C.c_double * len(RESULT))(), C.create_string_buffer(256)
        _check(lib().simlib_run(self.h, strategy.encode(), model.h if model else None, out, err), err)
        return dict(zip(RESULT, out))

    def trace(self, model, steps, noise_kind=0, noise_level=0.0, noise_seed=0, oracle=False, want=None):
        """Runs the model and writes down what it saw and what was true: (arrays by name, result)."""
        f, p = sizes()
        m, n = self.m, self.n
        shape = {
            "server": (m, steps, n, f), "pool": (m, steps, p), "present": (m, steps), "listed": (m, steps, n), "base": (m, steps, n),
            "capacity": (m, steps, n), "busy": (m, steps, n), "others": (m, steps, n), "jobs": (m, steps, n),
            "action": (m, steps, n),
        }
        a = {k: np.zeros(s, np.float32) for k, s in shape.items() if want is None or k in want}
        t = _Trace(steps=steps, noise_kind=noise_kind, noise_level=noise_level, noise_seed=noise_seed, oracle=int(oracle),
                   **{k: v.ctypes.data for k, v in a.items()})
        out, err = (C.c_double * len(RESULT))(), C.create_string_buffer(256)
        _check(lib().simlib_trace(self.h, model.h, C.byref(t), out, err), err)
        return a, dict(zip(RESULT, out))

    def __del__(self):
        if getattr(self, "h", None):
            lib().simlib_world_free(self.h)


def evaluate(onnx_bytes, inputs, outputs, cap=1 << 20):
    """The evaluator alone: list of arrays in, `outputs` flat arrays out. For the check against onnxruntime."""
    ins = [np.ascontiguousarray(x, np.float32) for x in inputs]
    ptr = (C.c_void_p * len(ins))(*[x.ctypes.data for x in ins])
    rank = (C.c_int32 * len(ins))(*[x.ndim for x in ins])
    dims = [d for x in ins for d in x.shape]
    dims = (C.c_int64 * len(dims))(*dims)
    outs = [np.empty(cap, np.float32) for _ in range(outputs)]
    optr = (C.c_void_p * outputs)(*[x.ctypes.data for x in outs])
    length, err = (C.c_uint64 * outputs)(), C.create_string_buffer(256)
    _check(lib().simlib_eval(onnx_bytes, len(onnx_bytes), len(ins), ptr, rank, dims, outputs, optr, cap, length, err), err)
    return [o[: length[i]].copy() for i, o in enumerate(outs)]
