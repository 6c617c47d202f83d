/* SPDX-License-Identifier: Apache-2.0 */
/* class Region(path, wake): the agent's attachment. One native thread waits on the region's futex and calls `wake`; calls that
 * have not been delivered yet are not repeated. */
#include <atomic>
#include <cerrno>
#include <memory>
#include <vector>

#include "convert.h"
#include "marllb/agent.h"
#include "marllb/endpoint.h"
#include "vector.h"

namespace
{

constexpr uint64_t kWaitUs = 50000; /* longest that a closing waits for the thread, if its wake-up is missed */

class Region : public Napi::ObjectWrap<Region>
{
public:
	static Napi::Function define(Napi::Env env)
	{
		return DefineClass(env, "Region",
				   {
					   InstanceMethod<&Region::info>("info"),
					   InstanceMethod<&Region::frames>("frames"),
					   InstanceMethod<&Region::effects>("effects"),
					   InstanceMethod<&Region::publish>("publish"),
					   InstanceMethod<&Region::due>("due"),
					   InstanceMethod<&Region::flush>("flush"),
					   InstanceMethod<&Region::publish_pools>("publishPools"),
					   InstanceMethod<&Region::beat>("beat"),
					   InstanceMethod<&Region::heartbeat>("heartbeat"),
					   InstanceMethod<&Region::replaced>("replaced"),
					   InstanceMethod<&Region::close>("close"),
				   });
	}

	explicit Region(const Napi::CallbackInfo &call) : Napi::ObjectWrap<Region>(call)
	{
		Napi::Env env = call.Env();
		char err[256] = "";
		if (!call[0].IsString() || !call[1].IsFunction())
			fail(env, -EINVAL, "Region: a path and a function are expected");
		int rc = mlb_agent_attach(&agent_, call[0].As<Napi::String>().Utf8Value().c_str(), err);
		if (rc != 0)
			fail(env, rc, err);
		wake_ = Napi::ThreadSafeFunction::New(env, call[1].As<Napi::Function>(), "marllb region", 0, 1);
		wake_.Unref(env); /* waiting for frames keeps no process alive */
		waiter_ = start_thread(
			env, "Region", [this] { wait(); },
			[this] {
				wake_.Abort();
				mlb_agent_close(agent_);
				agent_ = nullptr;
			});
		napi_add_env_cleanup_hook(env, &Region::at_exit, this);
	}

	void Finalize(Napi::Env) override
	{
		shut();
	}

private:
	mlb_agent *agent_ = nullptr;
	Napi::ThreadSafeFunction wake_;
	std::thread waiter_;
	/* Outlives the object: a delivery may come late. */
	struct Flags {
		std::atomic<bool> stop{ false }, called{ false };
	};
	std::shared_ptr<Flags> flags_ = std::make_shared<Flags>();

	void wait()
	{
		uint32_t seen = mlb_agent_wait(agent_, 0, 0);
		while (!flags_->stop) {
			uint32_t now = mlb_agent_wait(agent_, seen, kWaitUs);
			if (now == seen || flags_->stop)
				continue;
			seen = now;
			if (flags_->called.exchange(true))
				continue;
			auto deliver = [flags = flags_](Napi::Env env, Napi::Function fn) {
				flags->called = false; /* before the call: what is published during it wakes again */
				if (env != nullptr && !flags->stop)
					deliver_guarded([&] { fn.Call({}); });
			};
			if (wake_.NonBlockingCall(deliver) != napi_ok)
				return;
		}
	}

	static void at_exit(void *self)
	{
		static_cast<Region *>(self)->shut();
	}

	void shut()
	{
		if (!agent_)
			return;
		flags_->stop = true;
		mlb_agent_poke(agent_);
		waiter_.join();
		wake_.Abort();
		napi_remove_env_cleanup_hook(Env(), &Region::at_exit, this);
		mlb_agent_close(agent_);
		agent_ = nullptr;
	}

	mlb_agent *agent(Napi::Env env)
	{
		if (!agent_)
			fail(env, -EBADF, "the region is closed");
		return agent_;
	}

	mlb_limits limits(Napi::Env env)
	{
		mlb_agent_info i;
		mlb_agent_info_of(agent(env), &i);
		return i.limits;
	}

