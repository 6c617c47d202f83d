/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers and pipes of one worker. A connection holds one only while bytes wait in it: an idle connection holds none. */
#ifndef MLBD_BUFFERS_H
#define MLBD_BUFFERS_H
#include <stdbool.h>
#include <stdint.h>

#define MLBD_BUF_SIZE (32u << 10)
#define MLBD_BUF_LEAD 128u        /* a buffer takes so much more, for what goes ahead of a peer's bytes */
#define MLBD_PIPE_SIZE (1u << 20) /* asked for; the kernel may give less */
#define MLBD_BUFFERS_KEEP 16u     /* free ones kept of either kind */

/* Bytes on their way: `len` in a buffer from `off` on, or `len` in a pipe. */
struct mlbd_queue {
	struct mlbd_queue *next; /* while free */
	uint32_t off, len;
	uint32_t size;  /* of a pipe */
	int pipe[2];    /* -1: a buffer */
	uint8_t data[]; /* [MLBD_BUF_SIZE + MLBD_BUF_LEAD] of a buffer */
};

struct mlbd_buffers {
	struct mlbd_queue *buffers, *pipes;
	uint32_t free_buffers, free_pipes, pipe_size;
	uint64_t pipe_bytes, pipe_most; /* what the pipes can hold together, kept ones included, and the limit */
	uint32_t held;                  /* queues that connections hold now */
	struct mlbd_queue *scratch;     /* filled and sent at once; given away when the receiver blocks */
};

/* The worker's scratch buffer; NULL: no memory. */
struct mlbd_queue *mlbd_buf_scratch(struct mlbd_buffers *);

/* NULL: no memory. */
struct mlbd_queue *mlbd_buf_get(struct mlbd_buffers *);
/* NULL: no descriptors or memory, or the limit is reached; copy instead. */
struct mlbd_queue *mlbd_pipe_get(struct mlbd_buffers *);
/* A pipe that still holds bytes, or is over the limit, is closed, not kept. */
void mlbd_queue_put(struct mlbd_buffers *, struct mlbd_queue *);
/* Closes the free pipes: their descriptors are wanted. */
void mlbd_buffers_trim(struct mlbd_buffers *);
void mlbd_buffers_free(struct mlbd_buffers *);
#endif
