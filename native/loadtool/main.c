/* SPDX-License-Identifier: Apache-2.0 */
#include <marllb/endpoint.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "load.h"

static const char usage[] =
	"marllb-load serve --listen ADDR:PORT [--udp | --accept-proxy] [--stop-with-stdin]\n"
	"  answers GET /N with N bytes, or each datagram with itself; prints {\"ready\":true,\"port\":P};\n"
	"  with --accept-proxy every connection begins with a PROXY header\n"
	"marllb-load run --connect ADDR:PORT --mode new|keepalive|bulk|idle|udp [--rate R] [--conns C] [--seconds S]\n"
	"                [--warmup S] [--bytes N | --any] [--sources K] [--window W] [--seed N]\n"
	"  asks for /N and takes N bytes for an answer; --any asks any server for / and takes what length its answer states\n"
	"  rate 0 = closed loop with C connections; idle holds C connections until stdin ends (prints {\"held\":C} when they "
	"are\n"
	"  there)\n"
	"  udp: datagrams of N bytes of C flows, each to be answered, at rate 0 W of a flow in flight; K flows, each with an\n"
	"  address of its own, share a socket\n"
	"  prints one JSON object; times in microseconds\n"
	"marllb-load effects --region PATH [--seconds S]\n"
	"  how long after each frame its weights took effect, of the region's first VIP\n"
	"marllb-load hops --rate R [--seconds S] [--hops H] [--work W]\n"
	"  how long three processes take to hand a word over H times (6), each with W us (250) of work, R times a second\n";

struct flags {
	struct load_conf c;
	const char *listen, *connect, *mode, *region;
	struct load_hops h;
	bool stop_with_stdin, udp, accept_proxy, help;
};

enum kind { TEXT, REAL, COUNT, LONG, SWITCH };
#define F(m) offsetof(struct flags, m)

/* What may stand behind a verb; least: of a number. */
static const struct flag {
	const char *name;
	enum kind kind;
	size_t at;
	double least;
} flag_list[] = {
	{ "--listen", TEXT, F(listen), 0 },
	{ "--connect", TEXT, F(connect), 0 },
	{ "--mode", TEXT, F(mode), 0 },
	{ "--region", TEXT, F(region), 0 },
	{ "--rate", REAL, F(c.rate), 0 },
	{ "--seconds", REAL, F(c.seconds), 0 },
	{ "--warmup", REAL, F(c.warmup), 0 },
	{ "--conns", COUNT, F(c.conns), 0 },
	{ "--sources", COUNT, F(c.sources), 1 },
	{ "--window", COUNT, F(c.window), 1 },
	{ "--bytes", LONG, F(c.bytes), 0 },
	{ "--hops", COUNT, F(h.hops), 1 },
	{ "--work", LONG, F(h.work_us), 0 },
	{ "--seed", LONG, F(c.seed), 0 },
	{ "--any", SWITCH, F(c.any), 0 },
	{ "--udp", SWITCH, F(udp), 0 },
	{ "--accept-proxy", SWITCH, F(accept_proxy), 0 },
	{ "--stop-with-stdin", SWITCH, F(stop_with_stdin), 0 },
	{ "--help", SWITCH, F(help), 0 },
};

static int fail(const char *what, const char *value, const char *expected)
{
	fprintf(stderr, "marllb-load: %s: '%s', expected %s\n", what, value ? value : "", expected);
	return 2;
}

/* Sets what the flag says; 0, or 2 with a message. */
static int set(const struct flag *f, const char *value, struct flags *out)
{
	void *at = (char *)out + f->at;
	char *end;

	if (f->kind == SWITCH) {
		*(bool *)at = true;
		return 0;
	}
	if (f->kind == TEXT) {
		*(const char **)at = value;
		return 0;
	}
	double v = strtod(value, &end), most = f->kind == COUNT ? UINT32_MAX : 0x1p53;

	if (!*value || *end || !(v >= f->least && v <= most))
		return fail(f->name, value, f->least > 0 ? "a number >= 1" : "a number >= 0");
	if (f->kind == REAL)
		*(double *)at = v;
	else if (f->kind == COUNT)
		*(uint32_t *)at = (uint32_t)v;
	else
		*(uint64_t *)at = (uint64_t)v;
	return 0;
}

