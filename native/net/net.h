/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluates the small ONNX graphs of models/ (FORMAT.md there), float32, without a library: for a service that decides within a
 * fraction of a millisecond, and for simulations of millions of steps whose figures must not depend on a library's version.
 * Checked against onnxruntime in training/test and in inference's tests. Ops: net_ops.c's table; anything else is refused when
 * the file is read, with its name. A file is not trusted: shapes, sizes and indices are checked where they are used, memory and
 * time are bounded (net_types.h). A `struct net` is read-only once built (net_set_params aside) and may serve many threads; each
 * has a `struct net_run` of its own. */
#ifndef MARLLB_NET_H
#define MARLLB_NET_H
#include <stddef.h>
#include <stdint.h>

#define NET_RANK 4
#define NET_IO_MAX 8

struct net;
struct net_run;

struct net_shape {
	int rank;
	int64_t dim[NET_RANK];
};

/* Floats of a shape; -EINVAL if a dimension is negative, or the shape larger than this code handles (256 MiB). */
int net_shape_size(const struct net_shape *, size_t *count);

/* From a file or from bytes. err: one sentence naming what is wrong. Negative errno: -ENOENT, -EPROTO (not ONNX, or contradicts
 * itself), -ENOTSUP (an op, type or rank that is not handled), -ENOMEM. */
int net_load(struct net **, const char *path, char err[256]);
int net_parse(struct net **, const void *bytes, size_t len, char err[256]);
void net_free(struct net *);

uint32_t net_inputs(const struct net *);
uint32_t net_outputs(const struct net *);
const char *net_input_name(const struct net *, uint32_t i);
const char *net_output_name(const struct net *, uint32_t i);
/* Declared shape of an input; -1 where a dimension is free. */
struct net_shape net_input_shape(const struct net *, uint32_t i);
/* Index by name, -1 if there is none. */
int net_input(const struct net *, const char *name);
int net_output(const struct net *, const char *name);
/* Value of a metadata property, NULL if absent. */
const char *net_meta(const struct net *, const char *key);
/* All metadata properties of a file, also of one whose graph net_parse does not handle. A value other than 0 ends the walk and is
 * returned. -EPROTO with err, -ENOMEM. */
typedef int net_property_fn(void *arg, const char *key, const char *value);
int net_properties(const void *bytes, size_t len, net_property_fn *, void *arg, char err[256]);

/* The trainable parameters: float initializers whose name starts with "w.", in the file's order, one after another. */
size_t net_params(const struct net *);
void net_get_params(const struct net *, float *out);
void net_set_params(struct net *, const float *in);

int net_run_new(struct net_run **, const struct net *);
void net_run_free(struct net_run *);
/* Input i by pointer, valid until net_eval returns; -EINVAL for a shape that net_shape_size refuses. */
int net_feed(struct net_run *, uint32_t input, const float *data, struct net_shape);
/* Computes; results stay until the next net_eval. With err: -EINVAL (shapes or values do not fit, or too much memory or time),
 * -ENOTSUP (a use of an op that ONNX allows and this code does not handle), -ENOMEM. */
int net_eval(struct net_run *, char err[256]);
const float *net_result(const struct net_run *, uint32_t output, struct net_shape *);
#endif
