/* SPDX-License-Identifier: Apache-2.0 */
#include "mlbtest.h"

#include <errno.h>

#include <marllb/endpoint.h>
#include "cmd.h"
#include "number.h"
#include "words.h"

static struct mlbd_cmd cmd;
static char err[256];

static int parse(const char *line)
{
	mlbd_cmd_free(&cmd);
	err[0] = 0;
	return mlbd_cmd_parse(line, &cmd, err);
}

/* The line is refused and the reason holds `part`. */
static int refused(const char *line, const char *part)
{
	int rc = parse(line);

	if (rc == -EINVAL && strstr(err, part))
		return 1;
	printf("# '%s': rc %d, err '%s', expected '%s'\n", line, rc, err, part);
	return 0;
}

TEST(words)
{
	struct mlbd_words w;

	CHECK_EQ(mlbd_words_split(&w, "  one \t\"two words\" thr\"e e\"#  # comment", err), 0);
	CHECK_EQ(w.n, 3);
	CHECK_STR(w.w[0], "one");
	CHECK_STR(w.w[1], "two words");
	CHECK_STR(w.w[2], "thre e#");
	mlbd_words_free(&w);
	CHECK_EQ(mlbd_words_split(&w, "\"open", err), -EINVAL);
	mlbd_words_free(&w);
	CHECK_EQ(mlbd_words_split(&w, "", err), 0);
	CHECK_EQ(w.n, 0);
	mlbd_words_free(&w);
}

TEST(empty_lines_and_comments)
{
	CHECK_EQ(parse(""), 0);
	CHECK_EQ(cmd.op, MLBD_OP_NONE);
	CHECK_EQ(parse("   # only this"), 0);
	CHECK_EQ(cmd.op, MLBD_OP_NONE);
}

TEST(vip_with_everything)
{
	CHECK_EQ(parse("vip web-1 127.0.0.1:8080 mode p2c load waiting pool managed max-connections 7 max-servers 12 kappa 0.5 "
		       "eject off "
		       "load-balancers 3"),
		 0);
	CHECK_EQ(cmd.op, MLBD_OP_VIP);
	CHECK_STR(cmd.vip, "web-1");
	CHECK_STR(cmd.opts.conf.name, "web-1");
	CHECK_EQ(cmd.opts.conf.ep.port, 8080);
	CHECK_EQ(cmd.opts.conf.mode, MLB_MODE_P2C);
	CHECK_EQ(cmd.opts.conf.load, MLB_LOAD_WAITING);
	CHECK_EQ(cmd.opts.conf.owner, MLB_OWNER_MANAGED);
	CHECK_EQ(cmd.opts.max_conns, 7);
	CHECK_EQ(cmd.opts.conf.capacity, 12);
	CHECK_NEAR(cmd.opts.conf.kappa, 0.5, 0);
	CHECK(!cmd.opts.conf.eject);
	CHECK_EQ(cmd.opts.conf.load_balancers, 3);
	CHECK(cmd.opts.has_mode && cmd.opts.has_max_conns && cmd.opts.has_other);
}

TEST(vip_defaults)
{
	CHECK_EQ(parse("vip a [::1]:0"), 0);
	CHECK_EQ(cmd.opts.conf.mode, MLB_MODE_SED);
	CHECK_EQ(cmd.opts.conf.load, MLB_LOAD_FLOWS);
	CHECK_EQ(cmd.opts.conf.owner, MLB_OWNER_LOCAL);
	CHECK_EQ(cmd.opts.conf.capacity, MLB_MAX_SERVERS_PER_VIP);
	CHECK(cmd.opts.conf.eject);
	CHECK(!cmd.opts.has_mode && !cmd.opts.has_max_conns && !cmd.opts.has_other);
}

TEST(proxy_headers)
{
	CHECK_EQ(parse("vip web 127.0.0.1:80 accept-proxy 10.0.0.0/8,::1 send-proxy v2"), 0);
	CHECK_EQ(cmd.opts.accept_proxy.n, 2);
	CHECK_EQ(cmd.opts.send_proxy, MLBD_SEND_PROXY_V2);
	CHECK(cmd.opts.has_accept_proxy && cmd.opts.has_send_proxy && !cmd.opts.has_other);
	CHECK_EQ(parse("vip web 127.0.0.1:80"), 0);
	CHECK_EQ(cmd.opts.accept_proxy.n, 0);
	CHECK_EQ(cmd.opts.send_proxy, MLBD_SEND_PROXY_OFF);
	CHECK(!cmd.opts.has_accept_proxy && !cmd.opts.has_send_proxy);
	CHECK_EQ(parse("server 127.0.0.1:1 send-proxy v1"), 0);
	CHECK_EQ(cmd.server.send_proxy, MLBD_SEND_PROXY_V1);
	CHECK(cmd.has_send_proxy);
	CHECK_EQ(parse("server 127.0.0.1:1"), 0);
	CHECK_EQ(cmd.server.send_proxy, MLBD_SEND_PROXY_VIP);
	CHECK(!cmd.has_send_proxy);
}

