// Finds a few annotations in a config.json without building the document.
//
// The file is the client's: any bytes may come, so the scanner keeps no
// recursion, reads nothing outside its view and accepts only JSON (RFC 8259).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tine::launcher {

// Values nested deeper than this are refused.
inline constexpr std::size_t kMaximumJsonDepth = 1000;

struct Annotations {
  // Whether the text is one well-formed JSON object.
  bool valid = false;
  // One for each key asked for, in their order: the value when it is a string.
  std::vector<std::optional<std::string>> values;
};

// The members of the top-level "annotations" object. Of keys that stand there
// twice the last counts, as for Go's decoder.
Annotations find_annotations(std::string_view json, std::span<const std::string_view> keys);

}  // namespace tine::launcher
