// No call site is changed on arm64: `svc` enters the kernel's half at once (memory/call_sites.h).
#include "arch/arch.h"

namespace tine {

bool arch_plan_call_site(CallSite&, uint32_t) { return false; }
bool arch_exits_are_dear() { return false; }
int64_t arch_ask_processor(int) { return 0; }
std::span<const uint8_t> arch_processor() { return {}; }
void arch_take_processor(std::span<const uint8_t>) {}
// Nothing is posted, so nothing is answered in the stub.
void arch_put_answers(Vcpu&, uint32_t, const uint64_t*) {}
void arch_put_answer(Vcpu&, uint32_t, uint64_t) {}
void arch_put_action(Vcpu&, int, const GuestAction&) {}
void arch_drop_answers(Vcpu&, uint32_t) {}
uint32_t arch_take_notes(Vcpu&, uint64_t&, uint64_t&) { return 0; }
void arch_put_mask(Vcpu&, SignalSet) {}
SignalSet arch_mask(Vcpu&, SignalSet known) { return known; }
void arch_put_caught(Vcpu&, SignalSet) {}
uint32_t* arch_futex_waiters(uint8_t*) { return nullptr; }
void arch_put_futex_watch(Vcpu&, uint32_t) {}
uint32_t arch_take_futex_changes(Vcpu&) { return 0; }
SignalSet arch_take_actions(Vcpu&, GuestAction (&)[kSignals]) { return 0; }
void arch_let_unseen(Vcpu&, int) {}
std::vector<CallSite> arch_loader_sites(std::span<const uint8_t>, uint64_t, std::span<const uint8_t>, uint64_t) { return {}; }
uint32_t arch_pack_site(const CallSite&, uint64_t) { return 0; }
bool arch_unpack_site(uint32_t, std::span<const uint8_t>, uint64_t, CallSite&) { return false; }
bool arch_call_slot_fits(const CallSite&, uint64_t) { return false; }
void arch_make_common_slot(uint8_t*) {}
void arch_make_call_slot(const CallSite&, uint64_t, uint8_t (&)[kCallSlotBytes]) {}
void arch_make_call_jump(const CallSite&, uint8_t (&)[kCallSiteBytes]) {}
uint64_t arch_call_continuation(const CallSite&, uint64_t) { return 0; }
uint64_t arch_call_original(const CallSite&, uint64_t ip) { return ip; }
uint8_t arch_breakpoint() { return 0; }
bool arch_leave_changed_code(Thread&, const ExceptionInfo&) { return false; }

}  // namespace tine
