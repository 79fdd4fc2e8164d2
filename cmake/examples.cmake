# How examples/CMakeLists.txt describes the runs of the example programs. All run in the root folder of the repository.

# sluice_example_check(PROGRAM LABEL [ARGS arg...] [INPUT file] [STATUS n] [OUTPUT regex...] [ERRORS regex...])
# A CTest entry: PROGRAM must end with the status, which is 0 unless given, and each regex must match what it writes to
# standard output or standard error; it must not write to standard error where ERRORS says nothing.
function(sluice_example_check program label)
    if(NOT SLUICE_BUILD_TESTS)
        return()
    endif()
    cmake_parse_arguments(PARSE_ARGV 2 run "" "INPUT;STATUS" "ARGS;OUTPUT;ERRORS")
    if(NOT DEFINED run_STATUS)
        set(run_STATUS 0)
    endif()
    set(test example.${program}.${label})
    sluice_test(
        ${test} 60 example
        COMMAND ${CMAKE_COMMAND}
        -D "command=${CMAKE_CROSSCOMPILING_EMULATOR};$<TARGET_FILE:${program}>;${run_ARGS}"
        -D "input=${run_INPUT}"
        -D "status=${run_STATUS}"
        -D "output=${run_OUTPUT}"
        -D "errors=${run_ERRORS}"
        -P ${PROJECT_SOURCE_DIR}/cmake/run_example.cmake
    )
    set_tests_properties(${test} PROPERTIES WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
endfunction()

# sluice_example(PROGRAM ...): builds PROGRAM.cpp, and checks a run as above, which examples/run.sh shows. A program checks
# itself (checked.hpp), or there is tests/examples/PROGRAM.sh; and it must explain its options (args.hpp) and reject a wrong
# one. Not so the programs that README.md shows.
function(sluice_example program)
    cmake_parse_arguments(PARSE_ARGV 1 run "" "INPUT;STATUS" "ARGS;OUTPUT;ERRORS")
    add_executable(${program} ${program}.cpp)
    target_link_libraries(${program} PRIVATE sluice_developer)
    if(program MATCHES "^ipc_")
        target_link_libraries(${program} PRIVATE sluice_ipc)
    elseif(program MATCHES "^nats_")
        target_link_libraries(${program} PRIVATE sluice_nats)
    endif()

    sluice_example_check(${program} run ${ARGN})
    file(STRINGS ${program}.cpp head LIMIT_COUNT 20)
    set(shown FALSE)
    if(program MATCHES "^(first_program|co_first|readme_[a-z]+)$")
        set(shown TRUE)
    endif()
    if(head MATCHES "args\\.hpp")
        sluice_example_check(${program} help ARGS --help OUTPUT "^usage: ${program}")
        sluice_example_check(${program} mistake ARGS --no-such-option STATUS 2 ERRORS "^${program}: [^\n]+\n$")
    elseif(NOT shown)
        message(FATAL_ERROR "${program} takes no --help: let it use args.hpp")
    endif()
    set(script ${PROJECT_SOURCE_DIR}/tests/examples/${program}.sh)
    if(NOT head MATCHES "checked\\.hpp" AND NOT EXISTS ${script} AND NOT shown)
        message(FATAL_ERROR "nothing checks what ${program} does: let it use checked.hpp, or write ${script}")
    endif()
    if(SLUICE_BUILD_TESTS AND EXISTS ${script})
        sluice_test(
            example.${program}.compared 60 example
            COMMAND sh ${script} $<TARGET_FILE:${program}> ${CMAKE_CROSSCOMPILING_EMULATOR}
        )
    endif()

    # The idea of a program is the comment that its source begins with.
    set(idea "")
    foreach(line IN LISTS head)
        if(NOT line MATCHES "^// *(.*)")
            break()
        endif()
        string(APPEND idea " ${CMAKE_MATCH_1}")
    endforeach()
    if(NOT run_INPUT)
        set(run_INPUT /dev/null)
    endif()
    set(call "run_example")
    foreach(word IN ITEMS "${program}:${idea}" "${run_INPUT}" "$<TARGET_FILE:${program}>" LISTS run_ARGS)
        string(REPLACE "'" "'\\''" word "${word}")
        string(APPEND call " '${word}'")
    endforeach()
    set_property(DIRECTORY APPEND_STRING PROPERTY sluice_runs "${call}\n")
endfunction()

# sluice_write_example_runs(): writes the calls of run_example that examples/run.sh makes.
function(sluice_write_example_runs)
    get_property(runs DIRECTORY PROPERTY sluice_runs)
    file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/runs.sh CONTENT "${runs}")
endfunction()
