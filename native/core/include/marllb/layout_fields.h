/* SPDX-License-Identifier: Apache-2.0 */
/* The frame's fields by name, for readers that are not C: generated from the structs themselves (layout_fields.c), so nobody else
 * holds an offset. C++-clean. */
#ifndef MARLLB_LAYOUT_FIELDS_H
#define MARLLB_LAYOUT_FIELDS_H
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

enum mlb_field_kind { MLB_FIELD_U8, MLB_FIELD_U16, MLB_FIELD_U32, MLB_FIELD_U64, MLB_FIELD_F32 };
struct mlb_field {
	const char *name; /* as in layout.h; "ttfb.mean" for a member of a member */
	uint32_t kind, offset;
	uint32_t count; /* elements, 1 unless it is an array */
};

extern const struct mlb_field mlb_frame_fields[], mlb_server_fields[];
extern const uint32_t mlb_frame_field_count, mlb_server_field_count;
extern const uint32_t mlb_frame_hdr_size, mlb_server_rec_size, mlb_frame_schema;
/* Where the server's address and the VIP's, 16 bytes each, and the name, lie. */
extern const uint32_t mlb_server_addr_offset, mlb_server_port_offset, mlb_frame_vip_offset, mlb_frame_vip_port_offset,
	mlb_frame_name_offset, mlb_frame_name_len;

/* NULL where there is no such field. */
const struct mlb_field *mlb_server_field(const char *name);

#ifdef __cplusplus
}
#endif
#endif
