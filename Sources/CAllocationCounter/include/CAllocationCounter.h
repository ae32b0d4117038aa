// Counts the allocations of the process that links it: benchmarks and tests only.
#ifndef HOMEWARD_CALLOCATIONCOUNTER_H
#define HOMEWARD_CALLOCATIONCOUNTER_H

/// Calls of malloc, calloc, realloc and the aligned ones since the process began.
long allocation_count(void);

#endif
