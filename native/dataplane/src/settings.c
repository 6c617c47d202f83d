/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <marllb/endpoint.h>
#include <marllb/vocab.h>
#include "log.h"
#include "number.h"
#include "option.h"

#define MLBD_WEEK 604800000u /* ms */

static const struct mlb_word off_on[] = { { "OFF", "off", 0 }, { "ON", "on", 1 }, { 0 } };
static const struct mlb_word log_times[] = {
	{ "OFF", "off", MLBD_LOG_TIME_OFF }, { "UNIX", "unix", MLBD_LOG_TIME_UNIX }, { "ISO", "iso", MLBD_LOG_TIME_ISO }, { 0 }
};

#define F(field) offsetof(struct mlbd_settings, field), sizeof(((struct mlbd_settings *)0)->field)

/* A time or number whose default the services share (marllb/vocab.h). */
#define SHARED(name) .def = MLB_DEFAULT_##name

const struct mlbd_setting mlbd_setting_list[] = {
	{ "instance", "NAME", "name of this data plane in the region", MLBD_NAME, F(instance), .text = "default" },
	{ "region", "PATH|off", "shared-memory region", MLBD_PATH, F(region), .min = 1, .text = "/dev/shm/lb_rl_shm" },
	{ "region-group", "GROUP", "group that may open the region (default: none, mode 0600)", MLBD_TEXT, F(region_group),
	  .min = 0 },
	{ "control", "PATH|off", "control socket (default: the region's path + .ctl)", MLBD_PATH, F(control), .min = 1 },
	{ "threads", "N", "worker threads; 0: processors that affinity and control groups allow, at most 16", MLBD_COUNT,
	  F(threads), .max = MLBD_MAX_THREADS },
	{ "frame", "TIME", "period of the frames in the region", MLBD_TIME, F(frame_ms), .min = 5, .max = 10000, .def = 100 },
	{ "lease", "TIME", "agent silent for this long: static weights", MLBD_TIME, F(lease_ms), .min = 10, .max = 600000,
	  SHARED(LEASE) },
	{ "max-vips", "N", "VIPs that the region is made for", MLBD_COUNT, F(max_vips), .min = 1, .max = MLB_MAX_VIPS,
	  SHARED(MAX_VIPS) },
	{ "max-servers", "N", "servers of all VIPs that the region is made for", MLBD_COUNT, F(max_servers), .min = 1,
	  .max = MLB_MAX_SERVERS, SHARED(MAX_SERVERS) },
	{ "backlog", "N", "connections that may wait to be accepted, per listener", MLBD_COUNT, F(backlog), .min = 1,
	  .max = 65535, SHARED(BACKLOG) },
	{ "sources", "ADDRESS... | none", "connect to servers from these addresses in turn (default: none)", MLBD_SOURCES,
	  F(source), .live = true },
	{ "connect-timeout", "TIME", "a server that has not answered a connect by then failed", MLBD_TIME, F(connect_ms),
	  .min = 1, .max = 600000, SHARED(CONNECT_TIMEOUT), .live = true },
	{ "retries", "N", "other servers tried after a failed connect", MLBD_COUNT, F(retries), .min = 0, .max = MLBD_MAX_RETRIES,
	  SHARED(RETRIES), .live = true },
	{ "idle-timeout", "TIME", "close a connection on which nothing moved for this long", MLBD_TIME, F(idle_ms), .min = 10,
	  .max = MLBD_WEEK, SHARED(IDLE_TIMEOUT), .live = true },
	{ "first-byte-timeout", "TIME",
	  "close a connection on which neither side has said anything by then; 0: idle-timeout holds", MLBD_TIME,
	  F(first_byte_ms), .min = 0, .max = MLBD_WEEK, SHARED(FIRST_BYTE_TIMEOUT), .live = true },
	{ "proxy-header-timeout", "TIME", "close a connection that must begin with a PROXY header and has not sent it by then",
	  MLBD_TIME, F(proxy_header_ms), .min = 10, .max = 600000, SHARED(PROXY_HEADER_TIMEOUT), .live = true },
	{ "half-closed-timeout", "TIME",
	  "close a connection of which one side has ended and the other is silent for this long; 0: idle-timeout holds",
	  MLBD_TIME, F(half_closed_ms), .min = 0, .max = MLBD_WEEK, SHARED(HALF_CLOSED_TIMEOUT), .live = true },
	{ "keepalive", "TIME", "ask a silent peer whether it is there after this long, by TCP keepalive; 0: never", MLBD_TIME,
	  F(keepalive_ms), .min = 0, .max = 32767000, SHARED(KEEPALIVE), .live = true },
	{ "keepalive-interval", "TIME", "ask again after this long without an answer", MLBD_TIME, F(keepalive_interval_ms),
	  .min = 1000, .max = 32767000, SHARED(KEEPALIVE_INTERVAL), .live = true },
	{ "keepalive-probes", "N", "a peer that leaves so many unanswered is gone", MLBD_COUNT, F(keepalive_probes), .min = 1,
	  .max = 127, SHARED(KEEPALIVE_PROBES), .live = true },
	{ "user-timeout", "TIME",
	  "a peer that acknowledges nothing, or takes nothing, for this long is gone; 0: the kernel's default", MLBD_TIME,
	  F(user_timeout_ms), .min = 0, .max = 2147483647, SHARED(USER_TIMEOUT), .live = true },
	{ "pipe-memory", "MIB", "at most this much kernel memory for spliced streams; beyond it bytes are copied", MLBD_COUNT,
	  F(pipe_memory), .min = 0, .max = 1048576, SHARED(PIPE_MEMORY), .live = true },
	{ "freebind", "on|off", "listen on addresses that this machine does not have yet", MLBD_WORD, F(freebind),
	  .words = off_on, .live = true },
	{ "transparent", "on|off", "connect to servers from the client's address; needs CAP_NET_ADMIN and routes back", MLBD_WORD,
	  F(transparent), .words = off_on, .live = true },
	{ "udp-timeout", "TIME", "a udp flow on which nothing passed for this long is over", MLBD_TIME, F(udp_ms), .min = 10,
	  .max = MLBD_WEEK, SHARED(UDP_TIMEOUT), .live = true },
	{ "udp-coalesce", "N",
	  "microseconds that datagrams may wait for others while they come quickly, so that one wake-up moves many; 0: never",
	  MLBD_COUNT, F(udp_coalesce_us), .max = 10000, SHARED(UDP_COALESCE), .live = true },
	{ "udp-receive-buffer", "KIB",
	  "datagrams of clients that may wait at a udp vip; without CAP_NET_ADMIN net.core.rmem_max limits it", MLBD_COUNT,
	  F(udp_room), .min = 4, .max = 1048576, SHARED(UDP_RECEIVE_BUFFER), .live = true },
	{ "log-time", "off|unix|iso", "how a line of the log begins: without a time, with milliseconds since 1970, with the date",
	  MLBD_WORD, F(log_time), .words = log_times, .def = MLBD_LOG_TIME_ISO, .live = true },
	{ "drain-timeout", "TIME", "at a stop, wait this long for connections to end", MLBD_TIME, F(drain_ms), .min = 0,
	  .max = MLBD_WEEK, SHARED(DRAIN_TIMEOUT), .live = true },
};
const uint32_t mlbd_setting_count = sizeof(mlbd_setting_list) / sizeof(mlbd_setting_list[0]);

