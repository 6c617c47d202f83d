/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* pthread_setname_np */
#include <lb_rl/error.h>
#include <lb_rl/lb_rl.h>
#include <lb_rl/waker.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <vlib/file.h>

#define LB_RL_WAIT_US 1000000u /* a region that was removed and made again has another word at the address */

static struct {
	_Atomic u32 *word;
	_Atomic bool stop;
	pthread_t thread;
	int fd, timer;
	u32 file, timer_file; /* VPP's records of them */
	bool runs;
} waker;

/* The thread is none of VPP's: it calls nothing of VPP. */
static void *lb_rl_wait_for_agent(void *arg)
{
	const u64 one = 1;

	for (u32 seen = atomic_load(waker.word); !waker.stop; seen = atomic_load(waker.word)) {
		mlb_futex_wait(waker.word, seen, LB_RL_WAIT_US);
		/* A full eventfd is readable, too. */
		if (atomic_load(waker.word) != seen && write(waker.fd, &one, sizeof(one)) < 0)
			continue;
	}
	return 0;
}

static clib_error_t *lb_rl_woken(clib_file_t *file)
{
	u64 count;

	if (read(file->file_descriptor, &count, sizeof(count)) < 0)
		return 0; /* nothing there any more */
	vlib_process_signal_event(vlib_get_main(), lb_rl_process_node.index, 1, 0);
	return 0;
}

/* Without VPP's signals: those are for its main thread. */
static int lb_rl_thread_start(void)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&waker.thread, 0, lb_rl_wait_for_agent, 0);
	pthread_sigmask(SIG_SETMASK, &before, 0);
	if (!rc)
		pthread_setname_np(waker.thread, "lb_rl_waker");
	return rc;
}

static u32 lb_rl_watch(int fd, char *what)
{
	clib_file_t template = {
		.read_function = lb_rl_woken,
		.file_descriptor = fd,
		.description = format(0, "lb-rl: %s", what),
	};
	return clib_file_add(&file_main, &template);
}

/* This closes the descriptors as well. */
static void lb_rl_unwatch(void)
{
	clib_file_del_by_index(&file_main, waker.file);
	clib_file_del_by_index(&file_main, waker.timer_file);
}

int lb_rl_waker_start(_Atomic u32 *word, char err[MLB_ERR_LEN])
{
	waker.word = word;
	waker.stop = false;
	waker.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (waker.fd < 0)
		return lb_rl_fail(err, VNET_API_ERROR_SYSCALL_ERROR_1, "no eventfd: %s", strerror(errno));
	waker.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (waker.timer < 0) {
		int rc = errno;
		close(waker.fd);
		return lb_rl_fail(err, VNET_API_ERROR_SYSCALL_ERROR_1, "no timerfd: %s", strerror(rc));
	}
	waker.file = lb_rl_watch(waker.fd, "messages of the agent");
	waker.timer_file = lb_rl_watch(waker.timer, "clock of the main thread's step");
	int rc = lb_rl_thread_start();
	if (rc) {
		lb_rl_unwatch();
		return lb_rl_fail(err, VNET_API_ERROR_SYSCALL_ERROR_1, "no thread to wait for the agent: %s", strerror(rc));
	}
	waker.runs = true;
	return 0;
}

void lb_rl_waker_in(u64 us)
{
	const struct itimerspec at = { .it_value = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 } };

	timerfd_settime(waker.timer, 0, &at, 0);
}

void lb_rl_waker_stop(void)
{
	if (!waker.runs)
		return;
	waker.runs = false;
	waker.stop = true;
	mlb_futex_wake(waker.word);
	pthread_join(waker.thread, 0);
	lb_rl_unwatch();
}
