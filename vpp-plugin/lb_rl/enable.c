/* SPDX-License-Identifier: Apache-2.0 */
/* What exists between `enable` and `disable`: the core's data plane with its region, and every thread's flow tables. */
#include <lb_rl/lb_rl.h>

static int lbrl_fail(char err[256], int rv, const char *why)
{
	snprintf(err, 256, "%s", why);
	return rv;
}

/* An all-zero address can stand nowhere a server is. */
static int lbrl_hook_up(void *arg, u32 vip_id, struct mlb_server *s)
{
	lbrl_vip_t *v = &lbrl_main.vip[vip_id];
	lbrl_server_t *srv = &v->server[s->slot];
	bool want4 = v->fwd == LBRL_FWD_GRE4 || v->fwd == LBRL_FWD_IPIP4 || (!lbrl_fwd_is_tunnel(v->fwd) && !v->is_ip6);

	if (lbrl_addr_is_ip4(&s->ep.addr) != want4)
		return -EAFNOSUPPORT;
	if (s->ep.port && v->fwd != LBRL_FWD_NAT && s->ep.port != v->port)
		return -EINVAL;
	if (s->ep.port && v->fwd == LBRL_FWD_NAT && !v->port)
		return -EINVAL;
	if (v->fwd == LBRL_FWD_NAT) {
		clib_bihash_kv_16_8_t kv;
		clib_memcpy(kv.key, s->ep.addr.b, 16);
		kv.value = 0;
		clib_bihash_search_inline_16_8(&lbrl_main.by_server, &kv);
		kv.value |= 1ULL << (vip_id - 1);
		clib_bihash_add_del_16_8(&lbrl_main.by_server, &kv, 1);
	}
	clib_memset(srv, 0, sizeof(*srv));
	srv->addr = s->ep.addr;
	srv->port = clib_host_to_net_u16(s->ep.port);
	srv->vip_id = vip_id;
	u32 sum = 0;
	for (u32 i = 0; i < 16; i += 2)
		sum += (u16) ~(*(u16 *)(v->addr.b + i)) + *(u16 *)(srv->addr.b + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	srv->addr_delta = sum;
	lbrl_server_track(v, s->slot);
	__atomic_store_n(&srv->id, s->id, __ATOMIC_RELEASE);
	return 0;
}

/* Does the NAT VIP have another server of this address (another port)? */
static bool lbrl_vip_has_addr(const lbrl_vip_t *v, const struct mlb_addr *a)
{
	for (u32 i = 0; i < v->capacity; i++)
		if (v->server[i].id && !memcmp(&v->server[i].addr, a, sizeof(*a)))
			return true;
	return false;
}

static void lbrl_hook_gone(void *arg, u32 vip_id, struct mlb_server *s)
{
	lbrl_vip_t *v = &lbrl_main.vip[vip_id];
	lbrl_server_t *srv = &v->server[s->slot];

	if (srv->id != s->id)
		return;
	srv->id = 0;
	lbrl_server_untrack(v, s->slot);
	if (v->fwd == LBRL_FWD_NAT && !lbrl_vip_has_addr(v, &srv->addr)) {
		clib_bihash_kv_16_8_t kv;
		clib_memcpy(kv.key, srv->addr.b, 16);
		if (clib_bihash_search_inline_16_8(&lbrl_main.by_server, &kv) == 0) {
			kv.value &= ~(1ULL << (vip_id - 1));
			clib_bihash_add_del_16_8(&lbrl_main.by_server, &kv, kv.value != 0);
		}
	}
}

static void lbrl_threads_free(void)
{
	for (u32 i = 0; i < vec_len(lbrl_main.thread); i++) {
		mlb_flow_table_free(lbrl_main.thread[i].flows);
		mlb_flow_table_free(lbrl_main.thread[i].half);
		clib_memset(&lbrl_main.thread[i], 0, sizeof(lbrl_thread_t));
	}
}

static int lbrl_threads_new(char err[256])
{
	u32 n = vlib_get_n_threads();

	vec_validate_aligned(lbrl_main.thread, n - 1, CLIB_CACHE_LINE_BYTES);
	for (u32 i = 0; i < n; i++) {
		lbrl_thread_t *t = &lbrl_main.thread[i];
		/* The main thread takes packets only where there are no workers: a small table serves what strays there. */
		bool main_beside = i == 0 && n > 1;
		t->w = mlb_dp_worker(lbrl_main.dp, i);
		t->flows = mlb_flow_table_new(main_beside ? 1024 : lbrl_main.flow_capacity,
					      0x9e3779b97f4a7c15ULL * (i + 1) ^ clib_cpu_time_now());
		t->half = mlb_flow_table_new(main_beside ? 1024 : lbrl_main.half_capacity,
					     0xbf58476d1ce4e5b9ULL * (i + 1) ^ clib_cpu_time_now());
		if (!t->flows || !t->half) {
			lbrl_threads_free();
			return lbrl_fail(err, VNET_API_ERROR_TABLE_TOO_BIG,
					 "no memory for the flow tables: lower `flows` or `half-open`");
		}
		t->now_us = lbrl_now_us();
		t->now_ms = t->now_us / 1000;
	}
	return 0;
}

int lbrl_enable(const lbrl_enable_args_t *a, char err[256])
{
	lbrl_main_t *m = &lbrl_main;
	u32 n = vlib_get_n_threads();

	if (m->enabled)
		return lbrl_fail(err, VNET_API_ERROR_VALUE_EXIST, "lb rl is enabled already");
	m->flow_capacity = a->flows ? a->flows : 1 << 20;
	m->half_capacity = a->half_open ? a->half_open : 1 << 16;
	m->established_ms = (a->established_s ? a->established_s : 3600) * 1000;
	m->udp_ms = (a->udp_s ? a->udp_s : 30) * 1000;
	m->sticky_ms = (a->sticky_s ? a->sticky_s : 300) * 1000;
	m->lease_ms = a->lease_ms ? a->lease_ms : 1000;
	if (m->flow_capacity < 1024 || m->flow_capacity > 1u << 27)
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "flows: 1024..134217728 expected");
	if (m->half_capacity < 1024 || m->half_capacity > 1u << 24)
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "half-open: 1024..16777216 expected");

	struct mlb_dp_conf conf = {
		.region = {
			.path = m->shm_path, .instance = m->instance, .dataplane = "vpp lb_rl " LBRL_VERSION,
			.dp_epoch = unix_time_now_nsec(), .frame_us = 100000, .lease_us = m->lease_ms * 1000, .workers = n,
		},
		.seed = clib_cpu_time_now(),
	};
	if (mlb_dp_new(&m->dp, &conf, n, err) < 0)
		return VNET_API_ERROR_SYSCALL_ERROR_1;
	struct mlb_dp_hooks hooks = { .server_up = lbrl_hook_up, .server_gone = lbrl_hook_gone };
	mlb_dp_set_hooks(m->dp, &hooks);
	int rv = lbrl_threads_new(err);
	if (rv) {
		mlb_dp_free(m->dp);
		m->dp = 0;
		return rv;
	}
	m->n_workers = n > 1 ? n - 1 : 1;
	m->first_worker = n > 1 ? 1 : 0;
	m->started = 1;
	__atomic_store_n(&m->enabled, 1, __ATOMIC_RELEASE);
	/* Beside workers the main thread's own step (process.c) does the same for it. */
	for (u32 i = m->first_worker; i < n; i++)
		vlib_node_set_state(vlib_get_main_by_index(i), lbrl_worker_node.index, VLIB_NODE_STATE_POLLING);
	vlib_process_signal_event(vlib_get_main(), lbrl_process_node.index, 1, 0);
	return 0;
}

