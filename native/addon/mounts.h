// mount(2) as both kinds of mount have it.
#pragma once
#include "support.h"

namespace tine {

struct MountRequest {
    std::string source{}, target{}, type{}, data{}, directory{};
    unsigned long flags = 0;
};

// The first six arguments of a call: source, target, type, flags, data, directory.
MountRequest mountArguments(const Napi::CallbackInfo &info);

// Changes the working directory of the calling thread where the request has one.
Failure mountAsAsked(const MountRequest &request);

}  // namespace tine
