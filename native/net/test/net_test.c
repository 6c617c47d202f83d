/* SPDX-License-Identifier: Apache-2.0 */
/* The evaluator on graphs written here byte by byte; that it agrees with onnxruntime is checked in training/test. */
#include "mlbtest.h"
#include <errno.h>
#include <stdbool.h>
#include <marllb/rng.h>
#include "net.h"
#include "onnx_build.h"

static const float W[6] = { 1, -2, .5f, 3, 0, 1 }; /* [3][2] */
static const float BIAS[2] = { .25f, -.5f };

static void small(struct buf *out, const char *act)
{
	struct buf g = { .n = 0 };
	floats(&g, "w.a", W, 3, 2);
	floats(&g, "w.b", BIAS, 1, 2);
	place(&g, 11, "x", 2, (int[]){ -1, 3 });
	place(&g, 12, "y", 2, (int[]){ -1, 2 });
	node(&g, "MatMul", "x", "w.a", "m");
	node(&g, "Add", "m", "w.b", "s");
	node(&g, act, "s", NULL, "y");
	model(out, &g, "base", "kalman");
}

TEST(computes)
{
	struct buf b;
	struct net *net;
	struct net_run *run;
	struct net_shape s;
	char err[256] = "";
	float x[6] = { 1, 2, 3, -1, 0, .5f };
	small(&b, "Tanh");
	CHECK_EQ(net_parse(&net, b.b, b.n, err), 0);
	CHECK_EQ(net_inputs(net), 1);
	CHECK_STR(net_output_name(net, 0), "y");
	CHECK_EQ(net_input_shape(net, 0).dim[0], -1);
	CHECK_STR(net_meta(net, "base"), "kalman");
	CHECK_EQ(net_run_new(&run, net), 0);
	for (int again = 0; again < 2; again++) {
		net_feed(run, 0, x, (struct net_shape){ 2, { 2, 3 } });
		CHECK_EQ(net_eval(run, err), 0);
		const float *y = net_result(run, 0, &s);
		CHECK(s.rank == 2 && s.dim[0] == 2 && s.dim[1] == 2);
		for (int r = 0; r < 2; r++)
			for (int c = 0; c < 2; c++) {
				double v = BIAS[c];
				for (int k = 0; k < 3; k++)
					v += (double)x[3 * r + k] * W[2 * k + c];
				CHECK_NEAR(y[2 * r + c], tanh(v), 3e-7);
			}
	}
	net_feed(run, 0, x, (struct net_shape){ 2, { 3, 2 } });
	CHECK_EQ(net_eval(run, err), -EINVAL);
	CHECK(strstr(err, "MatMul") != NULL);
	net_run_free(run);
	net_free(net);
}

TEST(parameters_are_replaced)
{
	struct buf b;
	struct net *net;
	struct net_run *run;
	char err[256];
	float p[8], x[3] = { 1, 1, 1 };
	small(&b, "Identity");
	CHECK_EQ(net_parse(&net, b.b, b.n, err), 0);
	CHECK_EQ(net_params(net), 8);
	net_get_params(net, p);
	CHECK_NEAR(p[3], 3, 0);
	CHECK_NEAR(p[7], -.5, 0);
	CHECK_EQ(net_run_new(&run, net), 0);
	for (int i = 0; i < 8; i++)
		p[i] = (float)i;
	net_set_params(net, p);
	net_feed(run, 0, x, (struct net_shape){ 2, { 1, 3 } });
	CHECK_EQ(net_eval(run, err), 0);
	CHECK_NEAR(net_result(run, 0, NULL)[0], 0 + 2 + 4 + 6, 1e-6);
	net_run_free(run);
	net_free(net);
}

TEST(vector_kernels_are_accurate)
{
	/* Through a graph: all kernels over the whole range, lengths that are no multiple of the vector. */
	static const char *const act[3] = { "Tanh", "Sigmoid", "Exp" };
	for (int a = 0; a < 3; a++) {
		struct buf g = { .n = 0 }, b;
		struct net *net;
		struct net_run *run;
		char err[256];
		float x[1003];
		place(&g, 11, "x", 1, (int[]){ -1 });
		place(&g, 12, "y", 1, (int[]){ -1 });
		node(&g, act[a], "x", NULL, "y");
		model(&b, &g, "k", "v");
		CHECK_EQ(net_parse(&net, b.b, b.n, err), 0);
		CHECK_EQ(net_run_new(&run, net), 0);
		for (int i = 0; i < 1003; i++)
			x[i] = (float)(i - 501) * .17f;
		net_feed(run, 0, x, (struct net_shape){ 1, { 1003 } });
		CHECK_EQ(net_eval(run, err), 0);
		for (int i = 0; i < 1003; i++) {
			double v = x[i], y = net_result(run, 0, NULL)[i];
			double want = a == 0 ? tanh(v) : a == 1 ? 1 / (1 + exp(-v)) : exp(v);
			if (!(fabs(y - want) <= 4e-7 * fmax(1, want)))
				CHECK_NEAR(y, want, 4e-7 * fmax(1, want));
		}
		net_run_free(run);
		net_free(net);
	}
}

