// The messages containerd writes to our standard input and reads from our
// standard output. Field numbers: shim/proto/bootstrap.proto, types.proto.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tine::launcher {

struct Any {
  std::string type_url;
  std::string value;
};

// containerd.runtime.bootstrap.v1.BootstrapParams, as far as it concerns us.
struct BootstrapParams {
  std::string ttrpc_address;
  std::string socket_dir;
  std::vector<Any> extensions;
};

// The whole of `bytes` as an Any; nullopt when they are none.
std::optional<Any> parse_any(std::string_view bytes);

// The two messages parse as each other; it is BootstrapParams if and only if
// field 1 is the container's id.
std::optional<BootstrapParams> parse_bootstrap_params(std::string_view bytes, std::string_view id);

// runtimeoptions.v1.Options.config_path when `options` holds that message.
std::string config_path_of(const Any& options);

std::string encode_bootstrap_result(std::uint32_t version, std::string_view address);

// containerd.types.RuntimeInfo; `options` and `features` are serialized Any messages or empty.
std::string encode_runtime_info(std::string_view name, std::string_view version,
                                std::string_view options, std::string_view features);

// containerd.task.v2.DeleteResponse of a process whose pid is not known any more.
std::string encode_delete_response(std::uint32_t exit_status, std::uint64_t seconds,
                                   std::uint32_t nanoseconds);

std::string encode_any(std::string_view type_url, std::string_view value);

// A ttrpc response's status code, 0 without one; nullopt for no such message.
std::optional<std::uint64_t> response_code(std::string_view payload);

// A ttrpc request without payload.
std::string encode_request(std::string_view service, std::string_view method);

}  // namespace tine::launcher
