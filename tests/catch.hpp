// The one door to Catch2, whether version 3 or 2 is installed.
#pragma once

// An exception in a check ends the test case, so that not each check is compiled with a handler of its own.
#define CATCH_CONFIG_FAST_COMPILE

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
