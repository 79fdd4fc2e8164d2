# Defines the target sluice::libnats, the NATS C client, where this machine has it: by its header and library. Debian's own
# CMake package of it names a library that is not packaged; CMake's module for pkg-config leaves its variables in the cache
# of whoever includes sluice.
if(NOT TARGET sluice::libnats)
    find_path(SLUICE_LIBNATS_INCLUDE nats/nats.h)
    find_library(SLUICE_LIBNATS_LIBRARY nats)
    mark_as_advanced(SLUICE_LIBNATS_INCLUDE SLUICE_LIBNATS_LIBRARY)
    if(SLUICE_LIBNATS_INCLUDE AND SLUICE_LIBNATS_LIBRARY)
        add_library(sluice::libnats UNKNOWN IMPORTED)
        set_target_properties(
            sluice::libnats PROPERTIES IMPORTED_LOCATION ${SLUICE_LIBNATS_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES
                                                                                  ${SLUICE_LIBNATS_INCLUDE}
        )
    endif()
endif()
