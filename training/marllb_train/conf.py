# SPDX-License-Identifier: Apache-2.0
"""Configurations: files of configs/MODEL, checked whole against MODEL's default, so that a misspelt key or a wrong type is an error."""

import difflib
import json
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
FREE = ("scale",)  # keyed by names of parameters
OPTIONAL = ("marl", "start", "grid")  # null where a run starts from nothing, or has no grid


def models():
    """What can be trained: each has a folder of configurations, and an entry in pipeline.TRAIN (which needs jax)."""
    return sorted(d.name for d in (HERE / "configs").iterdir() if d.is_dir())


def load(model, config, overrides=()):
    """config: a file, or a name in configs/MODEL. overrides: KEY=VALUE, dots into objects and lists. Exits with a sentence."""
    path = Path(config)
    if not path.suffix:
        path = HERE / "configs" / model / f"{config}.json"
    try:
        conf = json.loads(path.read_text())
    except OSError as e:
        raise SystemExit(f"no configuration {path}: {e.strerror}") from None
    except ValueError as e:
        raise SystemExit(f"{path}: no JSON: {e}") from None
    for item in overrides:
        _override(conf, item)
    _check(conf, json.loads((HERE / "configs" / model / "default.json").read_text()), "", path.name)
    return conf


def _nearest(key, known):
    near = difflib.get_close_matches(key, known, 1, 0)
    return f"; nearest is {near[0]}" if near else ""


def _override(conf, item):
    key, eq, text = item.partition("=")
    if not eq:
        raise SystemExit(f"--set {item}: expected KEY=VALUE")
    at, parts = conf, key.split(".")
    for i, k in enumerate(parts):
        if isinstance(at, list):
            known = [str(j) for j in range(len(at))]
        else:
            known = list(at) if isinstance(at, dict) else []
        # A scale may name a parameter that the file does not.
        if k not in known and not (isinstance(at, dict) and i > 0 and parts[i - 1] in FREE and i + 1 == len(parts)):
            raise SystemExit(f"--set {key}: there is no {'.'.join(parts[: i + 1])}{_nearest(k, known)}")
        k = int(k) if isinstance(at, list) else k
        if i + 1 < len(parts):
            at = at[k]
    try:
        at[k] = json.loads(text)
    except ValueError:
        raise SystemExit(f"--set {key}: {text!r} is no JSON; a string needs its own quotes: '{key}=\"...\"'") from None


def _kind(v):
    if v is None or isinstance(v, (bool, str, dict, list)):
        return {type(None): "null", bool: "true or false", str: "a string", dict: "an object", list: "a list"}[type(v)]
    return "a number"


def _check(have, want, at, file):
    """The keys and types of the default configuration; lists may be of any length, their elements like the default's first."""
    if isinstance(want, dict):
        for k in have:
            if k not in want:
                raise SystemExit(f"{file}: {at}{k} is no key of this model{_nearest(k, want)}")
        for k, w in want.items():
            if k not in have:
                raise SystemExit(f"{file}: {at}{k} is missing")
            v = have[k]
            if k in OPTIONAL and (v is None or w is None):
                continue
            if _kind(v) != _kind(w):
                raise SystemExit(f"{file}: {at}{k} is {_kind(v)}, expected {_kind(w)}")
            if isinstance(w, int) and not isinstance(w, bool) and not (isinstance(v, int) and v >= 0):
                raise SystemExit(f"{file}: {at}{k} is {v}, expected a whole number of at least 0")
            if k not in FREE:
                _check(v, w, f"{at}{k}.", file)
            elif bad := next((n for n, x in v.items() if _kind(x) != "a number"), None):
                raise SystemExit(f"{file}: {at}{k}.{bad} is {_kind(v[bad])}, expected a number")
    elif isinstance(want, list) and want:
        for i, v in enumerate(have):
            if _kind(v) != _kind(want[0]):
                raise SystemExit(f"{file}: {at}{i} is {_kind(v)}, expected {_kind(want[0])}")
            _check(v, want[0], f"{at}{i}.", file)
