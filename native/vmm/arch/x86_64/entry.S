# Guest-side code. Nothing here touches a stack: a guest may have none.

    .section .rodata
    .globl tine_stub, tine_stub_posted, tine_stub_exit, tine_stub_done, tine_stub_plain, tine_stub_patched
    .globl tine_stub_trapped, tine_stub_look, tine_stub_answering, tine_stub_masked, tine_stub_cpuid, tine_stub_cpuid_saved, tine_stub_cpuid_flags, tine_stub_end
    .globl tine_exception_stubs, tine_exception_stubs_end

# The system call entry (LSTAR). Each vCPU has a copy of its own in a page that user mode may execute, with its post
# page (struct PostPage, arch/x86_64/post.h) right behind it. Where KVM is PVM this runs in user mode, elsewhere in ring 0.
    .set POST, tine_stub + 4096
    .set WAITERS, tine_stub + 8192  # kWaitersPage, machine.h
    .set CPUID_TABLE, 2048        # kCpuidTable, kCpuidAny, kCpuidEnd in machine.h
    .set CPUID_ANY, -1
    .set CPUID_END, -2
# The monitor looks at a pointer (8 below) that is NULL or not in the user's half.
    .macro ask_outside_users_half pointer
    mov \pointer, %rcx
    sub $1, %rcx
    shr $47, %rcx
    jnz 8f
    .endm
    .balign 4096
tine_stub:
    cmpl $0, POST+124(%rip)       # known: is anything answered here?
    jne tine_stub_trapped
tine_stub_post:
    cmpl $0, POST+0(%rip)         # mode: is somebody waiting for posts?
    je tine_stub_plain
    test $0x44500, %r11d          # TF, DF, NT or AC set: the short way back could not restore them
    jnz tine_stub_plain
    mov %rax, POST+16(%rip)       # number
    mov %rdi, POST+24(%rip)       # arguments
    mov %rsi, POST+32(%rip)
    mov %rdx, POST+40(%rip)
    mov %r10, POST+48(%rip)
    mov %r8, POST+56(%rip)
    mov %r9, POST+64(%rip)
    mov %rcx, POST+72(%rip)       # where to return
    mov %r11, POST+80(%rip)       # flags
    movl $1, POST+4(%rip)         # state: posted
tine_stub_posted:
    mov %cs, %ecx                 # In ring 0 nobody serves posts: the guest has written the mode itself, and the jump
    test $3, %cl                  # back below would leave its own code in ring 0.
    jz 2f
    mov POST+8(%rip), %ecx        # how long to wait
1:  pause
    cmpl $3, POST+4(%rip)
    je tine_stub_done
    ja 2f                         # 4, 5: leave the machine
    dec %ecx
    jnz 1b
2:  mov POST+72(%rip), %rcx
    mov POST+80(%rip), %r11
tine_stub_exit:
    out %al, $0x10                # leaves with the call posted
    ud2
tine_stub_done:
    mov POST+80(%rip), %r11
    mov %r11d, %eax               # flags without a stack: OF by an addition, the others by sahf
    shl $8, %eax
    bt $11, %r11d
    setc %al
    add $0x7f, %al
    sahf
    mov POST+72(%rip), %rcx
    mov POST+88(%rip), %rax       # result
    jmp *%rcx
tine_stub_plain:
    out %al, $0x10                # leaves the machine; the monitor reads the registers
    ud2
tine_stub_patched:                # from a patched call site (call_sites.cc), with rcx as `syscall` leaves it
    mov $0x246, %r11d             # kPatchedFlags: a call may change the flags, as compilers know
    cmpl $0, POST+124(%rip)
    jne tine_stub_look
    jmp tine_stub_post
# Calls whose answer is in the post page (kvm/answers.h).
tine_stub_trapped:                # The trap alone may cost 30 µs: the monitor sees such a call now and then, and changes its site.
    decl POST+200(%rip)
    js tine_stub_post
