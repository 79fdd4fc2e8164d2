// Asio or Boost.Asio as `net`: each test here is compiled for both.
#pragma once

#include "../catch.hpp"
#include "../support/outcomes.hpp"
#include "../support/payload.hpp"
#include "../support/task.hpp"

#if defined(SLUICE_TEST_BOOST_ASIO)
#include <boost/asio.hpp>
#include <boost/asio/deferred.hpp>
#include <sluice/boost_asio.hpp>
namespace net = boost::asio;
namespace test {
using boost::asio::deferred;
using error_code = boost::system::error_code;
}  // namespace test
#else
#include <asio.hpp>
#include <asio/experimental/deferred.hpp>
#include <sluice/asio.hpp>
namespace net = asio;
namespace test {
using asio::experimental::deferred;
using error_code = asio::error_code;
}  // namespace test
#endif

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

namespace test {

/// Puts what an operation comes to into a variable, on an executor.
template <class T, class Executor>
auto into(std::optional<sluice::result<T>>& out, const Executor& where) {
    return net::bind_executor(where, [&out](sluice::result<T> r) { out.emplace(std::move(r)); });
}

/// What is left of the one function object that notes how it ends: called or destroyed.
struct fate {
    int called = 0;
    int destroyed = 0;
};

template <class T>
class fateful {
public:
    explicit fateful(fate& f) : fate_(&f) {}
    fateful(fateful&& other) noexcept : fate_(std::exchange(other.fate_, nullptr)) {}
    fateful& operator=(fateful&&) = delete;
    ~fateful() {
        if (fate_) ++fate_->destroyed;
    }
    void operator()(const sluice::result<T>&) const { ++fate_->called; }

private:
    fate* fate_;
};

}  // namespace test
