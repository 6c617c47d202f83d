/* SPDX-License-Identifier: Apache-2.0 */
#include "mlbtest.h"

#include <errno.h>

#include <marllb/endpoint.h>
#include "proxy_header.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define V4_PAIR "\x0a\1\2\3\x0a\0\0\1\x30\x39\x01\xbb"
#define V6_PAIR "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x08\x30\x39\x01\xbb"
#define BYTES(s) s, sizeof(s) - 1

/* A whole header, what is in it ("" : the connection's own addresses hold), and why it is here. */
static const struct {
	const char *what, *data;
	size_t len;
	const char *source, *destination;
} good[] = {
	{ "v1 IPv4", BYTES("PROXY TCP4 10.1.2.3 10.0.0.1 12345 443\r\n"), "10.1.2.3:12345", "10.0.0.1:443" },
	{ "v1 IPv6", BYTES("PROXY TCP6 2001:db8::7 2001:db8::8 12345 443\r\n"), "[2001:db8::7]:12345", "[2001:db8::8]:443" },
	{ "v1 an IPv4-mapped address is an IPv4 one", BYTES("PROXY TCP6 ::ffff:10.1.2.3 ::ffff:10.0.0.1 1 65535\r\n"),
	  "10.1.2.3:1", "10.0.0.1:65535" },
	{ "v1 port 0", BYTES("PROXY TCP4 0.0.0.0 255.255.255.255 0 0\r\n"), "0.0.0.0:0", "255.255.255.255:0" },
	{ "v1 longest TCP6 line, 104 bytes",
	  BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
	{ "v1 unknown", BYTES("PROXY UNKNOWN\r\n"), "", "" },
	{ "v1 unknown, the rest is ignored", BYTES("PROXY UNKNOWN what ever 1 2 3\r\n"), "", "" },
	{ "v1 longest line, 107 bytes",
	  BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	  "", "" },
	{ "v2 IPv4", BYTES(SIG "\x21\x11\0\x0c" V4_PAIR), "10.1.2.3:12345", "10.0.0.1:443" },
	{ "v2 IPv6", BYTES(SIG "\x21\x21\0\x24" V6_PAIR), "[2001:db8::7]:12345", "[2001:db8::8]:443" },
	{ "v2 with a TLV behind the addresses", BYTES(SIG "\x21\x11\0\x11" V4_PAIR "\4\0\2hi"), "10.1.2.3:12345",
	  "10.0.0.1:443" },
	{ "v2 with two TLVs, one empty", BYTES(SIG "\x21\x11\0\x14" V4_PAIR "\4\0\2hi\xea\0\0"), "10.1.2.3:12345",
	  "10.0.0.1:443" },
	{ "v2 local", BYTES(SIG "\x20\0\0\0"), "", "" },
	{ "v2 local, addresses are ignored", BYTES(SIG "\x20\x11\0\x0c" V4_PAIR), "", "" },
	{ "v2 local with a TLV", BYTES(SIG "\x20\0\0\5\4\0\2hi"), "", "" },
	{ "v2 unspecified family", BYTES(SIG "\x21\0\0\0"), "", "" },
	{ "v2 unspecified family with bytes to skip", BYTES(SIG "\x21\0\0\3abc"), "", "" },
	{ "v2 datagrams behind a stream", BYTES(SIG "\x21\x12\0\x0c" V4_PAIR), "", "" },
	{ "v2 Unix sockets", BYTES(SIG "\x21\x31\0\4path"), "", "" },
};

/* What no more bytes can mend. */
static const struct {
	const char *what, *data;
	size_t len;
} bad[] = {
	{ "a request without a header", BYTES("GET / HTTP/1.1\r\n\r\n") },
	{ "TLS", BYTES("\x16\3\1\2\0") },
	{ "v1 small letters", BYTES("proxy TCP4 10.1.2.3 10.0.0.1 1 2\r\n") },
	{ "v1 another protocol", BYTES("PROXY UDP4 10.1.2.3 10.0.0.1 1 2\r\n") },
	{ "v1 no words", BYTES("PROXY \r\n") },
	{ "v1 a word that begins with UNKNOWN", BYTES("PROXY UNKNOWNS\r\n") },
	{ "v1 IPv6 address as TCP4", BYTES("PROXY TCP4 ::1 10.0.0.1 1 2\r\n") },
	{ "v1 IPv4 address as TCP6", BYTES("PROXY TCP6 10.1.2.3 ::1 1 2\r\n") },
	{ "v1 no address", BYTES("PROXY TCP4 10.1.2.256 10.0.0.1 1 2\r\n") },
	{ "v1 leading zero in an address", BYTES("PROXY TCP4 10.01.2.3 10.0.0.1 1 2\r\n") },
	{ "v1 a name", BYTES("PROXY TCP4 localhost 10.0.0.1 1 2\r\n") },
	{ "v1 port over 65535", BYTES("PROXY TCP4 10.1.2.3 10.0.0.1 65536 2\r\n") },
	{ "v1 port with a leading zero", BYTES("PROXY TCP4 10.1.2.3 10.0.0.1 01 2\r\n") },
	{ "v1 negative port", BYTES("PROXY TCP4 10.1.2.3 10.0.0.1 -1 2\r\n") },
	{ "v1 port of many digits", BYTES("PROXY TCP4 10.1.2.3 10.0.0.1 4294967297 2\r\n") },
	{ "v1 one word too few", BYTES("PROXY TCP4 10.1.2.3 10.0.0.1 1\r\n") },
	{ "v1 one word too many", BYTES("PROXY TCP4 10.1.2.3 10.0.0.1 1 2 3\r\n") },
	{ "v1 two spaces", BYTES("PROXY TCP4  10.1.2.3 10.0.0.1 1 2\r\n") },
	{ "v1 space at the end", BYTES("PROXY TCP4 10.1.2.3 10.0.0.1 1 2 \r\n") },
	{ "v1 no LF after CR", BYTES("PROXY TCP4 10.1.2.3 10.0.0.1 1 2\rx") },
	{ "v1 LF without CR", BYTES("PROXY TCP4 10.1.2.3 10.0.0.1 1 2\n\r\n") },
	{ "v1 zero byte", BYTES("PROXY TCP4 10.1.2.3\0 10.0.0.1 1 2\r\n") },
	{ "v1 zero byte in an unknown one", BYTES("PROXY UNKNOWN\0\r\n") },
	{ "v1 108 bytes", BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
				"65535 65535 \r\n") },
	{ "v2 wrong signature", BYTES("\r\n\r\n\0\r\nQUIT\r") },
	{ "v2 version 1", BYTES(SIG "\x11") },
	{ "v2 version 3", BYTES(SIG "\x31") },
	{ "v2 unknown command", BYTES(SIG "\x22") },
	{ "v2 unknown family", BYTES(SIG "\x21\x41") },
	{ "v2 unknown protocol", BYTES(SIG "\x21\x13") },
	{ "v2 too short for IPv4", BYTES(SIG "\x21\x11\0\x0b") },
	{ "v2 too short for IPv6", BYTES(SIG "\x21\x21\0\x23") },
	{ "v2 a TLV beyond the header", BYTES(SIG "\x21\x11\0\x0f" V4_PAIR "\1\xff\xff") },
	{ "v2 a TLV one byte beyond", BYTES(SIG "\x21\x21\0\x29" V6_PAIR "\4\0\3hi") },
	{ "v2 half a TLV behind a whole one", BYTES(SIG "\x21\x11\0\x13" V4_PAIR "\4\0\2hi\4\0") },
	{ "v2 one byte behind the addresses", BYTES(SIG "\x21\x11\0\x0d" V4_PAIR "\4") },
	{ "v2 4097 bytes", BYTES(SIG "\x21\0\x0f\xf1") },
	{ "v2 65551 bytes", BYTES(SIG "\x20\0\xff\xff") },
};

