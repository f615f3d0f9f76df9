// Finding a program: what execve checks before it can no longer go back.
#include "process/image.h"

#include <elf.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "host/raw.h"
#include "process/translators.h"
#include "procfs/procfs.h"
#include "syscall/call.h"

namespace tine {
namespace {

constexpr int kDeepest = 5;

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
#else
constexpr uint16_t kMachine = EM_AARCH64;
#endif

void close_fd(int fd) {
  if (fd >= 0) raw(SYS_close, static_cast<uint64_t>(fd));
}

// Opens a file for execution; every refusal is the one execve gives.
int64_t open_program(Thread& t, int directory, const char* path, int flags) {
  char text[PATH_MAX];
  size_t length = std::strlen(path);
  if (length >= sizeof text) return -ENAMETOOLONG;
  std::memcpy(text, path, length + 1);
  bool follow = !(flags & AT_SYMLINK_NOFOLLOW);
  int64_t opened;
  if (!length) {
    if (!(flags & AT_EMPTY_PATH)) return -ENOENT;
    char link[32] = "/proc/self/fd/";
    int at = 14;
    char digits[12];
    int n = 0;
    for (int v = directory; n == 0 || v; v /= 10) digits[n++] = static_cast<char>('0' + v % 10);
    while (n) link[at++] = digits[--n];
    link[at] = 0;
    opened = raw(SYS_openat, static_cast<uint64_t>(AT_FDCWD), arg(link), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    // Without a procfs the descriptor itself still serves when it is open for reading.
    if (is_error(opened)) opened = raw(SYS_fcntl, static_cast<uint64_t>(directory), F_DUPFD_CLOEXEC, 0);
  } else {
    if (int64_t result = procfs_path(t, directory, text, follow)) return result;
    opened = raw(SYS_openat, static_cast<uint64_t>(directory), arg(text), O_RDONLY | O_CLOEXEC | O_NONBLOCK | (follow ? 0u : O_NOFOLLOW));
  }
  // The kernel looks at what kind of file it is before it opens one: a device that nobody could open is no program either.
  if (opened == -ENXIO) return -EACCES;
  if (opened == -EPERM) {
    struct stat kind;
    const bool known = raw(SYS_newfstatat, static_cast<uint64_t>(directory), arg(text), arg(&kind), follow ? 0u : AT_SYMLINK_NOFOLLOW) == 0;
    return known && length && !S_ISREG(kind.st_mode) ? -EACCES : -EPERM;
  }
  if (is_error(opened)) return opened;
  int fd = static_cast<int>(opened);
  struct stat info;
  int64_t result = raw(SYS_fstat, opened, arg(&info));
  if (!result && !S_ISREG(info.st_mode)) result = -EACCES;
  if (!result) {
    result = raw(SYS_faccessat2, opened, arg(""), X_OK, AT_EMPTY_PATH | AT_EACCESS);
    if (result == -ENOSYS || result == -EINVAL || result == -EPERM) result = info.st_mode & 0111 ? 0 : -EACCES;
  }
  if (result) {
    close_fd(fd);
    return result;
  }
  return fd;
}

// Whether the kernel would execute it at all: a file open for writing is busy. The kernel from 6.14 answers that
// itself (AT_EXECVE_CHECK); on older ones a write lease stands in.
int64_t check_busy(int fd) {
  constexpr int kExecveCheck = 0x10000;
  const char* none[] = {nullptr};
  int64_t result = raw(SYS_execveat, static_cast<uint64_t>(fd), arg(""), arg(none), arg(none), AT_EMPTY_PATH | kExecveCheck);
  return result == -ETXTBSY || result == -EACCES ? result : 0;
}

// One program on its way through the kernel's formats (fs/exec.c, exec_binprm()).
struct Search {
  Thread& thread;
  Image& image;
  std::string path;      // bprm->interp: what the formats are told the file is called
  bool closes_at_exec;   // BINPRM_FLAGS_PATH_INACCESSIBLE: nobody could open it by that name

  int64_t open(int directory, const char* path, int flags);
  int64_t judge(int fd, int depth);
  int64_t script(char* head, int64_t got, int depth);
  int64_t translator(const Translator& translator, bool foreign, int fd, int depth);
  int64_t elf(const Elf64_Ehdr& header);
  void remove_argv0() {
    if (image.prefix.empty()) image.drops_argv0 = true;
    else image.prefix.erase(image.prefix.begin());
  }
};

int64_t Search::open(int directory, const char* name, int flags) { return open_program(thread, directory, name, flags); }

// fs/binfmt_script.c: first word is the interpreter, the rest of the line one argument.
int64_t Search::script(char* head, int64_t got, int depth) {
  char* end = static_cast<char*>(std::memchr(head, '\n', static_cast<size_t>(got)));
  bool complete = end != nullptr;
  if (!end) end = head + got;
  *end = 0;
  while (end > head + 2 && (end[-1] == ' ' || end[-1] == '\t')) *--end = 0;
  char* name = head + 2;
  while (*name == ' ' || *name == '\t') name++;
  // A file that ends right after "#!" names the empty path, which the kernel refuses in its own way.
  if (!*name) return complete ? -ENOEXEC : -EACCES;
  char* after = name;
  while (*after && *after != ' ' && *after != '\t') after++;
  if (!complete && got == kFormatBytes && !*after) return -ENOEXEC;  // the name may be cut off
  char* rest = after;
  if (*after) {
    *after = 0;
    rest = after + 1;
    while (*rest == ' ' || *rest == '\t') rest++;
  }
  remove_argv0();
  image.prefix.insert(image.prefix.begin(), path);
  if (*rest) image.prefix.insert(image.prefix.begin(), rest);
  image.prefix.insert(image.prefix.begin(), name);
  path = name;
  int64_t opened = open(AT_FDCWD, path.c_str(), 0);
  return opened < 0 ? opened : judge(static_cast<int>(opened), depth + 1);
}

// fs/binfmt_misc.c, load_misc_binary().
int64_t Search::translator(const Translator& translator, bool foreign, int fd, int depth) {
  if (translator.open_binary) image.binary_fd = fd;
  else close_fd(fd);
  if (!translator.preserve_argv0) remove_argv0();
  image.preserves_argv0 |= translator.preserve_argv0;
  image.prefix.insert(image.prefix.begin(), path);
  image.prefix.insert(image.prefix.begin(), translator.interpreter);
  image.translated |= foreign;
  path = translator.interpreter;
  int64_t opened = translator.fd >= 0 ? raw(SYS_fcntl, static_cast<uint64_t>(translator.fd), F_DUPFD_CLOEXEC, 0)
                                      : open(AT_FDCWD, path.c_str(), 0);
  return is_error(opened) ? opened : judge(static_cast<int>(opened), depth + 1);
}

// Takes the descriptor over.
int64_t Search::judge(int fd, int depth) {
  int64_t result = depth > kDeepest ? -ELOOP : check_busy(fd);
  char head[kFormatBytes + 1] = {};
  int64_t got = result ? result : raw(SYS_pread64, static_cast<uint64_t>(fd), arg(head), kFormatBytes, 0);
  if (got < 0) {
    close_fd(fd);
    return got;
  }
  Elf64_Ehdr header{};
  std::memcpy(&header, head, sizeof header);
  const bool is_elf = std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0;
  if (is_elf && header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_machine == kMachine && got >= static_cast<int64_t>(sizeof header)) {
    image.fd = fd;
    return elf(header);
  }
  // fs/exec.c: once one file is kept open for AT_EXECFD, no further file may stand for another.
  if (image.binary_fd >= 0) {
    close_fd(fd);
    return -ENOEXEC;
  }
  Translator found;
  if (find_translator(*thread.process, {head, static_cast<size_t>(got)}, path, found)) {
    if (!closes_at_exec) return translator(found, is_elf, fd, depth);
    close_fd(fd);
    return -ENOENT;
  }
  close_fd(fd);
  if (got < 2 || head[0] != '#' || head[1] != '!') return -ENOEXEC;
  return closes_at_exec ? -ENOENT : script(head, got, depth);
}

int64_t Search::elf(const Elf64_Ehdr& header) {
  const uint64_t fd = static_cast<uint64_t>(image.fd);
  if ((header.e_type != ET_EXEC && header.e_type != ET_DYN) || header.e_phentsize != sizeof(Elf64_Phdr) || !header.e_phnum ||
      header.e_phnum > 65536 / sizeof(Elf64_Phdr))
    return -ENOEXEC;
  std::vector<Elf64_Phdr> headers(header.e_phnum);
  int64_t bytes = static_cast<int64_t>(headers.size() * sizeof(Elf64_Phdr));
  if (raw(SYS_pread64, fd, arg(headers.data()), static_cast<uint64_t>(bytes), header.e_phoff) != bytes) return -ENOEXEC;
  for (const Elf64_Phdr& p : headers) {
    if (p.p_type != PT_INTERP) continue;
    if (p.p_filesz < 2 || p.p_filesz > PATH_MAX) return -ENOEXEC;
    char name[PATH_MAX + 1] = {};
    if (raw(SYS_pread64, fd, arg(name), p.p_filesz, p.p_offset) != static_cast<int64_t>(p.p_filesz)) return -EIO;
    if (name[p.p_filesz - 1]) return -ENOEXEC;
    int64_t interpreter = open(AT_FDCWD, name, 0);
    if (interpreter < 0) return interpreter;
    image.interpreter_fd = static_cast<int>(interpreter);
    Elf64_Ehdr other{};
    if (raw(SYS_pread64, static_cast<uint64_t>(interpreter), arg(&other), sizeof other, 0) != sizeof other) return -EIO;
    if (std::memcmp(other.e_ident, ELFMAG, SELFMAG) != 0 || other.e_machine != kMachine) return -ELIBBAD;
    break;
  }
  return 0;
}

}  // namespace

Image::~Image() {
  close_fd(fd);
  close_fd(interpreter_fd);
  close_fd(binary_fd);
}

int64_t find_image(Thread& t, int directory, const char* path, int flags, Image& image) {
  if (path[0] == '/' || directory == AT_FDCWD) {
    image.name = path;
  } else {
    image.name = "/dev/fd/";
    image.name += std::to_string(directory);
    if (path[0]) image.name.append("/").append(path);
  }
  const char* base = path;
  for (const char* p = path; *p; p++)
    if (*p == '/') base = p + 1;
  image.comm = path[0] ? std::string(base) : std::to_string(directory);
  bool closes_at_exec = false;
  if (directory != AT_FDCWD && path[0] != '/') {
    int64_t descriptor_flags = raw(SYS_fcntl, static_cast<uint64_t>(directory), F_GETFD);
    closes_at_exec = descriptor_flags > 0 && (descriptor_flags & FD_CLOEXEC);
  }
  int64_t opened = open_program(t, directory, path, flags);
  if (opened < 0) return opened;
  Search search{t, image, image.name, closes_at_exec};
  return search.judge(static_cast<int>(opened), 0);
}

}  // namespace tine
