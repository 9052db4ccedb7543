/* Records what a process writes to the files below CRASH_ROOT, in order, into the file CRASH_LOG. For LD_PRELOAD.
 *
 * An event: kind(1) durable(1) name length(2) offset(8) length(8), name, data; integers in the machine's order.
 * Kinds: 'w' bytes were written, 's' what was written to the file before is durable, 't' the file has this length.
 * Files that are mapped for writing are compared with their last contents at each event: sectors that changed are 'w'.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define SECTOR 512
#define MAPPINGS 64
#define NEXT(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

struct mapping { char *address, *before; size_t size; off_t offset; char name[256]; };

static struct mapping mappings[MAPPINGS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int out = -1;
static const char *root;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CRASH_LOG");
    root = getenv("CRASH_ROOT");
    if (path && root) out = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The name below the root of an open file; 0 for any other file. */
static int find_name(int fd, char *name) {
    char link[64], path[4096];
    if (out < 0 || fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    size_t root_size = strlen(root);
    if (size <= (ssize_t)root_size) return 0;
    path[size] = 0;
    if (strncmp(path, root, root_size) || path[root_size] != '/') return 0;
    const char *rest = path + root_size + 1;
    if (strchr(rest, '/') || strlen(rest) > 255 || strstr(rest, "lock")) return 0;
    strcpy(name, rest);
    return 1;
}

static void put(const void *bytes, size_t size) {
    const char *at = bytes;
    while (size) {
        long done = syscall(SYS_write, out, at, size);
        if (done <= 0) abort();
        at += done, size -= done;
    }
}

static void put_event(char kind, int durable, const char *name, uint64_t offset, uint64_t size, const void *data) {
    char head[20];
    uint16_t name_size = strlen(name);
    head[0] = kind, head[1] = durable;
    memcpy(head + 2, &name_size, 2), memcpy(head + 4, &offset, 8), memcpy(head + 12, &size, 8);
    put(head, sizeof head), put(name, name_size);
    if (data) put(data, size);
}

static void compare_mappings(void) {
    for (struct mapping *m = mappings; m < mappings + MAPPINGS; m++)
        for (size_t at = 0; m->address && at < m->size; at += SECTOR) {
            size_t size = m->size - at < SECTOR ? m->size - at : SECTOR;
            if (!memcmp(m->address + at, m->before + at, size)) continue;
            memcpy(m->before + at, m->address + at, size);
            put_event('w', 0, m->name, m->offset + at, size, m->before + at);
        }
}

static int is_durable(int fd) {
    return (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
}

static void note(int fd, char kind, uint64_t offset, uint64_t size, const void *data) {
    char name[256];
    if (!find_name(fd, name)) return;
    pthread_mutex_lock(&lock);
    compare_mappings();
    put_event(kind, kind == 'w' && is_durable(fd), name, offset, size, data);
    pthread_mutex_unlock(&lock);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    ssize_t done = NEXT(pwrite)(fd, data, size, offset);
    if (done > 0) note(fd, 'w', offset, done, data);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) { return pwrite(fd, data, size, offset); }

ssize_t write(int fd, const void *data, size_t size) {
    ssize_t done = NEXT(write)(fd, data, size);
    char name[256];
    if (done > 0 && find_name(fd, name)) note(fd, 'w', lseek(fd, 0, SEEK_CUR) - done, done, data);
    return done;
}

static void note_parts(int fd, const struct iovec *parts, int count, off_t offset, ssize_t done) {
    for (int i = 0; i < count && done > 0; i++) {
        ssize_t size = (ssize_t)parts[i].iov_len < done ? (ssize_t)parts[i].iov_len : done;
        note(fd, 'w', offset, size, parts[i].iov_base);
        offset += size, done -= size;
    }
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    ssize_t done = NEXT(writev)(fd, parts, count);
    char name[256];
    if (done > 0 && find_name(fd, name)) note_parts(fd, parts, count, lseek(fd, 0, SEEK_CUR) - done, done);
    return done;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    ssize_t done = NEXT(pwritev)(fd, parts, count, offset);
    note_parts(fd, parts, count, offset, done);
    return done;
}

ssize_t pwritev64(int fd, const struct iovec *p, int count, off_t offset) { return pwritev(fd, p, count, offset); }

int fsync(int fd) {
    int failed = NEXT(fsync)(fd);
    if (!failed) note(fd, 's', 0, 0, NULL);
    return failed;
}

int fdatasync(int fd) {
    int failed = NEXT(fdatasync)(fd);
    if (!failed) note(fd, 's', 0, 0, NULL);
    return failed;
}

static int note_size(int fd) {
    struct stat found;
    if (!fstat(fd, &found)) note(fd, 't', 0, found.st_size, NULL);
    return 0;
}

int ftruncate(int fd, off_t size) { return NEXT(ftruncate)(fd, size) || note_size(fd) ? -1 : 0; }
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int posix_fallocate(int fd, off_t offset, off_t size) {
    int failed = NEXT(posix_fallocate)(fd, offset, size);
    return failed ? failed : note_size(fd);
}

int posix_fallocate64(int fd, off_t offset, off_t size) { return posix_fallocate(fd, offset, size); }

static void *map(void *address, size_t size, int access, int flags, int fd, off_t offset) {
    void *at = (void *)syscall(SYS_mmap, address, size, access, flags, fd, offset);
    char name[256];
    if (at == MAP_FAILED || !(flags & MAP_SHARED) || !(access & PROT_WRITE) || !find_name(fd, name)) return at;
    pthread_mutex_lock(&lock);
    compare_mappings();
    for (struct mapping *m = mappings; m < mappings + MAPPINGS; m++) {
        if (m->address) continue;
        m->before = malloc(size);
        memcpy(m->before, at, size);
        m->address = at, m->size = size, m->offset = offset;
        strcpy(m->name, name);
        break;
    }
    pthread_mutex_unlock(&lock);
    return at;
}

void *mmap(void *a, size_t size, int access, int flags, int fd, off_t o) { return map(a, size, access, flags, fd, o); }
void *mmap64(void *a, size_t size, int access, int flags, int fd, off_t o) { return map(a, size, access, flags, fd, o); }

int munmap(void *address, size_t size) {
    pthread_mutex_lock(&lock);
    for (struct mapping *m = mappings; m < mappings + MAPPINGS; m++)
        if (m->address && m->address == address) {
            compare_mappings();
            free(m->before);
            m->address = NULL;
        }
    pthread_mutex_unlock(&lock);
    return syscall(SYS_munmap, address, size);
}

int msync(void *address, size_t size, int flags) {
    int failed = syscall(SYS_msync, address, size, flags);
    if (failed || !(flags & MS_SYNC)) return failed;
    pthread_mutex_lock(&lock);
    for (struct mapping *m = mappings; m < mappings + MAPPINGS; m++)
        if (m->address && m->address <= (char *)address && (char *)address < m->address + m->size) {
            compare_mappings();
            put_event('s', 0, m->name, 0, 0, NULL);
            break;
        }
    pthread_mutex_unlock(&lock);
    return 0;
}