/* The only change that stops the workers: what they read is given back at once. */
int lbrl_disable(char err[256])
{
	lbrl_main_t *m = &lbrl_main;
	vlib_main_t *vm = vlib_get_main();

	if (!m->enabled)
		return lbrl_fail(err, VNET_API_ERROR_FEATURE_DISABLED, "lb rl is not enabled");
	for (u32 i = 0; i < LBRL_MAX_PREFIXES; i++)
		lbrl_prefix_remove(&m->prefix[i]);
	while (vec_len(m->nat_interfaces))
		lbrl_nat_interface(m->nat_interfaces[0], false, err);
	vlib_worker_thread_barrier_sync(vm);
	m->enabled = m->started = 0;
	for (u32 i = m->first_worker; i < vlib_get_n_threads(); i++)
		vlib_node_set_state(vlib_get_main_by_index(i), lbrl_worker_node.index, VLIB_NODE_STATE_DISABLED);
	for (u32 id = 1; id <= MLB_MAX_VIPS; id++) {
		lbrl_vip_t *v = &m->vip[id];
		for (u32 s = 0; v->used && s < v->capacity; s++)
			if (v->server[s].id) {
				v->server[s].id = 0;
				lbrl_server_untrack(v, s);
			}
		clib_mem_free(v->server);
		clib_memset(v, 0, sizeof(*v));
	}
	for (u32 i = 0; i < LBRL_MAX_PREFIXES; i++) {
		vec_free(m->prefix[i].by_port[0]);
		vec_free(m->prefix[i].by_port[1]);
		clib_memset(&m->prefix[i], 0, sizeof(lbrl_prefix_t));
	}
	clib_bihash_free_16_8(&m->by_server);
	clib_bihash_init_16_8(&m->by_server, "lb-rl servers", 4096, 8 << 20);
	/* The hooks would touch what is gone. */
	mlb_dp_set_hooks(m->dp, &(struct mlb_dp_hooks){});
	mlb_dp_free(m->dp);
	m->dp = 0;
	lbrl_threads_free();
	vlib_worker_thread_barrier_release(vm);
	lbrl_stats_update();
	return 0;
}

int lbrl_start(char err[256])
{
	if (!lbrl_main.enabled)
		return lbrl_fail(err, VNET_API_ERROR_FEATURE_DISABLED, "lb rl is not enabled: `lb rl enable` first");
	lbrl_main.started = 1;
	for (u32 i = 0; i < LBRL_MAX_PREFIXES; i++)
		if (lbrl_main.prefix[i].vips)
			lbrl_prefix_install(&lbrl_main.prefix[i]);
	return 0;
}

int lbrl_stop(char err[256])
{
	if (!lbrl_main.enabled)
		return lbrl_fail(err, VNET_API_ERROR_FEATURE_DISABLED, "lb rl is not enabled: `lb rl enable` first");
	lbrl_main.started = 0;
	for (u32 i = 0; i < LBRL_MAX_PREFIXES; i++)
		lbrl_prefix_remove(&lbrl_main.prefix[i]);
	return 0;
}

int lbrl_set_shm(const char *path, char err[256])
{
	if (lbrl_main.enabled)
		return lbrl_fail(err, VNET_API_ERROR_INSTANCE_IN_USE,
				 "the region is in use: `lb rl disable` first, then set-shm");
	if (path[0] != '/' || strlen(path) >= sizeof(lbrl_main.shm_path) - 32)
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE,
				 "an absolute path of less than 224 characters expected, as /dev/shm/lb_rl_shm");
	snprintf(lbrl_main.shm_path, sizeof(lbrl_main.shm_path), "%s", path);
	return 0;
}
