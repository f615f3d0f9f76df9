#include "protobuf.h"

#include <cstddef>

namespace tine::launcher {
namespace {

// One field at a time: a varint's value, or the bytes of a length-delimited
// one. Fields of fixed width are passed over.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : rest_(bytes) {}

  std::uint32_t number = 0;
  bool is_bytes = false;
  std::uint64_t value = 0;
  std::string_view bytes;

  // False at the end of the message, and on a malformed one, which `ok` tells.
  bool next() {
    while (!rest_.empty()) {
      std::uint64_t tag = 0;
      if (!varint(tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff) {
        return bad();
      }
      number = static_cast<std::uint32_t>(tag >> 3);
      switch (tag & 7) {
        case 0:
          is_bytes = false;
          return varint(value) || bad();
        case 1:
          if (!take(8)) return bad();
          break;
        case 2: {
          std::uint64_t length = 0;
          is_bytes = true;
          return (varint(length) && take(length)) || bad();
        }
        case 5:
          if (!take(4)) return bad();
          break;
        default:
          return bad();
      }
    }
    return false;
  }

  bool ok() const { return ok_; }

 private:
  bool bad() {
    ok_ = false;
    rest_ = {};
    return false;
  }

  bool varint(std::uint64_t& into) {
    into = 0;
    for (unsigned index = 0; index < 10 && index < rest_.size(); ++index) {
      const auto byte = static_cast<unsigned char>(rest_[index]);
      into |= std::uint64_t{byte & 0x7fu} << (7 * index);
      if (byte < 0x80) {
        rest_.remove_prefix(index + 1);
        return true;
      }
    }
    return false;
  }

  bool take(std::uint64_t length) {
    if (length > rest_.size()) {
      return false;
    }
    bytes = rest_.substr(0, static_cast<std::size_t>(length));
    rest_.remove_prefix(static_cast<std::size_t>(length));
    return true;
  }

  std::string_view rest_;
  bool ok_ = true;
};

void put_varint(std::string& message, std::uint64_t value) {
  while (value > 0x7f) {
    message += static_cast<char>((value & 0x7f) | 0x80);
    value >>= 7;
  }
  message += static_cast<char>(value);
}

void put_number(std::string& message, std::uint32_t field, std::uint64_t value) {
  put_varint(message, std::uint64_t{field} << 3);
  put_varint(message, value);
}

void put_bytes(std::string& message, std::uint32_t field, std::string_view bytes) {
  if (bytes.empty()) {
    return;
  }
  put_varint(message, (std::uint64_t{field} << 3) | 2);
  put_varint(message, bytes.size());
  message += bytes;
}

}  // namespace

std::optional<Any> parse_any(std::string_view bytes) {
  Any any;
  FieldReader field(bytes);
  while (field.next()) {
    if (field.is_bytes && field.number == 1) any.type_url = field.bytes;
    if (field.is_bytes && field.number == 2) any.value = field.bytes;
  }
  if (!field.ok() || any.type_url.empty()) {
    return std::nullopt;
  }
  return any;
}

std::optional<BootstrapParams> parse_bootstrap_params(std::string_view bytes, std::string_view id) {
  BootstrapParams parameters;
  std::string_view instance;
  FieldReader field(bytes);
  while (field.next()) {
    if (!field.is_bytes) continue;
    if (field.number == 1) instance = field.bytes;
    if (field.number == 5) parameters.ttrpc_address = field.bytes;
    if (field.number == 9) parameters.socket_dir = field.bytes;
    if (field.number == 8) {
      FieldReader inner(field.bytes);
      while (inner.next()) {
        if (!inner.is_bytes || inner.number != 1) continue;
        if (std::optional<Any> any = parse_any(inner.bytes)) {
          parameters.extensions.push_back(*std::move(any));
        }
      }
    }
  }
  if (!field.ok() || id.empty() || instance != id) {
    return std::nullopt;
  }
  return parameters;
}

std::string config_path_of(const Any& options) {
  const std::string_view url = options.type_url;
  if (url.substr(url.rfind('/') + 1) != "runtimeoptions.v1.Options") {
    return {};
  }
  std::string path;
  FieldReader field(options.value);
  while (field.next()) {
    if (field.is_bytes && field.number == 2) path = field.bytes;
  }
  return field.ok() ? path : std::string();
}

std::string encode_bootstrap_result(std::uint32_t version, std::string_view address) {
  std::string message;
  put_number(message, 1, version);
  put_bytes(message, 2, address);
  put_bytes(message, 3, "ttrpc");
  return message;
}

std::string encode_runtime_info(std::string_view name, std::string_view version,
                                std::string_view options, std::string_view features) {
  std::string runtime_version;
  put_bytes(runtime_version, 1, version);
  std::string message;
  put_bytes(message, 1, name);
  put_bytes(message, 2, runtime_version);
  put_bytes(message, 3, options);
  put_bytes(message, 4, features);
  return message;
}

std::string encode_delete_response(std::uint32_t exit_status, std::uint64_t seconds,
                                   std::uint32_t nanoseconds) {
  std::string exited_at;
  put_number(exited_at, 1, seconds);
  put_number(exited_at, 2, nanoseconds);
  std::string message;
  put_number(message, 2, exit_status);
  put_bytes(message, 3, exited_at);
  return message;
}

std::string encode_any(std::string_view type_url, std::string_view value) {
  std::string message;
  put_bytes(message, 1, type_url);
  put_bytes(message, 2, value);
  return message;
}

std::optional<std::uint64_t> response_code(std::string_view payload) {
  std::uint64_t code = 0;
  FieldReader field(payload);
  while (field.next()) {
    if (!field.is_bytes || field.number != 1) continue;
    FieldReader status(field.bytes);
    while (status.next()) {
      if (!status.is_bytes && status.number == 1) code = status.value;
    }
    if (!status.ok()) return std::nullopt;
  }
  return field.ok() ? std::optional(code) : std::nullopt;
}

std::string encode_request(std::string_view service, std::string_view method) {
  std::string message;
  put_bytes(message, 1, service);
  put_bytes(message, 2, method);
  return message;
}

}  // namespace tine::launcher
