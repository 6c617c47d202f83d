/* SPDX-License-Identifier: Apache-2.0 */
/* From the command line to the running process, in the order in which a step may fail without harm to what runs already. */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "check.h"
#include "lock.h"
#include "marllb/sched.h"
#include "notify.h"
#include "order.h"
#include "show.h"
#include "supervise.h"
#include "takeover.h"
#include "workers.h"

#define START_WAIT_MS 30000u

struct start {
	struct mlbd_plan plan;
	struct mlbd_inherit old;
	struct mlbd_listeners held; /* by the supervisor, where nobody is taken over from */
	struct mlbd_lock lock;
	char path[216];
	const char *control; /* NULL: no control socket */
	struct mlbd_text ready;
};

static int add_vips(struct mlbd_app *app, struct start *s, char err[512])
{
	for (uint32_t i = 0; i < s->plan.vips; i++) {
		struct mlbd_plan_vip *p = &s->plan.vip[i];
		const char *name = p->opts.conf.name;
		char why[256];
		int *fd = NULL;
		uint32_t fds = mlbd_listeners_claim(s->old.control < 0 ? &s->held : &s->old.listeners, &p->opts, &fd);
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

static int ask_old(struct mlbd_app *app, struct start *s, char err[512])
{
	int rc;

	if (!app->opt.takeover) /* else the region would be what a data plane that lives is told by */
		return s->control ? mlbd_control_unused(s->control, err) : 0;
	if (!s->control) {
		snprintf(err, 512, "--takeover: expected a control socket (control PATH)");
		return -EINVAL;
	}
	rc = mlbd_takeover_fetch(&s->old, s->control, app->supervised.fd >= 0, err);
	if (rc)
		return rc;
	if (s->old.control < 0)
		mlbd_log("info", "nobody serves %s: nothing to take over", s->control);
	if (s->old.control < 0)
		return 0;
	if (s->plan.vips == 0 && s->old.run.vips) {
		snprintf(err, 512,
			 "takeover: this configuration has no vip, and the data plane at %s serves %u: expected its --config",
			 s->control, s->old.run.vips);
		return -EINVAL;
	}
	return mlbd_plan_merge(&s->plan, &s->old.base, &s->old.run, err);
}

/* Everything but the names and the listeners' clients; what fails here leaves an old data plane as it is. */
static int build(struct mlbd_app *app, struct start *s, char err[512])
{
	bool takeover = s->old.control >= 0;
	struct mlb_region *region;
	int rc = mlbd_host_new(&app->host, &s->plan.settings, takeover, err);

	if (rc)
		return rc;
	mlbd_vips_hook(app->host);
	if (s->old.state && mlb_dp_inherit(app->host->dp, s->old.state, s->old.state_len, err))
		mlbd_log("warn", "takeover: %s", err); /* another release's: what its region says stays */
	if ((rc = mlbd_workers_new(app->host, err)) || (rc = add_vips(app, s, err)))
		return rc;
	mlb_dp_poll(app->host->dp, mlbd_now_us(), mlbd_real_ns());
	if ((rc = mlbd_workers_start(app->host, err)))
		return rc;
	mlb_sched_prompt(); /* this thread and the waker; the workers have started, and rather run long */
	region = mlb_dp_region(app->host->dp);
	if (region && (rc = mlbd_waker_start(&app->waker, &region->hdr->in_futex, app->wake_fd, err)))
		return rc;
	mlbd_show_ready(app->host, &s->ready);
	if (s->ready.failed)
		return mlbd_no_memory(err);
	return s->control ? mlbd_control_open(&app->control, s->control, takeover, err) : 0;
}

static int take_names(struct mlbd_app *app, struct start *s, char err[512])
{
	struct mlb_region *region = mlb_dp_region(app->host->dp);
	int rc = s->control ? mlbd_control_name(&app->control, err) : 0;

	return rc || !region ? rc : mlb_region_name(region, err);
}

static void say_ready(const struct start *s)
{
	if (fputs(s->ready.s, stdout) < 0 || fflush(stdout))
		mlbd_log("warn", "cannot print the ready line: %s", strerror(errno));
	mlbd_notify("READY=1");
}

static int start(struct mlbd_app *app, struct start *s, char err[512])
{
	bool takeover;
	int rc;

	if ((rc = mlbd_plan_copy(&app->base, &s->plan))) {
		snprintf(err, 512, "no memory for the configuration");
		return rc;
	}
	s->control = mlbd_control_path(&s->plan.settings, s->path);
	if (s->control && (rc = mlbd_lock_take(&s->lock, s->control, START_WAIT_MS, err)))
		return rc;
	if ((rc = ask_old(app, s, err)) || (rc = build(app, s, err)))
		return rc;
	if (s->plan.vips == 0)
		mlbd_log("warn", "the configuration has no vip: nobody is served until an order adds one");
	if ((rc = mlbd_takeover_release(&s->old, err)))
		return rc;
	/* From here on the old one drains: nothing may fail any more that leaves nobody to serve. */
	takeover = s->old.control >= 0;
	if (takeover) {
		/* At once: if this one dies from here on, the next one is to follow. */
		mlbd_supervised_poll(&app->supervised, app->host, &app->base, mlbd_now_us());
		mlbd_previous_begin(&app->previous, app->host, s->old.control);
		s->old.control = -1;
	}
	rc = mlbd_host_serve(app->host, err);
	if (rc == 0 || takeover) {
		if (rc)
			mlbd_log("error", "takeover: %s", err);
		rc = take_names(app, s, err);
	}
	if (rc && !takeover)
		return rc;
	if (rc)
		mlbd_log("error", "takeover: %s", err);
	mlbd_lock_drop(&s->lock);
	if (app->opt.stop_with_stdin)
		mlbd_app_follow_stdin(app);
	say_ready(s);
	mlbd_supervised_poll(&app->supervised, app->host, &app->base, mlbd_now_us());
	return 0;
}

/* Starts, runs and stops. */
static int serve(struct mlbd_app *app, struct start *s, char err[512])
{
	int rc = mlbd_app_init(app, err);

	mlbd_supervised_begin(&app->supervised, &s->held);
	if (rc == 0)
		rc = start(app, s, err);
	mlbd_lock_drop(&s->lock);
	mlbd_takeover_free(&s->old);
	mlbd_listeners_free(&s->held);
	mlbd_text_free(&s->ready);
	if (rc == 0)
		mlbd_app_loop(app);
	mlbd_app_free(app);
	return rc;
}

static int give_order(const char *line, const struct mlbd_settings *settings, char err[512])
{
	char path[216];
	const char *control = mlbd_control_path(settings, path);

	if (control)
		return mlbd_order(control, line, err);
	snprintf(err, 512, "--order: expected a control socket (control PATH)");
	return -EINVAL;
}

/* last: what ran before, or NULL. */
static int read_configured(struct mlbd_app *app, struct start *s, const struct mlbd_plan *last, struct mlbd_text *all,
			   char err[512])
{
	int rc = mlbd_options_plan(&app->opt, &s->plan, all, err);

	if (rc == 0 && last && last->vips && s->plan.vips == 0) { /* as SIGHUP refuses it */
		mlbd_plan_free(&s->plan);
		snprintf(err, 512, "the configuration has no vip any more");
		return -ENODATA;
	}
	if (rc == 0 && (rc = mlbd_check_names(&s->plan.settings, all, err)))
		mlbd_plan_free(&s->plan);
	return rc;
}

/* Where the configuration has become wrong under a supervisor, the one that ran last holds. */
static int read_plan(struct mlbd_app *app, struct start *s, char err[512])
{
	struct mlbd_plan *last = app->opt.supervise ? NULL : malloc(sizeof(*last));
	char why[512] = "a data plane could not start by it";
	bool instead = false;
	int rc = last ? mlbd_supervised_last(last, &instead, err) : -ENOENT, wrong;

	wrong = rc == 0 && instead ? -ECANCELED : read_configured(app, s, rc == 0 ? last : NULL, NULL, why);
	if (rc == 0 && wrong < 0) {
		mlbd_log("error", "the configuration that ran last holds, until SIGHUP finds the file right: %s", why);
		s->plan = *last;
	} else {
		if (rc == 0)
			mlbd_plan_free(last);
		if (wrong)
			memcpy(err, why, sizeof(why));
		rc = wrong;
	}
	free(last);
	return rc;
}

/* Prints every error, not the first alone. 0 or -errno. */
static int check(struct mlbd_app *app, struct start *s)
{
	struct mlbd_text all = { 0 };
	char err[512], *save, *line;
	int rc = read_configured(app, s, NULL, &all, err);

	line = all.s ? strtok_r(all.s, "\n", &save) : NULL;
	for (; line; line = strtok_r(NULL, "\n", &save))
		fprintf(stderr, "marllb-dp: %s\n", line);
	mlbd_text_free(&all);
	if (rc == 0)
		printf("the configuration is right%s\n", s->plan.vips ? "" : ", and has no vip");
	return rc;
}

static int run(struct mlbd_app *app, struct start *s, int argc, char **argv, char err[512])
{
	int rc = read_plan(app, s, err);

	if (rc)
		return rc;
	mlbd_log_time((enum mlbd_log_time)s->plan.settings.log_time);
	if (app->opt.order)
		return give_order(app->opt.order, &s->plan.settings, err);
	return app->opt.supervise ? mlbd_supervise(argc, argv, err) : serve(app, s, err);
}

/* Where one is closed, the next socket would get its number, and lines of the log would go to a client. */
static void open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int mlbd_run(int argc, char **argv)
{
	struct mlbd_app *app = calloc(1, sizeof(*app));
	struct start *s = calloc(1, sizeof(*s));
	char err[512] = "no memory";
	bool told = false;
	int rc = -ENOMEM;

	open_standard();
	if (app && s) {
		s->lock.fd = s->old.control = -1;
		rc = mlbd_options_parse(&app->opt, argc, argv, err);
		app->opt.wrong = rc < 0;
	}
	told = rc == 0 && app->opt.check;
	if (told)
		rc = check(app, s);
	else if (rc == 0)
		rc = run(app, s, argc, argv, err);
	else if (rc > 0) /* what was asked for is printed */
		rc = 0;
	if (rc < 0 && !told)
		fprintf(stderr, "marllb-dp: %s\n", err);
	if (s)
		mlbd_plan_free(&s->plan);
	if (app)
		mlbd_options_free(&app->opt);
	if (rc < 0)
		rc = app && app->opt.wrong ? 2 : 1;
	free(s);
	free(app);
	return rc;
}
