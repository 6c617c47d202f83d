/* SPDX-License-Identifier: Apache-2.0 */
/* Every change, whoever asks (CLI or API). Main thread. Returns 0 or VNET_API_ERROR_*; then err says what was expected.
 * Everything is checked before anything changes. */
#ifndef LB_RL_CONFIG_H
#define LB_RL_CONFIG_H
#include <lb_rl/forward.h>
#include <lb_rl/lb_rl.h>

typedef struct {
	char name[MLB_NAME_LEN];
	ip46_address_t addr;
	u8 is_ip6, plen, sticky, load, mode;
	u8 n_ports; /* 0 = all of TCP and UDP */
	lbrl_port_t ports[LBRL_MAX_PORTS];
	u16 capacity; /* 0 = MLB_MAX_SERVERS_PER_VIP */
	lbrl_fwd_t fwd;
	u8 dscp;
	ip46_address_t src;
	u8 src_set;     /* 4 or 6: family of src; 0: none was given */
	u16 outer_port; /* 0 = the default of fwd */
	u8 eject_off, guard_off;
} lbrl_vip_args_t;

typedef struct {
	u32 flows, half_open, established_s, udp_s, sticky_s, lease_ms;
} lbrl_enable_args_t;

/* enable.c */
int lbrl_enable(const lbrl_enable_args_t *a, char err[MLB_ERR_LEN]);
int lbrl_disable(char err[MLB_ERR_LEN]);
int lbrl_start(char err[MLB_ERR_LEN]);
int lbrl_stop(char err[MLB_ERR_LEN]);
int lbrl_set_shm(const char *path, char err[MLB_ERR_LEN]);

/* vip.c */
int lbrl_vip_add(const lbrl_vip_args_t *a, char err[MLB_ERR_LEN]);
int lbrl_vip_del(const char *name, char err[MLB_ERR_LEN]);
int lbrl_set_mode(const char *vip, enum mlb_mode mode, char err[MLB_ERR_LEN]);
lbrl_vip_t *lbrl_vip_by_name(const char *name);
/* name empty: the only VIP. NULL with err when there is none of that name, or several and no name. */
lbrl_vip_t *lbrl_vip_or_only(const char *name, char err[MLB_ERR_LEN]);
bool lbrl_vip_any(void); /* is there one? */

/* server.c; an empty vip means the only one */
int lbrl_servers_set(const char *vip, const struct mlb_endpoint *ep, const f32 *w, u32 n, char err[MLB_ERR_LEN]);
int lbrl_server_add(const char *vip, const struct mlb_endpoint *ep, f32 w, char err[MLB_ERR_LEN]);
int lbrl_server_del(const char *vip, const struct mlb_endpoint *ep, char err[MLB_ERR_LEN]);
int lbrl_server_drain(const char *vip, const struct mlb_endpoint *ep, bool drain, char err[MLB_ERR_LEN]);

/* interface.c */
int lbrl_nat_interface(u32 sw_if_index, bool add, char err[MLB_ERR_LEN]);

/* error.c: writes the sentence, returns rv. */
int lbrl_fail(char err[MLB_ERR_LEN], int rv, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* VNET_API_ERROR_* of the core's negative errno; 0 stays 0. */
int lbrl_rv(int r);
#endif
