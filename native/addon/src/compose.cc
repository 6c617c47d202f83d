/* SPDX-License-Identifier: Apache-2.0 */
/* The envelope by itself: compose(vector) -> { refused, bare, share }. */
#include "convert.h"
#include "vector.h"

mlb_agent_vector vector_of(const Napi::Object &o)
{
	mlb_agent_vector x = {};
	Napi::Value raw = property(o, "raw");
	if (!raw.IsTypedArray())
		fail(o.Env(), -22, "raw: a Float32Array is expected");
	size_t n = raw.As<Napi::TypedArray>().ElementLength();
	x.n = static_cast<uint32_t>(n);
	x.raw = array_of<float>(o, "raw", n, false);
	x.stat = array_of<float>(o, "stat", n, false);
	x.factor = array_of<float>(o, "factor", n, true);
	x.prev = array_of<float>(o, "prev", n, true);
	x.ejected = array_of<uint8_t>(o, "ejected", n, true);
	x.trust = static_cast<float>(number_of(o, "trust"));
	x.step_ratio = static_cast<float>(number_of(o, "stepRatio"));
	x.dt_s = static_cast<float>(number_of(o, "dt"));
	x.ejected_cap = static_cast<float>(number_of(o, "ejectedCap"));
	x.exact = property(o, "exact").ToBoolean();
	return x;
}

static Napi::Value compose(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	mlb_agent_vector x = vector_of(info[0].As<Napi::Object>());
	auto bare = Napi::Float32Array::New(env, x.n), share = Napi::Float32Array::New(env, x.n);
	mlb_refuse why = mlb_agent_compose(&x, bare.Data(), share.Data());
	Napi::Object out = Napi::Object::New(env);
	out.Set("refused", why == MLB_REFUSE_NONE ? env.Null() : Napi::Value(Napi::String::New(env, mlb_refuse_name(why))));
	out.Set("bare", bare);
	out.Set("share", share);
	return out;
}

void compose_init(Napi::Env env, Napi::Object exports)
{
	exports.Set("compose", Napi::Function::New(env, compose));
}
