/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/seqlock.h"

#include <string.h>

#define LOAD(p) atomic_load_explicit((p), memory_order_acquire)
#define STORE(p, v) atomic_store_explicit((p), (v), memory_order_release)

static _Atomic uint64_t *buffer_words(const void *base, uint64_t buf_size, uint32_t i)
{
	return (_Atomic uint64_t *)((uintptr_t)base + (uint64_t)i * buf_size);
}

void mlb_msg_begin(struct mlb_msg *m, struct mlb_msg_draft *d)
{
	uint64_t s0 = LOAD(&m->seq[0]), s1 = LOAD(&m->seq[1]);
	d->buffer = (LOAD(&m->index) & 1u) ^ 1u;
	/* Above both buffers' numbers, so that it names the message; a writer that died left an odd one behind. */
	d->odd = (s0 > s1 ? s0 : s1) | 1u;
	if (d->odd == UINT64_MAX)
		d->odd = 1;
	STORE(&m->seq[d->buffer], d->odd);
}

int mlb_msg_put(void *base, uint64_t buf_size, const struct mlb_msg_draft *d, uint64_t off, const void *src, uint64_t len)
{
	if (off % 8 != 0 || len % 8 != 0 || off > buf_size || len > buf_size - off)
		return -EMSGSIZE;
	_Atomic uint64_t *w = buffer_words(base, buf_size, d->buffer) + off / 8;
	for (uint64_t k = 0; k < len / 8; k++) {
		uint64_t v;
		memcpy(&v, (const uint8_t *)src + 8 * k, 8);
		/* Release: who sees this word sees the odd sequence as well. */
		STORE(&w[k], v);
	}
	return 0;
}

int mlb_msg_end(struct mlb_msg *m, uint64_t buf_size, const struct mlb_msg_draft *d, uint64_t len)
{
	len = (len + 7) & ~UINT64_C(7);
	if (len > buf_size)
		return -EMSGSIZE;
	STORE(&m->len[d->buffer], len);
	STORE(&m->seq[d->buffer], d->odd + 1);
	STORE(&m->index, d->buffer);
	return 0;
}

int mlb_msg_write(struct mlb_msg *m, void *base, uint64_t buf_size, const void *src, uint64_t len)
{
	struct mlb_msg_draft d;
	len = (len + 7) & ~UINT64_C(7);
	if (len > buf_size)
		return -EMSGSIZE;
	mlb_msg_begin(m, &d);
	mlb_msg_put(base, buf_size, &d, 0, src, len);
	return mlb_msg_end(m, buf_size, &d, len);
}

int64_t mlb_msg_read(const struct mlb_msg *cm, const void *base, uint64_t buf_size, void *dst, uint64_t cap, uint64_t *seq,
		     int tries)
{
	struct mlb_msg *m = (struct mlb_msg *)cm; /* C11's atomic_load takes no const pointer */
	for (int t = 0; t < tries; t++) {
		uint32_t i = LOAD(&m->index) & 1u;
		uint64_t before = LOAD(&m->seq[i]);
		if (before == 0)
			return 0;
		if (before & 1u)
			continue;
		uint64_t len = LOAD(&m->len[i]);
		if (len > buf_size || len % 8 != 0 || len > cap) {
			if (LOAD(&m->seq[i]) != before)
				continue;
			return len > buf_size || len % 8 != 0 ? -EPROTO : -EMSGSIZE;
		}
		_Atomic uint64_t *w = buffer_words(base, buf_size, i);
		for (uint64_t k = 0; k < len / 8; k++) {
			uint64_t v = LOAD(&w[k]);
			memcpy((uint8_t *)dst + 8 * k, &v, 8);
		}
		if (LOAD(&m->seq[i]) != before)
			continue;
		if (seq)
			*seq = before;
		return (int64_t)len;
	}
	return -EAGAIN;
}

uint64_t mlb_msg_seq(const struct mlb_msg *cm)
{
	struct mlb_msg *m = (struct mlb_msg *)cm;
	/* Odd while the writer, two messages on by now, is in this buffer again: new in any case. */
	return LOAD(&m->seq[LOAD(&m->index) & 1u]);
}
