# 32-bit x86, by the compiler of a 64-bit system; run by qemu where its kernel does not run such programs. Debian's
# g++-multilib, which would bring the last of the headers, can't be installed beside its cross compilers: they are found where
# the system's own are.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR i686)
set(CMAKE_CXX_COMPILER g++)
set(CMAKE_CXX_FLAGS_INIT "-m32 -idirafter /usr/include/x86_64-linux-gnu -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64")
execute_process(COMMAND /lib/ld-linux.so.2 --version RESULT_VARIABLE cannot_run OUTPUT_QUIET ERROR_QUIET)
if(cannot_run)
    set(CMAKE_CROSSCOMPILING_EMULATOR qemu-i386)
endif()
