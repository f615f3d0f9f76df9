// Files that stand for libraries: each page holds a function that tells the file and the page, mapped as a loader maps them.
#pragma once
#include "check.h"

#define HEAD ((size_t)4)   // pages of a library's file: tables,
#define TEXT ((size_t)16)  // code,
#define REST ((size_t)4)   // constants
#define ALL (HEAD + TEXT + REST)
#define LOADED (MAP_PRIVATE | MAP_DENYWRITE)

/// `mov $value,%eax; ret`
UNUSED static void put_function(char *at, int value) {
    at[0] = (char)0xb8;
    memcpy(at + 1, &value, 4);
    at[5] = (char)0xc3;
}
UNUSED static int run(volatile void *at) { return ((int (*)(void))(uintptr_t)at)(); }

/// Every page of the file answers to `value` and its own number.
UNUSED static int answer(int value, size_t page) { return value * 1000 + (int)page; }

UNUSED static void write_library(const char *name, int value, size_t pages) {
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    char page[PAGE];
    for (size_t i = 0; i < pages; i++) {
        memset(page, (int)('a' + i % 20), PAGE);
        put_function(page, answer(value, i));
        MUST(write(fd, page, PAGE) == (ssize_t)PAGE);
    }
    MUST(close(fd) == 0);
}

/// In place, without a new file.
UNUSED static void change_library(const char *name, int value, size_t pages) {
    int fd = open(name, O_RDWR | O_CLOEXEC);
    for (size_t i = 0; i < pages; i++) {
        char function[6];
        put_function(function, answer(value, i));
        MUST(pwrite(fd, function, 6, (off_t)(i * PAGE)) == 6);
    }
    MUST(close(fd) == 0);
}

UNUSED static char *load_pages(const char *name, size_t text, size_t rest) {
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0);
    char *base = mmap(NULL, (HEAD + text + rest) * PAGE, PROT_READ, LOADED, fd, 0);
    MUST(base != MAP_FAILED);
    MUST(mmap(base + HEAD * PAGE, text * PAGE, PROT_READ | PROT_EXEC, LOADED | MAP_FIXED, fd, (off_t)(HEAD * PAGE)) != MAP_FAILED);
    MUST(mmap(base + (HEAD + text) * PAGE, rest * PAGE, PROT_READ, LOADED | MAP_FIXED, fd, (off_t)((HEAD + text) * PAGE)) != MAP_FAILED);
    close(fd);
    return base;
}
UNUSED static char *load(const char *name) { return load_pages(name, TEXT, REST); }
UNUSED static void unload(char *base) { munmap(base, ALL * PAGE); }

UNUSED static char *page_of(char *base, size_t page) { return base + page * PAGE; }
UNUSED static int value_at(const char *at) {
    int value;
    memcpy(&value, at + 1, 4);
    return value;
}
/// How many pages are not as `value`'s file has them; code is run, the others are read.
UNUSED static int wrong_pages(char *base, int value, size_t text, size_t rest) {
    int wrong = 0;
    for (size_t i = 0; i < HEAD + text + rest; i++) {
        char *at = page_of(base, i);
        bool code = i >= HEAD && i < HEAD + text;
        wrong += (code ? run(at) : value_at(at)) != answer(value, i) || at[PAGE - 1] != (char)('a' + i % 20);
    }
    return wrong;
}
UNUSED static int wrong(char *base, int value) { return wrong_pages(base, value, TEXT, REST); }

/// What a new mapping of the file shows.
UNUSED static int wrong_anew(const char *name, int value) {
    char *base = load(name);
    int result = wrong(base, value);
    unload(base);
    return result;
}
