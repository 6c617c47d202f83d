/* SPDX-License-Identifier: Apache-2.0 */
/* Published vectors: FIPS 180-4's examples and RFC 4231. */
#include "hmac.h"
#include "mlbtest.h"

static void hex(const uint8_t *p, char out[65])
{
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
}

static const char *sha(const char *text, size_t times)
{
	static char out[65];
	uint8_t sum[32];
	struct mlb_sha256 s;
	mlb_sha256_begin(&s);
	for (size_t i = 0; i < times; i++)
		mlb_sha256_add(&s, text, strlen(text));
	mlb_sha256_end(&s, sum);
	hex(sum, out);
	return out;
}

static const char *mac(const void *key, size_t key_len, const void *data, size_t len)
{
	static char out[65];
	uint8_t sum[32];
	struct mlb_hmac m;
	mlb_hmac_key(&m, key, key_len);
	mlb_hmac_sum(&m, data, len, sum);
	hex(sum, out);
	return out;
}

TEST(sha256_as_published)
{
	CHECK_STR(sha("abc", 1), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	CHECK_STR(sha("", 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	CHECK_STR(sha("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1),
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	CHECK_STR(sha("aaaaaaaaaa", 100000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(hmac_as_published)
{
	uint8_t key[131], data[50];
	memset(key, 0x0b, 20);
	CHECK_STR(mac(key, 20, "Hi There", 8), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	CHECK_STR(mac("Jefe", 4, "what do ya want for nothing?", 28),
		  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	memset(data, 0xdd, sizeof(data));
	CHECK_STR(mac(key, 20, data, 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	CHECK_STR(mac(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54),
		  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(equal_bytes)
{
	CHECK(mlb_hmac_equal((const uint8_t *)"abcd", (const uint8_t *)"abcd", 4));
	CHECK(!mlb_hmac_equal((const uint8_t *)"abcd", (const uint8_t *)"abce", 4));
	CHECK(!mlb_hmac_equal((const uint8_t *)"abcd", (const uint8_t *)"Abcd", 4));
}

MLB_TEST_MAIN(CASE(sha256_as_published), CASE(hmac_as_published), CASE(equal_bytes))
