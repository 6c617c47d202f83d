/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <marllb/endpoint.h>
#include <marllb/nearest.h>
#include "option.h"
#include "words.h"

#define FAIL(...) \
	do { \
		snprintf(err, 256, __VA_ARGS__); \
		return -EINVAL; \
	} while (0)

static const char *const show_names[] = { "stats", "weights", "servers", "config", "flows" };

const char *mlbd_show_name(enum mlbd_show s)
{
	return show_names[s];
}

static const struct mlb_word send_proxy_words[] = { { "VIP", "vip", MLBD_SEND_PROXY_VIP },
						    { "OFF", "off", MLBD_SEND_PROXY_OFF },
						    { "V1", "v1", MLBD_SEND_PROXY_V1 },
						    { "V2", "v2", MLBD_SEND_PROXY_V2 },
						    { 0 } };

const char *mlbd_send_proxy_name(uint8_t v)
{
	return send_proxy_words[v].word;
}

static const struct mlb_word protocols[] = { { "TCP", "tcp", IPPROTO_TCP }, { "UDP", "udp", IPPROTO_UDP }, { 0 } };
static const struct mlb_word off_on[] = { { "OFF", "off", 0 }, { "ON", "on", 1 }, { 0 } };
static const struct mlb_word on_off[] = { { "ON", "on", 0 }, { "OFF", "off", 1 }, { 0 } }; /* the field says what is off */

#define V(field) offsetof(struct mlbd_vip_opts, field)
static const struct mlbd_option vip_options[] = {
	{ "mode", MLBD_OPT_WORD, V(conf.mode), V(has_mode), .words = mlb_mode_words + 1 },
	{ "load", MLBD_OPT_WORD, V(conf.load), V(has_other), .words = mlb_load_words },
	{ "pool", MLBD_OPT_WORD, V(conf.owner), V(has_other), .words = mlb_owner_words },
	{ "protocol", MLBD_OPT_WORD, V(conf.ep.proto), V(has_protocol), .words = protocols },
	{ "responses", MLBD_OPT_COUNT, V(responses), V(has_responses), .max = 1000000 },
	{ "max-connections", MLBD_OPT_COUNT, V(max_conns), V(has_max_conns), .max = UINT32_MAX },
	{ "max-connections-per-source", MLBD_OPT_COUNT, V(max_per_source), V(has_max_per_source), .max = 16777214 },
	{ "max-servers", MLBD_OPT_COUNT, V(conf.capacity), V(has_other), .min = 1, .max = MLB_MAX_SERVERS_PER_VIP },
	{ "accept-proxy", MLBD_OPT_NETWORKS, V(accept_proxy), V(has_accept_proxy), .words = NULL },
	{ "send-proxy", MLBD_OPT_WORD, V(send_proxy), V(has_send_proxy), .words = send_proxy_words + 1 },
	{ "kappa", MLBD_OPT_REAL, V(conf.kappa), V(has_other), .max = 1e6 },
	{ "eject", MLBD_OPT_SWITCH, V(conf.eject), V(has_other), .words = off_on },
	{ "guard", MLBD_OPT_SWITCH, V(conf.no_guard), V(has_other), .words = on_off },
	{ "load-balancers", MLBD_OPT_COUNT, V(conf.load_balancers), V(has_other), .min = 1, .max = 1000000 },
	{ 0 }
};
#undef V

#define WEIGHT_LEAST 1e-6f
#define WEIGHT_MOST 1e6f
#define C(field) offsetof(struct mlbd_cmd, field)
static const struct mlbd_option server_options[] = {
	{ "weight", MLBD_OPT_REAL, C(server.weight), C(has_weight), .min = WEIGHT_LEAST, .max = WEIGHT_MOST },
	{ "max-connections", MLBD_OPT_COUNT, C(server.max_conns), C(has_max_conns), .max = UINT32_MAX },
	{ "send-proxy", MLBD_OPT_WORD, C(server.send_proxy), C(has_send_proxy), .words = send_proxy_words },
	{ "drain", MLBD_OPT_FLAG, C(server.drain), .words = NULL },
	{ 0 }
};

#define FLOWS_SHOWN 1000u
#define FLOWS_MOST 1000000u
static const struct mlbd_option flow_options[] = { { "vip", MLBD_OPT_NAME, C(vip), .words = NULL },
						   { "server", MLBD_OPT_ENDPOINT, C(flows.server), .words = NULL },
						   { "client", MLBD_OPT_NETWORKS, C(flows.client), .words = NULL },
						   { "max", MLBD_OPT_COUNT, C(flows.max), .min = 1, .max = FLOWS_MOST },
						   { "json", MLBD_OPT_FLAG, C(json), .words = NULL },
						   { 0 } };
