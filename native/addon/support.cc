#include "support.h"

#include <cstring>
#include <memory>
#include <thread>

namespace tine {

Napi::Error systemError(Napi::Env env, const char *call, int number) {
    const char *name = strerrorname_np(number);
    const std::string code = name != nullptr ? name : "EUNKNOWN";
    Napi::Error error = Napi::Error::New(env, code + ": " + strerror(number) + ", " + call);
    error.Set("code", Napi::String::New(env, code));
    error.Set("errno", Napi::Number::New(env, -number));
    error.Set("syscall", Napi::String::New(env, call));
    return error;
}

int check(Napi::Env env, const char *call, int result) {
    if (result < 0) throw systemError(env, call, errno);
    return result;
}

int integerArgument(const Napi::CallbackInfo &info, size_t index) {
    if (index >= info.Length() || !info[index].IsNumber())
        throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(index) + " must be a number");
    return info[index].As<Napi::Number>().Int32Value();
}

std::string textArgument(const Napi::CallbackInfo &info, size_t index) {
    if (index >= info.Length() || !info[index].IsString())
        throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(index) + " must be a string");
    return info[index].As<Napi::String>().Utf8Value();
}

std::vector<std::string> textList(const Napi::Env &env, const Napi::Value &value) {
    if (!value.IsArray()) throw Napi::TypeError::New(env, "expected an array of strings");
    const Napi::Array array = value.As<Napi::Array>();
    std::vector<std::string> list;
    list.reserve(array.Length());
    for (uint32_t i = 0; i < array.Length(); ++i) {
        const Napi::Value element = array.Get(i);
        if (!element.IsString()) throw Napi::TypeError::New(env, "expected an array of strings");
        list.push_back(element.As<Napi::String>().Utf8Value());
    }
    return list;
}

Napi::Value onThread(Napi::Env env, std::function<Failure()> work,
                     std::function<Napi::Value(Napi::Env)> finish) {
    struct Task {
        Napi::Promise::Deferred deferred;
        std::function<Failure()> work;
        std::function<Napi::Value(Napi::Env)> finish;
        Failure failure;
        Napi::ThreadSafeFunction done;
    };
    const auto task = std::make_shared<Task>(
        Task{Napi::Promise::Deferred::New(env), std::move(work), std::move(finish), {}, {}});
    const auto nothing = Napi::Function::New(env, [](const Napi::CallbackInfo &) {});
    task->done = Napi::ThreadSafeFunction::New(env, nothing, "tine thread", 0, 1);
    const Napi::Promise promise = task->deferred.Promise();
    std::thread([task] {
        task->failure = task->work();
        task->done.BlockingCall([task](Napi::Env env, Napi::Function) {
            if (task->failure.call != nullptr)
                task->deferred.Reject(systemError(env, task->failure.call, task->failure.number).Value());
            else
                task->deferred.Resolve(task->finish(env));
        });
        task->done.Release();
    }).detach();
    return promise;
}

}  // namespace tine
