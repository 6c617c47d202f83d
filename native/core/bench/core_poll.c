/* SPDX-License-Identifier: Apache-2.0 */
/* marllb-corepoll [--vips N] [--servers N] [--workers N] [--frames N]: how long main stands still. A data plane with so many VIPs
 * and servers in all publishes its frames and takes a vector for each VIP after each; every server has new counts in every frame.
 * Prints one JSON object, processor time in ms: a frame's longest step (median and greatest), all of a frame (median), and the
 * longest step of those that took vectors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "marllb/agent.h"
#include "marllb/dp.h"
#include "world_ep.h"

enum { FRAME_US = 100000 };

static struct mlb_dp *dp;
static uint32_t vips = 16, servers = 16384, workers = 2, frames = 50;

static uint64_t cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* what others take from us on a busy machine is not the code's cost */
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void must(int rc, const char *err)
{
	if (rc == 0)
		return;
	fprintf(stderr, "marllb-corepoll: %s\n", err);
	exit(1);
}

static void make(const char *path)
{
	static struct mlb_endpoint ep[MLB_MAX_SERVERS_PER_VIP];
	static float weight[MLB_MAX_SERVERS_PER_VIP];
	char err[256];
	struct mlb_dp_conf c = { .region = { .path = path,
					     .instance = "poll",
					     .dataplane = "poll",
					     .dp_epoch = 1,
					     .frame_us = FRAME_US,
					     .lease_us = 10000000,
					     .limits = { MLB_MAX_VIPS, MLB_MAX_SERVERS } },
				 .no_miss_ring = true,
				 .seed = 1 };
	uint32_t each = servers / vips;
	must(mlb_dp_new(&dp, &c, workers, err), err);
	for (uint32_t i = 0; i < each; i++) {
		ep[i] = world_ep(i + 1);
		weight[i] = 1;
	}
	for (uint32_t i = 0; i < vips; i++) {
		struct mlb_vip_conf v = {
			.mode = MLB_MODE_SED, .prefix_len = 128, .capacity = each, .eject = true, .load_balancers = 1
		};
		uint32_t id = 0;
		snprintf(v.name, sizeof(v.name), "vip-%u", i);
		v.ep = world_ep(60000);
		must(mlb_dp_vip_add(dp, &v, &id, err), err);
		must(mlb_dp_server_set(dp, id, ep, weight, each, err), err);
	}
}

/* Four short flows at each server, by the workers in turn. */
static void serve(uint64_t now)
{
	for (uint32_t k = 0; k < workers; k++) {
		struct mlb_worker *w = mlb_dp_worker(dp, k);
		mlb_dp_worker_loop(dp, w, now);
		for (uint32_t id = 1; id <= vips; id++) {
			struct mlb_wvip *v = w->vip[id - 1];
			for (uint32_t s = 0; s < 4 * (servers / vips) / workers; s++) {
				uint32_t slot = s % (servers / vips);
				mlb_ev_open(v, slot, now);
				mlb_ev_request(v, slot, now);
				mlb_ev_answer(w, v, slot, now, now + 300 + s % 700);
				mlb_ev_close(w, v, slot, now, now + 400 + s % 900, MLB_END_COMPLETED);
			}
		}
		mlb_dp_worker_idle(w, true);
	}
}

