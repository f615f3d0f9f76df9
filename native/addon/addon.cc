// The addon's entry point: what Node lacks for a container runtime.
#include "support.h"

namespace {

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
    tine::exportProcesses(env, exports);
    tine::exportReplace(env, exports);
    tine::exportWatches(env, exports);
    tine::exportDescriptors(env, exports);
    tine::exportSockets(env, exports);
    tine::exportMounts(env, exports);
    tine::exportMappedMounts(env, exports);
    tine::exportLookup(env, exports);
    return exports;
}

}  // namespace

NODE_API_MODULE(tine, initialise)
