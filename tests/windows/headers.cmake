# Each public header alone, silently; but those that need POSIX say so in their first error. Without those that begin with the
# headers of another library.

set(ENV{LC_ALL} C)
file(GLOB_RECURSE headers RELATIVE ${checkout}/include ${checkout}/include/*.hpp)
list(FILTER headers EXCLUDE REGEX "/detail/|/((boost_)?asio|cereal)[.]hpp$")
set(refused)
foreach(header IN LISTS headers)
    execute_process(
        COMMAND ${compiler} -I${checkout}/include -fsyntax-only -x c++ -include ${header} /dev/null
        RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output
    )
    if(status EQUAL 0 AND output STREQUAL "")
        continue()
    endif()
    string(REGEX MATCH "error: [^\n]*" error "${output}")
    if(NOT error MATCHES "#error \"sluice: (sluice/)?[a-z_/]+[.]hpp needs ")
        message("${output}")
        message(SEND_ERROR "${header}: expected silence, or a first error that says what it needs")
    endif()
    list(APPEND refused ${header})
endforeach()

# What works here stays so.
list(FILTER refused EXCLUDE REGEX "^sluice/((ipc|nats)/|(ipc|nats|signals|pollable)[.]hpp$)")
if(refused)
    message(SEND_ERROR "not of these is it said that they need another system: ${refused}")
endif()
