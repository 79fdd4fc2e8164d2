# MinGW-w64 with POSIX threads, as Debian packages it; what it builds runs under Wine.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
# Objects with more sections than the format allows by itself: there is one for each instantiation of a template.
set(CMAKE_CXX_FLAGS_INIT -Wa,-mbig-obj)
set(CMAKE_CROSSCOMPILING_EMULATOR env WINEDEBUG=-all wine)
