/* SPDX-License-Identifier: Apache-2.0 */
#include "hmac.h"

#include <string.h>

static const uint32_t k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
	0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
	0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
	0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t turn(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static uint32_t big_endian(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* One round. The eight words change places by name, so that none is moved. */
#define ROUND(a, b, c, d, e, f, g, h, i) \
	do { \
		uint32_t t = (h) + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + (((e) & (f)) ^ (~(e) & (g))) + k[i] + w[i]; \
		(d) += t; \
		(h) = t + (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + (((a) & (b)) ^ ((a) & (c)) ^ ((b) & (c))); \
	} while (0)

static void compress(uint32_t sum[8], const uint8_t *block)
{
	uint32_t w[64];
	uint32_t a = sum[0], b = sum[1], c = sum[2], d = sum[3], e = sum[4], f = sum[5], g = sum[6], h = sum[7];
	for (int i = 0; i < 16; i++)
		w[i] = big_endian(block + 4 * i);
	for (int i = 16; i < 64; i++)
		w[i] = w[i - 16] + (turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7] +
		       (turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10);
	for (int i = 0; i < 64; i += 8) {
		ROUND(a, b, c, d, e, f, g, h, i);
		ROUND(h, a, b, c, d, e, f, g, i + 1);
		ROUND(g, h, a, b, c, d, e, f, i + 2);
		ROUND(f, g, h, a, b, c, d, e, i + 3);
		ROUND(e, f, g, h, a, b, c, d, i + 4);
		ROUND(d, e, f, g, h, a, b, c, i + 5);
		ROUND(c, d, e, f, g, h, a, b, i + 6);
		ROUND(b, c, d, e, f, g, h, a, i + 7);
	}
	const uint32_t add[8] = { a, b, c, d, e, f, g, h };
	for (int i = 0; i < 8; i++)
		sum[i] += add[i];
}

void mlb_sha256_begin(struct mlb_sha256 *s)
{
	static const uint32_t start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	memcpy(s->h, start, sizeof(start));
	s->len = 0;
}

void mlb_sha256_add(struct mlb_sha256 *s, const void *data, size_t len)
{
	const uint8_t *p = data;
	while (len > 0) {
		size_t at = s->len % 64, n = 64 - at < len ? 64 - at : len;
		if (n == 64) {
			compress(s->h, p);
		} else {
			memcpy(s->block + at, p, n);
			if (at + n == 64)
				compress(s->h, s->block);
		}
		s->len += n;
		p += n;
		len -= n;
	}
}

void mlb_sha256_end(struct mlb_sha256 *s, uint8_t out[MLB_SHA256_LEN])
{
	static const uint8_t pad[64] = { 0x80 };
	uint64_t bits = s->len * 8;
	size_t at = s->len % 64;
	uint8_t length[8];
	mlb_sha256_add(s, pad, (at < 56 ? 56 : 120) - at);
	for (int i = 0; i < 8; i++)
		length[i] = (uint8_t)(bits >> (56 - 8 * i));
	mlb_sha256_add(s, length, sizeof(length));
	for (int i = 0; i < 32; i++)
		out[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

void mlb_hmac_key(struct mlb_hmac *m, const void *key, size_t len)
{
	uint8_t block[64] = { 0 };
	struct mlb_sha256 s;
	if (len > sizeof(block)) {
		mlb_sha256_begin(&s);
		mlb_sha256_add(&s, key, len);
		mlb_sha256_end(&s, block);
	} else {
		memcpy(block, key, len);
	}
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36;
	mlb_sha256_begin(&m->inner);
	mlb_sha256_add(&m->inner, block, sizeof(block));
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36 ^ 0x5c;
	mlb_sha256_begin(&m->outer);
	mlb_sha256_add(&m->outer, block, sizeof(block));
}

void mlb_hmac_sum(const struct mlb_hmac *m, const void *data, size_t len, uint8_t out[MLB_SHA256_LEN])
{
	struct mlb_sha256 s = m->inner;
	mlb_sha256_add(&s, data, len);
	mlb_sha256_end(&s, out);
	s = m->outer;
	mlb_sha256_add(&s, out, MLB_SHA256_LEN);
	mlb_sha256_end(&s, out);
}

bool mlb_hmac_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	volatile uint8_t diff = 0;
	for (size_t i = 0; i < len; i++)
		diff |= a[i] ^ b[i];
	return diff == 0;
}
