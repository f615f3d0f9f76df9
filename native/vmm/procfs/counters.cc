#include "procfs/counters.h"

#include <algorithm>
#include <cstring>

#include "memory/address.h"
#include "procfs/text.h"

namespace tine {
namespace {

uint64_t less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

// The number after "VmRSS:" in status, in kB; 0 where there is none.
uint64_t status_number(std::string_view text, std::string_view key) {
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = take_until(rest, '\n');
    if (!line.starts_with(key)) continue;
    line.remove_prefix(key.size());
    while (take(line, '\t') || take(line, ' ')) {
    }
    uint64_t value = 0;
    take_number(line, value);
    return value;
  }
  return 0;
}

// fs/proc/task_mmu.c, task_mem(): the number is 8 wide.
void add_kilobytes(std::string& out, std::string_view key, uint64_t kilobytes) {
  out += key;
  out += '\t';
  add_number(out, kilobytes, 10, 8, ' ');
  out += " kB\n";
}

void add_set(std::string& out, std::string_view key, uint64_t set) {
  out += key;
  out += '\t';
  add_number(out, set, 16, 16);
  out += '\n';
}

void add_plain(std::string& out, std::string_view key, uint64_t value) {
  out += key;
  out += '\t';
  add_number(out, value);
  out += '\n';
}

// One line of status that the guest's view changes. False: it is as the host has it.
bool status_line(std::string& out, std::string_view key, std::string_view host, const GuestCounts& c) {
  if (key == "NoNewPrivs:") return add_plain(out, key, c.no_new_privs), true;
  if (key == "Seccomp:") return add_plain(out, key, static_cast<uint64_t>(c.seccomp_mode)), true;
  if (key == "Seccomp_filters:") return add_plain(out, key, c.seccomp_filters), true;
  // The table of descriptors is as large as the monitor's own numbers make it.
  if (key == "FDSize:") return add_plain(out, key, std::min<uint64_t>(status_number(host, key), 256)), true;
  if (c.has_mask && key == "SigBlk:") return add_set(out, key, c.blocked), true;
  if (c.has_signals && key == "SigIgn:") return add_set(out, key, c.ignored), true;
  if (c.has_signals && key == "SigCgt:") return add_set(out, key, c.caught), true;
  if (key == "Threads:" && !c.own) return add_plain(out, key, less(status_number(host, key), c.hidden_threads)), true;
  if (key == "Threads:") return add_plain(out, key, c.threads), true;
  if (!c.has_sizes) return false;
  if (!key.starts_with("Vm") && !key.starts_with("Rss")) return false;

  const uint64_t size = c.size >> 10;
  const uint64_t monitor = (c.monitor_anonymous + c.monitor_file) >> 10;
  const uint64_t value = status_number(host, key);
  // A peak is as far above the present figure as the host's is.
  const auto peak = [&](std::string_view now, uint64_t guest_now) {
    return guest_now + less(value, status_number(host, now));
  };
  const uint64_t resident = less(status_number(host, "VmRSS:"), monitor);
  if (key == "VmPeak:") return add_kilobytes(out, key, peak("VmSize:", size)), true;
  if (key == "VmSize:") return add_kilobytes(out, key, size), true;
  if (key == "VmHWM:") return add_kilobytes(out, key, peak("VmRSS:", resident)), true;
  if (key == "VmRSS:") return add_kilobytes(out, key, resident), true;
  if (key == "RssAnon:") return add_kilobytes(out, key, less(value, c.monitor_anonymous >> 10)), true;
  if (key == "RssFile:") return add_kilobytes(out, key, less(value, c.monitor_file >> 10)), true;
  if (key == "VmData:") return add_kilobytes(out, key, c.data >> 10), true;
  if (key == "VmStk:") return add_kilobytes(out, key, c.stack >> 10), true;
  if (!c.own) return false;
  if (key == "VmExe:") return add_kilobytes(out, key, c.text >> 10), true;
  if (key == "VmLib:") return add_kilobytes(out, key, c.libraries >> 10), true;
  if (key == "VmLck:") return add_kilobytes(out, key, c.locked >> 10), true;
  return false;
}

}  // namespace

