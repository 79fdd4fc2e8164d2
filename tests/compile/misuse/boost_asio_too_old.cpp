// Rejected with "needs a Boost.Asio with cancellation slots, Boost 1.77 or later": a Boost.Asio of before.
#include <boost/asio/version.hpp>
#undef BOOST_ASIO_VERSION
#define BOOST_ASIO_VERSION 101800
#include <sluice/boost_asio.hpp>
