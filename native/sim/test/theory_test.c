/* SPDX-License-Identifier: Apache-2.0 */
/* The engine against queueing theory: every figure within 3 standard errors (over independent runs) and within 1.5 %. */
#include "engine.h"
#include "mlbtest.h"

#define RUNS 40u

struct figures {
	double mean, se;            /* completion time, RTT 0 */
	double refused, refused_se; /* share */
};

/* One load balancer, `n` servers of `cores`, choice uniform at random (alias with equal weights) where n > 1. */
static struct figures simulate(struct sim_scenario *sc, struct sim_server_conf *servers)
{
	struct sim_strategy st;
	struct sim_result r;
	char err[256];
	double s[2] = { 0 }, q[2] = { 0 };

	sc->server = servers;
	sc->rtt_s = 0;
	CHECK_EQ(sim_strategy_parse(&st, "uniform+alias", err), 0);
	for (uint32_t i = 0; i < RUNS; i++) {
		struct sim_world w;
		CHECK_EQ(sim_world_make(&w, sc, 100 + i), 0);
		CHECK_EQ(sim_run(&w, &st, &r, err), 0);
		double v[2] = { r.mean_s, (double)r.refused / (double)r.flows };
		for (int k = 0; k < 2; k++) {
			s[k] += v[k];
			q[k] += v[k] * v[k];
		}
		sim_world_free(&w);
	}
	struct figures f = { s[0] / RUNS, 0, s[1] / RUNS, 0 };
	f.se = sqrt(fmax(q[0] - s[0] * f.mean, 0) / (RUNS - 1) / RUNS);
	f.refused_se = sqrt(fmax(q[1] - s[1] * f.refused, 0) / (RUNS - 1) / RUNS);
	return f;
}

#define CHECK_THEORY(got, se, want) \
	do { \
		CHECK_NEAR(got, want, 3 * (se)); \
		CHECK_NEAR((got) / (want), 1, .015); \
	} while (0)

static struct sim_scenario base(double load, double cores, enum sim_size_kind kind)
{
	struct sim_scenario sc;

	sim_scenario_init(&sc);
	sc.lbs = 1;
	sc.n = 1;
	sc.vip[0].sizes = (struct sim_sizes){ .kind = kind, .mean_s = .01, .heavy_share = .3, .alpha = 2.2, .sigma = 1 };
	sc.rate = load * cores / .01;
	sc.end_s = 300;
	sc.warm_s = 20;
	return sc;
}

/* Mean sojourn S / (1 - rho), whatever the sizes' law. */
TEST(mg1_processor_sharing)
{
	static const enum sim_size_kind kinds[] = { SIM_SIZE_EXP, SIM_SIZE_BIMODAL, SIM_SIZE_PARETO, SIM_SIZE_LOGNORMAL,
						    SIM_SIZE_CONSTANT };

	for (int k = 0; k < 5; k++) {
		struct sim_server_conf one = { .cores = 1, .speed = 1, .weight = 1 };
		struct sim_scenario sc = base(.5, 1, kinds[k]);
		sc.slots = 4096;
		struct figures f = simulate(&sc, &one);
		CHECK_THEORY(f.mean, f.se, .01 / (1 - .5));
	}
}

/* Splitting a Poisson stream at random gives Poisson streams: several M/G/1-PS of different speed side by side. */
TEST(random_split_of_mg1)
{
	struct sim_server_conf two[2] = { { .cores = 1, .speed = 1, .weight = 1 }, { .cores = 1, .speed = 2, .weight = 1 } };
	struct sim_scenario sc = base(1.2, 1, SIM_SIZE_BIMODAL); /* 60 flows a second each: loads .6 and .3 */

	sc.n = 2;
	sc.slots = 4096;
	struct figures f = simulate(&sc, two);
	CHECK_THEORY(f.mean, f.se, .5 * (.01 / (1 - .6) + .005 / (1 - .3)));
}

static double erlang_b(double a, uint32_t k)
{
	double b = 1;

	for (uint32_t i = 1; i <= k; i++)
		b = a * b / (i + a * b);
	return b;
}

/* Mean sojourn of M/M/k: S + C(k, a) S / (k - a). Exponential sizes: processor sharing and FCFS agree. */
TEST(mmk)
{
	static const double cores[] = { 1, 2, 4, 8 };

	for (int k = 0; k < 4; k++)
		for (int fcfs = 0; fcfs < 2; fcfs++) {
			struct sim_server_conf one = { .cores = cores[k], .speed = 1, .weight = 1 };
			struct sim_scenario sc = base(.6, cores[k], SIM_SIZE_EXP);
			double a = .6 * cores[k], b = erlang_b(a, (uint32_t)cores[k]), c = b / (1 - .6 * (1 - b));
			sc.end_s = 100 + 400 / cores[k];
			sc.fcfs = fcfs;
			sc.slots = 4096;
			sc.backlog = 100000;
			struct figures f = simulate(&sc, &one);
			CHECK_THEORY(f.mean, f.se, .01 + c * .01 / (cores[k] - a));
		}
}

/* M/G/1 FCFS waits by Pollaczek and Khinchin: W = rho S (1 + c2) / 2 / (1 - rho); lognormal sigma 1: 1 + c2 = e. */
TEST(mg1_fcfs)
{
	struct sim_server_conf one = { .cores = 1, .speed = 1, .weight = 1 };
	struct sim_scenario sc = base(.4, 1, SIM_SIZE_LOGNORMAL);

	sc.fcfs = true;
	sc.backlog = 100000;
	struct figures f = simulate(&sc, &one);
	CHECK_THEORY(f.mean, f.se, .01 + .4 * .01 * exp(1) / 2 / (1 - .4));
}

/* Erlang's loss formula, insensitive to the sizes' law: k slots, k cores, no backlog. */
TEST(erlang_loss)
{
	static const enum sim_size_kind kinds[] = { SIM_SIZE_EXP, SIM_SIZE_LOGNORMAL };

	for (int k = 0; k < 2; k++) {
		struct sim_server_conf one = { .cores = 4, .speed = 1, .weight = 1 };
		struct sim_scenario sc = base(.9, 4, kinds[k]);
		sc.slots = 4;
		sc.backlog = 0;
		struct figures f = simulate(&sc, &one);
		CHECK_THEORY(f.refused, f.refused_se, erlang_b(3.6, 4));
	}
}

/* M/M/1/K: processor sharing among 3, backlog of 2; refused (1 - rho) rho^5 / (1 - rho^6). */
TEST(backlog_loss)
{
	struct sim_server_conf one = { .cores = 1, .speed = 1, .weight = 1 };
	struct sim_scenario sc = base(.9, 1, SIM_SIZE_EXP);

	sc.slots = 3;
	sc.backlog = 2;
	struct figures f = simulate(&sc, &one);
	CHECK_THEORY(f.refused, f.refused_se, (1 - .9) * pow(.9, 5) / (1 - pow(.9, 6)));
}

MLB_TEST_MAIN(CASE(mg1_processor_sharing), CASE(random_split_of_mg1), CASE(mmk), CASE(mg1_fcfs), CASE(erlang_loss),
	      CASE(backlog_loss))
