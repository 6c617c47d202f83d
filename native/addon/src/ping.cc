/* SPDX-License-Identifier: Apache-2.0 */
/* pingSocket(ipv6): a socket for ICMP echo that needs no privilege, as a descriptor; or a negative errno: -EACCES where the
 * sysctl net.ipv4.ping_group_range leaves this process out. The kernel numbers the requests and hands over their answers only. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "convert.h"

static Napi::Value ping_socket(const Napi::CallbackInfo &info)
{
	bool v6 = info[0].ToBoolean().Value();
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			v6 ? (int)IPPROTO_ICMPV6 : (int)IPPROTO_ICMP);
	return Napi::Number::New(info.Env(), fd < 0 ? -errno : fd);
}

void ping_init(Napi::Env env, Napi::Object exports)
{
	exports.Set("pingSocket", Napi::Function::New(env, ping_socket));
}
