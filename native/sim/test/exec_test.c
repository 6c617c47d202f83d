/* SPDX-License-Identifier: Apache-2.0 */
/* An outside policy over a pipe: a shell script that answers equal weights and kappa 1 is LSQ, flow by flow. */
#include "engine.h"
#include "exec_child.h"
#include "mlbtest.h"
#include <errno.h>

static char err[256];

static int run(const char *strategy, struct sim_result *r)
{
	struct sim_server_conf servers[3] = { { 1, 1, 1, 0, 0 }, { 2, 1, 2, 0, 0 }, { 1, 1, 1, 0, 1.5 } };
	struct sim_strategy st;
	struct sim_scenario sc;
	struct sim_world w;

	sim_scenario_init(&sc);
	sc.server = servers;
	sc.n = 3;
	sc.end_s = 3;
	sc.warm_s = 0;
	sc.rate = 100;
	sc.vip[0].sizes.mean_s = .02;
	CHECK_EQ(sim_world_make(&w, &sc, 4), 0);
	int e = sim_strategy_parse(&st, strategy, err);
	e = e ? e : sim_run(&w, &st, r, err);
	sim_world_free(&w);
	return e;
}

TEST(a_script_that_answers_equal_weights_is_lsq)
{
	struct sim_result lsq, script;
	/* Two servers before 1.5 s, three after: the script counts what it was asked about. Its scale is its own, at a join as
	 * well. */
	static const char text[] = "exec:while IFS= read -r l; do case $l in *hello*) continue;; *'servers\":[1,2,3]'*) "
				   "w=900,900,900;; *) w=900,900;; esac; "
				   "echo \"${l%%,\\\"obs*},\\\"weights\\\":[$w],\\\"kappa\\\":1}\"; done+sed";

	CHECK_EQ(run("LSQ", &lsq), 0);
	int e = run(text, &script);
	if (e)
		printf("# %s\n", err);
	CHECK_EQ(e, 0);
	CHECK(lsq.flows > 200);
	CHECK(memcmp(&lsq, &script, sizeof(lsq)) == 0);
}

TEST(wrong_answers_end_the_run_with_the_reason)
{
	static const struct {
		const char *command, *why;
	} wrong[] = {
		{ "exec:true+sed", "ended without an answer, with exit code 0" },
		{ "exec:read h; exit 3+sed", "ended without an answer, with exit code 3" },
		{ "exec:read h; kill -9 $$+sed", "ended without an answer, by signal 9" },
		{ "exec:read h; read l; echo nonsense+sed", "is no JSON" },
		{ "exec:read h; read l; echo '{\"lb\":7,\"t\":0}'+sed", "another question" },
		{ "exec:read h; read l; echo '{\"lb\":0,\"t\":0,\"weights\":[1]}'+sed", "expected an array of 2 numbers" },
		{ "exec:read h; read l; echo '{\"lb\":0,\"t\":0,\"weights\":[1,0]}'+sed", "weights[1]" },
		{ "exec:read h; read l; echo '{\"lb\":0,\"t\":0,\"weights\":[1,1],\"kappa\":-1}'+sed", "kappa" },
		{ "exec:read h; read l; echo '{\"lb\":0,\"t\":0,\"weights\":[1,1],\"kappa\":1e999}'+sed",
		  "kappa: expected a number from 0 to" },
		{ "exec:read h; read l; echo '{\"lb\":0,\"t\":0,\"weights\":[1e999,1]}'+sed", "weights[0]" },
		{ "exec:read h; read l; echo '{\"lb\":0,\"t\":0,\"weights\":[NaN,1]}'+sed", "expected a value, found \"NaN,1]" },
		{ "exec:read h; read l; echo '{\"lb\":null,\"t\":0,\"weights\":[1,1]}'+sed", "another question" },
		{ "exec:read h; read l; echo '{\"lb\":0,\"t\":null,\"weights\":[1,1]}'+sed", "another question" },
		{ "exec:read h; read l; l='{\"lb\":0,\"t\":0,\"weights\":[1,1]}'; echo $l; echo $l+sed", "another question" },
		{ "exec:+sed", "expected exec:COMMAND" },
	};
	struct sim_result r;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		int e = run(wrong[i].command, &r);
		if (e >= 0 || !strstr(err, wrong[i].why))
			printf("# case %zu: %d \"%s\"\n", i, e, err);
		CHECK(e < 0);
		CHECK(strstr(err, wrong[i].why) != NULL);
	}
}

/* A line for a large pool is longer than a socket holds: a child that reads nothing once stopped the run for good. */
TEST(a_child_that_does_not_read_or_answer_is_given_up)
{
	static char text[4u << 20];
	struct exec_child c;
	const char *line;

	CHECK_EQ(exec_child_start(&c, "exec sleep 600", err), 0);
	c.wait_ms = 20;
	CHECK_EQ(exec_child_send(&c, text, sizeof(text), err), -ETIMEDOUT);
	CHECK(strstr(err, "has not read its input for 0.02 s") != NULL);
	CHECK_EQ(exec_child_receive(&c, &line, err), -ETIMEDOUT);
	CHECK(strstr(err, "no answer from the policy in 0.02 s") != NULL);
	exec_child_stop(&c);
}

TEST(lines_arrive_one_by_one_however_long)
{
	static char text[3u << 20];
	struct exec_child c;
	const char *line;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\n';
	CHECK_EQ(exec_child_start(&c, "read l; echo one; echo ${#l}", err), 0);
	CHECK_EQ(exec_child_send(&c, text, sizeof(text), err), 0);
	CHECK_EQ(exec_child_receive(&c, &line, err), 0);
	CHECK_STR(line, "one");
	CHECK_EQ(exec_child_receive(&c, &line, err), 0);
	CHECK_STR(line, "3145727");
	CHECK_EQ(exec_child_receive(&c, &line, err), -EPIPE);
	exec_child_stop(&c);
}

MLB_TEST_MAIN(CASE(a_script_that_answers_equal_weights_is_lsq), CASE(wrong_answers_end_the_run_with_the_reason),
	      CASE(a_child_that_does_not_read_or_answer_is_given_up), CASE(lines_arrive_one_by_one_however_long))
