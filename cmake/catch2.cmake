# Provides Catch2::Catch2: what is installed, version 3 or else 2; downloaded only where there is neither.

find_package(Catch2 3 QUIET)
if(NOT Catch2_FOUND)
    find_package(Catch2 2 QUIET)
endif()
if(Catch2_FOUND)
    message(STATUS "Catch2 ${Catch2_VERSION} in ${Catch2_DIR}")
    get_target_property(catch2_headers Catch2::Catch2 INTERFACE_INCLUDE_DIRECTORIES)
    if(WIN32 AND CMAKE_CROSSCOMPILING AND catch2_headers STREQUAL "/usr/include")
        # Without the headers of this system that are beside them.
        file(COPY ${catch2_headers}/catch2 DESTINATION ${PROJECT_BINARY_DIR}/catch2)
        set_target_properties(
            Catch2::Catch2 PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${PROJECT_BINARY_DIR}/catch2
        )
    endif()
else()
    message(STATUS "Catch2 is not installed; downloading it")
    include(FetchContent)
    FetchContent_Declare(Catch2 GIT_REPOSITORY https://github.com/catchorg/Catch2.git GIT_TAG v3.7.1 GIT_SHALLOW ON)
    FetchContent_MakeAvailable(Catch2)
    set(Catch2_VERSION 3.7.1)
endif()
