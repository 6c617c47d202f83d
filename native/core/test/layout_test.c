/* SPDX-License-Identifier: Apache-2.0 */
#include "marllb/layout.h"
#include "marllb/hist.h"
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

TEST(histogram_edges_match_buckets)
{
	for (uint32_t i = 1; i < MLB_HIST_BUCKETS; i++) {
		CHECK_EQ(mlb_hist_bucket(mlb_hist_edge(i)), i);
		CHECK_EQ(mlb_hist_bucket(mlb_hist_edge(i) - 1), i - 1);
	}
	CHECK_EQ(mlb_hist_bucket(UINT64_MAX), MLB_HIST_BUCKETS - 1);
}

MLB_TEST_MAIN(CASE(full_vip_fits_one_message), CASE(structs_are_whole_words), CASE(histogram_edges_match_buckets))
