/* SPDX-License-Identifier: Apache-2.0 */
/* Reads an ONNX file: the few messages of onnx.proto that a plain graph uses, by hand (protobuf wire format: varint key =
 * field << 3 | type). Field numbers stand beside each case. Nothing is trusted: every length is checked against its parent. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net_priv.h"

struct span {
	const uint8_t *p, *end;
};
struct field {
	uint32_t id;
	int wire;
	uint64_t num;    /* varint, fixed */
	struct span sub; /* length-delimited */
};

static bool varint(struct span *s, uint64_t *out)
{
	uint64_t v = 0;
	for (int shift = 0; shift < 64 && s->p < s->end; shift += 7) {
		uint8_t b = *s->p++;
		v |= (uint64_t)(b & 127) << shift;
		if (!(b & 128)) {
			*out = v;
			return true;
		}
	}
	return false;
}

/* 1: a field was read, 0: end, -EPROTO: broken. */
static int next(struct span *s, struct field *f)
{
	uint64_t key, len;
	if (s->p == s->end)
		return 0;
	if (!varint(s, &key))
		return -EPROTO;
	f->id = (uint32_t)(key >> 3);
	f->wire = (int)(key & 7);
	f->num = 0;
	f->sub = (struct span){ NULL, NULL };
	switch (f->wire) {
	case 0: return varint(s, &f->num) ? 1 : -EPROTO;
	case 1:
	case 5: {
		size_t n = f->wire == 1 ? 8 : 4;
		if ((size_t)(s->end - s->p) < n)
			return -EPROTO;
		memcpy(&f->num, s->p, n);
		s->p += n;
		return 1;
	}
	case 2:
		if (!varint(s, &len) || len > (uint64_t)(s->end - s->p))
			return -EPROTO;
		f->sub = (struct span){ s->p, s->p + len };
		s->p += len;
		return 1;
	default: return -EPROTO;
	}
}

static bool is(struct span s, const char *text)
{
	return (size_t)(s.end - s.p) == strlen(text) && !memcmp(s.p, text, strlen(text));
}

static char *dup(struct span s)
{
	char *t = malloc((size_t)(s.end - s.p) + 1);
	if (t) {
		if (s.end > s.p)
			memcpy(t, s.p, (size_t)(s.end - s.p));
		t[s.end - s.p] = 0;
	}
	return t;
}

static int value_of(struct net *net, struct span name)
{
	return net_value(net, name.p ? (const char *)name.p : "", (size_t)(name.end - name.p));
}

/* Packed or single varints into at most `max` numbers. */
static int numbers(const struct field *f, int64_t *out, int *n, int max)
{
	struct span s = f->sub;
	uint64_t v;
	if (f->wire == 0) {
		if (*n >= max)
			return -ENOTSUP;
		out[(*n)++] = (int64_t)f->num;
		return 0;
	}
	while (s.p < s.end) {
		if (!varint(&s, &v))
			return -EPROTO;
		if (*n >= max)
			return -ENOTSUP;
		out[(*n)++] = (int64_t)v;
	}
	return 0;
}

enum { TYPE_FLOAT = 1, TYPE_INT32 = 6, TYPE_INT64 = 7 };

