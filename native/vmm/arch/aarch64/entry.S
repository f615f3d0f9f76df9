// Guest-side code at EL1: copied into the first pages of the kernel half. SP_EL1 always points to this vCPU's frame
// (struct Frame in machine.h), which is not a stack: nothing is ever pushed.

    .set X, 0                       // Frame offsets
    .set SP_EL0_AT, 248
    .set PC_AT, 256
    .set PSTATE_AT, 264
    .set TLS_AT, 272
    .set VECTORS_AT, 288
    .set FPSR_AT, 800
    .set ESR_AT, 816
    .set KIND_AT, 832
    .set COMMAND_AT, 836

    .section .rodata
    .globl tine_vectors, tine_resume, tine_vectors_end

    // One of the sixteen entries (DDI 0487, D1.3.1), 128 bytes apart: `kind` tells the monitor which.
    .macro entry kind
    .balign 128
    stp x0, x1, [sp, #X]
    mov w0, #\kind
    b spill
    .endm

    .balign 4096
tine_vectors:
    .rept 4
    entry 3                         // current level with SP_EL0: never
    .endr
    .rept 4
    entry 3                         // current level: a fault of this code
    .endr
    entry 0                         // EL0: svc and faults
    entry 1                         // EL0: IRQ, with which the monitor calls a vCPU back
    entry 1                         // EL0: FIQ
    entry 2                         // EL0: SError
    .rept 4
    entry 3                         // 32-bit EL0: never
    .endr

    .balign 128
spill:
    stp x2, x3, [sp, #X + 16]
    stp x4, x5, [sp, #X + 32]
    stp x6, x7, [sp, #X + 48]
    stp x8, x9, [sp, #X + 64]
    stp x10, x11, [sp, #X + 80]
    stp x12, x13, [sp, #X + 96]
    stp x14, x15, [sp, #X + 112]
    stp x16, x17, [sp, #X + 128]
    stp x18, x19, [sp, #X + 144]
    stp x20, x21, [sp, #X + 160]
    stp x22, x23, [sp, #X + 176]
    stp x24, x25, [sp, #X + 192]
    stp x26, x27, [sp, #X + 208]
    stp x28, x29, [sp, #X + 224]
    mrs x1, sp_el0
    stp x30, x1, [sp, #X + 240]
    mrs x2, elr_el1
    mrs x3, spsr_el1
    stp x2, x3, [sp, #PC_AT]
    mrs x4, tpidr_el0
    str x4, [sp, #TLS_AT]
    mrs x5, esr_el1
    mrs x6, far_el1
    add x7, sp, #ESR_AT
    stp x5, x6, [x7]
    str w0, [sp, #KIND_AT]
leave:
    movz x1, #0xffff, lsl #48       // kExitAddress
    movk x1, #0xff80, lsl #32
    movk x1, #0x3000
    str wzr, [x1]                   // no memory there: KVM_EXIT_MMIO
tine_resume:                        // the monitor has changed the frame as it likes
    ldr w0, [sp, #COMMAND_AT]
    cbz w0, restore
    str wzr, [sp, #COMMAND_AT]
    tbz w0, #0, 1f                  // kFlushTranslations, on all vCPUs
    dsb ishst
    tlbi vmalle1is
    dsb ish
    isb
1:  add x1, sp, #VECTORS_AT
    tbz w0, #1, 2f                  // kLoadVectors
    ldp q0, q1, [x1, #0]
    ldp q2, q3, [x1, #32]
    ldp q4, q5, [x1, #64]
    ldp q6, q7, [x1, #96]
    ldp q8, q9, [x1, #128]
    ldp q10, q11, [x1, #160]
    ldp q12, q13, [x1, #192]
    ldp q14, q15, [x1, #224]
    ldp q16, q17, [x1, #256]
    ldp q18, q19, [x1, #288]
    ldp q20, q21, [x1, #320]
    ldp q22, q23, [x1, #352]
    ldp q24, q25, [x1, #384]
    ldp q26, q27, [x1, #416]
    ldp q28, q29, [x1, #448]
    ldp q30, q31, [x1, #480]
    add x2, sp, #FPSR_AT
    ldp x3, x4, [x2]
    msr fpsr, x3
    msr fpcr, x4
2:  tbz w0, #2, restore             // kSaveVectors, then out again
    stp q0, q1, [x1, #0]
    stp q2, q3, [x1, #32]
    stp q4, q5, [x1, #64]
    stp q6, q7, [x1, #96]
    stp q8, q9, [x1, #128]
    stp q10, q11, [x1, #160]
    stp q12, q13, [x1, #192]
    stp q14, q15, [x1, #224]
    stp q16, q17, [x1, #256]
    stp q18, q19, [x1, #288]
    stp q20, q21, [x1, #320]
    stp q22, q23, [x1, #352]
    stp q24, q25, [x1, #384]
    stp q26, q27, [x1, #416]
    stp q28, q29, [x1, #448]
    stp q30, q31, [x1, #480]
    add x2, sp, #FPSR_AT
    mrs x3, fpsr
    mrs x4, fpcr
    stp x3, x4, [x2]
    mov w0, #4                      // kSaved
    str w0, [sp, #KIND_AT]
    b leave
restore:
    ldr x4, [sp, #TLS_AT]
    msr tpidr_el0, x4
    ldp x2, x3, [sp, #PC_AT]
    msr elr_el1, x2
    msr spsr_el1, x3
    ldp x30, x1, [sp, #X + 240]
    msr sp_el0, x1
    ldp x28, x29, [sp, #X + 224]
    ldp x26, x27, [sp, #X + 208]
    ldp x24, x25, [sp, #X + 192]
    ldp x22, x23, [sp, #X + 176]
    ldp x20, x21, [sp, #X + 160]
    ldp x18, x19, [sp, #X + 144]
    ldp x16, x17, [sp, #X + 128]
    ldp x14, x15, [sp, #X + 112]
    ldp x12, x13, [sp, #X + 96]
    ldp x10, x11, [sp, #X + 80]
    ldp x8, x9, [sp, #X + 64]
    ldp x6, x7, [sp, #X + 48]
    ldp x4, x5, [sp, #X + 32]
    ldp x2, x3, [sp, #X + 16]
    ldp x0, x1, [sp, #X]
    eret
tine_vectors_end:
    .section .note.GNU-stack,"",%progbits
