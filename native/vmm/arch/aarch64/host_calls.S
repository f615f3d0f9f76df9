// Copies that may fault, and the host system call that may be abandoned. The monitor's signal handlers know these
// ranges of instructions.

    .text
    .globl tine_copy, tine_copy_end, tine_copy_failed
    .type tine_copy, %function
// bool tine_copy(void* to, const void* from, size_t bytes)
tine_copy:
    cmp x2, #16
    b.lo 2f
1:  ldp x3, x4, [x1], #16
    stp x3, x4, [x0], #16
    sub x2, x2, #16
    cmp x2, #16
    b.hs 1b
2:  cbz x2, 4f
3:  ldrb w3, [x1], #1
    strb w3, [x0], #1
    subs x2, x2, #1
    b.ne 3b
4:  mov w0, #1
    ret
tine_copy_end:
tine_copy_failed:             // the fault handler resumes here
    mov w0, #0
    ret

    .globl tine_host_call, tine_host_call_start, tine_host_call_end, tine_host_call_abandon
    .type tine_host_call, %function
// int64_t tine_host_call(const volatile int* pending, long nr, const uint64_t args[6])
// If a signal was noted before the kernel is entered, answers -512 (ERESTARTSYS) instead of entering it. A signal
// that lands between the check and the instruction, or after which the kernel would restart the call, finds the
// instruction pointer inside [start, end) and is sent to `abandon`.
// `svc` leaves no trace in the registers, so x9 marks that it is about to be executed: a signal in that one place is
// taken for one that interrupted the call.
tine_host_call:
    mov x10, x0               // pending
    mov x11, x2               // arguments
    mov x8, x1                // number
    ldp x0, x1, [x11]
    ldp x2, x3, [x11, #16]
    ldp x4, x5, [x11, #32]
    mov x9, #0
tine_host_call_start:
    ldr w12, [x10]
    cbnz w12, tine_host_call_abandon
    mov x9, #1
    svc #0
tine_host_call_end:
    ret
tine_host_call_abandon:
    mov x0, #-512
    ret

    .globl tine_signal_return
    .type tine_signal_return, %function
tine_signal_return:           // SA_RESTORER of the monitor's own handlers
    mov x8, #139              // rt_sigreturn
    svc #0
    brk #0

    // Ways to die of one's own fault: the only ones that end a pid namespace's init.
    .globl tine_fault_segv, tine_fault_ill, tine_fault_fpe, tine_fault_trap, tine_fault_bus
tine_fault_segv:
    mov x0, #0xffff000000000000
    ldr x0, [x0]
    brk #0
tine_fault_ill:
    udf #0
tine_fault_fpe:               // no instruction raises it here: the status has to say it
    mov x0, #136              // 128 + SIGFPE
    mov x8, #94               // exit_group
    svc #0
tine_fault_trap:
    brk #0
tine_fault_bus:
    mov x0, #1                // not aligned: Linux reports a PC alignment fault as SIGBUS
    br x0

    .globl tine_switch_stack
    .type tine_switch_stack, %function
// void tine_switch_stack(void* stack_top, void (*run)(void*), void* argument)
tine_switch_stack:
    mov sp, x0
    mov x29, #0
    mov x30, #0
    mov x0, x2
    blr x1
    brk #0

    .globl tine_clone3
    .type tine_clone3, %function
// int64_t tine_clone3(struct clone_args* args, size_t size, void (*run)(void*), void* argument)
// clone3 whose child starts on the stack in args, in run(argument), which never returns.
tine_clone3:
    mov x9, x2                // run
    mov x10, x3               // argument
    mov x8, #435              // clone3
    svc #0
    cbz x0, 1f
    ret
1:  mov x29, #0
    mov x30, #0
    mov x0, x10
    blr x9
    brk #0
    .section .note.GNU-stack,"",%progbits
