/* SPDX-License-Identifier: Apache-2.0 */
/* seeds FOLDER: one file for each kind of PROXY header. */
#include <stdio.h>

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(s) s, sizeof(s) - 1

static const struct {
	const char *data;
	size_t len;
} seed[] = {
	{ BYTES("PROXY TCP4 10.1.2.3 10.0.0.1 12345 443\r\nGET /") },
	{ BYTES("PROXY TCP6 2001:db8::7 ::ffff:10.0.0.1 12345 443\r\n") },
	{ BYTES("PROXY UNKNOWN a b\r\n") },
	{ BYTES(SIG "\x21\x11\0\x0c\x0a\1\2\3\x0a\0\0\1\x30\x39\x01\xbb") },
	{ BYTES(SIG
		"\x21\x21\0\x27\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x08\1\2\3\4\4\0\0x") },
	{ BYTES(SIG "\x20\0\0\0") },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(seed) / sizeof(seed[0]); i++) {
		char path[512];
		FILE *f;

		snprintf(path, sizeof(path), "%s/proxy-%zu", argv[1], i);
		f = fopen(path, "wb");
		if (!f || fwrite(seed[i].data, seed[i].len, 1, f) != 1 || fclose(f))
			return 1;
	}
	return argc != 2;
}
