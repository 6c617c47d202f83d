/* SPDX-License-Identifier: Apache-2.0 */
/* Files made to do harm: each is refused with the reason, and nothing is read or written out of bounds (run under ASan as well).
 */
#include "hostile_graphs.h"
#include <errno.h>
#include <marllb/rng.h>
#include "mlbtest.h"
#include "onnx_try.h"

TEST(a_graph_that_contradicts_itself_is_refused_with_the_reason)
{
	for (int i = 0; i < hostile_graph_count; i++) {
		const struct hostile_graph *h = &hostile_graphs[i];
		struct buf b;
		char err[256];
		int rc;
		hostile_graph_build(&b, h);
		enum onnx_tried tried = onnx_try(b.b, b.n, &rc, err);
		if (tried != (h->at_run ? TRIED_READ : TRIED_REFUSED) || rc != h->rc || !strstr(err, h->reason))
			printf("# %s: %d, \"%s\"; expected %d, \"%s\"\n", h->what, rc, err, h->rc, h->reason);
		CHECK_EQ(tried, h->at_run ? TRIED_READ : TRIED_REFUSED);
		CHECK_EQ(rc, h->rc);
		CHECK(strstr(err, h->reason) != NULL);
	}
}

/* The same graphs with bytes changed at random: what they become must be read or refused, and never do harm. */
TEST(mutations_of_hostile_graphs_do_no_harm)
{
	struct mlb_rng r;
	int seen[3] = { 0 };
	mlb_rng_seed(&r, 7);
	for (int round = 0; round < 400; round++)
		for (int i = 0; i < hostile_graph_count; i++) {
			struct buf b;
			char err[256];
			int rc;
			hostile_graph_build(&b, &hostile_graphs[i]);
			for (uint32_t k = 1 + mlb_rng_below(&r, 4); k; k--) {
				uint8_t *at = &b.b[mlb_rng_below(&r, (uint32_t)b.n)];
				*at = mlb_rng_below(&r, 2) ? (uint8_t)mlb_rng_next(&r) :
							     (uint8_t)(*at + mlb_rng_below(&r, 9) - 4);
			}
			seen[onnx_try(b.b, b.n, &rc, err)]++;
			CHECK(rc == 0 || err[0] != 0);
		}
	CHECK(seen[TRIED_REFUSED] > 1000 && seen[TRIED_READ] > 100 && seen[TRIED_RUN] > 10);
}

/* C strings end at it: two names that differ behind it would be one. */
TEST(a_name_with_a_zero_byte_is_refused)
{
	struct buf g = { .n = 0 }, n = { .n = 0 }, b;
	char err[256];
	int rc;
	field_bytes(&n, 1, "c\0d", 3);
	field_text(&n, 2, "y");
	field_text(&n, 4, "Relu");
	floats(&g, "c", (float[]){ 1, 2 }, 1, 2);
	field_buf(&g, 1, &n);
	place(&g, 12, "y", 2, (int[]){ 1, 2 });
	model(&b, &g, "k", "v");
	CHECK_EQ(onnx_try(b.b, b.n, &rc, err), TRIED_REFUSED);
	CHECK_EQ(rc, -EPROTO);
	CHECK(strstr(err, "zero byte") != NULL);
}

/* Concat doubles a value at each node: without a bound, 2^30 floats after 26 of them. */
TEST(a_graph_that_grows_without_end_is_refused)
{
	static char name[64][8];
	struct buf g = { .n = 0 }, b;
	float x[2] = { 1, 2 };
	char err[256];
	int rc;
	floats(&g, "v0", x, 1, 2);
	for (int i = 0; i < 40; i++) {
		snprintf(name[i], 8, "v%d", i);
		snprintf(name[i + 1], 8, "v%d", i + 1);
		attribute.name = "axis";
		attribute.kind = 3;
		attribute.i = 0;
		node(&g, "Concat", name[i], name[i], name[i + 1]);
	}
	attribute.name = NULL;
	place(&g, 12, "v40", 2, (int[]){ -1, 2 });
	model(&b, &g, "k", "v");
	CHECK_EQ(onnx_try(b.b, b.n, &rc, err), TRIED_READ);
	CHECK_EQ(rc, -EINVAL);
	CHECK(strstr(err, "is too large") != NULL || strstr(err, "too much memory") != NULL);
}

TEST(shapes_that_are_fed_are_checked)
{
	struct buf g = { .n = 0 }, b;
	struct net *net;
	struct net_run *run;
	char err[256];
	float x = 1;
	place(&g, 11, "x", 2, (int[]){ -1, -1 });
	place(&g, 12, "y", 2, (int[]){ -1, -1 });
	node(&g, "Relu", "x", NULL, "y");
	model(&b, &g, "k", "v");
	CHECK_EQ(net_parse(&net, b.b, b.n, err), 0);
	CHECK_EQ(net_run_new(&run, net), 0);
	CHECK_EQ(net_feed(run, 0, &x, (struct net_shape){ 2, { 1 << 24, 1 << 24 } }), -EINVAL);
	CHECK_EQ(net_feed(run, 0, &x, (struct net_shape){ 2, { -1, 1 } }), -EINVAL);
	CHECK_EQ(net_feed(run, 0, &x, (struct net_shape){ 5, { 1, 1 } }), -EINVAL);
	CHECK_EQ(net_feed(run, 0, NULL, (struct net_shape){ 2, { 1, 1 } }), -EINVAL);
	CHECK_EQ(net_feed(run, 0, &x, (struct net_shape){ 2, { 1, 1 } }), 0);
	net_run_free(run);
	net_free(net);
}

MLB_TEST_MAIN(CASE(a_graph_that_contradicts_itself_is_refused_with_the_reason), CASE(mutations_of_hostile_graphs_do_no_harm),
	      CASE(a_name_with_a_zero_byte_is_refused), CASE(a_graph_that_grows_without_end_is_refused),
	      CASE(shapes_that_are_fed_are_checked))
