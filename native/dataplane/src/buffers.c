/* SPDX-License-Identifier: Apache-2.0 */
#include "buffers.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct mlbd_queue *mlbd_buf_get(struct mlbd_buffers *p)
{
	struct mlbd_queue *q = p->buffers;

	if (q) {
		p->buffers = q->next;
		p->free_buffers--;
	} else {
		q = malloc(sizeof(*q) + MLBD_BUF_SIZE + MLBD_BUF_LEAD);
		if (!q)
			return NULL;
		q->pipe[0] = q->pipe[1] = -1;
	}
	q->off = q->len = 0;
	p->held++;
	return q;
}

struct mlbd_queue *mlbd_buf_scratch(struct mlbd_buffers *p)
{
	if (!p->scratch)
		p->scratch = mlbd_buf_get(p);
	return p->scratch;
}

struct mlbd_queue *mlbd_pipe_get(struct mlbd_buffers *p)
{
	struct mlbd_queue *q = p->pipes;

	if (q) {
		p->pipes = q->next;
		p->free_pipes--;
	} else {
		if (p->pipe_bytes + (p->pipe_size ? p->pipe_size : MLBD_PIPE_SIZE) > p->pipe_most)
			return NULL;
		q = malloc(sizeof(*q));
		if (!q)
			return NULL;
		if (pipe2(q->pipe, O_NONBLOCK | O_CLOEXEC)) {
			free(q);
			return NULL;
		}
		/* A larger pipe is only faster: unprivileged users have a quota, and the default size stays right. */
		if (!p->pipe_size)
			p->pipe_size = MLBD_PIPE_SIZE;
		while (p->pipe_size > 65536 && fcntl(q->pipe[0], F_SETPIPE_SZ, (int)p->pipe_size) < 0)
			p->pipe_size /= 2;
		q->size = p->pipe_size;
		p->pipe_bytes += q->size;
	}
	q->off = q->len = 0;
	p->held++;
	return q;
}

static void destroy(struct mlbd_buffers *p, struct mlbd_queue *q)
{
	if (q->pipe[0] >= 0) {
		p->pipe_bytes -= q->size;
		close(q->pipe[0]);
		close(q->pipe[1]);
	}
	free(q);
}

void mlbd_queue_put(struct mlbd_buffers *p, struct mlbd_queue *q)
{
	bool is_pipe = q->pipe[0] >= 0;

	p->held--;
	if (is_pipe && q->len == 0 && p->free_pipes < MLBD_BUFFERS_KEEP && p->pipe_bytes <= p->pipe_most) {
		q->next = p->pipes;
		p->pipes = q;
		p->free_pipes++;
	} else if (!is_pipe && p->free_buffers < MLBD_BUFFERS_KEEP) {
		q->next = p->buffers;
		p->buffers = q;
		p->free_buffers++;
	} else {
		destroy(p, q);
	}
}

void mlbd_buffers_trim(struct mlbd_buffers *p)
{
	for (struct mlbd_queue *q = p->pipes, *next; q; q = next) {
		next = q->next;
		destroy(p, q);
	}
	p->pipes = NULL;
	p->free_pipes = 0;
}

void mlbd_buffers_free(struct mlbd_buffers *p)
{
	struct mlbd_queue *q, *next;

	if (p->scratch)
		mlbd_queue_put(p, p->scratch);
	p->scratch = NULL;
	for (q = p->buffers; q; q = next) {
		next = q->next;
		destroy(p, q);
	}
	p->buffers = NULL;
	p->free_buffers = 0;
	mlbd_buffers_trim(p);
}
