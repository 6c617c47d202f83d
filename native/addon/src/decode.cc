/* SPDX-License-Identifier: Apache-2.0 */
/* Frame bytes by field name. The table of fields is the core's (layout_fields.h). */
#include <netinet/in.h>

#include <cerrno>
#include <cmath>
#include <cstring>

#include "convert.h"
#include "marllb/agent.h"
#include "marllb/endpoint.h"
#include "marllb/layout_fields.h"

template <typename T> static T load(const uint8_t *p)
{
	T value;
	memcpy(&value, p, sizeof(value));
	return value;
}

static double as_double(const uint8_t *p, uint32_t kind)
{
	switch (kind) {
	case MLB_FIELD_U8: return *p;
	case MLB_FIELD_U16: return load<uint16_t>(p);
	case MLB_FIELD_U32: return load<uint32_t>(p);
	case MLB_FIELD_U64: return static_cast<double>(load<uint64_t>(p));
	default: return load<float>(p);
	}
}

static Napi::String address_text(Napi::Env env, const uint8_t *addr, const uint8_t *port)
{
	char text[MLB_ENDPOINT_LEN];
	mlb_endpoint e = {};
	memcpy(e.addr.b, addr, sizeof(e.addr.b));
	e.port = load<uint16_t>(port);
	return Napi::String::New(env, mlb_endpoint_text(&e, text));
}

static uint64_t header_field(const uint8_t *hdr, const char *name)
{
	for (uint32_t i = 0; i < mlb_frame_field_count; i++)
		if (!strcmp(mlb_frame_fields[i].name, name))
			return mlb_frame_fields[i].kind == MLB_FIELD_U64 ?
				       load<uint64_t>(hdr + mlb_frame_fields[i].offset) :
				       static_cast<uint64_t>(
					       as_double(hdr + mlb_frame_fields[i].offset, mlb_frame_fields[i].kind));
	return 0;
}

static Bytes header_of(const Napi::Value &value)
{
	Napi::Env env = value.Env();
	Bytes hdr = bytes_of(value, "hdr");
	if (hdr.size != mlb_frame_hdr_size)
		fail(env, -EPROTO,
		     "frame header: " + std::to_string(mlb_frame_hdr_size) + " bytes are expected, not " +
			     std::to_string(hdr.size));
	if (header_field(hdr.data, "schema") != mlb_frame_schema || header_field(hdr.data, "record_size") != mlb_server_rec_size)
		fail(env, -EPROTO,
		     "frame: schema " + std::to_string(mlb_frame_schema) + " with records of " +
			     std::to_string(mlb_server_rec_size) +
			     " bytes is expected; data plane and services must be of one release");
	return hdr;
}

/* decodeIdentity(hdr: Buffer): the few fields that are read of every frame. */
static Napi::Value decode_identity(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	const uint8_t *hdr = header_of(info[0]).data, *name = hdr + mlb_frame_name_offset;
	Napi::Object out = Napi::Object::New(env);
	out.Set("vipId", static_cast<double>(header_field(hdr, "vip_id")));
	out.Set("name", Napi::String::New(env, reinterpret_cast<const char *>(name),
					  strnlen(reinterpret_cast<const char *>(name), mlb_frame_name_len)));
	out.Set("address", address_text(env, hdr + mlb_frame_vip_offset, hdr + mlb_frame_vip_port_offset));
	out.Set("protocol", Napi::String::New(env, hdr[mlb_frame_vip_proto_offset] == IPPROTO_UDP ? "udp" : "tcp"));
	out.Set("dpEpoch", bigint(env, header_field(hdr, "dp_epoch")));
	out.Set("birth", bigint(env, header_field(hdr, "birth")));
	out.Set("generation", static_cast<double>(header_field(hdr, "generation")));
	out.Set("seq", static_cast<double>(header_field(hdr, "seq")));
	out.Set("monoNs", bigint(env, header_field(hdr, "mono_ns")));
	out.Set("count", static_cast<double>(header_field(hdr, "count")));
	out.Set("term", bigint(env, header_field(hdr, "term")));
	out.Set("ladder", static_cast<double>(header_field(hdr, "ladder")));
	out.Set("load", static_cast<double>(header_field(hdr, "load")));
	return out;
}

/* decodeHeader(hdr: Buffer): every scalar by name; numbers, but bigint for 64-bit names of things. */
static Napi::Value decode_header(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Bytes hdr = header_of(info[0]);
	Napi::Object out = Napi::Object::New(env);
	for (uint32_t i = 0; i < mlb_frame_field_count; i++) {
		const mlb_field &f = mlb_frame_fields[i];
		const uint8_t *p = hdr.data + f.offset;
		if (f.count > 1) {
			Napi::Object refused = Napi::Object::New(env);
			for (uint32_t k = 1; k < f.count; k++) /* [0] is "none" */
				refused.Set(mlb_refuse_name(k), as_double(p + 8 * k, f.kind));
			out.Set(f.name, refused);
		} else if (f.kind == MLB_FIELD_U64 && (f.role == MLB_ROLE_ID || f.role == MLB_ROLE_CLOCK)) {
			out.Set(f.name, bigint(env, load<uint64_t>(p)));
		} else {
			out.Set(f.name, as_double(p, f.kind));
		}
	}
	return out;
}

