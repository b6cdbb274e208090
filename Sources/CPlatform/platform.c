#define _GNU_SOURCE
#include "CPlatform.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <sys/vfs.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

int stardust_allocate(int descriptor, int64_t offset, int64_t count) {
    int result;
    do result = fallocate(descriptor, 0, offset, count);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

int64_t stardust_read_cached(int descriptor, void *bytes, size_t count, int64_t offset) {
    struct iovec piece = {bytes, count};
    return preadv2(descriptor, &piece, 1, offset, RWF_NOWAIT);
}

int stardust_accept(int listener, int milliseconds) {
    for (bool is_over = false;;) {
        int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) return client;
        // A client that has already left says nothing about the next one.
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno != EAGAIN) return -errno;
        // A listening socket that was shut down still accepts those who wait.
        if (is_over) return -EINVAL;
        struct pollfd wait = {listener, POLLIN, 0};
        if (poll(&wait, 1, milliseconds) == 0) return -EAGAIN;
        is_over = wait.revents & POLLHUP;
    }
}

int stardust_peer(int descriptor, uint32_t *uid, uint32_t *gid, uint32_t *groups, size_t *count) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return -errno;
    *uid = peer.uid;
    *gid = peer.gid;
    size = (socklen_t)(*count * sizeof *groups);
    int status = getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, groups, &size);
    *count = status == 0 ? size / sizeof *groups : 0;
    return 0;
}

int stardust_open(const char *path, int flags, uint32_t mode) {
    int descriptor;
    do descriptor = open(path, flags | O_CLOEXEC, (mode_t)mode);
    while (descriptor < 0 && errno == EINTR);
    return descriptor < 0 ? -errno : descriptor;
}

int stardust_open_nameless(const char *folder) {
    return stardust_open(folder, O_TMPFILE | O_RDWR, 0600);
}

int stardust_link_nameless(int descriptor, const char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    return linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

int stardust_rename_new(const char *from, const char *to) {
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -errno;
    // The file system does not know the flag.
    if (faccessat(AT_FDCWD, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0) return -EEXIST;
    return rename(from, to) == 0 ? 0 : -errno;
}

void stardust_keep_freed_memory(int bytes) {
    mallopt(M_MMAP_THRESHOLD, bytes);
    mallopt(M_TRIM_THRESHOLD, bytes);
}

void stardust_give_back_memory(void) { malloc_trim(0); }

int64_t stardust_access_list(int descriptor, void *bytes, size_t count) {
    return fgetxattr(descriptor, "system.posix_acl_access", bytes, count);
}

void stardust_give_way(void) { setpriority(PRIO_PROCESS, 0, 5); }

void stardust_forbid_dumps(void) { prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

static void *wait_for(void *lock) {
    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return NULL;
}

int stardust_try_threads(int count) {
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_t threads[1024];
    int started = 0;
    pthread_mutex_lock(&lock);
    while (started < count && started < 1024 &&
           pthread_create(&threads[started], NULL, wait_for, &lock) == 0)
        started++;
    pthread_mutex_unlock(&lock);
    for (int index = 0; index < started; index++) pthread_join(threads[index], NULL);
    return started;
}

void stardust_name_thread(const unsigned char *name) {
    prctl(PR_SET_NAME, (unsigned long)name, 0, 0, 0);
}

int stardust_get_processors(int thread, uint8_t *mask) {
    memset(mask, 0, STARDUST_PROCESSOR_BYTES);
    return sched_getaffinity(thread, STARDUST_PROCESSOR_BYTES, (cpu_set_t *)mask);
}

int stardust_set_processors(int thread, const uint8_t *mask) {
    return sched_setaffinity(thread, STARDUST_PROCESSOR_BYTES, (const cpu_set_t *)mask);
}

int64_t *stardust_thread_bytes(void) {
    static __thread int64_t bytes;
    return &bytes;
}

int64_t *stardust_thread_deadline(void) {
    static __thread int64_t nanoseconds;
    return &nanoseconds;
}

int64_t stardust_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t *stardust_thread_bytes_max(void) {
    static __thread int64_t bytes;
    return &bytes;
}

const uint8_t *stardust_find(
    const uint8_t *bytes, size_t count, const uint8_t *needle, size_t needle_count) {
    return memmem(bytes, count, needle, needle_count);
}

int stardust_clock_is_synchronised(void) {
    struct timex state = {0};
    int status = adjtimex(&state);
    if (status < 0) return -1;
    return status != TIME_ERROR && !(state.status & STA_UNSYNC);
}

int64_t stardust_file_system(const char *path) {
    struct statfs state;
    return statfs(path, &state) == 0 ? (int64_t)state.f_type : -1;
}
