// CRC-32C (Castagnoli; RFC 3720 appendix B.4), in hardware where the processor has it.
#ifndef HOMEWARD_CRC32C_H
#define HOMEWARD_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/// The checksum of what `checksum` covers followed by `bytes`; 0 is the checksum of nothing.
uint32_t crc32c(uint32_t checksum, const void *bytes, size_t count);

/// The same without the processor's instruction.
uint32_t crc32c_by_table(uint32_t checksum, const void *bytes, size_t count);

#endif
