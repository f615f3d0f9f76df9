#include "procfs/lines.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "memory/address.h"
#include "procfs/text.h"

namespace tine {
namespace {

// One line of maps, or the head of one entry of smaps.
struct HostMapping {
  uint64_t start = 0, end = 0, offset = 0, inode = 0;
  char perms[4] = {'-', '-', '-', 'p'};
  std::string_view device, name;
};

bool parse_head(std::string_view line, HostMapping& m) {
  if (!take_number(line, m.start, 16) || !take(line, '-') || !take_number(line, m.end, 16) || !take(line, ' '))
    return false;
  if (line.size() < 5) return false;
  memcpy(m.perms, line.data(), 4);
  line.remove_prefix(4);
  if (!take(line, ' ') || !take_number(line, m.offset, 16) || !take(line, ' ')) return false;
  m.device = take_until(line, ' ');
  if (!take_number(line, m.inode)) return false;
  skip(line, ' ');
  m.name = line;
  return true;
}

bool is_vsyscall(const HostMapping& m) { return m.start >= kAlwaysFaults; }

// fs/proc/task_mmu.c, show_map_vma(): the name stands at column 73.
void add_head(std::string& out, const HostMapping& m) {
  const size_t begin = out.size();
  add_number(out, m.start, 16, 8);
  out += '-';
  add_number(out, m.end, 16, 8);
  out += ' ';
  out.append(m.perms, 4);
  out += ' ';
  add_number(out, m.offset, 16, 8);
  out += ' ';
  out += m.device;
  out += ' ';
  add_number(out, m.inode);
  out += ' ';
  if (!m.name.empty()) {
    while (out.size() - begin < 73) out += ' ';
    out += m.name;
  }
  out += '\n';
}

void set_perms(HostMapping& m, uint32_t prot) {
  m.perms[0] = prot & PROT_READ ? 'r' : '-';
  m.perms[1] = prot & PROT_WRITE ? 'w' : '-';
  m.perms[2] = prot & PROT_EXEC ? 'x' : '-';
}

// What the guest should read about (a part of) a host mapping. `host_start` says where the part begins in it.
struct Piece {
  HostMapping shown;
  size_t entry;  // which host entry it is of; kNoEntry: the host has none
  uint64_t bytes() const { return shown.end - shown.start; }
};
constexpr size_t kNoEntry = SIZE_MAX;

bool same_kind(const Piece& a, const Piece& b) {
  return a.entry == b.entry && a.shown.end == b.shown.start && memcmp(a.shown.perms, b.shown.perms, 4) == 0 &&
         a.shown.name == b.shown.name && a.shown.device == b.shown.device && a.shown.inode == b.shown.inode;
}

void add_piece(std::vector<Piece>& pieces, const Piece& piece) {
  if (piece.entry != kNoEntry && !pieces.empty() && same_kind(pieces.back(), piece))
    pieces.back().shown.end = piece.shown.end;
  else
    pieces.push_back(piece);
}

// The part [start, end) of a host mapping whose addresses are already the guest's.
HostMapping part_of(const HostMapping& m, uint64_t start, uint64_t end) {
  HostMapping part = m;
  part.start = start;
  part.end = end;
  if (m.inode || m.offset) part.offset = m.offset + (start - m.start);
  return part;
}

void add_unbacked(std::vector<Piece>& pieces, const GuestMapping& g, uint64_t start, uint64_t end) {
  Piece piece{{}, kNoEntry};
  piece.shown.start = start;
  piece.shown.end = end;
  piece.shown.device = "00:00";
  piece.shown.name = g.name;
  piece.shown.perms[3] = g.shared ? 's' : 'p';
  set_perms(piece.shown, g.prot);
  add_piece(pieces, piece);
}

// Cuts host mappings (guest addresses, sorted) where the guest's own end, and gives them its protections and
// names. What the guest mapped and the host has not (memory that is only accounted for) is shown as empty.
std::vector<Piece> cut(const std::vector<HostMapping>& host, const std::vector<size_t>& entries, GuestMappings guest) {
  std::vector<Piece> pieces;
  if (guest.empty()) {
    for (size_t i = 0; i < host.size(); i++) pieces.push_back({host[i], entries[i]});
    return pieces;
  }
  size_t i = 0;
  for (const GuestMapping& g : guest) {
    uint64_t at = g.start;
    while (i < host.size() && host[i].end <= at) i++;
    for (size_t n = i; at < g.end; n++) {
      const bool backed = n < host.size() && host[n].start < g.end;
      const uint64_t begin = backed ? std::max(host[n].start, at) : g.end;
      if (begin > at) add_unbacked(pieces, g, at, begin);
      if (!backed) break;
      at = std::min(host[n].end, g.end);
      Piece piece{part_of(host[n], begin, at), entries[n]};
      set_perms(piece.shown, g.prot);
      // The host may know the heap and the stack by other bounds than the guest's.
      if (g.name[0] || piece.shown.name == "[heap]" || piece.shown.name == "[stack]") piece.shown.name = g.name;
      add_piece(pieces, piece);
    }
  }
  return pieces;
}

struct Parsed {
  std::vector<HostMapping> mappings;  // in windows, guest addresses, sorted
  std::vector<size_t> entries;        // for each, its index among `bodies`
  std::vector<std::string_view> bodies;
  HostMapping vsyscall;
  bool has_vsyscall = false;
  size_t vsyscall_entry = kNoEntry;
};

// A line that begins a mapping starts with a hexadecimal address; a line of figures with a capital letter.
bool is_head(std::string_view line) {
  return !line.empty() && ((line[0] >= '0' && line[0] <= '9') || (line[0] >= 'a' && line[0] <= 'f'));
}

Parsed parse(std::string_view text) {
  Parsed parsed;
  std::vector<std::pair<HostMapping, size_t>> found;
  while (!text.empty()) {
    std::string_view line = take_until(text, '\n');
    HostMapping m;
    if (!is_head(line) || !parse_head(line, m)) continue;
    const char* body = text.data();
    size_t bytes = 0;
    while (!text.empty() && !is_head(text)) bytes += take_until(text, '\n').size() + 1;
    if (is_vsyscall(m)) {
      parsed.vsyscall = m;
      parsed.has_vsyscall = true;
      parsed.vsyscall_entry = parsed.bodies.size();
    } else if (in_window({m.start})) {
      // A window is one XOR, so a mapping keeps its length and direction unless it crosses the exchanged bit,
      // which no mapping of a guest does.
      m.end = to_guest({m.end - 1}).v + 1;
      m.start = to_guest({m.start}).v;
      found.push_back({m, parsed.bodies.size()});
    } else {
      continue;
    }
    parsed.bodies.emplace_back(body, bytes);
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first.start < b.first.start; });
  for (auto& [m, entry] : found) {
    parsed.mappings.push_back(m);
    parsed.entries.push_back(entry);
  }
  return parsed;
}

// One line of figures: "Rss:      44 kB".
struct Figure {
  std::string_view key;  // with its colon
  uint64_t kilobytes = 0;
  bool counted = false;  // it is a number of kB
};

Figure parse_figure(std::string_view line) {
  Figure figure;
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return figure;
  figure.key = line.substr(0, colon + 1);
  std::string_view rest = line.substr(colon + 1);
  skip(rest, ' ');
  figure.counted = take_number(rest, figure.kilobytes) && rest == " kB";
  return figure;
}

// SEQ_PUT_DEC in task_mmu.c: the name and colon are 16 wide, the number 8.
void add_figure(std::string& out, std::string_view key, uint64_t kilobytes) {
  const size_t begin = out.size();
  out += key;
  while (out.size() - begin < 16) out += ' ';
  add_number(out, kilobytes, 10, 8, ' ');
  out += " kB\n";
}

void add_flags(std::string& out, std::string_view line, const char (&perms)[4]) {
  // VmFlags of a mapping that may be executed have "ex" after "rd" and "wr".
  constexpr std::string_view kKey = "VmFlags:";
  std::string_view rest = line.substr(kKey.size());
  out += kKey;
  bool placed = perms[2] != 'x';
  while (!rest.empty()) {
    skip(rest, ' ');
    std::string_view flag = take_until(rest, ' ');
    if (flag.empty()) break;
    if (flag == "rd" || flag == "wr" || flag == "ex") {
      if ((flag == "rd" && perms[0] != 'r') || (flag == "wr" && perms[1] != 'w') || flag == "ex") continue;
    } else if (!placed) {
      out += " ex";
      placed = true;
    }
    out += ' ';
    out += flag;
  }
  if (!placed) out += " ex";
  out += " \n";
}

// What is left of a host entry's figures after the pieces before.
struct Remaining {
  std::vector<Figure> figures;
  bool started = false;
};

void add_empty_body(std::string& out, const Piece& piece) {
  add_figure(out, "Size:", piece.bytes() >> 10);
  for (const char* key :
       {"KernelPageSize:", "MMUPageSize:", "Rss:", "Pss:", "Pss_Dirty:", "Shared_Clean:", "Shared_Dirty:",
        "Private_Clean:", "Private_Dirty:", "Referenced:", "Anonymous:", "KSM:", "LazyFree:", "AnonHugePages:",
        "ShmemPmdMapped:", "FilePmdMapped:", "Shared_Hugetlb:", "Private_Hugetlb:", "Swap:", "SwapPss:", "Locked:"})
    add_figure(out, key, std::string_view(key).ends_with("PageSize:") ? 4 : 0);
  out += "THPeligible:           0\n";
  add_flags(out, "VmFlags: rd wr mr mw me", piece.shown.perms);
}

void add_body(std::string& out, const Piece& piece, std::string_view body, Remaining& remaining) {
  if (!remaining.started) {
    remaining.started = true;
    for (std::string_view rest = body; !rest.empty();)
      remaining.figures.push_back(parse_figure(take_until(rest, '\n')));
  }
  size_t n = 0;
  for (std::string_view rest = body; !rest.empty(); n++) {
    std::string_view line = take_until(rest, '\n');
    Figure& figure = remaining.figures[n];
    if (figure.key == "Size:") {
      add_figure(out, figure.key, piece.bytes() >> 10);
    } else if (figure.key == "ProtectionKey:") {
      out += "ProtectionKey:         0\n";  // that there is one is the monitor's affair (memory/write_key.h)
    } else if (figure.key == "VmFlags:") {
      add_flags(out, line, piece.shown.perms);
    } else if (figure.counted && !figure.key.ends_with("PageSize:")) {
      const uint64_t given = std::min(figure.kilobytes, piece.bytes() >> 10);
      figure.kilobytes -= given;
      add_figure(out, figure.key, given);
    } else {
      out += line;
      out += '\n';
    }
  }
}

std::string roll_up(const Parsed& parsed, const std::vector<Piece>& pieces) {
  std::vector<Figure> sums;
  for (size_t entry : parsed.entries)
    for (std::string_view rest = parsed.bodies[entry]; !rest.empty();) {
      const Figure figure = parse_figure(take_until(rest, '\n'));
      if (!figure.counted || figure.key == "Size:" || figure.key.ends_with("PageSize:")) continue;
      auto at = std::find_if(sums.begin(), sums.end(), [&](const Figure& f) { return f.key == figure.key; });
      if (at == sums.end())
        sums.push_back(figure);
      else
        at->kilobytes += figure.kilobytes;
    }
  HostMapping all;
  if (!pieces.empty()) {
    all.start = pieces.front().shown.start;
    all.end = pieces.back().shown.end;
  }
  all.device = "00:00";
  all.name = "[rollup]";
  std::string out;
  add_head(out, all);
  for (const Figure& figure : sums) add_figure(out, figure.key, figure.kilobytes);
  return out;
}

}  // namespace

