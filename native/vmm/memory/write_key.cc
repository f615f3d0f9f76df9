#include "memory/write_key.h"

#include "arch/arch.h"

namespace tine {
namespace {
// The kernel's own book of keys is inherited by fork as this is, and begun anew by exec.
constexpr int kUnknown = -2;
int key = kUnknown;
}  // namespace

int write_key() {
  if (key == kUnknown) key = arch_new_write_key();
  return key;
}

OpenWriteKey::OpenWriteKey() {
  if (key >= 0) arch_open_write_key(key, true);
}
OpenWriteKey::~OpenWriteKey() {
  if (key >= 0) arch_open_write_key(key, false);
}

}  // namespace tine