tine_stub_look:
    .irp number, 202, 13, 14, 12, 39, 186, 102, 104, 107, 108, 302, 334, 158, 218, 273
    cmp $\number, %rax
    je 1f
    .endr
    jmp tine_stub_post
1:  test $0x44500, %r11d
    jnz tine_stub_plain
    mov %rax, POST+16(%rip)       # for whoever interrupts this
    mov %rcx, POST+72(%rip)
    mov %r11, POST+80(%rip)
tine_stub_answering:              # from here all three may change
    mov %cs, %ecx                 # in ring 0 the guest has written the page itself
    test $3, %cl
    jz 8f
    mov POST+124(%rip), %ecx
    cmp $202, %eax
    je 13f
    cmp $13, %eax
    je 4f
    cmp $14, %eax
    je 12f
    cmp $12, %eax
    je 3f
    .set INDEX, 0
    .irp number, 39, 186, 102, 104, 107, 108
    cmp $\number, %eax
    jne 2f
    test $(1 << INDEX), %cl
    jz 8f
    mov POST+128+INDEX*8(%rip), %rax
    jmp 7f
2:
    .set INDEX, INDEX+1
    .endr
    .irp number, 302, 158, 218, 273
    cmp $\number, %eax
    je 5f
    .endr
    test $0x100, %ecx             # rseq
    jz 8f
    mov POST+208(%rip), %rax
    jmp 7f
3:  test %rdi, %rdi               # brk: only what it is
    jnz 8f
    test $0x80, %cl
    jz 8f
    mov POST+184(%rip), %rax
    jmp 7f
4:  test $0x40, %cl               # rt_sigaction: only what it is
    jz 8f
    test %rsi, %rsi
    jnz 11f
    cmp $8, %r10
    jne 8f
    ask_outside_users_half %rdx
    mov %edi, %ecx
    dec %ecx
    cmp $63, %ecx
    ja 8f
    shl $5, %ecx
    lea POST+2048(%rip), %r11
    add %rcx, %r11
    mov POST+192(%rip), %eax
    test $1, %al
    jnz 8f
    mov %eax, POST+196(%rip)
    .irp word, 0, 8, 16, 24
    mov \word(%r11), %rax
    mov %rax, \word(%rdx)
    .endr
    mov POST+192(%rip), %eax
    cmp POST+196(%rip), %eax
    jne 8f
    xor %eax, %eax
    jmp 7f
5:  cmp $158, %eax
    je 6f
    cmp $218, %eax
    je 9f
    cmp $273, %eax
    je 10f
    test $0x200, %ecx             # prlimit64: only what one's own stack limit is
    jz 8f
    test %rdi, %rdi
    jnz 8f
    cmp $3, %rsi
    jne 8f
    test %rdx, %rdx
    jnz 8f
    ask_outside_users_half %r10
    mov POST+216(%rip), %rax
    mov %rax, (%r10)
    mov POST+224(%rip), %rax
    mov %rax, 8(%r10)
    xor %eax, %eax
    jmp 7f
6:  test $0x800, %ecx             # arch_prctl: only ARCH_SET_FS, to where the user's half is but for its last page
    jz 8f
    cmp $0x1002, %edi
    jne 8f
    mov %rsi, %rcx
    shr $47, %rcx
    jnz 8f
    lea 4096(%rsi), %rcx
    shr $47, %rcx
    jnz 8f
    wrfsbase %rsi
    xor %eax, %eax
    jmp 7f
9:  test $0x1000, %ecx            # set_tid_address: the monitor reads it when it is wanted
    jz 8f
    mov %rdi, POST+240(%rip)
    orl $2, POST+248(%rip)
    mov POST+136(%rip), %rax
    jmp 7f
10: test $0x2000, %ecx            # set_robust_list, likewise
    jz 8f
    cmp $24, %rsi
    jne 8f
    mov %rdi, POST+232(%rip)
    orl $1, POST+248(%rip)
    xor %eax, %eax
    jmp 7f
