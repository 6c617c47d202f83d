/* SPDX-License-Identifier: Apache-2.0 */
#include "mlbtest.h"

#include <fcntl.h>
#include <unistd.h>

#include "buffers.h"
#include "text.h"

TEST(a_buffer_is_used_again)
{
	struct mlbd_buffers p = { .pipe_most = 1u << 30 };
	struct mlbd_queue *a = mlbd_buf_get(&p), *b;

	a->off = 3;
	a->len = 5;
	CHECK_EQ(p.held, 1);
	mlbd_queue_put(&p, a);
	CHECK_EQ(p.held, 0);
	b = mlbd_buf_get(&p);
	CHECK(a == b);
	CHECK_EQ(b->len, 0);
	CHECK_EQ(b->off, 0);
	CHECK(b->pipe[0] < 0);
	mlbd_queue_put(&p, b);
	mlbd_buffers_free(&p);
}

TEST(free_ones_are_bounded)
{
	struct mlbd_buffers p = { .pipe_most = 1u << 30 };
	struct mlbd_queue *q[4 * MLBD_BUFFERS_KEEP];

	for (uint32_t i = 0; i < 4 * MLBD_BUFFERS_KEEP; i++)
		q[i] = i & 1 ? mlbd_pipe_get(&p) : mlbd_buf_get(&p);
	CHECK_EQ(p.held, 4 * MLBD_BUFFERS_KEEP);
	for (uint32_t i = 0; i < 4 * MLBD_BUFFERS_KEEP; i++)
		mlbd_queue_put(&p, q[i]);
	CHECK_EQ(p.held, 0);
	CHECK_EQ(p.free_buffers, MLBD_BUFFERS_KEEP);
	CHECK_EQ(p.free_pipes, MLBD_BUFFERS_KEEP);
	mlbd_buffers_free(&p);
}

/* Bytes of one connection must never come out in another. */
TEST(a_pipe_with_bytes_in_it_is_not_used_again)
{
	struct mlbd_buffers p = { .pipe_most = 1u << 30 };
	struct mlbd_queue *q = mlbd_pipe_get(&p);
	int fd = q->pipe[1];

	CHECK_EQ(write(fd, "secret", 6), 6);
	q->len = 6;
	mlbd_queue_put(&p, q);
	CHECK_EQ(p.free_pipes, 0);
	CHECK(fcntl(fd, F_GETFD) < 0);
	mlbd_buffers_free(&p);
}

/* The kernel's memory that spliced connections can fill is bounded. */
TEST(pipes_are_bounded_by_what_they_can_hold)
{
	struct mlbd_buffers p = { .pipe_most = 3 * MLBD_PIPE_SIZE };
	struct mlbd_queue *q[4];
	uint32_t n = 0;

	while (n < 4 && (q[n] = mlbd_pipe_get(&p)))
		n++;
	CHECK(n >= 1 && p.pipe_bytes <= p.pipe_most && p.pipe_bytes + p.pipe_size > p.pipe_most);
	mlbd_queue_put(&p, q[--n]);
	q[n] = mlbd_pipe_get(&p);
	CHECK(q[n] != NULL); /* a kept one is used again */
	p.pipe_most = 0;
	CHECK(mlbd_pipe_get(&p) == NULL);
	for (n++; n;)
		mlbd_queue_put(&p, q[--n]);
	CHECK_EQ(p.pipe_bytes, 0); /* over the limit none is kept */
	mlbd_buffers_free(&p);
}

TEST(text_grows_and_quotes)
{
	struct mlbd_text t = { 0 };

	for (int i = 0; i < 5000; i++)
		mlbd_text_add(&t, "%d,", i % 10);
	CHECK_EQ(t.len, 10000);
	CHECK(!t.failed && t.s[9999] == ',' && t.s[10000] == 0);
	mlbd_text_free(&t);
	mlbd_text_json(&t, "a\"b\\c\n\x01");
	CHECK_STR(t.s, "\"a\\\"b\\\\c\\u000a\\u0001\"");
	mlbd_text_free(&t);
}

MLB_TEST_MAIN(CASE(a_buffer_is_used_again), CASE(free_ones_are_bounded), CASE(a_pipe_with_bytes_in_it_is_not_used_again),
	      CASE(pipes_are_bounded_by_what_they_can_hold), CASE(text_grows_and_quotes))
