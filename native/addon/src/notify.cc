/* SPDX-License-Identifier: Apache-2.0 */
/* notify(path, text): one datagram to the service manager (sd_notify), which Node itself cannot send. False: it could not be
 * sent. */
#include "convert.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static Napi::Value notify(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	if (!info[0].IsString() || !info[1].IsString())
		fail(env, -EINVAL, "notify: a path and a text are expected");
	std::string path = info[0].As<Napi::String>(), text = info[1].As<Napi::String>();
	struct sockaddr_un to = {};
	to.sun_family = AF_UNIX;
	if (path.size() < 2 || path.size() >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		fail(env, -EINVAL, "notify: " + path + " is no socket's name");
	memcpy(to.sun_path, path.data(), path.size());
	if (path[0] == '@') /* the abstract namespace */
		to.sun_path[0] = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return Napi::Boolean::New(env, false);
	ssize_t sent = sendto(fd, text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<struct sockaddr *>(&to),
			      static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + path.size()));
	close(fd);
	return Napi::Boolean::New(env, sent == static_cast<ssize_t>(text.size()));
}

void notify_init(Napi::Env env, Napi::Object exports)
{
	exports.Set("notify", Napi::Function::New(env, notify));
}
