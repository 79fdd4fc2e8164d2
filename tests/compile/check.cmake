# Compiles what `mode` says and fails unless the compiler accepts it silently, or rejects it with the expected message.

# Leaves the compiler's exit status and all its output in `status` and `output`.
function(compile)
    execute_process(
        COMMAND ${compiler} -I${checkout}/include ${ARGN}
        RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output
    )
    set(status "${status}" PARENT_SCOPE)
    set(output "${output}" PARENT_SCOPE)
endfunction()

function(expect_success what)
    if(NOT status EQUAL 0 OR output)
        message("${output}")
        message(SEND_ERROR "${what}: expected silence and status 0, got the above and ${status}")
    endif()
endfunction()

# The first line of a misuse reads: // Rejected with "one", "two": what the misuse is.
# "one" is a regular expression for the first error, "two" and what follows for anything that the compiler says of it,
# the lines of the source that it repeats left out. Where a compiler cannot but have another error first, a second line
# reads: // Not the first error of clang: why.
function(expect_rejection misuse)
    file(STRINGS ${misuse} head LIMIT_COUNT 2)
    list(GET head 0 first)
    if(NOT first MATCHES "^// Rejected with (\"[^\"]+\"(, \"[^\"]+\")*): ")
        message(SEND_ERROR "${misuse} does not say which message it expects")
        return()
    endif()
    string(REGEX MATCHALL "\"[^\"]+\"" fragments "${CMAKE_MATCH_1}")
    string(REPLACE "\"" "" fragments "${fragments}")
    list(POP_FRONT fragments sentence)

    set(no_excerpts -fno-diagnostics-show-caret)
    list(GET compiler 0 command)
    set(brand g\\+\\+)
    if(command MATCHES "clang")
        set(no_excerpts -fno-caret-diagnostics)
        set(brand clang)
    endif()
    compile(-fsyntax-only ${no_excerpts} -include ${folder}/all.hpp ${misuse})
    if(status EQUAL 0)
        message(SEND_ERROR "${misuse} compiles")
        return()
    endif()
    string(REGEX MATCH "error: [^\n]*" error "${output}")
    if(head MATCHES "// Not the first error of ${brand}: ")
        set(error "${output}")
    endif()
    if(NOT error MATCHES "${sentence}")
        message("${output}")
        message(SEND_ERROR "${misuse}: the first error above does not say \"${sentence}\"")
    endif()
    foreach(fragment IN LISTS fragments)
        if(NOT output MATCHES "${fragment}")
            message("${output}")
            message(SEND_ERROR "${misuse}: nothing above says \"${fragment}\"")
        endif()
    endforeach()
endfunction()

# Fails unless the lines that end with `mark`, and no others, draw a warning, one that matches `pattern`.
function(expect_warnings source mark pattern)
    # Warnings, since clang gives up after twenty errors.
    compile(-fsyntax-only -Wno-error ${here}/${source})
    file(READ ${here}/${source} text)
    # Characters that mean something in a CMake list.
    string(REGEX REPLACE "[][;\\]" " " text "${text}")
    string(REPLACE "\n" ";" lines "${text}")
    set(number 0)
    set(marked 0)
    foreach(line IN LISTS lines)
        math(EXPR number "${number} + 1")
        if(line MATCHES "${mark}$")
            math(EXPR marked "${marked} + 1")
            if(NOT output MATCHES "${source}:${number}:[0-9]+: warning: [^\n]*(${pattern})")
                message(SEND_ERROR "${source}:${number}: no warning for ${line}")
            endif()
        endif()
    endforeach()
    string(REGEX MATCHALL "(warning|error): " complaints "${output}")
    list(LENGTH complaints complaints)
    if(marked EQUAL 0 OR NOT complaints EQUAL marked)
        message("${output}")
        message(SEND_ERROR "${source}: ${marked} lines are marked, of ${complaints} the compiler complains above")
    endif()
endfunction()

set(here ${CMAKE_CURRENT_LIST_DIR})
set(ENV{LC_ALL} C)

if(mode STREQUAL "headers")
    file(GLOB_RECURSE headers RELATIVE ${checkout}/include ${checkout}/include/*.hpp)
    # The one header that needs another library, which need not be there.
    compile(-fsyntax-only -x c++ -include cereal/cereal.hpp /dev/null)
    if(NOT status EQUAL 0)
        list(REMOVE_ITEM headers sluice/ipc/cereal.hpp)
    endif()
    foreach(header IN LISTS headers)
        compile(-fsyntax-only -x c++ -include ${header} /dev/null)
        expect_success(${header})
    endforeach()

elseif(mode STREQUAL "linked")
    file(MAKE_DIRECTORY ${folder})
    compile(-pthread ${here}/everything_one.cpp ${here}/everything_two.cpp -o ${folder}/program)
    expect_success("two translation units")
    execute_process(COMMAND ${folder}/program RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
    expect_success("the program of two translation units")
    compile(-fno-rtti -fsyntax-only ${here}/everything_two.cpp)
    expect_success("a translation unit without run-time type information")

elseif(mode STREQUAL "misuse")
    # Every misuse includes the same header, which is compiled once.
    file(MAKE_DIRECTORY ${folder})
    file(WRITE ${folder}/all.hpp "#include <sluice/sluice.hpp>\n")
    compile(-x c++-header ${folder}/all.hpp -o ${folder}/all.hpp.gch)
    expect_success("the precompiled header")
    file(GLOB misuses ${here}/misuse/*.cpp)
    foreach(misuse IN LISTS misuses)
        expect_rejection(${misuse})
    endforeach()

elseif(mode STREQUAL "warnings")
    expect_warnings(discarded.cpp "// discarded" "ignoring return")
    # The caller's own conversions, of which the caller's own flags make warnings.
    expect_warnings(narrowed.cpp "// narrowed" "conversion|changes signedness")

else()
    message(FATAL_ERROR "mode is \"${mode}\"; it is headers, linked, misuse or warnings.")
endif()
