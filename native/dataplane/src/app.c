/* SPDX-License-Identifier: Apache-2.0 */
#include "app.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "exec.h"
#include "fds.h"
#include "notify.h"
#include "parted.h"
#include "peer.h"
#include "recount.h"
#include "show.h"
#include "signals.h"
#include "takeover.h"
#include "udp_room.h"
#include "workers.h"

/* What epoll's data pointer names, beside the control socket and its clients. */
static char signal_event, wake_event, stdin_event;

#define LOOK_US 1000000u
#define PREVIOUS_US 200000u
#define LEFT_OUT_US 5000000u
#define STOP_LOOK_US 10000u /* while draining: is the last connection gone? */

static int watch(struct mlbd_app *app, int fd, void *what)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = what };

	return epoll_ctl(app->epfd, EPOLL_CTL_ADD, fd, &ev);
}

static int reload(struct mlbd_app *app, char err[512])
{
	struct mlbd_plan *plan = malloc(sizeof(*plan));
	int rc;

	if (!plan) {
		return mlbd_no_memory(err);
	}
	rc = mlbd_options_plan(&app->opt, plan, NULL, err);
	if (rc == 0) {
		uint32_t threads = mlbd_threads_wanted(&plan->settings);

		rc = plan->vips == 0 && app->base.vips ? -ENODATA : mlbd_host_reconcile(app->host, plan, err);
		if (rc == -ENODATA)
			snprintf(err, 512,
				 "the configuration has no vip any more: nothing was changed; `stop` ends the data plane");
		if (plan->settings.threads == 0 && threads != app->host->threads)
			mlbd_log("info", "the processors allow %u threads now; %u run until a restart or a takeover", threads,
				 app->host->threads);
		/* What was not applied must not look, to the next takeover, as if it had been taken back at run time. */
		if (rc == 0) {
			mlbd_plan_free(&app->base);
			app->base = *plan;
			app->host->listeners_version++; /* the supervisor is told the configuration as well */
		} else {
			mlbd_plan_free(plan);
		}
	}
	free(plan);
	return rc;
}

static void close_listeners(struct mlbd_app *app)
{
	app->close_us = 0;
	mlbd_host_stop_accept(app->host);
	if (mlbd_workers_conns(app->host))
		mlbd_log("info", "no new connections; waiting for %llu to end, at most %llu ms",
			 (unsigned long long)mlbd_workers_conns(app->host), (unsigned long long)app->host->settings.drain_ms);
}

/* No new connections, and drain; the second call quits. Closing a listener resets whose handshake is under way, so it stays open
 * for a round trip, and drops SYNs meanwhile. */
static void stop(struct mlbd_app *app)
{
	if (app->stopping) {
		app->quit = true;
		return;
	}
	app->stopping = true;
	/* Two supervisors would take the listeners from each other for ever: where the taker has one, this one's supervisor ends.
	 */
	mlbd_supervised_leave(&app->supervised, app->host->handed_over && app->backed != app->taker);
	app->stop_deadline_us = mlbd_now_us() + app->host->settings.drain_ms * 1000;
	mlbd_notify("STOPPING=1");
	if (app->host->handed_over) { /* the sockets are the new data plane's as well */
		close_listeners(app);
		return;
	}
	mlbd_host_refuse_new(app->host);
	app->close_us = mlbd_now_us() + MLBD_PARTED_US;
	if (app->close_us > app->stop_deadline_us)
		app->close_us = app->stop_deadline_us;
}

/* Orders of the control socket that concern the process. */

static int give(struct mlbd_app *app, int fd, struct mlbd_text *out, char err[512])
{
	int rc;

	if (app->stopping) {
		snprintf(err, 512, "this data plane stops already");
		return -ESHUTDOWN;
	}
	if (app->taker >= 0 && app->taker != fd) {
		snprintf(err, 512, "another marllb-dp is taking over from this one");
		return -EBUSY;
	}
	rc = mlbd_peer_check(fd, "takeover: the asking process", err);
	if (rc == 0)
		rc = mlbd_takeover_send(app->host, fd, err);
	if (rc)
		return rc;
	app->taker = fd;
	mlbd_show_answer(app->host, MLBD_SHOW_CONFIG, false, out);
	mlbd_text_add(out, "base\n");
	mlbd_plan_print(&app->base, out);
	return 0;
}

