/* SPDX-License-Identifier: Apache-2.0 */
#include "mlbtest.h"

#include <errno.h>
#include <unistd.h>

#include "options.h"

static struct mlbd_plan plan;
static char err[512];

static int read_text(const char *text)
{
	mlbd_plan_free(&plan);
	mlbd_plan_init(&plan);
	err[0] = 0;
	return mlbd_plan_text(&plan, "dp.conf", text, NULL, err);
}

TEST(a_whole_file)
{
	CHECK_EQ(read_text("# two VIPs\n"
			   "instance a\nthreads 2\nidle-timeout 1m\nsources 127.0.0.2\n"
			   "vip web 127.0.0.1:8080 mode alias\n"
			   "server vip web 127.0.0.1:9001 weight 2\n"
			   "server vip web 127.0.0.1:9002 max-connections 5\n"
			   "drain vip web 127.0.0.1:9002\n"
			   "vip db [::1]:5432\n"
			   "set-servers vip db [::1]:5001 [::1]:5002=3\n"
			   "set-mode vip db p2c"),
		 0);
	CHECK_STR(plan.settings.instance, "a");
	CHECK_EQ(plan.settings.threads, 2);
	CHECK_EQ(plan.settings.idle_ms, 60000);
	CHECK_EQ(plan.settings.connect_ms, 2000);
	CHECK_EQ(plan.settings.sources, 1);
	CHECK_EQ(plan.vips, 2);
	struct mlbd_plan_vip *web = mlbd_plan_find(&plan, "web"), *db = mlbd_plan_find(&plan, "db");

	CHECK(web && db && !mlbd_plan_find(&plan, "other"));
	CHECK_EQ(web->servers, 2);
	CHECK_EQ(web->server[1].max_conns, 5);
	CHECK(!web->server[0].drain && web->server[1].drain);
	CHECK_EQ(db->servers, 2);
	CHECK_EQ(db->opts.conf.mode, MLB_MODE_P2C);
}

TEST(one_vip_needs_no_name)
{
	CHECK_EQ(read_text("vip web 127.0.0.1:8080\nserver 127.0.0.1:9001\n"), 0);
	CHECK_EQ(plan.vip[0].servers, 1);
}

/* Text, and how the error begins and what it holds. */
static const struct {
	const char *text, *where, *what;
} bad[] = {
	{ "server 127.0.0.1:9001\n", "dp.conf:1: ", "no vip yet" },
	{ "vip a 127.0.0.1:1\nvip b 127.0.0.1:2\nserver 127.0.0.1:3\n", "dp.conf:3: ", "there are several" },
	{ "\n\nvip a 127.0.0.1:1\nvip a 127.0.0.1:2\n", "dp.conf:4: ", "there already" },
	{ "vip a 127.0.0.1:1\nvip b 127.0.0.1:1\n", "dp.conf:2: ", "127.0.0.1:1 is vip a already" },
	{ "vip a 0.0.0.0:1\nvip b 127.0.0.1:1\n", "dp.conf:2: ", "vip b: 127.0.0.1:1 overlaps vip a (0.0.0.0:1)" },
	{ "vip a 127.0.0.1:1\nserver 127.0.0.1:1\n", "dp.conf:2: ", "server 127.0.0.1:1 is the vip itself" },
	{ "vip a 0.0.0.0:1\nset-servers 10.9.9.9:1 127.0.0.2:1\n", "dp.conf:2: ", "server 127.0.0.2:1 is the vip itself" },
	{ "vip a 127.0.0.1:1\nvip b 127.0.0.1:2\nserver vip a 127.0.0.1:2\nserver vip b 127.0.0.1:1\n",
	  "dp.conf:4: ", "vip b: server 127.0.0.1:1 leads back to the vip" },
	{ "vip a [fe80::1%eth0]:1\n", "dp.conf:1: ", "scope" },
	{ "vip a 127.0.0.1:1\nserver 127.0.0.1:9\nserver 127.0.0.1:9 weight 2\n",
	  "dp.conf:3: ", "127.0.0.1:9 is in vip a already" },
	{ "vip a 127.0.0.1:1 max-servers 1\nserver 127.0.0.1:8\nserver 127.0.0.1:9\n", "dp.conf:3: ", "at most 1 servers" },
	{ "server vip z 127.0.0.1:9\n", "dp.conf:1: ", "vip z: expected a vip of an earlier line" },
	{ "vip a 127.0.0.1:1\nshow stats\n", "dp.conf:2: ", "control socket" },
	{ "vip a 127.0.0.1:1\ndrain vip a 127.0.0.1:7\n", "dp.conf:2: ", "has no server 127.0.0.1:7" },
	{ "threads many\n", "dp.conf:1: ", "from 0 to 64" },
	{ "wibble 3\n", "dp.conf:1: ", "unknown word 'wibble'" },
	{ "quit\n", "dp.conf:1: ", "control socket" },
	{ "threads 1\nidle-timeout 1m\n\nthreads 1\n", "dp.conf:4: ", "threads: expected once, given twice" },
	{ "vip a 127.0.0.1:1 mode sed mode p2c\n", "dp.conf:1: ", "vip option 'mode': expected once" },
	{ "vip a 127.0.0.1:1 accept-proxy 10.0.0.1/8\n", "dp.conf:1: ", "accept-proxy '10.0.0.1/8': expected 10.0.0.0/8" },
	{ "vip dns 127.0.0.1:53 protocol udp\nserver 127.0.0.1:54 send-proxy v2\n",
	  "dp.conf:2: ", "expected a vip with protocol tcp" },
};