TEST(server_lines)
{
	CHECK_EQ(parse("server vip web 10.0.0.1:9001 weight 2.5 max-connections 100 drain"), 0);
	CHECK_EQ(cmd.op, MLBD_OP_SERVER);
	CHECK_STR(cmd.vip, "web");
	CHECK_NEAR(cmd.server.weight, 2.5, 0);
	CHECK_EQ(cmd.server.max_conns, 100);
	CHECK(cmd.server.drain && cmd.has_weight && cmd.has_max_conns);
	CHECK_EQ(parse("add-server [::1]:9001"), 0);
	CHECK_EQ(cmd.op, MLBD_OP_SERVER);
	CHECK_STR(cmd.vip, "");
	CHECK_NEAR(cmd.server.weight, 1, 0);
	CHECK(!cmd.server.drain && !cmd.has_weight && !cmd.has_max_conns);
	CHECK_EQ(parse("no server vip web 10.0.0.1:9001"), 0);
	CHECK_EQ(cmd.op, MLBD_OP_NO_SERVER);
	CHECK_EQ(parse("del-server 10.0.0.1:9001"), 0);
	CHECK_EQ(cmd.op, MLBD_OP_NO_SERVER);
	CHECK_EQ(parse("undrain vip web 10.0.0.1:9001"), 0);
	CHECK_EQ(cmd.op, MLBD_OP_UNDRAIN);
}

TEST(set_servers)
{
	CHECK_EQ(parse("set-servers vip web 10.0.0.1:1=2 10.0.0.2:1 [::1]:1=0.5"), 0);
	CHECK_EQ(cmd.count, 3);
	CHECK_NEAR(cmd.list[0].weight, 2, 0);
	CHECK_NEAR(cmd.list[1].weight, 1, 0);
	CHECK_NEAR(cmd.list[2].weight, 0.5, 0);
	CHECK_EQ(parse("set-servers"), 0);
	CHECK_EQ(cmd.count, 0);
	CHECK(refused("set-servers 10.0.0.1:1 10.0.0.2:1 10.0.0.1:1=4", "listed twice"));
}

TEST(drain_is_of_a_server)
{
	CHECK(refused("drain", "`stop` drains and ends the whole data plane"));
	CHECK_EQ(parse("drain vip web 10.0.0.1:1"), 0);
	CHECK_EQ(cmd.op, MLBD_OP_DRAIN);
	CHECK_EQ(parse("stop"), 0);
	CHECK_EQ(cmd.op, MLBD_OP_STOP);
}

TEST(numbers_are_decimal_digits)
{
	static const char *const counts[] = { "0x10", "1e1", "-1", "+1", "1.5", "", "1 ", "99999999999999999999999" };
	static const char *const reals[] = { "0x1p1", "1e3", "-1", "+2", ".5", "2.", "inf", "nan", "" };
	char line[100];

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		snprintf(line, sizeof(line), "backlog \"%s\"", counts[i]);
		CHECK(refused(line, "in decimal digits"));
		snprintf(line, sizeof(line), "server 127.0.0.1:1 max-connections \"%s\"", counts[i]);
		CHECK(refused(line, "in decimal digits"));
	}
	for (size_t i = 0; i < sizeof(reals) / sizeof(reals[0]); i++) {
		snprintf(line, sizeof(line), "server 127.0.0.1:1 weight \"%s\"", reals[i]);
		CHECK(refused(line, "from 0.000001 to 1000000, such as 2 or 0.5"));
		snprintf(line, sizeof(line), "idle-timeout \"%ss\"", reals[i]);
		CHECK(refused(line, "such as 500ms, 2s, 1.5m"));
	}
}

