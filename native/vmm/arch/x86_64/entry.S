# Guest-side code: copied into pages of the kernel half. Nothing here touches memory or the stack.

    .section .rodata
    .globl tine_syscall_stub, tine_syscall_stub_end, tine_exception_stubs, tine_exception_stubs_end
    .balign 16
tine_syscall_stub:
    out %al, $0x10            # leave the machine; the monitor reads the registers
    sysretq                   # ring 0 only (VMX, SVM): back to rcx with flags r11
tine_syscall_stub_end:

    # One 16-byte slot for each vector: the address tells the monitor which exception it was.
    .balign 16
tine_exception_stubs:
    .rept 32
    .balign 16
    out %al, $0x10            # leave at once: ring 0 code is interpreted under PVM
    hlt                       # never reached: the monitor resumes elsewhere
    .endr
    .balign 16
tine_exception_stubs_end:
    .section .note.GNU-stack,"",@progbits
