/* SPDX-License-Identifier: Apache-2.0 */
#include "waker.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "marllb/region.h"

#define WAIT_US 10000000u

static void *wait_for_agent(void *arg)
{
	struct mlbd_waker *w = arg;
	const uint64_t one = 1;

	for (;;) {
		uint32_t seen = atomic_load(w->word);

		if (w->stop)
			return NULL;
		mlb_futex_wait(w->word, seen, WAIT_US);
		if (atomic_load(w->word) != seen && write(w->fd, &one, sizeof(one)) < 0)
			mlbd_log("error", "wake: %s", strerror(errno));
	}
}

int mlbd_waker_start(struct mlbd_waker *w, _Atomic uint32_t *word, int fd, char err[256])
{
	int rc;

	w->word = word;
	w->fd = fd;
	w->stop = false;
	rc = pthread_create(&w->thread, NULL, wait_for_agent, w);
	if (rc) {
		w->word = NULL;
		snprintf(err, 256, "cannot start a thread: %s", strerror(rc));
	}
	return -rc;
}

void mlbd_waker_join(struct mlbd_waker *w)
{
	if (!w->word)
		return;
	w->stop = true;
	mlb_futex_wake(w->word);
	pthread_join(w->thread, NULL);
	w->word = NULL;
}
