/* SPDX-License-Identifier: Apache-2.0 */
/* The frame's fields by name, for readers that are not C: made from the rows of fields.h, so nobody else
 * holds an offset. C++-clean. */
#ifndef MARLLB_LAYOUT_FIELDS_H
#define MARLLB_LAYOUT_FIELDS_H
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

enum mlb_field_kind { MLB_FIELD_U8, MLB_FIELD_U16, MLB_FIELD_U32, MLB_FIELD_U64, MLB_FIELD_F32 };
/* What a field means; see fields.h. */
enum mlb_role {
	MLB_ROLE_ID,
	MLB_ROLE_CLOCK,
	MLB_ROLE_STATE,
	MLB_ROLE_GAUGE,
	MLB_ROLE_COUNTER,
	MLB_ROLE_INTEGRAL,
	MLB_ROLE_TIME,
	MLB_ROLE_SUMMARY,
	MLB_ROLE_HISTOGRAM,
	MLB_ROLE_PAD
};
struct mlb_field {
	const char *name; /* as in layout.h; "ttfb.mean" for a member of a member */
	uint32_t kind, offset;
	uint32_t count; /* elements, 1 unless it is an array */
	enum mlb_role role;
	const char *unit;   /* "us", "flows"; "" = none */
	const char *metric; /* "resets_total"; "" = not exported */
	const char *help;
};

extern const struct mlb_field mlb_frame_fields[], mlb_server_fields[];
extern const uint32_t mlb_frame_field_count, mlb_server_field_count;
extern const uint32_t mlb_frame_hdr_size, mlb_server_rec_size, mlb_frame_schema;
/* Where the server's address and the VIP's, 16 bytes each, port and protocol, and the name, lie. */
extern const uint32_t mlb_server_addr_offset, mlb_server_port_offset, mlb_frame_vip_offset, mlb_frame_vip_port_offset,
	mlb_frame_vip_proto_offset, mlb_frame_name_offset, mlb_frame_name_len;

/* The histograms' buckets, and the lower edge of each in microseconds; the last has no upper one. */
extern const uint32_t mlb_hist_buckets;
uint64_t mlb_hist_edge_us(uint32_t bucket);

/* NULL where there is no such field. */
const struct mlb_field *mlb_server_field(const char *name);
/* A field's number (an array's first) in a record or header; 64-bit ones rounded to a double. */
double mlb_field_value(const struct mlb_field *, const void *of);

#ifdef __cplusplus
}
#endif
#endif
