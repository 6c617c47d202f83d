/* SPDX-License-Identifier: Apache-2.0 */
/* Ops that sum or compare over a dimension. */
#include <errno.h>
#include <math.h>
#include "net_math.h"
#include "net_op.h"
#include "net_tensor.h"

#define MAX(a, b) ((a) > (b) ? (a) : (b))

static int product(struct net_call *c, bool trans)
{
	const struct net_tensor *a = c->in[0], *b = c->in[1];
	struct net_shape s = a->shape;
	if (s.rank < 1 || b->shape.rank != 2)
		return net_op_fail(c, -ENOTSUP, "the second factor must be a matrix");
	int64_t k = s.dim[s.rank - 1], m = b->shape.dim[trans ? 0 : 1];
	if (b->shape.dim[trans ? 1 : 0] != k)
		return net_op_fail(c, -EINVAL, "the factors' shapes do not fit");
	s.dim[s.rank - 1] = m;
	int rc = net_op_size(c, 0, s);
	if (rc)
		return rc;
	size_t rows = m ? net_shape_count(&s) / (size_t)m : 0;
	if (rows * (size_t)m * (size_t)k > NET_WORK_MAX)
		return net_op_fail(c, -EINVAL, "it takes too long");
	(trans ? net_matmul_nt : net_matmul)(c->out[0]->data, a->data, b->data, rows, (size_t)k, (size_t)m);
	return 0;
}

int net_op_matmul(struct net_call *c)
{
	return product(c, false);
}

int net_op_gemm(struct net_call *c)
{
	int rc = product(c, c->node->attr.trans_b != 0);
	if (rc)
		return rc;
	const struct net_shape *s = &c->in[2]->shape, *o = &c->out[0]->shape;
	size_t m = (size_t)o->dim[o->rank - 1], rows = m ? net_shape_count(o) / m : 0;
	if (s->rank < 1 || (size_t)s->dim[s->rank - 1] != m || net_shape_count(s) != m)
		return net_op_fail(c, -ENOTSUP, "what it adds must be one row");
	for (size_t r = 0; r < rows; r++)
		for (size_t j = 0; j < m; j++)
			c->out[0]->data[r * m + j] += c->in[2]->data[j];
	return 0;
}

/* The sum over the middle of three dimensions, the servers': the one that our graphs need. */
static void sum_servers(const struct net_tensor *t, float *o)
{
	size_t width = (size_t)t->shape.dim[2], each = (size_t)t->shape.dim[1], rows = (size_t)t->shape.dim[0] * each;
	for (size_t k = 0; k < rows; k++)
		for (size_t j = 0; j < width; j++)
			o[k / each * width + j] += t->data[k * width + j];
}

/* kind: '+' sum, 'm' mean, '>' greatest. */
static int reduce(struct net_call *c, char kind)
{
	const struct net_tensor *t = c->in[0];
	const struct net_shape *s = &t->shape;
	int mask = net_op_axes(c, 1, s->rank);
	if (mask < 0)
		return mask;
	if (mask == 0)
		mask = (1 << s->rank) - 1; /* no axis given: all (noop_with_empty_axes is refused when the file is read) */
	struct net_shape kept = { 0 };
	size_t stride[NET_RANK], count = 1, total = net_shape_count(s), idx[NET_RANK] = { 0 };
	for (int i = s->rank - 1; i >= 0; i--) {
		stride[i] = mask & 1 << i ? 0 : count;
		count *= mask & 1 << i ? 1 : (size_t)s->dim[i];
	}
	for (int i = 0; i < s->rank; i++)
		if (c->node->attr.keepdims || !(mask & 1 << i))
			kept.dim[kept.rank++] = mask & 1 << i ? 1 : s->dim[i];
	int rc = net_op_size(c, 0, kept);
	if (rc)
		return rc;
	float *o = c->out[0]->data;
	for (size_t i = 0; i < count; i++)
		o[i] = kind == '>' ? -INFINITY : 0;
	if (kind == '+' && s->rank == 3 && mask == 2) {
		sum_servers(t, o);
		return 0;
	}
	for (size_t k = 0; k < total; k++) {
		size_t at = 0;
		for (int i = 0; i < s->rank; i++)
			at += idx[i] * stride[i];
		o[at] = kind == '>' ? MAX(o[at], t->data[k]) : o[at] + t->data[k];
		for (int i = s->rank - 1; i >= 0 && ++idx[i] == (size_t)s->dim[i]; i--)
			idx[i] = 0;
	}
	for (size_t i = 0; kind == 'm' && i < count; i++)
		o[i] *= (float)count / (float)total;
	return 0;
}

int net_op_reduce_sum(struct net_call *c)
{
	return reduce(c, '+');
}
int net_op_reduce_mean(struct net_call *c)
{
	return reduce(c, 'm');
}
int net_op_reduce_max(struct net_call *c)
{
	return reduce(c, '>');
}

/* Index of the first greatest along an axis. */
int net_op_argmax(struct net_call *c)
{
	const struct net_tensor *t = c->in[0];
	struct net_shape s = t->shape, o = { 0 };
	int axis = net_op_axis(c->node->attr.axis, s.rank);
	if (axis < 0)
		return net_op_fail(c, -EINVAL, "its axis is none of the dimensions");
	if (s.dim[axis] == 0)
		return net_op_fail(c, -EINVAL, "there is no greatest of nothing");
	size_t before, at, after;
	net_op_around(&s, axis, &before, &at, &after);
	for (int i = 0; i < s.rank; i++)
		if (i != axis || c->node->attr.keepdims)
			o.dim[o.rank++] = i == axis ? 1 : s.dim[i];
	int rc = net_op_size(c, 0, o);
	if (rc)
		return rc;
	for (size_t b = 0; b < before; b++)
		for (size_t f = 0; f < after; f++) {
			size_t best = 0;
			for (size_t j = 1; j < at; j++)
				if (t->data[(b * at + j) * after + f] > t->data[(b * at + best) * after + f])
					best = j;
			c->out[0]->data[b * after + f] = (float)best;
		}
	return 0;
}
