/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <marllb/endpoint.h>
#include <marllb/nearest.h>
#include "text.h"

#include "words.h"

#define FAIL(...) \
	do { \
		snprintf(err, 256, __VA_ARGS__); \
		return -EINVAL; \
	} while (0)

const char mlbd_cmd_help[] =
	"  vip NAME ADDRESS:PORT [mode sed|p2c|alias|hash] [load flows|waiting] [pool local|managed]\n"
	"      [protocol tcp|udp] [responses N] [max-connections N] [max-connections-per-source N]\n"
	"      [max-servers N]\n"
	"      [accept-proxy NETWORK,...|none] [send-proxy off|v1|v2]\n"
	"      [kappa X] [eject on|off] [guard on|off] [load-balancers N]\n"
	"                               a virtual service; naming it again changes mode, limits and PROXY headers; a\n"
	"                               source is an IPv4 address or an IPv6 /64. A udp flow is over when nothing passed\n"
	"                               for udp-timeout, or after N responses (DNS: 1; 0, the default: by time alone)\n"
	"  no vip NAME                  stop listening; its connections run on\n"
	"  server [vip NAME] ADDRESS:PORT [weight W] [max-connections N] [send-proxy vip|off|v1|v2] [drain]\n"
	"                               add a server, or change one that is there\n"
	"  no server [vip NAME] ADDRESS:PORT\n"
	"                               remove a server; its connections run on\n"
	"  drain [vip NAME] ADDRESS:PORT, undrain ...\n"
	"                               no new connections to this server, or again\n"
	"  set-servers [vip NAME] ADDRESS:PORT[=WEIGHT]...\n"
	"                               the whole list at once\n"
	"  add-server, del-server       other names for server and no server\n"
	"  set-mode [vip NAME] MODE     sed, p2c, alias or hash\n";

static const char *const show_names[] = { "stats", "weights", "servers", "config", "flows" };

const char *mlbd_show_name(enum mlbd_show s)
{
	return show_names[s];
}

static int parse_mode(const char *text, enum mlb_mode *mode, char err[256])
{
	char list[80];
	int value = mlb_mode_parse(text);

	if (value <= MLB_MODE_KEEP)
		FAIL("mode '%.80s': expected %s", text, mlb_words_list(mlb_mode_words + 1, list, sizeof(list)));
	*mode = (enum mlb_mode)value;
	return 0;
}

static int parse_count(const char *what, const char *text, uint32_t min, uint32_t max, uint32_t *out, char err[256])
{
	char *rest;
	unsigned long v = strtoul(text, &rest, 10);

	if (text[0] < '0' || text[0] > '9' || *rest || v < min || v > max)
		FAIL("%s '%.80s': expected a number from %u to %u", what, text, min, max);
	*out = (uint32_t)v;
	return 0;
}

static int parse_real(const char *what, const char *text, float min, float max, float *out, char err[256])
{
	char *rest;
	float v = strtof(text, &rest);

	if (rest == text || *rest || !isfinite(v) || v < min || v > max)
		FAIL("%s '%.80s': expected a number from %g to %g", what, text, (double)min, (double)max);
	*out = v;
	return 0;
}

static int parse_name(const char *text, char out[MLB_NAME_LEN], char err[256])
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	if (n == 0 || text[n] || n >= MLB_NAME_LEN)
		FAIL("vip name '%.80s': expected 1 to %u letters, digits, '_', '.' or '-'", text, MLB_NAME_LEN - 1);
	strcpy(out, text);
	return 0;
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

/* An option of a vip line: its word, what may stand behind it, and where the value goes. */
struct option {
	const char *word;
	enum { COUNT, REAL, WORD, SWITCH, NETWORKS } kind;
	uint32_t off, has; /* in struct mlbd_vip_opts: the value, and the bool that says that the line names it */
	double min, max;   /* COUNT, REAL */
	const struct mlb_word *words;
};

static const struct mlb_word protocols[] = { { "TCP", "tcp", IPPROTO_TCP }, { "UDP", "udp", IPPROTO_UDP }, { 0 } };
static const struct mlb_word off_on[] = { { "OFF", "off", 0 }, { "ON", "on", 1 }, { 0 } };
static const struct mlb_word on_off[] = { { "ON", "on", 0 }, { "OFF", "off", 1 }, { 0 } }; /* the field says what is off */

