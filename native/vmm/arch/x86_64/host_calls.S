# Copies that may fault, and the host system call that may be abandoned. The monitor's signal handlers know these
# ranges of instructions.

    .text
    .globl tine_copy, tine_copy_end, tine_copy_failed
    .type tine_copy, @function
# bool tine_copy(void* to, const void* from, size_t bytes)
tine_copy:
    mov %rdx, %rcx
    rep movsb                 # the only instruction that can fault
    mov $1, %eax
    ret
tine_copy_end:
tine_copy_failed:             # the fault handler resumes here
    xor %eax, %eax
    ret

    .globl tine_host_call, tine_host_call_start, tine_host_call_end, tine_host_call_abandon
    .type tine_host_call, @function
# int64_t tine_host_call(const volatile int* pending, long nr, const uint64_t args[6])
# If a signal was noted before the kernel is entered, answers -512 (ERESTARTSYS) instead of entering it. A signal
# that lands between the check and the instruction, or after which the kernel would restart the call, finds the
# instruction pointer inside [start, end) and is sent to `abandon`.
tine_host_call:
    push %rbx
    mov %rdi, %rbx            # pending
    mov %rsi, %rax            # number
    mov %rdx, %r11
    mov 0(%r11), %rdi
    mov 8(%r11), %rsi
    mov 24(%r11), %r10
    mov 32(%r11), %r8
    mov 40(%r11), %r9
    mov 16(%r11), %rdx
    xor %ecx, %ecx            # `syscall` leaves its return address here: tells before from after
tine_host_call_start:
    cmpl $0, (%rbx)
    jne tine_host_call_abandon
    syscall
tine_host_call_end:
    pop %rbx
    ret
tine_host_call_abandon:
    mov $-512, %rax
    pop %rbx
    ret

    .globl tine_signal_return
    .type tine_signal_return, @function
tine_signal_return:           # SA_RESTORER of the monitor's own handlers
    mov $15, %eax             # rt_sigreturn
    syscall
    ud2

    # Ways to die of one's own fault: the only ones that end a pid namespace's init.
    .globl tine_fault_segv, tine_fault_ill, tine_fault_fpe, tine_fault_trap, tine_fault_bus
tine_fault_segv:
    movabs $0xffff800000000000, %rax
    mov (%rax), %rax
    ud2
tine_fault_ill:
    ud2
tine_fault_fpe:
    xor %eax, %eax
    xor %edx, %edx
    xor %ecx, %ecx
    div %ecx
    ud2
tine_fault_trap:
    int3
    ud2
tine_fault_bus:
    movabs $0x0080000000000000, %rsp   # not canonical: a stack fault, which Linux reports as SIGBUS
    push %rax
    ud2

    .globl tine_switch_stack
    .type tine_switch_stack, @function
# void tine_switch_stack(void* stack_top, void (*run)(void*), void* argument)
tine_switch_stack:
    mov %rdi, %rsp
    xor %ebp, %ebp
    mov %rdx, %rdi
    call *%rsi
    ud2
    .globl tine_clone3
    .type tine_clone3, @function
# int64_t tine_clone3(struct clone_args* args, size_t size, void (*run)(void*), void* argument)
# clone3 whose child starts on the stack in args, in run(argument), which never returns.
tine_clone3:
    push %rbx
    push %r12
    mov %rdx, %rbx            # run
    mov %rcx, %r12            # argument
    mov $435, %eax            # clone3
    syscall
    test %rax, %rax
    jz 1f
    pop %r12
    pop %rbx
    ret
1:  xor %ebp, %ebp
    mov %r12, %rdi
    call *%rbx
    ud2
    .section .note.GNU-stack,"",@progbits
