#include "CRC32C.h"

#include <pthread.h>
#include <string.h>

// Castagnoli's polynomial, bits reversed.
enum { SLICES = 8 };
static const uint32_t polynomial = 0x82f63b78u;
static uint32_t tables[SLICES][256];
static pthread_once_t filled = PTHREAD_ONCE_INIT;

static void fill(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; bit++) value = (value >> 1) ^ (polynomial & (0u - (value & 1)));
        tables[0][byte] = value;
    }
    for (int slice = 1; slice < SLICES; slice++)
        for (int byte = 0; byte < 256; byte++) {
            uint32_t before = tables[slice - 1][byte];
            tables[slice][byte] = (before >> 8) ^ tables[0][before & 0xff];
        }
}

uint32_t crc32c_by_table(uint32_t checksum, const void *bytes, size_t count) {
    pthread_once(&filled, fill);
    const unsigned char *next = bytes;
    uint32_t value = ~checksum;
    for (; count >= SLICES; count -= SLICES, next += SLICES)
        value = tables[7][(value ^ next[0]) & 0xff] ^ tables[6][((value >> 8) ^ next[1]) & 0xff] ^
                tables[5][((value >> 16) ^ next[2]) & 0xff] ^ tables[4][((value >> 24) ^ next[3]) & 0xff] ^
                tables[3][next[4]] ^ tables[2][next[5]] ^ tables[1][next[6]] ^ tables[0][next[7]];
    for (; count > 0; count--, next++) value = (value >> 8) ^ tables[0][(value ^ *next) & 0xff];
    return ~value;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(
    uint32_t checksum, const unsigned char *next, size_t count) {
    uint64_t value = (uint32_t)~checksum;
    for (; count >= 8; count -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, sizeof word);
        value = __builtin_ia32_crc32di(value, word);
    }
    uint32_t rest = (uint32_t)value;
    for (; count > 0; count--, next++) rest = __builtin_ia32_crc32qi(rest, *next);
    return ~rest;
}
#endif

uint32_t crc32c(uint32_t checksum, const void *bytes, size_t count) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return by_instruction(checksum, bytes, count);
#endif
    return crc32c_by_table(checksum, bytes, count);
}
