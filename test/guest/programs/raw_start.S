# kinds: static
# A program without a C library: what the kernel leaves in registers, the stack and flags at the start, and what
# a system call changes (rax, rcx, r11) and what it does not. Each failure exits with its own status.

        .globl _start
        .text
_start:
        mov     %rsp, %r12              # keep the first stack pointer
        test    $15, %rsp               # the stack is aligned to 16
        mov     $1, %r13d
        jnz     fail
        mov     $2, %r13d
        cmpq    $1, (%r12)              # argc
        jne     fail
        mov     $3, %r13d               # argv[1] is NULL
        cmpq    $0, 16(%r12)
        jne     fail
        mov     $4, %r13d               # the direction flag is clear
        pushf
        popq    %rax
        test    $0x400, %eax
        jnz     fail
        mov     $5, %r13d               # registers are zero, as Linux leaves them
        or      %rbx, %rdx
        or      %rcx, %rdx
        or      %rbp, %rdx
        or      %r8, %rdx
        or      %r15, %rdx
        jnz     fail

        # A system call keeps all but rax, rcx, r11.
        mov     $0x1111111111111111, %rbx
        mov     $0x2222222222222222, %rdx
        mov     $0x3333333333333333, %rsi
        mov     $0x4444444444444444, %rdi
        mov     $0x5555555555555555, %rbp
        mov     $0x6666666666666666, %r8
        mov     $0x7777777777777777, %r9
        mov     $0x8888888888888888, %r10
        mov     $0xeeeeeeeeeeeeeeee, %r14
        mov     $0xffffffffffffffff, %r15
        movq    $0x1234, -8(%rsp)       # the red zone
        movq    $0x5678, -128(%rsp)
        mov     $39, %eax               # getpid
        stc                             # a flag that has to survive
        syscall
after:
        mov     $6, %r13d
        jnc     fail
        mov     $7, %r13d               # rcx is the next instruction
        lea     after(%rip), %rax
        cmp     %rax, %rcx
        jne     fail
        mov     $8, %r13d               # r11 holds the flags: carry, interrupts, bit 1
        mov     %r11d, %eax
        and     $0x203, %eax
        cmp     $0x203, %eax
        jne     fail
        mov     $9, %r13d
        mov     $0x1111111111111111, %rax
        cmp     %rax, %rbx
        jne     fail
        add     %rax, %rax
        cmp     %rax, %rdx
        jne     fail
        mov     $0x3333333333333333, %rax
        cmp     %rax, %rsi
        jne     fail
        mov     $0x4444444444444444, %rax
        cmp     %rax, %rdi
        jne     fail
        mov     $0x5555555555555555, %rax
        cmp     %rax, %rbp
        jne     fail
        mov     $0x6666666666666666, %rax
        cmp     %rax, %r8
        jne     fail
        mov     $0x7777777777777777, %rax
        cmp     %rax, %r9
        jne     fail
        mov     $0x8888888888888888, %rax
        cmp     %rax, %r10
        jne     fail
        mov     $0xeeeeeeeeeeeeeeee, %rax
        cmp     %rax, %r14
        jne     fail
        cmp     $-1, %r15
        jne     fail
        mov     $10, %r13d
        cmpq    $0x1234, -8(%rsp)
        jne     fail
        cmpq    $0x5678, -128(%rsp)
        jne     fail

        mov     $11, %r13d              # the direction flag survives a call too
        std
        mov     $39, %eax
        syscall
        pushf
        popq    %rax
        cld
        test    $0x400, %eax
        jz      fail

        mov     $12, %r13d              # an unknown number: -ENOSYS
        mov     $100000, %eax
        syscall
        cmp     $-38, %rax
        jne     fail
        mov     $13, %r13d              # the upper half of rax does not count, as on Linux
        movabs  $0x100000027, %rax
        syscall
        test    %rax, %rax
        jle     fail

        mov     $14, %r13d              # vectors survive
        mov     $0x0123456789abcdef, %rax
        movq    %rax, %xmm15
        mov     $39, %eax
        syscall
        movq    %xmm15, %rbx
        mov     $0x0123456789abcdef, %rax
        cmp     %rax, %rbx
        jne     fail

        mov     $1, %eax                # write(1, "ok ...", length)
        mov     $1, %edi
        lea     message(%rip), %rsi
        mov     $message_end - message, %edx
        syscall
        xor     %edi, %edi
        mov     $231, %eax              # exit_group(0)
        syscall
fail:
        cld
        mov     %r13d, %edi
        mov     $231, %eax
        syscall
        hlt

        .section .rodata
message:
        .ascii  "ok a program without a C library\n"
message_end:
        .section .note.GNU-stack, "", @progbits