TEST(a_number_is_printed_as_it_is_read)
{
	static const float values[] = { 1e-6f, 1.5e-5f, 0.1f, 1.0f / 3, 1, 2.5f, 123456.789f, 1e6f };
	char line[100], text[MLBD_NUMBER_LEN];

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		snprintf(line, sizeof(line), "server 127.0.0.1:1 weight %s", mlbd_number_text(values[i], text));
		CHECK_EQ(parse(line), 0);
		CHECK(cmd.server.weight == values[i]);
	}
}

TEST(help_names_what_is_understood)
{
	static const char *const words[] = { "  vip NAME", "[weight X]",    "[mode hash|alias|sed|p2c]",      "[eject off|on]",
					     "[drain]",    "  set-servers", "[accept-proxy NETWORK,...|none]" };
	static const char *const orders[] = { "  no vip NAME", "  stop ", "  undrain", "  show stats|weights" };
	struct mlbd_text lines = { 0 }, more = { 0 };

	mlbd_cmd_help(false, &lines);
	mlbd_cmd_help(true, &more);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		CHECK(strstr(lines.s, words[i]));
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		CHECK(strstr(more.s, orders[i]) && !strstr(lines.s, orders[i]));
	CHECK(!strstr(more.s, "release"));
	mlbd_text_free(&lines);
	mlbd_text_free(&more);
}

TEST(show)
{
	CHECK_EQ(parse("show flows json"), 0);
	CHECK_EQ(cmd.op, MLBD_OP_SHOW);
	CHECK_EQ(cmd.show, MLBD_SHOW_FLOWS);
	CHECK(cmd.json);
	CHECK_EQ(parse("show config"), 0);
	CHECK(!cmd.json);
	CHECK(refused("show", "expected stats, weights, servers, config or flows"));
	CHECK(refused("show stats xml", "or json"));
	CHECK_EQ(parse("show flows server 127.0.0.1:80 client 10.0.0.0/8,::1 max 5 vip web"), 0);
	CHECK(!cmd.json && cmd.flows.max == 5 && cmd.flows.server.port == 80 && cmd.flows.client.n == 2);
	CHECK_STR(cmd.vip, "web");
	CHECK_EQ(parse("show flows"), 0);
	CHECK_EQ(cmd.flows.max, 1000);
	CHECK(refused("show flows 127.0.0.1:80", "show flows '127.0.0.1:80': expected vip, server, client, max or json"));
	CHECK(refused("show flows max 0", "expected a number from 1 to 1000000"));
	CHECK(refused("show flows vip", "expected 1 to 31 letters"));
	CHECK(refused("show flows server 10.0.0.1", "10.0.0.1"));
}

TEST(settings)
{
	CHECK_EQ(parse("idle-timeout 90s"), 0);
	CHECK_EQ(cmd.op, MLBD_OP_SET);
	CHECK_EQ(cmd.value.idle_ms, 90000);
	CHECK_EQ(parse("connect-timeout 1500"), 0);
	CHECK_EQ(cmd.value.connect_ms, 1500);
	CHECK_EQ(parse("idle-timeout 1.5h"), 0);
	CHECK_EQ(cmd.value.idle_ms, 5400000);
	CHECK_EQ(parse("sources 127.0.0.2 127.0.0.3 ::1"), 0);
	CHECK_EQ(cmd.value.sources, 3);
	CHECK_EQ(parse("sources none"), 0);
	CHECK_EQ(cmd.value.sources, 0);
	CHECK_EQ(parse("region off"), 0);
	CHECK_STR(cmd.value.region, "off");
}

