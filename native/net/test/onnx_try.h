/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a file's bytes, runs the graph on made-up inputs, and looks at every value of its results: all that a stranger's file can
 * reach. For the mutation test and the fuzzer. */
#ifndef MARLLB_NET_ONNX_TRY_H
#define MARLLB_NET_ONNX_TRY_H
#include <stdlib.h>
#include <string.h>
#include "net.h"

enum onnx_tried { TRIED_REFUSED, TRIED_READ, TRIED_RUN };

static inline void onnx_look(const struct net_run *run, uint32_t outputs)
{
	volatile float sink = 0;
	for (uint32_t i = 0; i < outputs; i++) {
		struct net_shape s;
		size_t n = 0;
		const float *o = net_result(run, i, &s);
		if (net_shape_size(&s, &n))
			abort();
		for (size_t k = 0; k < n; k++)
			sink = sink + o[k];
	}
}

static inline enum onnx_tried onnx_try(const uint8_t *bytes, size_t len, int *rc, char err[256])
{
	static float input[1 << 16];
	struct net *net = NULL;
	struct net_run *run = NULL;
	uint8_t *exact = malloc(len + 1); /* a heap block of this size: a sanitizer sees a read past its end */
	enum onnx_tried tried = TRIED_REFUSED;
	memcpy(exact, bytes, len);
	err[0] = 0;
	*rc = net_parse(&net, exact, len, err);
	free(exact);
	if (*rc)
		return tried;
	tried = TRIED_READ;
	*rc = net_run_new(&run, net);
	for (uint32_t i = 0; !*rc && i < net_inputs(net); i++) {
		struct net_shape s = net_input_shape(net, i);
		size_t n = 0;
		for (int k = 0; k < s.rank; k++)
			if (s.dim[k] < 0 || s.dim[k] > 16)
				s.dim[k] = 2;
		*rc = net_shape_size(&s, &n);
		for (size_t k = 0; !*rc && k < n; k++)
			input[k] = .1f * (float)k;
		*rc = *rc ? *rc : net_feed(run, i, input, s);
	}
	if (!*rc)
		*rc = net_eval(run, err);
	if (!*rc) {
		onnx_look(run, net_outputs(net));
		tried = TRIED_RUN;
	}
	net_run_free(run);
	net_free(net);
	return tried;
}
#endif
