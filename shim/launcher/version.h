#pragma once

namespace tine::launcher {

// The same as package.json's; a test compares them.
inline constexpr char kVersion[] = "0.1.0";

// The runtime's name as clients select it.
inline constexpr char kRuntimeName[] = "io.containerd.tine.v2";

}  // namespace tine::launcher
