/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage_head[] =
	"marllb-dp - load balancer for TCP and UDP, the embedded data plane of marllb\n"
	"\n"
	"usage: marllb-dp [--config FILE] [--FLAG VALUE]...\n"
	"\n"
	"  --config FILE        read FILE; SIGHUP reads it again\n"
	"  --check              check the configuration and exit\n"
	"  --takeover           take the listeners over from the data plane that serves the control socket, which then drains\n"
	"  --supervise          a process of its own holds the listeners, and starts the data plane again at once where it dies\n"
	"  --stop-with-stdin    stop when standard input ends\n"
	"  --order LINE         give LINE to the data plane that runs, by its control socket, and print the answer\n"
	"  --help, --version\n"
	"\n"
	"Every line of the file is also a flag, its words as one argument: --threads 2 --vip \"web 127.0.0.1:8080\"\n"
	"--server \"127.0.0.1:9001 weight 2\". Flags come after the file and override its settings.\n"
	"\n"
	"Lines of the file:\n";

static const char usage_tail[] =
	"\n"
	"On the control socket (0600, one command a line, answers end with `ok` or `error: ...`) the same lines and:\n";

static const char usage_end[] =
	"\n"
	"A change made there holds until the process ends, whichever way, or until SIGHUP or `reload` reads the file again; a "
	"takeover\n"
	"hands it over. After a crash or kill -9 the file holds, and what the agent ordered of drains and weights.\n"
	"Time-outs fire within 10 ms of what they say; a shorter one that is set acts on open connections at once.\n"
	"Descriptors: one for each thread and VIP, two for each connection, one for each udp flow.\n"
	"SIGTERM and SIGINT drain, a second one quits. SIGHUP reads the file again. SIGUSR2 lets a supervisor leave: its data "
	"plane\n"
	"serves on until another takes over. When all VIPs listen, one line of JSON with \"ready\":true and the bound addresses "
	"is\n"
	"printed (port 0 lets the kernel choose). [::] is IPv6 only: both families take two VIPs. Exit codes: 0 ended in order, "
	"or\n"
	"done; 1 an error, which the last line of standard error tells; 2 a command line that is wrong.\n";

static void usage(void)
{
	struct mlbd_settings defaults;
	struct mlbd_text lines = { 0 }, orders = { 0 };

	mlbd_settings_default(&defaults);
	mlbd_cmd_help(false, &lines);
	mlbd_cmd_help(true, &orders);
	printf("%s%s", usage_head, lines.s ? lines.s : "");
	for (uint32_t i = 0; i < mlbd_setting_count; i++) {
		const struct mlbd_setting *k = &mlbd_setting_list[i];
		char left[64], value[1024];

		snprintf(left, sizeof(left), "%s %s", k->name, k->arg);
		mlbd_setting_print(k, &defaults, value, sizeof(value));
		printf("  %-28s %s", left, k->help);
		if (value[0])
			printf(" (default: %s)", value);
		printf("%s\n", k->live ? "" : " *");
	}
	printf("  * takes a restart or a takeover to change\n%s%s%s", usage_tail, orders.s ? orders.s : "", usage_end);
	mlbd_text_free(&lines);
	mlbd_text_free(&orders);
}

static int add_line(struct mlbd_options *o, const char *word, const char *rest)
{
	char **more = realloc(o->line, (o->lines + 1) * sizeof(*more));
	size_t len = strlen(word) + strlen(rest) + 2;

	if (!more)
		return -ENOMEM;
	o->line = more;
	o->line[o->lines] = malloc(len);
	if (!o->line[o->lines])
		return -ENOMEM;
	snprintf(o->line[o->lines++], len, "%s %s", word, rest);
	return 0;
}

