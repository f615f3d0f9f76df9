// Making descriptors: pipes, event counters, sealed memory files; and the size
// of a terminal.
#include "support.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

namespace tine {
namespace {

// pipe(readsWithoutBlocking) → [readEnd, writeEnd]; neither is inherited unless
// spawn() names it. The flag is the read end's alone: a process that gets the
// write end as its standard output expects it to block.
Napi::Value makePipe(const Napi::CallbackInfo &info) {
    int ends[2];
    check(info.Env(), "pipe2", pipe2(ends, O_CLOEXEC));
    if (info[0].ToBoolean()) fcntl(ends[0], F_SETFL, O_NONBLOCK);
    Napi::Array result = Napi::Array::New(info.Env(), 2);
    result.Set(0u, Napi::Number::New(info.Env(), ends[0]));
    result.Set(1u, Napi::Number::New(info.Env(), ends[1]));
    return result;
}

short happened(const Napi::CallbackInfo &info, short events) {
    pollfd asked{.fd = integerArgument(info, 0), .events = events, .revents = 0};
    // A signal that is waiting to be handled, a child's end for instance, interrupts even this.
    check(info.Env(), "poll", TEMP_FAILURE_RETRY(poll(&asked, 1, 0)));
    return asked.revents;
}

// isReadable(descriptor): at its end it is not
Napi::Value isReadable(const Napi::CallbackInfo &info) {
    return Napi::Boolean::New(info.Env(), (happened(info, POLLIN) & POLLIN) != 0);
}

// hasReader(descriptor): of a pipe's writing end
Napi::Value hasReader(const Napi::CallbackInfo &info) {
    return Napi::Boolean::New(info.Env(), (happened(info, 0) & POLLERR) == 0);
}

Napi::Value makeEventfd(const Napi::CallbackInfo &info) {
    return Napi::Number::New(info.Env(), check(info.Env(), "eventfd", eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
}

Descriptor newMemoryFile(Napi::Env env, const std::string &name) {
    return Descriptor(check(env, "memfd_create", memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING)));
}

// Nothing about the file can change after this, and the descriptor handed out
// cannot write in the first place: it is a read-only open of the same file.
Napi::Value seal(Napi::Env env, Descriptor file) {
    check(env, "fchmod", fchmod(file.get(), 0555));
    check(env, "fcntl", fcntl(file.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
    const std::string path = "/proc/self/fd/" + std::to_string(file.get());
    return Napi::Number::New(env, check(env, "open", open(path.c_str(), O_RDONLY | O_CLOEXEC)));
}

// sealedMemory(name, bytes) → descriptor
Napi::Value sealedMemory(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    Descriptor file = newMemoryFile(env, textArgument(info, 0));
    if (!info[1].IsTypedArray()) throw Napi::TypeError::New(env, "argument 1 must be a Uint8Array");
    const auto bytes = info[1].As<Napi::Uint8Array>();
    for (size_t written = 0; written < bytes.ByteLength();) {
        const ssize_t count = write(file.get(), bytes.Data() + written, bytes.ByteLength() - written);
        if (count < 0) throw systemError(env, "write", errno);
        written += static_cast<size_t>(count);
    }
    return seal(env, std::move(file));
}

// sealedCopy(name, path) → descriptor of a sealed copy of the file at `path`
Napi::Value sealedCopy(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    Descriptor file = newMemoryFile(env, textArgument(info, 0));
    const Descriptor source(check(env, "open", open(textArgument(info, 1).c_str(), O_RDONLY | O_CLOEXEC)));
    for (;;) {
        const ssize_t count = sendfile(file.get(), source.get(), nullptr, size_t{1} << 24);
        if (count < 0) throw systemError(env, "sendfile", errno);
        if (count == 0) break;
    }
    return seal(env, std::move(file));
}

// reopen(descriptor) → a read-only descriptor with a file offset of its own
Napi::Value reopen(const Napi::CallbackInfo &info) {
    const std::string path = "/proc/self/fd/" + std::to_string(integerArgument(info, 0));
    return Napi::Number::New(info.Env(), check(info.Env(), "open", open(path.c_str(), O_RDONLY | O_CLOEXEC)));
}

// lockFile(path) → a descriptor that holds the file's lock, or undefined when another one does
Napi::Value lockFile(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
    Descriptor file(check(env, "open", open(textArgument(info, 0).c_str(), flags, 0600)));
    if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) return env.Undefined();
        throw systemError(env, "flock", errno);
    }
    return Napi::Number::New(env, file.release());
}

// duplicate(descriptor) → another number for the same open file
Napi::Value duplicate(const Napi::CallbackInfo &info) {
    return Napi::Number::New(info.Env(),
                             check(info.Env(), "fcntl", fcntl(integerArgument(info, 0), F_DUPFD_CLOEXEC, 3)));
}

Napi::Value setWindowSize(const Napi::CallbackInfo &info) {
    winsize size{};
    size.ws_col = static_cast<unsigned short>(integerArgument(info, 1));
    size.ws_row = static_cast<unsigned short>(integerArgument(info, 2));
    check(info.Env(), "ioctl", ioctl(integerArgument(info, 0), TIOCSWINSZ, &size));
    return info.Env().Undefined();
}

}  // namespace

void exportDescriptors(Napi::Env env, Napi::Object exports) {
    exports.Set("isReadable", Napi::Function::New(env, isReadable));
    exports.Set("hasReader", Napi::Function::New(env, hasReader));
    exports.Set("pipe", Napi::Function::New(env, makePipe));
    exports.Set("eventfd", Napi::Function::New(env, makeEventfd));
    exports.Set("sealedMemory", Napi::Function::New(env, sealedMemory));
    exports.Set("sealedCopy", Napi::Function::New(env, sealedCopy));
    exports.Set("reopen", Napi::Function::New(env, reopen));
    exports.Set("lockFile", Napi::Function::New(env, lockFile));
    exports.Set("duplicate", Napi::Function::New(env, duplicate));
    exports.Set("setWindowSize", Napi::Function::New(env, setWindowSize));
}

}  // namespace tine
