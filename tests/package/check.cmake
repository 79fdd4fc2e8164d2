# Installs sluice where the way needs it, then configures, builds and runs a consumer; nothing comes from a network.

function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(NOT status EQUAL 0)
        list(JOIN ARGN " " command)
        message("${output}")
        message(FATAL_ERROR "ended with ${status}: ${command}")
    endif()
    set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${folder})
set(prefix ${folder}/prefix)
if(options MATCHES "WAY=(find_package|pkg_config)")
    run(${CMAKE_COMMAND} --install ${built} --prefix ${prefix})
    set(ENV{PKG_CONFIG_PATH} ${prefix}/share/pkgconfig)
endif()

run(${CMAKE_COMMAND}
    -S ${project}
    -B ${folder}/build
    -G ${generator}
    -D CMAKE_PREFIX_PATH=${prefix}
    -D FETCHCONTENT_FULLY_DISCONNECTED=ON
    -D CHECKOUT=${checkout}
    ${options}
)
if(EXISTS ${folder}/build/CMakeFiles/VerifyGlobs.cmake)
    message(FATAL_ERROR "Each build of the consumer looks through the folders of sluice")
endif()
run(${CMAKE_COMMAND} --build ${folder}/build)
run(${folder}/build/consumer)
if(NOT output STREQUAL "${expected}\n")
    message(FATAL_ERROR "The consumer printed: ${output}")
endif()
