/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARLLB_NET_ONNX_H
#define MARLLB_NET_ONNX_H
#include "net_types.h"

/* Fills an empty net from a file's bytes. Errors as net_parse. */
int net_onnx_read(struct net *, const void *bytes, size_t len, char err[256]);
#endif
