/* SPDX-License-Identifier: Apache-2.0 */
#include "net_initializer.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "net_tensor.h"
#include "net_value.h"

struct proto { /* TensorProto, not yet believed */
	struct net_span all, name, raw;
	struct net_shape shape;
	uint64_t type;
	bool elsewhere; /* data_location: in another file */
};

static int read_fields(struct net_span s, struct proto *t, char err[256])
{
	struct net_field f;
	int rc;
	*t = (struct proto){ .all = s };
	while ((rc = net_proto_next(&s, &f)) > 0) {
		if (f.id == 1 && (rc = net_proto_numbers(&f, t->shape.dim, &t->shape.rank, NET_RANK)))
			break;
		else if (f.id == 2)
			t->type = f.num;
		else if (f.id == 8)
			t->name = f.sub;
		else if (f.id == 9 && f.wire == NET_WIRE_BYTES)
			t->raw = f.sub;
		else if (f.id == 14 && f.num)
			t->elsewhere = true;
	}
	if (rc < 0)
		snprintf(err, 256, "a tensor is broken or has more than %d dimensions", NET_RANK);
	return rc;
}

/* raw_data: n values one after another, little-endian. False: another length. */
static bool fill_raw(const struct proto *p, float *out, size_t n)
{
	size_t width = p->type == NET_TYPE_INT64 ? 8 : 4;
	if (net_span_len(p->raw) != n * width)
		return false;
	for (size_t i = 0; i < n; i++) {
		const uint8_t *at = p->raw.p + width * i;
		int64_t i8;
		int32_t i4;
		if (p->type == NET_TYPE_FLOAT) {
			memcpy(&out[i], at, 4);
		} else if (width == 8) {
			memcpy(&i8, at, 8);
			out[i] = (float)i8;
		} else {
			memcpy(&i4, at, 4);
			out[i] = (float)i4;
		}
	}
	return true;
}

/* One value: the next of a packed field, or the field itself. */
static bool take(uint64_t type, const struct net_field *f, struct net_span *packed, float *out)
{
	uint64_t x = f->num;
	if (f->wire == NET_WIRE_BYTES && type == NET_TYPE_FLOAT) {
		if (net_span_len(*packed) < 4)
			return false;
		x = 0;
		memcpy(&x, packed->p, 4);
		packed->p += 4;
	} else if (f->wire == NET_WIRE_BYTES && !net_proto_varint(packed, &x)) {
		return false;
	}
	if (type == NET_TYPE_FLOAT) {
		uint32_t bits = (uint32_t)x;
		memcpy(out, &bits, 4);
	} else {
		*out = (float)(int64_t)x;
	}
	return true;
}

/* float_data = 4, int32_data = 5, int64_data = 7; packed or not. False: another length, or broken. */
static bool fill_typed(const struct proto *p, float *out, size_t n)
{
	uint32_t id = p->type == NET_TYPE_FLOAT ? 4 : p->type == NET_TYPE_INT32 ? 5 : 7;
	struct net_span s = p->all;
	struct net_field f;
	size_t got = 0;
	while (net_proto_next(&s, &f) > 0) {
		if (f.id != id)
			continue;
		struct net_span packed = f.sub;
		bool more = f.wire != NET_WIRE_BYTES || packed.p < packed.end;
		while (more) {
			if (got == n || !take(p->type, &f, &packed, &out[got++]))
				return false;
			more = f.wire == NET_WIRE_BYTES && packed.p < packed.end;
		}
	}
	return got == n;
}

int net_initializer_read(struct net *net, struct net_span s, int into, char err[256])
{
	struct proto p;
	int rc = read_fields(s, &p, err);
	if (rc < 0)
		return rc;
	int v = into >= 0 ? into : net_value(net, p.name.p ? (const char *)p.name.p : "", net_span_len(p.name), err);
	if (v < 0)
		return v;
	const char *name = net->name[v];
	if (net->constant[v]) {
		snprintf(err, 256, "constant \"%.100s\" is given twice", name);
		return -EPROTO;
	}
	if (p.elsewhere) {
		snprintf(err, 256, "initializer \"%.100s\" keeps its data in another file; a model is one file", name);
		return -EPROTO;
	}
	if (p.type != NET_TYPE_FLOAT && p.type != NET_TYPE_INT64 && p.type != NET_TYPE_INT32) {
		snprintf(err, 256, "initializer \"%.100s\" has element type %d; float32, int32 and int64 are handled", name,
			 (int)p.type);
		return -ENOTSUP;
	}
	struct net_tensor *t = &net->value[v];
	size_t n;
	/* A shape is cheap to write and dear to hold: no memory before the file is known to have as many bytes. */
	if (net_shape_size(&p.shape, &n)) {
		snprintf(err, 256, "initializer \"%.100s\" is too large", name);
		return -EPROTO;
	}
	if (n <= net_span_len(p.all) && (rc = net_tensor_resize(t, p.shape)))
		return rc;
	if (n > net_span_len(p.all) || !(p.raw.p ? fill_raw(&p, t->data, n) : fill_typed(&p, t->data, n))) {
		snprintf(err, 256, "initializer \"%.100s\" has the wrong length", name);
		return -EPROTO;
	}
	net->constant[v] = true;
	return 0;
}
