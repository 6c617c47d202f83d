/* SPDX-License-Identifier: Apache-2.0 */
/* A server: processor sharing among at most `slots` jobs, each at speed x f x min(1, cores / jobs), then a FIFO backlog, then
 * refusal. Work is kept in attained service: all running jobs gain alike, so a job ends when the common clock `v` reaches what
 * it was on entry plus its size, and the next to end is the top of a heap. */
#ifndef MARLLB_SIM_SERVER_H
#define MARLLB_SIM_SERVER_H
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct sim_job {
	double end_v;
	uint32_t flow;
};

struct sim_server {
	double v;      /* service that every running job has attained, core-seconds */
	double last_s; /* v and the integrals hold until here */
	double speed, factor, cores;
	const double *slow; /* [slots + 1] seconds per core-second at speed 1: max(1, jobs / cores) */
	uint32_t running, queued, head;
	uint32_t slots, backlog;
	struct sim_job *job;               /* [slots] heap by end_v */
	uint32_t *queue;                   /* [backlog] ring of flows */
	double jobs_s, busy_s, capacity_s; /* integrals of jobs, of cores in use, of capacity */
};

static inline uint32_t sim_server_jobs(const struct sim_server *s)
{
	return s->running + s->queued;
}

static inline double sim_server_capacity(const struct sim_server *s)
{
	return s->cores * s->speed * s->factor;
}

static inline void sim_server_advance(struct sim_server *s, double now)
{
	double dt = now - s->last_s;

	s->last_s = now;
	s->capacity_s += dt * sim_server_capacity(s);
	if (!s->running)
		return;
	double slow = s->slow[s->running];
	s->v += dt * s->speed * s->factor / slow;
	s->jobs_s += dt * (s->running + s->queued);
	s->busy_s += dt * s->running / slow;
}

/* When its next job ends if nothing else happens. */
static inline double sim_server_next(const struct sim_server *s)
{
	if (!s->running)
		return INFINITY;
	if (s->factor <= 0)
		return INFINITY;
	double left = s->job[0].end_v - s->v;
	return s->last_s + (left > 0 ? left : 0) * s->slow[s->running] / (s->speed * s->factor);
}

static inline void sim_server_run(struct sim_server *s, uint32_t flow, double size)
{
	double end = s->v + size;
	uint32_t i = s->running++;

	while (i) {
		uint32_t up = (i - 1) / 2;
		if (s->job[up].end_v <= end)
			break;
		s->job[i] = s->job[up];
		i = up;
	}
	s->job[i] = (struct sim_job){ end, flow };
}

/* False: refused. Advance first. */
static inline bool sim_server_offer(struct sim_server *s, uint32_t flow, double size)
{
	if (s->running < s->slots) {
		sim_server_run(s, flow, size);
		return true;
	}
	if (s->queued == s->backlog)
		return false;
	uint32_t at = s->head + s->queued++;
	s->queue[at < s->backlog ? at : at - s->backlog] = flow;
	return true;
}

/* Ends the job that is due; advance first. The caller lets the backlog's head in. */
static inline uint32_t sim_server_finish(struct sim_server *s)
{
	uint32_t flow = s->job[0].flow, n = --s->running, i = 0;
	struct sim_job last = s->job[n];

	s->v = s->job[0].end_v;
	for (;;) {
		uint32_t c = 2 * i + 1;
		if (c >= n)
			break;
		if (c + 1 < n && s->job[c + 1].end_v < s->job[c].end_v)
			c++;
		if (s->job[c].end_v >= last.end_v)
			break;
		s->job[i] = s->job[c];
		i = c;
	}
	s->job[i] = last;
	return flow;
}

static inline uint32_t sim_server_dequeue(struct sim_server *s)
{
	uint32_t flow = s->queue[s->head];

	s->head = s->head + 1 == s->backlog ? 0 : s->head + 1;
	s->queued--;
	return flow;
}
#endif
