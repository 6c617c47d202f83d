/* SPDX-License-Identifier: Apache-2.0 */
/* Figures that the core computes the same way for every program. */
#include "convert.h"
#include "marllb/fairness.h"

#include <cerrno>

static Napi::Value jain(const Napi::CallbackInfo &info)
{
	if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != napi_float64_array)
		fail(info.Env(), -EINVAL, "values: a Float64Array is expected");
	Napi::Float64Array x = info[0].As<Napi::Float64Array>();
	return Napi::Number::New(info.Env(), mlb_jain(x.Data(), static_cast<uint32_t>(x.ElementLength())));
}

void figures_init(Napi::Env env, Napi::Object exports)
{
	exports.Set("jain", Napi::Function::New(env, jain));
}
