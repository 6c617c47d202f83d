/* SPDX-License-Identifier: Apache-2.0 */
/* What exists between `enable` and `disable`: the core's data plane with its region, and every thread's flow tables. */
#include <lb_rl/clock.h>
#include <lb_rl/dpo.h>
#include <lb_rl/enable.h>
#include <lb_rl/error.h>
#include <lb_rl/interface.h>
#include <lb_rl/prefix.h>
#include <lb_rl/recount.h>
#include <lb_rl/server.h>
#include <lb_rl/sharers.h>
#include <lb_rl/stats.h>
#include <lb_rl/waker.h>

/* Flow tables are maps of VPP's, which `show memory map` lists by the name in arg. */
static void *lb_rl_map(void *arg, size_t size)
{
	void *p = clib_mem_vm_map(0, size, lb_rl_main.page_size, "%s", (char *)arg);
	return p == CLIB_MEM_VM_MAP_FAILED ? 0 : p;
}

static void lb_rl_unmap(void *arg, void *base, size_t size)
{
	clib_mem_vm_unmap(base);
}

static struct mlb_flow_table *lb_rl_table(u32 capacity, u64 seed, char *name)
{
	struct mlb_flow_memory memory = { lb_rl_map, lb_rl_unmap, name };
	return mlb_flow_table_new_in(capacity, seed ^ clib_cpu_time_now(), &memory);
}

static void lb_rl_threads_free(void)
{
	for (u32 i = 0; i < vec_len(lb_rl_main.thread); i++) {
		mlb_flow_table_free(lb_rl_main.thread[i].flows);
		mlb_flow_table_free(lb_rl_main.thread[i].half);
		lb_rl_recount_free(&lb_rl_main.thread[i]);
		clib_memset(&lb_rl_main.thread[i], 0, sizeof(lb_rl_thread_t));
	}
	mlb_flow_table_free(lb_rl_main.sticky);
	lb_rl_main.sticky = 0;
	if (lb_rl_main.whose)
		clib_mem_vm_unmap(lb_rl_main.whose);
	lb_rl_main.whose = 0;
}

#define LB_RL_WHOSE_MOST 27 /* bits */

/* Twice the places that all workers' flows need, so that few of them share one. */
static int lb_rl_whose_new(u32 workers, char err[MLB_ERR_LEN])
{
	u32 bits = max_log2(2 * (u64)workers * lb_rl_main.flow_capacity);

	bits = clib_min(bits, LB_RL_WHOSE_MOST);
	lb_rl_main.whose_shift = 64 - bits;
	lb_rl_main.whose = lb_rl_map("lb-rl owners of NAT flows", sizeof(u16) << bits);
	return lb_rl_main.whose ?
		       0 :
		       lb_rl_fail(err, VNET_API_ERROR_TABLE_TOO_BIG, "no memory for whose flows are whose: lower `flows`");
}

static int lb_rl_threads_new(char err[MLB_ERR_LEN])
{
	u32 n = vlib_get_n_threads();
	int rv = n > 2 ? lb_rl_whose_new(n - 1, err) : 0;

	if (rv)
		return rv;
	lb_rl_main.sticky = lb_rl_table(lb_rl_main.flow_capacity, 0, "lb-rl affinities");
	if (!lb_rl_main.sticky)
		return lb_rl_fail(err, VNET_API_ERROR_TABLE_TOO_BIG, "no memory for the clients' affinities: lower `flows`");
	vec_validate_aligned(lb_rl_main.thread, n - 1, CLIB_CACHE_LINE_BYTES);
	for (u32 i = 0; i < n; i++) {
		lb_rl_thread_t *t = &lb_rl_main.thread[i];
		/* The main thread takes packets only where there are no workers: a small table serves what strays there. */
		bool main_beside = i == 0 && n > 1;
		t->w = mlb_dp_worker(lb_rl_main.dp, i);
		char name[32];
		snprintf(name, sizeof(name), "lb-rl flows %u", i);
		t->flows = lb_rl_table(main_beside ? 1024 : lb_rl_main.flow_capacity, 0x9e3779b97f4a7c15ULL * (i + 1), name);
		snprintf(name, sizeof(name), "lb-rl half-open %u", i);
		t->half = lb_rl_table(main_beside ? 1024 : lb_rl_main.half_capacity, 0xbf58476d1ce4e5b9ULL * (i + 1), name);
		if (!t->flows || !t->half) {
			return lb_rl_fail(err, VNET_API_ERROR_TABLE_TOO_BIG,
					  "no memory for the flow tables: lower `flows` or `half-open`");
		}
		t->now_us = lb_rl_now_us();
		t->now_ms = t->now_us / 1000;
	}
	return 0;
}

