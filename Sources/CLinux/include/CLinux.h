// The Linux calls that Swift's Glibc module does not carry, or carries only as variadic functions.
// No <pthread.h>, <sched.h> or <time.h> here: they collide with the Glibc module's own declarations.
#ifndef HOMEWARD_CLINUX_H
#define HOMEWARD_CLINUX_H

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

/// Names the calling thread (at most 15 bytes are kept), so that /proc/PID/task/*/comm tells the stages apart.
void linux_name_thread(const char *name);

/// CPU time of the calling thread in nanoseconds.
int64_t linux_thread_cpu_nanoseconds(void);

/// CLOCK_MONOTONIC in nanoseconds: deadlines are measured on it, never on the wall clock.
int64_t linux_monotonic_nanoseconds(void);

/// CLOCK_REALTIME in microseconds since 1970-01-01T00:00:00Z.
int64_t linux_wall_clock_microseconds(void);

#endif
