// Counts the deaths that a message's bytes have caused, in a file that outlives the process.
//
// In Swift an overflow or an out-of-range conversion traps and can't be caught: a message that does so would be
// redelivered and kill the daemon again, for ever. A thread says which bytes it is at work on; a handler for SIGILL,
// SIGTRAP, SIGSEGV, SIGBUS and SIGFPE raises the count of those bytes before the process dies. kill -9, lack of memory
// and power loss raise nothing.
#ifndef HOMEWARD_CRASH_GUARD_H
#define HOMEWARD_CRASH_GUARD_H

#include <stddef.h>
#include <stdint.h>

/// Maps the table at `path` (made when absent) and installs the handlers. 0, or errno. Once per process.
int crash_guard_open(const char *path);

/// Gives the calling thread a stack for the handler, so that a stack overflow is counted too.
void crash_guard_prepare_thread(void);

/// The calling thread is at work on these bytes; they must stay where they are until `crash_guard_leave`.
void crash_guard_enter(const void *topic, size_t topic_count, const void *payload, size_t payload_count);
void crash_guard_leave(void);

/// How many deaths these bytes have caused. Costs nothing while no death is on record.
uint32_t crash_guard_deaths(const void *topic, size_t topic_count, const void *payload, size_t payload_count);

#endif
