/* SPDX-License-Identifier: Apache-2.0 */
#include "net_op.h"
#include <errno.h>
#include "net_tensor.h"

int net_op_fail(struct net_call *c, int rc, const char *why)
{
	c->why = why;
	return rc;
}

int net_op_size(struct net_call *c, int i, struct net_shape s)
{
	int rc = net_tensor_resize(c->out[i], s);
	return rc ? net_op_fail(c, rc, rc == -EINVAL ? "its result is too large" : "no memory for its result") : 0;
}

int net_op_axis(int64_t axis, int rank)
{
	if (axis < -rank || axis >= rank)
		return -1;
	return (int)(axis < 0 ? axis + rank : axis);
}

int net_op_axes(struct net_call *c, int k, int rank)
{
	const struct net_tensor *t = c->node->nin > k ? c->in[k] : NULL;
	size_t count = t ? net_shape_count(&t->shape) : (size_t)c->node->attr.naxes;
	int mask = 0;
	if (count > NET_RANK)
		return net_op_fail(c, -EINVAL, "it has more axes than dimensions");
	for (size_t i = 0; i < count; i++) {
		int64_t x = t ? 0 : c->node->attr.axes[i];
		int axis = t && !net_tensor_whole(t, i, &x) ? -1 : net_op_axis(x, rank);
		if (axis < 0 || mask & 1 << axis)
			return net_op_fail(c, -EINVAL, "an axis is none of the dimensions, or is given twice");
		mask |= 1 << axis;
	}
	return mask;
}

void net_op_around(const struct net_shape *s, int axis, size_t *before, size_t *at, size_t *after)
{
	*before = *after = 1;
	for (int i = 0; i < axis; i++)
		*before *= (size_t)s->dim[i];
	*at = (size_t)s->dim[axis];
	for (int i = axis + 1; i < s->rank; i++)
		*after *= (size_t)s->dim[i];
}
