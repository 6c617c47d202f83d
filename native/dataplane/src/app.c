/* SPDX-License-Identifier: Apache-2.0 */
/* The main thread: starts everything, then steps the core, answers the control socket, and stops in order. */
#include "app.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "marllb/sched.h"
#include "recount.h"
#include "run.h"
#include "show.h"
#include "workers.h"

char mlbd_app_signal, mlbd_app_wake, mlbd_app_stdin, mlbd_app_control;

#define RECOUNT_US 1000000u
#define STOP_LOOK_US 10000u /* while draining: is the last connection gone? */

static int watch(struct mlbd_app *app, int fd, void *what)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = what };

	return epoll_ctl(app->epfd, EPOLL_CTL_ADD, fd, &ev);
}

/* epoll cannot wait for a futex: this thread does, and the agent's message takes effect within tens of microseconds. */
static void *wait_for_agent(void *arg)
{
	struct mlbd_app *app = arg;
	_Atomic uint32_t *word = &mlb_dp_region(app->host->dp)->hdr->in_futex;
	const uint64_t one = 1;

	for (;;) {
		uint32_t seen = atomic_load(word);

		if (app->waker_stop)
			return NULL;
		mlb_futex_wait(word, seen, 10000000);
		if (atomic_load(word) != seen && write(app->wake_fd, &one, sizeof(one)) < 0)
			mlbd_log("error", "wake: %s", strerror(errno));
	}
}

static int open_loop(struct mlbd_app *app, char err[512])
{
	struct rlimit files;
	sigset_t set;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread: all inherit it */
	app->control.fd = app->control.spare_fd = -1;
	int rc = mlbd_log_start();

	if (rc) {
		snprintf(err, 512, "cannot start a thread for the log: %s", strerror(-rc));
		return rc;
	}
	app->epfd = epoll_create1(EPOLL_CLOEXEC);
	app->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	app->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (app->epfd < 0 || app->signal_fd < 0 || app->wake_fd < 0 || watch(app, app->signal_fd, &mlbd_app_signal) ||
	    watch(app, app->wake_fd, &mlbd_app_wake)) {
		snprintf(err, 512, "cannot set up: %s", strerror(errno));
		return -errno;
	}
	return 0;
}

static int add_vips(struct mlbd_app *app, struct mlbd_plan *plan, struct mlbd_inherit *old, char err[512])
{
	for (uint32_t i = 0; i < plan->vips; i++) {
		struct mlbd_plan_vip *p = &plan->vip[i];
		const char *name = p->opts.conf.name;
		char why[256];
		int *fd = NULL;
		uint32_t fds = mlbd_takeover_claim(old, &p->opts, &fd);
		int rc = mlbd_vip_add(app->host, &p->opts, fd, fds, why);

		free(fd);
		if (rc == 0 && p->servers)
			rc = mlbd_server_set(app->host, mlbd_vip_find(app->host, name, NULL), p->server, p->servers, why);
		if (rc) {
			snprintf(err, 512, "vip %s: %s", name, why);
			return rc;
		}
	}
	return 0;
}

int mlbd_app_reload(struct mlbd_app *app, char err[512])
{
	struct mlbd_plan *plan = malloc(sizeof(*plan));
	int rc;

	if (!plan) {
		snprintf(err, 512, "no memory");
		return -ENOMEM;
	}
	rc = mlbd_options_plan(&app->opt, plan, err);
	if (rc == 0) {
		rc = mlbd_host_reconcile(app->host, plan, err);
		mlbd_plan_free(plan);
	}
	free(plan);
	return rc;
}

void mlbd_app_stop(struct mlbd_app *app)
{
	if (app->stopping) {
		app->quit = true;
		return;
	}
	app->stopping = true;
	app->stop_deadline_us = mlbd_now_us() + app->host->settings.drain_ms * 1000;
	mlbd_notify("STOPPING=1");
	mlbd_host_stop_accept(app->host);
	if (mlbd_workers_conns(app->host))
		mlbd_log("info", "no new connections; waiting for %llu to end, at most %llu ms",
			 (unsigned long long)mlbd_workers_conns(app->host), (unsigned long long)app->host->settings.drain_ms);
}

static void on_signal(struct mlbd_app *app)
{
	struct signalfd_siginfo si;
	char err[512];

	while (read(app->signal_fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo != SIGHUP)
			mlbd_app_stop(app);
		else if (app->stopping)
			continue;
		else if (mlbd_app_reload(app, err))
			mlbd_log("error", "reload: %s", err);
		else
			mlbd_log("info", "configuration read again");
	}
}

static void on_stdin(struct mlbd_app *app)
{
	char buf[256];

	if (read(0, buf, sizeof(buf)) > 0)
		return;
	epoll_ctl(app->epfd, EPOLL_CTL_DEL, 0, NULL);
	mlbd_app_stop(app);
}

/* Waits with the precision of the core's step where the kernel can (5.11 on), else by the millisecond. */
static int wait_events(struct mlbd_app *app, struct epoll_event *ev, int n, uint64_t us)
{
#ifdef SYS_epoll_pwait2
	static bool missing;
	struct timespec t = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };

	if (!missing) {
		int rc = (int)syscall(SYS_epoll_pwait2, app->epfd, ev, n, &t, NULL, 0);

		if (rc >= 0 || errno != ENOSYS)
			return rc;
		missing = true;
	}
#endif
	return epoll_wait(app->epfd, ev, n, (int)((us + 999) / 1000));
}

