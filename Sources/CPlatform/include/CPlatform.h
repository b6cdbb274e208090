// What Swift cannot reach by itself: processor instructions and a few Linux calls.
#ifndef STARDUST_CPLATFORM_H
#define STARDUST_CPLATFORM_H
#include <stddef.h>
#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/// How many bytes from the first on stand for themselves in a JSON string: neither a quote nor a
/// backslash, neither a control character nor part of a longer UTF-8 sequence.
static inline size_t stardust_plain_prefix(const uint8_t *bytes, size_t count) {
    size_t index = 0;
#if defined(__SSE2__)
    for (; index + 16 <= count; index += 16) {
        __m128i piece = _mm_loadu_si128((const __m128i *)(bytes + index));
        // As signed bytes, those above 127 are negative and so below the space too.
        __m128i special = _mm_or_si128(
            _mm_cmplt_epi8(piece, _mm_set1_epi8(0x20)),
            _mm_or_si128(
                _mm_cmpeq_epi8(piece, _mm_set1_epi8('"')),
                _mm_cmpeq_epi8(piece, _mm_set1_epi8('\\'))));
        int mask = _mm_movemask_epi8(special);
        if (mask) return index + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (index < count && (int8_t)bytes[index] >= 0x20 && bytes[index] != '"' &&
           bytes[index] != '\\')
        index++;
    return index;
}

/// How many bytes from the first on are neither a quote nor a backslash: the plain part of a string
/// that was checked before.
static inline size_t stardust_unescaped_prefix(const uint8_t *bytes, size_t count) {
    size_t index = 0;
#if defined(__SSE2__)
    for (; index + 16 <= count; index += 16) {
        __m128i piece = _mm_loadu_si128((const __m128i *)(bytes + index));
        __m128i special = _mm_or_si128(
            _mm_cmpeq_epi8(piece, _mm_set1_epi8('"')),
            _mm_cmpeq_epi8(piece, _mm_set1_epi8('\\')));
        int mask = _mm_movemask_epi8(special);
        if (mask) return index + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (index < count && bytes[index] != '"' && bytes[index] != '\\') index++;
    return index;
}

/// CRC-32C (Castagnoli, RFC 3720 B.4) of `count` bytes, continuing from `crc` (0 to begin).
uint32_t stardust_crc32c(uint32_t crc, const void *bytes, size_t count);

/// The same by table, whatever the processor has. For processors without the instruction, and for
/// the test that compares the two.
uint32_t stardust_crc32c_portable(uint32_t crc, const void *bytes, size_t count);

/// Two numbers of the calling thread's own, 0 when the thread begins: what it uses, and at most may.
int64_t *stardust_thread_bytes(void);
int64_t *stardust_thread_bytes_max(void);

/// The first place of `needle` in `bytes`, in time that grows with both lengths, not with their
/// product; NULL where it is not there.
const uint8_t *stardust_find(
    const uint8_t *bytes, size_t count, const uint8_t *needle, size_t needle_count);

/// The processors that a thread may run on, a bit each, the first in the lowest bit of the first
/// byte; 0 is the calling thread. Both return 0, or -1.
enum { STARDUST_PROCESSOR_BYTES = 128 };
int stardust_get_processors(int thread, uint8_t *mask);
int stardust_set_processors(int thread, const uint8_t *mask);

/// fallocate(2) with mode 0. Returns 0, or the errno.
int stardust_allocate(int descriptor, int64_t offset, int64_t count);

/// preadv2(2) of what the page cache has, without waiting for a disk. Returns the count, less where
/// not all of it is there, or -1.
int64_t stardust_read_cached(int descriptor, void *bytes, size_t count, int64_t offset);

/// open(2) with a mode, which is variadic and so not imported. Returns the descriptor or -errno.
int stardust_open(const char *path, int flags, uint32_t mode);

/// Tells malloc to keep up to `bytes` of freed memory and not to map smaller blocks one by one.
void stardust_keep_freed_memory(int bytes);

/// malloc_trim(3): what is free goes back to the system. Takes milliseconds.
void stardust_give_back_memory(void);

/// prctl(2) PR_SET_DUMPABLE off: the process leaves no core dump, and only root may trace it.
void stardust_forbid_dumps(void);

/// prctl(2) PR_SET_NAME: what tools that list threads call the calling one.
void stardust_name_thread(const unsigned char *name);
#endif
