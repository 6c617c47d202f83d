/* SPDX-License-Identifier: Apache-2.0 */
/* class Connector(done): TCP connects for health checks, thousands a second, made and awaited by one native thread. A socket of
 * libuv's costs an object, a watcher and several callbacks a check, which is more than the connect itself. The thread gathers for
 * two milliseconds what is asked and what is answered, then calls `done` once with all results: four numbers each, the id, an
 * errno (0 = connected, -1 = the connection met itself), the descriptor of a connection that is kept (else -1), and microseconds.
 * Every connect has exactly one result, one that is cancelled too. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "convert.h"
#include "marllb/endpoint.h"
#include "times.h"

namespace
{

constexpr long kGatherNs = 2000000;
constexpr int kMetItself = -1;
constexpr int kEvents = 256;

struct Asked {
	uint32_t id;
	bool cancel, keep;
	mlb_endpoint to;
	uint16_t local_port; /* 0 = the kernel's choice */
};

struct UnderWay {
	uint32_t id;
	int fd;
	bool keep;
	uint64_t began_us;
};

/* A connect to a port of this host without a listener meets itself when the kernel happens to choose that very port as the local
 * one (RFC 9293, simultaneous open). */
bool met_itself(int fd)
{
	sockaddr_storage own{}, peer{};
	socklen_t n = sizeof(own), m = sizeof(peer);
	mlb_endpoint a, b;
	if (getsockname(fd, (sockaddr *)&own, &n) != 0 || getpeername(fd, (sockaddr *)&peer, &m) != 0)
		return false;
	mlb_endpoint_from_sockaddr(&own, &a);
	mlb_endpoint_from_sockaddr(&peer, &b);
	return mlb_endpoint_eq(&a, &b);
}

/* How long the handshake took. The kernel measured it; our own clock holds the gathering too, and is for a SYN that was sent
 * again, of which the kernel measures nothing. */
