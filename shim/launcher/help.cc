#include <unistd.h>

#include "actions.h"
#include "files.h"

namespace tine::launcher {

int help() {
  constexpr char kText[] =
      "usage: containerd-shim-tine-v2 [flags] start|delete\n"
      "\n"
      "containerd runs this for containers whose runtime is io.containerd.tine.v2, and finds it in its PATH;\n"
      "nobody else has to. To run one: ctr run --rm -t --runtime io.containerd.tine.v2 REFERENCE NAME sh.\n"
      "Whether this machine is fit and containerd finds this program: tine doctor.\n"
      "\n"
      "  -namespace NAME          containerd's namespace of the container\n"
      "  -id ID                   the container\n"
      "  -address SOCKET          containerd's gRPC socket\n"
      "  -publish-binary PROGRAM  taken, and not used: events go to TTRPC_ADDRESS\n"
      "  -bundle FOLDER           the container's bundle; the working directory unless given\n"
      "  -socket SOCKET           the daemon's socket, in place of the one found by the group\n"
      "  -debug                   the daemon tells of each request\n"
      "  -v, -info, -help         the version; containerd's RuntimeInfo message; this\n";
  return write_all(STDOUT_FILENO, kText) ? 0 : 1;
}

}  // namespace tine::launcher