static void answer(struct mlb_agent *a, struct mlb_agent_frame *f, int n, uint64_t frame)
{
	static uint32_t ids[MLB_MAX_SERVERS_PER_VIP];
	static float raw[MLB_MAX_SERVERS_PER_VIP], stat[MLB_MAX_SERVERS_PER_VIP], bare[MLB_MAX_SERVERS_PER_VIP];
	static float share[MLB_MAX_SERVERS_PER_VIP];
	for (int i = 0; i < n; i++) {
		const struct mlb_server_rec *rec = f[i].records;
		enum mlb_refuse why;
		uint64_t seq;
		for (uint32_t s = 0; s < f[i].count; s++) {
			ids[s] = rec[s].id;
			stat[s] = 1;
			raw[s] = 1 + (float)((frame + s) % 7) / 7;
		}
		struct mlb_agent_vector x = { .vip_id = f[i].vip_id,
					      .generation = f[i].generation,
					      .n = f[i].count,
					      .dp_epoch = f[i].dp_epoch,
					      .birth = f[i].birth,
					      .frame_seq = f[i].seq,
					      .term = 1,
					      .ids = ids,
					      .raw = raw,
					      .stat = stat,
					      .trust = 3,
					      .step_ratio = 10,
					      .dt_s = 1,
					      .ejected_cap = 1,
					      .ladder = MLB_LADDER_MODEL };
		must(mlb_agent_publish(a, &x, bare, share, &seq, &why), "the agent's vector was refused");
	}
	must(mlb_agent_flush(a), "the agent cannot publish");
}

/* Steps until nothing is left to do: the longest and the sum, ns. */
static void run(uint64_t now, uint64_t *longest, uint64_t *sum)
{
	uint64_t wait, first = now;
	*longest = *sum = 0;
	do {
		uint64_t began = cpu_ns();
		wait = mlb_dp_poll(dp, now, 0);
		uint64_t took = cpu_ns() - began;
		*longest = took > *longest ? took : *longest;
		*sum += took;
		now += 50;
	} while (wait <= 50 && now < first + FRAME_US / 2);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static double median_ms(uint64_t *v, uint32_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return (double)v[n / 2] * 1e-6;
}

static uint32_t number(const char *text, uint32_t most)
{
	long n = strtol(text, NULL, 10);
	if (n < 1 || n > (long)most) {
		fprintf(stderr, "marllb-corepoll: expected 1 to %u, found '%s'\n", most, text);
		exit(2);
	}
	return (uint32_t)n;
}

int main(int argc, char **argv)
{
	static struct mlb_agent_frame f[MLB_MAX_VIPS];
	uint64_t now = 1000000, most = 0, in_most = 0;
	char path[128], err[256];
	struct mlb_agent *a;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--vips") == 0)
			vips = number(argv[i + 1], MLB_MAX_VIPS);
		else if (strcmp(argv[i], "--servers") == 0)
			servers = number(argv[i + 1], MLB_MAX_SERVERS);
		else if (strcmp(argv[i], "--workers") == 0)
			workers = number(argv[i + 1], 64);
		else if (strcmp(argv[i], "--frames") == 0)
			frames = number(argv[i + 1], 100000);
	}
	if (servers / vips < 1 || servers / vips > MLB_MAX_SERVERS_PER_VIP)
		number("0", MLB_MAX_SERVERS_PER_VIP);
	snprintf(path, sizeof(path), "/dev/shm/marllb_corepoll.%d", (int)getpid());
	make(path);
	must(mlb_agent_attach(&a, path, err), err);
	uint64_t *step = calloc(frames, sizeof(*step)), *whole = calloc(frames, sizeof(*whole));
	mlb_dp_poll(dp, now, 0);
	for (uint32_t k = 0; k < frames + 2; k++) { /* two to warm */
		uint64_t longest, sum;
		serve(now);
		now += FRAME_US - 1000;
		run(now, &longest, &sum);
		in_most = k >= 2 && longest > in_most ? longest : in_most;
		now += 1000;
		run(now, &longest, &sum);
		most = k >= 2 && longest > most ? longest : most;
		if (k >= 2) {
			step[k - 2] = longest;
			whole[k - 2] = sum;
		}
		int n = mlb_agent_frames(a, f);
		if (n != (int)vips)
			must(1, "a frame is missing");
		answer(a, f, n, k);
	}
	printf("{\"step_ms\":%.3f,\"step_ms_max\":%.3f,\"frame_ms\":%.3f,\"vectors_ms_max\":%.3f}\n", median_ms(step, frames),
	       (double)most * 1e-6, median_ms(whole, frames), (double)in_most * 1e-6);
	mlb_agent_close(a);
	mlb_dp_free(dp);
	return 0;
}
