/* SPDX-License-Identifier: Apache-2.0 */
#include <lb_rl/error.h>
#include <lb_rl/lb_rl.h>
#include <lb_rl/waker.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <vlib/file.h>

#define LB_RL_WAIT_US 1000000u /* a region that was removed and made again has another word at the address */

static struct {
	_Atomic u32 *word;
	_Atomic bool stop;
	pthread_t thread;
	int fd;
	u32 file; /* VPP's record of fd */
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

int lb_rl_waker_start(_Atomic u32 *word, char err[MLB_ERR_LEN])
{
	waker.word = word;
	waker.stop = false;
	waker.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (waker.fd < 0)
		return lb_rl_fail(err, VNET_API_ERROR_SYSCALL_ERROR_1, "no eventfd: %s", strerror(errno));
	clib_file_t template = {
		.read_function = lb_rl_woken,
		.file_descriptor = waker.fd,
		.description = format(0, "lb-rl: messages of the agent"),
	};
	waker.file = clib_file_add(&file_main, &template);
	int rc = lb_rl_thread_start();
	if (rc) {
		clib_file_del_by_index(&file_main, waker.file);
		return lb_rl_fail(err, VNET_API_ERROR_SYSCALL_ERROR_1, "no thread to wait for the agent: %s", strerror(rc));
	}
	waker.runs = true;
	return 0;
}

void lb_rl_waker_stop(void)
{
	if (!waker.runs)
		return;
	waker.runs = false;
	waker.stop = true;
	mlb_futex_wake(waker.word);
	pthread_join(waker.thread, 0);
	clib_file_del_by_index(&file_main, waker.file); /* closes fd */
}
