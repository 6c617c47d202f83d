/* SPDX-License-Identifier: Apache-2.0 */
/* The ops: ONNX's semantics for float32 and ranks up to 4. An op looks at nothing in the file unchecked: what its inputs hold and
 * how they are shaped comes from there. */
#ifndef MARLLB_NET_OP_H
#define MARLLB_NET_OP_H
#include "net_types.h"

struct net_call {
	const struct net_node *node;
	struct net_tensor *const *in; /* NULL where an optional input is absent */
	struct net_tensor *const *out;
	const char *why; /* the reason, when run() fails */
};

struct net_op {
	const char *type;
	int min_in, max_in, max_out;
	/* Writes out[]'s shapes and data. -EINVAL (does not fit), -ENOTSUP (ONNX allows it, this code does not), -ENOMEM. */
	int (*run)(struct net_call *);
	bool product; /* each value of the result takes as many steps as the first input's last dimension */
};
extern const struct net_op net_ops[];
extern const int net_op_count;

#define NET_OPS_DENSE(X) X(matmul) X(gemm) X(reduce_sum) X(reduce_mean) X(reduce_max) X(argmax)
#define NET_OPS_ELEMENTWISE(X) \
	X(add) \
	X(sub) \
	X(mul) X(div) X(min) X(max) X(tanh) X(sigmoid) X(exp) X(relu) X(log) X(sqrt) X(neg) X(abs) X(softplus) X(identity) X(clip)
#define NET_OPS_SHAPE(X) X(concat) X(slice) X(split) X(unsqueeze) X(squeeze) X(gather)
#define NET_OP_DECLARE(name) int net_op_##name(struct net_call *);
NET_OPS_DENSE(NET_OP_DECLARE)
NET_OPS_ELEMENTWISE(NET_OP_DECLARE)
NET_OPS_SHAPE(NET_OP_DECLARE)

/* For the ops' own use. */
int net_op_fail(struct net_call *, int rc, const char *why);
/* Makes room for output i. */
int net_op_size(struct net_call *, int i, struct net_shape);
/* A dimension's index from an axis that may count from the end; -1 if there is none. */
int net_op_axis(int64_t axis, int rank);
/* Axes from the attribute or from input k (opset 13 on), as a bit mask; 0: none is given. Negative: refused. */
int net_op_axes(struct net_call *, int k, int rank);
/* Products of the dimensions before, at and after an axis. */
void net_op_around(const struct net_shape *, int axis, size_t *before, size_t *at, size_t *after);
#endif
