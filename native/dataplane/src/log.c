/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINES 256u
#define LINE_MOST 1100u /* below PIPE_BUF: a line is written whole or not at all */
#define STOP_WAIT_MS 500

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t mlbd_now_us(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000;
}

uint64_t mlbd_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t mlbd_real_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

struct line {
	uint32_t len;
	char text[LINE_MOST];
};

/* The lock is held for a copy of one line, never across a system call of the writer. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t more, empty;
	pthread_t thread;
	struct line ring[LINES];
	uint32_t first, count;
	bool running, stop;
	uint64_t told; /* of `lost`, by a line in the log */
	_Atomic uint64_t lost;
	_Atomic int time; /* enum mlbd_log_time */
} log_state = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .time = MLBD_LOG_TIME_ISO };

void mlbd_log_time(enum mlbd_log_time how)
{
	atomic_store(&log_state.time, how);
}

/* As the services write it: milliseconds since 1970, or 2026-01-31T12:00:00.000Z. */
static int begin(char text[LINE_MOST], const char *level)
{
	int how = atomic_load(&log_state.time);
	struct timespec t;
	struct tm day;
	char date[32];

	if (how == MLBD_LOG_TIME_OFF)
		return snprintf(text, LINE_MOST, "marllb-dp: %s: ", level);
	clock_gettime(CLOCK_REALTIME, &t);
	long long ms = t.tv_nsec / 1000000;

	if (how == MLBD_LOG_TIME_UNIX)
		return snprintf(text, LINE_MOST, "%lld marllb-dp: %s: ", (long long)t.tv_sec * 1000 + ms, level);
	gmtime_r(&t.tv_sec, &day);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &day);
	return snprintf(text, LINE_MOST, "%s.%03lldZ marllb-dp: %s: ", date, ms, level);
}

static uint32_t format(char text[LINE_MOST], const char *level, const char *fmt, va_list ap)
{
	int n = begin(text, level);
	int rest = vsnprintf(text + n, LINE_MOST - (size_t)n, fmt, ap);

	n += rest < 0 ? 0 : rest;
	if (n > (int)LINE_MOST - 2)
		n = LINE_MOST - 2;
	text[n++] = '\n';
	return (uint32_t)n;
}

/* Waits for room first: after that a blocking pipe takes a line without blocking, unless another process fills it meanwhile, and
 * then only this thread waits. False: standard error is closed or broken. */
static bool write_line(const char *text, uint32_t len)
{
	while (len) {
		struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return false;
		ssize_t n = write(STDERR_FILENO, text, len);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (n > 0) {
			text += n;
			len -= (uint32_t)n;
		}
	}
	return true;
}

static uint32_t say_lost(char text[LINE_MOST], uint64_t n)
{
	int at = begin(text, "warn");

	return (uint32_t)at + (uint32_t)snprintf(text + at, LINE_MOST - (size_t)at,
						 "%llu lines of the log were lost: nobody read it\n", (unsigned long long)n);
}

static void *write_lines(void *arg)
{
	struct line line;

	(void)arg;
	pthread_setname_np(pthread_self(), "marllb-log");
	pthread_mutex_lock(&log_state.lock);
	for (;;) {
		uint64_t lost = atomic_load(&log_state.lost), untold = lost - log_state.told;

		if (log_state.count) {
			line = log_state.ring[log_state.first];
			log_state.first = (log_state.first + 1) % LINES;
			log_state.count--;
			untold = 0;
		} else if (untold) { /* the reader is back */
			line.len = say_lost(line.text, untold);
			log_state.told = lost;
		} else if (log_state.stop) {
			break;
		} else {
			pthread_cond_wait(&log_state.more, &log_state.lock);
			continue;
		}
		pthread_mutex_unlock(&log_state.lock);
		bool written = write_line(line.text, line.len);

		pthread_mutex_lock(&log_state.lock);
		if (!written && !untold) {
			atomic_fetch_add(&log_state.lost, 1);
			log_state.told++; /* nobody will ever read it: not told in the log, only counted */
		}
	}
	log_state.running = false;
	pthread_cond_signal(&log_state.empty);
	pthread_mutex_unlock(&log_state.lock);
	return NULL;
}

int mlbd_log_start(void)
{
	pthread_condattr_t monotonic;
	int rc;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&log_state.empty, &monotonic);
	pthread_condattr_destroy(&monotonic);
	log_state.stop = false;
	log_state.running = true;
	rc = pthread_create(&log_state.thread, NULL, write_lines, NULL);
	if (rc)
		log_state.running = false;
	return -rc;
}

void mlbd_log_stop(void)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += STOP_WAIT_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&log_state.lock);
	if (!log_state.running) {
		pthread_mutex_unlock(&log_state.lock);
		return;
	}
	log_state.stop = true;
	pthread_cond_signal(&log_state.more);
	while (log_state.running && rc == 0)
		rc = pthread_cond_timedwait(&log_state.empty, &log_state.lock, &until);
	bool ended = !log_state.running;

	pthread_mutex_unlock(&log_state.lock);
	if (ended)
		pthread_join(log_state.thread, NULL);
	else /* blocked; it ends with the process */
		pthread_detach(log_state.thread);
}

void mlbd_log(const char *level, const char *fmt, ...)
{
	char text[LINE_MOST];
	uint32_t len;
	va_list ap;

	va_start(ap, fmt);
	len = format(text, level, fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&log_state.lock);
	bool running = log_state.running;

	if (running && log_state.count < LINES) {
		struct line *l = &log_state.ring[(log_state.first + log_state.count++) % LINES];

		l->len = len;
		memcpy(l->text, text, len);
		pthread_cond_signal(&log_state.more);
	} else if (running) {
		atomic_fetch_add(&log_state.lost, 1);
	}
	pthread_mutex_unlock(&log_state.lock);
	if (!running)
		write_line(text, len);
}

uint64_t mlbd_log_lost(void)
{
	return atomic_load(&log_state.lost);
}
