/* SPDX-License-Identifier: Apache-2.0 */
/* class Counts({ instance, region, listen, periodMs, keys }): live counts shared with other load balancers, on a thread of its
 * own. */
#include <sys/random.h>

#include <cerrno>

#include "convert.h"
#include "link.h"
#include "times.h"

namespace
{

uint64_t monotonic_us()
{
	return clock_us(CLOCK_MONOTONIC);
}

uint64_t thread_cpu_us()
{
	return clock_us(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t random_number()
{
	uint64_t x = 0;
	while (getrandom(&x, sizeof(x), 0) != sizeof(x))
		;
	return x;
}

mlb_endpoint endpoint(const Napi::Value &value)
{
	mlb_endpoint e;
	char err[256] = "";
	std::string text = value.ToString().Utf8Value();
	if (mlb_endpoint_parse(text.c_str(), true, &e, err) != 0)
		fail(value.Env(), -EINVAL, "counts: \"" + text + "\": " + err);
	return e;
}

class Counts : public Napi::ObjectWrap<Counts>
{
public:
	static Napi::Function define(Napi::Env env)
	{
		return DefineClass(env, "Counts",
				   {
					   InstanceMethod<&Counts::port>("port"),
					   InstanceMethod<&Counts::members>("members"),
					   InstanceMethod<&Counts::figures>("figures"),
					   InstanceMethod<&Counts::close>("close"),
				   });
	}

	explicit Counts(const Napi::CallbackInfo &call) : Napi::ObjectWrap<Counts>(call)
	{
		Napi::Env env = call.Env();
		Napi::Object o = call[0].As<Napi::Object>();
		Napi::Array keys = property(o, "keys").As<Napi::Array>();
		std::string region = property(o, "region").ToString().Utf8Value();
		mlb_counts_link_conf conf = {};
		char err[256] = "";
		snprintf(conf.counts.instance, sizeof(conf.counts.instance), "%s",
			 property(o, "instance").ToString().Utf8Value().c_str());
		conf.counts.epoch = static_cast<uint64_t>(clock_ns(CLOCK_REALTIME));
		conf.counts.period_us = static_cast<uint32_t>(number_of(o, "periodMs") * 1000);
		conf.counts.keys = keys.Length();
		for (uint32_t i = 0; i < keys.Length() && i < MLB_COUNTS_KEYS; i++) {
			Bytes b = bytes_of(keys.Get(i), "counts: a key");
			conf.counts.key[i].data = b.data;
			conf.counts.key[i].len = b.size;
		}
		conf.region = region.c_str();
		conf.listen = endpoint(property(o, "listen"));
		conf.now_us = monotonic_us;
		conf.cpu_us = thread_cpu_us;
		conf.random = random_number;
		int rc = mlb_counts_link_new(&link_, &conf, err);
		if (rc != 0)
			fail(env, rc, err);
		thread_ = start_thread(
			env, "Counts", [link = link_] { mlb_counts_link_run(link); },
			[this] {
				mlb_counts_link_free(link_);
				link_ = nullptr;
			});
		napi_add_env_cleanup_hook(env, &Counts::at_exit, this);
	}

	void Finalize(Napi::Env) override
	{
		shut();
	}

private:
	mlb_counts_link *link_ = nullptr;
	std::thread thread_;

	static void at_exit(void *self)
	{
		static_cast<Counts *>(self)->shut();
	}

	void shut()
	{
		if (!link_)
			return;
		mlb_counts_link_stop(link_);
		thread_.join();
		napi_remove_env_cleanup_hook(Env(), &Counts::at_exit, this);
		mlb_counts_link_free(link_);
		link_ = nullptr;
	}

	mlb_counts_link *link(Napi::Env env)
	{
		if (!link_)
			fail(env, -EBADF, "counts: closed");
		return link_;
	}

	Napi::Value port(const Napi::CallbackInfo &call)
	{
		return Napi::Number::New(call.Env(), mlb_counts_link_port(link(call.Env())));
	}

	/* Addresses, such as ["10.0.0.2:7400"]. */
	void members(const Napi::CallbackInfo &call)
	{
		Napi::Array list = call[0].As<Napi::Array>();
		std::vector<mlb_endpoint> out;
		for (uint32_t i = 0; i < list.Length(); i++)
			out.push_back(endpoint(list.Get(i)));
		mlb_counts_link_members(link(call.Env()), out.data(), static_cast<uint32_t>(out.size()));
	}

	static Napi::Object peer(Napi::Env env, const mlb_counts_peer &p)
	{
		char text[MLB_ENDPOINT_LEN];
		Napi::Object o = Napi::Object::New(env);
		o.Set("instance", p.instance);
		o.Set("address", mlb_endpoint_text(&p.from, text));
		o.Set("alive", p.alive);
		o.Set("periodMs", p.period_us / 1e3);
		o.Set("servers", p.servers);
		o.Set("shared", p.shared);
		o.Set("heard", static_cast<double>(p.heard));
		o.Set("lost", static_cast<double>(p.lost));
		o.Set("repeated", static_cast<double>(p.repeated));
		o.Set("ageMs", static_cast<double>(p.age_us) / 1e3);
		o.Set("delayMs", p.delay_us / 1e3);
		o.Set("jitterMs", p.jitter_us / 1e3);
		return o;
	}

	Napi::Value figures(const Napi::CallbackInfo &call)
	{
		Napi::Env env = call.Env();
		auto f = std::make_unique<mlb_counts_figures>();
		mlb_counts_link_figures(link(env), f.get());
		Napi::Object o = Napi::Object::New(env), verdicts = Napi::Object::New(env);
		for (uint32_t v = 0; v < MLB_COUNTS_VERDICT_COUNT; v++)
			verdicts.Set(mlb_counts_verdict_word(v), static_cast<double>(f->totals.verdict[v]));
		Napi::Array peers = Napi::Array::New(env, f->peers);
		for (uint32_t i = 0; i < f->peers; i++)
			peers.Set(i, peer(env, f->peer[i]));
		o.Set("verdicts", verdicts);
		o.Set("heardBytes", static_cast<double>(f->totals.heard_bytes));
		o.Set("sent", static_cast<double>(f->sent));
		o.Set("sentBytes", static_cast<double>(f->sent_bytes));
		o.Set("unsent", static_cast<double>(f->unsent));
		o.Set("cpuMs", static_cast<double>(f->cpu_us) / 1e3);
		o.Set("members", f->members);
		o.Set("attached", f->attached);
		o.Set("why", f->why);
		o.Set("peers", peers);
		return o;
	}

	void close(const Napi::CallbackInfo &)
	{
		shut();
	}
};

} // namespace

void counts_init(Napi::Env env, Napi::Object exports)
{
	exports.Set("Counts", Counts::define(env));
}