/* TensorProto to a constant. */
static int tensor(struct net *net, struct span s, int into, char err[256])
{
	struct net_shape shape = { 0 };
	struct span name = { NULL, NULL }, raw = { NULL, NULL }, all = s;
	struct field f;
	uint64_t type = 0;
	bool elsewhere = false;
	int rc;
	while ((rc = next(&s, &f)) > 0) {
		if (f.id == 1 && (rc = numbers(&f, shape.dim, &shape.rank, NET_RANK)))
			break;
		else if (f.id == 2)
			type = f.num;
		else if (f.id == 8)
			name = f.sub;
		else if (f.id == 9)
			raw = f.sub;
		else if (f.id == 14 && f.num)
			elsewhere = true;
	}
	if (rc < 0) {
		snprintf(err, 256, "a tensor is broken or has more than %d dimensions", NET_RANK);
		return rc;
	}
	int v = into >= 0 ? into : value_of(net, name);
	if (v < 0)
		return v;
	struct tensor *t = &net->value[v];
	if (elsewhere) { /* data_location = 14: what large models do, and no model of ours is */
		snprintf(err, 256, "initializer \"%.100s\" keeps its data in another file; a model is one file", net->name[v]);
		return -EPROTO;
	}
	rc = tensor_size(t, shape);
	if (rc) {
		snprintf(err, 256, "initializer \"%.100s\" is too large", net->name[v]);
		return rc;
	}
	net->constant[v] = true;
	size_t n = shape_count(&shape), width = type == TYPE_INT64 ? 8 : 4, got = 0;
	if (type != TYPE_FLOAT && type != TYPE_INT64 && type != TYPE_INT32) {
		snprintf(err, 256, "initializer \"%.100s\" has element type %d; float32, int32 and int64 are handled",
			 net->name[v], (int)type);
		return -ENOTSUP;
	}
	if (raw.p) {
		if ((size_t)(raw.end - raw.p) != n * width)
			goto length;
		for (size_t i = 0; i < n; i++) {
			int64_t x = 0;
			float x4;
			int32_t i4;
			if (width == 8) {
				memcpy(&x, raw.p + 8 * i, 8);
				t->data[i] = (float)x;
			} else if (type == TYPE_FLOAT) {
				memcpy(&x4, raw.p + 4 * i, 4);
				t->data[i] = x4;
			} else {
				memcpy(&i4, raw.p + 4 * i, 4);
				t->data[i] = (float)i4;
			}
		}
		return 0;
	}
	/* float_data = 4, int32_data = 5, int64_data = 7; packed or not */
	uint32_t want = type == TYPE_FLOAT ? 4 : type == TYPE_INT32 ? 5 : 7;
	for (s = all; (rc = next(&s, &f)) > 0;) {
		if (f.id != want)
			continue;
		struct span d = f.sub;
		while (f.wire != 2 || d.p < d.end) {
			uint64_t x = f.num;
			if (f.wire == 2 && type == TYPE_FLOAT) {
				if (d.end - d.p < 4)
					return -EPROTO;
				uint32_t x4;
				memcpy(&x4, d.p, 4);
				x = x4;
				d.p += 4;
			} else if (f.wire == 2 && !varint(&d, &x)) {
				return -EPROTO;
			}
			if (got == n)
				goto length;
			if (type == TYPE_FLOAT) {
				uint32_t x4 = (uint32_t)x;
				memcpy(&t->data[got++], &x4, 4);
			} else {
				t->data[got++] = (float)(int64_t)x;
			}
			if (f.wire != 2)
				break;
		}
	}
	if (got == n)
		return 0;
length:
	snprintf(err, 256, "initializer \"%.100s\" has the wrong length", net->name[v]);
	return -EPROTO;
}

static int attribute(struct net *net, struct span s, struct net_node *n, bool *constant, char err[256])
{
	struct span name = { NULL, NULL }, tensor_span = { NULL, NULL };
	struct field f;
	int64_t ints[NET_RANK];
	int nints = 0, rc;
	int64_t i = 0;
	float x = 0;
	while ((rc = next(&s, &f)) > 0) {
		if (f.id == 1)
			name = f.sub;
		else if (f.id == 2 && f.wire == 5)
			memcpy(&x, &f.num, sizeof(x));
		else if (f.id == 3)
			i = (int64_t)f.num;
		else if (f.id == 5)
			tensor_span = f.sub;
		else if (f.id == 8 && (rc = numbers(&f, ints, &nints, NET_RANK)))
			return rc;
	}
	if (rc < 0)
		return rc;
	if (is(name, "axis")) {
		n->attr.axis = i;
		n->attr.has_axis = true;
	} else if (is(name, "keepdims")) {
		n->attr.keepdims = i;
	} else if (is(name, "transB")) {
		n->attr.trans_b = i;
	} else if (is(name, "axes")) {
		memcpy(n->attr.axes, ints, sizeof(ints));
		n->attr.naxes = nints;
	} else if (is(name, "value") && tensor_span.p) {
		*constant = true;
		return tensor(net, tensor_span, n->out[0], err);
	} else if (((is(name, "alpha") || is(name, "beta")) && x == 1) ||
		   ((is(name, "select_last_index") || is(name, "noop_with_empty_axes") || is(name, "transA")) && i == 0)) {
		/* the defaults, written out; any other value would be another result */
	} else {
		snprintf(err, 256, "attribute \"%.*s\" is not handled", (int)(name.end - name.p), (const char *)name.p);
		return -ENOTSUP;
	}
	return 0;
}