#undef C

static int parse_vip(char **w, int n, struct mlbd_cmd *c, char err[256])
{
	struct mlbd_vip_opts *o = &c->opts;
	int rc;

	if (n < 2)
		FAIL("vip: expected NAME ADDRESS:PORT");
	if ((rc = mlbd_parse_name("vip name", w[0], c->vip, err)) || (rc = mlb_endpoint_parse(w[1], true, &o->conf.ep, err)))
		return rc;
	strcpy(o->conf.name, c->vip);
	o->conf.mode = MLB_MODE_SED;
	o->conf.prefix_len = 128;
	o->conf.capacity = MLB_MAX_SERVERS_PER_VIP;
	o->conf.eject = true;
	o->conf.load_balancers = 1;
	o->send_proxy = MLBD_SEND_PROXY_OFF;
	if ((rc = mlbd_options_of(vip_options, "vip option", w + 2, n - 2, o, err)))
		return rc;
	if (o->responses && o->conf.ep.proto != IPPROTO_UDP)
		FAIL("responses: expected with protocol udp only");
	if (o->conf.ep.proto == IPPROTO_UDP && (o->accept_proxy.n || o->send_proxy != MLBD_SEND_PROXY_OFF))
		FAIL("vip %s: PROXY headers: expected protocol tcp", c->vip);
	return 0;
}

/* "vip NAME" in front, if it is there. Moves w and n past it. */
static int parse_of_vip(char ***w, int *n, struct mlbd_cmd *c, char err[256])
{
	if (*n < 1 || strcmp((*w)[0], "vip"))
		return 0;
	if (*n < 2)
		FAIL("expected a name after vip");
	int rc = mlbd_parse_name("vip name", (*w)[1], c->vip, err);

	*w += 2;
	*n -= 2;
	return rc;
}

/* [vip NAME] ADDRESS:PORT; moves w and n past them. */
static int parse_which(char ***w, int *n, struct mlbd_cmd *c, char err[256])
{
	int rc = parse_of_vip(w, n, c, err);

	if (rc)
		return rc;
	if (*n < 1)
		FAIL("expected [vip NAME] ADDRESS:PORT");
	c->server.weight = 1;
	rc = mlb_endpoint_parse((*w)[0], false, &c->server.ep, err);
	++*w;
	--*n;
	return rc;
}

static int parse_server(char **w, int n, struct mlbd_cmd *c, char err[256])
{
	int rc = parse_which(&w, &n, c, err);

	return rc ? rc : mlbd_options_of(server_options, "server option", w, n, c, err);
}

static int parse_bare_server(char **w, int n, struct mlbd_cmd *c, char err[256])
{
	int rc = parse_which(&w, &n, c, err);

	if (rc == 0 && n > 0)
		FAIL("'%.80s': expected nothing after ADDRESS:PORT", w[0]);
	return rc;
}

static int parse_drain(char **w, int n, struct mlbd_cmd *c, char err[256])
{
	if (n == 0)
		FAIL("drain: expected [vip NAME] ADDRESS:PORT of a server; `stop` drains and ends the whole data plane");
	return parse_bare_server(w, n, c, err);
}

static int parse_no_vip(char **w, int n, struct mlbd_cmd *c, char err[256])
{
	if (n != 1)
		FAIL("no: expected vip NAME, or server [vip NAME] ADDRESS:PORT");
	return mlbd_parse_name("vip name", w[0], c->vip, err);
}

static int parse_set_mode(char **w, int n, struct mlbd_cmd *c, char err[256])
{
	int rc = parse_of_vip(&w, &n, c, err);
	uint8_t mode;

	if (rc)
		return rc;
	if (n != 1)
		FAIL("set-mode: expected [vip NAME] and sed, p2c, alias or hash");
	rc = mlbd_parse_word("mode", w[0], mlb_mode_words + 1, &mode, err);
	if (rc == 0)
		c->mode = (enum mlb_mode)mode;
	return rc;
}

