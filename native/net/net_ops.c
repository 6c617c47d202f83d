/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels: ONNX semantics for float32, ranks up to 4. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include "net_math.h"
#include "net_priv.h"

#define MAX(a, b) ((a) > (b) ? (a) : (b))

typedef int run_fn(const struct net_node *, struct tensor *const in[], struct tensor *const out[]);

static int axis_of(int64_t axis, int rank)
{
	return (int)(axis < 0 ? axis + rank : axis);
}

/* Products of the dimensions before, at and after an axis. */
static void around(const struct net_shape *s, int axis, size_t *before, size_t *at, size_t *after)
{
	*before = *after = 1;
	for (int i = 0; i < axis; i++)
		*before *= (size_t)s->dim[i];
	*at = (size_t)s->dim[axis];
	for (int i = axis + 1; i < s->rank; i++)
		*after *= (size_t)s->dim[i];
}

/* Axes from the attribute or from input k (opset 13 on); all when neither is given. Bit mask; -EINVAL. */
static int axes_of(const struct net_node *n, struct tensor *const in[], int k, int rank)
{
	int mask = 0, count = n->attr.naxes;
	if (n->nin > k && in[k])
		count = (int)shape_count(&in[k]->shape);
	for (int i = 0; i < count; i++) {
		int a = axis_of(n->nin > k && in[k] ? (int64_t)in[k]->data[i] : n->attr.axes[i], rank);
		if (a < 0 || a >= rank)
			return -EINVAL;
		mask |= 1 << a;
	}
	return count ? mask : (1 << rank) - 1;
}

static int matmul(const struct net_node *n, struct tensor *const in[], struct tensor *const out[])
{
	const struct tensor *a = in[0], *b = in[1];
	bool gemm = n->nin > 2, trans = gemm && n->attr.trans_b;
	struct net_shape s = a->shape;
	if (s.rank < 1 || b->shape.rank != 2)
		return -EINVAL;
	int64_t k = s.dim[s.rank - 1], m = b->shape.dim[trans ? 0 : 1];
	if (b->shape.dim[trans ? 1 : 0] != k)
		return -EINVAL;
	s.dim[s.rank - 1] = m;
	int rc = tensor_size(out[0], s);
	if (rc)
		return rc;
	size_t rows = m ? shape_count(&s) / (size_t)m : 0;
	if (trans)
		net_matmul_nt(out[0]->data, a->data, b->data, rows, (size_t)k, (size_t)m);
	else
		net_matmul(out[0]->data, a->data, b->data, rows, (size_t)k, (size_t)m);
	if (gemm && in[2]) {
		if (shape_count(&in[2]->shape) != (size_t)m)
			return -EINVAL;
		for (size_t r = 0; r < rows; r++)
			for (int64_t j = 0; j < m; j++)
				out[0]->data[r * (size_t)m + (size_t)j] += in[2]->data[j];
	}
	return 0;
}

static inline float binary(char op, float x, float y)
{
	switch (op) {
	case '+': return x + y;
	case '-': return x - y;
	case '*': return x * y;
	case '/': return x / y;
	case '<': return x < y ? x : y;
	default: return x > y ? x : y;
	}
}

/* Elementwise with broadcasting. `op` is a constant at each call, so the loops specialise. */
static inline __attribute__((always_inline)) int elementwise(char op, struct tensor *const in[], struct tensor *const out[])
{
	const struct tensor *a = in[0], *b = in[1];
	struct net_shape s = { .rank = MAX(a->shape.rank, b->shape.rank) };
	size_t sa[NET_RANK] = { 0 }, sb[NET_RANK] = { 0 }, ca = 1, cb = 1, idx[NET_RANK] = { 0 };
	for (int i = s.rank - 1; i >= 0; i--) {
		int ia = i - (s.rank - a->shape.rank), ib = i - (s.rank - b->shape.rank);
		int64_t da = ia < 0 ? 1 : a->shape.dim[ia], db = ib < 0 ? 1 : b->shape.dim[ib];
		if (da != db && da != 1 && db != 1)
			return -EINVAL;
		s.dim[i] = da == 1 ? db : da;
		sa[i] = da == 1 ? 0 : ca;
		sb[i] = db == 1 ? 0 : cb;
		ca *= (size_t)da;
		cb *= (size_t)db;
	}
	int rc = tensor_size(out[0], s);
	if (rc)
		return rc;
	size_t total = shape_count(&s), cols = s.rank ? (size_t)s.dim[s.rank - 1] : 1;
	size_t ia = s.rank ? sa[s.rank - 1] : 0, ib = s.rank ? sb[s.rank - 1] : 0;
	if (ca == total && cb == total)
		ia = ib = 1, cols = total;
	for (size_t at = 0; at < total; at += cols) {
		size_t oa = 0, ob = 0;
		for (int i = 0; i + 1 < s.rank; i++) {
			oa += idx[i] * sa[i];
			ob += idx[i] * sb[i];
		}
		const float *x = a->data + oa, *y = b->data + ob;
		float *o = out[0]->data + at;
		if (ia && ib)
			for (size_t j = 0; j < cols; j++)
				o[j] = binary(op, x[j], y[j]);
		else if (ia)
			for (size_t j = 0; j < cols; j++)
				o[j] = binary(op, x[j], y[0]);
		else
			for (size_t j = 0; j < cols; j++)
				o[j] = binary(op, x[0], y[ib ? j : 0]);
		for (int i = s.rank - 2; i >= 0 && ++idx[i] == (size_t)s.dim[i]; i--)
			idx[i] = 0;
	}
	return 0;
}