/* What is printed reads back as the same plan. */
TEST(a_printed_plan_reads_back)
{
	struct mlbd_text first = { 0 }, second = { 0 };

	CHECK_EQ(read_text("vip web 127.0.0.1:8080 accept-proxy 10.0.0.0/8,2001:db8::/32 send-proxy v1 max-connections 7\n"
			   "server 127.0.0.1:9001 weight 2 send-proxy off drain\n"
			   "server 127.0.0.1:9002 send-proxy v2\n"
			   "server 127.0.0.1:9003 max-connections 5\n"
			   "vip dns 127.0.0.1:5353 protocol udp responses 1\n"),
		 0);
	mlbd_plan_print(&plan, &first);
	CHECK(strstr(first.s, " accept-proxy 10.0.0.0/8,2001:db8::/32 send-proxy v1 "));
	CHECK(strstr(first.s, "127.0.0.1:9001 weight 2 max-connections 0 send-proxy off drain\n"));
	CHECK_EQ(read_text(first.s), 0);
	mlbd_plan_print(&plan, &second);
	CHECK_STR(second.s, first.s);
	mlbd_text_free(&first);
	mlbd_text_free(&second);
}

static void read_plan(struct mlbd_plan *p, const char *text)
{
	mlbd_plan_init(p);
	CHECK_EQ(mlbd_plan_text(p, "dp.conf", text, NULL, err), 0);
}

/* What was changed at run time stays over a takeover; elsewhere the new file decides. */
TEST(a_takeover_keeps_proxy_headers)
{
	static struct mlbd_plan file, base, run;
	char why[256];

	read_plan(&base, "vip web 127.0.0.1:80\nserver 127.0.0.1:1\nserver 127.0.0.1:2 send-proxy v1\n");
	read_plan(&run, "vip web 127.0.0.1:80 accept-proxy 10.0.0.0/8\nserver 127.0.0.1:1 send-proxy v2\n"
			"server 127.0.0.1:2 send-proxy v1\n");
	read_plan(&file, "vip web 127.0.0.1:80 send-proxy v2\nserver 127.0.0.1:1\nserver 127.0.0.1:2 send-proxy off\n");
	CHECK_EQ(mlbd_plan_merge(&file, &base, &run, why), 0);
	CHECK_EQ(file.vip[0].opts.accept_proxy.n, 1);
	CHECK_EQ(file.vip[0].opts.send_proxy, MLBD_SEND_PROXY_V2);
	CHECK_EQ(file.vip[0].server[0].send_proxy, MLBD_SEND_PROXY_V2);
	CHECK_EQ(file.vip[0].server[1].send_proxy, MLBD_SEND_PROXY_OFF);
	mlbd_plan_free(&file);
	mlbd_plan_free(&base);
	mlbd_plan_free(&run);
}

TEST(errors_name_file_and_line)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int rc = read_text(bad[i].text);

		CHECK(rc < 0);
		CHECK(strncmp(err, bad[i].where, strlen(bad[i].where)) == 0);
		CHECK(strstr(err, bad[i].what));
		if (mlbtest_failed) {
			printf("# case %zu: %s\n", i, err);
			return;
		}
	}
}

