/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "marllb/seqlock.h"
#include "mlbtest.h"

#define WORDS 512u

struct shared {
	struct mlb_msg msg;
	uint64_t buf[2][WORDS];
	_Atomic uint32_t stop;
};

static struct shared *map_shared(void)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		abort();
	return s;
}

/* A message that tells a torn read: every word is the same number, and the length goes with it. */
static int write_number(struct shared *s, uint64_t v)
{
	uint64_t w[WORDS];
	uint64_t n = 1 + v % WORDS;
	for (uint64_t i = 0; i < n; i++)
		w[i] = v;
	return mlb_msg_write(&s->msg, s->buf, sizeof(s->buf[0]), w, n * 8);
}

/* 1: a whole message, in *v; 0: none; -1: torn */
static int read_number(struct shared *s, uint64_t *v)
{
	uint64_t w[WORDS];
	int64_t len = mlb_msg_read(&s->msg, s->buf, sizeof(s->buf[0]), w, sizeof(w), NULL, 100);
	if (len <= 0)
		return len == 0 || len == -EAGAIN ? 0 : -1;
	if ((uint64_t)len != 8 * (1 + w[0] % WORDS))
		return -1;
	for (int64_t i = 1; i < len / 8; i++)
		if (w[i] != w[0])
			return -1;
	*v = w[0];
	return 1;
}

TEST(write_then_read)
{
	struct shared *s = map_shared();
	uint64_t v, q1 = 0, q2 = 0, w[WORDS];
	CHECK_EQ(read_number(s, &v), 0);
	CHECK_EQ(mlb_msg_seq(&s->msg), 0);
	CHECK_EQ(write_number(s, 41), 0);
	CHECK_EQ(mlb_msg_read(&s->msg, s->buf, sizeof(s->buf[0]), w, sizeof(w), &q1, 1), 42 * 8);
	CHECK_EQ(mlb_msg_seq(&s->msg), q1);
	CHECK_EQ(write_number(s, 5), 0);
	CHECK_EQ(mlb_msg_read(&s->msg, s->buf, sizeof(s->buf[0]), w, sizeof(w), &q2, 1), 6 * 8);
	CHECK(q2 > q1);
	CHECK_EQ(w[0], 5);
	munmap(s, sizeof(*s));
}

TEST(lengths)
{
	struct shared *s = map_shared();
	uint64_t w[WORDS] = { 0 };
	CHECK_EQ(mlb_msg_write(&s->msg, s->buf, sizeof(s->buf[0]), w, sizeof(w) + 1), -EMSGSIZE);
	CHECK_EQ(mlb_msg_write(&s->msg, s->buf, sizeof(s->buf[0]), w, 13), 0);
	CHECK_EQ(mlb_msg_read(&s->msg, s->buf, sizeof(s->buf[0]), w, sizeof(w), NULL, 1), 16);
	CHECK_EQ(mlb_msg_read(&s->msg, s->buf, sizeof(s->buf[0]), w, 8, NULL, 1), -EMSGSIZE);
	uint32_t i = atomic_load(&s->msg.index);
	atomic_store(&s->msg.len[i], sizeof(s->buf[0]) + 8);
	CHECK_EQ(mlb_msg_read(&s->msg, s->buf, sizeof(s->buf[0]), w, sizeof(w), NULL, 1), -EPROTO);
	atomic_store(&s->msg.len[i], 9);
	CHECK_EQ(mlb_msg_read(&s->msg, s->buf, sizeof(s->buf[0]), w, sizeof(w), NULL, 1), -EPROTO);
	munmap(s, sizeof(*s));
}

/* The state that a writer killed at any point leaves: readable buffer whole, and the next writer goes on. */
TEST(writer_stopped_in_mid_write)
{
	struct shared *s = map_shared();
	uint64_t v = 0;
	write_number(s, 100);
	uint32_t other = (atomic_load(&s->msg.index) & 1) ^ 1;
	atomic_store(&s->msg.seq[other], atomic_load(&s->msg.seq[other]) | 1);
	s->buf[other][0] = 999;
	CHECK_EQ(read_number(s, &v), 1);
	CHECK_EQ(v, 100);
	CHECK_EQ(write_number(s, 101), 0);
	CHECK_EQ(read_number(s, &v), 1);
	CHECK_EQ(v, 101);
	munmap(s, sizeof(*s));
}

