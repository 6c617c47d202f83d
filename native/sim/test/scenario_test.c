/* SPDX-License-Identifier: Apache-2.0 */
/* Scenario files: read as the schema says, refused with line, key and reason. */
#include "mlbtest.h"
#include "scenario_json.h"

static char err[256];

static int parse(struct sim_scenario *sc, const char *text)
{
	uint32_t seeds;
	err[0] = 0;
	return sim_scenario_parse(sc, &seeds, text, strlen(text), "", err);
}

#define GOOD(extra) \
	"{\"name\":\"x\",\n\"servers\":[{\"count\":2,\"cores\":2},{\"cores\":4,\"weight\":1}],\n\"load\":0.5,\n" \
	"\"sizes\":{\"kind\":\"exponential\",\"mean_ms\":10}" extra "}"

static const struct {
	const char *text, *why;
} refused[] = {
	{ "", "ends where a value was expected" },
	{ "{\"name\":\"x\",}", "expected a key" },
	{ "{\"name\":\"x\" \"load\":1}", "expected , or }" },
	{ "{\"name\":\"x\",\"name\":\"y\"}", "\"name\" appears twice" },
	{ "{\"name\":\"x\"} true", "text after the end" },
	{ "{\"load\":01}", "no JSON number" },
	{ "{\"load\":1.}", "no JSON number" },
	{ "{\"name\":\"\\q\"}", "escape" },
	{ "[1]", "expected an object, found an array" },
	{ "//c\n{}", "expected a value, found \"//c\"" },
	{ "{\"name\":\"x\"}", "\"servers\" is missing" },
	{ GOOD(",\n\"lode\":1"), "line 5: scenario: unknown key \"lode\"; nearest is \"load\"" },
	{ GOOD(",\"rate_per_s\":10"), "expected one of \"load\" and \"rate_per_s\"" },
	{ GOOD(",\"tick_ms\":0"), "tick_ms: 0 is out of range, expected 1 to 100000" },
	{ GOOD(",\"load_balancers\":1.5"), "load_balancers: expected a whole number" },
	{ GOOD(",\"load_balancers\":\"two\""), "load_balancers: expected a number, found a string" },
	{ GOOD(",\"warmup_s\":75"), "leaves nothing" },
	{ GOOD(",\"server\":{\"discipline\":\"lifo\"}"), "discipline: expected one of ps, fcfs" },
	{ GOOD(",\"hang\":{\"server\":3,\"from_s\":1,\"for_s\":1}"), "server: 3 is out of range, expected 0 to 2" },
	{ GOOD(",\"rtt_ms\":{\"least\":3,\"most\":2}"), "least is greater than most" },
	{ GOOD(",\"arrivals\":{\"kind\":\"trace\",\"file\":\"/nonexistent/x\"}"), "No such file" },
	{ GOOD(",\"arrivals\":{\"kind\":\"daily\"}"), "\"lowest\" is missing" },
	{ GOOD(",\"description\":3"), "description: expected a string, found a number" },
	{ GOOD(",\"$schema\":[]"), "$schema: expected a string, found an array" },
	{ GOOD(",\"arrivals\":{\"lowest\":7}"), "lowest: 7 is out of range" },
	{ GOOD(",\"arrivals\":{\"file\":7}"), "file: expected a string" },
	{ GOOD(",\"server\":{\"slots\":1000000,\"backlog\":1},\"seeds\":NaN"), "expected a value, found \"NaN" },
	{ "{\"name\":\"x\",\"servers\":[{\"count\":1000,\"cores\":1}],\"load\":1,\"sizes\":{\"kind\":\"constant\",\"mean_ms\":1},"
	  "\"server\":{\"slots\":1000000}}",
	  "slots: 1000000 for each of 1000 servers" },
	{ "{\"name\":\"x\",\"servers\":[{\"cores\":1}],\"load\":1,\"vips\":[{\"share\":0.5,\"sizes\":{\"kind\":\"constant\","
	  "\"mean_ms\":1}}]}",
	  "the shares sum to 0.5, expected 1" },
	{ GOOD(",\"vips\":[]"), "expected one of \"sizes\" and \"vips\"" },
	{ GOOD(",\"gossip\":{\"period_ms\":1,\"delay_ms\":1}"), "delay_ms must be less" },
	{ "{\"name\":\"x\",\"servers\":[{\"cores\":1,\"join_s\":3},{\"cores\":1}],\"load\":1,\"sizes\":{\"kind\":\"constant\","
	  "\"mean_ms\":1}}",
	  "must come last" },
	{ "{\"name\":\"x\",\"servers\":[{\"cores\":1,\"rtt_ms\":0}],\"load\":1}", "rtt_ms: 0 is out of range" },
	{ "{\"name\":\"x\",\"servers\":[{\"cores\":1,\"speeed\":3}],\"load\":1}",
	  "unknown key \"speeed\"; nearest is \"speed\"" },
	{ "{\"name\":\"x\",\"servers\":[{\"cores\":1}],\"load\":1,\"sizes\":{\"kind\":\"bimodal\",\"mean_ms\":1}}",
	  "\"heavy_share\" is missing" },
	{ "{\"name\":\"x\",\"servers\":[{\"count\":1024,\"cores\":1},{\"cores\":1}],\"load\":1}", "more than 1024" },
};

