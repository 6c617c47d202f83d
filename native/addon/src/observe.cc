/* SPDX-License-Identifier: Apache-2.0 */
/* observe(hdr, records, state | null) and what its features are called. */
#include <cerrno>

#include "convert.h"
#include "marllb/observe.h"

/* What must hold before the core reads the bytes; what they say of themselves is for it to check. */
static void check_frame(Napi::Env env, const mlb_frame_hdr *hdr, size_t hdr_size, size_t records_size)
{
	if (hdr_size == sizeof(*hdr) && hdr->schema == MLB_FRAME_SCHEMA && hdr->record_size == sizeof(mlb_server_rec) &&
	    records_size == static_cast<uint64_t>(hdr->count) * sizeof(mlb_server_rec))
		return;
	fail(env, -EINVAL, "frame: its schema, record size or length is not what this release reads");
}

/* A checkpoint comes back from an agent: its length must be that of what it says it holds. */
static void check_state(Napi::Env env, const mlb_obs_state *state, size_t size)
{
	if (size < sizeof(*state) || state->n > MLB_MAX_SERVERS_PER_VIP || size != MLB_OBS_STATE_SIZE(state->n))
		fail(env, -EPROTO, "state: these bytes are no state of an observation");
}

static Napi::Value strip_records(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Bytes r = bytes_of(info[0], "records");
	if (r.size % sizeof(mlb_server_rec) != 0)
		fail(env, -EINVAL, "records: their length is not what this release reads");
	static thread_local std::vector<uint64_t> buffer;
	aligned_copy(r, buffer);
	mlb_obs_strip(reinterpret_cast<mlb_server_rec *>(buffer.data()), static_cast<uint32_t>(r.size / sizeof(mlb_server_rec)));
	return Napi::Buffer<uint8_t>::Copy(env, reinterpret_cast<uint8_t *>(buffer.data()), r.size);
}

static Napi::Value observe(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Bytes h = bytes_of(info[0], "hdr"), r = bytes_of(info[1], "records"), p = { nullptr, 0 };
	if (!info[2].IsNull())
		p = bytes_of(info[2], "state");
	/* Kept from call to call: fresh ones of this size are fresh pages each time. */
	static thread_local std::vector<uint64_t> buffers[4];
	auto *hdr = reinterpret_cast<const mlb_frame_hdr *>(aligned_copy(h, buffers[0]));
	auto *records = reinterpret_cast<const mlb_server_rec *>(aligned_copy(r, buffers[1]));
	auto *prev = reinterpret_cast<const mlb_obs_state *>(aligned_copy(p, buffers[2]));
	check_frame(env, hdr, h.size, r.size);
	if (p.data)
		check_state(env, prev, p.size);
	uint32_t n = hdr->count;
	if (n > MLB_MAX_SERVERS_PER_VIP)
		fail(env, -E2BIG, "frame: more than " + std::to_string(MLB_MAX_SERVERS_PER_VIP) + " servers");
	size_t size = MLB_OBS_STATE_SIZE(n);
	std::vector<uint64_t> &next = buffers[3];
	if (next.size() < (size + 7) / 8)
		next.resize((size + 7) / 8);
	auto server = Napi::Float32Array::New(env, static_cast<size_t>(n) * MLB_OBS_SERVER_FEATURES);
	auto pool = Napi::Float32Array::New(env, MLB_OBS_POOL_FEATURES);
	auto kalman = Napi::Float32Array::New(env, n);
	auto stratum = Napi::Float32Array::New(env, n);
	auto latency = Napi::Float32Array::New(env, n);
	mlb_obs_out out = {};
	out.server = server.Data();
	out.pool = pool.Data();
	out.kalman = kalman.Data();
	out.stratum = stratum.Data();
	out.latency = latency.Data();
	int rc = mlb_observe(hdr, records, p.data ? prev : nullptr, reinterpret_cast<mlb_obs_state *>(next.data()), &out);
	if (rc != 0)
		fail(env, rc, "state: it is of another schema, or it contradicts itself");
	auto ids = Napi::Uint32Array::New(env, n);
	auto weight_static = Napi::Float32Array::New(env, n);
	for (uint32_t i = 0; i < n; i++) {
		ids[i] = records[i].id;
		weight_static[i] = records[i].weight_static;
	}
	Napi::Object result = Napi::Object::New(env);
	result.Set("ids", ids);
	result.Set("weightStatic", weight_static);
	result.Set("state", Napi::Buffer<uint8_t>::Copy(env, reinterpret_cast<uint8_t *>(next.data()), size));
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

static Napi::Array features(Napi::Env env, const mlb_obs_feature *list, uint32_t n)
{
	Napi::Array out = Napi::Array::New(env, n);
	for (uint32_t i = 0; i < n; i++) {
		Napi::Object o = Napi::Object::New(env);
		o.Set("name", list[i].name);
		o.Set("block", list[i].block);
		o.Set("lo", list[i].lo);
		o.Set("hi", list[i].hi);
		out.Set(i, o);
	}
	return out;
}

static Napi::Value observation_shape(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Napi::Object out = Napi::Object::New(env);
	out.Set("schema", MLB_OBS_SCHEMA);
	out.Set("stepUs", MLB_OBS_STEP_US);
	Napi::Array schemas = Napi::Array::New(env);
	for (uint32_t schema = MLB_OBS_SCHEMA; schema >= MLB_OBS_SCHEMA_OLDEST; schema--) {
		uint32_t server = 0, pool = 0;
		mlb_obs_sizes(schema, &server, &pool);
		Napi::Object o = Napi::Object::New(env);
		o.Set("schema", schema);
		o.Set("serverFeatures", server);
		o.Set("poolFeatures", pool);
		schemas.Set(MLB_OBS_SCHEMA - schema, o);
	}
	out.Set("schemas", schemas);
	out.Set("server", features(env, mlb_obs_server_features, MLB_OBS_SERVER_FEATURES));
	out.Set("pool", features(env, mlb_obs_pool_features, MLB_OBS_POOL_FEATURES));
	return out;
}

void observe_init(Napi::Env env, Napi::Object exports)
{
	exports.Set("stripRecords", Napi::Function::New(env, strip_records));
	exports.Set("observe", Napi::Function::New(env, observe));
	exports.Set("observationShape", Napi::Function::New(env, observation_shape));
}
