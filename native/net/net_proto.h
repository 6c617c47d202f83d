/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf's wire format, as far as ONNX needs it: a message is a row of fields, each a varint key (field << 3 | type) and a
 * value. Every length is checked against the message that holds it. */
#ifndef MARLLB_NET_PROTO_H
#define MARLLB_NET_PROTO_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_span {
	const uint8_t *p, *end;
};

enum { NET_WIRE_VARINT = 0, NET_WIRE_64 = 1, NET_WIRE_BYTES = 2, NET_WIRE_32 = 5 };

struct net_field {
	uint32_t id;
	int wire;
	uint64_t num;        /* varint, or the bits of a fixed-size value */
	struct net_span sub; /* NET_WIRE_BYTES; otherwise empty */
};

/* Reads the next field and moves on. 1: read, 0: end of the message, -EPROTO: broken. */
int net_proto_next(struct net_span *, struct net_field *);
bool net_proto_varint(struct net_span *, uint64_t *);
/* Appends the field's whole numbers, packed or single; -ENOTSUP beyond `max`, -EPROTO. */
int net_proto_numbers(const struct net_field *, int64_t *out, int *n, int max);
static inline size_t net_span_len(struct net_span s)
{
	return s.p ? (size_t)(s.end - s.p) : 0;
}
bool net_span_is(struct net_span, const char *text);
/* A C string; NULL without memory. */
char *net_span_dup(struct net_span);
/* For printf's "%.*s": the first characters only. */
#define NET_SPAN_ARGS(s) (int)(net_span_len(s) < 60 ? net_span_len(s) : 60), (s).p ? (const char *)(s).p : ""
#endif
