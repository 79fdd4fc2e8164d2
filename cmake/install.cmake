# Installs the headers, the CMake package and the pkg-config file; all of it is independent of the machine.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(sluice_cmake_dir ${CMAKE_INSTALL_DATADIR}/cmake/sluice)
set(sluice_pkgconfig_dir ${CMAKE_INSTALL_DATADIR}/pkgconfig)

if(CMAKE_VERSION VERSION_LESS 3.23)
    install(TARGETS ${sluice_targets} EXPORT sluice-targets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
else()
    install(TARGETS ${sluice_targets} EXPORT sluice-targets FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endif()
install(EXPORT sluice-targets NAMESPACE sluice:: DESTINATION ${sluice_cmake_dir})

# Before 1.0 each minor version may change the interface.
write_basic_package_version_file(
    ${PROJECT_BINARY_DIR}/sluice-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT
)
install(FILES cmake/sluice-config.cmake cmake/nats.cmake ${PROJECT_BINARY_DIR}/sluice-config-version.cmake
        DESTINATION ${sluice_cmake_dir}
)

# Relative to the file itself, so that the prefix may be chosen when installing.
file(RELATIVE_PATH sluice_pc_includedir ${CMAKE_INSTALL_FULL_DATADIR}/pkgconfig ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(cmake/sluice.pc.in ${PROJECT_BINARY_DIR}/sluice.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/sluice.pc DESTINATION ${sluice_pkgconfig_dir})
