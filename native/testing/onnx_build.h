/* SPDX-License-Identifier: Apache-2.0 */
/* Writes ONNX files for tests, message by message. */
#ifndef MARLLB_TESTING_ONNX_BUILD_H
#define MARLLB_TESTING_ONNX_BUILD_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* A protobuf writer: just enough for a model. */
struct buf {
	uint8_t b[4096];
	size_t n;
};

static inline void num(struct buf *o, uint64_t v)
{
	do
		o->b[o->n++] = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));
	while (v >>= 7);
}
static inline void field_num(struct buf *o, uint32_t id, uint64_t v)
{
	num(o, id << 3);
	num(o, v);
}
static inline void field_bytes(struct buf *o, uint32_t id, const void *p, size_t n)
{
	num(o, id << 3 | 2);
	num(o, n);
	memcpy(o->b + o->n, p, n);
	o->n += n;
}
static inline void field_text(struct buf *o, uint32_t id, const char *t)
{
	field_bytes(o, id, t, strlen(t));
}
static inline void field_buf(struct buf *o, uint32_t id, const struct buf *in)
{
	field_bytes(o, id, in->b, in->n);
}

/* An attribute of the nodes that follow: a float (`kind` 2) or a whole number (3). */
static struct {
	const char *name;
	uint32_t kind;
	float f;
	uint64_t i;
} attribute;
static const char *domain;

static inline void node(struct buf *graph, const char *type, const char *a, const char *b, const char *out)
{
	struct buf n = { .n = 0 };
	field_text(&n, 1, a);
	if (b)
		field_text(&n, 1, b);
	field_text(&n, 2, out);
	field_text(&n, 4, type);
	if (attribute.name) {
		struct buf at = { .n = 0 };
		field_text(&at, 1, attribute.name);
		if (attribute.kind == 2) {
			num(&at, 2 << 3 | 5);
			memcpy(at.b + at.n, &attribute.f, 4);
			at.n += 4;
		} else {
			field_num(&at, 3, attribute.i);
		}
		field_buf(&n, 5, &at);
	}
	if (domain)
		field_text(&n, 7, domain);
	field_buf(graph, 1, &n);
}
static bool external; /* data kept in another file */
static inline void floats(struct buf *graph, const char *name, const float *v, int rows, int cols)
{
	struct buf t = { .n = 0 };
	field_num(&t, 1, (uint64_t)rows);
	field_num(&t, 1, (uint64_t)cols);
	field_num(&t, 2, 1);
	field_text(&t, 8, name);
	if (external)
		field_num(&t, 14, 1);
	else
		field_bytes(&t, 9, v, (size_t)(rows * cols) * sizeof(float));
	field_buf(graph, 5, &t);
}
static uint64_t element_type = 1; /* float32 */
static inline void place(struct buf *graph, uint32_t id, const char *name, int rank, const int *dims)
{
	struct buf v = { .n = 0 }, shape = { .n = 0 }, tensor = { .n = 0 }, type = { .n = 0 };
	for (int i = 0; i < rank; i++) {
		struct buf d = { .n = 0 };
		if (dims[i] >= 0)
			field_num(&d, 1, (uint64_t)dims[i]);
		else
			field_text(&d, 2, "B");
		field_buf(&shape, 1, &d);
	}
	field_num(&tensor, 1, element_type);
	field_buf(&tensor, 2, &shape);
	field_buf(&type, 1, &tensor);
	field_text(&v, 1, name);
	field_buf(&v, 2, &type);
	field_buf(graph, id, &v);
}
static inline void model(struct buf *out, const struct buf *graph, const char *key, const char *value)
{
	struct buf kv = { .n = 0 };
	out->n = 0;
	field_num(out, 1, 8);
	field_buf(out, 7, graph);
	field_text(&kv, 1, key);
	field_text(&kv, 2, value);
	field_buf(out, 14, &kv);
}

#endif