static int node(struct net *net, struct span s, char err[256])
{
	struct net_node n = { .op = -1, .attr = { .keepdims = 1 } };
	struct span type = { NULL, NULL }, all = s;
	struct field f;
	bool constant = false;
	int rc;
	while ((rc = next(&s, &f)) > 0) {
		if (f.id == 1 || f.id == 2) {
			int *list = f.id == 1 ? n.in : n.out, *count = f.id == 1 ? &n.nin : &n.nout;
			if (*count == NODE_IN_MAX)
				return -ENOTSUP;
			int v = f.sub.p == f.sub.end ? -1 : value_of(net, f.sub);
			if (v < -1)
				return v;
			list[(*count)++] = v;
		} else if (f.id == 4) {
			type = f.sub;
		} else if (f.id == 7 && f.sub.p < f.sub.end && !is(f.sub, "ai.onnx")) {
			snprintf(err, 256, "ops of %.*s are not handled", (int)(f.sub.end - f.sub.p), (const char *)f.sub.p);
			return -ENOTSUP;
		}
	}
	if (rc < 0)
		return rc;
	if (n.nout < 1 || n.out[0] < 0)
		return -EPROTO;
	for (s = all; (rc = next(&s, &f)) > 0;)
		if (f.id == 5 && (rc = attribute(net, f.sub, &n, &constant, err)))
			return rc;
	if (is(type, "Constant") && constant)
		return 0;
	for (int i = 0; i < net_op_count; i++)
		if (is(type, net_ops[i].type))
			n.op = i;
	if (n.op < 0 || n.nin < net_ops[n.op].min_in || n.nin > net_ops[n.op].max_in) {
		snprintf(err, 256, "op %.*s with %d inputs is not handled", (int)(type.end - type.p), (const char *)type.p,
			 n.nin);
		return -ENOTSUP;
	}
	for (int i = 0; i < net_ops[n.op].min_in; i++)
		if (n.in[i] < 0)
			return -EPROTO;
	void *p = realloc(net->node, (size_t)(net->nodes + 1) * sizeof(n));
	if (!p)
		return -ENOMEM;
	net->node = p;
	net->node[net->nodes++] = n;
	return 0;
}

/* ValueInfoProto: name = 1, type = 2 { tensor_type = 1 { elem_type = 1, shape = 2 { dim = 1 { dim_value = 1 } } } }. */
static int value_info(struct net *net, struct span s, bool input, char err[256])
{
	uint64_t type = 0;
	struct span at[4] = { s }, name = { NULL, NULL };
	static const uint32_t path[3] = { 2, 1, 2 };
	struct net_shape shape = { 0 };
	struct field f;
	int rc;
	for (int level = 0; level < 3; level++)
		for (s = at[level]; (rc = next(&s, &f)) > 0;) {
			if (level == 0 && f.id == 1)
				name = f.sub;
			if (level == 2 && f.id == 1 && f.wire == 0)
				type = f.num;
			if (f.id == path[level] && f.wire == 2)
				at[level + 1] = f.sub;
		}
	for (s = at[3]; s.p && (rc = next(&s, &f)) > 0;) {
		if (f.id != 1)
			continue;
		if (shape.rank == NET_RANK)
			return -ENOTSUP;
		struct span d = f.sub;
		struct field g;
		int64_t dim = -1;
		while (next(&d, &g) > 0)
			if (g.id == 1)
				dim = (int64_t)g.num;
		shape.dim[shape.rank++] = dim;
	}
	int v = value_of(net, name);
	if (v < 0)
		return v;
	if (input && net->constant[v])
		return 0; /* old files list initializers as inputs */
	if (type != TYPE_FLOAT) {
		snprintf(err, 256, "%s \"%.100s\" has element type %d; float32 is handled", input ? "input" : "output",
			 net->name[v], (int)type);
		return -ENOTSUP;
	}
	uint32_t *n = input ? &net->ins : &net->outs;
	if (*n == NET_IO_MAX) {
		snprintf(err, 256, "it has more than %d inputs or outputs", NET_IO_MAX);
		return -ENOTSUP;
	}
	(input ? net->in : net->out)[*n] = v;
	if (input)
		net->in_shape[*n] = shape;
	(*n)++;
	return 0;
}