static int parse_set_servers(char **w, int n, struct mlbd_cmd *c, char err[256])
{
	int rc = parse_of_vip(&w, &n, c, err);

	if (rc)
		return rc;
	if (n > (int)MLB_MAX_SERVERS_PER_VIP)
		FAIL("set-servers: expected at most %u servers", MLB_MAX_SERVERS_PER_VIP);
	c->list = calloc((size_t)n + 1, sizeof(*c->list));
	if (!c->list)
		return mlbd_no_memory(err);
	for (int i = 0; i < n; i++) {
		struct mlbd_server_conf *s = &c->list[i];
		char *eq = strchr(w[i], '=');

		s->weight = 1;
		if (eq) {
			*eq = 0;
			if ((rc = mlbd_parse_real("weight", eq + 1, WEIGHT_LEAST, WEIGHT_MOST, &s->weight, err)))
				return rc;
		}
		if ((rc = mlb_endpoint_parse(w[i], false, &s->ep, err)))
			return rc;
		for (int k = 0; k < i; k++)
			if (mlb_endpoint_eq(&c->list[k].ep, &s->ep))
				FAIL("server %.60s is listed twice", w[i]);
	}
	c->count = (uint32_t)n;
	return 0;
}

static int parse_show(char **w, int n, struct mlbd_cmd *c, char err[256])
{
	for (int i = 0; n > 0 && i < 5; i++)
		if (strcmp(w[0], show_names[i]) == 0) {
			c->show = (enum mlbd_show)i;
			if (n == 2 && strcmp(w[1], "json") == 0)
				c->json = true;
			else if (n != 1)
				FAIL("show %s: expected nothing more, or json", w[0]);
			return 0;
		}
	FAIL("show: expected stats, weights, servers, config or flows, and json after it if wanted");
}

static int parse_show_flows(char **w, int n, struct mlbd_cmd *c, char err[256])
{
	c->show = MLBD_SHOW_FLOWS;
	c->flows.max = FLOWS_SHOWN;
	return mlbd_options_of(flow_options, "show flows", w, n, c, err);
}

static int parse_nothing(char **w, int n, struct mlbd_cmd *c, char err[256])
{
	(void)c;
	if (n)
		FAIL("%s: expected nothing after it", w[-1]);
	return 0;
}

/* A verb, of one word or two. Parsing and help are made from its row. */
struct verb {
	const char *word;
	enum mlbd_op op;
	enum { CONFIG, CONTROL, INTERNAL } where; /* a file and the control socket, that alone, or between two of marllb-dp */
	int (*parse)(char **w, int n, struct mlbd_cmd *, char err[256]);
	const char *args;
	const struct mlbd_option *options;
	const char *help; /* its lines end with a newline, but for the last */
};

static const struct verb verbs[] = {
	{ "vip", MLBD_OP_VIP, CONFIG, parse_vip, "NAME ADDRESS:PORT", vip_options,
	  "a virtual service; naming it again changes mode, limits and PROXY headers. A\n"
	  "source is an IPv4 address or an IPv6 /64. A udp flow is over when nothing passed\n"
	  "for udp-timeout, or after N responses (DNS: 1; 0, the default: by time alone)" },
	{ "set-vip", MLBD_OP_VIP, CONFIG, parse_vip, "", NULL, "another name for vip" },
	{ "server", MLBD_OP_SERVER, CONFIG, parse_server, "[vip NAME] ADDRESS:PORT", server_options,
	  "add a server, or change one that is there" },
	{ "add-server", MLBD_OP_SERVER, CONFIG, parse_server, "", NULL, "another name for server" },
	{ "set-servers", MLBD_OP_SET_SERVERS, CONFIG, parse_set_servers, "[vip NAME] ADDRESS:PORT[=WEIGHT]...", NULL,
	  "the whole list at once" },
	{ "set-mode", MLBD_OP_MODE, CONFIG, parse_set_mode, "[vip NAME] sed|p2c|alias|hash", NULL, "how the weights are used" },
	{ "drain", MLBD_OP_DRAIN, CONFIG, parse_drain, "[vip NAME] ADDRESS:PORT", NULL, "no new connections to this server" },
	{ "undrain", MLBD_OP_UNDRAIN, CONTROL, parse_bare_server, "[vip NAME] ADDRESS:PORT", NULL, "new connections again" },
	{ "no vip", MLBD_OP_NO_VIP, CONTROL, parse_no_vip, "NAME", NULL, "stop listening; its connections run on" },
	{ "no server", MLBD_OP_NO_SERVER, CONTROL, parse_bare_server, "[vip NAME] ADDRESS:PORT", NULL,
	  "remove a server; its connections run on" },
	{ "del-server", MLBD_OP_NO_SERVER, CONTROL, parse_bare_server, "", NULL, "another name for no server" },
	{ "show flows", MLBD_OP_SHOW, CONTROL, parse_show_flows, "", flow_options,
	  "those of a vip, a server, clients' networks; the first 1000, or N" },
	{ "show", MLBD_OP_SHOW, CONTROL, parse_show, "stats|weights|servers|config [json]", NULL, "what runs, and how" },
	{ "reload", MLBD_OP_RELOAD, CONTROL, parse_nothing, "", NULL, "as SIGHUP" },
	{ "stop", MLBD_OP_STOP, CONTROL, parse_nothing, "", NULL,
	  "no new connections, wait for those there are (drain-timeout), exit" },
	{ "quit", MLBD_OP_QUIT, CONTROL, parse_nothing, "", NULL, "exit at once; open connections are reset" },
	{ "help", MLBD_OP_HELP, CONTROL, parse_nothing, "", NULL, "this list" },
	{ "supervised", MLBD_OP_SUPERVISED, INTERNAL, parse_nothing, "", NULL, "" },
	{ "takeover", MLBD_OP_TAKEOVER, INTERNAL, parse_nothing, "", NULL, "" },
	{ "connections", MLBD_OP_CONNECTIONS, INTERNAL, parse_nothing, "", NULL, "" },
	{ "release", MLBD_OP_RELEASE, INTERNAL, parse_nothing, "", NULL, "" },
	{ 0 }
};

