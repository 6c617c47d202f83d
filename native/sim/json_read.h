/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a checked file: every helper does nothing once something failed, so that callers need no test after each; the first
 * failure, with its line, is the one that is told. */
#ifndef MARLLB_SIM_JSON_READ_H
#define MARLLB_SIM_JSON_READ_H
#include "json.h"

struct sim_scenario;
struct read_ctx {
	struct sim_scenario *sc;
	const char *dir;
	char *err;
	bool failed;
};

void read_fail(struct read_ctx *, const struct json *at, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* True if j is an object of these keys only; an unknown one is an error that names the nearest. */
bool read_object(struct read_ctx *, const struct json *j, const char *what, const char *const *keys);
/* Optional number in [lo, hi]; leaves *out alone when absent. True if it was there. */
bool read_number(struct read_ctx *, const struct json *o, const char *key, double lo, double hi, double *out);
bool read_whole(struct read_ctx *, const struct json *o, const char *key, double lo, double hi, uint32_t *out);
/* As number, times scale. */
bool read_scaled(struct read_ctx *, const struct json *o, const char *key, double lo, double hi, double scale, double *out);
/* Optional true or false. */
void read_yes(struct read_ctx *, const struct json *o, const char *key, bool *out);
/* Optional, and nothing but a string. */
void read_text(struct read_ctx *, const struct json *o, const char *key);
/* Which of the words; 0 when absent. */
uint32_t read_one_of(struct read_ctx *, const struct json *o, const char *key, const char *const *words);
void read_need(struct read_ctx *, const struct json *o, const char *what, const char *key);
#endif
