/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <marllb/endpoint.h>
#include <stdlib.h>
#include <string.h>
#include "load.h"

static const char usage[] =
	"marllb-load serve --listen ADDR:PORT [--udp | --accept-proxy] [--stop-with-stdin]\n"
	"  answers GET /N with N bytes, or each datagram with itself; prints {\"ready\":true,\"port\":P};\n"
	"  with --accept-proxy every connection begins with a PROXY header\n"
	"marllb-load run --connect ADDR:PORT --mode new|keepalive|bulk|idle|udp [--rate R] [--conns C] [--seconds S] [--warmup "
	"S]\n"
	"                [--bytes N | --any] [--sources K] [--seed N]\n"
	"  asks for /N and takes N bytes for an answer; --any asks any server for / and takes what length its answer states\n"
	"  rate 0 = closed loop with C connections; idle holds C connections until stdin ends (prints {\"held\":C} when they are "
	"there)\n"
	"  udp: datagrams of N bytes on C sockets, each to be answered\n"
	"  prints one JSON object; times in microseconds\n"
	"marllb-load effects --region PATH [--seconds S]\n"
	"  how long after each frame its weights took effect, of the region's first VIP\n";

static int fail(const char *what, const char *value, const char *expected)
{
	fprintf(stderr, "marllb-load: %s: '%s', expected %s\n", what, value ? value : "", expected);
	return 2;
}

static bool number(const char *text, double least, double *out)
{
	char *end;
	*out = strtod(text, &end);
	return *text && !*end && *out >= least;
}

int main(int argc, char **argv)
{
	static const struct option opts[] = { { "listen", 1, 0, 'l' },
					      { "connect", 1, 0, 'c' },
					      { "mode", 1, 0, 'm' },
					      { "rate", 1, 0, 'r' },
					      { "conns", 1, 0, 'n' },
					      { "seconds", 1, 0, 's' },
					      { "warmup", 1, 0, 'w' },
					      { "bytes", 1, 0, 'b' },
					      { "sources", 1, 0, 'S' },
					      { "seed", 1, 0, 'e' },
					      { "stop-with-stdin", 0, 0, 'x' },
					      { "region", 1, 0, 'g' },
					      { "any", 0, 0, 'a' },
					      { "udp", 0, 0, 'u' },
					      { "accept-proxy", 0, 0, 'p' },
					      { "help", 0, 0, 'h' },
					      { 0, 0, 0, 0 } };
	static const char *const modes[] = { "new", "keepalive", "bulk", "idle", "udp" };
	struct load_conf c = {
		.mode = LOAD_NEW, .conns = 32, .seconds = 1, .warmup = 0.2, .sources = 4, .seed = 1, .stop_fd = 0
	};
	const char *addr = NULL, *region = NULL;
	bool stop_with_stdin = false, udp = false, accept_proxy = false;
	if (argc < 2 || (strcmp(argv[1], "serve") && strcmp(argv[1], "run") && strcmp(argv[1], "effects"))) {
		fputs(usage, stderr);
		return 2;
	}
	bool serve = !strcmp(argv[1], "serve");
	int o;
	optind = 2;
	while ((o = getopt_long(argc, argv, "", opts, NULL)) != -1) {
		double v = 0;
		if (strchr("rnswbSe", o) && !number(optarg, 0, &v))
			return fail(argv[optind - 2], optarg, "a number >= 0");
		switch (o) {
		case 'l':
		case 'c': addr = optarg; break;
		case 'm': {
			int i = 0;
			while (i < 5 && strcmp(modes[i], optarg))
				i++;
			if (i == 5)
				return fail("--mode", optarg, "new, keepalive, bulk, idle or udp");
			c.mode = (enum load_mode)i;
			break;
		}
		case 'r': c.rate = v; break;
		case 'n': c.conns = (uint32_t)v; break;
		case 's': c.seconds = v; break;
		case 'w': c.warmup = v; break;
		case 'b': c.bytes = (uint64_t)v; break;
		case 'S': c.sources = (uint32_t)v; break;
		case 'e': c.seed = (uint64_t)v; break;
		case 'g': region = optarg; break;
		case 'a': c.any = true; break;
		case 'u': udp = true; break;
		case 'x': stop_with_stdin = true; break;
		case 'p': accept_proxy = true; break;
		case 'h': fputs(usage, stdout); return 0;
		default: return 2;
		}
	}
	if (!strcmp(argv[1], "effects"))
		return region ? load_effects(region, c.seconds) < 0 : fail("--region", region, "the path of a region");
	struct mlb_endpoint ep;
	if (!addr || mlb_endpoint_parse(addr, true, &ep, NULL) < 0)
		return fail(serve ? "--listen" : "--connect", addr, "ADDR:PORT, for example 127.0.0.1:8080 or [::1]:8080");
	c.addr_len = mlb_addr_to_sockaddr(&ep.addr, ep.port, &c.addr);
	if (serve) {
		int r = udp ? load_udp_serve(&c.addr, c.addr_len, stop_with_stdin) :
			      load_serve(&c.addr, c.addr_len, stop_with_stdin, accept_proxy);
		if (r < 0)
			fprintf(stderr, "marllb-load: %s: %s\n", addr, strerror(-r));
		return r < 0;
	}
	static struct load_stats s;
	double elapsed = 0;
	int r = (c.mode == LOAD_UDP ? load_udp_run : load_run)(&c, &s, &elapsed);
	if (r < 0) {
		fprintf(stderr, "marllb-load: %s\n", strerror(-r));
		return 1;
	}
	printf("{\"requests\":%llu,\"errors\":%llu,\"timeouts\":%llu,\"late\":%llu,\"seconds\":%.6f,\"bytes\":%llu,\"mean_us\":%."
	       "2f,"
	       "\"p50_us\":%.2f,\"p90_us\":%.2f,\"p99_us\":%.2f,\"max_us\":%llu}\n",
	       (unsigned long long)s.n, (unsigned long long)s.errors, (unsigned long long)s.timeouts, (unsigned long long)s.late,
	       elapsed, (unsigned long long)s.bytes, s.n ? s.sum / (double)s.n : 0, s.n ? load_stats_quantile(&s, .5) : 0,
	       s.n ? load_stats_quantile(&s, .9) : 0, s.n ? load_stats_quantile(&s, .99) : 0, (unsigned long long)s.max);
	return 0;
}