#define BINARY(name, op) \
	static int name(const struct net_node *n, struct tensor *const in[], struct tensor *const out[]) \
	{ \
		(void)n; \
		return elementwise(op, in, out); \
	}
BINARY(add, '+')
BINARY(sub, '-')
BINARY(mul, '*')
BINARY(divide, '/')
BINARY(minimum, '<')
BINARY(maximum, '>')

#define UNARY(name, call) \
	static int name(const struct net_node *n, struct tensor *const in[], struct tensor *const out[]) \
	{ \
		(void)n; \
		int rc = tensor_size(out[0], in[0]->shape); \
		if (!rc) \
			call(out[0]->data, in[0]->data, shape_count(&in[0]->shape)); \
		return rc; \
	}
#define LOOP(name, expr) \
	static void name##_loop(float *o, const float *v, size_t n) \
	{ \
		for (size_t i = 0; i < n; i++) { \
			float x = v[i]; \
			o[i] = expr; \
		} \
	} \
	UNARY(name, name##_loop)
UNARY(op_tanh, net_tanh)
UNARY(op_sigmoid, net_sigmoid)
UNARY(op_exp, net_exp)
LOOP(op_relu, x > 0 ? x : 0)
LOOP(op_log, logf(x))
LOOP(op_sqrt, sqrtf(x))
LOOP(op_neg, -x)
LOOP(op_abs, fabsf(x))
LOOP(op_softplus, x > 20 ? x : log1pf(expf(x)))
LOOP(op_identity, x)

static int clip(const struct net_node *n, struct tensor *const in[], struct tensor *const out[])
{
	float lo = n->nin > 1 && in[1] ? in[1]->data[0] : -INFINITY, hi = n->nin > 2 && in[2] ? in[2]->data[0] : INFINITY;
	int rc = tensor_size(out[0], in[0]->shape);
	if (rc)
		return rc;
	size_t c = shape_count(&in[0]->shape);
	for (size_t i = 0; i < c; i++) {
		float x = in[0]->data[i];
		out[0]->data[i] = x < lo ? lo : x > hi ? hi : x;
	}
	return 0;
}

/* kind: '+' sum, 'm' mean, '>' greatest. */
static int reduce(const struct net_node *n, struct tensor *const in[], struct tensor *const out[], char kind)
{
	const struct net_shape *s = &in[0]->shape;
	int mask = axes_of(n, in, 1, s->rank);
	struct net_shape full = *s, kept = { 0 };
	size_t stride[NET_RANK], c = 1, total = shape_count(s), idx[NET_RANK] = { 0 };
	if (mask < 0)
		return mask;
	for (int i = s->rank - 1; i >= 0; i--) {
		if (mask & 1 << i)
			full.dim[i] = 1;
		stride[i] = mask & 1 << i ? 0 : c;
		c *= (size_t)full.dim[i];
	}
	for (int i = 0; i < s->rank; i++)
		if (n->attr.keepdims || !(mask & 1 << i))
			kept.dim[kept.rank++] = full.dim[i];
	int rc = tensor_size(out[0], kept);
	if (rc)
		return rc;
	float *o = out[0]->data;
	for (size_t i = 0; i < c; i++)
		o[i] = kind == '>' ? -INFINITY : 0;
	if (kind == '+' && s->rank == 3 && mask == 2) { /* over servers: what our graphs do */
		size_t width = (size_t)s->dim[2], rows = (size_t)(s->dim[0] * s->dim[1]), each = (size_t)s->dim[1];
		for (size_t k = 0; k < rows; k++)
			for (size_t j = 0; j < width; j++)
				o[k / each * width + j] += in[0]->data[k * width + j];
		return 0;
	}
	for (size_t k = 0; k < total; k++) {
		size_t at = 0;
		for (int i = 0; i < s->rank; i++)
			at += idx[i] * stride[i];
		float x = in[0]->data[k];
		o[at] = kind == '>' ? MAX(o[at], x) : o[at] + x;
		for (int i = s->rank - 1; i >= 0 && ++idx[i] == (size_t)s->dim[i]; i--)
			idx[i] = 0;
	}
	for (size_t i = 0; kind == 'm' && i < c; i++)
		o[i] *= (float)c / (float)total;
	return 0;
}

static int reduce_sum(const struct net_node *n, struct tensor *const in[], struct tensor *const out[])
{
	return reduce(n, in, out, '+');
}
static int reduce_mean(const struct net_node *n, struct tensor *const in[], struct tensor *const out[])
{
	return reduce(n, in, out, 'm');
}
static int reduce_max(const struct net_node *n, struct tensor *const in[], struct tensor *const out[])
{
	return reduce(n, in, out, '>');
}

static int concat(const struct net_node *n, struct tensor *const in[], struct tensor *const out[])
{
	struct net_shape s = in[0]->shape;
	int ax = axis_of(n->attr.axis, s.rank);
	if (ax < 0 || ax >= s.rank)
		return -EINVAL;
	s.dim[ax] = 0;
	for (int i = 0; i < n->nin; i++) {
		if (!in[i] || in[i]->shape.rank != s.rank)
			return -EINVAL;
		for (int d = 0; d < s.rank; d++)
			if (d != ax && in[i]->shape.dim[d] != s.dim[d])
				return -EINVAL;
		s.dim[ax] += in[i]->shape.dim[ax];
	}
	int rc = tensor_size(out[0], s);
	if (rc)
		return rc;
	size_t before, at, after, off = 0, b2, a2, f2;
	around(&s, ax, &before, &at, &after);
	for (int i = 0; i < n->nin; i++) {
		around(&in[i]->shape, ax, &b2, &a2, &f2);
		for (size_t r = 0; r < before; r++)
			memcpy(out[0]->data + (r * at + off) * after, in[i]->data + r * a2 * after, a2 * after * sizeof(float));
		off += a2;
	}
	return 0;
}

/* Copies [from, from + len) of an axis. */
static int cut(const struct tensor *t, struct tensor *o, int ax, size_t from, size_t len)
{
	struct net_shape s = t->shape;
	size_t before, at, after;
	around(&t->shape, ax, &before, &at, &after);
	if (from + len > at)
		return -EINVAL;
	s.dim[ax] = (int64_t)len;
	int rc = tensor_size(o, s);
	if (rc)
		return rc;
	for (size_t r = 0; r < before; r++)
		memcpy(o->data + r * len * after, t->data + (r * at + from) * after, len * after * sizeof(float));
	return 0;
}

/* One axis, step 1. */
static int slice(const struct net_node *n, struct tensor *const in[], struct tensor *const out[])
{
	if (shape_count(&in[1]->shape) != 1 || shape_count(&in[2]->shape) != 1 || !in[3] ||
	    (n->nin > 4 && in[4] && in[4]->data[0] != 1))
		return -EINVAL;
	int ax = axis_of((int64_t)in[3]->data[0], in[0]->shape.rank);
	if (ax < 0 || ax >= in[0]->shape.rank)
		return -EINVAL;
	double dim = (double)in[0]->shape.dim[ax], from = in[1]->data[0], to = in[2]->data[0];
	from = from < 0 ? fmax(0, from + dim) : fmin(from, dim);
	to = to < 0 ? fmax(0, to + dim) : fmin(to, dim);
	return cut(in[0], out[0], ax, (size_t)from, to > from ? (size_t)(to - from) : 0);
}

static int split(const struct net_node *n, struct tensor *const in[], struct tensor *const out[])
{
	int ax = axis_of(n->attr.axis, in[0]->shape.rank);
	if (ax < 0 || ax >= in[0]->shape.rank || shape_count(&in[1]->shape) != (size_t)n->nout)
		return -EINVAL;
	size_t from = 0;
	for (int i = 0; i < n->nout; i++) {
		size_t len = (size_t)in[1]->data[i];
		int rc = cut(in[0], out[i], ax, from, len);
		if (rc)
			return rc;
		from += len;
	}
	return 0;
}

static int reshaped(const struct tensor *t, struct tensor *o, struct net_shape s)
{
	int rc = tensor_size(o, s);
	if (!rc)
		memcpy(o->data, t->data, shape_count(&s) * sizeof(float));
	return rc;
}

static int unsqueeze(const struct net_node *n, struct tensor *const in[], struct tensor *const out[])
{
	struct net_shape s = { .rank = in[0]->shape.rank + (int)shape_count(&in[1]->shape) };
	if (s.rank > NET_RANK)
		return -EINVAL;
	int mask = axes_of(n, in, 1, s.rank), k = 0;
	if (mask < 0)
		return mask;
	for (int i = 0; i < s.rank; i++)
		s.dim[i] = mask & 1 << i ? 1 : in[0]->shape.dim[k++];
	return reshaped(in[0], out[0], s);
}

static int squeeze(const struct net_node *n, struct tensor *const in[], struct tensor *const out[])
{
	struct net_shape s = { 0 };
	int mask = axes_of(n, in, 1, in[0]->shape.rank);
	if (mask < 0)
		return mask;
	for (int i = 0; i < in[0]->shape.rank; i++) {
		if (mask & 1 << i && in[0]->shape.dim[i] != 1)
			return -EINVAL;
		if (!(mask & 1 << i))
			s.dim[s.rank++] = in[0]->shape.dim[i];
	}
	return reshaped(in[0], out[0], s);
}

/* Index of the first greatest along an axis. */
static int argmax(const struct net_node *n, struct tensor *const in[], struct tensor *const out[])
{
	struct net_shape s = in[0]->shape, o = { 0 };
	int ax = axis_of(n->attr.axis, s.rank);
	if (ax < 0 || ax >= s.rank)
		return -EINVAL;
	size_t before, at, after;
	around(&s, ax, &before, &at, &after);
	for (int i = 0; i < s.rank; i++)
		if (i != ax || n->attr.keepdims)
			o.dim[o.rank++] = i == ax ? 1 : s.dim[i];
	int rc = tensor_size(out[0], o);
	if (rc)
		return rc;
	for (size_t b = 0; b < before; b++)
		for (size_t f = 0; f < after; f++) {
			size_t best = 0;
			for (size_t j = 1; j < at; j++)
				if (in[0]->data[(b * at + j) * after + f] > in[0]->data[(b * at + best) * after + f])
					best = j;
			out[0]->data[b * after + f] = (float)best;
		}
	return 0;
}

/* From a vector of numbers by index. */
static int gather(const struct net_node *n, struct tensor *const in[], struct tensor *const out[])
{
	(void)n;
	if (in[0]->shape.rank != 1)
		return -EINVAL;
	int rc = tensor_size(out[0], in[1]->shape);
	if (rc)
		return rc;
	size_t c = shape_count(&in[1]->shape);
	for (size_t i = 0; i < c; i++) {
		float k = in[1]->data[i];
		if (!(k >= 0 && k < (float)in[0]->shape.dim[0]))
			return -EINVAL;
		out[0]->data[i] = in[0]->data[(size_t)k];
	}
	return 0;
}

const struct net_op net_ops[] = {
	{ "MatMul", 2, 2, matmul },
	{ "Gemm", 3, 3, matmul },
	{ "Add", 2, 2, add },
	{ "Sub", 2, 2, sub },
	{ "Mul", 2, 2, mul },
	{ "Div", 2, 2, divide },
	{ "Min", 2, 2, minimum },
	{ "Max", 2, 2, maximum },
	{ "Tanh", 1, 1, op_tanh },
	{ "Sigmoid", 1, 1, op_sigmoid },
	{ "Exp", 1, 1, op_exp },
	{ "Relu", 1, 1, op_relu },
	{ "Log", 1, 1, op_log },
	{ "Sqrt", 1, 1, op_sqrt },
	{ "Neg", 1, 1, op_neg },
	{ "Abs", 1, 1, op_abs },
	{ "Softplus", 1, 1, op_softplus },
	{ "Identity", 1, 1, op_identity },
	{ "Clip", 1, 3, clip },
	{ "ReduceSum", 1, 2, reduce_sum },
	{ "ReduceMean", 1, 2, reduce_mean },
	{ "ReduceMax", 1, 2, reduce_max },
	{ "Concat", 1, NODE_IN_MAX, concat },
	{ "Slice", 4, 5, slice },
	{ "Split", 2, 2, split },
	{ "Unsqueeze", 2, 2, unsqueeze },
	{ "Squeeze", 2, 2, squeeze },
	{ "ArgMax", 1, 1, argmax },
	{ "Gather", 2, 2, gather },
};
const int net_op_count = sizeof(net_ops) / sizeof(net_ops[0]);
