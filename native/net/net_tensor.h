/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes and memory of tensors. A shape that passed net_shape_size has dimensions whose products, in any selection, fit into
 * size_t. */
#ifndef MARLLB_NET_TENSOR_H
#define MARLLB_NET_TENSOR_H
#include "net_types.h"

/* Floats of a shape that passed net_shape_size. */
size_t net_shape_count(const struct net_shape *);
/* Sets the shape and makes room; -EINVAL (the shape is too large), -ENOMEM. Data is never NULL afterwards. */
int net_tensor_resize(struct net_tensor *, struct net_shape);
/* Element i as a whole number; false if it has a fraction or is not finite. Beyond +-2^40 it is cut off: "to the end" in ONNX. */
bool net_tensor_whole(const struct net_tensor *, size_t i, int64_t *);
#endif
