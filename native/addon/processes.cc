// Children that Node's child_process cannot express: spawned without copying
// this process's page tables, adopted from runc through the subreaper, waited
// for one by one, signalled through pidfds.
#include "support.h"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace tine {
namespace {

Napi::Value setChildSubreaper(const Napi::CallbackInfo &info) {
    check(info.Env(), "prctl", prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    return info.Env().Undefined();
}

std::vector<char *> pointers(std::vector<std::string> &list) {
    std::vector<char *> result;
    result.reserve(list.size() + 1);
    for (std::string &text : list) result.push_back(text.data());
    result.push_back(nullptr);
    return result;
}

class FileActions {
public:
    FileActions() { posix_spawn_file_actions_init(&actions_); }
    ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
    FileActions(const FileActions &) = delete;
    FileActions &operator=(const FileActions &) = delete;
    posix_spawn_file_actions_t *get() { return &actions_; }

private:
    posix_spawn_file_actions_t actions_;
};

class SpawnAttributes {
public:
    SpawnAttributes() { posix_spawnattr_init(&attributes_); }
    ~SpawnAttributes() { posix_spawnattr_destroy(&attributes_); }
    SpawnAttributes(const SpawnAttributes &) = delete;
    SpawnAttributes &operator=(const SpawnAttributes &) = delete;
    posix_spawnattr_t *get() { return &attributes_; }

private:
    posix_spawnattr_t attributes_;
};

// spawn(file, args, env, cwd | undefined, descriptors, newSession) → pid
//
// posix_spawn shares memory until exec (CLONE_VM|CLONE_VFORK), where libuv
// forks: with some 50 MB resident a fork costs milliseconds, twice under PVM.
Napi::Value spawn(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    const std::string file = textArgument(info, 0);
    std::vector<std::string> arguments = textList(env, info[1]);
    std::vector<std::string> environment = textList(env, info[2]);
    const Napi::Array wanted = info[4].As<Napi::Array>();

    // Sources first move above every target, so that no dup2 below overwrites
    // a descriptor that a later one still reads.
    const int above = 3 + static_cast<int>(wanted.Length());
    FileActions actions;
    std::vector<Descriptor> moved;
    for (uint32_t target = 0; target < wanted.Length(); ++target) {
        const int source = wanted.Get(target).As<Napi::Number>().Int32Value();
        moved.emplace_back(check(env, "fcntl", fcntl(source, F_DUPFD_CLOEXEC, above)));
        posix_spawn_file_actions_adddup2(actions.get(), moved.back().get(), static_cast<int>(target));
    }
    // What this process itself was given without close-on-exec goes no further.
    posix_spawn_file_actions_addclosefrom_np(actions.get(), static_cast<int>(wanted.Length()));
    if (info[3].IsString()) {
        const std::string directory = info[3].As<Napi::String>().Utf8Value();
        posix_spawn_file_actions_addchdir_np(actions.get(), directory.c_str());
    }

    SpawnAttributes attributes;
    sigset_t every, none;
    // Not sigfillset: it leaves out the C library's own two, 32 and 33, and those the child would then ignore.
    memset(&every, 0xff, sizeof every);
    sigemptyset(&none);
    short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
    if (info[5].ToBoolean()) flags |= POSIX_SPAWN_SETSID;
    posix_spawnattr_setflags(attributes.get(), flags);
    posix_spawnattr_setsigdefault(attributes.get(), &every);
    posix_spawnattr_setsigmask(attributes.get(), &none);

    pid_t pid = 0;
    const int failed = posix_spawn(&pid, file.c_str(), actions.get(), attributes.get(),
                                   pointers(arguments).data(), pointers(environment).data());
    if (failed != 0) throw systemError(env, "posix_spawn", failed);
    return Napi::Number::New(env, pid);
}

Napi::Value exitStatus(Napi::Env env, const siginfo_t &report) {
    Napi::Object result = Napi::Object::New(env);
    result.Set("pid", Napi::Number::New(env, report.si_pid));
    const bool exited = report.si_code == CLD_EXITED;
    result.Set("code", exited ? Napi::Number::New(env, report.si_status) : env.Null());
    result.Set("signal", exited ? env.Null() : Napi::Number::New(env, report.si_status));
    return result;
}

// waitChild(pid) → {pid, code, signal} | undefined while it runs
Napi::Value waitChild(const Napi::CallbackInfo &info) {
    siginfo_t report{};
    check(info.Env(), "waitid", waitid(P_PID, integerArgument(info, 0), &report, WEXITED | WNOHANG));
    if (report.si_pid == 0) return info.Env().Undefined();
    return exitStatus(info.Env(), report);
}

// peekChild() → pid of some dead child, left in place; 0 when there is none
Napi::Value peekChild(const Napi::CallbackInfo &info) {
    siginfo_t report{};
    const int result = waitid(P_ALL, 0, &report, WEXITED | WNOHANG | WNOWAIT);
    if (result < 0 && errno == ECHILD) return Napi::Number::New(info.Env(), 0);
    check(info.Env(), "waitid", result);
    return Napi::Number::New(info.Env(), report.si_pid);
}

Napi::Value openPidfd(const Napi::CallbackInfo &info) {
    const long result = syscall(SYS_pidfd_open, integerArgument(info, 0), 0);
    return Napi::Number::New(info.Env(), check(info.Env(), "pidfd_open", static_cast<int>(result)));
}

Napi::Value signalPidfd(const Napi::CallbackInfo &info) {
    const long result =
        syscall(SYS_pidfd_send_signal, integerArgument(info, 0), integerArgument(info, 1), nullptr, 0);
    check(info.Env(), "pidfd_send_signal", static_cast<int>(result));
    return info.Env().Undefined();
}

// resourceLimit(RLIMIT_*) → [soft, hard] as bigint; RLIM_INFINITY is 2^64 - 1
Napi::Value resourceLimit(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    rlimit limit{};
    const auto which = static_cast<__rlimit_resource>(integerArgument(info, 0));
    check(env, "getrlimit", getrlimit(which, &limit));
    Napi::Array result = Napi::Array::New(env, 2);
    result.Set(0u, Napi::BigInt::New(env, static_cast<uint64_t>(limit.rlim_cur)));
    result.Set(1u, Napi::BigInt::New(env, static_cast<uint64_t>(limit.rlim_max)));
    return result;
}

}  // namespace

void exportProcesses(Napi::Env env, Napi::Object exports) {
    exports.Set("setChildSubreaper", Napi::Function::New(env, setChildSubreaper));
    exports.Set("spawn", Napi::Function::New(env, spawn));
    exports.Set("waitChild", Napi::Function::New(env, waitChild));
    exports.Set("peekChild", Napi::Function::New(env, peekChild));
    exports.Set("openPidfd", Napi::Function::New(env, openPidfd));
    exports.Set("signalPidfd", Napi::Function::New(env, signalPidfd));
    exports.Set("resourceLimit", Napi::Function::New(env, resourceLimit));
}

}  // namespace tine
