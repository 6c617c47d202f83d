/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <marllb/endpoint.h>
#include "own.h"

#define READ_MS 2000

#define FAIL(...) \
	do { \
		snprintf(err, 256, __VA_ARGS__); \
		return -EINVAL; \
	} while (0)

void mlbd_plan_init(struct mlbd_plan *p)
{
	memset(p, 0, sizeof(*p));
	mlbd_settings_default(&p->settings);
}

void mlbd_plan_free(struct mlbd_plan *p)
{
	for (uint32_t i = 0; i < p->vips; i++)
		free(p->vip[i].server);
	p->vips = 0;
}

int mlbd_plan_copy(struct mlbd_plan *to, const struct mlbd_plan *from)
{
	*to = *from;
	for (uint32_t i = 0; i < from->vips; i++) {
		size_t size = from->vip[i].servers * sizeof(*from->vip[i].server);

		to->vip[i].server = malloc(size + 1);
		if (!to->vip[i].server) {
			to->vips = i;
			mlbd_plan_free(to);
			return -ENOMEM;
		}
		if (size)
			memcpy(to->vip[i].server, from->vip[i].server, size);
	}
	return 0;
}

struct mlbd_plan_vip *mlbd_plan_find(struct mlbd_plan *p, const char *name)
{
	for (uint32_t i = 0; i < p->vips; i++)
		if (strcmp(p->vip[i].opts.conf.name, name) == 0)
			return &p->vip[i];
	return NULL;
}

int mlbd_plan_fits(const struct mlbd_plan *p, char err[256])
{
	uint64_t servers = 0;

	for (uint32_t i = 0; i < p->vips; i++)
		servers += p->vip[i].servers;
	if (p->vips <= p->settings.max_vips && servers <= p->settings.max_servers)
		return 0;
	snprintf(err, 256,
		 "%u VIPs with %" PRIu64 " servers: expected at most max-vips %" PRIu64 " and max-servers %" PRIu64
		 ", which the region is made for",
		 p->vips, servers, p->settings.max_vips, p->settings.max_servers);
	return -ENOSPC;
}

static int add_vip(struct mlbd_plan *p, const struct mlbd_cmd *c, char err[256])
{
	int rc;

	if (mlbd_plan_find(p, c->vip))
		FAIL("vip %s is there already", c->vip);
	if ((rc = mlbd_addr_of_one("vip", &c->opts.conf.ep.addr, err)))
		return rc;
	for (uint32_t i = 0; i < p->vips; i++)
		if ((rc = mlbd_vips_apart(&p->vip[i].opts.conf, &c->opts.conf, err)))
			return rc;
	if (p->vips == MLB_MAX_VIPS)
		FAIL("vip %s: expected at most %u vips", c->vip, MLB_MAX_VIPS);
	p->vip[p->vips++].opts = c->opts;
	return 0;
}

static int add_server(struct mlbd_plan *p, struct mlbd_plan_vip *v, const struct mlbd_server_conf *s, char err[256])
{
	char ep[MLB_ENDPOINT_LEN];
	int rc = mlbd_addr_of_one("server", &s->ep.addr, err);

	if (rc == 0)
		rc = mlbd_loop_check(p, v, &s->ep, mlbd_addr_is_local, err);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < v->servers; i++)
		if (mlb_endpoint_eq(&v->server[i].ep, &s->ep))
			FAIL("server %s is in vip %s already", mlb_endpoint_text(&s->ep, ep), v->opts.conf.name);
	if (v->servers == v->opts.conf.capacity)
		FAIL("vip %s: expected at most %u servers", v->opts.conf.name, v->opts.conf.capacity);
	if (v->opts.conf.ep.proto == IPPROTO_UDP && s->send_proxy > MLBD_SEND_PROXY_OFF)
		FAIL("server %s: send-proxy: expected a vip with protocol tcp", mlb_endpoint_text(&s->ep, ep));
	struct mlbd_server_conf *more = realloc(v->server, (v->servers + 1) * sizeof(*more));

	if (!more)
		return mlbd_no_memory(err);
	v->server = more;
	more[v->servers++] = *s;
	return 0;
}

static int set(struct mlbd_plan *p, const struct mlbd_cmd *c, char err[256])
{
	uint64_t bit = (uint64_t)1 << (c->setting - mlbd_setting_list);

	if (p->given & bit)
		FAIL("%s: expected once, given twice", c->setting->name);
	p->given |= bit;
	mlbd_setting_copy(c->setting, &p->settings, &c->value);
	return 0;
}

static int no_vip(const struct mlbd_plan *p, const char *name, char err[256])
{
	if (name[0])
		snprintf(err, 256, "vip %s: expected a vip of an earlier line", name);
	else
		snprintf(err, 256, "expected vip NAME: %s", p->vips ? "there are several" : "there is no vip yet");
	return name[0] || !p->vips ? -ENOENT : -EINVAL;
}

