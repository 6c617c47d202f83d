/* SPDX-License-Identifier: Apache-2.0 */
/* epoll cannot wait for a futex: a thread does, so that the agent's message takes effect within tens of microseconds. */
#ifndef MLBD_WAKER_H
#define MLBD_WAKER_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct mlbd_waker {
	_Atomic uint32_t *word; /* the region's in_futex; NULL: not started */
	int fd;                 /* an eventfd that it makes readable */
	pthread_t thread;
	_Atomic bool stop;
};

int mlbd_waker_start(struct mlbd_waker *, _Atomic uint32_t *word, int fd, char err[256]);
void mlbd_waker_join(struct mlbd_waker *);
#endif
