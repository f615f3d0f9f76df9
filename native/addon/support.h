// What every file of the addon shares: owned descriptors, errors that carry
// errno, argument checks, and work that runs on a thread of its own.
#pragma once

#include <napi.h>

#include <cerrno>
#include <functional>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace tine {

// An owned file descriptor.
class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(Descriptor &&other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor &operator=(Descriptor &&other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;
    ~Descriptor() {
        if (number_ >= 0) close(number_);
    }
    int get() const { return number_; }
    int release() { return std::exchange(number_, -1); }
    bool valid() const { return number_ >= 0; }

private:
    int number_ = -1;
};

// A failed system call, as data: a worker thread must not touch JavaScript.
struct Failure {
    const char *call = nullptr;
    int number = 0;
};

// A JavaScript Error with `code` ("ENOENT"), `errno` and `syscall`, shaped like
// the ones Node's own fs functions throw.
Napi::Error systemError(Napi::Env env, const char *call, int number);

// Throws the above when `result` is negative; returns it otherwise.
int check(Napi::Env env, const char *call, int result);

int integerArgument(const Napi::CallbackInfo &info, size_t index);
std::string textArgument(const Napi::CallbackInfo &info, size_t index);
std::vector<std::string> textList(const Napi::Env &env, const Napi::Value &value);

// Runs `work` on a new thread and settles a promise with `finish`'s value, or
// with the failure that `work` returned. A thread of its own, because the work
// changes per-thread state (cwd, fs credentials) or may hang on a container's
// file system: libuv's four pool threads must survive either.
Napi::Value onThread(Napi::Env env, std::function<Failure()> work,
                     std::function<Napi::Value(Napi::Env)> finish);

void exportProcesses(Napi::Env env, Napi::Object exports);
void exportReplace(Napi::Env env, Napi::Object exports);
void exportWatches(Napi::Env env, Napi::Object exports);
void exportDescriptors(Napi::Env env, Napi::Object exports);
void exportSockets(Napi::Env env, Napi::Object exports);
void exportMounts(Napi::Env env, Napi::Object exports);
void exportMappedMounts(Napi::Env env, Napi::Object exports);
void exportLookup(Napi::Env env, Napi::Object exports);

}  // namespace tine
