/* SPDX-License-Identifier: Apache-2.0 */
#include "net_proto.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool net_proto_varint(struct net_span *s, uint64_t *out)
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

int net_proto_next(struct net_span *s, struct net_field *f)
{
	uint64_t key, len;
	if (s->p == s->end)
		return 0;
	if (!net_proto_varint(s, &key))
		return -EPROTO;
	*f = (struct net_field){ .id = (uint32_t)(key >> 3), .wire = (int)(key & 7) };
	switch (f->wire) {
	case NET_WIRE_VARINT: return net_proto_varint(s, &f->num) ? 1 : -EPROTO;
	case NET_WIRE_64:
	case NET_WIRE_32:
		len = f->wire == NET_WIRE_64 ? 8 : 4;
		if ((size_t)(s->end - s->p) < len)
			return -EPROTO;
		memcpy(&f->num, s->p, len);
		s->p += len;
		return 1;
	case NET_WIRE_BYTES:
		if (!net_proto_varint(s, &len) || len > (uint64_t)(s->end - s->p))
			return -EPROTO;
		f->sub = (struct net_span){ s->p, s->p + len };
		s->p += len;
		return 1;
	default: return -EPROTO;
	}
}

int net_proto_numbers(const struct net_field *f, int64_t *out, int *n, int max)
{
	struct net_span s = f->sub;
	uint64_t v = f->num;
	if (f->wire == NET_WIRE_VARINT) {
		if (*n >= max)
			return -ENOTSUP;
		out[(*n)++] = (int64_t)v;
		return 0;
	}
	while (s.p < s.end) {
		if (!net_proto_varint(&s, &v))
			return -EPROTO;
		if (*n >= max)
			return -ENOTSUP;
		out[(*n)++] = (int64_t)v;
	}
	return 0;
}

bool net_span_is(struct net_span s, const char *text)
{
	size_t n = strlen(text);
	return net_span_len(s) == n && (n == 0 || !memcmp(s.p, text, n));
}

char *net_span_dup(struct net_span s)
{
	size_t n = net_span_len(s);
	char *t = malloc(n + 1);
	if (t) {
		if (n)
			memcpy(t, s.p, n);
		t[n] = 0;
	}
	return t;
}
