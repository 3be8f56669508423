/* Loaded before libc: refuses chosen file calls below one directory, as a full or read-only disk does.

Counted are the calls that change files below `root`: opening for writing, writing, syncing, closing what was written,
cutting, renaming, removing, making directories. Each has a kind: 'g' takes room on the disk, 'n' changes names or sizes,
's' syncs, 'c' closes. Paths must be absolute, or relative to a directory's descriptor. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ONE, FULL, READ_ONLY }; /* the first call only; all that take room from there on; all but syncs and closes */
#define MOST 100000
static char root[PATH_MAX], kinds[MOST + 1];
static const char *names[MOST];
static size_t root_bytes;
static long first = -1, seen, refusals;
static int number, mode;

void refuse_begin(const char *directory, long at, int error, int how) {
  strcpy(root, directory);
  root_bytes = strlen(root);
  first = at, number = error, mode = how, seen = refusals = 0;
}
long refuse_end(void) { return root_bytes = 0, kinds[seen] = 0, refusals; }
const char *refuse_kinds(void) { return kinds; }
const char *refuse_name(long at) { return names[at]; }

static int is_below(const char *path) {
  return root_bytes && !strncmp(path, root, root_bytes) && (path[root_bytes] == '/' || !path[root_bytes]);
}
static int is_open_below(int descriptor) {
  char link[64], path[PATH_MAX];
  if (!root_bytes) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return is_below(path);
}
static int at_below(int directory, const char *path) { return *path == '/' ? is_below(path) : is_open_below(directory); }

/* 0: do it; 1: refuse it; 2: do half of it, because the disk is full in the middle */
static int verdict(char kind, const char *name) {
  long n = seen < MOST ? seen++ : seen;
  kinds[n] = kind, names[n] = name;
  if (first < 0 || n < first || (mode == ONE && n > first)) return 0;
  if (mode == FULL && kind != 'g') return 0;
  if (mode == READ_ONLY && (kind == 's' || kind == 'c')) return 0;
  refusals++, errno = number;
  return mode == FULL && n == first ? 2 : 1;
}
#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))
#define REFUSE(below, kind, name) \
  if ((below) && verdict(kind, #name)) return -1

#define OPEN(name)                                                                                 \
  int name(const char *path, int flags, ...) {                                                     \
    va_list rest;                                                                                  \
    va_start(rest, flags);                                                                         \
    mode_t permissions = va_arg(rest, mode_t);                                                     \
    va_end(rest);                                                                                  \
    REFUSE((flags & (O_WRONLY | O_RDWR | O_CREAT)) && is_below(path), 'g', name);                  \
    return REAL(name)(path, flags, permissions);                                                   \
  }
#define OPENAT(name)                                                                               \
  int name(int directory, const char *path, int flags, ...) {                                      \
    va_list rest;                                                                                  \
    va_start(rest, flags);                                                                         \
    mode_t permissions = va_arg(rest, mode_t);                                                     \
    va_end(rest);                                                                                  \
    REFUSE((flags & (O_WRONLY | O_RDWR | O_CREAT)) && at_below(directory, path), 'g', name);       \
    return REAL(name)(directory, path, flags, permissions);                                        \
  }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

#define WRITE(name, declared, given)                                                               \
  ssize_t name(int descriptor, const void *data, size_t count declared) {                          \
    if (!is_open_below(descriptor)) return REAL(name)(descriptor, data, count given);              \
    int refused = verdict('g', #name);                                                             \
    if (refused && (refused == 1 || count < 2)) return -1;                                         \
    return REAL(name)(descriptor, data, refused ? count / 2 : count given);                        \
  }
#define NOTHING
#define AND ,
WRITE(write, NOTHING, NOTHING)
WRITE(pwrite, AND off_t offset, AND offset)
WRITE(pwrite64, AND off64_t offset, AND offset)

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
  if (!is_open_below(descriptor)) return REAL(writev)(descriptor, parts, count);
  int refused = verdict('g', "writev");
  if (refused && (refused == 1 || parts->iov_len < 2)) return -1;
  struct iovec half = {parts->iov_base, parts->iov_len / 2};
  return refused ? REAL(writev)(descriptor, &half, 1) : REAL(writev)(descriptor, parts, count);
}

/* Nothing is ever synced: it would only be slow, because no power fails here. */
#define SYNC(name)                                                                                 \
  int name(int descriptor) { return is_open_below(descriptor) && verdict('s', #name) ? -1 : 0; }
SYNC(fsync)
SYNC(fdatasync)

int close(int descriptor) {
  int flags = root_bytes ? fcntl(descriptor, F_GETFL) : -1;
  int is_written = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && is_open_below(descriptor);
  int refused = is_written && verdict('c', "close"), error = errno;
  int result = REAL(close)(descriptor);
  if (refused) errno = error;
  return refused ? -1 : result;
}

int ftruncate(int descriptor, off_t length) {
  REFUSE(is_open_below(descriptor), 'n', ftruncate);
  return REAL(ftruncate)(descriptor, length);
}
int ftruncate64(int descriptor, off64_t length) {
  REFUSE(is_open_below(descriptor), 'n', ftruncate64);
  return REAL(ftruncate64)(descriptor, length);
}
int rename(const char *from, const char *to) {
  REFUSE(is_below(from) || is_below(to), 'n', rename);
  return REAL(rename)(from, to);
}
int renameat(int a, const char *from, int b, const char *to) {
  REFUSE(at_below(a, from) || at_below(b, to), 'n', renameat);
  return REAL(renameat)(a, from, b, to);
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
  REFUSE(at_below(a, from) || at_below(b, to), 'n', renameat2);
  return REAL(renameat2)(a, from, b, to, flags);
}
int mkdir(const char *path, mode_t permissions) {
  REFUSE(is_below(path), 'g', mkdir);
  return REAL(mkdir)(path, permissions);
}
int mkdirat(int directory, const char *path, mode_t permissions) {
  REFUSE(at_below(directory, path), 'g', mkdirat);
  return REAL(mkdirat)(directory, path, permissions);
}
int unlink(const char *path) {
  REFUSE(is_below(path), 'n', unlink);
  return REAL(unlink)(path);
}
int unlinkat(int directory, const char *path, int flags) {
  REFUSE(at_below(directory, path), 'n', unlinkat);
  return REAL(unlinkat)(directory, path, flags);
}
int rmdir(const char *path) {
  REFUSE(is_below(path), 'n', rmdir);
  return REAL(rmdir)(path);
}
