#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

void linux_name_thread(const char *name) {
    char kept[16];
    strncpy(kept, name, sizeof kept - 1);
    kept[sizeof kept - 1] = '\0';
    pthread_setname_np(pthread_self(), kept);
}

static int64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t linux_thread_cpu_nanoseconds(void) { return nanoseconds(CLOCK_THREAD_CPUTIME_ID); }

int64_t linux_monotonic_nanoseconds(void) { return nanoseconds(CLOCK_MONOTONIC); }

int64_t linux_wall_clock_microseconds(void) { return nanoseconds(CLOCK_REALTIME) / 1000; }

int32_t linux_eventfd_open(void) {
    int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

// The only failure of either call on a live non-blocking eventfd is EAGAIN: at its maximum (still readable) or at 0.
void linux_eventfd_signal(int32_t descriptor) { eventfd_write(descriptor, 1); }

void linux_eventfd_drain(int32_t descriptor) {
    eventfd_t count;
    eventfd_read(descriptor, &count);
}

int32_t linux_poll_readable(int32_t descriptor, int32_t milliseconds) {
    struct pollfd watched = {.fd = descriptor, .events = POLLIN};
    int ready = poll(&watched, 1, milliseconds);
    return ready < 0 ? -errno : ready;
}

int32_t linux_clock_is_synchronised(void) {
    struct timex state = {.modes = 0};
    int answer = adjtimex(&state);
    return answer < 0 ? -errno : answer != TIME_ERROR;
}
