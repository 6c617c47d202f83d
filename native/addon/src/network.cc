/* SPDX-License-Identifier: Apache-2.0 */
/* class Network(bytes): a model of models/, evaluated on the calling thread. */
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "convert.h"
extern "C" {
#include "net.h"
}

namespace
{

class Network : public Napi::ObjectWrap<Network>
{
public:
	static Napi::Function define(Napi::Env env)
	{
		return DefineClass(env, "Network",
				   {
					   InstanceMethod("inputs", &Network::inputs),
					   InstanceMethod("outputs", &Network::outputs),
					   InstanceMethod("run", &Network::run),
				   });
	}

	explicit Network(const Napi::CallbackInfo &call) : Napi::ObjectWrap<Network>(call)
	{
		Napi::Env env = call.Env();
		Bytes bytes = bytes_of(call[0], "model");
		char err[256] = "";
		int rc = net_parse(&net_, bytes.data, bytes.size, err);
		if (rc == 0 && (rc = net_run_new(&run_, net_)) != 0)
			snprintf(err, sizeof(err), "no memory for it");
		if (rc != 0)
			fail(env, rc, err);
	}

	~Network() override
	{
		net_run_free(run_);
		net_free(net_);
	}

private:
	struct net *net_ = nullptr;
	struct net_run *run_ = nullptr;

	/* [{ name, shape }], -1 where a dimension is free. */
	Napi::Value inputs(const Napi::CallbackInfo &call)
	{
		Napi::Env env = call.Env();
		Napi::Array list = Napi::Array::New(env, net_inputs(net_));
		for (uint32_t i = 0; i < net_inputs(net_); i++) {
			struct net_shape s = net_input_shape(net_, i);
			Napi::Array shape = Napi::Array::New(env, static_cast<size_t>(s.rank));
			for (int d = 0; d < s.rank; d++)
				shape.Set(static_cast<uint32_t>(d), static_cast<double>(s.dim[d]));
			Napi::Object o = Napi::Object::New(env);
			o.Set("name", net_input_name(net_, i));
			o.Set("shape", shape);
			list.Set(i, o);
		}
		return list;
	}

	Napi::Value outputs(const Napi::CallbackInfo &call)
	{
		Napi::Array list = Napi::Array::New(call.Env(), net_outputs(net_));
		for (uint32_t i = 0; i < net_outputs(net_); i++)
			list.Set(i, net_output_name(net_, i));
		return list;
	}

	/* (inputs: { data, shape }[], outputs: Float32Array[]), both in the order of inputs() and outputs(). */
	void run(const Napi::CallbackInfo &call)
	{
		Napi::Env env = call.Env();
		Napi::Array in = call[0].As<Napi::Array>(), out = call[1].As<Napi::Array>();
		if (in.Length() != net_inputs(net_) || out.Length() != net_outputs(net_))
			fail(env, -EINVAL, "run: all inputs and outputs are expected");
		for (uint32_t i = 0; i < in.Length(); i++)
			feed(env, i, in.Get(i).As<Napi::Object>());
		char err[256];
		int rc = net_eval(run_, err);
		if (rc != 0)
			fail(env, rc, err);
		for (uint32_t i = 0; i < out.Length(); i++) {
			struct net_shape s;
			const float *result = net_result(run_, i, &s);
			size_t n = 1;
			for (int d = 0; d < s.rank; d++)
				n *= static_cast<size_t>(s.dim[d]);
			auto to = out.Get(i).As<Napi::Float32Array>();
			if (to.ElementLength() != n)
				fail(env, -EINVAL,
				     std::string("output ") + net_output_name(net_, i) + " has " + std::to_string(n) +
					     " values, expected " + std::to_string(to.ElementLength()));
			std::copy(result, result + n, to.Data());
		}
	}

	void feed(Napi::Env env, uint32_t i, const Napi::Object &input)
	{
		Napi::Array dims = property(input, "shape").As<Napi::Array>();
		struct net_shape s = {};
		if (dims.Length() > NET_RANK)
			fail(env, -EINVAL,
			     std::string("input ") + net_input_name(net_, i) + " has more than " + std::to_string(NET_RANK) +
				     " dimensions");
		size_t n;
		s.rank = static_cast<int>(dims.Length());
		for (uint32_t d = 0; d < dims.Length(); d++) {
			s.dim[d] = dims.Get(d).As<Napi::Number>().Int64Value();
		}
		if (net_shape_size(&s, &n) != 0 || net_feed(run_, i, array_of<float>(input, "data", n, false), s) != 0)
			fail(env, -EINVAL,
			     std::string("input ") + net_input_name(net_, i) + ": a dimension is negative or too large");
	}
};

int keep(void *arg, const char *key, const char *value)
{
	static_cast<std::vector<std::pair<std::string, std::string>> *>(arg)->emplace_back(key, value);
	return 0;
}

/* (bytes): [key, value][] of the model's metadata, also where `Network` does not handle the graph. */
Napi::Value model_metadata(const Napi::CallbackInfo &call)
{
	Napi::Env env = call.Env();
	Bytes bytes = bytes_of(call[0], "model");
	std::vector<std::pair<std::string, std::string>> all;
	char err[256] = "";
	int rc = net_properties(bytes.data, bytes.size, keep, &all, err);
	if (rc != 0)
		fail(env, rc, err);
	Napi::Array list = Napi::Array::New(env, all.size());
	for (uint32_t i = 0; i < all.size(); i++) {
		Napi::Array pair = Napi::Array::New(env, 2);
		pair.Set(0u, all[i].first);
		pair.Set(1u, all[i].second);
		list.Set(i, pair);
	}
	return list;
}

} // namespace

void network_init(Napi::Env env, Napi::Object exports)
{
	exports.Set("modelMetadata", Napi::Function::New(env, model_metadata));
	exports.Set("Network", Network::define(env));
}
