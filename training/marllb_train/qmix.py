# SPDX-License-Identifier: Apache-2.0
"""QMIX (Rashid et al. 2018): an agent is a load balancer, the network is shared; it gives a utility to each of a few actions for every
server. Utilities of all (load balancer, server) pairs are mixed by a network that is monotonic in each and whose weights come from
the true state, in training only; so each load balancer's greedy choice is the team's. The mixing network works on tokens, one a pair,
so that any number of either fits. Double Q-learning with TD(lambda) targets.

Actions: increments of a log weight that is part of the state (`absolute`: the paper's, the weight itself is chosen each step).
A utility is -(beta (wanted - log weight after the action))^2 plus a learned residual: the warm start's wanted weight is the distilled
policy's, and Q-learning moves all of it."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax

from . import rollout, trunk
from .common import Progress, describe
from .graph import flatten
from .simlib import Model

TOKEN = 6  # rollout.truth and the log weight in effect against the capacity


def init(conf, warm=None):
    k = len(conf["actions"]) + 1
    w = trunk.from_marl(warm, conf["seed"], k, 0) if warm is not None else trunk.init(conf["seed"], conf["pre"], conf["hidden"], conf["post"], k)
    return w | {"beta": np.asarray([conf["beta"]], np.float32)}


def net(w):
    return {k: v for k, v in w.items() if k != "beta"}


def utilities(w, h, z, obs, actions, absolute):
    """-> h', utilities [..., N, A]. z: log weight in effect, relative to the configured one."""
    h, out = trunk.step(net(w), h, obs["server"], obs["pool"], obs["mask"])
    wanted = trunk.centred(out[..., 0], obs["mask"])
    after = actions if absolute else z[..., None] + actions
    return h, -((w["beta"][0] * (wanted[..., None] - after)) ** 2) + out[..., 1:]


def moved(z, inc, mask, absolute, reach):
    return trunk.centred(jnp.clip(inc if absolute else z + inc, -reach, reach), mask)


def to_onnx(w, conf, noise=False, meta=None):
    acts, reach = np.asarray(conf["actions"], np.float32), conf["reach"]
    hid = w["gru_n"].shape[0]
    t = _Trunk(w, hid)
    g = t.g
    beta = g.param("beta", w["beta"])
    wanted, residual = g.split(t.out, 2, [1, len(acts)])
    wanted = t.centred(wanted)
    after = g.const(acts) if conf["absolute"] else g.add(t.z, g.const(acts))
    d = g.mul(g.sub(wanted, after), beta)
    q = g.sub(residual, g.mul(d, d))
    extra = []
    if noise:
        q, extra = g.add(q, "noise"), [("noise", ["B", "N", len(acts)])]
    pick = g.op("ArgMax", q, axis=2, keepdims=0)
    inc = g.unsqueeze(g.op("Gather", g.const(acts), pick), 2)
    z = t.centred(g.clip(inc if conf["absolute"] else g.add(t.z, inc), -reach, reach))
    state = g.op("Concat", t.h, z, axis=2)
    return t.finish("qmix", hid + 1, z, state, extra, action=g.add(inc, g.const([0.0])) if noise else None, meta=meta)


class _Trunk(trunk.OnnxTrunk):
    """State [B,N,H+1]: hidden state and the log weight in effect."""

    def __init__(self, w, hid):
        names = [k for k in w if k != "beta"]
        self._hid = hid
        super().__init__(w, names, self._cut)

    def _cut(self, g):
        h, self.z = g.split("state", 2, [self._hid, 1])
        return h


def mixer_init(seed, width=32, embed=8):
    r = np.random.default_rng((seed, 11))
    w = lambda i, o: (r.standard_normal((i, o)) / np.sqrt(i)).astype(np.float32)
    z = lambda n: np.zeros(n, np.float32)
    return {"t": w(TOKEN, width), "tb": z(width), "w1": w(width, embed), "w1b": z(embed), "s": w(width, width), "sb": z(width),
            "b1": w(width, embed), "w2": w(width, embed), "w2b": z(embed), "v": w(width, 1), "vb": z(1)}


