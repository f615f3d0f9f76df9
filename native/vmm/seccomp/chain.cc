#include "seccomp/chain.h"

#include <cstring>

namespace tine {
namespace {
// kernel/seccomp.c: an older filter counts four instructions more than it has, and a path of them 32768 at most.
constexpr uint32_t kFilterOverhead = 4;
constexpr uint32_t kMaxWeight = 32768;

// What the kernel counts are instructions of its own kind, made from the classic ones (net/core/filter.c,
// bpf_convert_filter): a few of them become several.
uint32_t kernel_length(BpfProgram program) {
  uint32_t length = 3;  // sets A, X and the context
  for (const sock_filter& i : program) {
    length++;
    switch (BPF_CLASS(i.code)) {
      case BPF_RET:
        length += BPF_RVAL(i.code) == BPF_K;
        break;
      case BPF_ALU:
        if (BPF_OP(i.code) == BPF_DIV && BPF_SRC(i.code) == BPF_X) length += 4;
        break;
      case BPF_JMP:
        if (BPF_OP(i.code) == BPF_JA) break;
        length += BPF_SRC(i.code) == BPF_K && static_cast<int32_t>(i.k) < 0;
        // One jump where one side goes on; the test for bits has no opposite.
        length += i.jf != 0 && (i.jt != 0 || BPF_OP(i.code) == BPF_JSET);
        break;
    }
  }
  return length;
}
}  // namespace

SeccompChain* seccomp_retain(SeccompChain* chain) {
  if (chain) chain->references.fetch_add(1, std::memory_order_relaxed);
  return chain;
}

void seccomp_release(SeccompChain* chain) {
  while (chain && chain->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    SeccompChain* previous = chain->previous;
    delete chain;
    chain = previous;
  }
}

SeccompChain* seccomp_extend(SeccompChain* previous, BpfProgram program) {
  const uint32_t before = previous ? previous->weight : 0;
  const uint32_t length = kernel_length(program);
  if (before + length > kMaxWeight) return nullptr;
  auto* chain = new SeccompChain;
  chain->previous = previous;
  chain->program.assign(program.begin(), program.end());
  chain->weight = before + length + kFilterOverhead;
  chain->filters = (previous ? previous->filters : 0) + 1;
  for (uint32_t number = 0; number < SeccompChain::kCachedNumbers; number++) {
    const uint64_t bit = 1ull << (number % 64);
    if (previous && !(previous->always_allowed[number / 64] & bit)) continue;
    if (bpf_always_allows(chain->program, kAuditArch, number)) chain->always_allowed[number / 64] |= bit;
  }
  return chain;
}

// Oldest filter first, each as a 32-bit count and its instructions.
std::vector<uint8_t> seccomp_serialize(const SeccompChain* chain) {
  std::vector<const SeccompChain*> order;
  for (; chain; chain = chain->previous) order.push_back(chain);
  std::vector<uint8_t> bytes;
  for (size_t n = order.size(); n-- > 0;) {
    const auto& program = order[n]->program;
    const auto count = static_cast<uint32_t>(program.size());
    const size_t at = bytes.size();
    bytes.resize(at + sizeof(count) + count * sizeof(sock_filter));
    memcpy(bytes.data() + at, &count, sizeof(count));
    memcpy(bytes.data() + at + sizeof(count), program.data(), count * sizeof(sock_filter));
  }
  return bytes;
}

SeccompChain* seccomp_deserialize(std::span<const uint8_t> bytes) {
  SeccompChain* chain = nullptr;
  while (!bytes.empty()) {
    uint32_t count = 0;
    std::vector<sock_filter> program;
    SeccompChain* longer = nullptr;
    if (bytes.size() >= sizeof(count)) {
      memcpy(&count, bytes.data(), sizeof(count));
      bytes = bytes.subspan(sizeof(count));
      if (count <= BPF_MAXINSNS && count * sizeof(sock_filter) <= bytes.size()) {
        program.resize(count);
        memcpy(program.data(), bytes.data(), count * sizeof(sock_filter));
        bytes = bytes.subspan(count * sizeof(sock_filter));
        if (bpf_check(program) == 0) longer = seccomp_extend(chain, program);
      }
    }
    if (!longer) {
      seccomp_release(chain);
      return nullptr;
    }
    chain = longer;
  }
  return chain;
}

}  // namespace tine
