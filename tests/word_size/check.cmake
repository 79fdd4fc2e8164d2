# Builds narrow.cpp and runs it, by itself or by an emulator.

file(MAKE_DIRECTORY ${folder})
# What any program of this word size does here: not build, run, run by an emulator, or not run.
file(WRITE ${folder}/probe.cpp "#include <thread>\nint main() {}\n")
execute_process(
    COMMAND ${compiler} ${folder}/probe.cpp -o ${folder}/probe RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET
)
if(NOT status EQUAL 0)
    message("skipped: the compiler builds no programs of 32 bits here (g++-multilib, or that of its version)")
    return()
endif()
find_program(emulator NAMES qemu-i386 qemu-i386-static)
set(run)
execute_process(COMMAND ${folder}/probe RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
if(NOT status EQUAL 0)
    set(run ${emulator})
    if(NOT emulator)
        message("skipped: this system runs no programs of 32 bits, and there is no qemu-i386 (qemu-user)")
        return()
    elseif(argument)
        message("skipped: an emulator would take too long for this")
        return()
    endif()
endif()

execute_process(
    COMMAND ${compiler} -I${checkout}/include ${CMAKE_CURRENT_LIST_DIR}/narrow.cpp -o ${folder}/narrow
    COMMAND_ERROR_IS_FATAL ANY
)
execute_process(COMMAND ${run} ${folder}/narrow ${argument} COMMAND_ERROR_IS_FATAL ANY)