11: test $0x4000, %ecx            # rt_sigaction in a process of one thread
    jz 8f
    cmp $8, %r10
    jne 8f
    mov %rsi, %rcx
    shr $47, %rcx
    jnz 8f
    mov %edi, %ecx
    dec %ecx
    cmp $63, %ecx
    ja 8f
    mov $~0x40100, %rax           # not SIGKILL and SIGSTOP
    bt %rcx, %rax
    jnc 8f
    testl $1, POST+192(%rip)
    jnz 8f
    mov %ecx, %eax
    shl $5, %eax
    lea POST+2048(%rip), %r11
    add %rax, %r11
    mov POST+264(%rip), %rax
    bt %rcx, %rax
    jc 22f                        # blocked: one may be pending, which goes where the signal is ignored
    .irp word, 0, 8, 16, 24       # to what it is already: nothing to do
    mov \word(%rsi), %rax
    cmp %rax, \word(%r11)
    jne 8f
    .endr
    xor %eax, %eax
    test %rdx, %rdx
    jz 7f
    ask_outside_users_half %rdx
    .irp word, 0, 8, 16, 24
    mov \word(%r11), %rax
    mov %rax, \word(%rdx)
    .endr
    xor %eax, %eax
    jmp 7f
22: test %rdx, %rdx               # the monitor need not know before its next turn; beginning anew, what was there before would be lost
    jnz 8f
    orl $1, POST+192(%rip)        # nobody is answered from what is half there
    mov (%rsi), %rax
    mov %rax, (%r11)
    mov $0xdc000807, %eax         # the flags that there are: kKnownFlags, signal/calls.cc
    and 8(%rsi), %rax
    mov %rax, 8(%r11)
    mov 16(%rsi), %rax
    mov %rax, 16(%r11)
    mov $~0x40100, %rax
    and 24(%rsi), %rax
    mov %rax, 24(%r11)
    bts %rcx, POST+256(%rip)
    addl $1, POST+192(%rip)
    xor %eax, %eax
    jmp 7f
12: test $0x8000, %ecx            # rt_sigprocmask
    jz 8f
    cmp $8, %r10
    jne 8f
    test %rsi, %rsi
    jnz 23f
    ask_outside_users_half %rdx   # only what it is
    mov POST+264(%rip), %rax
    mov %rax, (%rdx)
    xor %eax, %eax
    jmp 7f
23: test $0x20000, %ecx           # a change that the monitor need not know before its next turn, in a process of one thread
    jz 8f
    mov %rsi, %rcx
    shr $47, %rcx
    jnz 8f
    mov (%rsi), %rax
    mov POST+264(%rip), %rcx
    cmp $1, %edi
    je 24f
    ja 25f
    or %rcx, %rax                 # SIG_BLOCK
    jmp 26f
24: not %rax                      # SIG_UNBLOCK
    and %rcx, %rax
    jmp 26f
25: cmp $2, %edi                  # SIG_SETMASK
    jne 8f
26: mov $~0x40100, %rcx
    and %rcx, %rax
    mov %rax, %r11                # what the kernel blocks by now has to stay blocked: it may hold one back
    not %r11
    mov POST+280(%rip), %rcx
    test %r11, %rcx
    jnz 8f
    or POST+288(%rip), %rcx       # and what is added has to have a handler: the monitor gets it, and puts it back
    not %rcx
    test %rcx, %rax
    jnz 8f
    test %rdx, %rdx
    jz 27f
    lea 7(%rdx), %rcx             # the one into the other: beginning anew, what is wanted would be lost
    sub %rsi, %rcx
    cmp $14, %rcx
    jbe 8f
    ask_outside_users_half %rdx
    mov POST+264(%rip), %rcx
    mov %rcx, (%rdx)
27: movq $0, POST+88(%rip)
    mov %rax, POST+264(%rip)
tine_stub_masked:                 # it has happened, and must not begin anew: what was there before is lost
    jmp tine_stub_done
