/* SPDX-License-Identifier: Apache-2.0 */
#include "hostile_graphs.h"
#include <errno.h>

#define BIG (1u << 24)
#define SCALAR(name, x) \
	{ \
		name, 1, { 1 }, 1, \
		{ \
			x \
		} \
	}
#define VECTOR4(name) \
	{ \
		name, 1, { 4 }, 4, \
		{ \
			1, 2, 3, 4 \
		} \
	}
#define MATRIX(name) \
	{ \
		name, 2, { 2, 3 }, 6, \
		{ \
			1, 2, 3, 4, 5, 6 \
		} \
	}
#define NOTHING(name) \
	{ \
		name, 1, { 0 }, 0, \
		{ \
			0 \
		} \
	}

const struct hostile_graph hostile_graphs[] = {
	{ "dimensions whose product is 2^64 + 26, with 26 floats",
	  { { "c", 4, { 3785993, 252017, 4854, 3983 }, 26, { 1 } }, SCALAR("s", 0), SCALAR("e", 1e9f), SCALAR("a", 3) },
	  { { "Slice", "c s e a", "y", NULL, 0, 0 } },
	  "y",
	  false,
	  -EPROTO,
	  "\"c\" is too large" },
	{ "dimensions whose product is 2^64",
	  { { "c", 4, { BIG, BIG, 1, 1 << 16 }, 0, { 0 } } },
	  { { "ArgMax", "c", "y", "axis", 2, 0 } },
	  "y",
	  false,
	  -EPROTO,
	  "\"c\" is too large" },
	{ "an empty tensor whose other dimensions are 2^64",
	  { { "c", 4, { BIG, BIG, 1 << 16, 0 }, 0, { 0 } } },
	  { { "ReduceMax", "c", "y", "axes", 0, 1 } },
	  "y",
	  false,
	  -EPROTO,
	  "\"c\" is too large" },
	{ "a negative dimension",
	  { { "c", 2, { (uint64_t)-2, 2 }, 0, { 0 } } },
	  { { "Relu", "c", "y", NULL, 0, 0 } },
	  "y",
	  false,
	  -EPROTO,
	  "\"c\" is too large" },
	{ "five dimensions",
	  { { "c", 5, { 1, 1, 1, 1, 1 }, 1, { 0 } } },
	  { { "Relu", "c", "y", NULL, 0, 0 } },
	  "y",
	  false,
	  -ENOTSUP,
	  "more than 4 dimensions" },
	{ "a tensor of 2^24 floats in a file of 100 bytes",
	  { { "c", 1, { BIG }, 0, { 0 } } },
	  { { "Relu", "c", "y", NULL, 0, 0 } },
	  "y",
	  false,
	  -EPROTO,
	  "\"c\" has the wrong length" },
	{ "a tensor given twice",
	  { VECTOR4("c"), NOTHING("c") },
	  { { "Relu", "c", "y", NULL, 0, 0 } },
	  "y",
	  false,
	  -EPROTO,
	  "\"c\" is given twice" },
	{ "a second output of an op that makes one",
	  { VECTOR4("c") },
	  { { "Relu", "c", "y x", NULL, 0, 0 }, { "Add", "x c", "z", NULL, 0, 0 } },
	  "z",
	  false,
	  -EPROTO,
	  "op Relu has 2 outputs, expected 1" },
	{ "a second output as the result",
	  { VECTOR4("c") },
	  { { "Relu", "c", "y x", NULL, 0, 0 } },
	  "x",
	  false,
	  -EPROTO,
	  "op Relu has 2 outputs" },
	{ "an absent output",
	  { VECTOR4("c"), SCALAR("l", 4) },
	  { { "Split", "c l", "y -", NULL, 0, 0 } },
	  "y",
	  false,
	  -EPROTO,
	  "computed twice or has no name" },
	{ "a needed input that is absent",
	  { VECTOR4("c") },
	  { { "Add", "c -", "y", NULL, 0, 0 } },
	  "y",
	  false,
	  -EPROTO,
	  "op Add lacks input 1" },
	{ "a value computed twice",
	  { VECTOR4("c") },
	  { { "Relu", "c", "y", NULL, 0, 0 }, { "Neg", "c", "y", NULL, 0, 0 } },
	  "y",
	  false,
	  -EPROTO,
	  "computed twice" },
	{ "a constant computed anew",
	  { VECTOR4("c"), VECTOR4("y") },
	  { { "Relu", "c", "y", NULL, 0, 0 } },
	  "y",
	  false,
	  -EPROTO,
	  "computed twice" },
	{ "an empty bound",
	  { VECTOR4("c"), NOTHING("lo") },
	  { { "Clip", "c lo", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "a bound must be one value" },
	{ "an empty upper bound",
	  { VECTOR4("c"), NOTHING("hi") },
	  { { "Clip", "c - hi", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "a bound must be one value" },
	{ "no axis to slice",
	  { VECTOR4("c"), SCALAR("s", 0), SCALAR("e", 1), NOTHING("a") },
	  { { "Slice", "c s e a", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "must be one value each" },
	{ "an empty step",
	  { VECTOR4("c"), SCALAR("s", 0), SCALAR("e", 1), SCALAR("a", 0), NOTHING("p") },
	  { { "Slice", "c s e a p", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "must be one value each" },
	{ "a slice from infinity",
	  { VECTOR4("c"), SCALAR("s", 1e39f), SCALAR("e", 1), SCALAR("a", 0) },
	  { { "Slice", "c s e a", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "must be whole numbers" },
	{ "a slice of an axis that is not there",
	  { VECTOR4("c"), SCALAR("s", 0), SCALAR("e", 1), SCALAR("a", 1e30f) },
	  { { "Slice", "c s e a", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "none of the dimensions" },
	{ "a split of a negative length",
	  { VECTOR4("c"), { "l", 1, { 2 }, 2, { -1, 5 } } },
	  { { "Split", "c l", "y z", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "not a whole number" },
	{ "a split of more than there is",
	  { VECTOR4("c"), { "l", 1, { 2 }, 2, { 3, 1e12f } } },
	  { { "Split", "c l", "y z", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "more than there is" },
	{ "a split of less than there is",
	  { VECTOR4("c"), { "l", 1, { 2 }, 2, { 1, 1 } } },
	  { { "Split", "c l", "y z", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "not the whole" },
	{ "more lengths than outputs",
	  { VECTOR4("c"), { "l", 1, { 2 }, 2, { 2, 2 } } },
	  { { "Split", "c l", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "one length an output" },
	{ "a split along an axis of 2^32",
	  { VECTOR4("c"), SCALAR("l", 4) },
	  { { "Split", "c l", "y", "axis", 1ull << 32, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "none of the dimensions" },
	{ "an axis given twice to Unsqueeze",
	  { VECTOR4("c"), { "a", 1, { 2 }, 2, { 0, 0 } } },
	  { { "Unsqueeze", "c a", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "given twice" },
	{ "an Unsqueeze to seven dimensions",
	  { VECTOR4("c"), { "a", 1, { 6 }, 6, { 0, 1, 2, 3, 4, 5 } } },
	  { { "Unsqueeze", "c a", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -ENOTSUP,
	  "at most four dimensions" },
	{ "no axis to squeeze",
	  { VECTOR4("c"), NOTHING("a") },
	  { { "Squeeze", "c a", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "needs an axis" },
	{ "a squeeze of a dimension of 4",
	  { VECTOR4("c"), SCALAR("a", 0) },
	  { { "Squeeze", "c a", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "only a dimension of 1" },
	{ "half an axis to squeeze",
	  { VECTOR4("c"), SCALAR("a", .5f) },
	  { { "Squeeze", "c a", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "none of the dimensions" },
	{ "a reduction over an axis that is not there",
	  { MATRIX("c") },
	  { { "ReduceSum", "c", "y", "axes", 7, 1 } },
	  "y",
	  true,
	  -EINVAL,
	  "none of the dimensions" },
	{ "a reduction over five axes",
	  { MATRIX("c"), { "a", 1, { 5 }, 5, { 0, 1, 0, 1, 0 } } },
	  { { "ReduceMax", "c a", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "more axes than dimensions" },
	{ "the greatest of nothing",
	  { { "c", 2, { 2, 0 }, 0, { 0 } } },
	  { { "ArgMax", "c", "y", "axis", 1, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "no greatest of nothing" },
	{ "the greatest along a negative axis",
	  { VECTOR4("c") },
	  { { "ArgMax", "c", "y", "axis", (uint64_t)-9, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "none of the dimensions" },
	{ "an index beyond the vector",
	  { VECTOR4("c"), SCALAR("i", 4) },
	  { { "Gather", "c i", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "not within the vector" },
	{ "an index of a matrix",
	  { MATRIX("c"), SCALAR("i", 0) },
	  { { "Gather", "c i", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -ENOTSUP,
	  "takes from a vector" },
	{ "factors that do not fit",
	  { MATRIX("c"), MATRIX("d") },
	  { { "MatMul", "c d", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "do not fit" },
	{ "a product with a vector",
	  { MATRIX("c"), VECTOR4("d") },
	  { { "MatMul", "c d", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -ENOTSUP,
	  "must be a matrix" },
	{ "a Gemm that adds nothing",
	  { MATRIX("c"), { "d", 2, { 3, 1 }, 3, { 1 } }, NOTHING("e") },
	  { { "Gemm", "c d e", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -ENOTSUP,
	  "must be one row" },
	{ "a sum of shapes that do not fit",
	  { MATRIX("c"), VECTOR4("d") },
	  { { "Add", "c d", "y", NULL, 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "do not fit" },
	{ "a concatenation of shapes that do not fit",
	  { MATRIX("c"), { "d", 2, { 3, 2 }, 6, { 1 } } },
	  { { "Concat", "c d", "y", "axis", 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "do not fit" },
	{ "a concatenation with nothing between",
	  { MATRIX("c") },
	  { { "Concat", "c - c", "y", "axis", 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "ranks differ" },
	{ "a concatenation of scalars",
	  { { "c", 0, { 0 }, 1, { 1 } } },
	  { { "Concat", "c c", "y", "axis", 0, 0 } },
	  "y",
	  true,
	  -EINVAL,
	  "none of the dimensions" },
};
const int hostile_graph_count = sizeof(hostile_graphs) / sizeof(hostile_graphs[0]);

static void names(struct buf *n, uint32_t id, const char *list)
{
	while (*list) {
		size_t len = strcspn(list, " ");
		field_bytes(n, id, list, len == 1 && *list == '-' ? 0 : len);
		list += len + (list[len] != 0);
	}
}

void hostile_graph_build(struct buf *out, const struct hostile_graph *h)
{
	struct buf g = { .n = 0 };
	for (const struct hostile_tensor *t = h->tensor; t < h->tensor + 5 && t->name; t++) {
		struct buf b = { .n = 0 };
		for (int i = 0; i < t->rank; i++)
			field_num(&b, 1, t->dim[i]);
		field_num(&b, 2, 1);
		field_text(&b, 8, t->name);
		field_bytes(&b, 9, t->value, (size_t)t->values * sizeof(float));
		field_buf(&g, 5, &b);
	}
	for (const struct hostile_node *o = h->node; o < h->node + 4 && o->op; o++) {
		struct buf b = { .n = 0 }, a = { .n = 0 };
		names(&b, 1, o->in);
		names(&b, 2, o->out);
		field_text(&b, 4, o->op);
		if (o->attr) {
			field_text(&a, 1, o->attr);
			for (int i = 0; i < o->numbers; i++)
				field_num(&a, 8, o->number);
			if (!o->numbers)
				field_num(&a, 3, o->number);
			field_buf(&b, 5, &a);
		}
		field_buf(&g, 1, &b);
	}
	place(&g, 12, h->out, 1, (int[]){ -1 });
	model(out, &g, "base", "kalman");
}
