// Mounts whose files belong to other users than on disk, by a user namespace's mappings (mount_setattr(2),
// MOUNT_ATTR_IDMAP): what containerd asks for with the options `uidmap=` and `gidmap=`.
#include "mounts.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <memory>

// <sys/mount.h> and <linux/mount.h> do not go together in Debian 12's headers.
extern "C" int umount2(const char *, int) noexcept;

namespace tine {
namespace {

constexpr unsigned long kPrivateBelow = (1UL << 18) | (1UL << 14);  // MS_PRIVATE | MS_REC
constexpr int kDetach = 2;                                          // MNT_DETACH

struct Request {
    MountRequest mount;
    std::string users, groups;
    std::vector<std::string> lower;
};

Failure writeFile(const std::string &path, const std::string &text) {
    const Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file.valid()) return {"open", errno};
    if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return {"write", errno};
    return {};
}

// A user namespace lives on in a descriptor: its first process may go at once. Without a signal at
// its end it is nobody's child that Node would wait for.
Failure userNamespace(const Request &request, Descriptor &space) {
    const pid_t parent = getpid();
    const long child = syscall(SYS_clone, CLONE_NEWUSER, nullptr, nullptr, nullptr, nullptr);
    if (child < 0) return {"clone", errno};
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (getppid() == parent) pause();
        _exit(0);  // whose end came before that signal was asked for
    }
    const std::string folder = "/proc/" + std::to_string(child);
    Failure failure = writeFile(folder + "/uid_map", request.users);
    if (failure.call == nullptr) failure = writeFile(folder + "/gid_map", request.groups);
    if (failure.call == nullptr) {
        space = Descriptor(open((folder + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC));
        if (!space.valid()) failure = {"open", errno};
    }
    kill(static_cast<pid_t>(child), SIGKILL);
    TEMP_FAILURE_RETRY(waitpid(static_cast<pid_t>(child), nullptr, __WALL));
    return failure;
}

Descriptor copyOf(const std::string &path) {
    const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    return Descriptor(static_cast<int>(syscall(SYS_open_tree, AT_FDCWD, path.c_str(), flags)));
}

Failure attach(const Descriptor &tree, const std::string &path) {
    if (syscall(SYS_move_mount, tree.get(), "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return {"move_mount", errno};
    return {};
}

// A copy of what is at `path`, mapped.
Failure mappedCopy(const std::string &path, const Descriptor &space, unsigned long long more, Descriptor &tree) {
    tree = copyOf(path);
    if (!tree.valid()) return {"open_tree", errno};
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_IDMAP | more;
    attributes.userns_fd = static_cast<__u64>(space.get());
    if (syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0)
        return {"mount_setattr", errno};
    return {};
}

// An overlay is mapped by its lower layers. The mapped ones cover the others where nobody else sees it, in a mount
// namespace of this thread's own: nothing of them can be left behind.
Failure mappedOverlay(const Request &request, const Descriptor &space) {
    const Descriptor home(open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC));
    if (!home.valid()) return {"open", errno};
    if (unshare(CLONE_NEWNS) < 0) return {"unshare", errno};
    const MountRequest nobodySees{.target = "/", .flags = kPrivateBelow};
    if (const Failure failure = mountAsAsked(nobodySees); failure.call != nullptr) return failure;
    for (const std::string &path : request.lower) {
        Descriptor tree;
        Failure failure = mappedCopy(path, space, MOUNT_ATTR_RDONLY, tree);
        if (failure.call == nullptr) failure = attach(tree, path);
        if (failure.call != nullptr) return failure;
    }
    if (const Failure failure = mountAsAsked(request.mount); failure.call != nullptr) return failure;
    const Descriptor overlay = copyOf(request.mount.target);
    if (!overlay.valid()) return {"open_tree", errno};
    if (setns(home.get(), CLONE_NEWNS) < 0) return {"setns", errno};
    return attach(overlay, request.mount.target);
}

// Anything else is mapped itself.
Failure mappedOther(const Request &request, const Descriptor &space) {
    const std::string &target = request.mount.target;
    if (const Failure failure = mountAsAsked(request.mount); failure.call != nullptr) return failure;
    Descriptor tree;
    Failure failure = mappedCopy(target, space, 0, tree);
    if (failure.call == nullptr && umount2(target.c_str(), kDetach) < 0) failure = {"umount2", errno};
    if (failure.call == nullptr) failure = attach(tree, target);
    return failure;
}

Failure perform(const Request &request) {
    Descriptor space;
    if (const Failure failure = userNamespace(request, space); failure.call != nullptr) return failure;
    // Working directory and mount namespace belong to the process until then.
    if (unshare(CLONE_FS) < 0) return {"unshare", errno};
    return request.lower.empty() ? mappedOther(request, space) : mappedOverlay(request, space);
}

// mountMapped(source, target, type, flags, data, directory, users, groups, lower) → Promise<void>
Napi::Value mountMapped(const Napi::CallbackInfo &info) {
    auto request = std::make_shared<Request>();
    request->mount = mountArguments(info);
    request->users = textArgument(info, 6);
    request->groups = textArgument(info, 7);
    request->lower = textList(info.Env(), info[8]);
    return onThread(
        info.Env(), [request] { return perform(*request); }, [](Napi::Env env) { return env.Undefined(); });
}

}  // namespace

void exportMappedMounts(Napi::Env env, Napi::Object exports) {
    exports.Set("mountMapped", Napi::Function::New(env, mountMapped));
}

}  // namespace tine
