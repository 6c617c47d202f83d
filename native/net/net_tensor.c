/* SPDX-License-Identifier: Apache-2.0 */
#include "net_tensor.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

int net_shape_size(const struct net_shape *s, size_t *count)
{
	size_t most = 1; /* as if no dimension were 0: kernels multiply some of the dimensions, the zero not always among them */
	bool empty = false;
	if (s->rank < 0 || s->rank > NET_RANK)
		return -EINVAL;
	for (int i = 0; i < s->rank; i++) {
		int64_t d = s->dim[i];
		if (d < 0 || d > NET_DIM_MAX)
			return -EINVAL;
		if (d == 0)
			empty = true;
		else if ((most *= (size_t)d) > NET_FLOATS_MAX) /* at most 2^26 * 2^24: no overflow before the check */
			return -EINVAL;
	}
	*count = empty ? 0 : most;
	return 0;
}

size_t net_shape_count(const struct net_shape *s)
{
	size_t n = 1;
	for (int i = 0; i < s->rank; i++)
		n *= (size_t)s->dim[i];
	return n;
}

int net_tensor_resize(struct net_tensor *t, struct net_shape shape)
{
	size_t n;
	if (net_shape_size(&shape, &n))
		return -EINVAL;
	size_t room = n ? n : 1;
	if (room > t->cap) {
		float *p = realloc(t->cap ? t->data : NULL, room * sizeof(float));
		if (!p)
			return -ENOMEM;
		t->data = p;
		t->cap = room;
	}
	t->shape = shape;
	return 0;
}

bool net_tensor_whole(const struct net_tensor *t, size_t i, int64_t *out)
{
	const double most = (double)(1ll << 40);
	double x = t->data[i];
	if (!isfinite(x) || x != floor(x))
		return false;
	*out = (int64_t)fmax(-most, fmin(x, most));
	return true;
}