static void loop(struct mlbd_app *app)
{
	while (!app->quit) {
		struct epoll_event ev[32];
		uint64_t now = mlbd_now_us(), wait = mlb_dp_poll(app->host->dp, now, mlbd_real_ns()), seen;
		int n;

		if (app->stopping && (mlbd_workers_conns(app->host) == 0 || now >= app->stop_deadline_us))
			return;
		if (app->stopping && wait > STOP_LOOK_US)
			wait = STOP_LOOK_US;
		if (now >= app->next_recount_us) {
			app->next_recount_us = now + RECOUNT_US;
			mlbd_recount_ask(app->host);
			mlbd_control_poll(app);
		}
		n = wait_events(app, ev, 32, wait);
		for (int i = 0; i < n; i++) {
			void *what = ev[i].data.ptr;

			if (what == &mlbd_app_wake)
				(void)!read(app->wake_fd, &seen, sizeof(seen));
			else if (what == &mlbd_app_signal)
				on_signal(app);
			else if (what == &mlbd_app_stdin)
				on_stdin(app);
			else
				mlbd_control_event(app, what == &mlbd_app_control ? NULL : what, ev[i].events);
		}
	}
}

static int start(struct mlbd_app *app, struct mlbd_plan *plan, struct mlbd_inherit *old, char err[512])
{
	struct mlbd_text ready = { 0 };
	char path[216];
	const char *control = mlbd_control_path(&plan->settings, path);
	int rc;

	old->control = -1;
	if (app->opt.takeover && !control) {
		snprintf(err, 512, "--takeover: expected a control socket (control PATH)");
		return -EINVAL;
	}
	if (app->opt.takeover) {
		if ((rc = mlbd_takeover_fetch(old, control, err)))
			return rc;
		if (old->control < 0)
			mlbd_log("info", "nobody serves %s: starting without a takeover", control);
		mlbd_takeover_merge(old, plan);
	}
	if ((rc = mlbd_host_new(&app->host, &plan->settings, old->control >= 0, err)))
		return rc;
	mlbd_vips_hook(app->host);
	if ((rc = mlbd_workers_new(app->host, err)))
		return rc;
	if ((rc = add_vips(app, plan, old, err)))
		return rc;
	mlb_dp_poll(app->host->dp, mlbd_now_us(), mlbd_real_ns());
	if ((rc = mlbd_workers_start(app->host, err)))
		return rc;
	/* In a takeover the old one's socket and region are replaced only now that nothing else can fail: it serves on with them.
	 */
	if (control && (rc = mlbd_control_open(app, control, old->control >= 0, err)))
		return rc;
	if (mlb_dp_region(app->host->dp) && (rc = mlb_region_name(mlb_dp_region(app->host->dp), err)))
		return rc;
	mlbd_host_serve(app->host);
	if ((rc = mlbd_takeover_release(old, err)))
		mlbd_log("warn", "%s", err); /* it died meanwhile, or will be told again: this one serves */
	mlb_sched_prompt();                  /* this thread and the waker; the workers have started, and rather run long */
	if (mlb_dp_region(app->host->dp)) {
		if ((rc = pthread_create(&app->waker, NULL, wait_for_agent, app))) {
			snprintf(err, 512, "cannot start a thread: %s", strerror(rc));
			return -rc;
		}
		app->waker_runs = true;
	}
	if (app->opt.stop_with_stdin && watch(app, 0, &mlbd_app_stdin))
		app->quit = true; /* a file or /dev/null: it has ended */
	mlbd_show_ready(app->host, &ready);
	if (ready.s && (fputs(ready.s, stdout) < 0 || fflush(stdout)))
		mlbd_log("warn", "cannot print the ready line: %s", strerror(errno));
	mlbd_text_free(&ready);
	mlbd_notify("READY=1");
	return 0;
}

static void stop(struct mlbd_app *app)
{
	if (app->waker_runs) {
		app->waker_stop = true;
		mlb_futex_wake(&mlb_dp_region(app->host->dp)->hdr->in_futex);
		pthread_join(app->waker, NULL);
	}
	if (app->host)
		mlbd_workers_join(app->host);
	mlbd_control_close(app);
	mlbd_host_free(app->host);
	close(app->epfd);
	close(app->signal_fd);
	close(app->wake_fd);
	mlbd_log_stop();
}

int mlbd_run(int argc, char **argv)
{
	struct mlbd_app *app = calloc(1, sizeof(*app));
	struct mlbd_plan *plan = calloc(1, sizeof(*plan));
	struct mlbd_inherit *old = calloc(1, sizeof(*old));
	char err[512] = "no memory";
	int rc = -ENOMEM, status = 1;

	if (!app || !plan || !old)
		goto out;
	rc = mlbd_options_parse(&app->opt, argc, argv, err);
	if (rc)
		goto out;
	rc = mlbd_options_plan(&app->opt, plan, err);
	if (rc)
		goto out;
	if (app->opt.check) {
		printf("the configuration is right\n");
		status = 0;
		goto out;
	}
	rc = open_loop(app, err);
	if (rc == 0)
		rc = start(app, plan, old, err);
	mlbd_takeover_free(old);
	if (rc == 0)
		loop(app);
	stop(app);
out:
	if (rc < 0)
		fprintf(stderr, "marllb-dp: %s\n", err);
	else
		status = 0;
	if (plan)
		mlbd_plan_free(plan);
	if (app)
		mlbd_options_free(&app->opt);
	free(old);
	free(plan);
	free(app);
	return status;
}