/* One without a value. */
static bool flag(struct mlbd_options *o, const char *a)
{
	const struct {
		const char *name;
		bool *set;
	} flags[] = { { "--check", &o->check },
		      { "--takeover", &o->takeover },
		      { "--stop-with-stdin", &o->stop_with_stdin },
		      { "--supervise", &o->supervise } };

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(a, flags[i].name) == 0)
			return *flags[i].set = true;
	return false;
}

int mlbd_options_parse(struct mlbd_options *o, int argc, char **argv, char err[512])
{
	static const char *const config_words[] = { "vip", "server", "set-servers", "set-mode" };

	memset(o, 0, sizeof(*o));
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i], *value = NULL;
		char name[64];
		bool known;

		if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
			usage();
			return 1;
		}
		if (strcmp(a, "--version") == 0) {
			printf("marllb-dp " MARLLB_VERSION "\n");
			return 1;
		}
		if (flag(o, a))
			continue;
		if (strncmp(a, "--", 2) != 0 || strlen(a) >= sizeof(name)) {
			snprintf(err, 512, "unexpected '%.100s': expected a flag, see --help", a);
			return -EINVAL;
		}
		strcpy(name, a + 2);
		if (strchr(name, '=')) {
			value = strchr(a, '=') + 1;
			*strchr(name, '=') = 0;
		} else if (i + 1 < argc) {
			value = argv[++i];
		}
		known = mlbd_setting_find(name) || strcmp(name, "config") == 0 || strcmp(name, "order") == 0;
		for (size_t k = 0; k < sizeof(config_words) / sizeof(config_words[0]); k++)
			known |= strcmp(name, config_words[k]) == 0;
		if (!known) {
			snprintf(err, 512, "unknown flag --%s, see --help", name);
			return -EINVAL;
		}
		if (!value) {
			snprintf(err, 512, "--%s: expected a value", name);
			return -EINVAL;
		}
		if ((strcmp(name, "config") == 0 && o->config) || (strcmp(name, "order") == 0 && o->order)) {
			snprintf(err, 512, "--%s: expected once, given twice", name);
			return -EINVAL;
		}
		if (strcmp(name, "config") == 0) {
			o->config = value;
		} else if (strcmp(name, "order") == 0) {
			o->order = value;
		} else if (add_line(o, name, value)) {
			return mlbd_no_memory(err);
		}
	}
	return 0;
}

void mlbd_options_free(struct mlbd_options *o)
{
	for (uint32_t i = 0; i < o->lines; i++)
		free(o->line[i]);
	free(o->line);
	o->line = NULL;
	o->lines = 0;
}

/* Most errors begin with the word that is the flag's name. */
static void told_of_flag(const char *line, const char *why, char err[512])
{
	size_t word = strcspn(line, " ");

	if (strncmp(why, line, word) == 0 && (why[word] == ' ' || why[word] == ':'))
		snprintf(err, 512, "--%s", why);
	else
		snprintf(err, 512, "--%.200s: %s", line, why);
}

int mlbd_options_plan(struct mlbd_options *o, struct mlbd_plan *p, struct mlbd_text *all, char err[512])
{
	char why[256], told[512];
	int rc, first;

	mlbd_plan_init(p);
	first = o->config ? mlbd_plan_file(p, o->config, all, err) : 0;
	p->given = 0; /* flags override the file */
	for (uint32_t i = 0; i < o->lines && (!first || all); i++) {
		rc = mlbd_plan_line(p, o->line[i], why);
		if (rc == 0 || (rc == -ENOENT && p->vip_failed))
			continue;
		told_of_flag(o->line[i], why, told);
		if (all)
			mlbd_text_add(all, "%s\n", told);
		if (!first)
			memcpy(err, told, sizeof(told));
		o->wrong |= !first;
		first = first ? first : rc;
	}
	if (!first && (first = mlbd_plan_fits(p, why))) {
		if (all)
			mlbd_text_add(all, "%s\n", why);
		snprintf(err, 512, "%s", why);
	}
	if (first)
		mlbd_plan_free(p);
	return first;
}
