/* SPDX-License-Identifier: Apache-2.0 */
/* VIPs made, changed, removed, set to another mode. Main thread. Everything is checked before anything changes. Returns 0 or
 * VNET_API_ERROR_*; then err says what was expected. An empty name means the only VIP. */
#ifndef LB_RL_VIP_H
#define LB_RL_VIP_H
#include <lb_rl/forward.h>

#define LB_RL_MOST_QUIC 8u
#define LB_RL_LEAST_MSS 256u
#define LB_RL_MOST_MSS 9000u

typedef struct {
	char name[MLB_NAME_LEN];
	ip46_address_t addr;
	u8 is_ip6, plen, sticky, load, mode;
	u8 n_ports; /* 0 = all of TCP and UDP */
	lb_rl_port_t ports[LB_RL_MAX_PORTS];
	u16 capacity; /* 0 = MLB_MAX_SERVERS_PER_VIP, fewer where the region is made for more than 64 VIPs */
	lb_rl_fwd_t fwd;
	u8 dscp;
	ip46_address_t src;
	u8 src_set;     /* 4 or 6: family of src; 0: none was given */
	u16 outer_port; /* 0 = the default of fwd */
	u16 mss;        /* 0: segments as both sides announce them */
	u16 quic;       /* bytes of a server ID; 0: QUIC is UDP like any other */
	u8 eject_off, guard_off;
	u32 table; /* of the FIB, as the user numbers them: the VIP's prefix and the routes to its servers are there */
} lb_rl_vip_args_t;

/* Makes a VIP; or makes the one of that name what the arguments say, while it serves, and stops the workers for that. Its
 * address, table and room for servers stay what they are, and so does whether replies come back through us. */
int lb_rl_vip_set(const lb_rl_vip_args_t *a, char err[MLB_ERR_LEN]);
int lb_rl_vip_del(const char *name, char err[MLB_ERR_LEN]);
int lb_rl_set_mode(const char *vip, enum mlb_mode mode, char err[MLB_ERR_LEN]);
#endif
