/* SPDX-License-Identifier: Apache-2.0 */
/* mlb_observe for C++, which cannot read the core's C11 headers. */
#ifndef MARLLB_ADDON_OBSERVATION_H
#define MARLLB_ADDON_OBSERVATION_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

extern const uint32_t observation_schema, observation_step_us, observation_server_features, observation_pool_features,
	observation_max_servers;

struct observation_feature {
	const char *name;
	uint32_t block;
	float lo, hi;
};
struct observation_feature observation_server_feature(uint32_t i);
struct observation_feature observation_pool_feature(uint32_t i);

struct observation {
	uint32_t stepped, present, shared;
	float *server, *pool, *kalman, *stratum, *latency; /* [n * server features], [pool features], [n], [n], [n] */
	float out_of_range;
	double dt;
};

/* Bytes of a state of n servers. */
size_t observation_state_size(uint32_t n);
/* hdr, records and prev are aligned copies; n is the frame's count of records there really are. prev may be NULL; -EPROTO where
 * its bytes cannot be a state. Else as mlb_observe. */
int observation_make(const void *hdr, size_t hdr_size, const void *records, size_t records_size, const void *prev,
		     size_t prev_size, void *next, struct observation *out);
/* Of n aligned records: what a decision names its servers by. */
void observation_names(const void *records, uint32_t n, uint32_t *ids, float *weight_static);

#ifdef __cplusplus
}
#endif
#endif
