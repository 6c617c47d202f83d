/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/layout_fields.h"

#include <string.h>

#include "marllb/hist.h"
#include "marllb/layout.h"

/* The rows that a reader sees of a field, by its type; a summary has one for each of its members. PART: of a member of a member.
 */
#define ONE(st, name, number, n, role, unit, metric, help) \
	{ #name, number, offsetof(struct st, name), n, MLB_ROLE_##role, unit, metric, help },
#define PART(st, name, part, number, help) ONE(st, name.part, number, 1, SUMMARY, "us", "", help)
#define ROW_U8(st, name, ...) ONE(st, name, MLB_FIELD_U8, 1, __VA_ARGS__)
#define ROW_U16(st, name, ...) ONE(st, name, MLB_FIELD_U16, 1, __VA_ARGS__)
#define ROW_U32(st, name, ...) ONE(st, name, MLB_FIELD_U32, 1, __VA_ARGS__)
#define ROW_U64(st, name, ...) ONE(st, name, MLB_FIELD_U64, 1, __VA_ARGS__)
#define ROW_F32(st, name, ...) ONE(st, name, MLB_FIELD_F32, 1, __VA_ARGS__)
#define ROW_HIST(st, name, ...) ONE(st, name, MLB_FIELD_U32, MLB_HIST_BUCKETS, __VA_ARGS__)
#define ROW_REFUSALS(st, name, ...) ONE(st, name, MLB_FIELD_U64, MLB_REFUSE_COUNT, __VA_ARGS__)
#define ROW_SUMMARY(st, name, ...) \
	PART(st, name, samples, MLB_FIELD_U32, "kept") \
	PART(st, name, seen, MLB_FIELD_U32, "offered in the tick") \
	PART(st, name, mean, MLB_FIELD_F32, "") \
	PART(st, name, std, MLB_FIELD_F32, "") \
	PART(st, name, p90, MLB_FIELD_F32, "") \
	PART(st, name, dmean, MLB_FIELD_F32, "decayed mean") \
	PART(st, name, dp90, MLB_FIELD_F32, "decayed p90") \
	PART(st, name, min, MLB_FIELD_F32, "")
/* No numbers: mlb_server_addr_offset and its like say where these are. */
#define ROW_ADDR(st, name, ...)
#define ROW_ENDPOINT(st, name, ...)
#define ROW_NAME(st, name, ...)

#define X(type, name, role, sum, of, unit, metric, help) ROW_##type(mlb_frame_hdr, name, role, unit, metric, help)
const struct mlb_field mlb_frame_fields[] = { MLB_FRAME_FIELDS(X) };
#undef X
#define X(type, name, role, sum, of, unit, metric, help) ROW_##type(mlb_server_rec, name, role, unit, metric, help)
const struct mlb_field mlb_server_fields[] = { MLB_SERVER_FIELDS(X) };
#undef X

/* No compiler-made gap: the members' sizes add up to the struct's. */
#define X(type, name, role, sum, of, unit, metric, help) +sizeof(MLB_TYPE_##type)
_Static_assert(sizeof(struct mlb_frame_hdr) == 0 MLB_FRAME_FIELDS(X), "a gap in mlb_frame_hdr: add a PAD row");
_Static_assert(sizeof(struct mlb_server_rec) == 0 MLB_SERVER_FIELDS(X), "a gap in mlb_server_rec: add a PAD row");
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
const uint32_t mlb_frame_vip_proto_offset = offsetof(struct mlb_frame_hdr, vip.proto);
const uint32_t mlb_frame_name_offset = offsetof(struct mlb_frame_hdr, name);
const uint32_t mlb_frame_name_len = MLB_NAME_LEN;

const uint32_t mlb_hist_buckets = MLB_HIST_BUCKETS;

uint64_t mlb_hist_edge_us(uint32_t bucket)
{
	return mlb_hist_edge(bucket);
}

const struct mlb_field *mlb_server_field(const char *name)
{
	for (uint32_t i = 0; i < mlb_server_field_count; i++)
		if (strcmp(mlb_server_fields[i].name, name) == 0)
			return &mlb_server_fields[i];
	return NULL;
}

double mlb_field_value(const struct mlb_field *f, const void *of)
{
	const uint8_t *p = (const uint8_t *)of + f->offset;
	union {
		uint8_t u8;
		uint16_t u16;
		uint32_t u32;
		uint64_t u64;
		float f32;
	} v;
	switch (f->kind) {
	case MLB_FIELD_U8: return *p;
	case MLB_FIELD_U16: return memcpy(&v.u16, p, 2), v.u16;
	case MLB_FIELD_U32: return memcpy(&v.u32, p, 4), v.u32;
	case MLB_FIELD_U64: return memcpy(&v.u64, p, 8), (double)v.u64;
	default: return memcpy(&v.f32, p, 4), (double)v.f32;
	}
}
