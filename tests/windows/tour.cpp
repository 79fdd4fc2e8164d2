// The tour with <windows.h> and all its macros: before the library, or after it and before the program. Of these macros MinGW
// leaves out min, max and small in C++; ../compile/macros/windows.hpp has them.
#if defined(WINDOWS_FIRST)
#include <windows.h>
#endif

#include <sluice/async.hpp>
#include <sluice/sluice.hpp>

#include <windows.h>

#if !defined(near) || !defined(far) || !defined(hyper) || !defined(interface) || !defined(ERROR)
#error "a macro that this is about is missing"
#endif

#include "../compile/tour.hpp"

int main() { tour::everything(); }
