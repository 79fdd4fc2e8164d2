// The tour with <windows.h> and all its macros: before the library, or after it and before the program.
#if defined(WINDOWS_FIRST)
#include <windows.h>
#endif

#include <sluice/async.hpp>
#include <sluice/sluice.hpp>

#include <windows.h>

#if !defined(min) || !defined(max) || !defined(small) || !defined(near) || !defined(far) || !defined(interface) || \
    !defined(ERROR)
#error "a macro that this is about is missing"
#endif

#include "../compile/tour.hpp"

int main() { tour::everything(); }
