/* SPDX-License-Identifier: Apache-2.0 */
/* lockFile(fd): an exclusive lock of a file for as long as the descriptor is open, without waiting; 0, or a negative errno:
 * -EWOULDBLOCK where another descriptor holds it. The kernel lets go of it with the process, whatever ends that. */
#include <errno.h>
#include <sys/file.h>

#include "convert.h"

static Napi::Value lock_file(const Napi::CallbackInfo &info)
{
	int fd = info[0].ToNumber().Int32Value();
	return Napi::Number::New(info.Env(), flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno);
}

void flock_init(Napi::Env env, Napi::Object exports)
{
	exports.Set("lockFile", Napi::Function::New(env, lock_file));
}
