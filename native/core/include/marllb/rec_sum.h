/* SPDX-License-Identifier: Apache-2.0 */
/* Summing the workers into a frame, the same for a data plane and for the simulator: what each field's row in fields.h says. */
#ifndef MARLLB_REC_SUM_H
#define MARLLB_REC_SUM_H
#include "worker.h"

/* Adds what the n workers counted of one slot to a record whose summed fields are 0; integrals run on until now. Fields that main
 * sets itself are left alone. The one thread that sums may call it while the workers count. */
void mlb_rec_sum(struct mlb_server_rec *, struct mlb_wvip *const *workers, uint32_t n, uint32_t slot, uint64_t now_us);
/* What a closed frame's reservoir of connect times says of one slot: mlb_res_merge over the workers. */
void mlb_rec_sum_connect(struct mlb_server_rec *, struct mlb_wvip *const *workers, uint32_t n, uint32_t slot, uint32_t epoch,
			 double frame_us, struct mlb_res_decay *);
/* n slots, all 0, for a host that keeps its mlb_wvip itself; NULL without memory. */
struct mlb_wslots *mlb_wslots_new(uint32_t n);
void mlb_wslots_free(struct mlb_wslots *);
/* The same for a VIP's own counts. */
void mlb_frame_sum(struct mlb_frame_hdr *, struct mlb_wvip *const *workers, uint32_t n);
#endif
