// The filters of /proc texts from the command line: procfs_text KIND [KEY=VALUE…] [START-END:PROT:NAME…] < host text.
// KIND is maps, smaps, smaps_rollup, numa_maps, auxv, status, stat, statm or limits; PROT is one of "rwxs-".
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "procfs/counters.h"
#include "procfs/lines.h"

using namespace tine;

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const std::string kind = argv[1];
  std::vector<GuestMapping> mappings;
  GuestCounts counts;
  GuestLimit limit{"Max open files", 1024, ~0ull};
  for (int i = 2; i < argc; i++) {
    GuestMapping m{};
    char prot[8] = "", name[32] = "";
    unsigned long long start, end, value;
    if (sscanf(argv[i], "%llx-%llx:%7[rwxs-]:%31s", &start, &end, prot, name) >= 3) {
      m.start = start;
      m.end = end;
      m.prot = (strchr(prot, 'r') ? PROT_READ : 0) | (strchr(prot, 'w') ? PROT_WRITE : 0) |
               (strchr(prot, 'x') ? PROT_EXEC : 0);
      m.shared = strchr(prot, 's');
      m.name = strdup(name);
      mappings.push_back(m);
    } else if (sscanf(argv[i], "%31[a-z_]=%llx", name, &value) == 2) {
      const std::string key = name;
      counts.own = counts.has_sizes = true;
      if (key == "size") counts.size = value;
      else if (key == "data") counts.data = value;
      else if (key == "stack") counts.stack = value;
      else if (key == "text") counts.text = value;
      else if (key == "libraries") counts.libraries = value;
      else if (key == "monitor_anonymous") counts.monitor_anonymous = value;
      else if (key == "monitor_file") counts.monitor_file = value;
      else if (key == "threads") counts.threads = value;
      else if (key == "ignored") counts.has_signals = true, counts.ignored = value;
      else if (key == "caught") counts.has_signals = true, counts.caught = value;
      else if (key == "blocked") counts.has_mask = true, counts.blocked = value;
      else return 2;
    } else {
      return 2;
    }
  }
  std::string host;
  char buffer[4096];
  for (ssize_t got; (got = read(0, buffer, sizeof buffer)) > 0;) host.append(buffer, static_cast<size_t>(got));
  std::string out;
  if (kind == "maps") out = guest_maps(host, mappings);
  else if (kind == "smaps") out = guest_smaps(host, mappings, false);
  else if (kind == "smaps_rollup") out = guest_smaps(host, mappings, true);
  else if (kind == "numa_maps") out = guest_numa_maps(host);
  else if (kind == "auxv") out = guest_auxv(host);
  else if (kind == "status") out = guest_status(host, counts);
  else if (kind == "stat") out = guest_stat(host, counts);
  else if (kind == "statm") out = guest_statm(host, counts);
  else if (kind == "limits") out = guest_limits(host, &limit, 1);
  else return 2;
  fwrite(out.data(), 1, out.size(), stdout);
  for (auto& m : mappings) free(const_cast<char*>(m.name));
  return 0;
}
