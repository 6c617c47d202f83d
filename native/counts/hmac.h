/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC-SHA-256 (RFC 2104, FIPS 180-4): what proves that a datagram comes from somebody who has the key. */
#ifndef MARLLB_HMAC_H
#define MARLLB_HMAC_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MLB_SHA256_LEN 32u

struct mlb_sha256 {
	uint32_t h[8];
	uint64_t len; /* bytes so far */
	uint8_t block[64];
};

void mlb_sha256_begin(struct mlb_sha256 *);
void mlb_sha256_add(struct mlb_sha256 *, const void *data, size_t len);
void mlb_sha256_end(struct mlb_sha256 *, uint8_t out[MLB_SHA256_LEN]);

/* A key, hashed as far as it can be in advance: each message costs two blocks less. */
struct mlb_hmac {
	struct mlb_sha256 inner, outer;
};

void mlb_hmac_key(struct mlb_hmac *, const void *key, size_t len);
void mlb_hmac_sum(const struct mlb_hmac *, const void *data, size_t len, uint8_t out[MLB_SHA256_LEN]);
/* Takes the same time wherever they differ. */
bool mlb_hmac_equal(const uint8_t *a, const uint8_t *b, size_t len);
#endif
