/* SPDX-License-Identifier: Apache-2.0 */
/* HLB, after Yao, Desmouceaux, Cordero-Fuertes, Townsley, Clausen: "HLB: Toward Load-Aware Load Balancing", IEEE/ACM Transactions
 * on Networking 2022: without signals from servers a load balancer infers how fast each one works from its own flows, smooths
 * that by a Kalman filter, and sends a flow where (flows in progress + 1) / speed is least. Our reading: speed is seen as (mean
 * number of own flows + 1) / (mean duration), the duration by Little's law over about a second; its logarithm is the filter's
 * state, a random walk. The noise of an observation goes with 1 / completions. Q and R were chosen on selection seeds of family
 * v1. */
#include "places.h"
#include "policies.h"
#include <math.h>

#define WINDOW_S 1.
#define P0 1.
#define Q_PER_S .005
#define R_OF_ONE 4.

struct seen {
	double x, p;     /* log speed and its variance; p 0: never seen */
	double q, d, dt; /* flow-seconds, ends, seconds, decayed */
	double flow_s;
	uint64_t ended;
	bool known;
};

struct hlb {
	struct sim_places places;
	struct seen *s, *spare;
};

static void destroy(void *state)
{
	struct hlb *h = state;

	sim_places_free(&h->places);
	free(h->s);
	free(h->spare);
	free(h);
}

static int create(void **state, const struct sim_policy *self, const struct sim_lb_info *info, const char *arg, char err[256])
{
	struct hlb *h = calloc(1, sizeof(*h));

	(void)self;
	(void)arg;
	(void)err;
	if (!h)
		return -ENOMEM;
	h->s = calloc(info->servers_max, sizeof(*h->s));
	h->spare = calloc(info->servers_max, sizeof(*h->spare));
	if (sim_places_init(&h->places, info->servers_max) || !h->s || !h->spare) {
		destroy(h);
		return -ENOMEM;
	}
	*state = h;
	return 0;
}

static void observe(struct seen *s, double flow_s, uint64_t ended, double dt)
{
	double keep = exp(-dt / WINDOW_S);

	if (s->known) {
		s->q = s->q * keep + fmax(flow_s - s->flow_s, 0);
		s->d = s->d * keep + (double)(ended - s->ended);
		s->dt = s->dt * keep + dt;
	}
	s->flow_s = flow_s;
	s->ended = ended;
	s->known = true;
	if (s->d < .5 || s->q <= 0 || s->dt <= 0)
		return;
	double z = log((s->q / s->dt + 1) * s->d / s->q), r = R_OF_ONE / s->d;
	if (s->p == 0) {
		s->x = z;
		s->p = P0;
		return;
	}
	s->p += Q_PER_S * dt;
	double g = s->p / (s->p + r);
	s->x += g * (z - s->x);
	s->p *= 1 - g;
}

/* Who was never seen counts as the mean of the others, by configured weight. */
static void tick(void *state, const struct sim_lb_view *v, struct sim_decision *d)
{
	struct hlb *h = state;
	double shift = 0;
	uint32_t n = 0;

	if (sim_places_compare(&h->places, v)) {
		sim_places_move(&h->places, v, h->s, sizeof(*h->s), h->spare);
		sim_places_note(&h->places, v);
	}
	for (uint32_t j = 0; j < v->n; j++) {
		observe(&h->s[j], v->flow_s[j], v->ended[j], v->dt_s);
		if (h->s[j].p > 0) {
			shift += h->s[j].x - log((double)v->weight_cfg[j]);
			n++;
		}
	}
	shift = n ? shift / n : 0;
	for (uint32_t j = 0; j < v->n; j++)
		d->weight[j] = exp(h->s[j].p > 0 ? h->s[j].x : log((double)v->weight_cfg[j]) + shift);
}

const struct sim_policy sim_policy_hlb = {
	.name = "hlb",
	.create = create,
	.destroy = destroy,
	.tick = tick,
	.join = tick,
	.kappa = 1,
};
