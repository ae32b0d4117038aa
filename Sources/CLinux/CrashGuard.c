#define _GNU_SOURCE
#include "CrashGuard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRIES = 64, HANDLER_STACK = 65536 };

struct entry {
    uint64_t high;
    uint64_t low;
    uint32_t deaths;
    uint32_t reserved;
};

struct table {
    char magic[8];
    uint32_t used;  // entries ever written; the place of the next one is `used % ENTRIES`
    uint32_t reserved;
    struct entry entries[ENTRIES];
};

static const char magic[8] = {'H', 'W', 'C', 'R', 'A', 'S', 'H', '1'};
static struct table *table = NULL;

static __thread const unsigned char *current_topic = NULL;
static __thread const unsigned char *current_payload = NULL;
static __thread size_t current_topic_count = 0;
static __thread size_t current_payload_count = 0;
static __thread volatile sig_atomic_t at_work = 0;

// Two FNV-1a hashes with different offsets: enough to tell one device's messages apart, and safe in a handler.
static void fingerprint(
    const unsigned char *topic, size_t topic_count, const unsigned char *payload, size_t payload_count,
    uint64_t *high, uint64_t *low) {
    uint64_t a = 0xcbf29ce484222325u, b = 0x9ae16a3b2f90404fu;
    for (size_t i = 0; i < topic_count; i++) {
        a = (a ^ topic[i]) * 0x100000001b3u;
        b = (b ^ topic[i]) * 0x100000001b3u + 0x9e3779b97f4a7c15u;
    }
    a = (a ^ 0xff) * 0x100000001b3u;
    b = (b ^ 0xfe) * 0x100000001b3u;
    for (size_t i = 0; i < payload_count; i++) {
        a = (a ^ payload[i]) * 0x100000001b3u;
        b = (b ^ payload[i]) * 0x100000001b3u + 0x9e3779b97f4a7c15u;
    }
    *high = a;
    *low = b;
}

static struct entry *find(uint64_t high, uint64_t low) {
    uint32_t count = table->used < ENTRIES ? table->used : ENTRIES;
    for (uint32_t i = 0; i < count; i++)
        if (table->entries[i].high == high && table->entries[i].low == low) return &table->entries[i];
    return NULL;
}

static void on_fault(int number) {
    if (at_work && table != NULL) {
        at_work = 0;  // a fault while hashing must not come back here
        uint64_t high, low;
        fingerprint(current_topic, current_topic_count, current_payload, current_payload_count, &high, &low);
        struct entry *entry = find(high, low);
        if (entry == NULL) {
            entry = &table->entries[table->used % ENTRIES];
            *entry = (struct entry){high, low, 0, 0};
            table->used++;
        }
        entry->deaths++;
    }
    signal(number, SIG_DFL);
    raise(number);
}

int crash_guard_open(const char *path) {
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) return errno;
    if (ftruncate(descriptor, sizeof(struct table)) != 0) {
        int error = errno;
        close(descriptor);
        return error;
    }
    void *mapped = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    int error = errno;
    close(descriptor);
    if (mapped == MAP_FAILED) return error;
    struct table *opened = mapped;
    if (memcmp(opened->magic, magic, sizeof magic) != 0) {
        memset(opened, 0, sizeof *opened);
        memcpy(opened->magic, magic, sizeof magic);
    }
    table = opened;
    struct sigaction action = {0};
    action.sa_handler = on_fault;
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    const int faults[] = {SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigaction(faults[i], &action, NULL);
    return 0;
}

void crash_guard_prepare_thread(void) {
    stack_t stack = {0};
    stack.ss_sp = malloc(HANDLER_STACK);  // kept as long as the thread lives
    stack.ss_size = HANDLER_STACK;
    if (stack.ss_sp != NULL) sigaltstack(&stack, NULL);
}

void crash_guard_enter(const void *topic, size_t topic_count, const void *payload, size_t payload_count) {
    current_topic = topic;
    current_topic_count = topic_count;
    current_payload = payload;
    current_payload_count = payload_count;
    at_work = 1;
}

void crash_guard_leave(void) { at_work = 0; }

uint32_t crash_guard_deaths(const void *topic, size_t topic_count, const void *payload, size_t payload_count) {
    if (table == NULL || table->used == 0) return 0;
    uint64_t high, low;
    fingerprint(topic, topic_count, payload, payload_count, &high, &low);
    struct entry *entry = find(high, low);
    return entry == NULL ? 0 : entry->deaths;
}
