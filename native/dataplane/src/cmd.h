/* SPDX-License-Identifier: Apache-2.0 */
/* One line of the configuration file or of the control socket, as data. The same words work in both. */
#ifndef MLBD_CMD_H
#define MLBD_CMD_H
#include <marllb/dp.h>
#include "nets.h"
#include "settings.h"
#include "text.h"

/* Whether a server is sent a PROXY header first, and of which version. */
enum mlbd_send_proxy {
	MLBD_SEND_PROXY_VIP /* of a server: as its VIP says */,
	MLBD_SEND_PROXY_OFF,
	MLBD_SEND_PROXY_V1,
	MLBD_SEND_PROXY_V2
};

struct mlbd_server_conf {
	struct mlb_endpoint ep;
	float weight;       /* > 0, default 1 */
	uint32_t max_conns; /* 0: no limit */
	uint8_t send_proxy; /* enum mlbd_send_proxy */
	bool drain;
};

struct mlbd_vip_opts { /* options beyond mlb_vip_conf; has_* where the line names it */
	struct mlb_vip_conf conf;
	uint32_t max_conns;
	uint32_t max_per_source;       /* connections of one client address; 0: no limit */
	uint32_t responses;            /* of a UDP flow; 0: no limit */
	struct mlbd_nets accept_proxy; /* connections from there begin with a PROXY header */
	uint8_t send_proxy;            /* enum mlbd_send_proxy, never VIP */
	bool has_mode, has_protocol, has_max_conns, has_max_per_source, has_responses, has_accept_proxy, has_send_proxy,
		has_other;
};

enum mlbd_op {
	MLBD_OP_NONE, /* empty line or comment */
	MLBD_OP_SET,
	MLBD_OP_VIP,
	MLBD_OP_NO_VIP,
	MLBD_OP_MODE,
	MLBD_OP_SERVER,
	MLBD_OP_NO_SERVER,
	MLBD_OP_DRAIN,
	MLBD_OP_UNDRAIN,
	MLBD_OP_SET_SERVERS,
	MLBD_OP_SHOW,
	MLBD_OP_STOP,
	MLBD_OP_QUIT,
	MLBD_OP_RELOAD,
	MLBD_OP_SUPERVISED,
	MLBD_OP_TAKEOVER,
	MLBD_OP_CONNECTIONS,
	MLBD_OP_RELEASE,
	MLBD_OP_HELP
};
enum mlbd_show { MLBD_SHOW_STATS, MLBD_SHOW_WEIGHTS, MLBD_SHOW_SERVERS, MLBD_SHOW_CONFIG, MLBD_SHOW_FLOWS };

struct mlbd_flow_pick {             /* which flows are shown */
	struct mlb_endpoint server; /* port 0: of any */
	struct mlbd_nets client;    /* none: of any */
	uint32_t max;
};

struct mlbd_cmd {
	enum mlbd_op op;
	const struct mlbd_setting *setting;
	struct mlbd_settings value; /* only the field of `setting` is meant */
	char vip[MLB_NAME_LEN];     /* empty: the only VIP */
	struct mlbd_vip_opts opts;
	struct mlbd_server_conf server;
	bool has_weight, has_max_conns, has_send_proxy; /* of server */
	struct mlbd_server_conf *list;                  /* MLBD_OP_SET_SERVERS; mlbd_cmd_free frees it */
	uint32_t count;
	enum mlb_mode mode;
	enum mlbd_show show;
	struct mlbd_flow_pick flows; /* with `vip` */
	bool json;
};

/* -EINVAL: err says what was expected, without place. */
int mlbd_cmd_parse(const char *line, struct mlbd_cmd *, char err[256]);
void mlbd_cmd_free(struct mlbd_cmd *);
/* True for what a configuration file may hold. */
bool mlbd_cmd_is_config(enum mlbd_op);
const char *mlbd_send_proxy_name(uint8_t);
const char *mlbd_show_name(enum mlbd_show);
/* The words understood, for --help and `help`: those of a configuration file, or those of the control socket alone. */
void mlbd_cmd_help(bool control, struct mlbd_text *);
#endif
