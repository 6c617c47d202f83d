/* SPDX-License-Identifier: Apache-2.0 */
/* Two data planes (the core's main side, with regions of their own) whose counts go over real sockets on loopback. */
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "link.h"
#include "marllb/dp.h"
#include "mlbtest.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define PATIENCE_US 20000000u

static uint64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t cpu_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t pseudo_random(void)
{
	static _Atomic uint64_t x = 1;
	return (atomic_fetch_add(&x, 1) + 1) * 0x9e3779b97f4a7c15;
}

struct lb {
	char path[96], err[256];
	struct mlb_dp *dp;
	uint32_t vip, servers;
	struct mlb_counts_link *link;
	pthread_t thread;
};

static struct mlb_endpoint server_ep(uint32_t i)
{
	struct mlb_endpoint e = { .addr = mlb_addr_of_v4((uint8_t[]){ 10, 0, 0, 0 }), .port = 80 };
	e.addr.b[14] = (uint8_t)(i >> 8);
	e.addr.b[15] = (uint8_t)i;
	return e;
}

static void dp_start(struct lb *b, const char *name)
{
	struct mlb_dp_conf c = { .region = { .path = b->path,
					     .instance = name,
					     .dataplane = "test",
					     .dp_epoch = 1,
					     .frame_us = 100000,
					     .lease_us = 1000000 },
				 .seed = 1 };
	struct mlb_vip_conf v = { .prefix_len = 128, .mode = MLB_MODE_SED, .capacity = 512, .load_balancers = 2 };
	v.ep = server_ep(60000);
	snprintf(v.name, sizeof(v.name), "%s", name);
	CHECK_EQ(mlb_dp_new(&b->dp, &c, 1, b->err), 0);
	CHECK_EQ(mlb_dp_vip_add(b->dp, &v, &b->vip, b->err), 0);
	for (uint32_t i = 1; i <= b->servers; i++) {
		struct mlb_endpoint e = server_ep(i);
		CHECK_EQ(mlb_dp_server_add(b->dp, b->vip, &e, 1, NULL, b->err), 0);
	}
}

static void *body(void *link)
{
	mlb_counts_link_run(link);
	return NULL;
}

static struct lb *lb_new(const char *name, uint32_t servers, const char *key)
{
	static int count;
	struct lb *b = calloc(1, sizeof(*b));
	snprintf(b->path, sizeof(b->path), "/tmp/marllb_counts_test.%d.%d", (int)getpid(), count++);
	b->servers = servers;
	dp_start(b, name);
	struct mlb_counts_link_conf c = {
		.counts = { .epoch = now_us(), .period_us = 10000, .keys = 1, .key = { { key, strlen(key) } } },
		.region = b->path,
		.listen = { .addr = mlb_addr_of_v4((uint8_t[]){ 127, 0, 0, 1 }) },
		.now_us = now_us,
		.cpu_us = cpu_us,
		.random = pseudo_random
	};
	snprintf(c.counts.instance, sizeof(c.counts.instance), "%s", name);
	CHECK_EQ(mlb_counts_link_new(&b->link, &c, b->err), 0);
	CHECK(mlb_counts_link_port(b->link) > 0);
	pthread_create(&b->thread, NULL, body, b->link);
	return b;
}

static void link_end(struct lb *b)
{
	mlb_counts_link_stop(b->link);
	pthread_join(b->thread, NULL);
	mlb_counts_link_free(b->link);
	b->link = NULL;
}

static void lb_free(struct lb *b)
{
	if (b->link)
		link_end(b);
	mlb_dp_free(b->dp);
	free(b);
}

static void sends_to(struct lb *a, const struct lb *b)
{
	struct mlb_endpoint e = { .addr = mlb_addr_of_v4((uint8_t[]){ 127, 0, 0, 1 }), .port = mlb_counts_link_port(b->link) };
	mlb_counts_link_members(a->link, &e, 1);
}

static struct mlb_wvip *wvip(struct lb *b)
{
	return atomic_load(&mlb_dp_worker(b->dp, 0)->vip[b->vip - 1]);
}

static void open_flows(struct lb *b, uint32_t slot, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		mlb_ev_open(wvip(b), slot, now_us());
}

/* Both data planes step until a's choice sees so much at the slot. */
static bool comes_to(struct lb *a, struct lb *b, uint32_t slot, float q)
{
	for (uint64_t end = now_us() + PATIENCE_US; now_us() < end;) {
		for (int i = 0; i < 2; i++) {
			struct lb *x = i ? b : a;
			if (!x || !x->dp)
				continue;
			while (mlb_dp_poll(x->dp, now_us(), 0) == 0)
				;
			mlb_dp_worker_loop(x->dp, mlb_dp_worker(x->dp, 0), now_us());
		}
		if (wvip(a)->q[slot] == q)
			return true;
		usleep(1000);
	}
	return false;
}

