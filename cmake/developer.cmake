# How sluice's own programs are compiled: warnings and, on request, sanitizers. Consumers never see this.

set(SLUICE_SANITIZE "" CACHE STRING "Sanitizer for sluice's own programs: thread, address (with undefined), or none")
set_property(CACHE SLUICE_SANITIZE PROPERTY STRINGS "" thread address)

set(sluice_warnings -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow)

add_library(sluice_developer INTERFACE)
target_link_libraries(sluice_developer INTERFACE sluice)
if(NOT MSVC)
    # GCC 12 is wrong about an empty std::optional, and about the sum of a literal and a string.
    target_compile_options(
        sluice_developer INTERFACE ${sluice_warnings}
                                   $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized> $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
    )
endif()

if(SLUICE_SANITIZE STREQUAL "thread")
    set(sluice_sanitizers -fsanitize=thread)
elseif(SLUICE_SANITIZE STREQUAL "address")
    set(sluice_sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all)
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
        # With it clang 14 does not compile coroutines: "Cannot represent a difference across sections".
        list(APPEND sluice_sanitizers -fno-sanitize=function)
    endif()
elseif(SLUICE_SANITIZE)
    message(FATAL_ERROR "SLUICE_SANITIZE is \"${SLUICE_SANITIZE}\"; it takes thread, address or nothing.")
endif()

# How many times longer than usual a test may take.
set(sluice_patience 1)
if(SLUICE_SANITIZE OR CMAKE_CROSSCOMPILING)
    set(sluice_patience 5)
endif()
if(SLUICE_SANITIZE)
    target_compile_options(sluice_developer INTERFACE ${sluice_sanitizers} -fno-omit-frame-pointer -O0 -g1)
    target_link_options(sluice_developer INTERFACE ${sluice_sanitizers})
endif()
set(sluice_test_environment
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1"
    "ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:check_initialization_order=1"
    "UBSAN_OPTIONS=print_stacktrace=1"
)

# sluice_test(NAME SECONDS LABEL COMMAND command...): a CTest entry that fails when it takes longer than SECONDS.
function(sluice_test name seconds label)
    cmake_parse_arguments(PARSE_ARGV 3 test "" "" COMMAND)
    math(EXPR seconds "${seconds} * ${sluice_patience}")
    add_test(NAME ${name} COMMAND ${test_COMMAND})
    set_tests_properties(
        ${name} PROPERTIES TIMEOUT ${seconds} LABELS ${label} ENVIRONMENT "${sluice_test_environment}"
    )
    if(WIN32 AND CMAKE_CROSSCOMPILING)
        # The program ends with status 0 where one of its threads has crashed.
        set_tests_properties(${name} PROPERTIES FAIL_REGULAR_EXPRESSION "wine: Unhandled")
    endif()
endfunction()

# sluice_build_first(LABEL TARGET...): the programs of the tests with that label in this folder. They are no part of
# sluice_short_tests, which is what tests/run.sh builds; whoever runs one of the tests has them built before it.
function(sluice_build_first label)
    set(build ${label}.build)
    get_property(tests DIRECTORY PROPERTY TESTS)
    sluice_test(${build} 1800 ${label} COMMAND ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR} --target ${ARGN})
    set_tests_properties(${build} PROPERTIES FIXTURES_SETUP ${build} RUN_SERIAL ON)
    foreach(test IN LISTS tests)
        get_test_property(${test} LABELS labels)
        if(labels STREQUAL label)
            set_tests_properties(${test} PROPERTIES FIXTURES_REQUIRED ${build})
        endif()
    endforeach()
endfunction()

# What is over NATS starts servers of its own.
find_program(SLUICE_NATS_SERVER nats-server PATHS /usr/sbin /usr/local/sbin)