static int parse(int argc, char **argv, struct flags *out)
{
	for (int i = 2; i < argc; i++) {
		const struct flag *f = flag_list, *end = f + sizeof(flag_list) / sizeof(flag_list[0]);

		while (f < end && strcmp(f->name, argv[i]) != 0)
			f++;
		if (f == end)
			return fail("flag", argv[i], "one that --help names");
		if (f->kind != SWITCH && ++i == argc)
			return fail(f->name, NULL, "a value");
		if (set(f, argv[i], out))
			return 2;
	}
	return 0;
}

static int mode_of(const char *text, enum load_mode *out)
{
	static const char *const modes[] = { "new", "keepalive", "bulk", "idle", "udp" };

	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!text || strcmp(modes[i], text) == 0) {
			*out = (enum load_mode)i;
			return 0;
		}
	return fail("--mode", text, "new, keepalive, bulk, idle or udp");
}

static int serve(const struct flags *f)
{
	int rc = f->udp ? load_udp_serve(&f->c.addr, f->c.addr_len, f->stop_with_stdin) :
			  load_serve(&f->c.addr, f->c.addr_len, f->stop_with_stdin, f->accept_proxy);

	if (rc < 0)
		fprintf(stderr, "marllb-load: %s: %s\n", f->listen, strerror(-rc));
	return rc < 0;
}

static int run(const struct load_conf *c)
{
	static struct load_stats s;
	double elapsed = 0;
	int rc = (c->mode == LOAD_UDP ? load_udp_run : load_run)(c, &s, &elapsed);

	if (rc < 0) {
		fprintf(stderr, "marllb-load: %s\n", strerror(-rc));
		return 1;
	}
	printf("{\"requests\":%llu,\"errors\":%llu,\"timeouts\":%llu,\"late\":%llu,\"seconds\":%.6f,\"bytes\":%llu,\"mean_us\":%."
	       "2f,",
	       (unsigned long long)s.n, (unsigned long long)s.errors, (unsigned long long)s.timeouts, (unsigned long long)s.late,
	       elapsed, (unsigned long long)s.bytes, s.n ? s.sum / (double)s.n : 0);
	printf("\"p50_us\":%.2f,\"p90_us\":%.2f,\"p99_us\":%.2f,\"max_us\":%llu}\n", s.n ? load_stats_quantile(&s, .5) : 0,
	       s.n ? load_stats_quantile(&s, .9) : 0, s.n ? load_stats_quantile(&s, .99) : 0, (unsigned long long)s.max);
	return 0;
}

static int run_hops(struct load_hops h)
{
	if (!(h.rate > 0))
		return fail("--rate", NULL, "rounds a second");
	if (h.hops % 3)
		return fail("--hops", NULL, "a multiple of 3");
	int rc = load_hops(&h);

	if (rc < 0)
		fprintf(stderr, "marllb-load: %s\n", strerror(-rc));
	return rc < 0;
}

int main(int argc, char **argv)
{
	struct flags f = { .c = { .conns = 32, .seconds = 1, .warmup = 0.2, .sources = 4, .window = 1, .seed = 1, .stop_fd = 0 },
			   .h = { .hops = 6, .work_us = 250 } };
	const char *verb = argc > 1 ? argv[1] : "";
	bool serves = strcmp(verb, "serve") == 0, effects = strcmp(verb, "effects") == 0, hops = strcmp(verb, "hops") == 0;
	struct mlb_endpoint ep;

	if (!serves && !effects && !hops && strcmp(verb, "run") != 0) {
		fputs(usage, stderr);
		return 2;
	}
	if (parse(argc, argv, &f) || mode_of(f.mode, &f.c.mode))
		return 2;
	if (f.help) {
		fputs(usage, stdout);
		return 0;
	}
	if (effects)
		return f.region ? load_effects(f.region, f.c.seconds) < 0 : fail("--region", f.region, "the path of a region");
	if (hops) {
		f.h.rate = f.c.rate;
		f.h.seconds = f.c.seconds;
		return run_hops(f.h);
	}
	const char *addr = serves ? f.listen : f.connect;

	if (!addr || mlb_endpoint_parse(addr, true, &ep, NULL) < 0)
		return fail(serves ? "--listen" : "--connect", addr, "ADDR:PORT, for example 127.0.0.1:8080 or [::1]:8080");
	f.c.addr_len = mlb_addr_to_sockaddr(&ep.addr, ep.port, &f.c.addr);
	return serves ? serve(&f) : run(&f.c);
}
