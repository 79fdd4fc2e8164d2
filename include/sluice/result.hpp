// What an operation came to: errc says why it failed, result<T> holds a value or that reason, channel_error throws it.
#pragma once

#include <concepts>
#include <cstddef>
#include <iosfwd>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <version>

#if defined(__cpp_lib_expected)
#include <expected>
#endif

#include <sluice/detail/throw.hpp>

namespace sluice {

/// Why an operation did not happen. Zero is not a value of it, as `std::error_code` asks.
enum class errc {
    closed = 1,  ///< send: no receiver is left, or the channel was closed; receive: closed, and nothing is left in it
    empty,       ///< try_recv found no message
    full,        ///< try_send found no room; on a rendezvous channel: no receiver waiting
    timeout,     ///< the deadline passed first
    stopped,     ///< the std::stop_token was triggered first
};

/// What an error means, in a few words, such as "the channel is closed".
constexpr std::string_view to_string(errc e) noexcept {
    switch (e) {
        case errc::closed: return "the channel is closed";
        case errc::empty: return "the channel is empty";
        case errc::full: return "the channel is full";
        case errc::timeout: return "the deadline passed";
        case errc::stopped: return "stop was requested";
    }
    return "unknown sluice error";
}

/// The category of sluice's error codes; its name is "sluice". There is one in a process, also where shared objects are
/// compiled with hidden symbols.
[[gnu::visibility("default")]] inline const std::error_category& category() noexcept {
    struct sluice_category final : std::error_category {
        const char* name() const noexcept override { return "sluice"; }
        std::string message(int value) const override { return std::string(to_string(static_cast<errc>(value))); }
    };
    alignas(sluice_category) static std::byte memory[sizeof(sluice_category)];
    static const auto* const instance = ::new (memory) sluice_category;  // for ever: errors may outlive the statics
    return *instance;
}

/// An error as a standard one: `std::error_code` converts from `errc` by it.
inline std::error_code make_error_code(errc e) noexcept { return {static_cast<int>(e), category()}; }

/// Thrown by result::value() where there is no value; code() is the errc.
class [[gnu::visibility("default")]] channel_error;
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

// What a result may be made from as if it were a T. A bool is not made from another result: that would tell whether it
// holds a value.
template <class U, class T>
concept value_for =
    !std::is_same_v<std::remove_cvref_t<U>, result<T>> && !std::is_same_v<std::remove_cvref_t<U>, std::in_place_t> &&
    !std::is_same_v<std::remove_cvref_t<U>, unexpected> && std::is_constructible_v<T, U> &&
    !(std::is_same_v<std::remove_cv_t<T>, bool> && is_result<std::remove_cvref_t<U>>);

// Calls `f` as std::invoke does, with the value of a result, or with nothing if that is void.
template <class F, class Result>
constexpr decltype(auto) call_with_value(F&& f, Result&& r) {
    if constexpr (std::is_void_v<decltype(*std::forward<Result>(r))>) {
        return std::forward<F>(f)();
    } else {
        return std::apply(std::forward<F>(f), std::forward_as_tuple(*std::forward<Result>(r)));
    }
}

template <class Result, class F>
constexpr auto and_then(Result&& r, F&& f) {
    using to = std::remove_cvref_t<decltype(call_with_value(std::forward<F>(f), std::forward<Result>(r)))>;
    static_assert(is_result<to>, "sluice: and_then takes a function that returns a result; transform takes others");
    return r.has_value() ? to(call_with_value(std::forward<F>(f), std::forward<Result>(r))) : to(unexpected(r.error()));
}

template <class Result, class F>
constexpr auto transform(Result&& r, F&& f) {
    using value = std::remove_cv_t<decltype(call_with_value(std::forward<F>(f), std::forward<Result>(r)))>;
    static_assert(!std::is_reference_v<value>, "sluice: transform takes a function that returns no reference");
    if (!r.has_value()) return result<value>(unexpected(r.error()));
    if constexpr (std::is_void_v<value>) {
        call_with_value(std::forward<F>(f), std::forward<Result>(r));
        return result<value>();
    } else {
        return result<value>(std::in_place, call_with_value(std::forward<F>(f), std::forward<Result>(r)));
    }
}

template <class Result, class F>
constexpr auto or_else(Result&& r, F&& f) {
    using to = std::remove_cvref_t<std::invoke_result_t<F, errc>>;
    static_assert(std::is_same_v<to, std::remove_cvref_t<Result>>,
                  "sluice: or_else takes a function of an errc that returns a result of the same type");
    return r.has_value() ? to(std::forward<Result>(r)) : to(std::forward<F>(f)(r.error()));
}
}  // namespace detail

