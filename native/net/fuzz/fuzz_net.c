/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: any bytes as a model. native/fuzz.mjs builds and runs it with seeds.c's files. */
#include "../test/onnx_try.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char err[256];
	int rc;
	onnx_try(data, size, &rc, err);
	return 0;
}
