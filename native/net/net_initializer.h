/* SPDX-License-Identifier: Apache-2.0 */
/* Constants of a graph: ONNX's TensorProto, float32, int32 or int64, kept as float32. */
#ifndef MARLLB_NET_INITIALIZER_H
#define MARLLB_NET_INITIALIZER_H
#include "net_proto.h"
#include "net_types.h"

enum { NET_TYPE_FLOAT = 1, NET_TYPE_INT32 = 6, NET_TYPE_INT64 = 7 };

/* Reads one into value `into`, or, where that is negative, into the value of its own name. -EPROTO, -ENOTSUP, -ENOMEM with err.
 */
int net_initializer_read(struct net *, struct net_span, int into, char err[256]);
#endif
