// What Swift cannot reach directly: processor instructions and a few Linux calls.
#ifndef STARDUST_CPLATFORM_H
#define STARDUST_CPLATFORM_H
#include <stddef.h>
#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/// The number of leading bytes that stand for themselves in a JSON string: those before the first
/// quote, backslash, control character or part of a longer UTF-8 sequence.
static inline size_t stardust_plain_prefix(const uint8_t *bytes, size_t count) {
    size_t index = 0;
#if defined(__SSE2__)
    for (; index + 16 <= count; index += 16) {
        __m128i piece = _mm_loadu_si128((const __m128i *)(bytes + index));
        // Compared as signed bytes, those above 127 are negative and thus also below the space.
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

/// The number of leading bytes before the first quote or backslash: the plain part of a string that
/// was already checked.
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

/// The same, computed from a table on any processor. For processors without the instruction, and
/// for the test that compares the two.
uint32_t stardust_crc32c_portable(uint32_t crc, const void *bytes, size_t count);

/// Two thread-local counters, 0 when the thread starts: the bytes the thread uses, and the most it
/// may use, where 0 means no limit.
int64_t *stardust_thread_bytes(void);
int64_t *stardust_thread_bytes_max(void);

/// When the calling thread's work should be over, in the nanoseconds of the next function; 0 for
/// never.
int64_t *stardust_thread_deadline(void);

/// A clock that nobody sets.
int64_t stardust_nanoseconds(void);

/// The first occurrence of `needle` in `bytes`, or NULL. Takes time proportional to the sum of both
/// lengths, not to their product.
const uint8_t *stardust_find(
    const uint8_t *bytes, size_t count, const uint8_t *needle, size_t needle_count);

/// The processors that a thread may run on, one bit each, starting at the lowest bit of the first
/// byte. Thread 0 is the calling thread. Both return 0, or -1 on failure.
enum { STARDUST_PROCESSOR_BYTES = 128 };
int stardust_get_processors(int thread, uint8_t *mask);
int stardust_set_processors(int thread, const uint8_t *mask);

/// fallocate(2) with mode 0. Returns 0, or the errno.
int stardust_allocate(int descriptor, int64_t offset, int64_t count);

/// preadv2(2) from the page cache, without waiting for the disk. Returns the number of bytes read,
/// which is less than `count` if the cache lacks some, or -1.
int64_t stardust_read_cached(int descriptor, void *bytes, size_t count, int64_t offset);

/// Renames a file unless there is one of the new name. 0, or the negative error number.
int stardust_rename_new(const char *from, const char *to);

/// Waits up to `milliseconds` for a client of a listening socket that does not block. Returns its
/// descriptor, which does not block, or -errno: -EAGAIN if none came, -EINVAL after shutdown(2).
int stardust_accept(int listener, int milliseconds);

/// Who is at the other end of a Unix socket, as the kernel has it: 0, or -errno. `count` is the room
/// in `groups` before the call, and the number of supplementary groups after it: 0 if they do not
/// fit.
int stardust_peer(int descriptor, uint32_t *uid, uint32_t *gid, uint32_t *groups, size_t *count);

/// open(2) with a mode. Swift does not import open because it is variadic. Returns the descriptor
/// or -errno.
int stardust_open(const char *path, int flags, uint32_t mode);

/// A new file without a name in a folder, for reading and writing. Returns the descriptor or -errno.
int stardust_open_nameless(const char *folder);

/// Gives such a file a name that nobody has. Returns 0 or -errno.
int stardust_link_nameless(int descriptor, const char *path);

/// Tells malloc to keep up to `bytes` of freed memory, and not to mmap smaller blocks individually.
void stardust_keep_freed_memory(int bytes);

/// Whether something keeps the clock right, by adjtimex(2): 1, 0, or -1 if nobody can tell.
int stardust_clock_is_synchronised(void);

/// The kind of a path's file system, as statfs(2) numbers it; -1 if nobody can tell.
int64_t stardust_file_system(const char *path);

/// malloc_trim(3): returns free memory to the system. Takes milliseconds.
void stardust_give_back_memory(void);

/// The access control list of a file, as the kernel stores it; -1 if it has none.
int64_t stardust_access_list(int descriptor, void *bytes, size_t count);

/// Lets other threads run before the calling one: Linux keeps a priority for each thread.
void stardust_give_way(void);

/// Starts up to `count` threads, at most 1,024, that wait for each other, and ends them. Returns how
/// many the system allowed.
int stardust_try_threads(int count);

/// prctl(2) PR_SET_DUMPABLE off: the process leaves no core dump, and only root may trace it.
void stardust_forbid_dumps(void);

/// prctl(2) PR_SET_NAME: names the calling thread for tools that list threads.
void stardust_name_thread(const unsigned char *name);
#endif