13: test $0x10000, %ecx           # futex: private ones only
    jz 8f
    test $3, %dil
    jnz 8f
    ask_outside_users_half %rdi
    cmp $129, %esi                # FUTEX_WAKE: nobody is woken where nobody waits
    jne 14f
    mfence                        # between what the thread wrote before and the look at who waits
    mov %edi, %ecx
    and $0xffc, %ecx
    lea WAITERS(%rip), %r11
    cmpl $0, (%r11, %rcx)
    jne 8f
    xor %eax, %eax
    jmp 7f
14: cmp $128, %esi                # FUTEX_WAIT, and FUTEX_WAIT_BITSET by either clock for any bit
    je 16f
    mov %esi, %ecx
    and $~0x100, %ecx
    cmp $137, %ecx
    jne 8f
    test %r9d, %r9d
    jz 8f
16: test %r10, %r10               # a time-out that Linux would refuse, or a relative one that is soon over
    jz 18f
    ask_outside_users_half %r10
    mov 8(%r10), %rcx
    cmp $999999999, %rcx
    ja 8f
    cmp $128, %esi
    jne 17f
    mov (%r10), %rax
    test %rax, %rax
    jnz 17f
    cmp $1000000, %rcx
    jb 8f
17: cmpq $0, (%r10)
    jl 8f
18: cmp %edx, (%rdi)
    jne 21f
    mov POST+272(%rip), %ecx      # the other side may be about to change it
    test %ecx, %ecx
    jz 8f
19: pause
    cmp %edx, (%rdi)
    jne 20f
    dec %ecx
    jnz 19b
    jmp 8f
20: incl POST+276(%rip)
21: mov $-11, %rax                # EAGAIN
7:  mov %rax, POST+88(%rip)
    jmp tine_stub_done
8:  mov POST+16(%rip), %rax
    mov POST+72(%rip), %rcx
    mov POST+80(%rip), %r11
    jmp tine_stub_post
# cpuid, from a patched site, which goes on at rdx; rbx is free as well. Each leaves the machine where KVM is PVM, so the answers
# are in a table in this page (struct CpuidAnswer, machine.h). What is not there is asked of the processor.
tine_stub_cpuid:
    mov %rdx, POST+96(%rip)       # where to return
    mov %rax, POST+104(%rip)
    mov %rcx, POST+112(%rip)
tine_stub_cpuid_saved:            # from here an interruption begins anew with what is in the page
    lahf                          # flags without a stack, as above
    seto %al
    movzwl %ax, %eax
    mov %eax, POST+120(%rip)
tine_stub_cpuid_flags:            # ... the flags too
    mov POST+104(%rip), %eax
    lea tine_stub+CPUID_TABLE(%rip), %rbx
1:  cmpl $CPUID_END, 4(%rbx)
    je 4f
    cmp %eax, (%rbx)
    jne 2f
    cmpl $CPUID_ANY, 4(%rbx)
    je 3f
    cmp %ecx, 4(%rbx)
    je 3f
2:  add $24, %rbx
    jmp 1b
3:  mov POST+120(%rip), %eax
    add $0x7f, %al
    sahf
    mov 8(%rbx), %eax
    mov 16(%rbx), %ecx
    mov 20(%rbx), %edx
    mov 12(%rbx), %ebx
    jmp *POST+96(%rip)
4:  mov POST+120(%rip), %eax
    add $0x7f, %al
    sahf
    mov POST+104(%rip), %rax
    cpuid
    jmp *POST+96(%rip)
tine_stub_end:
    .org tine_stub + CPUID_TABLE  # the code ends before it

    # One 16-byte slot for each vector: the address tells the monitor which exception it was.
    .balign 16
tine_exception_stubs:
    .rept 32
    .balign 16
    out %al, $0x10                # leave at once: ring 0 code is interpreted under PVM
    hlt                           # never reached: the monitor resumes elsewhere
    .endr
    .balign 16
tine_exception_stubs_end:
    .section .note.GNU-stack,"",@progbits
