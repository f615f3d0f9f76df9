// mount(2) and umount2(2), off the main thread, optionally from a directory:
// overlay options longer than a page only fit when their paths are relative.
#include "mounts.h"

#include <sched.h>
#include <sys/mount.h>

namespace tine {
namespace {

const char *orNull(const std::string &text) { return text.empty() ? nullptr : text.c_str(); }

}  // namespace

MountRequest mountArguments(const Napi::CallbackInfo &info) {
    MountRequest request;
    request.source = textArgument(info, 0);
    request.target = textArgument(info, 1);
    request.type = textArgument(info, 2);
    request.flags = static_cast<unsigned long>(info[3].As<Napi::Number>().Int64Value());
    request.data = textArgument(info, 4);
    request.directory = textArgument(info, 5);
    return request;
}

Failure mountAsAsked(const MountRequest &request) {
    if (!request.directory.empty()) {
        // The working directory belongs to the process until it is unshared.
        if (unshare(CLONE_FS) < 0) return {"unshare", errno};
        if (chdir(request.directory.c_str()) < 0) return {"chdir", errno};
    }
    if (mount(orNull(request.source), request.target.c_str(), orNull(request.type), request.flags,
              orNull(request.data)) < 0)
        return {"mount", errno};
    return {};
}

namespace {

// mount(source, target, type, flags, data, directory) → Promise<void>
Napi::Value mountFileSystem(const Napi::CallbackInfo &info) {
    const MountRequest request = mountArguments(info);
    return onThread(
        info.Env(), [request] { return mountAsAsked(request); },
        [](Napi::Env env) { return env.Undefined(); });
}

// Until nothing is mounted at the target any more. Where somebody outside the
// container has a file open, they may keep it, and the name is free again.
Failure unmountEverything(const std::string &target) {
    for (;;) {
        if (umount2(target.c_str(), UMOUNT_NOFOLLOW) == 0) continue;
        if (errno == EBUSY && umount2(target.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) == 0) continue;
        if (errno == EINVAL || errno == ENOENT) return {};
        return {"umount2", errno};
    }
}

// unmountAll(target) → Promise<void>
Napi::Value unmountAll(const Napi::CallbackInfo &info) {
    const std::string target = textArgument(info, 0);
    return onThread(
        info.Env(), [target] { return unmountEverything(target); },
        [](Napi::Env env) { return env.Undefined(); });
}

}  // namespace

void exportMounts(Napi::Env env, Napi::Object exports) {
    exports.Set("mount", Napi::Function::New(env, mountFileSystem));
    exports.Set("unmountAll", Napi::Function::New(env, unmountAll));
}

}  // namespace tine
