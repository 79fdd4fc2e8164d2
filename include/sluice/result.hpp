// What an operation came to: errc says why it failed, result<T> holds a value or that reason, channel_error throws it.
#pragma once

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

namespace sluice {

/// Why an operation did not happen. Zero is not a value of it, as `std::error_code` asks.
enum class errc {
    closed = 1,  ///< send: no receiver is left, or the channel was closed; receive: closed, and nothing is left in it
    empty,       ///< try_recv found no message
    full,        ///< try_send found no room; on a rendezvous channel: no receiver waiting
    timeout,     ///< the deadline passed first
    stopped,     ///< the std::stop_token was triggered first
};

/// The category of sluice's error codes; its name is "sluice".
inline const std::error_category& category() noexcept {
    struct sluice_category final : std::error_category {
        const char* name() const noexcept override { return "sluice"; }
        std::string message(int value) const override {
            switch (static_cast<errc>(value)) {
                case errc::closed: return "the channel is closed";
                case errc::empty: return "the channel is empty";
                case errc::full: return "the channel is full";
                case errc::timeout: return "the deadline passed";
                case errc::stopped: return "stop was requested";
            }
            return "unknown sluice error";
        }
    };
    static const sluice_category instance;
    return instance;
}

inline std::error_code make_error_code(errc e) noexcept { return {static_cast<int>(e), category()}; }

/// Thrown by result::value() where there is no value; code() is the errc.
class channel_error : public std::system_error {
public:
    explicit channel_error(errc e) : std::system_error(make_error_code(e)) {}
};

/// Makes a result that holds an error, as std::unexpected does: `return sluice::unexpected(errc::closed);`
class unexpected {
public:
    constexpr explicit unexpected(errc e) noexcept : error_(e) {}
    constexpr errc error() const noexcept { return error_; }
    friend constexpr bool operator==(unexpected, unexpected) noexcept = default;

private:
    errc error_;
};

template <class T>
class result;

namespace detail {
template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<result<T>> = true;

// An errc stands for an error wherever it cannot be meant as a value.
template <class T>
concept error_is_no_value = !std::is_constructible_v<T, errc>;
}  // namespace detail

/// A `T`, or the reason why there is none; the interface of `std::expected<T, errc>`.
///
/// `operator*` and `operator->` require a value, `error()` requires that there is none; `value()` throws channel_error
/// instead. Not safe to change from several threads at once.
template <class T>
class [[nodiscard]] result {
public:
    using value_type = T;
    using error_type = errc;

    constexpr result() requires std::is_default_constructible_v<T> : value_(std::in_place) {}

    template <class U = T>
        requires(!std::is_same_v<std::remove_cvref_t<U>, result> &&
                 !std::is_same_v<std::remove_cvref_t<U>, std::in_place_t> &&
                 !std::is_same_v<std::remove_cvref_t<U>, unexpected> && std::is_constructible_v<T, U>)
    constexpr explicit(!std::is_convertible_v<U, T>) result(U&& value)
        : value_(std::in_place, std::forward<U>(value)) {}

    template <class... Args>
        requires std::is_constructible_v<T, Args...>
    constexpr explicit result(std::in_place_t, Args&&... args) : value_(std::in_place, std::forward<Args>(args)...) {}

    constexpr result(unexpected e) noexcept : error_(e.error()) {}

    constexpr bool has_value() const noexcept { return value_.has_value(); }
    constexpr explicit operator bool() const noexcept { return has_value(); }

    constexpr T& operator*() & noexcept { return *value_; }
    constexpr const T& operator*() const& noexcept { return *value_; }
    constexpr T&& operator*() && noexcept { return *std::move(value_); }
    constexpr const T&& operator*() const&& noexcept { return *std::move(value_); }
    constexpr T* operator->() noexcept { return std::addressof(*value_); }
    constexpr const T* operator->() const noexcept { return std::addressof(*value_); }

    constexpr T& value() & { return require(), *value_; }
    constexpr const T& value() const& { return require(), *value_; }
    constexpr T&& value() && { return require(), *std::move(value_); }
    constexpr const T&& value() const&& { return require(), *std::move(value_); }

    constexpr errc error() const noexcept { return error_; }

    template <class U>
    constexpr T value_or(U&& other) const& {
        return has_value() ? **this : static_cast<T>(std::forward<U>(other));
    }
    template <class U>
    constexpr T value_or(U&& other) && {
        return has_value() ? *std::move(*this) : static_cast<T>(std::forward<U>(other));
    }

    constexpr result& operator=(unexpected e) noexcept {
        value_.reset();
        error_ = e.error();
        return *this;
    }

    /// Replaces what is held by a `T` made from `args`. If that throws, there is no value and error() is what it was.
    template <class... Args>
    constexpr T& emplace(Args&&... args) {
        return value_.emplace(std::forward<Args>(args)...);
    }

    template <class U>
    friend constexpr bool operator==(const result& a, const result<U>& b) {
        if (a.has_value() != b.has_value()) return false;
        return a.has_value() ? *a == *b : a.error() == b.error();
    }
    // `Self` keeps a test framework's expression, which a result converts from, out before its comparisons are looked
    // at.
    template <class Self, class U>
        requires(std::is_same_v<Self, result> && !detail::is_result<U> && !std::is_same_v<U, unexpected> &&
                 !(std::is_same_v<U, errc> && detail::error_is_no_value<T>)&&requires(const T& t, const U& u) {
                     { t == u } -> std::convertible_to<bool>;
                 })
    friend constexpr bool operator==(const Self& a, const U& b) { return a.has_value() && *a == b; }
    friend constexpr bool operator==(const result& a, unexpected b) { return !a.has_value() && a.error_ == b.error(); }
    friend constexpr bool operator==(const result& a, errc b) requires detail::error_is_no_value<T> {
        return a == unexpected(b);
    }

private:
    constexpr void require() const {
        if (!has_value()) throw channel_error(error_);
    }

    std::optional<T> value_;
    errc error_ = errc::empty;
};

/// Success, or the reason why not.
template <>
class [[nodiscard]] result<void> {
public:
    using value_type = void;
    using error_type = errc;

    constexpr result() noexcept = default;
    constexpr result(unexpected e) noexcept : error_(e.error()) {}

    constexpr bool has_value() const noexcept { return error_ == errc{}; }
    constexpr explicit operator bool() const noexcept { return has_value(); }
    constexpr void operator*() const noexcept {}
    constexpr void value() const {
        if (!has_value()) throw channel_error(error_);
    }
    constexpr errc error() const noexcept { return error_; }

    friend constexpr bool operator==(const result&, const result&) noexcept = default;
    friend constexpr bool operator==(const result& a, unexpected b) noexcept { return a.error_ == b.error(); }
    friend constexpr bool operator==(const result& a, errc b) noexcept { return a.error_ == b; }

private:
    errc error_{};
};

}  // namespace sluice

template <>
struct std::is_error_code_enum<sluice::errc> : std::true_type {};
