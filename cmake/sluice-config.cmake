# What find_package(sluice) runs: defines sluice::sluice and, where it was installed, sluice::ipc.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/sluice-targets.cmake)

foreach(component IN LISTS sluice_FIND_COMPONENTS)
    if(TARGET sluice::${component})
        set(sluice_${component}_FOUND TRUE)
    elseif(sluice_FIND_REQUIRED_${component})
        set(sluice_FOUND FALSE)
        set(sluice_NOT_FOUND_MESSAGE "this sluice has no component ${component}")
    endif()
endforeach()
