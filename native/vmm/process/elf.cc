// Maps ELF files and the vDSO into a fresh address space.
#include <elf.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "arch/arch.h"
#include "host/raw.h"
#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "process/image.h"

namespace tine {
namespace {

constexpr uint64_t page_down(uint64_t n) { return n & ~(kPage - 1); }
constexpr uint64_t page_up(uint64_t n) { return (n + kPage - 1) & ~(kPage - 1); }

uint32_t prot_of(uint32_t flags) {
  return (flags & PF_R ? static_cast<uint32_t>(PROT_READ) : 0u) | (flags & PF_W ? static_cast<uint32_t>(PROT_WRITE) : 0u) |
         (flags & PF_X ? static_cast<uint32_t>(PROT_EXEC) : 0u);
}

}  // namespace

uint64_t random_number() {
  uint64_t value = 0;
  raw(SYS_getrandom, arg(&value), sizeof value, 0);
  return value;
}

int64_t map_elf(Thread& t, int fd, Placement placement, bool randomize, LoadedElf& elf) {
  AddressSpace& space = *t.process->space;
  Elf64_Ehdr header;
  if (raw(SYS_pread64, static_cast<uint64_t>(fd), arg(&header), sizeof header, 0) != sizeof header) return -ENOEXEC;
  if (header.e_phentsize != sizeof(Elf64_Phdr) || !header.e_phnum || header.e_phnum > 65536 / sizeof(Elf64_Phdr)) return -ENOEXEC;
  std::vector<Elf64_Phdr> headers(header.e_phnum);
  int64_t bytes = static_cast<int64_t>(headers.size() * sizeof(Elf64_Phdr));
  if (raw(SYS_pread64, static_cast<uint64_t>(fd), arg(headers.data()), static_cast<uint64_t>(bytes), header.e_phoff) != bytes) return -ENOEXEC;

  uint64_t low = ~0ull, high = 0, alignment = space.code_alignment();
  for (const Elf64_Phdr& p : headers) {
    if (p.p_type == PT_GNU_STACK) elf.executable_stack = p.p_flags & PF_X;
    if (p.p_type != PT_LOAD || !p.p_memsz) continue;
    if (p.p_filesz > p.p_memsz || p.p_memsz > kGuestEnd || p.p_vaddr > kGuestEnd - p.p_memsz) return -EINVAL;
    if ((p.p_vaddr ^ p.p_offset) & (kPage - 1)) return -EINVAL;
    low = std::min(low, page_down(p.p_vaddr));
    high = std::max(high, page_up(p.p_vaddr + p.p_memsz));
    if (p.p_align && !(p.p_align & (p.p_align - 1)) && p.p_align <= (1ull << 30)) alignment = std::max(alignment, p.p_align);
  }
  if (low == ~0ull) return -ENOEXEC;

  uint64_t bias = 0;
  if (header.e_type == ET_DYN) {
    MapRequest q;
    q.bytes = high - low;
    q.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    if (alignment > kPage) q.bytes += alignment;
    if (placement == Placement::kProgram) {
      // 2^26 places (2^22 where code is shared) in the 1 TiB that Linux uses with 28 random bits (ThreadSanitizer knows no
      // other), each early in a 32 MiB extent, so that program and heap share one memory slot.
      q.address = kProgramBase;
      if (randomize) {
        uint64_t r = random_number();
        q.address = ((kProgramBase >> 25) + (r & 0x7fff)) * (32ull << 20) + ((r >> 20) & 0x7ff) * kPage;
      }
      q.address = (q.address + alignment - 1) & ~(alignment - 1);
    }
    int64_t at = space.map(t, q);
    if (is_error(at)) return at;
    uint64_t placed = (static_cast<uint64_t>(at) + alignment - 1) & ~(alignment - 1);
    bias = placed - low;
    space.unmap(static_cast<uint64_t>(at), q.bytes);
  }
  for (const Elf64_Phdr& p : headers) {
    if (p.p_type != PT_LOAD || !p.p_memsz) continue;
    uint64_t start = bias + page_down(p.p_vaddr);
    uint64_t file_end = bias + p.p_vaddr + p.p_filesz, memory_end = bias + p.p_vaddr + p.p_memsz;
    uint32_t prot = prot_of(p.p_flags);
    uint64_t filled = start;
    if (p.p_filesz) {
      MapRequest q;
      q.address = start;
      q.bytes = page_up(file_end) - start;
      q.prot = prot;
      q.flags = MAP_PRIVATE | MAP_FIXED | MAP_DENYWRITE;
      q.fd = fd;
      q.offset = page_down(p.p_offset);
      q.is_loader = placement == Placement::kInterpreter;
      q.keeps_fd = true;
      int64_t at = space.map(t, q);
      if (is_error(at)) return at;
      filled = page_up(file_end);
    }
    if (memory_end > file_end) {
      // The rest of the last file page is zero, the pages behind it are anonymous.
      if (p.p_filesz && filled > file_end && (prot & PROT_WRITE)) {
        uint8_t zeros[kPage] = {};
        if (!copy_out({file_end}, zeros, filled - file_end)) return -EFAULT;
      }
      if (page_up(memory_end) > filled) {
        MapRequest q;
        q.address = filled;
        q.bytes = page_up(memory_end) - filled;
        q.prot = prot;
        q.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
        int64_t at = space.map(t, q);
        if (is_error(at)) return at;
      }
    }
    if (prot & PROT_EXEC) {
      elf.code_start = std::min(elf.code_start, bias + p.p_vaddr);
      elf.code_end = std::max(elf.code_end, file_end);
    }
    if (p.p_vaddr + bias > elf.data_start) elf.data_start = p.p_vaddr + bias;
    elf.data_end = std::max(elf.data_end, file_end);
    elf.end = std::max(elf.end, memory_end);
    if (header.e_phoff >= p.p_offset && header.e_phoff < p.p_offset + p.p_filesz)
      elf.program_headers = bias + p.p_vaddr + (header.e_phoff - p.p_offset);
  }
  for (const Elf64_Phdr& p : headers)
    if (p.p_type == PT_GNU_EH_FRAME)
      for (const Elf64_Phdr& segment : headers)
        if (segment.p_type == PT_LOAD && p.p_vaddr >= segment.p_vaddr && p.p_vaddr < segment.p_vaddr + segment.p_filesz) {
          elf.unwind = bias + p.p_vaddr;
          elf.unwind_end = bias + segment.p_vaddr + segment.p_filesz;
        }
  elf.base = bias;
  // fs/binfmt_elf.c: where no segment holds them, the address is that of nothing, moved like all others.
  if (!elf.program_headers) elf.program_headers = bias;
  elf.entry = bias + header.e_entry;
  elf.header_count = header.e_phnum;
  if (!guest_range_ok(elf.entry, 1)) return -EINVAL;
  return 0;
}

namespace {

struct HostRange {
  uint64_t start = 0, end = 0;
};

uint64_t parse_hex(const char*& p) {
  uint64_t value = 0;
  for (;; p++) {
    if (*p >= '0' && *p <= '9') value = value * 16 + static_cast<uint64_t>(*p - '0');
    else if (*p >= 'a' && *p <= 'f') value = value * 16 + static_cast<uint64_t>(*p - 'a' + 10);
    else return value;
  }
}

// Where the host put its vvar and vdso mappings, which must be moved whole.
void find_vdso(std::vector<HostRange>& data, HostRange& code) {
  int64_t fd = raw(SYS_openat, static_cast<uint64_t>(-100), arg("/proc/self/maps"), 0);
  if (is_error(fd)) return;
  std::string text;
  char buffer[4096];
  for (int64_t got; (got = raw(SYS_read, static_cast<uint64_t>(fd), arg(buffer), sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(got));
  raw(SYS_close, static_cast<uint64_t>(fd));
  size_t at = 0;
  while (at < text.size()) {
    size_t end = text.find('\n', at);
    if (end == std::string::npos) break;
    std::string line = text.substr(at, end - at);
    at = end + 1;
    bool vvar = line.find("[vvar") != std::string::npos, vdso = line.find("[vdso]") != std::string::npos;
    if (!vvar && !vdso) continue;
    const char* p = line.c_str();
    HostRange range;
    range.start = parse_hex(p);
    p++;
    range.end = parse_hex(p);
    if (vdso) code = range;
    else data.push_back(range);
  }
}

}  // namespace

uint64_t map_vdso(Thread& t) {
  AddressSpace& space = *t.process->space;
  VdsoLayout& layout = t.process->vdso_layout;
  std::vector<HostRange> data;
  HostRange code;
  if (!layout.code_bytes) {
    find_vdso(data, code);
    if (!code.start || data.empty() || data.front().start > code.start || data.size() > std::size(layout.data)) return 0;
    layout.code_bytes = code.end - code.start;
    for (const HostRange& range : data) layout.data[layout.count++] = {code.start - range.start, range.end - range.start};
  } else {
    code.start = getauxval(AT_SYSINFO_EHDR);
    code.end = code.start + layout.code_bytes;
    for (uint32_t i = 0; i < layout.count; i++) data.push_back({code.start - layout.data[i].below, code.start - layout.data[i].below + layout.data[i].bytes});
  }
  uint64_t low = data.front().start, bytes = code.end - low;
  MapRequest q;
  q.bytes = bytes;
  q.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  int64_t at = space.map(t, q);
  if (is_error(at)) return 0;
  uint64_t base = static_cast<uint64_t>(at);
  // The data pages are the kernel's own, updated under us: they move. The code is copied, because one function of
  // it must change (getcpu reads a segment limit that the machine does not have).
  uint64_t target = base + (code.start - low);
  std::vector<uint8_t> text(code.end - code.start);
  std::memcpy(text.data(), reinterpret_cast<void*>(code.start), text.size());
  arch_adapt_vdso(text.data(), text.size());
  for (const HostRange& range : data) {
    uint64_t to = base + (range.start - low);
    int64_t moved = raw(SYS_mremap, range.start, range.end - range.start, range.end - range.start, MREMAP_MAYMOVE | MREMAP_FIXED, to_host({to}).v);
    if (is_error(moved)) return 0;
    space.replace({to, to + (range.end - range.start), PROT_READ, kVmaVvar});
  }
  space.protect(t, target, text.size(), PROT_READ | PROT_WRITE);
  if (!copy_out({target}, text.data(), text.size())) return 0;
  space.protect(t, target, text.size(), PROT_READ | PROT_EXEC);
  space.replace({target, target + text.size(), PROT_READ | PROT_EXEC, kVmaVdso});
  return target;
}

}  // namespace tine
