# SPDX-License-Identifier: Apache-2.0
"""SAC-GRU: soft actor-critic (Haarnoja et al. 2018) with a recurrent actor per server and twin critics that see the true counts and
capacities (centralised training, decentralised execution). Action: the offset of the log weight from the configured one, a squashed
Gaussian; entropy per server, averaged over servers. `paper`: the paper's sizes and reward, its actions {1.0 .. 2.0} as a grid."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax

from . import rollout, trunk
from .common import Progress, describe
from .graph import flatten
from .simlib import Model, sizes

LOG_STD = (-4.0, 0.0)
EDGE = 0.98


def names(w):
    return list(w)


def init(conf, warm=None):
    if warm is not None:
        w = trunk.from_marl(warm, conf["seed"], 2, 0)
        w["head_b"][1] = conf["log_std"]
        return w
    w = trunk.init(conf["seed"], conf["pre"], conf["hidden"], conf["post"], 2)
    w["head_b"][1] = conf["log_std"]
    return w


def actor(w, h, obs, reach):
    """-> h', pre-squash mean, log std, each [..., N]. Without noise the action is the clipped head itself."""
    h, out = trunk.step(w, h, obs["server"], obs["pool"], obs["mask"])
    mean = jnp.arctanh(jnp.clip(trunk.centred(out[..., 0], obs["mask"]) / reach, -EDGE, EDGE))
    return h, mean, jnp.clip(out[..., 1], *LOG_STD)


def to_onnx(w, conf, noise=False, meta=None):
    t = trunk.OnnxTrunk(w, names(w), "state")
    g, reach = t.g, conf["reach"]
    head, log_std = g.split(t.out, 2, [1, 1])
    a = g.clip(g.mul(t.centred(head), g.const(1 / reach)), -EDGE, EDGE)
    extra = []
    if noise:
        one = g.const([1.0])
        u = g.mul(g.const([0.5]), g.op("Log", g.op("Div", g.add(one, a), g.sub(one, a))))
        std = g.op("Exp", g.clip(log_std, *LOG_STD))
        a, extra = g.op("Tanh", g.add(u, g.mul(std, "noise"))), [("noise", ["B", "N", 1])]
    offset = g.mul(g.mul(a, g.const([reach])), t.mask3)
    if conf.get("grid"):  # the paper's discrete speeds: nearest step, by rounding the exponent's place in the grid
        offset = _snap(g, offset, conf["grid"])
    return t.finish("sac-gru", t.hid, offset, t.h, extra, action=offset if noise else None, meta=meta)


def _snap(g, x, grid):
    """Nearest value of the grid: argmax of the negated distance to each."""
    d = g.op("Neg", g.op("Abs", g.sub(x, g.const(np.log(grid)))))
    return g.unsqueeze(g.op("Gather", g.const(np.log(grid)), g.op("ArgMax", d, axis=2, keepdims=0)), 2)


def critic_init(seed, width=64):
    r = np.random.default_rng((seed, 9))
    w = lambda i, o: (r.standard_normal((i, o)) / np.sqrt(i)).astype(np.float32)
    z = lambda n: np.zeros(n, np.float32)
    f, p = sizes()
    return [{
        "a": w(7 + f, width), "ab": z(width), "b": w(width, width), "bb": z(width), "c": w(width + p, width), "cb": z(width),
        "d": w(width, 1) * 0.1, "db": z(1),
    } for _ in range(2)]


def critic(w, obs, action):
    """Q of a load balancer's action vector: servers one by one, their mean, then the whole."""
    m = obs["mask"]
    n = jnp.maximum(m.sum(-1, keepdims=True), 1)
    # Log weight in effect beside the true capacity: what the action means.
    off = trunk.centred(obs["base"] + action, m) - obs["truth"][..., 0]
    x = jnp.concatenate([obs["truth"], obs["server"], action[..., None], off[..., None]], -1)
    x = jax.nn.relu(x @ w["a"] + w["ab"])
    x = jax.nn.relu(x @ w["b"] + w["bb"]) * m[..., None]
    x = jnp.concatenate([x.sum(-2) / n, obs["pool"]], -1)
    x = jax.nn.relu(x @ w["c"] + w["cb"])
    return (x @ w["d"] + w["db"])[..., 0]