static Bytes records_of(const Napi::Value &value, uint32_t *n)
{
	Bytes r = bytes_of(value, "records");
	if (r.size % mlb_server_rec_size != 0)
		fail(value.Env(), -EPROTO, "frame records: " + std::to_string(r.size) + " bytes are no whole number of records");
	*n = static_cast<uint32_t>(r.size / mlb_server_rec_size);
	return r;
}

template <typename Array, typename T> static Napi::Value gather(Napi::Env env, const uint8_t *p, uint32_t n, uint32_t count)
{
	Array out = Array::New(env, static_cast<size_t>(n) * count);
	for (uint32_t i = 0; i < n; i++)
		memcpy(out.Data() + static_cast<size_t>(i) * count, p + static_cast<size_t>(i) * mlb_server_rec_size,
		       count * sizeof(T));
	return out;
}

/* decodeColumn(records: Buffer, field: string): one element a server, of an array field all its elements one server after the
 * other. */
static Napi::Value decode_column(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	uint32_t n;
	Bytes r = records_of(info[0], &n);
	std::string name = info[1].As<Napi::String>().Utf8Value();
	const mlb_field *f = mlb_server_field(name.c_str());
	if (!f)
		fail(env, -EINVAL, "a server's record has no field " + name);
	const uint8_t *p = r.data + f->offset;
	switch (f->kind) {
	case MLB_FIELD_U16: return gather<Napi::Uint16Array, uint16_t>(env, p, n, f->count);
	case MLB_FIELD_U32: return gather<Napi::Uint32Array, uint32_t>(env, p, n, f->count);
	case MLB_FIELD_F32: return gather<Napi::Float32Array, float>(env, p, n, f->count);
	default: break;
	}
	auto out = Napi::Float64Array::New(env, n);
	for (uint32_t i = 0; i < n; i++)
		out[i] = as_double(p + static_cast<size_t>(i) * mlb_server_rec_size, f->kind);
	return out;
}

static Napi::Value decode_addresses(const Napi::CallbackInfo &info)
{
	uint32_t n;
	Bytes r = records_of(info[0], &n);
	Napi::Array out = Napi::Array::New(info.Env(), n);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *p = r.data + static_cast<size_t>(i) * mlb_server_rec_size;
		out.Set(i, address_text(info.Env(), p + mlb_server_addr_offset, p + mlb_server_port_offset));
	}
	return out;
}

/* Rows of fields.h: [{ name: "resets", role: "counter", unit: "flows", metric: "resets_total", help: "..." }, ...] */
static Napi::Array fields_of(Napi::Env env, const mlb_field *f, uint32_t n)
{
	static const char *const roles[] = { "id",       "clock", "state",   "gauge",     "counter",
					     "integral", "time",  "summary", "histogram", "pad" };
	Napi::Array out = Napi::Array::New(env, n);
	for (uint32_t i = 0; i < n; i++) {
		Napi::Object row = Napi::Object::New(env);
		row.Set("name", f[i].name);
		row.Set("role", roles[f[i].role]);
		row.Set("unit", f[i].unit);
		row.Set("metric", f[i].metric);
		row.Set("help", f[i].help);
		out.Set(i, row);
	}
	return out;
}

static Napi::Value layout(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Napi::Object out = Napi::Object::New(env);
	out.Set("frameSchema", mlb_frame_schema);
	out.Set("recordSize", mlb_server_rec_size);
	out.Set("headerSize", mlb_frame_hdr_size);
	out.Set("frameFields", fields_of(env, mlb_frame_fields, mlb_frame_field_count));
	out.Set("serverFields", fields_of(env, mlb_server_fields, mlb_server_field_count));
	Napi::Array edges = Napi::Array::New(env, mlb_hist_buckets);
	for (uint32_t i = 0; i < mlb_hist_buckets; i++)
		edges.Set(i, static_cast<double>(mlb_hist_edge_us(i)));
	out.Set("histogramEdgesUs", edges);
	return out;
}

void decode_init(Napi::Env env, Napi::Object exports)
{
	exports.Set("decodeIdentity", Napi::Function::New(env, decode_identity));
	exports.Set("decodeHeader", Napi::Function::New(env, decode_header));
	exports.Set("decodeColumn", Napi::Function::New(env, decode_column));
	exports.Set("decodeAddresses", Napi::Function::New(env, decode_addresses));
	exports.Set("layout", Napi::Function::New(env, layout));
}