void mlbd_settings_default(struct mlbd_settings *s)
{
	memset(s, 0, sizeof(*s));
	for (uint32_t i = 0; i < mlbd_setting_count; i++) {
		const struct mlbd_setting *k = &mlbd_setting_list[i];
		void *at = (char *)s + k->off;

		if (k->text)
			strcpy(at, k->text);
		else if (k->kind == MLBD_COUNT || k->kind == MLBD_TIME || k->kind == MLBD_WORD)
			*(uint64_t *)at = k->def;
	}
}

const struct mlbd_setting *mlbd_setting_find(const char *name)
{
	for (uint32_t i = 0; i < mlbd_setting_count; i++)
		if (strcmp(mlbd_setting_list[i].name, name) == 0)
			return &mlbd_setting_list[i];
	return NULL;
}

static int parse_time(const char *text, uint64_t *ms)
{
	double v;
	const char *unit = mlbd_decimal(text, &v);

	if (!unit)
		return -EINVAL;
	if (strcmp(unit, "s") == 0)
		v *= 1e3;
	else if (strcmp(unit, "m") == 0)
		v *= 60e3;
	else if (strcmp(unit, "h") == 0)
		v *= 3600e3;
	else if (strcmp(unit, "ms") != 0 && *unit)
		return -EINVAL;
	if (!(v <= 1e12))
		return -EINVAL;
	*ms = (uint64_t)(v + 0.5);
	return 0;
}

static int parse_sources(char *const *words, int n, struct mlbd_settings *s, char err[256])
{
	s->sources = 0;
	if (n == 1 && strcmp(words[0], "none") == 0)
		return 0;
	for (int i = 0; i < n; i++) {
		if (s->sources == MLBD_MAX_SOURCES) {
			snprintf(err, 256, "sources: expected at most %d addresses", MLBD_MAX_SOURCES);
			return -EINVAL;
		}
		if (mlb_addr_parse(words[i], &s->source[s->sources])) {
			snprintf(err, 256, "sources '%.80s': expected an IPv4 or IPv6 address without port", words[i]);
			return -EINVAL;
		}
		s->sources++;
	}
	return 0;
}