def _sample(w, h, obs, reach, key):
    h, mean, log_std = actor(w, h, obs, reach)
    eps = jax.random.normal(key, mean.shape)
    u = mean + jnp.exp(log_std) * eps
    a = jnp.tanh(u)
    logp = -0.5 * eps**2 - log_std - 0.5 * math.log(2 * math.pi) - jnp.log(reach * (1 - a**2) + 1e-4)
    m = obs["mask"]
    return h, reach * a * m, (logp * m).sum(-1) / jnp.maximum(m.sum(-1), 1), mean, log_std


def _unroll(w, seq, reach, key):
    """Time-major sequence -> sampled actions, log-probabilities, means, log stds."""
    t, b = seq["mask"].shape[:2]

    def one(h, x):
        obs, k = x
        h, *rest = _sample(w, h, obs, reach, k)
        return h, rest

    h0 = jnp.zeros(seq["mask"].shape[1:] + (trunk.hidden_size(w),))
    return jax.lax.scan(one, h0, (seq, jax.random.split(key, t)))[1]


def make_update(conf, start, opt_a, opt_c):
    reach, burn, gamma = conf["reach"], conf["burn"], conf["gamma"]

    def critic_loss(cw, seq, action, nxt_action, nxt_logp, target, alpha):
        cur = {k: v[burn:-1] for k, v in seq.items()}
        nxt = {k: v[burn + 1 :] for k, v in seq.items()}
        q_next = jnp.minimum(*(critic(c, nxt, nxt_action[burn + 1 :]) for c in target)) - alpha * nxt_logp[burn + 1 :]
        y = jax.lax.stop_gradient(cur["reward_next"] + gamma * q_next)
        live = cur["lbs"] * nxt["lbs"]
        return sum((((critic(c, cur, action[burn:-1]) - y) ** 2) * live).sum() for c in cw) / jnp.maximum(live.sum(), 1)

    def actor_loss(w, cw, seq, key, alpha, kl):
        a, logp, mean, log_std = _unroll(w, seq, reach, key)
        _, _, mean0, log_std0 = _unroll(start, seq, reach, key)
        cur = {k: v[burn:] for k, v in seq.items()}
        q = jnp.minimum(*(critic(c, cur, a[burn:]) for c in cw))
        live, m = cur["lbs"], cur["mask"]
        # KL of two Gaussians before the squash, mean over servers.
        d = (log_std0 - log_std + (jnp.exp(2 * log_std) + (mean - mean0) ** 2) / (2 * jnp.exp(2 * log_std0)) - 0.5)[burn:]
        d = (d * m).sum(-1) / jnp.maximum(m.sum(-1), 1)
        n = jnp.maximum(live.sum(), 1)
        entropy = -(logp[burn:] * live).sum() / n
        return ((alpha * logp[burn:] - q) * live).sum() / n + kl * (d * live).sum() / n, (entropy, (d * live).sum() / n)

    @functools.partial(jax.jit, static_argnames=("with_actor",))
    def update(s, seq, key, kl, with_actor):
        seq = {k: jnp.swapaxes(v, 0, 1) for k, v in seq.items()}
        k1, k2 = jax.random.split(key)
        alpha = jnp.exp(s["log_alpha"])
        nxt_a, nxt_logp, _, _ = _unroll(s["actor"], seq, reach, k1)
        lc, gc = jax.value_and_grad(critic_loss)(s["critic"], seq, seq["action"], nxt_a, nxt_logp, s["target"], alpha)
        up, oc = opt_c.update(gc, s["opt_c"], s["critic"])
        s = s | {"critic": optax.apply_updates(s["critic"], up), "opt_c": oc}
        info = {"critic_loss": lc}
        if with_actor:
            (_, (entropy, d)), ga = jax.value_and_grad(actor_loss, has_aux=True)(s["actor"], s["critic"], seq, k2, alpha, kl)
            up, oa = opt_a.update(ga, s["opt_a"], s["actor"])
            s = s | {"actor": optax.apply_updates(s["actor"], up), "opt_a": oa,
                     "log_alpha": jnp.clip(s["log_alpha"] - conf["alpha_lr"] * (entropy - conf["entropy"]), -8, 0)}
            info |= {"entropy": entropy, "kl": d}
        target = jax.tree.map(lambda t, c: t + conf["tau"] * (c - t), s["target"], s["critic"])
        return s | {"target": target}, info

    return update


