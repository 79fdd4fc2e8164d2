// Rejected with "needs an Asio with cancellation slots, 1.19 or later": an Asio of before.
#include <asio/version.hpp>
#undef ASIO_VERSION
#define ASIO_VERSION 101801
#include <sluice/asio.hpp>
