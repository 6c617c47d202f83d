/* SPDX-License-Identifier: Apache-2.0 */
/* The log and the clocks: the ground of every other file.
 *
 * Whoever reads standard error may stop reading, and a write to a full pipe blocks. So the threads that serve only put a line
 * into a bounded ring; one thread of the log's own writes. A line that finds the ring full is lost and counted. */
#ifndef MLBD_LOG_H
#define MLBD_LOG_H
#include <stdint.h>

/* CLOCK_MONOTONIC and CLOCK_REALTIME. */
uint64_t mlbd_now_us(void);
uint64_t mlbd_mono_ns(void);
uint64_t mlbd_real_ns(void);

/* Starts the writing thread; lines before that are written by the caller. Signals must be blocked already: the thread inherits
 * it. 0 or -errno. */
int mlbd_log_start(void);
/* Waits until the ring is empty, half a second at most: whoever does not read must not hold up the end of the process. */
void mlbd_log_stop(void);
/* How each line begins. Any thread. */
enum mlbd_log_time { MLBD_LOG_TIME_OFF, MLBD_LOG_TIME_UNIX, MLBD_LOG_TIME_ISO };
void mlbd_log_time(enum mlbd_log_time);
/* One line on standard error; any thread; never blocks. Not from the packet path without a rate limit. */
void mlbd_log(const char *level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Lines lost so far because nobody read. */
uint64_t mlbd_log_lost(void);
#endif
