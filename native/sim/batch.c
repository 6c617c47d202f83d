/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct work {
	struct sim_batch *b;
	_Atomic uint32_t next;
	_Atomic int err; /* the first one's; the others stop */
	pthread_mutex_t lock;
	char text[256];
	double busy_s;
};

static int one(struct sim_batch *b, uint32_t i, char err[256])
{
	struct sim_scenario sc;
	struct sim_world w;
	uint64_t seed;
	int e = b->scenario(b->arg, i, &sc, &seed, err);

	if (e)
		return e;
	e = sim_world_make(&w, &sc, seed);
	if (e) {
		snprintf(err, 256, "scenario %u: %s", i, strerror(-e));
	} else {
		struct sim_watch watch = b->watch ? b->watch(b->arg, i) : (struct sim_watch){ 0 };
		for (uint32_t k = 0; k < b->strategies && !e; k++)
			e = sim_run_watched(&w, &b->strategy[k], b->watch ? &watch : NULL,
					    &b->result[(size_t)i * b->strategies + k], err);
		sim_world_free(&w);
	}
	sim_scenario_free(&sc);
	return e;
}

static void *thread(void *arg)
{
	struct work *k = arg;
	struct timespec t;
	char err[256];

	while (atomic_load(&k->err) == 0) {
		uint32_t i = atomic_fetch_add(&k->next, 1);
		if (i >= k->b->scenarios)
			break;
		int e = one(k->b, i, err);
		if (e) {
			pthread_mutex_lock(&k->lock);
			if (atomic_load(&k->err) == 0) {
				memcpy(k->text, err, sizeof(err));
				atomic_store(&k->err, e);
			}
			pthread_mutex_unlock(&k->lock);
		}
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	pthread_mutex_lock(&k->lock);
	k->busy_s += (double)t.tv_sec + t.tv_nsec * 1e-9;
	pthread_mutex_unlock(&k->lock);
	return NULL;
}

int sim_batch_run(struct sim_batch *b, char err[256])
{
	struct work k = { .b = b, .lock = PTHREAD_MUTEX_INITIALIZER };
	uint32_t n = b->threads < 1 ? 1 : b->threads > 64 ? 64 : b->threads, up = 0;
	pthread_t id[64];

	for (; up < n; up++)
		if (pthread_create(&id[up], NULL, thread, &k))
			break;
	for (uint32_t i = 0; i < up; i++)
		pthread_join(id[i], NULL);
	b->busy_s = k.busy_s;
	if (!up) {
		snprintf(err, 256, "no thread could be started");
		return -EAGAIN;
	}
	if (k.err)
		memcpy(err, k.text, 256);
	return k.err;
}

struct sim_ratio sim_ratio_of(const double *a, const double *b, uint32_t n, uint32_t stride_a, uint32_t stride_b)
{
	double sum = 0, sq = 0;

	for (uint32_t i = 0; i < n; i++) {
		double l = log(a[(size_t)i * stride_a] / b[(size_t)i * stride_b]);
		sum += l;
		sq += l * l;
	}
	double mean = sum / n, var = n > 1 ? fmax(sq - n * mean * mean, 0) / (n - 1) : 0;
	double h = 1.96 * sqrt(var / n);
	return (struct sim_ratio){ exp(mean), exp(mean - h), exp(mean + h), exp(mean) * (exp(h) - 1) };
}