/* A message in parts: nobody sees a part of it, and one that is given up leaves the one before. */
TEST(parts)
{
	struct shared *s = map_shared();
	struct mlb_msg_draft d;
	uint64_t v = 0, w[4] = { 2, 2, 2, 2 }, got[4];
	write_number(s, 100);
	mlb_msg_begin(&s->msg, &d);
	CHECK_EQ(mlb_msg_put(s->buf, sizeof(s->buf[0]), &d, 16, w, 16), 0);
	CHECK_EQ(read_number(s, &v), 1);
	CHECK_EQ(v, 100);
	mlb_msg_begin(&s->msg, &d);
	CHECK_EQ(mlb_msg_put(s->buf, sizeof(s->buf[0]), &d, 16, w, 16), 0);
	CHECK_EQ(mlb_msg_put(s->buf, sizeof(s->buf[0]), &d, 0, w, 16), 0);
	CHECK_EQ(mlb_msg_put(s->buf, sizeof(s->buf[0]), &d, sizeof(s->buf[0]) - 8, w, 16), -EMSGSIZE);
	CHECK_EQ(mlb_msg_put(s->buf, sizeof(s->buf[0]), &d, UINT64_MAX - 7, w, 16), -EMSGSIZE);
	CHECK_EQ(mlb_msg_put(s->buf, sizeof(s->buf[0]), &d, 0, w, 12), -EMSGSIZE);
	CHECK_EQ(mlb_msg_end(&s->msg, sizeof(s->buf[0]), &d, sizeof(s->buf[0]) + 8), -EMSGSIZE);
	CHECK_EQ(read_number(s, &v), 1);
	CHECK_EQ(v, 100);
	CHECK_EQ(mlb_msg_end(&s->msg, sizeof(s->buf[0]), &d, 32), 0);
	CHECK_EQ(mlb_msg_read(&s->msg, s->buf, sizeof(s->buf[0]), got, sizeof(got), NULL, 1), 32);
	CHECK_EQ(memcmp(got, w, 32), 0);
	munmap(s, sizeof(*s));
}

TEST(sequence_wraps_and_survives_any_value)
{
	struct shared *s = map_shared();
	uint64_t v = 0;
	atomic_store(&s->msg.seq[0], UINT64_MAX);
	atomic_store(&s->msg.seq[1], UINT64_MAX - 1);
	atomic_store(&s->msg.index, 0xdeadbeef);
	CHECK_EQ(write_number(s, 3), 0);
	CHECK_EQ(read_number(s, &v), 1);
	CHECK_EQ(v, 3);
	munmap(s, sizeof(*s));
}

static void write_until_stopped(struct shared *s)
{
	for (uint64_t v = 1; !atomic_load_explicit(&s->stop, memory_order_relaxed); v++)
		write_number(s, v);
}

/* Two processes: numbers only grow and no message is torn, over `reads` whole messages. */
TEST(two_processes_no_torn_message)
{
	struct shared *s = map_shared();
	pid_t pid = fork();
	if (pid == 0) {
		write_until_stopped(s);
		_exit(0);
	}
	uint64_t last = 0, v = 0;
	for (int whole = 0; whole < 20000 && !mlbtest_failed;) {
		int r = read_number(s, &v);
		CHECK(r >= 0);
		if (r != 1)
			continue;
		CHECK(v >= last);
		last = v;
		whole++;
	}
	atomic_store(&s->stop, 1);
	waitpid(pid, NULL, 0);
	munmap(s, sizeof(*s));
}

/* kill -9 at whatever point the writer is: what is readable is whole, every time. */
TEST(killed_writers_leave_a_whole_message)
{
	struct shared *s = map_shared();
	uint64_t v;
	for (int round = 0; round < 50 && !mlbtest_failed; round++) {
		pid_t pid = fork();
		if (pid == 0) {
			write_until_stopped(s);
			_exit(0);
		}
		uint64_t before = mlb_msg_seq(&s->msg);
		while (mlb_msg_seq(&s->msg) == before)
			;
		usleep((useconds_t)(round * 17 % 500));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		CHECK_EQ(read_number(s, &v), 1);
	}
	munmap(s, sizeof(*s));
}

static void *write_thread(void *arg)
{
	write_until_stopped(arg);
	return NULL;
}

/* The same between threads of one mapping, for TSan's eyes. */
TEST(two_threads_no_torn_message)
{
	struct shared *s = map_shared();
	pthread_t t;
	pthread_create(&t, NULL, write_thread, s);
	uint64_t v;
	for (int whole = 0; whole < 5000 && !mlbtest_failed;) {
		int r = read_number(s, &v);
		CHECK(r >= 0);
		whole += r;
	}
	atomic_store(&s->stop, 1);
	pthread_join(t, NULL);
	munmap(s, sizeof(*s));
}

MLB_TEST_MAIN(CASE(write_then_read), CASE(lengths), CASE(writer_stopped_in_mid_write), CASE(parts),
	      CASE(sequence_wraps_and_survives_any_value), CASE(two_processes_no_torn_message),
	      CASE(killed_writers_leave_a_whole_message), CASE(two_threads_no_torn_message))