/* Every value that a node or an output uses must be there by then: no dangling pointer at run time. */
static int check_order(const struct net *net, char err[256])
{
	bool *made = calloc((size_t)net->values + 1, 1);
	if (!made)
		return -ENOMEM;
	int missing = -1;
	for (int i = 0; i < net->values; i++)
		made[i] = net->constant[i];
	for (uint32_t i = 0; i < net->ins; i++)
		made[net->in[i]] = true;
	for (int k = 0; k < net->nodes; k++) {
		const struct net_node *n = &net->node[k];
		for (int i = 0; i < n->nin; i++)
			if (n->in[i] >= 0 && !made[n->in[i]])
				missing = n->in[i];
		for (int i = 0; i < n->nout; i++) {
			if (n->out[i] < 0 || made[n->out[i]]) {
				free(made);
				snprintf(err, 256, "a value is computed twice or has no name");
				return -EPROTO;
			}
			made[n->out[i]] = true;
		}
	}
	for (uint32_t i = 0; i < net->outs; i++)
		if (!made[net->out[i]])
			missing = net->out[i];
	free(made);
	if (missing < 0)
		return 0;
	snprintf(err, 256, "\"%.100s\" is used before it is computed", net->name[missing]);
	return -EPROTO;
}

static int graph(struct net *net, struct span g, char err[256])
{
	static const uint32_t order[] = { 5, 11, 12, 1 }; /* initializers, inputs, outputs, nodes */
	struct field f;
	int rc = 0;
	for (int pass = 0; pass < 4; pass++) {
		struct span s = g;
		while ((rc = next(&s, &f)) > 0) {
			if (f.id != order[pass] || f.wire != 2)
				continue;
			rc = pass == 0 ? tensor(net, f.sub, -1, err) :
			     pass < 3  ? value_info(net, f.sub, pass == 1, err) :
					 node(net, f.sub, err);
			if (rc)
				return rc;
		}
		if (rc)
			return rc;
	}
	return 0;
}

int net_read_onnx(struct net *net, const uint8_t *bytes, size_t len, char err[256])
{
	struct span s = { bytes, bytes + len }, g = { NULL, NULL };
	struct field f, kv;
	int rc;
	snprintf(err, 256, "not an ONNX model, or broken");
	while ((rc = next(&s, &f)) > 0) {
		if (f.id == 7 && f.wire == 2)
			g = f.sub;
		if (f.id == 14 && f.wire == 2 && net->metas < 16) { /* metadata_props: key = 1, value = 2 */
			struct span p = f.sub, key = { NULL, NULL }, val = { NULL, NULL };
			while (next(&p, &kv) > 0) {
				if (kv.id == 1)
					key = kv.sub;
				else if (kv.id == 2)
					val = kv.sub;
			}
			net->meta[net->metas][0] = dup(key);
			net->meta[net->metas][1] = dup(val);
			net->metas++;
			if (!net->meta[net->metas - 1][0] || !net->meta[net->metas - 1][1])
				return -ENOMEM;
		}
	}
	if (rc < 0 || !g.p)
		return -EPROTO;
	rc = graph(net, g, err);
	return rc ? rc : check_order(net, err);
}
