# Generates the reference from the doc comments of the public headers, and fails where Doxygen has a complaint: about a
# public name without a comment, or a comment that names what is not there.
#   cmake [-D headers="result.hpp;ipc/pipe.hpp"] [-D folder=FOLDER] -P cmake/reference.cmake
# Without `headers` it is about all of them; without `folder` it is written to build/reference.
#
# Doxygen 1.9.4 does not miss the comment of a concept, of an empty class, or of one value of an enumeration.

get_filename_component(checkout ${CMAKE_CURRENT_LIST_DIR} DIRECTORY)
set(include ${checkout}/include/sluice)
set(map ${include}/README.md)
if(NOT headers)
    file(GLOB headers RELATIVE ${include} ${include}/*.hpp ${include}/ipc/*.hpp)
endif()
if(NOT folder)
    set(folder ${checkout}/build/reference)
endif()

find_program(DOXYGEN doxygen)
if(NOT DOXYGEN)
    message(FATAL_ERROR "skipped: no doxygen here; Debian has it in the package of that name")
endif()

# version.hpp documents the namespace, without which nothing in it is missed; handle.hpp what senders and receivers
# inherit.
set(input "\"${map}\" \"${include}/version.hpp\" \"${include}/detail/handle.hpp\"")
foreach(header IN LISTS headers)
    if(NOT EXISTS ${include}/${header})
        message(FATAL_ERROR "there is no header ${include}/${header}")
    endif()
    string(APPEND input " \"${include}/${header}\"")
endforeach()
file(STRINGS ${include}/version.hpp version REGEX "^#define SLUICE_VERSION_(MAJOR|MINOR|PATCH) [0-9]+$")
list(TRANSFORM version REPLACE "^.* " "")
list(JOIN version . version)
file(REMOVE_RECURSE ${folder}/html)
file(MAKE_DIRECTORY ${folder})
configure_file(${checkout}/cmake/Doxyfile.in ${folder}/Doxyfile @ONLY)

execute_process(COMMAND ${DOXYGEN} ${folder}/Doxyfile RESULT_VARIABLE status)
if(NOT status EQUAL 0)
    message(FATAL_ERROR "Doxygen ended with status ${status}; its complaints are above")
endif()
message("Written: ${folder}/html/index.html")
