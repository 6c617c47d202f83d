/* SPDX-License-Identifier: Apache-2.0 */
/* Models as policies of the simulator: which are refused, and why. */
#include <errno.h>
#include "engine.h"
#include "family.h"
#include "mlbtest.h"
#include "model.h"
#include "net.h"
#include "onnx_build.h"

/* The shipped model with some bytes replaced by as many others. */
static int try_model(const char *from, const char *to, size_t len, char err[256])
{
	char path[] = "/tmp/sim_model_XXXXXX", strategy[64];
	static uint8_t text[1 << 20];
	FILE *in = fopen(SIM_DIR "/../../models/marl.onnx", "rb"), *out = fdopen(mkstemp(path), "wb");
	size_t n = fread(text, 1, sizeof(text), in), found = 0;
	struct sim_strategy st;
	struct sim_scenario sc;
	struct sim_world w;
	struct sim_result r;

	fclose(in);
	for (size_t i = 0; from && i + len <= n; i++)
		if (memcmp(text + i, from, len) == 0) {
			memcpy(text + i, to, len);
			found++;
		}
	CHECK(!from || found > 0);
	fwrite(text, 1, n, out);
	fclose(out);
	snprintf(strategy, sizeof(strategy), "model:%s+sed", path);
	CHECK_EQ(sim_strategy_parse(&st, strategy, err), 0);
	CHECK_EQ(sim_family_v1.draw(&sc, &sim_family_v1, 3, 1), 0);
	sc.end_s = 4.5;
	CHECK_EQ(sim_world_make(&w, &sc, 1), 0);
	int e = sim_run(&w, &st, &r, err);
	CHECK(e == 0 || strncmp(err, path, strlen(path)) == 0);
	sim_world_free(&w);
	sim_scenario_free(&sc);
	remove(path);
	return e;
}

#define META(key, value) "\x0a" key "\x12" value
TEST(a_model_that_does_not_fit_is_refused_with_the_file_and_the_reason)
{
	char err[256];

	CHECK_EQ(try_model(NULL, NULL, 0, err), 0);
#define REFUSED(from, to, why) \
	CHECK(try_model(from, to, sizeof(from) - 1, err) < 0); \
	if (!strstr(err, why)) \
		printf("# %s\n", err); \
	CHECK(strstr(err, why) != NULL)
	REFUSED(META("\x0enative_step_ms", "\x03"
					   "200"),
		META("\x0enative_step_ms", "\x03"
					   "250"),
		"native_step_ms is 250; this is 200");
	REFUSED("native_step_ms", "native_step_xx", "native_step_ms is missing");
	REFUSED(META("\x12observation_schema", "\x01"
					       "3"),
		META("\x12observation_schema", "\x01"
					       "4"),
		"observation_schema is 4; expected 2 to 3");
	REFUSED("state_size", "state_sizf", "state_size is missing");
#undef REFUSED
}

TEST(a_model_of_another_schema_is_refused)
{
	struct buf b, g = { .n = 0 };
	struct net *net;
	struct sim_model m;
	char err[256];
	place(&g, 11, "x", 1, (int[]){ -1 });
	place(&g, 12, "y", 1, (int[]){ -1 });
	node(&g, "Tanh", "x", NULL, "y");
	model(&b, &g, "base", "kalman");
	CHECK_EQ(net_parse(&net, b.b, b.n, err), 0);
	CHECK_EQ(sim_model_check(&m, net, err), -ENOTSUP);
	CHECK(strstr(err, "schema") != NULL);
	net_free(net);
}

MLB_TEST_MAIN(CASE(a_model_that_does_not_fit_is_refused_with_the_file_and_the_reason), CASE(a_model_of_another_schema_is_refused))