	Napi::Value info(const Napi::CallbackInfo &call)
	{
		Napi::Env env = call.Env();
		mlb_agent_info i;
		mlb_agent_info_of(agent(env), &i);
		Napi::Object out = Napi::Object::New(env);
		out.Set("instance", i.instance);
		out.Set("dataplane", i.dataplane);
		out.Set("dpEpoch", bigint(env, i.dp_epoch));
		out.Set("agentEpoch", bigint(env, i.agent_epoch));
		out.Set("frameUs", i.frame_us);
		out.Set("leaseUs", i.lease_us);
		out.Set("workers", i.workers);
		out.Set("dpPid", i.dp_pid);
		return out;
	}

	/* null: the data plane has published none since the last call. */
	Napi::Value frames(const Napi::CallbackInfo &call)
	{
		Napi::Env env = call.Env();
		uint64_t before = mlb_agent_message(agent(env));
		std::vector<mlb_agent_frame> f(limits(env).vips);
		int n = mlb_agent_frames(agent(env), f.data());
		if (n < 0 && n != -EAGAIN)
			fail(env, n, "the data plane's frames contradict themselves");
		if (mlb_agent_message(agent(env)) == before)
			return env.Null();
		Napi::Array out = Napi::Array::New(env);
		for (int i = 0; i < n; i++) {
			Napi::Object o = Napi::Object::New(env);
			o.Set("vipId", f[i].vip_id);
			o.Set("schema", f[i].schema);
			o.Set("recordSize", f[i].record_size);
			o.Set("hdr", Napi::Buffer<uint8_t>::Copy(env, static_cast<const uint8_t *>(f[i].hdr), f[i].hdr_size));
			o.Set("records",
			      Napi::Buffer<uint8_t>::Copy(env, static_cast<const uint8_t *>(f[i].records), f[i].records_size));
			o.Set("dpEpoch", bigint(env, f[i].dp_epoch));
			o.Set("birth", bigint(env, f[i].birth));
			o.Set("generation", f[i].generation);
			o.Set("seq", static_cast<double>(f[i].seq));
			o.Set("monoNs", bigint(env, f[i].mono_ns));
			o.Set("realNs", bigint(env, f[i].real_ns));
			out.Set(static_cast<uint32_t>(i), o);
		}
		return out;
	}

	Napi::Value effects(const Napi::CallbackInfo &call)
	{
		Napi::Env env = call.Env();
		std::vector<mlb_effect> e(limits(env).vips);
		int n = mlb_agent_effects(agent(env), e.data());
		if (n < 0 && n != -EAGAIN)
			fail(env, n, "the data plane's effects contradict themselves");
		Napi::Array out = Napi::Array::New(env);
		for (int i = 0; i < n; i++) {
			Napi::Object o = Napi::Object::New(env);
			o.Set("vipId", e[i].vip_id);
			o.Set("birth", bigint(env, e[i].birth));
			o.Set("generation", e[i].generation);
			o.Set("agentEpoch", bigint(env, e[i].agent_epoch));
			o.Set("seq", static_cast<double>(e[i].seq));
			o.Set("frameSeq", static_cast<double>(e[i].frame_seq));
			o.Set("swapNs", bigint(env, e[i].swap_ns));
			o.Set("allNs", bigint(env, e[i].all_ns));
			o.Set("applied", static_cast<double>(e[i].applied));
			o.Set("refused", static_cast<double>(e[i].refused));
			o.Set("lastRefusal", mlb_refuse_name(e[i].last_refusal));
			o.Set("poolRevision", bigint(env, e[i].pool_revision));
			o.Set("poolRefused", static_cast<double>(e[i].pool_refused));
			out.Set(static_cast<uint32_t>(i), o);
		}
		return out;
	}

	/* True: what was published is not written yet. */
	Napi::Value due(const Napi::CallbackInfo &call)
	{
		return Napi::Boolean::New(call.Env(), mlb_agent_due(agent(call.Env())));
	}

	void flush(const Napi::CallbackInfo &call)
	{
		int rc = mlb_agent_flush(agent(call.Env()));
		if (rc != 0)
			fail(call.Env(), rc, "the vectors do not fit the region");
	}

