# The target sluice_single_header: the library in one file, build/.../single_header/sluice.hpp, and with coroutines
# sluice_async.hpp. They are made when somebody asks for them.
find_package(Python3 QUIET COMPONENTS Interpreter)
if(NOT Python3_FOUND)
    return()
endif()
set(sluice_single_headers ${PROJECT_BINARY_DIR}/single_header)
add_custom_command(
    OUTPUT ${sluice_single_headers}/sluice.hpp ${sluice_single_headers}/sluice_async.hpp
    COMMAND ${Python3_EXECUTABLE} cmake/single_header.py include ${sluice_single_headers}/sluice.hpp sluice/sluice.hpp
    COMMAND ${Python3_EXECUTABLE} cmake/single_header.py include ${sluice_single_headers}/sluice_async.hpp sluice/async.hpp
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    DEPENDS ${sluice_headers} cmake/single_header.py LICENSE
    COMMENT "Writing the library into one header"
)
add_custom_target(
    sluice_single_header DEPENDS ${sluice_single_headers}/sluice.hpp ${sluice_single_headers}/sluice_async.hpp
)
