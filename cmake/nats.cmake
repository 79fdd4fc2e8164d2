# Defines the target sluice::libnats, the NATS C client, where this machine has it: by pkg-config, or by its header and
# library. Debian's own CMake package of it names a library that is not packaged.
if(NOT TARGET sluice::libnats)
    find_package(PkgConfig QUIET)
    if(PkgConfig_FOUND)
        pkg_check_modules(sluice_pc_libnats QUIET libnats)
    endif()
    find_path(SLUICE_LIBNATS_INCLUDE nats/nats.h HINTS ${sluice_pc_libnats_INCLUDE_DIRS})
    find_library(SLUICE_LIBNATS_LIBRARY nats HINTS ${sluice_pc_libnats_LIBRARY_DIRS})
    mark_as_advanced(SLUICE_LIBNATS_INCLUDE SLUICE_LIBNATS_LIBRARY)
    if(SLUICE_LIBNATS_INCLUDE AND SLUICE_LIBNATS_LIBRARY)
        add_library(sluice::libnats UNKNOWN IMPORTED)
        set_target_properties(
            sluice::libnats PROPERTIES IMPORTED_LOCATION ${SLUICE_LIBNATS_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES
                                                                                  ${SLUICE_LIBNATS_INCLUDE}
        )
    endif()
endif()
