/* SPDX-License-Identifier: Apache-2.0 */
/* Ops on each value, or on each pair with broadcasting. */
#include <errno.h>
#include <math.h>
#include "net_math.h"
#include "net_op.h"
#include "net_tensor.h"

#define MAX(a, b) ((a) > (b) ? (a) : (b))

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
static inline __attribute__((always_inline)) int elementwise(struct net_call *c, char op)
{
	const struct net_tensor *a = c->in[0], *b = c->in[1];
	struct net_shape s = { .rank = MAX(a->shape.rank, b->shape.rank) };
	size_t sa[NET_RANK] = { 0 }, sb[NET_RANK] = { 0 }, ca = 1, cb = 1, idx[NET_RANK] = { 0 };
	for (int i = s.rank - 1; i >= 0; i--) {
		int ia = i - (s.rank - a->shape.rank), ib = i - (s.rank - b->shape.rank);
		int64_t da = ia < 0 ? 1 : a->shape.dim[ia], db = ib < 0 ? 1 : b->shape.dim[ib];
		if (da != db && da != 1 && db != 1)
			return net_op_fail(c, -EINVAL, "its inputs' shapes do not fit");
		s.dim[i] = da == 1 ? db : da;
		sa[i] = da == 1 ? 0 : ca;
		sb[i] = db == 1 ? 0 : cb;
		ca *= (size_t)da;
		cb *= (size_t)db;
	}
	int rc = net_op_size(c, 0, s);
	if (rc)
		return rc;
	size_t total = net_shape_count(&s), cols = s.rank ? (size_t)s.dim[s.rank - 1] : 1;
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
		float *o = c->out[0]->data + at;
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
	int net_op_##name(struct net_call *c) \
	{ \
		return elementwise(c, op); \
	}
BINARY(add, '+')
BINARY(sub, '-')
BINARY(mul, '*')
BINARY(div, '/')
BINARY(min, '<')
BINARY(max, '>')

#define UNARY(name, call) \
	int net_op_##name(struct net_call *c) \
	{ \
		int rc = net_op_size(c, 0, c->in[0]->shape); \
		if (!rc) \
			call(c->out[0]->data, c->in[0]->data, net_shape_count(&c->in[0]->shape)); \
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
UNARY(tanh, net_tanh)
UNARY(sigmoid, net_sigmoid)
UNARY(exp, net_exp)
LOOP(relu, x > 0 ? x : 0)
LOOP(log, logf(x))
LOOP(sqrt, sqrtf(x))
LOOP(neg, -x)
LOOP(abs, fabsf(x))
LOOP(softplus, x > 20 ? x : log1pf(expf(x)))
LOOP(identity, x)

/* An optional bound. */
static int bound(struct net_call *c, int i, float *out)
{
	if (c->node->nin <= i || !c->in[i])
		return 0;
	if (net_shape_count(&c->in[i]->shape) != 1)
		return net_op_fail(c, -EINVAL, "a bound must be one value");
	*out = c->in[i]->data[0];
	return 0;
}

int net_op_clip(struct net_call *c)
{
	float lo = -INFINITY, hi = INFINITY;
	int rc = bound(c, 1, &lo);
	if (!rc)
		rc = bound(c, 2, &hi);
	if (!rc)
		rc = net_op_size(c, 0, c->in[0]->shape);
	if (rc)
		return rc;
	size_t n = net_shape_count(&c->in[0]->shape);
	for (size_t i = 0; i < n; i++) {
		float x = c->in[0]->data[i];
		c->out[0]->data[i] = x < lo ? lo : x > hi ? hi : x;
	}
	return 0;
}