int mlbd_setting_parse(const struct mlbd_setting *k, char *const *words, int n, struct mlbd_settings *s, char err[256])
{
	void *at = (char *)s + k->off;
	uint8_t word;
	uint64_t v;

	if (n < 1 || (n > 1 && k->kind != MLBD_SOURCES)) {
		snprintf(err, 256, "%s: expected %s", k->name, k->arg);
		return -EINVAL;
	}
	switch (k->kind) {
	case MLBD_SOURCES: return parse_sources(words, n, s, err);
	case MLBD_NAME: return mlbd_parse_name(k->name, words[0], at, err);
	case MLBD_PATH:
		if (words[0][0] != '/' && strcmp(words[0], "off") != 0) {
			snprintf(err, 256, "%s '%.80s': expected an absolute path or off", k->name, words[0]);
			return -EINVAL;
		}
		/* fall through */
	case MLBD_TEXT:
		if (strlen(words[0]) >= k->size) {
			snprintf(err, 256, "%s '%.80s': expected at most %u characters", k->name, words[0], k->size - 1);
			return -EINVAL;
		}
		memset(at, 0, k->size);
		strcpy(at, words[0]);
		return 0;
	case MLBD_WORD:
		if (mlbd_parse_word(k->name, words[0], k->words, &word, err))
			return -EINVAL;
		v = word;
		break;
	case MLBD_TIME:
		if (parse_time(words[0], &v) || v < k->min || v > k->max) {
			snprintf(err, 256,
				 "%s '%.80s': expected a time from %" PRIu64 "ms to %" PRIu64 "ms, such as 500ms, 2s, 1.5m",
				 k->name, words[0], k->min, k->max);
			return -EINVAL;
		}
		break;
	default:
		if (mlbd_whole(words[0], &v) || v < k->min || v > k->max) {
			snprintf(err, 256, "%s '%.80s': expected a number from %" PRIu64 " to %" PRIu64 ", in decimal digits",
				 k->name, words[0], k->min, k->max);
			return -EINVAL;
		}
	}
	*(uint64_t *)at = v;
	return 0;
}

void mlbd_setting_print(const struct mlbd_setting *k, const struct mlbd_settings *s, char *buf, size_t size)
{
	const void *at = (const char *)s + k->off;

	buf[0] = 0;
	if (k->kind == MLBD_NAME || k->kind == MLBD_TEXT || k->kind == MLBD_PATH) {
		snprintf(buf, size, "%s", (const char *)at);
	} else if (k->kind == MLBD_SOURCES) {
		char a[MLB_ENDPOINT_LEN];

		for (uint32_t i = 0; i < s->sources; i++) {
			size_t used = strlen(buf);
			snprintf(buf + used, size - used, "%s%s", i ? " " : "", mlb_addr_text(&s->source[i], a));
		}
	} else if (k->kind == MLBD_WORD) {
		const struct mlb_word *w = k->words;

		while (w[1].word && (uint64_t)w->value != *(const uint64_t *)at)
			w++;
		snprintf(buf, size, "%s", w->word);
	} else if (k->kind == MLBD_TIME) {
		uint64_t v = *(const uint64_t *)at;
		bool minutes = v && v % 60000 == 0, seconds = v && v % 1000 == 0;

		snprintf(buf, size, "%" PRIu64 "%s",
			 minutes ? v / 60000 :
			 seconds ? v / 1000 :
				   v,
			 minutes ? "m" :
			 seconds ? "s" :
				   "ms");
	} else {
		snprintf(buf, size, "%" PRIu64, *(const uint64_t *)at);
	}
}

void mlbd_setting_copy(const struct mlbd_setting *k, struct mlbd_settings *to, const struct mlbd_settings *from)
{
	memcpy((char *)to + k->off, (const char *)from + k->off, k->size);
	if (k->kind == MLBD_SOURCES)
		to->sources = from->sources;
}

bool mlbd_setting_same(const struct mlbd_setting *k, const struct mlbd_settings *a, const struct mlbd_settings *b)
{
	char x[1024], y[1024];

	mlbd_setting_print(k, a, x, sizeof(x));
	mlbd_setting_print(k, b, y, sizeof(y));
	return strcmp(x, y) == 0;
}

const char *mlbd_control_path(const struct mlbd_settings *s, char buf[216])
{
	if (strcmp(s->control, "off") == 0)
		return NULL;
	if (s->control[0])
		return strcpy(buf, s->control);
	if (strcmp(s->region, "off") == 0)
		return NULL;
	snprintf(buf, 216, "%s.ctl", s->region);
	return buf;
}