TEST(two_data_planes_count_each_other)
{
	struct lb *a = lb_new("a", 3, KEY), *b = lb_new("b", 200, KEY);
	sends_to(a, b);
	sends_to(b, a);
	open_flows(b, 1, 5);
	open_flows(b, 199, 5); /* of a server that a does not have */
	open_flows(a, 1, 2);
	CHECK(comes_to(a, b, 1, 7));
	CHECK(comes_to(b, a, 1, 7));
	struct mlb_counts_figures f;
	mlb_counts_link_figures(a->link, &f);
	CHECK(f.attached);
	CHECK_EQ(f.peers, 1);
	CHECK_STR(f.peer[0].instance, "b");
	CHECK(f.peer[0].alive);
	CHECK_EQ(f.peer[0].servers, 200);
	CHECK_EQ(f.peer[0].shared, 3);
	CHECK(f.sent > 0 && f.sent_bytes > f.sent * 84);
	mlb_dp_connect_result(a->dp, mlb_dp_worker(a->dp, 0), a->vip, 1, MLB_CONNECT_OK, now_us(), now_us());
	CHECK(mlb_dp_choose(a->dp, mlb_dp_worker(a->dp, 0), a->vip, 0, now_us()) != 1);
	/* b falls silent: a goes on with its own. */
	link_end(b);
	CHECK(comes_to(a, b, 1, 2));
	mlb_counts_link_figures(a->link, &f);
	CHECK(!f.peer[0].alive);
	lb_free(a);
	lb_free(b);
}

TEST(a_data_plane_that_comes_back_is_found)
{
	struct lb *a = lb_new("a", 2, KEY), *b = lb_new("b", 2, KEY);
	sends_to(a, b);
	sends_to(b, a);
	open_flows(b, 0, 4);
	CHECK(comes_to(a, b, 0, 4));
	mlb_dp_free(b->dp); /* with its flows */
	b->dp = NULL;
	CHECK(comes_to(a, b, 0, 0));
	dp_start(b, "b");
	open_flows(b, 0, 3);
	CHECK(comes_to(a, b, 0, 3));
	/* And when the writer dies, the data plane itself forgets. */
	link_end(a);
	CHECK(comes_to(a, b, 0, 0));
	lb_free(a);
	lb_free(b);
}

TEST(without_members_nothing_is_sent_or_asked_for)
{
	struct lb *a = lb_new("a", 2, KEY);
	struct mlb_counts_figures f;
	for (int i = 0; i < 300; i++) {
		while (mlb_dp_poll(a->dp, now_us(), 0) == 0)
			;
		usleep(1000);
	}
	mlb_counts_link_figures(a->link, &f);
	CHECK_EQ(f.sent, 0);
	CHECK_EQ(f.totals.said, 0);
	CHECK_EQ(atomic_load(&mlb_dp_region(a->dp)->hdr->live_us), 0);
	struct mlb_region second;
	CHECK_EQ(mlb_region_attach_peer(&second, a->path, a->err), -EBUSY);
	CHECK(strstr(a->err, "another process writes the peers' counts"));
	lb_free(a);
}

static int flood_socket(const struct lb *to)
{
	struct sockaddr_storage ss;
	struct mlb_addr loop = mlb_addr_of_v4((uint8_t[]){ 127, 0, 0, 1 }), other = mlb_addr_of_v4((uint8_t[]){ 127, 0, 0, 2 });
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK_EQ(bind(fd, (struct sockaddr *)&ss, mlb_addr_to_sockaddr(&other, 0, &ss)), 0);
	CHECK_EQ(connect(fd, (struct sockaddr *)&ss, mlb_addr_to_sockaddr(&loop, mlb_counts_link_port(to->link), &ss)), 0);
	return fd;
}

TEST(a_flood_costs_little_and_stops_nothing)
{
	struct lb *a = lb_new("a", 2, KEY), *b = lb_new("b", 2, KEY);
	struct mlb_counts_figures f;
	uint8_t junk[MLB_COUNTS_DATAGRAM] = { 'M', 'L', 'B', 'C', 2 };
	sends_to(a, b);
	sends_to(b, a);
	open_flows(b, 0, 4);
	CHECK(comes_to(a, b, 0, 4));
	int fd = flood_socket(a);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 1000; i++)
			if (send(fd, junk, sizeof(junk), MSG_DONTWAIT) < 0)
				break;
		mlb_dp_poll(b->dp, now_us(), 0);
		mlb_dp_poll(a->dp, now_us(), 0);
	}
	close(fd);
	mlb_counts_link_figures(a->link, &f);
	CHECK(f.totals.verdict[MLB_COUNTS_STRANGER] > 0);
	CHECK(f.totals.verdict[MLB_COUNTS_MAC] > 0);
	open_flows(b, 0, 2);
	CHECK(comes_to(a, b, 0, 6));
	lb_free(a);
	lb_free(b);
}

TEST(an_address_in_use_is_said)
{
	struct lb *a = lb_new("a", 1, KEY);
	struct mlb_counts_link_conf c = { .counts = { .instance = "x", .period_us = 10000, .keys = 1, .key = { { KEY, 32 } } },
					  .region = a->path,
					  .listen = { .addr = mlb_addr_of_v4((uint8_t[]){ 127, 0, 0, 1 }) },
					  .now_us = now_us,
					  .random = pseudo_random };
	struct mlb_counts_link *l = NULL;
	c.listen.port = mlb_counts_link_port(a->link);
	CHECK_EQ(mlb_counts_link_new(&l, &c, a->err), -EADDRINUSE);
	CHECK(strstr(a->err, "counts: cannot listen on 127.0.0.1:"));
	lb_free(a);
}

MLB_TEST_MAIN(CASE(two_data_planes_count_each_other), CASE(a_data_plane_that_comes_back_is_found),
	      CASE(without_members_nothing_is_sent_or_asked_for), CASE(a_flood_costs_little_and_stops_nothing),
	      CASE(an_address_in_use_is_said))
