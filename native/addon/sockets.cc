// Unix sockets that carry descriptors: runc sends a pseudo-terminal's master to
// its --console-socket, and Node's net module drops ancillary data.
#include "support.h"

#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

namespace tine {
namespace {

constexpr size_t greatestMessage = 4096;
constexpr size_t mostDescriptors = 16;

Napi::Value listenUnix(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    const std::string path = textArgument(info, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) throw systemError(env, "bind", ENAMETOOLONG);
    memcpy(address.sun_path, path.c_str(), path.size() + 1);
    Descriptor listener(check(env, "socket", socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
    check(env, "bind", bind(listener.get(), reinterpret_cast<sockaddr *>(&address), sizeof address));
    check(env, "listen", listen(listener.get(), 1));
    return Napi::Number::New(env, listener.release());
}

Napi::Value acceptUnix(const Napi::CallbackInfo &info) {
    const int accepted = accept4(integerArgument(info, 0), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return Napi::Number::New(info.Env(), check(info.Env(), "accept", accepted));
}

Napi::Value socketPair(const Napi::CallbackInfo &info) {
    int ends[2];
    check(info.Env(), "socketpair", socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends));
    Napi::Array result = Napi::Array::New(info.Env(), 2);
    result.Set(0u, Napi::Number::New(info.Env(), ends[0]));
    result.Set(1u, Napi::Number::New(info.Env(), ends[1]));
    return result;
}

// receiveDescriptors(socket) → {data, descriptors}; empty data is the end
Napi::Value receiveDescriptors(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    char data[greatestMessage];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * mostDescriptors)];
    iovec part{data, sizeof data};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t length = recvmsg(integerArgument(info, 0), &message, MSG_CMSG_CLOEXEC);
    if (length < 0) throw systemError(env, "recvmsg", errno);

    Napi::Array descriptors = Napi::Array::New(env);
    for (cmsghdr *header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; ++i) {
            int number;
            memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof number);
            descriptors.Set(descriptors.Length(), Napi::Number::New(env, number));
        }
    }
    Napi::Object result = Napi::Object::New(env);
    result.Set("data", Napi::Buffer<char>::Copy(env, data, static_cast<size_t>(length)));
    result.Set("descriptors", descriptors);
    return result;
}

// sendDescriptors(socket, bytes, descriptors)
Napi::Value sendDescriptors(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    const auto bytes = info[1].As<Napi::Uint8Array>();
    const auto descriptors = info[2].As<Napi::Array>();
    const size_t count = descriptors.Length();
    if (count > mostDescriptors) throw Napi::RangeError::New(env, "too many descriptors in one message");

    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * mostDescriptors)]{};
    iovec part{const_cast<uint8_t *>(bytes.Data()), bytes.ByteLength()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        for (uint32_t i = 0; i < count; ++i) {
            const int number = descriptors.Get(i).As<Napi::Number>().Int32Value();
            memcpy(CMSG_DATA(header) + i * sizeof(int), &number, sizeof number);
        }
    }
    if (sendmsg(integerArgument(info, 0), &message, MSG_NOSIGNAL) < 0) throw systemError(env, "sendmsg", errno);
    return env.Undefined();
}

}  // namespace

void exportSockets(Napi::Env env, Napi::Object exports) {
    exports.Set("listenUnix", Napi::Function::New(env, listenUnix));
    exports.Set("acceptUnix", Napi::Function::New(env, acceptUnix));
    exports.Set("socketPair", Napi::Function::New(env, socketPair));
    exports.Set("receiveDescriptors", Napi::Function::New(env, receiveDescriptors));
    exports.Set("sendDescriptors", Napi::Function::New(env, sendDescriptors));
}

}  // namespace tine
