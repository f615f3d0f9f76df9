// What a forked child lets its parent know: whether it got a machine. Only then has the parent's fork succeeded.
#pragma once
#include <cstdint>

namespace tine {

// A word that both sides of a fork see. Made before the fork; each side drops it.
class ForkWord {
 public:
  ForkWord();
  ~ForkWord();
  ForkWord(const ForkWord&) = delete;
  ForkWord& operator=(const ForkWord&) = delete;

  // 0, or why there is no word and no fork.
  int64_t error() const { return error_; }
  // In the child: 0 or -errno. False: something was told before, and that counts.
  bool tell(int64_t result);
  // In the parent: what the child told. A child that died before it could is one that dies later by the same hand: 0.
  int64_t hear(int child) const;

 private:
  struct Shared;
  Shared* shared_ = nullptr;
  int64_t error_ = 0;
};

}  // namespace tine
