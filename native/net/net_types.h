/* SPDX-License-Identifier: Apache-2.0 */
/* What a graph is made of, for the files of native/net only. Reading order, lowest first: net_types, net_tensor (sizes),
 * net_math, net_op (the ops), net_value (names), net_proto (protobuf), net_initializer, net_onnx (the file), net_graph and
 * net_run (net.h). */
#ifndef MARLLB_NET_TYPES_H
#define MARLLB_NET_TYPES_H
#include <stdbool.h>
#include "net.h"

#define NET_NODE_IO 8             /* inputs or outputs of a node */
#define NET_VALUES_MAX 8192       /* named values, and nodes, of a graph */
#define NET_META_MAX 256          /* metadata properties */
#define NET_DIM_MAX (1 << 24)     /* one dimension */
#define NET_FLOATS_MAX (1u << 26) /* floats of one tensor: 256 MiB */
#define NET_TOTAL_MAX (1u << 27)  /* floats that one run holds */
#define NET_WORK_MAX (1ull << 32) /* operations of one evaluation: seconds */

struct net_tensor {
	struct net_shape shape;
	float *data; /* whole numbers, too: axes and slice bounds are small */
	size_t cap;  /* floats allocated; 0: another's memory */
};

struct net_attr { /* what the handled ops need, with ONNX's defaults */
	int64_t axis;
	int64_t keepdims;
	int64_t trans_b;
	int64_t axes[NET_RANK];
	int naxes;
};

struct net_node {
	int op; /* index into net_ops */
	int nin, nout;
	int in[NET_NODE_IO]; /* value, -1 = absent */
	int out[NET_NODE_IO];
	struct net_attr attr;
};

struct net {
	struct net_tensor *value; /* constants hold data; the rest only a place */
	char **name;
	bool *constant;
	int values, cap;
	struct net_node *node;
	int nodes;
	int in[NET_IO_MAX], out[NET_IO_MAX];
	struct net_shape in_shape[NET_IO_MAX];
	uint32_t ins, outs;
	char *(*meta)[2]; /* key, value */
	int metas;
};
#endif
