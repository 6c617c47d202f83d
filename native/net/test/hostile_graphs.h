/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs that contradict themselves: input of hostile_test and the fuzzer's seeds. */
#ifndef MARLLB_NET_HOSTILE_GRAPHS_H
#define MARLLB_NET_HOSTILE_GRAPHS_H
#include "onnx_build.h"

struct hostile_tensor {
	const char *name; /* NULL ends the list */
	int rank;
	uint64_t dim[5];
	int values;
	float value[32];
};

struct hostile_node {
	const char *op;       /* NULL ends the list */
	const char *in, *out; /* separated by blanks; "-": absent */
	const char *attr;
	uint64_t number; /* of `axis` and the like */
	int numbers;     /* how many times `number` stands in the list, of `axes` */
};

struct hostile_graph {
	const char *what;
	struct hostile_tensor tensor[5];
	struct hostile_node node[4];
	const char *out;
	bool at_run; /* refused when it runs; else when it is read */
	int rc;
	const char *reason;
};

extern const struct hostile_graph hostile_graphs[];
extern const int hostile_graph_count;
void hostile_graph_build(struct buf *, const struct hostile_graph *);
#endif