TEST(refusals_say_where_and_why)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct sim_scenario sc;
		int e = parse(&sc, refused[i].text);
		if (e == 0)
			sim_scenario_free(&sc);
		if (e >= 0 || !strstr(err, refused[i].why) || strncmp(err, "line ", 5) != 0)
			printf("# case %zu: got \"%s\"\n", i, err);
		CHECK(e < 0);
		CHECK(strstr(err, refused[i].why) != NULL);
		CHECK(strncmp(err, "line ", 5) == 0);
	}
}

TEST(a_file_is_read_as_written)
{
	struct sim_scenario sc;

	CHECK_EQ(parse(&sc, GOOD(",\"rtt_ms\":3,\"noisy\":{\"share\":0.5,\"duration_s\":2}")), 0);
	CHECK_EQ(sc.n, 3);
	CHECK_NEAR(sc.server[0].weight, 2, 0);
	CHECK_NEAR(sc.server[2].weight, 1, 0);
	CHECK_NEAR(sc.rtt_s, .003, 1e-12);
	CHECK_NEAR(sc.rate, .5 * 8 * (1 - .6 * .5) / .010, 1e-9);
	sim_scenario_free(&sc);
}

TEST(every_named_scenario_is_readable_and_has_its_own_name)
{
	uint32_t n = 0, seeds;

	for (const struct sim_named *k = sim_named; k->name; k++, n++) {
		struct sim_scenario sc;
		struct sim_world w;
		int e = sim_scenario_parse(&sc, &seeds, k->text, strlen(k->text), "", err);
		if (e)
			printf("# %s: %s\n", k->name, err);
		CHECK_EQ(e, 0);
		if (e)
			continue;
		CHECK_STR(sc.name, k->name);
		CHECK_EQ(sim_world_make(&w, &sc, 1), 0);
		CHECK(w.flows > 100);
		sim_world_free(&w);
		sim_scenario_free(&sc);
	}
	CHECK(n >= 29);
}

static char *read_all(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	*len = f ? fread(text, 1, (1 << 20) - 1, f) : 0;
	if (f)
		fclose(f);
	return text;
}

/* Finds the schema's "properties" of the object under `key`, wherever it stands. */
static const struct json *properties(const struct json *schema, const char *key)
{
	if (!key[0])
		return json_get(schema, "properties");
	for (const struct json *c = schema->child; c; c = c->next) {
		if (c->key && strcmp(c->key, key) == 0 && c->kind == JSON_OBJECT) {
			const struct json *o = json_get(c, "items") ? json_get(c, "items") : c;
			if (json_get(o, "oneOf"))
				o = json_get(o, "oneOf")->child->next;
			if (json_get(o, "properties"))
				return json_get(o, "properties");
		}
		const struct json *p = c->child ? properties(c, key) : NULL;
		if (p)
			return p;
	}
	return NULL;
}

