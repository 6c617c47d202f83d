/* SPDX-License-Identifier: Apache-2.0 */
/* What the data plane is told about itself: one value each, from the file, the command line or the control socket. */
#ifndef MLBD_SETTINGS_H
#define MLBD_SETTINGS_H
#include <stdio.h>
#include <marllb/types.h>
#include <marllb/vocab.h>

#define MLBD_MAX_SOURCES 16
#define MLBD_MAX_THREADS 64
#define MLBD_AUTO_THREADS 16u /* at most as many where the setting leaves it open */
#define MLBD_MAX_RETRIES 7

struct mlbd_settings {
	char instance[MLB_NAME_LEN];
	char region[200];      /* absolute path, or "off" */
	char region_group[64]; /* empty: mode 0600 */
	char control[104];     /* Unix socket; empty: region + ".ctl"; "off": none */
	uint64_t threads;      /* 0: as many as the processors allow */
	uint64_t frame_ms, lease_ms;
	uint64_t max_vips, max_servers; /* what the region is made for */
	uint64_t proxy_header_ms;
	uint64_t connect_ms, idle_ms, udp_ms, drain_ms;
	uint64_t first_byte_ms, half_closed_ms;                         /* 0: none of its own, idle_ms holds */
	uint64_t keepalive_ms, keepalive_interval_ms, keepalive_probes; /* keepalive_ms 0: no probes */
	uint64_t user_timeout_ms;                                       /* 0: the kernel's (about 15 minutes) */
	uint64_t pipe_memory;                                           /* MiB */
	uint64_t udp_coalesce_us;                                       /* 0: never wait */
	uint64_t udp_room;                                              /* KiB that may wait at a UDP listener */
	uint64_t freebind, transparent;                                 /* 0 or 1 */
	uint64_t log_time;                                              /* enum mlbd_log_time */
	uint64_t retries;                                               /* other servers tried after a failed connect */
	uint64_t backlog;
	struct mlb_addr source[MLBD_MAX_SOURCES]; /* connects to servers come from these in turn; none: the kernel's choice */
	uint32_t sources;
};

enum mlbd_kind { MLBD_NAME, MLBD_TEXT, MLBD_PATH, MLBD_COUNT, MLBD_TIME, MLBD_WORD, MLBD_SOURCES };

struct mlbd_setting {
	const char *name, *arg, *help;
	enum mlbd_kind kind;
	uint32_t off, size;
	uint64_t min, max, def;
	const char *text;             /* default of a text; NULL: empty */
	const struct mlb_word *words; /* of a WORD */
	bool live;                    /* may change while the data plane runs */
};

extern const struct mlbd_setting mlbd_setting_list[];
extern const uint32_t mlbd_setting_count;

void mlbd_settings_default(struct mlbd_settings *);
const struct mlbd_setting *mlbd_setting_find(const char *name);
/* Words are the values after the name. -EINVAL; err says what was expected. */
int mlbd_setting_parse(const struct mlbd_setting *, char *const *words, int n, struct mlbd_settings *, char err[256]);
/* The value as the file would spell it. */
void mlbd_setting_print(const struct mlbd_setting *, const struct mlbd_settings *, char *buf, size_t size);
void mlbd_setting_copy(const struct mlbd_setting *, struct mlbd_settings *to, const struct mlbd_settings *from);
bool mlbd_setting_same(const struct mlbd_setting *, const struct mlbd_settings *, const struct mlbd_settings *);
/* Path of the control socket, or NULL for none. */
const char *mlbd_control_path(const struct mlbd_settings *, char buf[216]);
#endif
