#include "CPlatform.h"
#include <string.h>

// Reflected polynomial of CRC-32C, one table entry per byte value.
static uint32_t table[256];

__attribute__((constructor)) static void make_table(void) {
    for (uint32_t value = 0; value < 256; value++) {
        uint32_t crc = value;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0);
        table[value] = crc;
    }
}

uint32_t stardust_crc32c_portable(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *byte = bytes;
    crc = ~crc;
    while (count--) crc = (crc >> 8) ^ table[(crc ^ *byte++) & 0xFF];
    return ~crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>
__attribute__((target("sse4.2"))) static uint32_t by_instruction(
    uint32_t crc, const uint8_t *byte, size_t count) {
    uint64_t state = ~crc;
    for (; count >= 8; count -= 8, byte += 8) {
        uint64_t word;
        memcpy(&word, byte, 8);
        state = _mm_crc32_u64(state, word);
    }
    while (count--) state = _mm_crc32_u8((uint32_t)state, *byte++);
    return ~(uint32_t)state;
}
static int has_instruction(void) { return __builtin_cpu_supports("sse4.2"); }
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
static uint32_t by_instruction(uint32_t crc, const uint8_t *byte, size_t count) {
    uint32_t state = ~crc;
    for (; count >= 8; count -= 8, byte += 8) {
        uint64_t word;
        memcpy(&word, byte, 8);
        state = __crc32cd(state, word);
    }
    while (count--) state = __crc32cb(state, *byte++);
    return ~state;
}
static int has_instruction(void) { return 1; }
#else
static uint32_t by_instruction(uint32_t crc, const uint8_t *byte, size_t count) {
    return stardust_crc32c_portable(crc, byte, count);
}
static int has_instruction(void) { return 0; }
#endif

uint32_t stardust_crc32c(uint32_t crc, const void *bytes, size_t count) {
    return has_instruction() ? by_instruction(crc, bytes, count)
                             : stardust_crc32c_portable(crc, bytes, count);
}
