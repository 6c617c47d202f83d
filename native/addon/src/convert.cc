/* SPDX-License-Identifier: Apache-2.0 */
#include "convert.h"

#include <cerrno>
#include <cstring>

static const char *code_name(int code)
{
	switch (-code) {
	case ENOENT: return "ENOENT";
	case EBUSY: return "EBUSY";
	case EPROTO: return "EPROTO";
	case EACCES: return "EACCES";
	case EPERM: return "EPERM";
	case EAGAIN: return "EAGAIN";
	case EMFILE: return "EMFILE";
	case ENFILE: return "ENFILE";
	case ENOMEM: return "ENOMEM";
	case E2BIG: return "E2BIG";
	case EMSGSIZE: return "EMSGSIZE";
	case ENOSPC: return "ENOSPC";
	case ELOOP: return "ELOOP";
	case EBADF: return "EBADF";
	case ENOTSUP: return "ENOTSUP";
	default: return "EINVAL";
	}
}

void deliver_guarded(const std::function<void()> &deliver)
{
	try {
		deliver();
	} catch (const Napi::Error &e) {
		try {
			e.ThrowAsJavaScriptException();
		} catch (const Napi::Error &) {
		}
	}
}

void fail(Napi::Env env, int code, const std::string &message)
{
	Napi::Error error = Napi::Error::New(env, message);
	error.Set("code", Napi::String::New(env, code_name(code)));
	throw error;
}

Bytes bytes_of(const Napi::Value &value, const char *what)
{
	if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
		fail(value.Env(), -EINVAL, std::string(what) + ": a Buffer or Uint8Array is expected");
	auto array = value.As<Napi::Uint8Array>();
	return { array.Data(), array.ByteLength() };
}

const uint64_t *aligned_copy(Bytes bytes, std::vector<uint64_t> &buffer)
{
	if (buffer.size() < bytes.size / 8 + 1)
		buffer.resize(bytes.size / 8 + 1);
	if (bytes.size)
		memcpy(buffer.data(), bytes.data, bytes.size);
	return buffer.data();
}

Napi::Value property(const Napi::Object &object, const char *name)
{
	return object.Get(name);
}

double number_of(const Napi::Object &object, const char *name)
{
	Napi::Value value = property(object, name);
	if (!value.IsNumber())
		fail(object.Env(), -EINVAL, std::string(name) + ": a number is expected");
	return value.As<Napi::Number>().DoubleValue();
}

uint64_t bigint_of(const Napi::Object &object, const char *name)
{
	Napi::Value value = property(object, name);
	if (!value.IsBigInt())
		fail(object.Env(), -EINVAL, std::string(name) + ": a bigint is expected");
	bool lossless;
	return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

template <typename T> struct TypeOf;
template <> struct TypeOf<float> {
	static constexpr napi_typedarray_type type = napi_float32_array;
	static constexpr const char *name = "Float32Array";
};
template <> struct TypeOf<uint32_t> {
	static constexpr napi_typedarray_type type = napi_uint32_array;
	static constexpr const char *name = "Uint32Array";
};
template <> struct TypeOf<uint8_t> {
	static constexpr napi_typedarray_type type = napi_uint8_array;
	static constexpr const char *name = "Uint8Array";
};

template <typename T> const T *array_of(const Napi::Object &object, const char *name, size_t n, bool optional)
{
	Napi::Value value = property(object, name);
	if (optional && value.IsNull())
		return nullptr;
	if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != TypeOf<T>::type)
		fail(object.Env(), -EINVAL, std::string(name) + ": a " + TypeOf<T>::name + " is expected");
	auto array = value.As<Napi::TypedArrayOf<T>>();
	if (array.ElementLength() != n)
		fail(object.Env(), -EINVAL,
		     std::string(name) + ": " + std::to_string(n) + " elements are expected, not " +
			     std::to_string(array.ElementLength()));
	return array.Data();
}
template const float *array_of<float>(const Napi::Object &, const char *, size_t, bool);
template const uint32_t *array_of<uint32_t>(const Napi::Object &, const char *, size_t, bool);
template const uint8_t *array_of<uint8_t>(const Napi::Object &, const char *, size_t, bool);

Napi::Value bigint(Napi::Env env, uint64_t value)
{
	return Napi::BigInt::New(env, value);
}