/// A `T`, or the reason why there is none; the interface of `std::expected<T, errc>`.
///
/// `operator*` and `operator->` require a value, `error()` requires that there is none; `value()` throws channel_error
/// instead. Not safe to change from several threads at once.
template <class T>
class result {
public:
    using value_type = T;
    using error_type = errc;

    /// Holds a `T` made from nothing.
    constexpr result() requires std::is_default_constructible_v<T> : value_(std::in_place) {}

    /// Holds a `T` made from `value`; implicit where that conversion is.
    template <detail::value_for<T> U = T>
    constexpr explicit(!std::is_convertible_v<U, T>) result(U&& value)
        : value_(std::in_place, std::forward<U>(value)) {}

    /// Holds a `T` made from `args`.
    template <class... Args>
        requires std::is_constructible_v<T, Args...>
    constexpr explicit result(std::in_place_t, Args&&... args) : value_(std::in_place, std::forward<Args>(args)...) {}

    /// Holds an error.
    constexpr result(unexpected e) noexcept : error_(e.error()) {}

    /// Whether there is a value; `if (r)` asks the same.
    constexpr bool has_value() const noexcept { return value_.has_value(); }
    constexpr explicit operator bool() const noexcept { return has_value(); }

    /// The value, which there must be.
    constexpr T& operator*() & noexcept { return *value_; }
    constexpr const T& operator*() const& noexcept { return *value_; }
    constexpr T&& operator*() && noexcept { return *std::move(value_); }
    constexpr const T&& operator*() const&& noexcept { return *std::move(value_); }
    constexpr T* operator->() noexcept { return std::addressof(*value_); }
    constexpr const T* operator->() const noexcept { return std::addressof(*value_); }

    /// The value, or throws channel_error where there is none.
    constexpr T& value() & { return expect_value(), *value_; }
    constexpr const T& value() const& { return expect_value(), *value_; }
    constexpr T&& value() && { return expect_value(), *std::move(value_); }
    constexpr const T&& value() const&& { return expect_value(), *std::move(value_); }

    /// Why there is no value. Says nothing where there is one.
    constexpr errc error() const noexcept { return error_; }

    /// The value, or what `other` converts to where there is none.
    template <class U = T>
        requires std::is_convertible_v<U, T>
    constexpr T value_or(U&& other) const& { return has_value() ? **this : static_cast<T>(std::forward<U>(other)); }
    template <class U = T>
        requires std::is_convertible_v<U, T>
    constexpr T value_or(U&& other) && {
        return has_value() ? *std::move(*this) : static_cast<T>(std::forward<U>(other));
    }

    /// The error, or `other` where there is a value.
    constexpr errc error_or(errc other) const noexcept { return has_value() ? other : error_; }

    /// What `f`, a function of a `T` that returns a result, returns for the value; or a result of that type with the
    /// error, where there is no value. Then `f` is not called.
    template <class F>
    constexpr auto and_then(F&& f) & {
        return detail::and_then(*this, std::forward<F>(f));
    }
    template <class F>
    constexpr auto and_then(F&& f) const& {
        return detail::and_then(*this, std::forward<F>(f));
    }
    template <class F>
    constexpr auto and_then(F&& f) && {
        return detail::and_then(std::move(*this), std::forward<F>(f));
    }
    template <class F>
    constexpr auto and_then(F&& f) const&& {
        return detail::and_then(std::move(*this), std::forward<F>(f));
    }

    /// A result with what `f`, a function of a `T`, makes of the value; or with the error, where there is no value. Then
    /// `f` is not called. `f` may return `void`.
    template <class F>
    constexpr auto transform(F&& f) & {
        return detail::transform(*this, std::forward<F>(f));
    }
    template <class F>
    constexpr auto transform(F&& f) const& {
        return detail::transform(*this, std::forward<F>(f));
    }
    template <class F>
    constexpr auto transform(F&& f) && {
        return detail::transform(std::move(*this), std::forward<F>(f));
    }
    template <class F>
    constexpr auto transform(F&& f) const&& {
        return detail::transform(std::move(*this), std::forward<F>(f));
    }

