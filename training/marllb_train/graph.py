# SPDX-License-Identifier: Apache-2.0
"""Writes ONNX graphs by hand from the few ops that native/net/net_ops.c and onnxruntime both evaluate."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


class Graph:
    """Nodes by method call; every method returns the name of its result. Names of parameters begin with "w."."""

    def __init__(self):
        self.nodes, self.consts, self.count, self.seen = [], [], 0, {}

    def param(self, name, value):
        self.consts.append(numpy_helper.from_array(np.asarray(value, np.float32), "w." + name))
        return "w." + name

    def const(self, value, kind=np.float32):
        value = np.asarray(value, kind)
        key = (value.tobytes(), value.shape, str(kind))
        if key not in self.seen:
            self.seen[key] = f"c{len(self.seen)}"
            self.consts.append(numpy_helper.from_array(value, self.seen[key]))
        return self.seen[key]

    def op(self, kind, *inputs, outputs=1, **attrs):
        names = [f"v{self.count + i}" for i in range(outputs)]
        self.count += outputs
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attrs))
        return names[0] if outputs == 1 else names

    def add(self, *xs):
        out = xs[0]
        for x in xs[1:]:
            out = self.op("Add", out, x)
        return out

    def sub(self, a, b):
        return self.op("Sub", a, b)

    def mul(self, a, b):
        return self.op("Mul", a, b)

    def matmul(self, a, b):
        return self.op("MatMul", a, b)

    def unsqueeze(self, x, axis):
        return self.op("Unsqueeze", x, self.const([axis], np.int64))

    def squeeze(self, x, axis):
        return self.op("Squeeze", x, self.const([axis], np.int64))

    def sum(self, x, axis, keep=True):
        return self.op("ReduceSum", x, self.const([axis], np.int64), keepdims=int(keep))

    def slice(self, x, axis, lo, hi):
        return self.op("Slice", x, self.const([lo], np.int64), self.const([hi], np.int64), self.const([axis], np.int64))

    def split(self, x, axis, parts):
        return self.op("Split", x, self.const(parts, np.int64), outputs=len(parts), axis=axis)

    def clip(self, x, lo, hi):
        return self.op("Clip", x, self.const(lo), self.const(hi))

    def masked_mean(self, x, mask3, count):
        """x [B,N,H], mask3 [B,N,1], count [B,1,1] -> [B,1,H]"""
        return self.op("Div", self.sum(self.mul(x, mask3), 1), count)

    def model(self, name, inputs, outputs, meta):
        """inputs, outputs: [(name, shape)], names of computed values renamed by an Identity."""
        vi = lambda n, s: helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
        for out, _, value in outputs:
            self.nodes.append(helper.make_node("Identity", [value], [out]))
        self.consts.sort(key=lambda c: (not c.name.startswith("w."), c.name))  # parameters first, in `flatten`'s order
        g = helper.make_graph(self.nodes, name, [vi(*i) for i in inputs], [vi(o, s) for o, s, _ in outputs], self.consts)
        m = helper.make_model(g, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="marllb-training", ir_version=8)
        helper.set_model_props(m, {k: str(v) for k, v in meta.items()})
        onnx.checker.check_model(m)
        return m.SerializeToString()


def flatten(params):
    """A dict of arrays to one vector, by name: the order of the graph's "w.*" initializers whatever order the dict has (JAX sorts)."""
    return np.concatenate([np.asarray(params[k], np.float32).ravel() for k in sorted(params)])


def unflatten(vector, like):
    out, at = {}, 0
    for k in sorted(like):
        v = like[k]
        out[k] = np.asarray(vector[at : at + v.size], np.float32).reshape(v.shape)
        at += v.size
    return out