static int parse(const char *data, size_t n, struct mlbd_proxy_header *h)
{
	/* Memory of that very size: the sanitizer sees a read beyond it. */
	uint8_t *copy = malloc(n ? n : 1);

	memcpy(copy, data, n);
	int rc = mlbd_proxy_parse(copy, n, h);

	free(copy);
	return rc;
}

TEST(whole_headers)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct mlbd_proxy_header h;
		char a[MLB_ENDPOINT_LEN] = "", b[MLB_ENDPOINT_LEN] = "";
		int rc = parse(good[i].data, good[i].len, &h);

		if (rc > 0 && h.has_addresses) {
			mlb_endpoint_text(&h.source, a);
			mlb_endpoint_text(&h.destination, b);
		}
		if (rc != (int)good[i].len || strcmp(a, good[i].source) || strcmp(b, good[i].destination))
			printf("# %s: rc %d, %s -> %s\n", good[i].what, rc, a, b);
		CHECK_EQ(rc, good[i].len);
		CHECK_STR(a, good[i].source);
		CHECK_STR(b, good[i].destination);
	}
}

TEST(every_beginning_of_a_header_wants_more)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		for (size_t n = 0; n < good[i].len; n++) {
			struct mlbd_proxy_header h;
			int rc = parse(good[i].data, n, &h);

			if (rc)
				printf("# %s: first %zu bytes: rc %d\n", good[i].what, n, rc);
			CHECK_EQ(rc, 0);
		}
}