	Napi::Value publish(const Napi::CallbackInfo &call)
	{
		Napi::Env env = call.Env();
		Napi::Object o = call[0].As<Napi::Object>(), frame = property(o, "frame").As<Napi::Object>();
		mlb_agent_vector x = vector_of(o);
		x.flags = array_of<uint8_t>(o, "flags", x.n, true);
		x.newcomers_wait = property(o, "newcomersWait").ToBoolean();
		x.ids = array_of<uint32_t>(o, "ids", x.n, false);
		x.bias = array_of<float>(o, "bias", x.n, true);
		x.load = array_of<float>(o, "load", x.n, true);
		x.vip_id = static_cast<uint32_t>(number_of(frame, "vipId"));
		x.generation = static_cast<uint32_t>(number_of(frame, "generation"));
		x.dp_epoch = bigint_of(frame, "dpEpoch");
		x.birth = bigint_of(frame, "birth");
		x.frame_seq = static_cast<uint64_t>(number_of(frame, "seq"));
		x.mono_ns = bigint_of(frame, "monoNs");
		x.term = bigint_of(o, "term");
		x.kappa = static_cast<float>(number_of(o, "kappa"));
		x.load_balancers = static_cast<uint32_t>(number_of(o, "loadBalancers"));
		x.load_balancer = static_cast<uint32_t>(number_of(o, "loadBalancer"));
		x.mode = static_cast<uint32_t>(number_of(o, "mode"));
		x.ladder = static_cast<uint32_t>(number_of(o, "ladder"));
		x.state = static_cast<uint32_t>(number_of(o, "state"));
		auto bare = Napi::Float32Array::New(env, x.n), share = Napi::Float32Array::New(env, x.n);
		uint64_t seq = 0;
		mlb_refuse why = MLB_REFUSE_NONE;
		int rc = mlb_agent_publish(agent(env), &x, bare.Data(), share.Data(), &seq, &why);
		if (rc != 0 && why == MLB_REFUSE_NONE)
			fail(env, rc, "publish: the vector does not fit the region");
		Napi::Object out = Napi::Object::New(env);
		out.Set("refused",
			why == MLB_REFUSE_NONE ? env.Null() : Napi::Value(Napi::String::New(env, mlb_refuse_name(why))));
		out.Set("seq", static_cast<double>(seq));
		out.Set("bare", bare);
		out.Set("share", share);
		return out;
	}

	/* [{ vipId, birth, managed, revision, servers: [{ address, weight, drain }] }] */
	void publish_pools(const Napi::CallbackInfo &call)
	{
		Napi::Env env = call.Env();
		Napi::Array pools = call[0].As<Napi::Array>();
		std::vector<mlb_agent_pool> list(pools.Length());
		std::vector<std::vector<mlb_agent_member>> members(pools.Length());
		for (uint32_t i = 0; i < pools.Length(); i++) {
			Napi::Object p = pools.Get(i).As<Napi::Object>();
			Napi::Array servers = property(p, "servers").As<Napi::Array>();
			for (uint32_t k = 0; k < servers.Length(); k++)
				members[i].push_back(member(servers.Get(k).As<Napi::Object>()));
			list[i] = { static_cast<uint32_t>(number_of(p, "vipId")),
				    servers.Length(),
				    property(p, "managed").ToBoolean(),
				    bigint_of(p, "birth"),
				    bigint_of(p, "revision"),
				    members[i].data() };
		}
		int rc = mlb_agent_pools(agent(env), list.data(), pools.Length());
		if (rc != 0)
			fail(env, rc, "pools: more VIPs or servers than a region holds");
	}

	static mlb_agent_member member(const Napi::Object &o)
	{
		mlb_agent_member m = {};
		std::string address = property(o, "address").ToString().Utf8Value();
		mlb_endpoint e;
		if (mlb_endpoint_parse(address.c_str(), true, &e, nullptr) != 0)
			fail(o.Env(), -EINVAL, "pool: \"" + address + "\" is no address like 10.0.0.1:80 or [2001:db8::1]:80");
		m.addr = e.addr;
		m.port = e.port;
		m.weight = static_cast<float>(number_of(o, "weight"));
		m.drain = property(o, "drain").ToBoolean();
		return m;
	}

	void beat(const Napi::CallbackInfo &call)
	{
		mlb_agent_beat(agent(call.Env()));
	}
	Napi::Value heartbeat(const Napi::CallbackInfo &call)
	{
		return bigint(call.Env(), mlb_agent_heartbeat(agent(call.Env())));
	}
	Napi::Value replaced(const Napi::CallbackInfo &call)
	{
		return Napi::Boolean::New(call.Env(), mlb_agent_replaced(agent(call.Env())));
	}
	void close(const Napi::CallbackInfo &)
	{
		shut();
	}
};

} // namespace

void region_init(Napi::Env env, Napi::Object exports)
{
	exports.Set("Region", Region::define(env));
}