static bool lb_rl_within(u32 x, u32 least, u32 most)
{
	return x >= least && x <= most;
}

static int lb_rl_settings(const lb_rl_enable_args_t *a, char err[MLB_ERR_LEN])
{
	lb_rl_main_t *m = &lb_rl_main;
	u32 flows = a->flows ? a->flows : m->start_flows, half_open = a->half_open ? a->half_open : m->start_half;
	u32 most_s = ~0u / 1000; /* milliseconds are counted in 32 bits */

	if (!lb_rl_within(flows, 1024, 1u << 27))
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "flows: 1024..134217728 expected");
	if (!lb_rl_within(half_open, 1024, 1u << 24))
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "half-open: 1024..16777216 expected");
	if (clib_max(clib_max(a->established_s, a->udp_s), a->sticky_s) > most_s ||
	    clib_max(clib_max(a->half_open_s, a->fin_s), a->closing_s) > most_s)
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "a time-out of 1..%u s expected", most_s);
	m->limits.vips = a->max_vips ? a->max_vips : m->start_limits.vips;
	m->limits.servers = a->max_servers ? a->max_servers : m->start_limits.servers;
	int rc = mlb_limits_settle(&m->limits, err);
	if (rc != 0)
		return lb_rl_rv(rc);
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

static u64 lb_rl_monotonic_ns(void *arg)
{
	return lb_rl_clock_ns(CLOCK_MONOTONIC);
}

