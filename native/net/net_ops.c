/* SPDX-License-Identifier: Apache-2.0 */
#include "net_op.h"

const struct net_op net_ops[] = {
	/* type, inputs: least and most, outputs: most */
	{ "MatMul", 2, 2, 1, net_op_matmul, true },
	{ "Gemm", 3, 3, 1, net_op_gemm, true },
	{ "Add", 2, 2, 1, net_op_add, false },
	{ "Sub", 2, 2, 1, net_op_sub, false },
	{ "Mul", 2, 2, 1, net_op_mul, false },
	{ "Div", 2, 2, 1, net_op_div, false },
	{ "Min", 2, 2, 1, net_op_min, false },
	{ "Max", 2, 2, 1, net_op_max, false },
	{ "Tanh", 1, 1, 1, net_op_tanh, false },
	{ "Sigmoid", 1, 1, 1, net_op_sigmoid, false },
	{ "Exp", 1, 1, 1, net_op_exp, false },
	{ "Relu", 1, 1, 1, net_op_relu, false },
	{ "Log", 1, 1, 1, net_op_log, false },
	{ "Sqrt", 1, 1, 1, net_op_sqrt, false },
	{ "Neg", 1, 1, 1, net_op_neg, false },
	{ "Abs", 1, 1, 1, net_op_abs, false },
	{ "Softplus", 1, 1, 1, net_op_softplus, false },
	{ "Identity", 1, 1, 1, net_op_identity, false },
	{ "Clip", 1, 3, 1, net_op_clip, false },
	{ "ReduceSum", 1, 2, 1, net_op_reduce_sum, false },
	{ "ReduceMean", 1, 2, 1, net_op_reduce_mean, false },
	{ "ReduceMax", 1, 2, 1, net_op_reduce_max, false },
	{ "Concat", 1, NET_NODE_IO, 1, net_op_concat, false },
	{ "Slice", 4, 5, 1, net_op_slice, false },
	{ "Split", 2, 2, NET_NODE_IO, net_op_split, false },
	{ "Unsqueeze", 2, 2, 1, net_op_unsqueeze, false },
	{ "Squeeze", 2, 2, 1, net_op_squeeze, false },
	{ "ArgMax", 1, 1, 1, net_op_argmax, false },
	{ "Gather", 2, 2, 1, net_op_gather, false },
};
const int net_op_count = sizeof(net_ops) / sizeof(net_ops[0]);
