// Runs the launcher's parsers over inputs from standard input, each preceded
// by its length (32 bits, big-endian), and answers one line of JSON for each.

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "../../../shim/launcher/json_scanner.h"
#include "../../../shim/launcher/protobuf.h"
#include "../../../shim/launcher/settings.h"

namespace {

using namespace tine::launcher;

void print_hexadecimal(std::string_view bytes) {
  putchar('"');
  for (const char byte : bytes) {
    printf("%02x", static_cast<unsigned char>(byte));
  }
  putchar('"');
}

void scan(std::string_view input) {
  static constexpr std::array<std::string_view, 2> kKeys = {"io.containerd.runc.v2.group",
                                                             "io.kubernetes.cri.sandbox-id"};
  const Annotations found = find_annotations(input, kKeys);
  printf("{\"valid\":%s,\"values\":[", found.valid ? "true" : "false");
  for (std::size_t index = 0; index < found.values.size(); ++index) {
    if (index > 0) putchar(',');
    if (found.values[index]) {
      print_hexadecimal(*found.values[index]);
    } else {
      fputs("null", stdout);
    }
  }
  // The others parse whatever it is; only a sanitizer can object.
  int line = 0;
  const std::string group = find_setting(input, "shim", "group", line);
  const bool any = parse_any(input).has_value();
  const bool parameters = parse_bootstrap_params(input, "c1").has_value();
  const bool response = response_code(input).has_value();
  printf("],\"any\":%d,\"parameters\":%d,\"response\":%d,\"group\":", any, parameters, response);
  print_hexadecimal(group);
  puts("}");
}

}  // namespace

int main() {
  std::array<unsigned char, 4> length_bytes;
  while (fread(length_bytes.data(), 1, length_bytes.size(), stdin) == length_bytes.size()) {
    std::uint32_t length = 0;
    for (const unsigned char byte : length_bytes) {
      length = length << 8 | byte;
    }
    // Of exactly that size on the heap, so that the sanitizer sees a byte too far.
    std::string input(length, '\0');
    if (fread(input.data(), 1, length, stdin) != length) {
      return 1;
    }
    input.shrink_to_fit();
    scan(input);
  }
  return 0;
}
