# Provides benchmark::benchmark: the installed Google Benchmark; downloaded only where there is none.

find_package(benchmark QUIET)
if(benchmark_FOUND)
    message(STATUS "Google Benchmark ${benchmark_VERSION} in ${benchmark_DIR}")
else()
    message(STATUS "Google Benchmark is not installed; downloading it")
    include(FetchContent)
    set(BENCHMARK_ENABLE_TESTING OFF)
    set(BENCHMARK_ENABLE_INSTALL OFF)
    set(BENCHMARK_ENABLE_WERROR OFF)
    FetchContent_Declare(
        benchmark GIT_REPOSITORY https://github.com/google/benchmark.git GIT_TAG v1.9.1 GIT_SHALLOW ON
    )
    FetchContent_MakeAvailable(benchmark)
endif()
