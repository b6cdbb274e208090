// What Swift cannot reach by itself: the CRC-32C instruction and two Linux calls.
#ifndef STARDUST_CPLATFORM_H
#define STARDUST_CPLATFORM_H
#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli, RFC 3720 B.4) of `count` bytes, continuing from `crc` (0 to begin).
uint32_t stardust_crc32c(uint32_t crc, const void *bytes, size_t count);

/// The same by table, whatever the processor has. For processors without the instruction, and for
/// the test that compares the two.
uint32_t stardust_crc32c_portable(uint32_t crc, const void *bytes, size_t count);

/// fallocate(2) with mode 0. Returns 0, or the errno.
int stardust_allocate(int descriptor, int64_t offset, int64_t count);

/// open(2) with a mode, which is variadic and so not imported. Returns the descriptor or -errno.
int stardust_open(const char *path, int flags, uint32_t mode);
#endif
