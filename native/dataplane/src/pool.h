/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers and pipes of one worker. A connection holds one only while bytes wait in it, so an idle connection has none. */
#ifndef MLBD_POOL_H
#define MLBD_POOL_H
#include <stdbool.h>
#include <stdint.h>

#define MLBD_BUF_SIZE (32u << 10)
#define MLBD_PIPE_SIZE (1u << 20) /* asked for; the kernel may give less */
#define MLBD_POOL_KEEP 16u        /* free ones kept of either kind */

/* Bytes on their way: `len` in a buffer from `off` on, or `len` in a pipe. */
struct mlbd_queue {
	struct mlbd_queue *next; /* while free */
	uint32_t off, len;
	int pipe[2];    /* -1: a buffer */
	uint8_t data[]; /* [MLBD_BUF_SIZE] of a buffer */
};

struct mlbd_pool {
	struct mlbd_queue *buffers, *pipes;
	uint32_t free_buffers, free_pipes, pipe_size;
	uint32_t held; /* queues that connections hold now */
};

/* NULL: no memory. */
struct mlbd_queue *mlbd_buf_get(struct mlbd_pool *);
/* NULL: no descriptors or memory; copy instead. */
struct mlbd_queue *mlbd_pipe_get(struct mlbd_pool *);
/* A pipe that still holds bytes is closed, not kept. */
void mlbd_queue_put(struct mlbd_pool *, struct mlbd_queue *);
/* Closes the free pipes: their descriptors are wanted. */
void mlbd_pool_trim(struct mlbd_pool *);
void mlbd_pool_free(struct mlbd_pool *);
#endif
