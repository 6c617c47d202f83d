/* SPDX-License-Identifier: Apache-2.0 */
/* Between net.c (plan and run), net_onnx.c (reading the file) and net_ops.c (the kernels). */
#ifndef MARLLB_NET_PRIV_H
#define MARLLB_NET_PRIV_H
#include <stdbool.h>
#include "net.h"

#define NODE_IN_MAX 8

struct tensor {
	struct net_shape shape;
	float *data; /* integers, too: axes and slice bounds are small */
	size_t cap;  /* floats allocated; 0: not ours */
};

struct net_attr { /* what the handled ops need, with ONNX's defaults */
	int64_t axis;
	int64_t keepdims;
	int64_t trans_b;
	bool has_axis;
	int64_t axes[NET_RANK];
	int naxes;
};

struct net_node {
	int op; /* index into net_ops */
	int nin, nout;
	int in[NODE_IN_MAX]; /* tensor, -1 = absent */
	int out[NODE_IN_MAX];
	struct net_attr attr;
};

struct net {
	struct tensor *value; /* constants hold data; the rest only a place */
	char **name;
	bool *constant;
	int values, cap;
	struct net_node *node;
	int nodes;
	int in[NET_IO_MAX], out[NET_IO_MAX];
	struct net_shape in_shape[NET_IO_MAX];
	uint32_t ins, outs;
	char *meta[16][2];
	int metas;
};

struct net_op {
	const char *type;
	int min_in, max_in;
	/* Writes out[]'s shapes and data (tensor_size makes room). Negative errno. */
	int (*run)(const struct net_node *, struct tensor *const in[], struct tensor *const out[]);
};
extern const struct net_op net_ops[];
extern const int net_op_count;

int net_value(struct net *, const char *name, size_t len); /* index, made when new; -ENOMEM */
int tensor_size(struct tensor *, struct net_shape);        /* -ENOMEM, -EINVAL */
size_t shape_count(const struct net_shape *);
int net_read_onnx(struct net *, const uint8_t *bytes, size_t len, char err[256]);
#endif
