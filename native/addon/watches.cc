// Readiness of descriptors libuv has no handle for: pidfds, eventfds, bare
// sockets. One thread sleeps in epoll and posts the ids that became readable.
#include "support.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <memory>
#include <thread>

namespace tine {
namespace {

class Watches {
public:
    Watches(Napi::Env env, const Napi::Function &onReadable)
        : epoll_(epoll_create1(EPOLL_CLOEXEC)), stop_(eventfd(0, EFD_CLOEXEC)) {
        post_ = Napi::ThreadSafeFunction::New(env, onReadable, "tine watches", 0, 1);
        post_.Unref(env);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = stopId;
        epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stop_.get(), &event);
        thread_ = std::thread([this] { run(); });
    }

    ~Watches() {
        eventfd_write(stop_.get(), 1);
        thread_.join();
    }

    // A watch fires once; `arm` again for the next time. Pending watches keep
    // the event loop alive, as a pending timer would.
    void add(Napi::Env env, int descriptor, uint32_t id) {
        control(env, EPOLL_CTL_ADD, descriptor, id);
        if (count_++ == 0) post_.Ref(env);
    }

    void arm(Napi::Env env, int descriptor, uint32_t id) {
        control(env, EPOLL_CTL_MOD, descriptor, id);
    }

    void remove(Napi::Env env, int descriptor) {
        epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
        if (--count_ == 0) post_.Unref(env);
    }

private:
    static constexpr uint64_t stopId = UINT64_MAX;

    void control(Napi::Env env, int operation, int descriptor, uint32_t id) {
        epoll_event event{};
        event.events = EPOLLIN | EPOLLONESHOT;
        event.data.u64 = id;
        check(env, "epoll_ctl", epoll_ctl(epoll_.get(), operation, descriptor, &event));
    }

    void run() {
        epoll_event events[64];
        for (;;) {
            const int ready = epoll_wait(epoll_.get(), events, 64, -1);
            for (int i = 0; i < ready; ++i) {
                if (events[i].data.u64 == stopId) {
                    post_.Release();
                    return;
                }
                const auto id = static_cast<double>(events[i].data.u64);
                post_.NonBlockingCall([id](Napi::Env env, Napi::Function onReadable) {
                    onReadable.Call({Napi::Number::New(env, id)});
                });
            }
        }
    }

    Descriptor epoll_;
    Descriptor stop_;
    Napi::ThreadSafeFunction post_;
    size_t count_ = 0;
    std::thread thread_;
};

Watches &watches(const Napi::CallbackInfo &info) {
    auto *instance = info.Env().GetInstanceData<Watches>();
    if (instance == nullptr) throw Napi::Error::New(info.Env(), "startWatches has not been called");
    return *instance;
}

// startWatches(onReadable: (id) => void), once
Napi::Value startWatches(const Napi::CallbackInfo &info) {
    info.Env().SetInstanceData(new Watches(info.Env(), info[0].As<Napi::Function>()));
    return info.Env().Undefined();
}

Napi::Value addWatch(const Napi::CallbackInfo &info) {
    watches(info).add(info.Env(), integerArgument(info, 0), static_cast<uint32_t>(integerArgument(info, 1)));
    return info.Env().Undefined();
}

Napi::Value armWatch(const Napi::CallbackInfo &info) {
    watches(info).arm(info.Env(), integerArgument(info, 0), static_cast<uint32_t>(integerArgument(info, 1)));
    return info.Env().Undefined();
}

Napi::Value removeWatch(const Napi::CallbackInfo &info) {
    watches(info).remove(info.Env(), integerArgument(info, 0));
    return info.Env().Undefined();
}

}  // namespace

void exportWatches(Napi::Env env, Napi::Object exports) {
    exports.Set("startWatches", Napi::Function::New(env, startWatches));
    exports.Set("addWatch", Napi::Function::New(env, addWatch));
    exports.Set("armWatch", Napi::Function::New(env, armWatch));
    exports.Set("removeWatch", Napi::Function::New(env, removeWatch));
}

}  // namespace tine
