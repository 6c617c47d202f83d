/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARLLB_LOAD_H
#define MARLLB_LOAD_H
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* HTTP/1.1 just wide enough: "GET /<bytes>"; the answer has that many bytes of body, which it states. */
#define LOAD_REQ_MAX 512

enum load_mode { LOAD_NEW, LOAD_KEEPALIVE, LOAD_BULK, LOAD_IDLE, LOAD_UDP };

struct load_conf {
	struct sockaddr_storage addr;
	socklen_t addr_len;
	enum load_mode mode;
	double rate;      /* requests a second, Poisson; 0 = closed loop */
	uint32_t conns;   /* closed loop: in flight; keepalive and idle: connections held */
	uint32_t sources; /* client addresses 127.0.0.1 .. 127.0.0.N to spread ephemeral ports over */
	uint32_t window;  /* udp, closed loop: datagrams in flight of a flow */
	double seconds, warmup;
	uint64_t bytes; /* body wanted */
	bool any;       /* instead: GET /, and whatever length the answer states */
	uint64_t seed;
	int stop_fd; /* readable or ended: stop (idle mode) */
};

/* Latencies in microseconds, exact up to LOAD_LAT_MAX, kept as counts of 1/32-octave buckets beyond 1024. */
#define LOAD_LAT_BUCKETS 2048
struct load_stats {
	uint64_t count[LOAD_LAT_BUCKETS];
	uint64_t n, errors, timeouts, bytes;
	double sum;
	uint64_t max;
	uint64_t late; /* requests sent later than 1 ms after their due time */
};
void load_stats_add(struct load_stats *, uint64_t us);
double load_stats_quantile(const struct load_stats *, double p);

int load_effects(const char *region, double seconds);
/* hops.c: a multiple of 3. */
struct load_hops {
	double rate, seconds;
	uint32_t hops;
	uint64_t work_us;
};
int load_hops(const struct load_hops *);
/* accept_proxy: every connection begins with a PROXY header. */
int load_serve(const struct sockaddr_storage *, socklen_t, bool stop_with_stdin, bool accept_proxy);
/* udp.c: echo, and datagrams of `bytes` on `conns` sockets. */
int load_udp_serve(const struct sockaddr_storage *, socklen_t, bool stop_with_stdin);
int load_udp_run(const struct load_conf *, struct load_stats *, double *elapsed_s);
int load_run(const struct load_conf *, struct load_stats *, double *elapsed_s);

uint64_t load_now_us(void);
int load_nonblocking_tcp(int family);
#endif
