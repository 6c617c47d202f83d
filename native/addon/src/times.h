/* SPDX-License-Identifier: Apache-2.0 */
/* The system's clocks, each as one number. */
#ifndef MARLLB_ADDON_TIMES_H
#define MARLLB_ADDON_TIMES_H
#include <cstdint>
#include <ctime>

inline int64_t clock_ns(clockid_t clock)
{
	timespec t;
	clock_gettime(clock, &t);
	return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}

inline uint64_t clock_us(clockid_t clock)
{
	return static_cast<uint64_t>(clock_ns(clock)) / 1000;
}
#endif
