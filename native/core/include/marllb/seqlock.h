/* SPDX-License-Identifier: Apache-2.0 */
/* Double-buffered message in shared memory, one writer, any readers, in different processes. The writer fills the buffer that
 * readers do not use: odd sequence, payload words by release stores, length, even sequence by release, then the index. A writer
 * killed in mid-write leaves the readable buffer whole. A reader takes the index, the sequence, payload words by acquire loads,
 * then the sequence again. No memcpy over the payload and no bare fence, so it is right on aarch64 and clean under TSan. */
#ifndef MARLLB_SEQLOCK_H
#define MARLLB_SEQLOCK_H
#include <errno.h>
#include "layout.h"
#ifdef __cplusplus
extern "C" {
#endif

/* `base` is the first buffer; buffer i starts at base + i * buf_size. Sizes are the attacher's own copies, never re-read from the
 * region. len is rounded up to 8 (src must be readable to there). -EMSGSIZE if it does not fit. */
int mlb_msg_write(struct mlb_msg *m, void *base, uint64_t buf_size, const void *src, uint64_t len);

/* The same in parts, for a message that is made over a while: begin, any parts in any order, end. Readers have the last message
 * until the end; a begin without an end leaves it to them. The writer writes no other message meanwhile. */
struct mlb_msg_draft {
	uint64_t odd;
	uint32_t buffer;
};
void mlb_msg_begin(struct mlb_msg *m, struct mlb_msg_draft *d);
/* Puts len bytes at `off`, both multiples of 8; -EMSGSIZE if they do not fit. */
int mlb_msg_put(void *base, uint64_t buf_size, const struct mlb_msg_draft *d, uint64_t off, const void *src, uint64_t len);
/* len: of the whole message, as in mlb_msg_write. */
int mlb_msg_end(struct mlb_msg *m, uint64_t buf_size, const struct mlb_msg_draft *d, uint64_t len);

/* Copies the newest whole message to dst (room for cap bytes). Returns its length, 0 if none was ever written, -EAGAIN when it
 * was overwritten `tries` times while reading, -EPROTO when its length is impossible. *seq (may be NULL): a value that differs
 * between two messages, for "is it new". */
int64_t mlb_msg_read(const struct mlb_msg *m, const void *base, uint64_t buf_size, void *dst, uint64_t cap, uint64_t *seq,
		     int tries);

/* Sequence of the newest message without copying it; 0 = none. */
uint64_t mlb_msg_seq(const struct mlb_msg *m);

#ifdef __cplusplus
}
#endif
#endif