#define V(field) offsetof(struct mlbd_vip_opts, field)
static const struct option vip_options[] = {
	{ "mode", WORD, V(conf.mode), V(has_mode), .words = mlb_mode_words + 1 },
	{ "load", WORD, V(conf.load), V(has_other), .words = mlb_load_words },
	{ "pool", WORD, V(conf.owner), V(has_other), .words = mlb_owner_words },
	{ "protocol", WORD, V(conf.ep.proto), V(has_protocol), .words = protocols },
	{ "responses", COUNT, V(responses), V(has_responses), .min = 0, .max = 1000000 },
	{ "max-connections", COUNT, V(max_conns), V(has_max_conns), .min = 0, .max = UINT32_MAX },
	{ "max-connections-per-source", COUNT, V(max_per_source), V(has_max_per_source), .min = 0, .max = 16777214 },
	{ "max-servers", COUNT, V(conf.capacity), V(has_other), .min = 1, .max = MLB_MAX_SERVERS_PER_VIP },
	{ "accept-proxy", NETWORKS, V(accept_proxy), V(has_accept_proxy), .words = NULL },
	{ "send-proxy", WORD, V(send_proxy), V(has_send_proxy), .words = send_proxy_words + 1 },
	{ "kappa", REAL, V(conf.kappa), V(has_other), .min = 0, .max = 1e6 },
	{ "eject", SWITCH, V(conf.eject), V(has_other), .words = off_on },
	{ "guard", SWITCH, V(conf.no_guard), V(has_other), .words = on_off },
	{ "load-balancers", COUNT, V(conf.load_balancers), V(has_other), .min = 1, .max = 1000000 },
};
#undef V
#define VIP_OPTIONS (sizeof(vip_options) / sizeof(vip_options[0]))

static int parse_word(const char *what, const char *text, const struct mlb_word *words, uint8_t *out, char err[256])
{
	const struct mlb_word *found = mlb_word_find(words, text);
	char list[80];

	if (!found)
		FAIL("%s '%.80s': expected %s", what, text, mlb_words_list(words, list, sizeof(list)));
	*out = (uint8_t)found->value;
	return 0;
}

static int parse_option(const struct option *k, const char *text, struct mlbd_vip_opts *o, char err[256])
{
	void *at = (char *)o + k->off;
	uint8_t value = 0;
	int rc;

	*(bool *)((char *)o + k->has) = true;
	if (k->kind == COUNT)
		return parse_count(k->word, text, (uint32_t)k->min, (uint32_t)k->max, at, err);
	if (k->kind == REAL)
		return parse_real(k->word, text, (float)k->min, (float)k->max, at, err);
	if (k->kind == NETWORKS)
		return mlbd_nets_parse(k->word, text, at, err);
	rc = parse_word(k->word, text, k->words, &value, err);
	if (rc)
		return rc;
	if (k->kind == SWITCH)
		*(bool *)at = value != 0;
	else
		*(uint8_t *)at = value;
	return 0;
}

static int unknown_option(const char *word, char err[256])
{
	char list[200] = "";

	for (size_t i = 0; i < VIP_OPTIONS; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
			 i == 0               ? "" :
			 i == VIP_OPTIONS - 1 ? " or " :
						", ",
			 vip_options[i].word);
	FAIL("vip option '%.40s': expected %.190s", word, list);
}

static int parse_vip(char **w, int n, struct mlbd_cmd *c, char err[256])
{
	struct mlbd_vip_opts *o = &c->opts;
	int rc;

	if (n < 2)
		FAIL("vip: expected NAME ADDRESS:PORT");
	if ((rc = parse_name(w[0], c->vip, err)) || (rc = mlb_endpoint_parse(w[1], true, &o->conf.ep, err)))
		return rc;
	strcpy(o->conf.name, c->vip);
	o->conf.mode = MLB_MODE_SED;
	o->conf.prefix_len = 128;
	o->conf.capacity = MLB_MAX_SERVERS_PER_VIP;
	o->conf.eject = true;
	o->conf.load_balancers = 1;
	o->send_proxy = MLBD_SEND_PROXY_OFF;
	for (int i = 2; i < n; i += 2) {
		size_t k = 0;

		while (k < VIP_OPTIONS && strcmp(w[i], vip_options[k].word))
			k++;
		if (k == VIP_OPTIONS)
			return unknown_option(w[i], err);
		if ((rc = parse_option(&vip_options[k], i + 1 < n ? w[i + 1] : "", o, err)))
			return rc;
	}
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
	int rc = parse_name((*w)[1], c->vip, err);

	*w += 2;
	*n -= 2;
	return rc;
}

