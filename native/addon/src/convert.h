/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments in, results and errors out, the same way everywhere. An error is a JavaScript Error with a `code` ("EBUSY"). */
#ifndef MARLLB_ADDON_CONVERT_H
#define MARLLB_ADDON_CONVERT_H
#include <napi.h>

#include <functional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

/* code: a negative errno. */
[[noreturn]] void fail(Napi::Env env, int code, const std::string &message);

/* A thread that runs `run`. Where the system has none left (a limit of a cgroup, no memory for its stack) `undo` is called, and
 * it is an error as any other: an exception of the standard library would end the process. */
template <typename Run, typename Undo> std::thread start_thread(Napi::Env env, const char *what, Run run, Undo undo)
{
	std::error_code why;
	try {
		return std::thread(run);
	} catch (const std::system_error &e) {
		why = e.code();
	}
	undo();
	fail(env, -why.value(), std::string(what) + ": cannot start a thread: " + why.message());
}

/* Runs what delivers something to JavaScript from another thread. What the function called throws is an uncaught exception there.
 * Where the environment ends nothing can be made or called, and nobody hears of it: an exception of C++ would end the process by
 * abort(). */
void deliver_guarded(const std::function<void()> &deliver);

struct Bytes {
	const uint8_t *data;
	size_t size;
};
/* A Buffer or Uint8Array. */
Bytes bytes_of(const Napi::Value &value, const char *what);

/* An 8-byte aligned copy, for what gRPC hands over may lie anywhere, in a buffer that the caller keeps for the next one. */
const uint64_t *aligned_copy(Bytes bytes, std::vector<uint64_t> &buffer);

Napi::Value property(const Napi::Object &object, const char *name);
double number_of(const Napi::Object &object, const char *name);
uint64_t bigint_of(const Napi::Object &object, const char *name);
/* Its n elements; null gives a null pointer if `optional`. T is float, uint32_t or uint8_t. */
template <typename T> const T *array_of(const Napi::Object &object, const char *name, size_t n, bool optional);

Napi::Value bigint(Napi::Env env, uint64_t value);

void decode_init(Napi::Env env, Napi::Object exports);
void observe_init(Napi::Env env, Napi::Object exports);
void compose_init(Napi::Env env, Napi::Object exports);
void network_init(Napi::Env env, Napi::Object exports);
void policy_init(Napi::Env env, Napi::Object exports);
void region_init(Napi::Env env, Napi::Object exports);
void counts_init(Napi::Env env, Napi::Object exports);
void figures_init(Napi::Env env, Napi::Object exports);
void vocabulary_init(Napi::Env env, Napi::Object exports);
void sched_init(Napi::Env env, Napi::Object exports);
void ping_init(Napi::Env env, Napi::Object exports);
void flock_init(Napi::Env env, Napi::Object exports);
void clock_init(Napi::Env env, Napi::Object exports);
void notify_init(Napi::Env env, Napi::Object exports);
void connector_init(Napi::Env env, Napi::Object exports);
#endif
