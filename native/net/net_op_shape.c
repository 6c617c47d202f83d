/* SPDX-License-Identifier: Apache-2.0 */
/* Ops that move values without computing. */
#include <errno.h>
#include <string.h>
#include "net_op.h"
#include "net_tensor.h"

int net_op_concat(struct net_call *c)
{
	const struct net_node *n = c->node;
	struct net_shape s = c->in[0]->shape;
	int axis = net_op_axis(n->attr.axis, s.rank);
	if (axis < 0)
		return net_op_fail(c, -EINVAL, "its axis is none of the dimensions");
	s.dim[axis] = 0;
	for (int i = 0; i < n->nin; i++) {
		if (!c->in[i] || c->in[i]->shape.rank != s.rank)
			return net_op_fail(c, -EINVAL, "its inputs' ranks differ");
		for (int d = 0; d < s.rank; d++)
			if (d != axis && c->in[i]->shape.dim[d] != s.dim[d])
				return net_op_fail(c, -EINVAL, "its inputs' shapes do not fit");
		s.dim[axis] += c->in[i]->shape.dim[axis];
	}
	int rc = net_op_size(c, 0, s);
	if (rc)
		return rc;
	size_t before, at, after, off = 0;
	net_op_around(&s, axis, &before, &at, &after);
	for (int i = 0; i < n->nin; i++) {
		size_t own = (size_t)c->in[i]->shape.dim[axis];
		for (size_t r = 0; r < before; r++)
			memcpy(c->out[0]->data + (r * at + off) * after, c->in[i]->data + r * own * after,
			       own * after * sizeof(float));
		off += own;
	}
	return 0;
}

/* Copies [from, from + len) of an axis into output `to`. */
static int cut(struct net_call *c, int to, int axis, size_t from, size_t len)
{
	const struct net_tensor *t = c->in[0];
	struct net_shape s = t->shape;
	size_t before, at, after;
	net_op_around(&t->shape, axis, &before, &at, &after);
	if (from > at || len > at - from)
		return net_op_fail(c, -EINVAL, "it takes more than there is");
	s.dim[axis] = (int64_t)len;
	int rc = net_op_size(c, to, s);
	if (rc)
		return rc;
	for (size_t r = 0; r < before; r++)
		memcpy(c->out[to]->data + r * len * after, t->data + (r * at + from) * after, len * after * sizeof(float));
	return 0;
}

/* The only value of input i. */
static int one(struct net_call *c, int i, int64_t *out)
{
	if (!c->in[i])
		return net_op_fail(c, -ENOTSUP, "its axes must be given");
	size_t n = net_shape_count(&c->in[i]->shape);
	if (n != 1)
		return net_op_fail(c, n ? -ENOTSUP : -EINVAL, "bounds and axes must be one value each");
	return net_tensor_whole(c->in[i], 0, out) ? 0 : net_op_fail(c, -EINVAL, "bounds and axes must be whole numbers");
}

static int64_t within(int64_t x, int64_t dim)
{
	if (x < 0)
		return x + dim > 0 ? x + dim : 0;
	return x < dim ? x : dim;
}

/* One axis, step 1: inputs data, start, end, axis, step. */
int net_op_slice(struct net_call *c)
{
	int64_t arg[4] = { 0, 0, 0, 1 };
	for (int i = 1; i < c->node->nin; i++) {
		int rc = i == 4 && !c->in[4] ? 0 : one(c, i, &arg[i - 1]);
		if (rc)
			return rc;
	}
	int axis = net_op_axis(arg[2], c->in[0]->shape.rank);
	if (axis < 0)
		return net_op_fail(c, -EINVAL, "its axis is none of the dimensions");
	if (arg[3] != 1)
		return net_op_fail(c, -ENOTSUP, "steps must be 1");
	int64_t dim = c->in[0]->shape.dim[axis], from = within(arg[0], dim), to = within(arg[1], dim);
	return cut(c, 0, axis, (size_t)from, to > from ? (size_t)(to - from) : 0);
}

int net_op_split(struct net_call *c)
{
	int axis = net_op_axis(c->node->attr.axis, c->in[0]->shape.rank);
	if (axis < 0)
		return net_op_fail(c, -EINVAL, "its axis is none of the dimensions");
	if (net_shape_count(&c->in[1]->shape) != (size_t)c->node->nout)
		return net_op_fail(c, -EINVAL, "it must have one length an output");
	int64_t from = 0, len;
	for (int i = 0; i < c->node->nout; i++, from += len) {
		if (!net_tensor_whole(c->in[1], (size_t)i, &len) || len < 0)
			return net_op_fail(c, -EINVAL, "a length is not a whole number");
		int rc = cut(c, i, axis, (size_t)from, (size_t)len);
		if (rc)
			return rc;
	}
	return from == c->in[0]->shape.dim[axis] ? 0 : net_op_fail(c, -EINVAL, "its lengths are not the whole");
}

static int reshaped(struct net_call *c, struct net_shape s)
{
	int rc = net_op_size(c, 0, s);
	if (!rc)
		memcpy(c->out[0]->data, c->in[0]->data, net_shape_count(&s) * sizeof(float));
	return rc;
}

int net_op_unsqueeze(struct net_call *c)
{
	const struct net_shape *from = &c->in[0]->shape;
	size_t more = net_shape_count(&c->in[1]->shape);
	if (more == 0 || more > (size_t)(NET_RANK - from->rank))
		return net_op_fail(c, more ? -ENOTSUP : -EINVAL, "it needs an axis, and at most four dimensions can be");
	struct net_shape s = { .rank = from->rank + (int)more };
	int mask = net_op_axes(c, 1, s.rank), k = 0;
	if (mask < 0)
		return mask;
	for (int i = 0; i < s.rank; i++)
		s.dim[i] = mask & 1 << i ? 1 : from->dim[k++];
	return reshaped(c, s);
}

int net_op_squeeze(struct net_call *c)
{
	const struct net_shape *from = &c->in[0]->shape;
	struct net_shape s = { 0 };
	int mask = net_op_axes(c, 1, from->rank);
	if (mask < 0)
		return mask;
	if (mask == 0)
		return net_op_fail(c, -EINVAL, "it needs an axis");
	for (int i = 0; i < from->rank; i++) {
		if (mask & 1 << i && from->dim[i] != 1)
			return net_op_fail(c, -EINVAL, "only a dimension of 1 can go");
		if (!(mask & 1 << i))
			s.dim[s.rank++] = from->dim[i];
	}
	return reshaped(c, s);
}

/* From a vector of numbers, by index. */
int net_op_gather(struct net_call *c)
{
	const struct net_tensor *from = c->in[0], *index = c->in[1];
	if (from->shape.rank != 1 || net_op_axis(c->node->attr.axis, 1) < 0)
		return net_op_fail(c, from->shape.rank == 1 ? -EINVAL : -ENOTSUP, "it takes from a vector");
	int rc = net_op_size(c, 0, index->shape);
	if (rc)
		return rc;
	size_t n = net_shape_count(&index->shape);
	for (size_t i = 0; i < n; i++) {
		int64_t k;
		if (!net_tensor_whole(index, i, &k) || net_op_axis(k, (int)from->shape.dim[0]) < 0)
			return net_op_fail(c, -EINVAL, "an index is not within the vector");
		c->out[0]->data[i] = from->data[net_op_axis(k, (int)from->shape.dim[0])];
	}
	return 0;
}