bool mlbd_cmd_is_config(enum mlbd_op op)
{
	for (const struct verb *v = verbs; v->word; v++)
		if (v->op == op && v->where == CONFIG)
			return true;
	return op == MLBD_OP_NONE || op == MLBD_OP_SET;
}

void mlbd_cmd_help(bool control, struct mlbd_text *t)
{
	for (const struct verb *v = verbs; v->word; v++) {
		const char *line = v->help;

		if (v->where != (control ? CONTROL : CONFIG))
			continue;
		int width = snprintf(NULL, 0, "  %s %s", v->word, v->args);
		bool below = v->options || width > 30;

		mlbd_text_add(t, "  %s %s", v->word, v->args);
		if (below)
			mlbd_text_add(t, "\n");
		if (v->options)
			mlbd_options_help(v->options, 6, t);
		while (*line) {
			int len = (int)strcspn(line, "\n");

			mlbd_text_add(t, "%*s%.*s\n", below || line != v->help ? 31 : 31 - width, "", len, line);
			line += len + (line[len] == '\n');
		}
	}
}

static int unknown(const char *word, char err[256])
{
	struct mlb_nearest near = { 0 };

	for (const struct verb *v = verbs; v->word; v++)
		if (v->where != INTERNAL)
			mlb_nearest_offer(&near, word, v->word);
	for (uint32_t i = 0; i < mlbd_setting_count; i++)
		mlb_nearest_offer(&near, word, mlbd_setting_list[i].name);
	if (near.distance < 4 && near.distance <= (strlen(word) < 4 ? 1 : strlen(word) / 2))
		FAIL("unknown word '%.80s': expected perhaps '%s'", word, near.word);
	FAIL("unknown word '%.80s': expected vip, server, no, a setting (see --help) or, on the control socket, show, drain, "
	     "stop, quit",
	     word);
}

/* The verb that the words begin with, and how many words it has. */
static const struct verb *find_verb(char *const *w, int n, int *words)
{
	for (const struct verb *v = verbs; v->word; v++) {
		size_t first = strcspn(v->word, " ");

		*words = v->word[first] ? 2 : 1;
		if (strlen(w[0]) == first && strncmp(w[0], v->word, first) == 0 &&
		    (*words == 1 || (n > 1 && strcmp(w[1], v->word + first + 1) == 0)))
			return v;
	}
	return NULL;
}

static int parse_words(char **w, int n, struct mlbd_cmd *c, char err[256])
{
	const struct verb *v;
	int words;

	if (n == 0)
		return 0;
	c->setting = mlbd_setting_find(w[0]);
	if (c->setting) {
		c->op = MLBD_OP_SET;
		return mlbd_setting_parse(c->setting, w + 1, n - 1, &c->value, err);
	}
	v = find_verb(w, n, &words);
	if (v) {
		c->op = v->op;
		return v->parse(w + words, n - words, c, err);
	}
	if (strcmp(w[0], "no") == 0)
		return parse_no_vip(w, 0, c, err);
	return unknown(w[0], err);
}

int mlbd_cmd_parse(const char *line, struct mlbd_cmd *c, char err[256])
{
	struct mlbd_words words;
	int rc;

	memset(c, 0, sizeof(*c));
	rc = mlbd_words_split(&words, line, err);
	if (rc == 0)
		rc = parse_words(words.w, words.n, c, err);
	mlbd_words_free(&words);
	return rc;
}

void mlbd_cmd_free(struct mlbd_cmd *c)
{
	free(c->list);
	c->list = NULL;
}