/* What only follows from a line that is wrong is not told. */
TEST(every_error_is_told_where_all_are_wanted)
{
	struct mlbd_text all = { 0 };

	mlbd_plan_init(&plan);
	CHECK_EQ(mlbd_plan_text(
			 &plan, "dp.conf",
			 "threads many\nvip a 127.0.0.1:1 mode fast\nserver vip a 127.0.0.1:2\nserver 127.0.0.1:3\nwibble 3\n"
			 "vip b 127.0.0.1:4\nserver vip b nothing\n",
			 &all, err),
		 -EINVAL);
	CHECK(strncmp(err, "dp.conf:1: threads 'many'", 25) == 0);
	CHECK(all.s && strstr(all.s, "dp.conf:1: ") && strstr(all.s, "dp.conf:2: mode 'fast'") && strstr(all.s, "dp.conf:5: ") &&
	      strstr(all.s, "dp.conf:7: "));
	CHECK(!strstr(all.s, "dp.conf:3: "));
	mlbd_text_free(&all);
}

TEST(a_setting_is_given_once_but_a_flag_overrides_the_file)
{
	char *argv[] = { "marllb-dp", "--threads", "2", "--threads", "3" },
	     *config[] = { "marllb-dp", "--config", "a", "--config", "b" };
	struct mlbd_options o;

	CHECK_EQ(mlbd_options_parse(&o, 5, argv, err), 0);
	CHECK_EQ(mlbd_options_plan(&o, &plan, NULL, err), -EINVAL);
	CHECK(o.wrong && strstr(err, "--threads: expected once, given twice"));
	mlbd_options_free(&o);
	CHECK_EQ(mlbd_options_parse(&o, 5, config, err), -EINVAL);
	CHECK(strstr(err, "--config: expected once"));
	mlbd_options_free(&o);
}

TEST(an_empty_file_is_no_configuration)
{
	CHECK_EQ((mlbd_plan_init(&plan), mlbd_plan_file(&plan, "/dev/null", NULL, err)), -ENODATA);
	CHECK(strstr(err, "/dev/null: expected lines, found an empty file"));
}

TEST(two_vips_may_leave_the_port_to_the_kernel)
{
	CHECK_EQ(read_text("vip a 127.0.0.1:0\nvip b 127.0.0.1:0\n"), 0);
}

TEST(flags_override_the_file)
{
	char path[] = "/tmp/mlbd_plan_XXXXXX",
	     *argv[] = { "marllb-dp",         "--config", path, "--threads", "3", "--server=127.0.0.1:9001 weight 2",
			 "--stop-with-stdin", NULL };
	struct mlbd_options o;
	int fd = mkstemp(path);

	CHECK(fd >= 0 && write(fd, "threads 1\nvip web 127.0.0.1:0\n", 30) == 30);
	close(fd);
	CHECK_EQ(mlbd_options_parse(&o, 7, argv, err), 0);
	CHECK(o.stop_with_stdin && !o.takeover && !o.check);
	mlbd_plan_free(&plan);
	CHECK_EQ(mlbd_options_plan(&o, &plan, NULL, err), 0);
	CHECK_EQ(plan.settings.threads, 3);
	CHECK_EQ(plan.vip[0].servers, 1);
	mlbd_plan_free(&plan);
	mlbd_options_free(&o);
	unlink(path);
}

TEST(flags_that_are_wrong)
{
	static const struct {
		char *argv[4];
		int argc;
		const char *what;
	} wrong[] = {
		{ { "marllb-dp", "--colour", "red" }, 3, "unknown flag --colour" },
		{ { "marllb-dp", "--threads" }, 2, "--threads: expected a value" },
		{ { "marllb-dp", "threads" }, 2, "unexpected 'threads'" },
	};
	struct mlbd_options o;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CHECK_EQ(mlbd_options_parse(&o, wrong[i].argc, (char **)wrong[i].argv, err), -EINVAL);
		CHECK(strstr(err, wrong[i].what));
		mlbd_options_free(&o);
	}
	static const struct {
		char *flag, *value;
		const char *told;
	} bad_values[] = {
		{ "--threads", "65", "--threads '65': expected" },
		{ "--vip", "web", "--vip: expected NAME" },
		{ "--vip", "web 224.0.0.1:80", "--vip 224.0.0.1: expected" },
		{ "--vip", "a/b 127.0.0.1:80", "--vip name 'a/b'" },
		{ "--server", "x", "--server x: " },
		{ "--server", "127.0.0.1:1", "--server 127.0.0.1:1: expected vip NAME" },
		{ "--set-mode", "fast", "--set-mode fast: " },
	};

	for (size_t i = 0; i < sizeof(bad_values) / sizeof(bad_values[0]); i++) {
		char *argv[] = { "marllb-dp", bad_values[i].flag, bad_values[i].value };

		CHECK_EQ(mlbd_options_parse(&o, 3, argv, err), 0);
		CHECK(mlbd_options_plan(&o, &plan, NULL, err) < 0 && o.wrong);
		CHECK(strncmp(err, bad_values[i].told, strlen(bad_values[i].told)) == 0);
		mlbd_options_free(&o);
	}
}