std::string guest_maps(std::string_view host, GuestMappings mappings) {
  const Parsed parsed = parse(host);
  std::string out;
  for (const Piece& piece : cut(parsed.mappings, parsed.entries, mappings)) add_head(out, piece.shown);
  if (parsed.has_vsyscall) add_head(out, parsed.vsyscall);
  return out;
}

std::string guest_smaps(std::string_view host, GuestMappings mappings, bool rolled_up) {
  const Parsed parsed = parse(host);
  const std::vector<Piece> pieces = cut(parsed.mappings, parsed.entries, mappings);
  if (rolled_up) return roll_up(parsed, pieces);
  std::vector<Remaining> remaining(parsed.bodies.size());
  std::string out;
  for (const Piece& piece : pieces) {
    add_head(out, piece.shown);
    if (piece.entry == kNoEntry)
      add_empty_body(out, piece);
    else
      add_body(out, piece, parsed.bodies[piece.entry], remaining[piece.entry]);
  }
  if (parsed.has_vsyscall) {
    add_head(out, parsed.vsyscall);
    out += parsed.bodies[parsed.vsyscall_entry];
  }
  return out;
}

std::string guest_numa_maps(std::string_view host) {
  std::vector<std::pair<uint64_t, std::string_view>> lines;
  while (!host.empty()) {
    std::string_view line = take_until(host, '\n');
    uint64_t start = 0;
    if (!take_number(line, start, 16) || !in_window({start})) continue;
    lines.push_back({to_guest({start}).v, line});
  }
  std::sort(lines.begin(), lines.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string out;
  for (const auto& [start, rest] : lines) {
    add_number(out, start, 16, 8);
    out += rest;
    out += '\n';
  }
  return out;
}

std::string guest_auxv(std::string_view host) {
  // Keys whose value is an address (linux/auxvec.h): PHDR, BASE, ENTRY, PLATFORM, BASE_PLATFORM, RANDOM, EXECFN,
  // SYSINFO, SYSINFO_EHDR.
  constexpr uint64_t kAddresses = 1u << 3 | 1u << 7 | 1u << 9 | 1u << 15 | 1u << 24 | 1u << 25;
  std::string out;
  for (; host.size() >= 16; host.remove_prefix(16)) {
    uint64_t pair[2];
    memcpy(pair, host.data(), sizeof pair);
    const bool address = (pair[0] < 32 && kAddresses >> pair[0] & 1) || (pair[0] >= 31 && pair[0] <= 33);
    if (address && !in_window({pair[1]})) continue;
    if (address) pair[1] = to_guest({pair[1]}).v;
    out.append(reinterpret_cast<const char*>(pair), sizeof pair);
  }
  return out;
}

WindowSizes window_sizes(std::string_view host_maps, GuestAddr stack) {
  WindowSizes sizes;
  while (!host_maps.empty()) {
    HostMapping m;
    if (!parse_head(take_until(host_maps, '\n'), m) || !in_window({m.start}) || is_vsyscall(m)) continue;
    const uint64_t bytes = m.end - m.start, start = to_guest({m.start}).v;
    if (stack.v >= start && stack.v - start < bytes) {
      sizes.stack = {m.start, m.end};
      continue;
    }
    sizes.size += bytes;
    if (m.perms[1] == 'w' && m.perms[3] == 'p') sizes.data += bytes;
  }
  return sizes;
}

std::string_view next_monitor_range(std::string_view host_maps, HostRange& range) {
  range = {0, 0};
  while (!host_maps.empty()) {
    HostMapping m;
    if (!parse_head(take_until(host_maps, '\n'), m) || in_window({m.start}) || is_vsyscall(m)) continue;
    range = {m.start, m.end};
    break;
  }
  return host_maps;
}

}  // namespace tine
