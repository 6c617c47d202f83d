/* SPDX-License-Identifier: Apache-2.0 */
/* policies() and policyStep(name, observation, state): the core's catalogue of heuristics. */
#include <cerrno>

#include "convert.h"
#include "marllb/policy.h"

static Napi::Value policies(const Napi::CallbackInfo &call)
{
	Napi::Env env = call.Env();
	Napi::Array list = Napi::Array::New(env);
	for (const mlb_policy *const *p = mlb_policies; *p; p++) {
		Napi::Object o = Napi::Object::New(env);
		o.Set("name", (*p)->name);
		o.Set("help", (*p)->help);
		o.Set("stateSize", (*p)->state);
		list.Set(list.Length(), o);
	}
	return list;
}

/* { dt, weightStatic, kalman, latency }, state: Float32Array of n * stateSize. Returns { weights, kappa, state }. */
static Napi::Value step(const Napi::CallbackInfo &call)
{
	Napi::Env env = call.Env();
	std::string name = call[0].As<Napi::String>();
	const mlb_policy *p = mlb_policy_find(name.c_str());
	if (!p)
		fail(env, -ENOENT, "no policy \"" + name + "\"");
	Napi::Object o = call[1].As<Napi::Object>();
	size_t n = property(o, "weightStatic").As<Napi::Float32Array>().ElementLength();
	auto before = call[2].As<Napi::Float32Array>();
	if (before.ElementLength() != n * p->state)
		fail(env, -EINVAL, "state: expected " + std::to_string(n * p->state) + " floats");
	mlb_policy_in in = {};
	in.n = static_cast<uint32_t>(n);
	in.dt = number_of(o, "dt");
	in.weight_static = array_of<float>(o, "weightStatic", n, false);
	in.kalman = array_of<float>(o, "kalman", n, false);
	in.latency = array_of<float>(o, "latency", n, false);
	auto state = Napi::Float32Array::New(env, n * p->state);
	for (size_t i = 0; i < n * p->state; i++)
		state[i] = before[i];
	auto weights = Napi::Float32Array::New(env, n);
	mlb_policy_out out = { weights.Data(), p->kappa };
	p->step(&in, state.Data(), &out);
	Napi::Object result = Napi::Object::New(env);
	result.Set("weights", weights);
	result.Set("kappa", out.kappa);
	result.Set("state", state);
	return result;
}

void policy_init(Napi::Env env, Napi::Object exports)
{
	exports.Set("policies", Napi::Function::New(env, policies));
	exports.Set("policyStep", Napi::Function::New(env, step));
}
