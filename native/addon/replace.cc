// Becoming another program: Node has no exec before version 22.15.
#include "support.h"

#include <csignal>
#include <fcntl.h>
#include <sys/resource.h>

namespace tine {
namespace {

// Node ignores SIGPIPE and resets every other disposition when it starts; the
// program shall find what its caller set. `ignored` is SigIgn of
// /proc/PID/status: bit n - 1 stands for signal n.
void restoreSignals(uint64_t ignored) {
    for (int signal = 1; signal < NSIG; ++signal) {
        struct sigaction action {};
        action.sa_handler = (ignored >> (signal - 1) & 1) != 0 ? SIG_IGN : SIG_DFL;
        // SIGKILL, SIGSTOP and the C library's own two refuse; nothing is lost.
        sigaction(signal, &action, nullptr);
    }
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

// Node raises the soft limit on descriptors to the hard one when it starts.
void restoreDescriptorLimit(uint64_t soft) {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || soft > limit.rlim_max) return;
    limit.rlim_cur = soft;
    setrlimit(RLIMIT_NOFILE, &limit);
}

uint64_t wordArgument(const Napi::Value &value) {
    bool lossless = false;
    return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

// replaceProcess(file, args, env, descriptors, ignoredSignals | undefined, softDescriptors | undefined)
Napi::Value replaceProcess(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    const std::string file = textArgument(info, 0);
    std::vector<std::string> arguments = textList(env, info[1]);
    std::vector<std::string> environment = textList(env, info[2]);
    const auto pointers = [](std::vector<std::string> &list) {
        std::vector<char *> result;
        for (std::string &text : list) result.push_back(text.data());
        result.push_back(nullptr);
        return result;
    };
    const std::vector<char *> argumentPointers = pointers(arguments);
    const std::vector<char *> environmentPointers = pointers(environment);
    // Looked at first, since nothing below can be taken back for an error message.
    check(env, "access", access(file.c_str(), X_OK));
    // Node marks every descriptor it inherits close-on-exec when it starts.
    const Napi::Array kept = info[3].As<Napi::Array>();
    for (uint32_t index = 0; index < kept.Length(); ++index) {
        const int number = kept.Get(index).As<Napi::Number>().Int32Value();
        const int flags = fcntl(number, F_GETFD);
        if (flags >= 0) fcntl(number, F_SETFD, flags & ~FD_CLOEXEC);
    }
    restoreSignals(info[4].IsBigInt() ? wordArgument(info[4]) : 0);
    if (info[5].IsBigInt()) restoreDescriptorLimit(wordArgument(info[5]));
    execve(file.c_str(), argumentPointers.data(), environmentPointers.data());
    throw systemError(env, "execve", errno);
}

}  // namespace

void exportReplace(Napi::Env env, Napi::Object exports) {
    exports.Set("replaceProcess", Napi::Function::New(env, replaceProcess));
}

}  // namespace tine