TEST(the_schema_knows_the_same_keys)
{
	size_t len;
	char *text = read_all(SIM_DIR "/scenario.schema.json", &len);
	struct json *schema = json_parse(text, len, err);

	CHECK(schema != NULL);
	for (const struct sim_scenario_keys *k = sim_scenario_keys; schema && k->object; k++) {
		const struct json *p = properties(schema, k->object);
		uint32_t n = 0;
		CHECK(p != NULL);
		for (; p && k->keys[n]; n++) {
			if (!json_get(p, k->keys[n]))
				printf("# schema: %s has no %s\n", k->object, k->keys[n]);
			CHECK(json_get(p, k->keys[n]) != NULL);
		}
		CHECK_EQ(p ? p->count : 0, n);
	}
	json_free(schema);
	free(text);
}

static int parse_trace(struct sim_scenario *sc, const char *lines)
{
	char path[] = "/tmp/sim_trace_XXXXXX", text[512];
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");

	fputs(lines, f);
	fclose(f);
	snprintf(text, sizeof(text),
		 "{\"name\":\"t\",\"duration_s\":3,\"warmup_s\":0,\"servers\":[{\"cores\":1}],\"sizes\":{\"kind\":\"constant\","
		 "\"mean_ms\":1},"
		 "\"arrivals\":{\"kind\":\"trace\",\"file\":\"%s\"}}",
		 path);
	int e = parse(sc, text);
	remove(path);
	return e;
}

TEST(a_trace_that_is_none_is_refused_with_its_line)
{
	static const char *const bad[] = { "0.5 10\ninf 3\n", "0.5 10\n1 inf\n", "0.5 10\n1 nan\n",
					   "0.5 10\n0.4 1\n", "0.5 10\n1 0\n",   "0.5 10\n-1 2\n",
					   "0.5 10\n1 2 3\n", "0.5 10\n1 2x\n",  "0.5 10\nhello\n" };
	struct sim_scenario sc;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int e = parse_trace(&sc, bad[i]);
		if (e >= 0 || !strstr(err, "line 2: expected"))
			printf("# case %zu: %d \"%s\"\n", i, e, err);
		CHECK(e < 0 && strstr(err, "line 2: expected"));
	}
	CHECK(parse_trace(&sc, "# nothing\n") < 0 && strstr(err, "no arrivals"));
	CHECK(parse_trace(&sc, "3 1\n") < 0 && strstr(err, "no arrivals before duration_s 3"));
}

TEST(a_trace_may_be_long_blank_and_verbose)
{
	char text[600] = "# ";
	struct sim_scenario sc;

	memset(text + 2, 'x', 400);
	strcpy(text + 402, "\n\n0.5 10\n \n2.999 20\n3 5\n700 5");
	CHECK_EQ(parse_trace(&sc, text), 0);
	CHECK_EQ(sc.traced, 2); /* arrivals end at duration_s */
	sim_scenario_free(&sc);
}

TEST(a_folder_is_no_scenario)
{
	struct sim_scenario sc;
	uint32_t seeds;

	CHECK(sim_scenario_read(&sc, &seeds, "/tmp", err) < 0 && strstr(err, "/tmp: Is a directory"));
}

TEST(a_trace_replays_its_arrivals)
{
	struct sim_scenario sc;
	struct sim_world w;

	CHECK_EQ(parse_trace(&sc, "# seconds ms\n0.5 10\n0.75 20\n2 5\n"), 0);
	CHECK_EQ(sim_world_make(&w, &sc, 1), 0);
	CHECK_EQ(w.flows, 3);
	CHECK_NEAR(w.flow[1].at_s, .75, 1e-12);
	CHECK_NEAR(w.flow[1].size_s, .020, 1e-8);
	sim_world_free(&w);
	sim_scenario_free(&sc);
}

MLB_TEST_MAIN(CASE(refusals_say_where_and_why), CASE(a_file_is_read_as_written),
	      CASE(every_named_scenario_is_readable_and_has_its_own_name), CASE(the_schema_knows_the_same_keys),
	      CASE(a_trace_replays_its_arrivals), CASE(a_trace_that_is_none_is_refused_with_its_line),
	      CASE(a_trace_may_be_long_blank_and_verbose), CASE(a_folder_is_no_scenario))