    /// This result where there is a value; or what `f`, a function of an errc that returns a result of this type, returns
    /// for the error.
    template <class F>
        requires std::is_constructible_v<T, T&>
    constexpr auto or_else(F&& f) & { return detail::or_else(*this, std::forward<F>(f)); }
    template <class F>
        requires std::is_constructible_v<T, const T&>
    constexpr auto or_else(F&& f) const& { return detail::or_else(*this, std::forward<F>(f)); }
    template <class F>
    constexpr auto or_else(F&& f) && {
        return detail::or_else(std::move(*this), std::forward<F>(f));
    }
    template <class F>
        requires std::is_constructible_v<T, const T>
    constexpr auto or_else(F&& f) const&& { return detail::or_else(std::move(*this), std::forward<F>(f)); }

    /// Holds an error from now on.
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

    /// Results are equal if both hold equal values or both the same error; a result equals a value that it holds, and an
    /// error that it holds. An errc is an error here, unless a `T` can be made from it: then it is a value, and
    /// `unexpected(e)` is the error.
    template <class U>
        requires(!std::is_void_v<U>)
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
    constexpr void expect_value() const {
        if (!has_value()) detail::throw_error(channel_error(error_));
    }

    std::optional<T> value_;
    errc error_ = errc::empty;
};

/// Success, or the reason why not. The members do what those of result<T> do; functions that take its value take nothing.
template <>
class result<void> {
public:
    using value_type = void;
    using error_type = errc;

    constexpr result() noexcept = default;
    constexpr explicit result(std::in_place_t) noexcept {}
    constexpr result(unexpected e) noexcept : error_(e.error()) {}

    constexpr bool has_value() const noexcept { return error_ == errc{}; }
    constexpr explicit operator bool() const noexcept { return has_value(); }
    constexpr void operator*() const noexcept {}
    constexpr void value() const {
        if (!has_value()) detail::throw_error(channel_error(error_));
    }
    constexpr errc error() const noexcept { return error_; }
    constexpr errc error_or(errc other) const noexcept { return has_value() ? other : error_; }

    template <class F>
    constexpr auto and_then(F&& f) const {
        return detail::and_then(*this, std::forward<F>(f));
    }
    template <class F>
    constexpr auto transform(F&& f) const {
        return detail::transform(*this, std::forward<F>(f));
    }
    template <class F>
    constexpr auto or_else(F&& f) const {
        return detail::or_else(*this, std::forward<F>(f));
    }

    constexpr void emplace() noexcept { error_ = errc{}; }

    friend constexpr bool operator==(const result&, const result&) noexcept = default;
    friend constexpr bool operator==(const result& a, unexpected b) noexcept { return a.error_ == b.error(); }
    friend constexpr bool operator==(const result& a, errc b) noexcept { return a.error_ == b; }

private:
    errc error_{};
};

// A result is not printed. Compilers show the comment, or the message, to those who try. A second such operator makes
// clang name these two, where it would name every operator<< that there is.
template <class C, class Traits, class T>
#if defined(__cpp_deleted_function) && __cplusplus > 202302L
void operator<<(std::basic_ostream<C, Traits>&, const result<T>&) = delete ("print *r, or to_string(r.error())");
#else
void operator<<(std::basic_ostream<C, Traits>&, const result<T>&) = delete;  // print *r, or to_string(r.error())
#endif
#if defined(__clang__)
template <class C, class Traits, class T, class = void>
void operator<<(std::basic_ostream<C, Traits>&, const result<T>&) = delete;  // print *r, or to_string(r.error())
#endif

#if defined(__cpp_lib_expected)
/// The same as a `std::expected`.
template <class T>
constexpr std::expected<T, errc> to_expected(result<T> r) {
    if (!r) return std::unexpected(r.error());
    if constexpr (std::is_void_v<T>) {
        return {};
    } else {
        return std::expected<T, errc>(std::in_place, *std::move(r));
    }
}
#endif

}  // namespace sluice

template <>
struct std::is_error_code_enum<sluice::errc> : std::true_type {};