static int release(struct mlbd_app *app, int fd, const struct mlbd_text *out, char err[512])
{
	int rc;

	if (app->taker != fd || out->len || app->stopping) {
		snprintf(err, 512, "release: expected `takeover`, and its answer read, on this connection before");
		return -EPROTO;
	}
	/* First: a listener wakes only one of those that wait at it. Were that a worker here, which takes nobody any more, the
	 * client would wait until the next one comes. */
	app->host->handed_over = true;
	mlbd_host_pause(app->host);
	rc = mlbd_takeover_agree(fd);
	if (rc) {
		app->host->handed_over = false;
		if (mlbd_host_serve(app->host, err))
			mlbd_log("error", "takeover: %s", err);
		snprintf(err, 512, "the new data plane is gone: %s", strerror(-rc));
		mlbd_log("warn", "takeover: %s; this data plane serves on", err);
		return rc;
	}
	app->control.handed_over = true;
	mlb_dp_succeeded(app->host->dp);
	stop(app);
	return MLBD_CONTROL_SAID;
}

static int act(struct mlbd_app *app, int fd, const struct mlbd_cmd *cmd, struct mlbd_text *out, char err[512])
{
	switch (cmd->op) {
	case MLBD_OP_STOP:
		if (!app->stopping)
			stop(app);
		return 0;
	case MLBD_OP_QUIT: app->quit = true; return 0;
	case MLBD_OP_SUPERVISED: app->backed = fd; return 0;
	case MLBD_OP_TAKEOVER: return give(app, fd, out, err);
	case MLBD_OP_CONNECTIONS: mlbd_previous_print(app->host, out); return 0;
	case MLBD_OP_RELEASE: return release(app, fd, out, err);
	case MLBD_OP_RELOAD:
		if (!app->stopping)
			return reload(app, err);
		/* fall through */
	default: return mlbd_exec(app->host, cmd, app->stopping, out, err);
	}
}

/* Who changed what, for the log. */
static void note(int fd, enum mlbd_op op, const char *line)
{
	struct ucred peer = { .pid = -1 };
	socklen_t len = sizeof(peer);
	int shown = (int)strcspn(line, "\r\n");

	switch (op) {
	case MLBD_OP_NONE:
	case MLBD_OP_HELP:
	case MLBD_OP_SHOW:
	case MLBD_OP_CONNECTIONS:
	case MLBD_OP_SUPERVISED: return;
	default: break;
	}
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	mlbd_log("info", "order of user %u, process %d: %.*s%s", peer.uid, peer.pid, shown < 400 ? shown : 400, line,
		 shown > 400 ? "..." : "");
}

static int on_line(void *arg, int fd, const char *line, struct mlbd_text *out, char err[512])
{
	struct mlbd_cmd cmd;
	int rc = mlbd_cmd_parse(line, &cmd, err);

	if (rc == 0)
		rc = act(arg, fd, &cmd, out, err);
	if (rc >= 0)
		note(fd, cmd.op, line);
	mlbd_cmd_free(&cmd);
	return rc;
}

static void on_gone(void *arg, int fd)
{
	struct mlbd_app *app = arg;

	if (app->backed == fd)
		app->backed = -1;
	if (app->taker != fd)
		return;
	app->taker = -1;
	if (!app->host->handed_over)
		mlbd_log("warn", "takeover: the new data plane is gone; this one serves on");
}

/* The one that takes over waits, in silence, for what it starts. */
static bool on_keep(void *arg, int fd)
{
	return ((struct mlbd_app *)arg)->taker == fd;
}

int mlbd_app_init(struct mlbd_app *app, char err[512])
{
	struct rlimit files;
	sigset_t set;
	int rc;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	mlbd_signals_ignore();
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread: all inherit it */
	app->supervised.fd = app->previous.fd = app->taker = app->backed = app->epfd = app->signal_fd = app->wake_fd = -1;
	mlbd_control_init(&app->control, -1,
			  &(struct mlbd_control_hooks){ .arg = app, .run = on_line, .gone = on_gone, .keep = on_keep });
	rc = mlbd_log_start();
	if (rc) {
		snprintf(err, 512, "cannot start a thread for the log: %s", strerror(-rc));
		return rc;
	}
	app->epfd = app->control.epfd = epoll_create1(EPOLL_CLOEXEC);
	app->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	app->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (app->epfd < 0 || app->signal_fd < 0 || app->wake_fd < 0 || watch(app, app->signal_fd, &signal_event) ||
	    watch(app, app->wake_fd, &wake_event)) {
		char need[MLBD_FDS_NEED_LEN];
		int error = errno;

		snprintf(err, 512, "cannot set up: %s", error == EMFILE ? mlbd_fds_need(need) : strerror(error));
		return -error;
	}
	return 0;
}

