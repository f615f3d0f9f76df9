// On x86-64 a page of the kernel half is open to user mode: through it a vCPU posts calls where the entry stub runs in user
// mode. Where the stub runs in ring 0, a guest that writes the page itself must not come back from a call in ring 0.
#include "check.h"
#include <pthread.h>
#include <setjmp.h>

// The first vCPU's post page (native/vmm/arch/x86_64/machine.h): four shared pages, then its own, of which it is the last.
static volatile uint32_t *const page = (volatile uint32_t *)(0xffffff8000000000 + (4 + 3) * 4096);
enum { MODE, STATE, SPIN };

static sigjmp_buf refused;
static void on_fault(int number) { siglongjmp(refused, number); }
static volatile int stop;

static void *answer(void *unused) {
    while (!stop) page[STATE] = 3;
    return unused;
}

int main(void) {
    signal(SIGSEGV, on_fault);
    pthread_t thread;
    unsigned worst = 3;
    if (sigsetjmp(refused, 1) == 0) {
        page[SPIN] = 1000000;
        pthread_create(&thread, NULL, answer, NULL);
        for (int i = 0; i < 50; i++) {
            long result;
            unsigned selector;
            page[MODE] = 1;
            __asm__ volatile("syscall; mov %%cs, %1" : "=a"(result), "=r"(selector) : "0"(SYS_getppid) : "rcx", "r11", "memory");
            page[MODE] = 0;
            if ((selector & 3) < worst) worst = selector & 3;
        }
        stop = 1;
        pthread_join(thread, NULL);
    }
    CHECK_EQ("a system call comes back to ring 3", worst, 3);
    return check_failures != 0;
}