TEST(what_follows_a_header_is_not_part_of_it)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct mlbd_proxy_header h;
		char data[2 * MLBD_PROXY_MOST];

		memset(data, '\n', sizeof(data));
		memcpy(data, good[i].data, good[i].len);
		CHECK_EQ(parse(data, sizeof(data), &h), good[i].len);
	}
}

TEST(malformed_headers)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mlbd_proxy_header h;
		int rc = parse(bad[i].data, bad[i].len, &h);

		/* Cut anywhere it is a beginning or already refused, never a header. */
		for (size_t n = 0; n < bad[i].len; n++) {
			int part = parse(bad[i].data, n, &h);

			if (part != 0 && part != -EPROTO)
				printf("# %s: first %zu bytes: rc %d\n", bad[i].what, n, part);
			CHECK(part == 0 || part == -EPROTO);
		}
		if (rc != -EPROTO)
			printf("# %s: rc %d\n", bad[i].what, rc);
		CHECK_EQ(rc, -EPROTO);
	}
}

TEST(the_longest_header_is_decided)
{
	struct mlbd_proxy_header h;
	char data[MLBD_PROXY_MOST] = SIG "\x21\0\x0f\xf0", line[MLBD_PROXY_V1_MOST];

	CHECK_EQ(parse(data, sizeof(data) - 1, &h), 0);
	CHECK_EQ(parse(data, sizeof(data), &h), MLBD_PROXY_MOST);
	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY ", 6);
	CHECK_EQ(parse(line, sizeof(line) - 1, &h), 0);
	CHECK_EQ(parse(line, sizeof(line), &h), -EPROTO);
	line[sizeof(line) - 1] = '\r';
	CHECK_EQ(parse(line, sizeof(line), &h), -EPROTO);
}

/* Addresses, and the header of version 1. Version 2 says the same. */
static const struct {
	const char *source, *destination, *v1;
	size_t v2_len;
} written[] = {
	{ "10.1.2.3:12345", "10.0.0.1:443", "PROXY TCP4 10.1.2.3 10.0.0.1 12345 443\r\n", 28 },
	{ "[2001:db8::7]:1", "[2001:db8::8]:65535", "PROXY TCP6 2001:db8::7 2001:db8::8 1 65535\r\n", 52 },
	{ "10.1.2.3:5", "[2001:db8::8]:443", "PROXY TCP6 ::ffff:10.1.2.3 2001:db8::8 5 443\r\n", 52 },
	{ "[2001:db8::7]:5", "10.0.0.1:443", "PROXY TCP6 2001:db8::7 ::ffff:10.0.0.1 5 443\r\n", 52 },
	{ "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	  "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", 52 },
};

TEST(what_is_written_reads_back)
{
	for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++)
		for (unsigned version = 1; version <= 2; version++) {
			struct mlb_endpoint source, destination;
			struct mlbd_proxy_header h;
			uint8_t data[MLBD_PROXY_WRITE_MOST];

			CHECK_EQ(mlb_endpoint_parse(written[i].source, false, &source, NULL), 0);
			CHECK_EQ(mlb_endpoint_parse(written[i].destination, false, &destination, NULL), 0);
			uint32_t n = mlbd_proxy_write(data, version, &source, &destination);

			CHECK_EQ(n, version == 1 ? strlen(written[i].v1) : written[i].v2_len);
			if (version == 1)
				CHECK(memcmp(data, written[i].v1, n) == 0);
			CHECK_EQ(parse((const char *)data, n, &h), n);
			CHECK(h.has_addresses && mlb_endpoint_eq(&h.source, &source) &&
			      mlb_endpoint_eq(&h.destination, &destination));
		}
}

MLB_TEST_MAIN(CASE(whole_headers), CASE(every_beginning_of_a_header_wants_more), CASE(what_follows_a_header_is_not_part_of_it),
	      CASE(malformed_headers), CASE(the_longest_header_is_decided), CASE(what_is_written_reads_back))
