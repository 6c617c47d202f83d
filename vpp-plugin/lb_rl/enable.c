/* SPDX-License-Identifier: Apache-2.0 */
/* What exists between `enable` and `disable`: the core's data plane with its region, and every thread's flow tables. */
#include <lb_rl/clock.h>
#include <lb_rl/dpo.h>
#include <lb_rl/enable.h>
#include <lb_rl/error.h>
#include <lb_rl/interface.h>
#include <lb_rl/server.h>
#include <lb_rl/stats.h>
#include <lb_rl/waker.h>

static void lbrl_threads_free(void)
{
	for (u32 i = 0; i < vec_len(lbrl_main.thread); i++) {
		mlb_flow_table_free(lbrl_main.thread[i].flows);
		mlb_flow_table_free(lbrl_main.thread[i].half);
		clib_memset(&lbrl_main.thread[i], 0, sizeof(lbrl_thread_t));
	}
	mlb_flow_table_free(lbrl_main.sticky);
	lbrl_main.sticky = 0;
}

static int lbrl_threads_new(char err[MLB_ERR_LEN])
{
	u32 n = vlib_get_n_threads();

	lbrl_main.sticky = mlb_flow_table_new(lbrl_main.flow_capacity, clib_cpu_time_now());
	if (!lbrl_main.sticky)
		return lbrl_fail(err, VNET_API_ERROR_TABLE_TOO_BIG, "no memory for the clients' affinities: lower `flows`");
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
			return lbrl_fail(err, VNET_API_ERROR_TABLE_TOO_BIG,
					 "no memory for the flow tables: lower `flows` or `half-open`");
		}
		t->now_us = lbrl_now_us();
		t->now_ms = t->now_us / 1000;
	}
	return 0;
}

static bool lbrl_within(u32 x, u32 least, u32 most)
{
	return x >= least && x <= most;
}

static int lbrl_settings(const lbrl_enable_args_t *a, char err[MLB_ERR_LEN])
{
	lbrl_main_t *m = &lbrl_main;
	u32 flows = a->flows ? a->flows : 1 << 20, half_open = a->half_open ? a->half_open : 1 << 16;
	u32 most_s = ~0u / 1000; /* milliseconds are counted in 32 bits */

	if (!lbrl_within(flows, 1024, 1u << 27))
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "flows: 1024..134217728 expected");
	if (!lbrl_within(half_open, 1024, 1u << 24))
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "half-open: 1024..16777216 expected");
	if (clib_max(clib_max(a->established_s, a->udp_s), a->sticky_s) > most_s ||
	    clib_max(clib_max(a->half_open_s, a->fin_s), a->closing_s) > most_s)
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "a time-out of 1..%u s expected", most_s);
	m->flow_capacity = flows;
	m->half_capacity = half_open;
	m->tcp.half_open_ms = (a->half_open_s ? a->half_open_s : 60) * 1000;
	m->tcp.established_ms = (a->established_s ? a->established_s : 3600) * 1000;
	m->tcp.fin_ms = (a->fin_s ? a->fin_s : 120) * 1000;
	m->tcp.closing_ms = (a->closing_s ? a->closing_s : 60) * 1000;
	m->udp_ms = (a->udp_s ? a->udp_s : 30) * 1000;
	m->sticky_ms = (a->sticky_s ? a->sticky_s : 300) * 1000;
	m->lease_ms = a->lease_ms ? a->lease_ms : 1000;
	return 0;
}

int lbrl_enable(const lbrl_enable_args_t *a, char err[MLB_ERR_LEN])
{
	lbrl_main_t *m = &lbrl_main;
	u32 n = vlib_get_n_threads();

	if (m->enabled)
		return lbrl_fail(err, VNET_API_ERROR_VALUE_EXIST, "lb rl is enabled already");
	int rv = lbrl_settings(a, err);
	if (rv)
		return rv;
	struct mlb_dp_conf conf = {
		.region = {
			.path = m->shm_path, .instance = m->instance, .dataplane = "vpp lb_rl " LBRL_VERSION,
			.dp_epoch = unix_time_now_nsec(), .frame_us = 100000, .lease_us = m->lease_ms * 1000, .workers = n,
			.group = m->shm_group[0] ? m->shm_group : 0,
		},
		.seed = clib_cpu_time_now(),
	};
	rv = lbrl_rv(mlb_dp_new(&m->dp, &conf, n, err));
	if (rv)
		return rv;
	struct mlb_dp_hooks hooks = {
		.server_may = lbrl_hook_may,
		.server_up = lbrl_hook_up,
		.server_gone = lbrl_hook_gone,
		.notice = lbrl_hook_notice,
	};
	mlb_dp_set_hooks(m->dp, &hooks);
	rv = lbrl_threads_new(err);
	if (!rv)
		rv = lbrl_waker_start(&mlb_dp_region(m->dp)->hdr->in_futex, err);
	if (rv) {
		lbrl_threads_free();
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

/* Stops the workers: what they read is given back at once. */
int lbrl_disable(char err[MLB_ERR_LEN])
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
		lbrl_servers_untrack(v);
		if (v->used == LBRL_VIP_ACTIVE)
			lbrl_tables_hold(v, false);
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
	lbrl_waker_stop();
	/* The hooks would touch what is gone. */
	mlb_dp_set_hooks(m->dp, &(struct mlb_dp_hooks){});
	mlb_dp_free(m->dp);
	m->dp = 0;
	lbrl_threads_free();
	vlib_worker_thread_barrier_release(vm);
	lbrl_stats_update();
	return 0;
}

int lbrl_start(char err[MLB_ERR_LEN])
{
	if (!lbrl_main.enabled)
		return lbrl_fail(err, VNET_API_ERROR_FEATURE_DISABLED, "lb rl is not enabled: `lb rl enable` first");
	lbrl_main.started = 1;
	for (u32 i = 0; i < LBRL_MAX_PREFIXES; i++)
		if (lbrl_main.prefix[i].vips)
			lbrl_prefix_install(&lbrl_main.prefix[i]);
	return 0;
}

int lbrl_stop(char err[MLB_ERR_LEN])
{
	if (!lbrl_main.enabled)
		return lbrl_fail(err, VNET_API_ERROR_FEATURE_DISABLED, "lb rl is not enabled: `lb rl enable` first");
	lbrl_main.started = 0;
	for (u32 i = 0; i < LBRL_MAX_PREFIXES; i++)
		lbrl_prefix_remove(&lbrl_main.prefix[i]);
	return 0;
}

int lbrl_set_shm(const char *path, const char *group, char err[MLB_ERR_LEN])
{
	if (lbrl_main.enabled && strcmp(path, lbrl_main.shm_path) == 0 && strcmp(group, lbrl_main.shm_group) == 0)
		return 0;
	if (lbrl_main.enabled)
		return lbrl_fail(err, VNET_API_ERROR_INSTANCE_IN_USE,
				 "the region is in use: `lb rl disable` first, then set-shm");
	if (path[0] != '/' || strlen(path) >= sizeof(lbrl_main.shm_path) - 32)
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE,
				 "an absolute path of less than 224 characters expected, as /dev/shm/lb_rl_shm");
	if (strlen(group) >= sizeof(lbrl_main.shm_group))
		return lbrl_fail(err, VNET_API_ERROR_INVALID_VALUE, "a group of at most %zu characters expected",
				 sizeof(lbrl_main.shm_group) - 1);
	snprintf(lbrl_main.shm_path, sizeof(lbrl_main.shm_path), "%s", path);
	snprintf(lbrl_main.shm_group, sizeof(lbrl_main.shm_group), "%s", group);
	return 0;
}
