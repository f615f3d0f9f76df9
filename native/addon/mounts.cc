// mount(2) and umount2(2), off the main thread, optionally from a directory:
// overlay options longer than a page only fit when their paths are relative.
#include "support.h"

#include <sched.h>
#include <sys/mount.h>

#include <memory>

namespace tine {
namespace {

struct Request {
    std::string source, target, type, data, directory;
    unsigned long flags = 0;
};

const char *orNull(const std::string &text) { return text.empty() ? nullptr : text.c_str(); }

Failure perform(const Request &request) {
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

// mount(source, target, type, flags, data, directory) → Promise<void>
Napi::Value mountFileSystem(const Napi::CallbackInfo &info) {
    auto request = std::make_shared<Request>();
    request->source = textArgument(info, 0);
    request->target = textArgument(info, 1);
    request->type = textArgument(info, 2);
    request->flags = static_cast<unsigned long>(info[3].As<Napi::Number>().Int64Value());
    request->data = textArgument(info, 4);
    request->directory = textArgument(info, 5);
    return onThread(
        info.Env(), [request] { return perform(*request); }, [](Napi::Env env) { return env.Undefined(); });
}

// unmount(target, flags) → Promise<void>
Napi::Value unmountFileSystem(const Napi::CallbackInfo &info) {
    const std::string target = textArgument(info, 0);
    const int flags = integerArgument(info, 1);
    return onThread(
        info.Env(),
        [target, flags]() -> Failure {
            if (umount2(target.c_str(), flags) < 0) return {"umount2", errno};
            return {};
        },
        [](Napi::Env env) { return env.Undefined(); });
}

}  // namespace

void exportMounts(Napi::Env env, Napi::Object exports) {
    exports.Set("mount", Napi::Function::New(env, mountFileSystem));
    exports.Set("unmount", Napi::Function::New(env, unmountFileSystem));
}

}  // namespace tine
