/* SPDX-License-Identifier: Apache-2.0 */
/* The evaluator on graphs written here byte by byte; that it agrees with onnxruntime is checked in training/test. */
#include "engine.h"
#include "mlbtest.h"
#include <errno.h>
#include <stdbool.h>
#include <marllb/rng.h>
#include "model.h"
#include "net.h"

/* A protobuf writer: just enough for a model. */
struct buf {
	uint8_t b[4096];
	size_t n;
};

static void num(struct buf *o, uint64_t v)
{
	do
		o->b[o->n++] = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));
	while (v >>= 7);
}
static void field_num(struct buf *o, uint32_t id, uint64_t v)
{
	num(o, id << 3);
	num(o, v);
}
static void field_bytes(struct buf *o, uint32_t id, const void *p, size_t n)
{
	num(o, id << 3 | 2);
	num(o, n);
	memcpy(o->b + o->n, p, n);
	o->n += n;
}
static void field_text(struct buf *o, uint32_t id, const char *t)
{
	field_bytes(o, id, t, strlen(t));
}
static void field_buf(struct buf *o, uint32_t id, const struct buf *in)
{
	field_bytes(o, id, in->b, in->n);
}

/* An attribute of the nodes that follow: a float (`kind` 2) or a whole number (3). */
static struct {
	const char *name;
	uint32_t kind;
	float f;
	uint64_t i;
} attribute;
static const char *domain;

static void node(struct buf *graph, const char *type, const char *a, const char *b, const char *out)
{
	struct buf n = { .n = 0 };
	field_text(&n, 1, a);
	if (b)
		field_text(&n, 1, b);
	field_text(&n, 2, out);
	field_text(&n, 4, type);
	if (attribute.name) {
		struct buf at = { .n = 0 };
		field_text(&at, 1, attribute.name);
		if (attribute.kind == 2) {
			num(&at, 2 << 3 | 5);
			memcpy(at.b + at.n, &attribute.f, 4);
			at.n += 4;
		} else {
			field_num(&at, 3, attribute.i);
		}
		field_buf(&n, 5, &at);
	}
	if (domain)
		field_text(&n, 7, domain);
	field_buf(graph, 1, &n);
}
static bool external; /* data kept in another file */
static void floats(struct buf *graph, const char *name, const float *v, int rows, int cols)
{
	struct buf t = { .n = 0 };
	field_num(&t, 1, (uint64_t)rows);
	field_num(&t, 1, (uint64_t)cols);
	field_num(&t, 2, 1);
	field_text(&t, 8, name);
	if (external)
		field_num(&t, 14, 1);
	else
		field_bytes(&t, 9, v, (size_t)(rows * cols) * sizeof(float));
	field_buf(graph, 5, &t);
}
static uint64_t element_type = 1; /* float32 */
static void place(struct buf *graph, uint32_t id, const char *name, int rank, const int *dims)
{
	struct buf v = { .n = 0 }, shape = { .n = 0 }, tensor = { .n = 0 }, type = { .n = 0 };
	for (int i = 0; i < rank; i++) {
		struct buf d = { .n = 0 };
		if (dims[i] >= 0)
			field_num(&d, 1, (uint64_t)dims[i]);
		else
			field_text(&d, 2, "B");
		field_buf(&shape, 1, &d);
	}
	field_num(&tensor, 1, element_type);
	field_buf(&tensor, 2, &shape);
	field_buf(&type, 1, &tensor);
	field_text(&v, 1, name);
	field_buf(&v, 2, &type);
	field_buf(graph, id, &v);
}
static void model(struct buf *out, const struct buf *graph, const char *key, const char *value)
{
	struct buf kv = { .n = 0 };
	out->n = 0;
	field_num(out, 1, 8);
	field_buf(out, 7, graph);
	field_text(&kv, 1, key);
	field_text(&kv, 2, value);
	field_buf(out, 14, &kv);
}

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
	CHECK_EQ(sim_family_draw(&sc, &sim_family_v1, 3, 1), 0);
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
					       "2"),
		META("\x12observation_schema", "\x01"
					       "3"),
		"observation_schema is 3; this is 2");
	REFUSED("state_size", "state_sizf", "state_size is missing");
#undef REFUSED
}

TEST(a_model_of_another_schema_is_refused)
{
	struct buf b;
	struct net *net;
	struct sim_model m;
	char err[256];
	small(&b, "Tanh");
	CHECK_EQ(net_parse(&net, b.b, b.n, err), 0);
	CHECK_EQ(sim_model_check(&m, net, err), -ENOTSUP);
	CHECK(strstr(err, "schema") != NULL);
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
	      CASE(an_input_that_was_not_fed_is_an_error),
	      CASE(a_model_that_does_not_fit_is_refused_with_the_file_and_the_reason), CASE(a_model_of_another_schema_is_refused),
	      CASE(broken_files_do_no_harm))
