/* SPDX-License-Identifier: Apache-2.0 */
#include "mlbtest.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fds.h"

struct worker {
	int pair[2], other, kept_pipe[2];
	sem_t own, sent;
	int rc, passed, errors[2];
	char read_back[8];
};

static bool open_here(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	const int keep[] = { w->pair[1], w->kept_pipe[1] };

	w->rc = mlbd_fds_own(keep, 2);
	w->errors[0] = open_here(w->other);
	w->errors[1] = !open_here(w->pair[1]) || !open_here(w->kept_pipe[1]) || open_here(w->pair[0]);
	sem_post(&w->own);
	while (sem_wait(&w->sent) < 0)
		;
	int got[MLBD_FDS_MOST];

	w->passed = mlbd_fds_receive(w->pair[1], got) == 1 ? got[0] : -1;
	if (w->passed >= 0 && read(w->passed, w->read_back, sizeof(w->read_back)) < 0)
		w->read_back[0] = 0;
	return NULL;
}

TEST(a_table_of_its_own_holds_what_it_was_given)
{
	struct worker w = { .other = open("/dev/null", O_RDONLY | O_CLOEXEC) };
	int file[2];
	pthread_t t;

	CHECK_EQ(mlbd_fds_pair(w.pair), 0);
	CHECK_EQ(pipe(w.kept_pipe), 0);
	sem_init(&w.own, 0, 0);
	sem_init(&w.sent, 0, 0);
	CHECK_EQ(pthread_create(&t, NULL, work, &w), 0);
	while (sem_wait(&w.own) < 0)
		;
	if (w.rc == 0) { /* a container may forbid it: then the table is shared, and passing still works */
		CHECK_EQ(w.errors[0], 0);
		CHECK_EQ(w.errors[1], 0);
	}
	/* Opened after the thread has its own table: it comes by message alone, and closing it here closes nothing there. */
	CHECK_EQ(pipe(file), 0);
	CHECK_EQ(write(file[1], "listener", 8), 8);
	CHECK_EQ(mlbd_fds_send(w.pair[0], "\n", file, 1), 0);
	close(file[0]);
	sem_post(&w.sent);
	pthread_join(t, NULL);
	CHECK(w.passed >= 0);
	CHECK(memcmp(w.read_back, "listener", 8) == 0);
	CHECK(open_here(w.other));
	CHECK(open_here(w.pair[0]));
	close(file[1]);
	close(w.other);
	for (int i = 0; i < 2; i++) {
		close(w.pair[i]);
		close(w.kept_pipe[i]);
	}
}

TEST(nothing_passed_is_an_error_not_a_wait)
{
	int pair[2], got[MLBD_FDS_MOST], none = -1;

	CHECK_EQ(mlbd_fds_pair(pair), 0);
	CHECK_EQ(mlbd_fds_receive(pair[1], got), -EAGAIN);
	CHECK_EQ(mlbd_fds_send(pair[0], "\n", &none, 1), -EBADF);
	close(pair[0]);
	close(pair[1]);
}

MLB_TEST_MAIN(CASE(a_table_of_its_own_holds_what_it_was_given), CASE(nothing_passed_is_an_error_not_a_wait))
