// Finding a program the way a container's process would: inside that process's
// root, whatever symbolic links the image holds, with its credentials.
#include "support.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <memory>

namespace tine {
namespace {

struct Search {
    Descriptor root;
    std::vector<std::string> candidates;
    uid_t user = 0;
    gid_t group = 0;
    std::vector<gid_t> groups;
    // Filled by the thread: the errno of each candidate, up to the first 0.
    std::vector<int> results;
};

// Raw calls, because glibc's wrappers would change every thread of the process.
Failure assume(const Search &search) {
    if (syscall(SYS_setgroups, search.groups.size(), search.groups.data()) < 0) return {"setgroups", errno};
    setfsgid(search.group);
    // Leaving user 0 also drops the capabilities that override file modes.
    setfsuid(search.user);
    return {};
}

int examine(const Search &search, const std::string &path) {
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const Descriptor file(static_cast<int>(syscall(SYS_openat2, search.root.get(), path.c_str(), &how, sizeof how)));
    if (!file.valid()) return errno;
    struct stat status {};
    if (fstatat(file.get(), "", &status, AT_EMPTY_PATH) < 0) return errno;
    if (S_ISDIR(status.st_mode)) return EISDIR;
    // AT_EACCESS judges by the fs credentials set above; raw, because glibc
    // 2.36 answers for itself when it can.
    if (syscall(SYS_faccessat2, file.get(), "", X_OK, AT_EMPTY_PATH | AT_EACCESS) < 0) return errno;
    return 0;
}

// lookUp(rootDirectory, candidates, user, group, groups) → Promise<number[]>
Napi::Value lookUp(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    auto search = std::make_shared<Search>();
    search->root =
        Descriptor(check(env, "open", open(textArgument(info, 0).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)));
    search->candidates = textList(env, info[1]);
    search->user = info[2].As<Napi::Number>().Uint32Value();
    search->group = info[3].As<Napi::Number>().Uint32Value();
    const Napi::Array groups = info[4].As<Napi::Array>();
    for (uint32_t i = 0; i < groups.Length(); ++i)
        search->groups.push_back(groups.Get(i).As<Napi::Number>().Uint32Value());

    return onThread(
        env,
        [search]() -> Failure {
            if (search->user != 0) {
                const Failure failure = assume(*search);
                if (failure.call != nullptr) return failure;
            }
            for (const std::string &candidate : search->candidates) {
                search->results.push_back(examine(*search, candidate));
                if (search->results.back() == 0) break;
            }
            return {};
        },
        [search](Napi::Env env) -> Napi::Value {
            Napi::Array results = Napi::Array::New(env, search->results.size());
            for (uint32_t i = 0; i < search->results.size(); ++i)
                results.Set(i, Napi::Number::New(env, search->results[i]));
            return results;
        });
}

}  // namespace

void exportLookup(Napi::Env env, Napi::Object exports) { exports.Set("lookUp", Napi::Function::New(env, lookUp)); }

}  // namespace tine
