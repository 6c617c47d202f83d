/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/layout.h"
#include "marllb/hist.h"
#include "marllb/layout_fields.h"
#include "mlbtest.h"

/* A full VIP must fit a gRPC message: header and 1024 records below 1 MiB. */
TEST(full_vip_fits_one_message)
{
	CHECK(sizeof(struct mlb_frame_hdr) + MLB_MAX_SERVERS_PER_VIP * sizeof(struct mlb_server_rec) < (1u << 20));
}

TEST(structs_are_whole_words)
{
	CHECK_EQ(sizeof(struct mlb_server_rec) % 8, 0);
	CHECK_EQ(sizeof(struct mlb_frame_hdr) % 8, 0);
	CHECK_EQ(sizeof(struct mlb_in_vip) % 8, 0);
	CHECK_EQ(sizeof(struct mlb_in_entry) % 8, 0);
	CHECK_EQ(offsetof(struct mlb_region_hdr, out_futex) % 4, 0);
}

/* Every metric has its own name and says what it is; a field's number is read from where the struct has it. */
TEST(rows_of_fields_are_sound)
{
	struct mlb_server_rec r = { .port = 80, .flows = 7, .weight = .25f, .duration.mean = 2.5f, .resets = 3 };
	for (uint32_t i = 0; i < mlb_server_field_count; i++) {
		const struct mlb_field *f = &mlb_server_fields[i];
		CHECK(mlb_server_field(f->name) == f);
		CHECK(!f->metric[0] || f->help[0]);
		for (uint32_t k = 0; k < i; k++)
			CHECK(!f->metric[0] || strcmp(f->metric, mlb_server_fields[k].metric) != 0);
		if (mlbtest_failed)
			printf("# %s\n", f->name);
	}
	CHECK(mlb_server_field("nonsense") == NULL);
	CHECK_NEAR(mlb_field_value(mlb_server_field("flows"), &r), 7, 0);
	CHECK_NEAR(mlb_field_value(mlb_server_field("port"), &r), 80, 0);
	CHECK_NEAR(mlb_field_value(mlb_server_field("weight"), &r), .25, 0);
	CHECK_NEAR(mlb_field_value(mlb_server_field("duration.mean"), &r), 2.5, 0);
	CHECK_NEAR(mlb_field_value(mlb_server_field("resets"), &r), 3, 0);
}

TEST(histogram_edges_match_buckets)
{
	for (uint32_t i = 1; i < MLB_HIST_BUCKETS; i++) {
		CHECK_EQ(mlb_hist_bucket(mlb_hist_edge(i)), i);
		CHECK_EQ(mlb_hist_bucket(mlb_hist_edge(i) - 1), i - 1);
	}
	CHECK_EQ(mlb_hist_bucket(UINT64_MAX), MLB_HIST_BUCKETS - 1);
}

MLB_TEST_MAIN(CASE(full_vip_fits_one_message), CASE(structs_are_whole_words), CASE(rows_of_fields_are_sound),
	      CASE(histogram_edges_match_buckets))
