/* SPDX-License-Identifier: Apache-2.0 */
/* A data plane without sockets for the addon's tests: region_fixture PATH VIPS SERVERS FRAME_US. VIPs "vip1", ..., servers
 * 10.0.<vip>.<n>:80 (n < 256), one idle worker. Lines on stdin: "open VIP SLOT", "close VIP SLOT", "add VIP N", "del VIP N"; it
 * ends when stdin does. Prints "ready" and one line for each command done. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "marllb/dp.h"

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t mono_ns(void *arg)
{
	(void)arg;
	return clock_ns(CLOCK_MONOTONIC);
}

static struct mlb_endpoint endpoint(unsigned vip, unsigned n)
{
	struct mlb_endpoint e = { .port = 80 };
	e.addr.b[10] = e.addr.b[11] = 0xff;
	e.addr.b[12] = 10;
	e.addr.b[13] = (uint8_t)(n >> 8);
	e.addr.b[14] = (uint8_t)vip;
	e.addr.b[15] = (uint8_t)n;
	return e;
}

static void command(struct mlb_dp *dp, const char *line)
{
	char word[16], err[256] = "";
	unsigned vip, n;
	if (sscanf(line, "%15s %u %u", word, &vip, &n) != 3)
		return;
	struct mlb_worker *w = mlb_dp_worker(dp, 0);
	uint64_t now = mono_ns(NULL) / 1000;
	struct mlb_endpoint e = endpoint(vip, n);
	mlb_dp_worker_loop(dp, w, now);
	if (strcmp(word, "open") == 0)
		mlb_ev_open(atomic_load(&w->vip[vip - 1]), n, now);
	else if (strcmp(word, "close") == 0)
		mlb_ev_close(w, atomic_load(&w->vip[vip - 1]), n, now - 1000, now, MLB_END_COMPLETED);
	else if (strcmp(word, "add") == 0)
		mlb_dp_server_add(dp, vip, &e, 1, NULL, err);
	else if (strcmp(word, "del") == 0)
		mlb_dp_server_del(dp, vip, &e, err);
	mlb_dp_worker_idle(w, true);
	printf("%s\n", err[0] ? err : "done");
	fflush(stdout);
}

static int setup(struct mlb_dp **dp, char **argv, char *err)
{
	struct mlb_dp_conf c = { .region = { .path = argv[1],
					     .instance = "fixture",
					     .dataplane = "fixture 1",
					     .frame_us = (uint32_t)atoi(argv[4]),
					     .dp_epoch = clock_ns(CLOCK_REALTIME),
					     .lease_us = 1000000 },
				 .seed = 1,
				 .clock_ns = mono_ns };
	int rc = mlb_dp_new(dp, &c, 1, err);
	for (unsigned v = 1; rc == 0 && v <= (unsigned)atoi(argv[2]); v++) {
		struct mlb_vip_conf vc = {
			.ep = endpoint(100, v), .prefix_len = 128, .capacity = MLB_MAX_SERVERS_PER_VIP, .eject = true
		};
		uint32_t id;
		snprintf(vc.name, sizeof(vc.name), "vip%u", v);
		rc = mlb_dp_vip_add(*dp, &vc, &id, err);
		for (unsigned n = 1; rc == 0 && n <= (unsigned)atoi(argv[3]); n++) {
			struct mlb_endpoint e = endpoint(v, n);
			rc = mlb_dp_server_add(*dp, id, &e, 1, NULL, err);
		}
	}
	return rc;
}

int main(int argc, char **argv)
{
	struct mlb_dp *dp;
	char err[256], line[256];
	size_t used = 0;
	if (argc != 5)
		return 2;
	if (setup(&dp, argv, err) != 0) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		struct pollfd p = { .fd = 0, .events = POLLIN };
		_Atomic uint32_t *futex = &mlb_dp_region(dp)->hdr->in_futex;
		uint32_t seen = atomic_load(futex);
		uint64_t wait_us = mlb_dp_poll(dp, mono_ns(NULL) / 1000, clock_ns(CLOCK_REALTIME));
		if (poll(&p, 1, 0) == 1) {
			ssize_t n = read(0, line + used, sizeof(line) - 1 - used);
			if (n <= 0)
				break;
			used += (size_t)n;
			for (char *end; (end = memchr(line, '\n', used)) != NULL;) {
				*end = 0;
				command(dp, line);
				used -= (size_t)(end + 1 - line);
				memmove(line, end + 1, used);
			}
		}
		mlb_futex_wait(futex, seen, wait_us);
	}
	mlb_dp_free(dp);
	return 0;
}