def mix(m, u, token, live):
    """u [B, M, N] utilities of the actions taken, token [B, M, N, TOKEN], live [B, M, N] -> Q of the team [B]. Monotonic in u: the
    weights on it pass through softplus."""
    n = jnp.maximum(live.sum((-1, -2)), 1)[:, None]
    x = jax.nn.relu(token @ m["t"] + m["tb"]) * live[..., None]
    s = jax.nn.relu((x.sum((1, 2)) / n) @ m["s"] + m["sb"])
    w1 = jax.nn.softplus(x @ m["w1"] + m["w1b"]) * live[..., None]
    k = jax.nn.elu((u[..., None] * w1).sum((1, 2)) / n + s @ m["b1"])
    return (k * jax.nn.softplus(s @ m["w2"] + m["w2b"])).sum(-1) + (s @ m["v"] + m["vb"])[:, 0]


def make_update(conf, opt):
    acts = jnp.asarray(conf["actions"], jnp.float32)
    burn, gamma, lam, absolute, reach = conf["burn"], conf["gamma"], conf["lambda"], conf["absolute"], conf["reach"]

    def unroll(w, seq):
        """Utilities along the stored actions, time first: [T, B, M, N, A]."""

        def one(c, x):
            h, z = c
            h, u = utilities(w, h, z, x, acts, absolute)
            return (h, moved(z, x["action"], x["mask"], absolute, reach)), u

        # The log weight at the window's start is known (`z0`); the hidden state is found again by the burn-in.
        h0 = jnp.zeros(seq["mask"].shape[1:] + (w["gru_n"].shape[0],))
        return jax.lax.scan(one, (h0, seq["z0"][0]), {k: v for k, v in seq.items() if k != "z0"})[1]

    def chosen(u, index):
        return jnp.take_along_axis(u, index[..., None], -1)[..., 0]

    def loss(p, target, seq):
        u, ut = unroll(p["agent"], seq), unroll(target["agent"], seq)
        team = lambda m, v: jax.vmap(lambda a, b, c: mix(m, a, b, c))(v, seq["token"], seq["mask"])
        q = team(p["mix"], chosen(u, seq["index"]))
        # Double Q: the online network chooses, the target network values.
        best = team(target["mix"], chosen(ut, u.argmax(-1)))
        r = seq["team_reward"]

        def back(ret, x):
            reward, nxt = x
            ret = reward + gamma * ((1 - lam) * nxt + lam * ret)
            return ret, ret

        _, y = jax.lax.scan(back, best[-1], (r[:-1], best[1:]), reverse=True)
        d = (q[:-1] - jax.lax.stop_gradient(y))[burn:]
        live = seq["lbs"].max(-1)[:-1][burn:]
        return (d**2 * live).sum() / jnp.maximum(live.sum(), 1), q.mean()

    @functools.partial(jax.jit, donate_argnums=(1,))
    def update(p, state, target, seq):
        seq = {k: jnp.swapaxes(v, 0, 1) for k, v in seq.items()}
        (l, q), g = jax.value_and_grad(loss, has_aux=True)(p, target, seq)
        up, state = opt.update(g, state, p)
        return optax.apply_updates(p, up), state, l, q

    return update


def finish_episode(e, conf):
    """Log weights along an episode, from the actions taken."""
    z, out = np.zeros(e["mask"][:, 0].shape, np.float32), []
    for t in range(e["mask"].shape[1]):
        out.append(z)
        m = e["mask"][:, t]
        z = np.clip(e["action"][:, t] if conf["absolute"] else z + e["action"][:, t], -conf["reach"], conf["reach"])
        z = (z - (z * m).sum(-1, keepdims=True) / np.maximum(m.sum(-1, keepdims=True), 1)) * m
    e["z0"] = np.stack(out, 1)
    return e