void mlbd_app_follow_stdin(struct mlbd_app *app)
{
	if (watch(app, 0, &stdin_event))
		app->quit = true; /* a file or /dev/null: it has ended */
}

static void on_signal(struct mlbd_app *app)
{
	struct signalfd_siginfo si;
	char err[512];

	while (read(app->signal_fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo != SIGHUP)
			stop(app);
		else if (app->stopping)
			continue;
		else if (reload(app, err))
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
	stop(app);
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

static void on_event(struct mlbd_app *app, const struct epoll_event *ev)
{
	void *what = ev->data.ptr;
	uint64_t seen;

	if (what == &wake_event)
		(void)!read(app->wake_fd, &seen, sizeof(seen));
	else if (what == &signal_event)
		on_signal(app);
	else if (what == &stdin_event)
		on_stdin(app);
	else
		mlbd_control_event(&app->control, what == &app->control ? NULL : what, ev->events);
}

/* A name may be missing because it could not be given at a takeover, or because somebody removed it (logind at a logout,
 * tmpfiles, rm). The core looks at the region's name itself once it has been given. */
static void look_at_names(struct mlbd_app *app)
{
	struct mlb_region *region = mlb_dp_region(app->host->dp);
	char err[256];

	if (app->host->handed_over)
		return;
	if (region && region->unnamed && mlb_region_name(region, err) == 0)
		mlbd_log("info", "the region has its name now");
	mlbd_control_look(&app->control);
}

static void tell_left_out(struct mlbd_app *app, uint64_t now)
{
	uint64_t n = atomic_load_explicit(&app->host->left_out, memory_order_relaxed);

	if (n == app->host->left_out_told || now < app->next_left_out_us)
		return;
	mlbd_log("warn", "%llu more lines such as the last ones were left out: each thread writes one in five seconds",
		 (unsigned long long)(n - app->host->left_out_told));
	app->host->left_out_told = n;
	app->next_left_out_us = now + LEFT_OUT_US;
}

void mlbd_app_loop(struct mlbd_app *app)
{
	while (!app->quit) {
		struct epoll_event ev[32];
		uint64_t now = mlbd_now_us(), wait = mlb_dp_poll(app->host->dp, now, mlbd_real_ns());
		int n;

		mlbd_parted_end(app->host, now);
		mlbd_supervised_poll(&app->supervised, app->host, &app->base, now);
		if (app->close_us && now >= app->close_us)
			close_listeners(app);
		if (app->stopping && !app->close_us && (mlbd_workers_conns(app->host) == 0 || now >= app->stop_deadline_us))
			return;
		if (app->stopping && wait > STOP_LOOK_US)
			wait = STOP_LOOK_US;
		if (now >= app->next_previous_us) {
			app->next_previous_us = now + PREVIOUS_US;
			mlbd_previous_poll(&app->previous, app->host);
		}
		if (now >= app->next_look_us) {
			app->next_look_us = now + LOOK_US;
			mlbd_recount_ask(app->host);
			mlbd_control_poll(&app->control);
			mlbd_udp_room_count(app->host);
			tell_left_out(app, now);
			look_at_names(app);
		}
		n = wait_events(app, ev, 32, wait);
		for (int i = 0; i < n; i++)
			on_event(app, &ev[i]);
	}
}

void mlbd_app_free(struct mlbd_app *app)
{
	mlbd_waker_join(&app->waker);
	mlbd_supervised_end(&app->supervised);
	if (app->host)
		mlbd_previous_end(&app->previous, app->host);
	if (app->host)
		mlbd_workers_join(app->host);
	mlbd_control_close(&app->control);
	mlbd_host_free(app->host);
	mlbd_plan_free(&app->base);
	close(app->epfd);
	close(app->signal_fd);
	close(app->wake_fd);
	mlbd_log_stop();
}