TEST(errors_say_what_was_expected)
{
	CHECK(refused("serer 10.0.0.1:1", "perhaps 'server'"));
	CHECK(refused("vip web 127.0.0.1:1 mode sed mode p2c", "vip option 'mode': expected once"));
	CHECK(refused("server 127.0.0.1:1 drain weight 1 drain", "server option 'drain': expected once"));
	CHECK(refused("idle-timout 3s", "perhaps 'idle-timeout'"));
	CHECK(refused("xyzzyxyzzy", "unknown word"));
	CHECK(refused("vip web", "expected NAME ADDRESS:PORT"));
	CHECK(refused("vip we/b 127.0.0.1:1", "letters, digits"));
	CHECK(refused("vip abcdefghijklmnopqrstuvwxyzabcdef 127.0.0.1:1", "1 to 31"));
	CHECK(refused("vip web ::1:80", "brackets"));
	CHECK(refused("vip web 127.0.0.1:1 mode rr", "expected hash, alias, sed or p2c"));
	CHECK(refused("vip web 127.0.0.1:1 mode", "expected hash, alias, sed or p2c"));
	CHECK(refused("vip web 127.0.0.1:1 colour red", "expected mode, load, pool"));
	CHECK(refused("vip web 127.0.0.1:1 max-servers 1025", "from 1 to 1024"));
	CHECK(refused("vip web 127.0.0.1:1 load cpu", "flows or waiting"));
	CHECK(refused("server 127.0.0.1:1 weight 0", "weight"));
	CHECK(refused("server 127.0.0.1:1 weight nan", "weight"));
	CHECK(refused("server 127.0.0.1:1 weight -1", "weight"));
	CHECK(refused("server 127.0.0.1:1 weight 1e99", "weight"));
	CHECK(refused("server 127.0.0.1:1 max-connections -3", "max-connections"));
	CHECK(refused("server vip", "expected a name after vip"));
	CHECK(refused("vip web 127.0.0.1:1 accept-proxy", "expected none, or networks"));
	CHECK(refused("vip web 127.0.0.1:1 accept-proxy 10.0.0.0/33", "accept-proxy '10.0.0.0/33'"));
	CHECK(refused("vip web 127.0.0.1:1 send-proxy v3", "expected off, v1 or v2"));
	CHECK(refused("vip web 127.0.0.1:1 send-proxy vip", "expected off, v1 or v2"));
	CHECK(refused("server 127.0.0.1:1 send-proxy on", "expected vip, off, v1 or v2"));
	CHECK(refused("vip dns 127.0.0.1:53 protocol udp send-proxy v1", "expected protocol tcp"));
	CHECK(refused("vip dns 127.0.0.1:53 accept-proxy ::/0 protocol udp", "expected protocol tcp"));
	CHECK(refused("no thing", "no: expected vip NAME"));
	CHECK(refused("threads 65", "from 0 to 64"));
	CHECK(refused("threads 1 2", "threads: expected N"));
	CHECK(refused("instance ../../etc", "instance '../../etc': expected 1 to 31 letters"));
	CHECK(refused("foo 1", "expected vip, server"));
	CHECK(refused("idle-timeout -1s", "expected a time"));
	CHECK(refused("idle-timeout 5 m", "expected TIME"));
	CHECK(refused("idle-timeout 5parsec", "expected a time"));
	CHECK(refused("region relative/path", "absolute path or off"));
	CHECK(refused("sources 127.0.0.1:80", "without port"));
	CHECK(refused("quit now", "expected nothing after it"));
	CHECK(refused("set-mode fast", "expected hash, alias, sed or p2c"));
	CHECK(refused("vip web \"127.0.0.1:1", "closing quote"));
}

/* Whatever bytes come over the control socket: an answer, no crash. Words that exist are mixed in so that it goes deep. */
TEST(random_lines)
{
	static const char *const word[] = { "vip",     "server", "no",   "set-servers",  "127.0.0.1:80", "=", "[",
					    "weight",  "mode",   "sed",  "\"",           "1e9",          "-", "max-connections",
					    "sources", "show",   "json", "idle-timeout", "web",          "#", "[::1]:1=2" };
	struct mlb_rng r;
	int accepted = 0, refusals = 0;

	mlb_rng_seed(&r, 7);
	for (int i = 0; i < 20000; i++) {
		char line[512] = "";
		size_t len = 0;

		for (uint32_t k = mlb_rng_below(&r, 9); k; k--) {
			if (mlb_rng_below(&r, 8) == 0) {
				line[len++] = (char)(1 + mlb_rng_below(&r, 255));
				line[len] = 0;
			} else {
				len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%s",
							word[mlb_rng_below(&r, sizeof(word) / sizeof(word[0]))],
							mlb_rng_below(&r, 5) ? " " : "");
			}
		}
		if (parse(line) == 0)
			accepted++;
		else if (err[0])
			refusals++;
	}
	CHECK_EQ(accepted + refusals, 20000);
	CHECK(accepted > 0 && refusals > 0);
}

MLB_TEST_MAIN(CASE(words), CASE(empty_lines_and_comments), CASE(vip_with_everything), CASE(vip_defaults), CASE(proxy_headers),
	      CASE(server_lines), CASE(set_servers), CASE(drain_is_of_a_server), CASE(numbers_are_decimal_digits),
	      CASE(a_number_is_printed_as_it_is_read), CASE(help_names_what_is_understood), CASE(show), CASE(settings),
	      CASE(errors_say_what_was_expected), CASE(random_lines))