static int apply(struct mlbd_plan *p, const struct mlbd_cmd *c, char err[256])
{
	struct mlbd_plan_vip *v;
	char ep[MLB_ENDPOINT_LEN];
	int rc;

	if (c->op == MLBD_OP_NONE)
		return 0;
	if (c->op == MLBD_OP_SET)
		return set(p, c, err);
	if (!mlbd_cmd_is_config(c->op))
		FAIL("expected a setting, vip or server line here; this one belongs to the control socket");
	if (c->op == MLBD_OP_VIP)
		return add_vip(p, c, err);
	v = c->vip[0] ? mlbd_plan_find(p, c->vip) : p->vips == 1 ? &p->vip[0] : NULL;
	if (!v)
		return no_vip(p, c->vip, err);
	switch (c->op) {
	case MLBD_OP_SERVER: return add_server(p, v, &c->server, err);
	case MLBD_OP_SET_SERVERS:
		v->servers = 0;
		for (uint32_t i = 0; i < c->count; i++)
			if ((rc = add_server(p, v, &c->list[i], err)))
				return rc;
		return 0;
	case MLBD_OP_MODE: v->opts.conf.mode = (uint8_t)c->mode; return 0;
	default: /* MLBD_OP_DRAIN */
		for (uint32_t i = 0; i < v->servers; i++)
			if (mlb_endpoint_eq(&v->server[i].ep, &c->server.ep)) {
				v->server[i].drain = true;
				return 0;
			}
		FAIL("drain: vip %s has no server %s", v->opts.conf.name, mlb_endpoint_text(&c->server.ep, ep));
	}
}

int mlbd_plan_line(struct mlbd_plan *p, const char *line, char err[256])
{
	struct mlbd_cmd c;
	int rc = mlbd_cmd_parse(line, &c, err);

	if (rc == 0)
		rc = apply(p, &c, err);
	p->vip_failed |= rc && c.op == MLBD_OP_VIP;
	mlbd_cmd_free(&c);
	return rc;
}

int mlbd_plan_text(struct mlbd_plan *p, const char *name, const char *text, struct mlbd_text *all, char err[512])
{
	uint32_t number = 1;
	char why[256], told[512];
	int first = 0;

	if (strncmp(text, "\xef\xbb\xbf", 3) == 0) {
		snprintf(err, 512, "%.200s:1: the file begins with a byte order mark: expected UTF-8 without one", name);
		if (all)
			mlbd_text_add(all, "%s\n", err);
		return -EINVAL;
	}
	for (const char *at = text; *at; number++) {
		size_t len = strcspn(at, "\n");
		char *line = strndup(at, len);
		int rc = line ? mlbd_plan_line(p, line, why) : -ENOMEM;

		free(line);
		if (rc && !(rc == -ENOENT && p->vip_failed)) {
			snprintf(told, 512, "%.200s:%u: %s", name, number, rc == -ENOMEM ? "no memory" : why);
			if (!first)
				memcpy(err, told, sizeof(told));
			first = first ? first : rc;
			if (!all)
				return rc;
			mlbd_text_add(all, "%s\n", told);
		}
		at += len + (at[len] == '\n');
	}
	return first;
}

/* All of a file, or what a pipe brings within READ_MS of silence: a reload runs on the thread that must not wait. Bytes read, or
 * -errno. */
static ssize_t read_all(int fd, char *text, size_t most)
{
	size_t have = 0;

	while (have < most) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		ssize_t n = read(fd, text + have, most - have);

		if (n == 0)
			break;
		if (n > 0)
			have += (size_t)n;
		else if (errno == EAGAIN && poll(&wait, 1, READ_MS) == 0)
			return -ETIMEDOUT;
		else if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return (ssize_t)have;
}

int mlbd_plan_file(struct mlbd_plan *p, const char *path, struct mlbd_text *all, char err[512])
{
	const size_t most = 16u << 20;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL;
	int rc;

	if (fd < 0) {
		rc = -errno;
		goto fail;
	}
	text = malloc(most + 1);
	if (!text) {
		rc = -ENOMEM;
		goto fail;
	}
	ssize_t got = read_all(fd, text, most);
	size_t n = got < 0 ? 0 : (size_t)got;

	if (got < 0) {
		rc = (int)got;
		goto fail;
	}
	text[n] = 0;
	if (strlen(text) != n) {
		snprintf(err, 512, "%.200s: expected text, found a zero byte", path);
		rc = -EINVAL;
	} else if (n == most) {
		snprintf(err, 512, "%.200s: expected at most 16 MiB", path);
		rc = -EINVAL;
	} else if (n == 0) { /* cut off by a full disk, most likely */
		snprintf(err, 512, "%.200s: expected lines, found an empty file", path);
		rc = -ENODATA;
	} else {
		rc = mlbd_plan_text(p, path, text, all, err);
		all = NULL; /* it has told */
	}
	goto out;
fail:
	snprintf(err, 512, "%.200s: cannot read: %s", path, strerror(-rc));
out:
	if (rc && all)
		mlbd_text_add(all, "%s\n", err);
	free(text);
	if (fd >= 0)
		close(fd);
	return rc;
}