int lb_rl_enable(const lb_rl_enable_args_t *a, char err[MLB_ERR_LEN])
{
	lb_rl_main_t *m = &lb_rl_main;
	u32 n = vlib_get_n_threads();

	if (m->enabled)
		return lb_rl_fail(err, VNET_API_ERROR_VALUE_EXIST, "lb rl is enabled already");
	int rv = lb_rl_settings(a, err);
	if (rv)
		return rv;
	struct mlb_dp_conf conf = {
		.region = {
			.path = m->shm_path, .instance = m->instance, .dataplane = "vpp lb_rl " LB_RL_VERSION,
			.dp_epoch = unix_time_now_nsec(), .frame_us = 100000, .lease_us = m->lease_ms * 1000, .workers = n,
			.limits = m->limits, .group = m->shm_group[0] ? m->shm_group : 0,
		},
		.seed = clib_cpu_time_now(),
		.clock_ns = lb_rl_monotonic_ns,
	};
	rv = lb_rl_rv(mlb_dp_new(&m->dp, &conf, n, err));
	if (rv)
		return rv;
	struct mlb_dp_hooks hooks = {
		.server_may = lb_rl_hook_may,
		.server_up = lb_rl_hook_up,
		.server_gone = lb_rl_hook_gone,
		.notice = lb_rl_hook_notice,
		.recount = lb_rl_recount_hook,
	};
	mlb_dp_set_hooks(m->dp, &hooks);
	rv = lb_rl_threads_new(err);
	if (!rv)
		rv = lb_rl_waker_start(&mlb_dp_region(m->dp)->hdr->in_futex, err);
	if (rv) {
		lb_rl_threads_free();
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
		vlib_node_set_state(vlib_get_main_by_index(i), lb_rl_worker_node.index, VLIB_NODE_STATE_POLLING);
	vlib_process_signal_event(vlib_get_main(), lb_rl_process_node.index, 1, 0);
	return 0;
}

/* Stops the workers: what they read is given back at once. */
int lb_rl_disable(char err[MLB_ERR_LEN])
{
	lb_rl_main_t *m = &lb_rl_main;
	vlib_main_t *vm = vlib_get_main();

	if (!m->enabled)
		return lb_rl_fail(err, VNET_API_ERROR_FEATURE_DISABLED, "lb rl is not enabled");
	for (u32 i = 0; i < LB_RL_MAX_PREFIXES; i++)
		lb_rl_prefix_remove(&m->prefix[i]);
	while (vec_len(m->nat_interfaces))
		lb_rl_nat_interface(m->nat_interfaces[0], false, err);
	vlib_worker_thread_barrier_sync(vm);
	m->enabled = m->started = 0;
	for (u32 i = m->first_worker; i < vlib_get_n_threads(); i++)
		vlib_node_set_state(vlib_get_main_by_index(i), lb_rl_worker_node.index, VLIB_NODE_STATE_DISABLED);
	for (u32 id = 1; id <= MLB_MAX_VIPS; id++) {
		lb_rl_vip_t *v = &m->vip[id];
		lb_rl_servers_untrack(v);
		if (v->used == LB_RL_VIP_ACTIVE)
			lb_rl_tables_hold(v, false);
		clib_mem_free(v->server);
		clib_memset(v, 0, sizeof(*v));
	}
	for (u32 i = 0; i < LB_RL_MAX_PREFIXES; i++)
		lb_rl_prefix_free(&m->prefix[i]);
	lb_rl_sharers_free();
	lb_rl_sharers_init();
	clib_bihash_free_16_8(&m->by_quic);
	clib_bihash_init_16_8(&m->by_quic, "lb-rl QUIC server IDs", 4096, 8 << 20);
	lb_rl_waker_stop();
	/* The hooks would touch what is gone. */
	mlb_dp_set_hooks(m->dp, &(struct mlb_dp_hooks){});
	mlb_dp_free(m->dp);
	m->dp = 0;
	lb_rl_threads_free();
	vlib_worker_thread_barrier_release(vm);
	lb_rl_stats_all();
	return 0;
}

int lb_rl_start(char err[MLB_ERR_LEN])
{
	if (!lb_rl_main.enabled)
		return lb_rl_fail(err, VNET_API_ERROR_FEATURE_DISABLED, "lb rl is not enabled: `lb rl enable` first");
	lb_rl_main.started = 1;
	for (u32 i = 0; i < LB_RL_MAX_PREFIXES; i++)
		if (lb_rl_main.prefix[i].vips)
			lb_rl_prefix_install(&lb_rl_main.prefix[i]);
	return 0;
}

int lb_rl_stop(char err[MLB_ERR_LEN])
{
	if (!lb_rl_main.enabled)
		return lb_rl_fail(err, VNET_API_ERROR_FEATURE_DISABLED, "lb rl is not enabled: `lb rl enable` first");
	lb_rl_main.started = 0;
	for (u32 i = 0; i < LB_RL_MAX_PREFIXES; i++)
		lb_rl_prefix_remove(&lb_rl_main.prefix[i]);
	return 0;
}

int lb_rl_set_shm(const char *path, const char *group, char err[MLB_ERR_LEN])
{
	if (lb_rl_main.enabled && strcmp(path, lb_rl_main.shm_path) == 0 && strcmp(group, lb_rl_main.shm_group) == 0)
		return 0;
	if (lb_rl_main.enabled)
		return lb_rl_fail(err, VNET_API_ERROR_INSTANCE_IN_USE,
				  "the region is in use: `lb rl disable` first, then set-shm");
	if (path[0] != '/' || strlen(path) >= sizeof(lb_rl_main.shm_path) - 32)
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE,
				  "an absolute path of less than 224 characters expected, as /dev/shm/lb_rl_shm");
	if (strlen(group) >= sizeof(lb_rl_main.shm_group))
		return lb_rl_fail(err, VNET_API_ERROR_INVALID_VALUE, "a group of at most %zu characters expected",
				  sizeof(lb_rl_main.shm_group) - 1);
	snprintf(lb_rl_main.shm_path, sizeof(lb_rl_main.shm_path), "%s", path);
	snprintf(lb_rl_main.shm_group, sizeof(lb_rl_main.shm_group), "%s", group);
	return 0;
}
