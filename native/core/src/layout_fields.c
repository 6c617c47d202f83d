/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/layout_fields.h"

#include <string.h>

#include "marllb/layout.h"

#define SIZE_U8 1
#define SIZE_U16 2
#define SIZE_U32 4
#define SIZE_U64 8
#define SIZE_F32 4
#define MEMBER(type, path) (((struct type *)0)->path)
#define FIELD(type, path, kind) \
	{ #path, MLB_FIELD_##kind, offsetof(struct type, path), sizeof(MEMBER(type, path)) / SIZE_##kind },

/* X(name in layout.h, its kind) */
#define FRAME_FIELDS(X) \
	X(schema, U32) \
	X(record_size, U32) \
	X(dp_epoch, U64) \
	X(seq, U64) X(mono_ns, U64) X(real_ns, U64) X(birth, U64) X(vip_id, U32) X(generation, U32) X(count, U32) X(mode, U8) \
		X(load, U8) X(owner, U8) X(ladder, U8) X(one_way, U32) X(applied_agent_epoch, U64) X(applied_seq, U64) \
			X(applied_frame_seq, U64) X(term, U64) X(kappa, F32) X(load_balancers, U32) X(load_balancer, U32) \
				X(no_server, U64) X(untracked, U64) X(limited, U64) X(retries, U64) X(misses, U64) \
					X(recount_diff, U64) X(local_edits_refused, U64) X(refused, U64)
#define SUMMARY(X, p) \
	X(p.samples, U32) X(p.seen, U32) X(p.mean, F32) X(p.std, F32) X(p.p90, F32) X(p.dmean, F32) X(p.dp90, F32) X(p.min, F32)
#define SERVER_FIELDS(X) \
	X(id, U32) \
	X(slot, U16) \
	X(flags, U16) \
	X(port, U16) X(eject_streak, U16) X(flows, U32) X(half_open, U32) X(waiting, U32) X(weight_static, F32) X(weight, F32) \
		X(factor, F32) X(bias, F32) X(peer, F32) X(new_flows, U64) X(completions, U64) X(refusals, U64) X(resets, U64) \
			X(aborts, U64) X(unanswered, U64) X(answers, U64) X(packets_in, U64) X(packets_out, U64) \
				X(bytes_in, U64) X(bytes_out, U64) X(flow_us, U64) X(wait_us, U64) X(start_sum_us, U64) \
					X(last_completion_us, U64) X(joined_us, U64) X(ejections, U64) X(eject_until_us, U64) \
						SUMMARY(X, duration) SUMMARY(X, ttfb) SUMMARY(X, connect) X(ttfb_hist, U32) \
							X(duration_hist, U32)

#define CHECK_FIELD(type, path, kind) \
	_Static_assert(sizeof(MEMBER(type, path)) % SIZE_##kind == 0 && \
			       __builtin_types_compatible_p(float, __typeof__(MEMBER(type, path))) == \
				       (MLB_FIELD_##kind == MLB_FIELD_F32), \
		       "kind of " #path);
#define X(path, kind) CHECK_FIELD(mlb_frame_hdr, path, kind)
FRAME_FIELDS(X)
#undef X
#define X(path, kind) CHECK_FIELD(mlb_server_rec, path, kind)
SERVER_FIELDS(X)
#undef X

#define X(path, kind) FIELD(mlb_frame_hdr, path, kind)
const struct mlb_field mlb_frame_fields[] = { FRAME_FIELDS(X) };
#undef X
#define X(path, kind) FIELD(mlb_server_rec, path, kind)
const struct mlb_field mlb_server_fields[] = { SERVER_FIELDS(X) };
#undef X

const uint32_t mlb_frame_field_count = sizeof(mlb_frame_fields) / sizeof(mlb_frame_fields[0]);
const uint32_t mlb_server_field_count = sizeof(mlb_server_fields) / sizeof(mlb_server_fields[0]);
const uint32_t mlb_frame_hdr_size = sizeof(struct mlb_frame_hdr);
const uint32_t mlb_server_rec_size = sizeof(struct mlb_server_rec);
const uint32_t mlb_frame_schema = MLB_FRAME_SCHEMA;
const uint32_t mlb_server_addr_offset = offsetof(struct mlb_server_rec, addr);
const uint32_t mlb_server_port_offset = offsetof(struct mlb_server_rec, port);
const uint32_t mlb_frame_vip_offset = offsetof(struct mlb_frame_hdr, vip.addr);
const uint32_t mlb_frame_vip_port_offset = offsetof(struct mlb_frame_hdr, vip.port);
const uint32_t mlb_frame_name_offset = offsetof(struct mlb_frame_hdr, name);
const uint32_t mlb_frame_name_len = MLB_NAME_LEN;

const struct mlb_field *mlb_server_field(const char *name)
{
	for (uint32_t i = 0; i < mlb_server_field_count; i++)
		if (strcmp(mlb_server_fields[i].name, name) == 0)
			return &mlb_server_fields[i];
	return NULL;
}
