// The Linux calls that Swift's Glibc module does not carry, or carries only as variadic functions.
// No <pthread.h>, <sched.h> or <time.h> here: they collide with the Glibc module's own declarations.
#ifndef HOMEWARD_CLINUX_H
#define HOMEWARD_CLINUX_H

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "CRC32C.h"
#include "CrashGuard.h"

/// Names the calling thread (at most 15 bytes are kept), so that /proc/PID/task/*/comm tells the stages apart.
void linux_name_thread(const char *name);

/// CPU time of the calling thread in nanoseconds.
int64_t linux_thread_cpu_nanoseconds(void);

/// CLOCK_MONOTONIC in nanoseconds: deadlines are measured on it, never on the wall clock.
int64_t linux_monotonic_nanoseconds(void);

/// CLOCK_REALTIME in microseconds since 1970-01-01T00:00:00Z.
int64_t linux_wall_clock_microseconds(void);

/// What the kernel says of the wall clock: 1 synchronised, 0 not, or -errno where it may not be asked.
int32_t linux_clock_is_synchronised(void);

/// A new eventfd, non-blocking and close-on-exec, reading 0; or -errno.
int32_t linux_eventfd_open(void);

/// Adds 1 to the eventfd, which makes it readable. Harmless when it is readable already.
void linux_eventfd_signal(int32_t descriptor);

/// Reads the eventfd back to 0, so that it is no longer readable. Harmless when it was 0.
void linux_eventfd_drain(int32_t descriptor);

/// Sleeps until the descriptor is readable: 1 readable, 0 after `milliseconds` (-1: never gives up), or -errno.
int32_t linux_poll_readable(int32_t descriptor, int32_t milliseconds);

#endif