def prepare(seq, conf):
    acts = np.asarray(conf["actions"], np.float32)
    truth = rollout.truth(seq)
    m = seq["mask"]
    w = seq["base"] + seq["z0"]
    off = (w - (w * m).sum(-1, keepdims=True) / np.maximum(m.sum(-1, keepdims=True), 1)) * m - truth[..., 0]
    lbs = np.maximum(seq["lbs"].sum(1), 1)
    r = (seq["reward"] * seq["lbs"]).sum(1) / lbs  # [batch, T]: the team's
    out = {k: seq[k] for k in ("server", "pool", "mask", "action", "z0", "lbs")}
    out["token"] = np.concatenate([truth, off[..., None]], -1).astype(np.float32)
    out["index"] = np.abs(seq["action"][..., None] - acts).argmin(-1)
    out["team_reward"] = np.concatenate([r[:, 1:], r[:, -1:]], 1).astype(np.float32)
    # [batch, M, T, ...] -> [batch, T, M, ...]
    return {k: v if k == "team_reward" else np.swapaxes(v, 1, 2) for k, v in out.items()}


def train(run, conf, validation, warm=None):
    p = jax.tree.map(jnp.asarray, {"agent": init(conf, warm), "mix": mixer_init(conf["seed"])})
    opt = optax.chain(optax.clip_by_global_norm(5.0), optax.multi_transform(
        {"agent": optax.adam(conf["lr"]), "mix": optax.adam(conf["mix_lr"])}, {"agent": "agent", "mix": "mix"}))
    state, target, first, seen = opt.init(p), p, 0, 0
    candidates, replay = {"start": jax.tree.map(np.asarray, p["agent"])}, rollout.Replay(conf["replay"])
    kept = run.resume()
    if kept:
        replay.unpack(kept.get("replay"))
        p, state, target = (jax.tree.map(jnp.asarray, kept[k]) for k in ("p", "state", "target"))
        first, seen, candidates = kept["first"], kept["seen"], kept["candidates"]
    host = lambda: jax.tree.map(np.asarray, p["agent"])
    noisy, plain = Model(to_onnx(host(), conf, noise=True)), Model(to_onnx(host(), conf))
    update, bar = make_update(conf, opt), Progress(conf["updates"], "qmix", first)
    for u in range(first, conf["updates"]):
        rng = np.random.default_rng((conf["seed"], u))
        if u % conf["collect_every"] == 0 or not replay.data:
            noisy.set(flatten(host()))
            eps = conf["eps_end"] + (conf["eps_start"] - conf["eps_end"]) * max(0, 1 - u / (conf["eps_share"] * conf["updates"]))
            count = conf["collect"] if replay.data else conf["collect_first"]
            replay.add([finish_episode(e, conf) for e in rollout.episodes(noisy, count, seen, conf, 2, eps)])
            seen += count
        seq = prepare(replay.sample(rng, conf["batch"], conf["burn"] + conf["length"], False), conf)
        # The mixing network learns what utilities mean before it may move the agents.
        kept_agent = p["agent"]
        p, state, loss, q = update(p, state, target, seq)
        if u < conf["mix_only"]:
            p = {**p, "agent": kept_agent}
        if (u + 1) % conf["target_every"] == 0:
            target = p
        if u % 50 == 0 or u + 1 == conf["updates"]:
            if not math.isfinite(float(loss)):
                raise SystemExit("QMIX diverged: lower the learning rates")
            run.note(step=u, td_loss=float(loss), q=float(q), reward=float(np.mean([e["reward"][e["lbs"] > 0].mean() for e in replay.data])))
            bar.show(u + 1, f"td {float(loss):.3f} q {float(q):.2f}")
        if (u + 1) % conf["validate_every"] == 0 or u + 1 == conf["updates"]:
            plain.set(flatten(host()))
            cmp = validation.compare(validation.run(plain))
            candidates[f"update {u + 1}"] = host()
            run.note(step=u + 1, mean_vs_kalman=cmp["kalman+sed"]["mean"][0], p99_vs_kalman=cmp["kalman+sed"]["p99"][0])
            print(f"\nqmix {u + 1}: {describe(cmp)}", flush=True)
            run.save(p=jax.tree.map(np.asarray, p), state=jax.tree.map(np.asarray, state), target=jax.tree.map(np.asarray, target),
                     first=u + 1, seen=seen, candidates=candidates, replay=replay.pack())
    return candidates
