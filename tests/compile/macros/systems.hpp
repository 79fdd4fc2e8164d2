// Macros of <sys/sysmacros.h>, of Apple's <AssertMacros.h>, and of GNU modes on some systems.
#pragma once

#define major(device) gnu_dev_major(device)
#define minor(device) gnu_dev_minor(device)
#define check(assertion)
#define require(assertion, label)     \
    do {                              \
        if (!(assertion)) goto label; \
    } while (0)
#define verify(assertion)
#undef linux
#define linux 1
#undef unix
#define unix 1
#define i386 1
