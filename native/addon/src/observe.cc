/* SPDX-License-Identifier: Apache-2.0 */
/* observe(hdr, records, state | null) and what its features are called. */
#include <cerrno>

#include "convert.h"
#include "marllb/layout_fields.h"
#include "observation.h"

static Napi::Value observe(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Bytes h = bytes_of(info[0], "hdr"), r = bytes_of(info[1], "records"), p = { nullptr, 0 };
	if (!info[2].IsNull())
		p = bytes_of(info[2], "state");
	uint32_t n = static_cast<uint32_t>(r.size / mlb_server_rec_size);
	if (n > observation_max_servers)
		fail(env, -E2BIG, "frame: more than " + std::to_string(observation_max_servers) + " servers");
	/* Kept from call to call: fresh ones of this size are fresh pages each time. */
	static thread_local std::vector<uint64_t> buffers[4];
	const uint64_t *hdr = aligned_copy(h, buffers[0]), *records = aligned_copy(r, buffers[1]),
		       *prev = aligned_copy(p, buffers[2]);
	std::vector<uint64_t> &next = buffers[3];
	auto server = Napi::Float32Array::New(env, static_cast<size_t>(n) * observation_server_features);
	auto pool = Napi::Float32Array::New(env, observation_pool_features);
	auto kalman = Napi::Float32Array::New(env, n);
	auto stratum = Napi::Float32Array::New(env, n);
	auto latency = Napi::Float32Array::New(env, n);
	if (next.size() < (observation_state_size(n) + 7) / 8)
		next.resize((observation_state_size(n) + 7) / 8);
	observation out = { 0, 0, 0, server.Data(), pool.Data(), kalman.Data(), stratum.Data(), latency.Data(), 0, 0 };
	int rc = observation_make(hdr, h.size, records, r.size, p.data ? prev : nullptr, p.size, next.data(), &out);
	if (rc == -EPROTO)
		fail(env, rc, "state: these bytes are no state of an observation");
	if (rc != 0)
		fail(env, rc,
		     "frame: its schema, record size or length is not what this release reads, or the state is of another "
		     "schema");
	auto ids = Napi::Uint32Array::New(env, n);
	auto weight_static = Napi::Float32Array::New(env, n);
	observation_names(records, n, ids.Data(), weight_static.Data());
	Napi::Object result = Napi::Object::New(env);
	result.Set("ids", ids);
	result.Set("weightStatic", weight_static);
	result.Set("state",
		   Napi::Buffer<uint8_t>::Copy(env, reinterpret_cast<uint8_t *>(next.data()), observation_state_size(n)));
	result.Set("stepped", out.stepped != 0);
	result.Set("present", out.present);
	result.Set("server", server);
	result.Set("pool", pool);
	result.Set("kalman", kalman);
	result.Set("stratum", stratum);
	result.Set("latency", latency);
	result.Set("dt", out.dt);
	result.Set("shared", out.shared != 0);
	result.Set("outOfRange", out.out_of_range);
	return result;
}

static Napi::Array features(Napi::Env env, uint32_t n, observation_feature (*get)(uint32_t))
{
	Napi::Array list = Napi::Array::New(env, n);
	for (uint32_t i = 0; i < n; i++) {
		observation_feature f = get(i);
		Napi::Object o = Napi::Object::New(env);
		o.Set("name", f.name);
		o.Set("block", f.block);
		o.Set("lo", f.lo);
		o.Set("hi", f.hi);
		list.Set(i, o);
	}
	return list;
}

static Napi::Value observation_shape(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Napi::Object out = Napi::Object::New(env);
	out.Set("schema", observation_schema);
	out.Set("stepUs", observation_step_us);
	out.Set("server", features(env, observation_server_features, observation_server_feature));
	out.Set("pool", features(env, observation_pool_features, observation_pool_feature));
	return out;
}

void observe_init(Napi::Env env, Napi::Object exports)
{
	exports.Set("observe", Napi::Function::New(env, observe));
	exports.Set("observationShape", Napi::Function::New(env, observation_shape));
}