std::string guest_status(std::string_view host, const GuestCounts& counts) {
  std::string out;
  for (std::string_view rest = host; !rest.empty();) {
    std::string_view line = take_until(rest, '\n');
    std::string_view key = line.substr(0, line.find(':') + 1);
    if (status_line(out, key, host, counts)) continue;
    out += line;
    out += '\n';
  }
  return out;
}

std::string guest_stat(std::string_view host, const GuestCounts& c) {
  // "pid (comm) S …": the name may hold anything, so fields are counted from the last parenthesis.
  const size_t close = host.rfind(')');
  if (close == std::string_view::npos || close + 2 > host.size()) return std::string(host);
  std::string out(host.substr(0, close + 2));
  std::string_view rest = host.substr(close + 2);
  if (rest.ends_with('\n')) rest.remove_suffix(1);
  // Numbers of fields as in proc_pid_stat(5).
  for (unsigned field = 3; !rest.empty(); field++) {
    std::string_view text = take_until(rest, ' ');
    std::string_view digits = text;
    uint64_t value = 0;
    const bool number = take_number(digits, value) && digits.empty();
    bool changed = number;
    switch (field) {
      case 20:
        value = c.own ? c.threads : less(value, c.hidden_threads);
        break;
      case 23:
        changed = c.has_sizes;
        value = c.size;
        break;
      case 24:
        changed = c.has_sizes;
        value = less(value, (c.monitor_anonymous + c.monitor_file) / kPage);
        break;
      case 32:  // blocked, ignored, caught: the first 31 signals
        changed = c.has_mask;
        value = c.blocked & 0x7fffffff;
        break;
      case 33:
        changed = c.has_signals;
        value = c.ignored & 0x7fffffff;
        break;
      case 34:
        changed = c.has_signals;
        value = c.caught & 0x7fffffff;
        break;
      case 26:  // startcode, endcode, startstack, kstkesp, kstkeip
      case 27:
      case 28:
      case 29:
      case 30:
      case 45:  // start_data, end_data, start_brk, arg_start, arg_end, env_start, env_end
      case 46:
      case 47:
      case 48:
      case 49:
      case 50:
      case 51:
        // Without permission to see them the kernel shows 0, or 1 for the code's bounds.
        if (value > 1) value = in_window({value}) ? to_guest({value}).v : 0;
        break;
      default:
        changed = false;
    }
    if (changed)
      add_number(out, value);
    else
      out += text;
    if (!rest.empty()) out += ' ';
  }
  out += '\n';
  return out;
}

std::string guest_statm(std::string_view host, const GuestCounts& c) {
  if (!c.has_sizes) return std::string(host);
  uint64_t fields[7] = {};
  if (host.ends_with('\n')) host.remove_suffix(1);
  for (uint64_t& field : fields) {
    std::string_view text = take_until(host, ' ');
    take_number(text, field);
  }
  fields[0] = c.size / kPage;
  fields[1] = less(fields[1], (c.monitor_anonymous + c.monitor_file) / kPage);
  fields[2] = less(fields[2], c.monitor_file / kPage);
  if (c.own) fields[3] = c.text / kPage;
  fields[5] = (c.data + c.stack) / kPage;
  std::string out;
  for (unsigned n = 0; n < 7; n++) {
    add_number(out, fields[n]);
    out += n < 6 ? ' ' : '\n';
  }
  return out;
}

std::string guest_limits(std::string_view host, const GuestLimit* limits, size_t count) {
  std::string out;
  while (!host.empty()) {
    std::string_view line = take_until(host, '\n');
    const GuestLimit* limit = nullptr;
    for (size_t n = 0; n < count; n++)
      if (line.starts_with(limits[n].name) && line.size() > 68) limit = &limits[n];
    if (!limit) {
      out += line;
      out += '\n';
      continue;
    }
    // fs/proc/base.c, proc_pid_limits(): "%-25s %-20s %-20s %-10s\n".
    std::string text(line.substr(0, 26));
    for (uint64_t value : {limit->soft, limit->hard}) {
      const size_t begin = text.size();
      if (value == ~0ull)
        text += "unlimited";
      else
        add_number(text, value);
      while (text.size() - begin < 21) text += ' ';
    }
    text += line.substr(68);
    out += text;
    out += '\n';
  }
  return out;
}

}  // namespace tine
