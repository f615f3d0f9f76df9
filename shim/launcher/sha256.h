#pragma once

#include <string>
#include <string_view>

namespace tine::launcher {

// The SHA-256 of `text` (FIPS 180-4) in lower-case hexadecimal.
std::string sha256_hex(std::string_view text);

}  // namespace tine::launcher