TEST(what_it_cannot_do_is_refused)
{
	struct buf b, g = { .n = 0 };
	struct net *net;
	char err[256];
	small(&b, "Softmax");
	CHECK_EQ(net_parse(&net, b.b, b.n, err), -ENOTSUP);
	CHECK(strstr(err, "Softmax") != NULL);
	node(&g, "Tanh", "nowhere", NULL, "y");
	place(&g, 12, "y", 1, (int[]){ 1 });
	model(&b, &g, "k", "v");
	CHECK_EQ(net_parse(&net, b.b, b.n, err), -EPROTO);
	CHECK(strstr(err, "nowhere") != NULL);
	CHECK_EQ(net_parse(&net, "hello", 5, err), -EPROTO);
	CHECK_EQ(net_parse(&net, "", 0, err), -EPROTO);
	CHECK_EQ(net_load(&net, "/nonexistent.onnx", err), -ENOENT);
	CHECK(strstr(err, "/nonexistent.onnx") != NULL);
}

/* What would compute another result than the file says goes to whoever can: `inference` has onnxruntime. */
TEST(what_it_would_compute_otherwise_is_refused)
{
	static const struct {
		const char *name;
		uint32_t kind;
		float f;
		uint64_t i;
		int rc;
	} attributes[] = { { "alpha", 2, 1, 0, 0 },
			   { "alpha", 2, .5f, 0, -ENOTSUP },
			   { "beta", 2, 2, 0, -ENOTSUP },
			   { "transA", 3, 0, 0, 0 },
			   { "transA", 3, 0, 1, -ENOTSUP },
			   { "select_last_index", 3, 0, 1, -ENOTSUP },
			   { "noop_with_empty_axes", 3, 0, 1, -ENOTSUP } };
	struct buf b;
	struct net *net;
	char err[256];

	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		attribute.name = attributes[i].name;
		attribute.kind = attributes[i].kind;
		attribute.f = attributes[i].f;
		attribute.i = attributes[i].i;
		small(&b, "Tanh");
		attribute.name = NULL;
		int rc = net_parse(&net, b.b, b.n, err);
		CHECK_EQ(rc, attributes[i].rc);
		if (rc == 0)
			net_free(net);
		else
			CHECK(strstr(err, attributes[i].name) != NULL);
	}
	domain = "com.example";
	small(&b, "Tanh");
	domain = NULL;
	CHECK_EQ(net_parse(&net, b.b, b.n, err), -ENOTSUP);
	CHECK(strstr(err, "com.example") != NULL);
	external = true;
	small(&b, "Tanh");
	external = false;
	CHECK_EQ(net_parse(&net, b.b, b.n, err), -EPROTO);
	CHECK(strstr(err, "\"w.a\" keeps its data in another file") != NULL);
	element_type = 11;
	small(&b, "Tanh");
	element_type = 1;
	CHECK_EQ(net_parse(&net, b.b, b.n, err), -ENOTSUP);
	CHECK(strstr(err, "\"x\" has element type 11") != NULL);
}

TEST(an_input_that_was_not_fed_is_an_error)
{
	struct buf b;
	struct net *net;
	struct net_run *run;
	char err[256];

	small(&b, "Tanh");
	CHECK_EQ(net_parse(&net, b.b, b.n, err), 0);
	CHECK_EQ(net_run_new(&run, net), 0);
	CHECK_EQ(net_eval(run, err), -EINVAL);
	CHECK(strstr(err, "\"x\" was not fed") != NULL);
	net_feed(run, 0, NULL, (struct net_shape){ 2, { 0, 3 } });
	CHECK_EQ(net_eval(run, err), 0);
	net_run_free(run);
	net_free(net);
}

TEST(broken_files_do_no_harm)
{
	struct buf b;
	struct net *net;
	char err[256];
	struct mlb_rng r;
	int parsed = 0;
	mlb_rng_seed(&r, 5);
	small(&b, "Tanh");
	for (int i = 0; i < 20000; i++) {
		struct buf c = b;
		for (uint32_t k = 1 + mlb_rng_below(&r, 3); k; k--)
			c.b[mlb_rng_below(&r, (uint32_t)c.n)] = (uint8_t)mlb_rng_next(&r);
		if (i & 1)
			c.n = mlb_rng_below(&r, (uint32_t)c.n);
		uint8_t *exact = malloc(c.n + 1); /* so that ASan sees a read past the end */
		memcpy(exact, c.b, c.n);
		if (net_parse(&net, exact, c.n, err) == 0) {
			struct net_run *run;
			float x[3] = { 1, 2, 3 };
			parsed++;
			if (net_inputs(net) == 1 && net_run_new(&run, net) == 0) {
				net_feed(run, 0, x, (struct net_shape){ 2, { 1, 3 } });
				net_eval(run, err);
				net_run_free(run);
			}
			net_free(net);
		}
		free(exact);
	}
	CHECK(parsed > 100);
}

MLB_TEST_MAIN(CASE(computes), CASE(parameters_are_replaced), CASE(vector_kernels_are_accurate),
	      CASE(what_it_cannot_do_is_refused), CASE(what_it_would_compute_otherwise_is_refused),
	      CASE(an_input_that_was_not_fed_is_an_error), CASE(broken_files_do_no_harm))