def prepare(seq):
    """The reward of an action is what is seen at the next step."""
    seq["truth"] = rollout.truth(seq)
    seq["reward_next"] = np.concatenate([seq["reward"][:, 1:], seq["reward"][:, -1:]], 1)
    return {k: seq[k] for k in ("server", "pool", "mask", "base", "truth", "action", "reward_next", "lbs")}


def train(run, conf, validation, warm=None):
    """Returns {name: actor parameters} to select from."""
    start = jax.tree.map(jnp.asarray, init(conf, warm))
    opt_a = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(conf["actor_lr"]))
    opt_c = optax.chain(optax.clip_by_global_norm(10.0), optax.adam(conf["critic_lr"]))
    cw = jax.tree.map(jnp.asarray, critic_init(conf["seed"]))
    s = {"actor": start, "critic": cw, "target": cw, "opt_a": opt_a.init(start), "opt_c": opt_c.init(cw),
         "log_alpha": jnp.asarray(math.log(conf["alpha"]))}
    update, first, seen = make_update(conf, start, opt_a, opt_c), 0, 0
    candidates, replay = {"start": jax.tree.map(np.asarray, start)}, rollout.Replay(conf["replay"])
    kept = run.resume()
    if kept:
        replay.unpack(kept.get("replay"))
        s, first, seen, candidates = jax.tree.map(jnp.asarray, kept["s"]), kept["first"], kept["seen"], kept["candidates"]
    host = lambda: jax.tree.map(np.asarray, s["actor"])
    noisy, plain = Model(to_onnx(host(), conf, noise=True)), Model(to_onnx(host(), conf))
    total, bar = conf["updates"] + conf["critic_only"], Progress(conf["updates"] + conf["critic_only"], "sac-gru", first)
    for u in range(first, total):
        rng = np.random.default_rng((conf["seed"], u))
        if u % conf["collect_every"] == 0 or not replay.data:
            noisy.set(flatten(host()))
            count = conf["collect"] if replay.data else conf["collect_first"]
            replay.add(rollout.episodes(noisy, count, seen, conf, 1))
            seen += count
        seq = prepare(replay.sample(rng, conf["batch"], conf["burn"] + conf["length"], True))
        acting = u >= conf["critic_only"]
        kl = conf["kl"] if u < conf["critic_only"] + conf["updates"] * conf["kl_share"] else 0.0
        s, info = update(s, seq, jax.random.key(conf["seed"] * 10**6 + u), kl, acting)
        if u % 50 == 0 or u + 1 == total:
            row = {k: float(v) for k, v in info.items()}
            if not math.isfinite(row["critic_loss"]):
                raise SystemExit("SAC diverged: lower the learning rates")
            run.note(step=u, alpha=float(jnp.exp(s["log_alpha"])), reward=float(np.mean([e["reward"][e["lbs"] > 0].mean() for e in replay.data])), **row)
            bar.show(u + 1, " ".join(f"{k} {v:.3f}" for k, v in row.items()))
        if (u + 1) % conf["validate_every"] == 0 or u + 1 == total:
            plain.set(flatten(host()))
            cmp = validation.compare(validation.run(plain))
            candidates[f"update {u + 1}"] = host()
            run.note(step=u + 1, mean_vs_kalman=cmp["kalman+sed"]["mean"][0], p99_vs_kalman=cmp["kalman+sed"]["p99"][0])
            print(f"\nsac-gru {u + 1}: {describe(cmp)}", flush=True)
            run.save(s=jax.tree.map(np.asarray, s), first=u + 1, seen=seen, candidates=candidates, replay=replay.pack())
    return candidates