double handshake_us(const UnderWay &c)
{
	tcp_info info{};
	socklen_t n = sizeof(info);
	if (getsockopt(c.fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 && info.tcpi_rtt > 0 && info.tcpi_total_retrans == 0)
		return info.tcpi_rtt;
	return (double)(clock_us(CLOCK_MONOTONIC) - c.began_us);
}

class Connector : public Napi::ObjectWrap<Connector>
{
public:
	static Napi::Function define(Napi::Env env)
	{
		return DefineClass(env, "Connector",
				   {
					   InstanceMethod<&Connector::connect>("connect"),
					   InstanceMethod<&Connector::cancel>("cancel"),
				   });
	}

	explicit Connector(const Napi::CallbackInfo &call) : Napi::ObjectWrap<Connector>(call)
	{
		Napi::Env env = call.Env();
		if (!call[0].IsFunction())
			fail(env, -EINVAL, "Connector: a function is expected");
		epoll_ = epoll_create1(EPOLL_CLOEXEC);
		wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		epoll_event e{};
		e.events = EPOLLIN;
		if (epoll_ < 0 || wake_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &e) != 0) {
			int error = errno;
			close_fds();
			fail(env, -error, std::string("Connector: no descriptors: ") + strerror(error));
		}
		done_ = Napi::ThreadSafeFunction::New(env, call[0].As<Napi::Function>(), "marllb connector", 0, 1);
		done_.Unref(env); /* who waits for a check has a deadline, which keeps the process alive */
		thread_ = start_thread(
			env, "Connector", [this] { run(); },
			[this] {
				done_.Abort();
				close_fds();
			});
		running_ = true;
		napi_add_env_cleanup_hook(env, &Connector::at_exit, this);
	}

	void Finalize(Napi::Env) override
	{
		shut();
	}

private:
	int epoll_ = -1, wake_ = -1;
	bool running_ = false;
	std::atomic<bool> stop_{ false };
	Napi::ThreadSafeFunction done_;
	std::thread thread_;
	std::mutex lock_;
	std::vector<Asked> asked_; /* under the lock */
	/* The thread's own. */
	std::unordered_map<uint32_t, UnderWay> under_way_;
	std::vector<double> results_;

	/* connect(id, address, port, keep, localPort) */
	void connect(const Napi::CallbackInfo &call)
	{
		Asked a{};
		a.id = call[0].ToNumber().Uint32Value();
		std::string address = call[1].ToString().Utf8Value();
		if (mlb_addr_parse(address.c_str(), &a.to.addr) != 0)
			fail(call.Env(), -EINVAL, "an IP address is expected, not " + address);
		a.to.port = (uint16_t)call[2].ToNumber().Uint32Value();
		a.keep = call[3].ToBoolean().Value();
		a.local_port = (uint16_t)call[4].ToNumber().Uint32Value();
		ask(a);
	}

	/* cancel(id): its result comes all the same. */
	void cancel(const Napi::CallbackInfo &call)
	{
		Asked a{};
		a.id = call[0].ToNumber().Uint32Value();
		a.cancel = true;
		ask(a);
	}

	void ask(const Asked &a)
	{
		bool first;
		{
			std::lock_guard<std::mutex> guard(lock_);
			first = asked_.empty();
			asked_.push_back(a);
		}
		if (first)
			wake();
	}

	void wake()
	{
		uint64_t one = 1;
		while (write(wake_, &one, sizeof(one)) < 0 && errno == EINTR)
			;
	}

	void run()
	{
		sigset_t all;
		sigfillset(&all); /* signals are the main thread's */
		pthread_sigmask(SIG_SETMASK, &all, nullptr);
		while (!stop_) {
			epoll_event e;
			epoll_wait(epoll_, &e, 1, -1);
			timespec gather{ 0, kGatherNs };
			nanosleep(&gather, nullptr);
			if (stop_)
				break;
			take();
			collect();
			if (!deliver())
				break;
		}
		for (auto &[id, c] : under_way_)
			::close(c.fd);
	}

	void take()
	{
		uint64_t count;
		std::vector<Asked> asked;
		{
			std::lock_guard<std::mutex> guard(lock_);
			/* Under the lock: who asks first after this finds the list empty, and wakes again. */
			(void)!read(wake_, &count, sizeof(count));
			asked.swap(asked_);
		}
		for (const Asked &a : asked) {
			auto c = under_way_.find(a.id);
			if (!a.cancel)
				begin(a);
			else if (c != under_way_.end())
				end(c->second, ECANCELED);
		}
	}

	void begin(const Asked &a)
	{
		sockaddr_storage to{}, from{};
		socklen_t n = mlb_addr_to_sockaddr(&a.to.addr, a.to.port, &to);
		UnderWay c{ a.id, -1, a.keep, clock_us(CLOCK_MONOTONIC) };
		c.fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (c.fd < 0) {
			add(a.id, errno, -1, 0);
			return;
		}
		under_way_[a.id] = c;
		if (a.local_port) {
			socklen_t m = mlb_addr_to_sockaddr(&a.to.addr, a.local_port, &from);
			if (bind(c.fd, (sockaddr *)&from, m) != 0)
				return end(c, errno);
		}
		if (::connect(c.fd, (sockaddr *)&to, n) != 0 && errno != EINPROGRESS)
			return end(c, errno);
		epoll_event e{};
		e.events = EPOLLOUT;
		e.data.u64 = (uint64_t)a.id + 1; /* 0 is the wake-up */
		if (epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &e) != 0)
			end(c, errno);
	}

	void collect()
	{
		epoll_event e[kEvents];
		int n;
		do {
			n = epoll_wait(epoll_, e, kEvents, 0);
			for (int i = 0; i < n; i++) {
				auto c = e[i].data.u64 ? under_way_.find((uint32_t)(e[i].data.u64 - 1)) : under_way_.end();
				if (c != under_way_.end())
					end(c->second, outcome(c->second.fd));
			}
		} while (n == kEvents);
	}

	int outcome(int fd)
	{
		int error = 0;
		socklen_t n = sizeof(error);
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
			return errno;
		return error == 0 && met_itself(fd) ? kMetItself : error;
	}

	/* By value: it lies in the table that it leaves. */
	void end(UnderWay c, int error)
	{
		double us = error == 0 ? handshake_us(c) : 0;
		bool kept = error == 0 && c.keep;
		under_way_.erase(c.id);
		epoll_ctl(epoll_, EPOLL_CTL_DEL, c.fd, nullptr);
		if (!kept) {
			/* A reset instead of a close leaves no socket in TIME_WAIT on either side. */
			linger reset{ 1, 0 };
			if (error == 0 || error == kMetItself)
				setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
			::close(c.fd);
		}
		add(c.id, error, kept ? c.fd : -1, us);
	}

	void add(uint32_t id, int error, int fd, double us)
	{
		results_.insert(results_.end(), { (double)id, (double)error, (double)fd, us });
	}

	bool deliver()
	{
		if (results_.empty())
			return true;
		auto results = std::make_shared<std::vector<double>>(std::move(results_));
		results_.clear();
		auto call = [results](Napi::Env env, Napi::Function fn) {
			if (env == nullptr)
				return;
			deliver_guarded([&] {
				Napi::Float64Array out = Napi::Float64Array::New(env, results->size());
				std::copy(results->begin(), results->end(), out.Data());
				fn.Call({ out });
			});
		};
		return done_.NonBlockingCall(call) == napi_ok;
	}

	static void at_exit(void *self)
	{
		static_cast<Connector *>(self)->shut();
	}

	void close_fds()
	{
		if (epoll_ >= 0)
			::close(epoll_);
		if (wake_ >= 0)
			::close(wake_);
		epoll_ = wake_ = -1;
	}

	void shut()
	{
		if (!running_)
			return;
		running_ = false;
		stop_ = true;
		wake();
		thread_.join();
		done_.Abort();
		napi_remove_env_cleanup_hook(Env(), &Connector::at_exit, this);
		close_fds();
	}
};

} /* namespace */

void connector_init(Napi::Env env, Napi::Object exports)
{
	exports.Set("Connector", Connector::define(env));
}