static int parse_server(char **w, int n, struct mlbd_cmd *c, bool bare, char err[256])
{
	int rc = parse_of_vip(&w, &n, c, err);

	if (rc)
		return rc;
	if (n < 1)
		FAIL("expected [vip NAME] ADDRESS:PORT");
	c->server.weight = 1;
	if ((rc = mlb_endpoint_parse(w[0], false, &c->server.ep, err)))
		return rc;
	if (bare && n > 1)
		FAIL("'%.80s': expected nothing after ADDRESS:PORT", w[1]);
	for (int i = 1; i < n; i++) {
		const char *v = i + 1 < n ? w[i + 1] : "";

		if (strcmp(w[i], "drain") == 0) {
			c->server.drain = true;
			continue;
		}
		if (strcmp(w[i], "weight") == 0) {
			rc = parse_real(w[i], v, 1e-6f, 1e6f, &c->server.weight, err);
			c->has_weight = true;
		} else if (strcmp(w[i], "max-connections") == 0) {
			rc = parse_count(w[i], v, 0, UINT32_MAX, &c->server.max_conns, err);
			c->has_max_conns = true;
		} else if (strcmp(w[i], "send-proxy") == 0) {
			rc = parse_word(w[i], v, send_proxy_words, &c->server.send_proxy, err);
			c->has_send_proxy = true;
		} else {
			FAIL("server option '%.80s': expected weight, max-connections, send-proxy or drain", w[i]);
		}
		if (rc)
			return rc;
		i++;
	}
	return 0;
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
			if ((rc = parse_real("weight", eq + 1, 1e-6f, 1e6f, &s->weight, err)))
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

static const struct {
	const char *word;
	enum mlbd_op op;
	bool config;
} verbs[] = {
	{ "vip", MLBD_OP_VIP, true },
	{ "set-vip", MLBD_OP_VIP, true },
	{ "server", MLBD_OP_SERVER, true },
	{ "add-server", MLBD_OP_SERVER, true },
	{ "del-server", MLBD_OP_NO_SERVER, false },
	{ "set-servers", MLBD_OP_SET_SERVERS, true },
	{ "set-mode", MLBD_OP_MODE, true },
	{ "drain", MLBD_OP_DRAIN, true },
	{ "undrain", MLBD_OP_UNDRAIN, false },
	{ "show", MLBD_OP_SHOW, false },
	{ "stop", MLBD_OP_STOP, false },
	{ "quit", MLBD_OP_QUIT, false },
	{ "reload", MLBD_OP_RELOAD, false },
	{ "takeover", MLBD_OP_TAKEOVER, false },
	{ "connections", MLBD_OP_CONNECTIONS, false },
	{ "release", MLBD_OP_RELEASE, false },
	{ "help", MLBD_OP_HELP, false },
};

bool mlbd_cmd_is_config(enum mlbd_op op)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (verbs[i].op == op && verbs[i].config)
			return true;
	return op == MLBD_OP_NONE || op == MLBD_OP_SET;
}

static int unknown(const char *word, char err[256])
{
	struct mlb_nearest near = { 0 };

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		mlb_nearest_offer(&near, word, verbs[i].word);
	for (uint32_t i = 0; i < mlbd_setting_count; i++)
		mlb_nearest_offer(&near, word, mlbd_setting_list[i].name);
	if (near.distance < 4)
		FAIL("unknown word '%.80s': expected perhaps '%s'", word, near.word);
	FAIL("unknown word '%.80s': expected vip, server, no, a setting (see --help) or, on the control socket, show, drain, "
	     "stop, quit",
	     word);
}

static int parse_words(char **w, int n, struct mlbd_cmd *c, char err[256])
{
	int rc;

	if (n == 0)
		return 0;
	c->setting = mlbd_setting_find(w[0]);
	if (c->setting) {
		c->op = MLBD_OP_SET;
		return mlbd_setting_parse(c->setting, w + 1, n - 1, &c->value, err);
	}
	if (strcmp(w[0], "no") == 0) {
		if (n == 3 && strcmp(w[1], "vip") == 0) {
			c->op = MLBD_OP_NO_VIP;
			return parse_name(w[2], c->vip, err);
		}
		if (n > 2 && strcmp(w[1], "server") == 0) {
			c->op = MLBD_OP_NO_SERVER;
			return parse_server(w + 2, n - 2, c, true, err);
		}
		FAIL("no: expected vip NAME, or server [vip NAME] ADDRESS:PORT");
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].word, w[0]) == 0)
			c->op = verbs[i].op;
	w++;
	n--;
	switch (c->op) {
	case MLBD_OP_NONE: return unknown(w[-1], err);
	case MLBD_OP_VIP: return parse_vip(w, n, c, err);
	case MLBD_OP_SERVER: return parse_server(w, n, c, false, err);
	case MLBD_OP_NO_SERVER:
	case MLBD_OP_UNDRAIN: return parse_server(w, n, c, true, err);
	case MLBD_OP_DRAIN:
		if (n == 0) { /* of the whole data plane */
			c->op = MLBD_OP_STOP;
			return 0;
		}
		return parse_server(w, n, c, true, err);
	case MLBD_OP_SET_SERVERS: return parse_set_servers(w, n, c, err);
	case MLBD_OP_MODE:
		if ((rc = parse_of_vip(&w, &n, c, err)))
			return rc;
		if (n != 1)
			FAIL("set-mode: expected [vip NAME] and sed, p2c, alias or hash");
		return parse_mode(w[0], &c->mode, err);
	case MLBD_OP_SHOW: return parse_show(w, n, c, err);
	default:
		if (n)
			FAIL("%s: expected nothing after it", w[-1]);
		return 0;
	}
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