/* In whatever order they stand: the region is made for what is configured, so it must be enough for what is. */
TEST(a_plan_fits_its_region)
{
	static const struct {
		const char *text;
		int rc;
	} rows[] = {
		{ "max-vips 1\nvip a 127.0.0.1:1\nvip b 127.0.0.1:2\n", -ENOSPC },
		{ "vip a 127.0.0.1:1\nvip b 127.0.0.1:2\nmax-vips 2\n", 0 },
		{ "max-servers 1\nvip a 127.0.0.1:1\nserver 127.0.0.1:3\nserver 127.0.0.1:4\n", -ENOSPC },
		{ "max-servers 2\nvip a 127.0.0.1:1\nserver 127.0.0.1:3\nserver 127.0.0.1:4\n", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(read_text(rows[i].text), 0);
		CHECK_EQ(mlbd_plan_fits(&plan, err), rows[i].rc);
		CHECK(rows[i].rc == 0 || strstr(err, "expected at most max-vips"));
	}
	CHECK_EQ(read_text("max-vips 1025\n"), -EINVAL);
	CHECK_EQ(read_text("max-servers 0\n"), -EINVAL);
}

TEST(a_byte_order_mark_is_named)
{
	CHECK_EQ(read_text("\xef\xbb\xbfthreads 1\n"), -EINVAL);
	CHECK(strstr(err, ":1: ") && strstr(err, "byte order mark"));
}

TEST(a_file_that_is_not_there)
{
	mlbd_plan_init(&plan);
	CHECK_EQ(mlbd_plan_file(&plan, "/nonexistent/dp.conf", NULL, err), -ENOENT);
	CHECK(strstr(err, "/nonexistent/dp.conf: cannot read"));
}

TEST(settings_print_as_they_are_read)
{
	struct mlbd_settings s;

	CHECK_EQ(read_text("idle-timeout 1500\nsources 127.0.0.2 ::1\ncontrol /run/x\nretries 0\nregion-group daemon\n"), 0);
	mlbd_settings_default(&s);
	for (uint32_t i = 0; i < mlbd_setting_count; i++) {
		const struct mlbd_setting *k = &mlbd_setting_list[i];
		char value[1024], line[1200];

		mlbd_setting_print(k, &plan.settings, value, sizeof(value));
		if (!value[0] || strcmp(k->name, "threads") == 0)
			continue;
		struct mlbd_plan again;

		mlbd_plan_init(&again);
		snprintf(line, sizeof(line), "%s %s", k->name, value);
		CHECK_EQ(mlbd_plan_line(&again, line, err), 0);
		CHECK(mlbd_setting_same(k, &again.settings, &plan.settings));
	}
}

MLB_TEST_MAIN(CASE(a_whole_file), CASE(one_vip_needs_no_name), CASE(a_printed_plan_reads_back),
	      CASE(a_takeover_keeps_proxy_headers), CASE(errors_name_file_and_line),
	      CASE(every_error_is_told_where_all_are_wanted), CASE(a_setting_is_given_once_but_a_flag_overrides_the_file),
	      CASE(an_empty_file_is_no_configuration), CASE(two_vips_may_leave_the_port_to_the_kernel),
	      CASE(flags_override_the_file), CASE(flags_that_are_wrong), CASE(a_plan_fits_its_region),
	      CASE(a_byte_order_mark_is_named), CASE(a_file_that_is_not_there), CASE(settings_print_as_they_are_read))
