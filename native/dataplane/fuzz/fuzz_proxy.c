/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: any bytes as a PROXY header. What is refused or wants more at some length must go on so, what is a header
 * must be the same one whatever follows it, and what is read must be written and read again. */
#include <stdlib.h>
#include <string.h>

#include <marllb/endpoint.h>
#include "proxy_header.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void again(const struct mlbd_proxy_header *h)
{
	for (unsigned version = 1; version <= 2; version++) {
		uint8_t out[MLBD_PROXY_WRITE_MOST];
		struct mlbd_proxy_header back;
		uint32_t n = mlbd_proxy_write(out, version, &h->source, &h->destination);

		must(mlbd_proxy_parse(out, n, &back) == (int)n && back.has_addresses);
		must(mlb_endpoint_eq(&back.source, &h->source) && mlb_endpoint_eq(&back.destination, &h->destination));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int found = 0;

	for (size_t n = 0; n <= size && n <= MLBD_PROXY_MOST + 1; n++) {
		uint8_t *exact = malloc(n ? n : 1);
		struct mlbd_proxy_header h;

		memcpy(exact, data, n);
		int rc = mlbd_proxy_parse(exact, n, &h);

		free(exact);
		must(found ? rc == found : rc <= (int)n);
		must(rc || n < MLBD_PROXY_MOST);
		if (!found && rc > 0)
			must(rc == (int)n);
		found = rc;
		if (rc > 0 && h.has_addresses)
			again(&h);
	}
	return 0;
}
