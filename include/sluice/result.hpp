// What an operation came to: errc says why it failed, result<T> holds a value or that reason, channel_error throws it.
#pragma once

#include <concepts>
#include <iosfwd>
#include <memory>
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

#include <sluice/detail/compiler.hpp>
#include <sluice/detail/immortal.hpp>
#include <sluice/detail/throw.hpp>

namespace sluice {

/// Why an operation did not happen. An error code enum: it converts to a `std::error_code` of category(), for which
/// zero would mean success, so that no value is zero.
enum class errc {
    closed = 1,  ///< send: no receiver is left, or the channel was closed; receive: closed, and nothing is left in it
    empty,       ///< a try to receive found no message
    full,        ///< a try to send found no room; on a rendezvous channel: no receiver that waits
    timeout,     ///< the deadline passed first
    stopped,     ///< the `std::stop_token` was triggered first
};

/// What an error means, in a few words, such as "the channel is closed". Allocates nothing and needs no run-time type
/// information; the characters are those of a string literal. For any other number: "unknown sluice error".
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

namespace detail {

class SLUICE_SHARED sluice_category;
class sluice_category final : public std::error_category {
public:
    const char* name() const noexcept override { return "sluice"; }
    std::string message(int value) const override { return std::string(to_string(static_cast<errc>(value))); }
};

}  // namespace detail

/// The category of sluice's error codes; its name is "sluice", and its messages are those of to_string().
///
/// There is one in a process, also where shared objects are compiled with hidden symbols, so that error codes of
/// different shared objects compare equal. It is never destroyed. May be called by any number of threads at once.
inline const std::error_category& category() noexcept { return detail::immortal<detail::sluice_category>::self(); }

/// The `std::error_code` of an error, in category(). A `std::error_code` is made from an `errc` by it, and compared
/// with one: `if (code == sluice::errc::closed)`.
inline std::error_code make_error_code(errc e) noexcept { return {static_cast<int>(e), category()}; }

class SLUICE_SHARED channel_error;
/// Thrown by result::value() where there is no value. Its `code()` equals the errc, and its `what()` says to_string()
/// of it. Can be caught in another shared object than the one that throws it, also where symbols are hidden.
class channel_error : public std::system_error {
public:
    /// One whose `code()` is make_error_code() of the error.
    explicit channel_error(errc e) : std::system_error(make_error_code(e)) {}
};

/// An error on its way into a result, as `std::unexpected` is one: `return sluice::unexpected(errc::closed);`
class unexpected {
public:
    /// Holds the error. Explicit, so that an errc alone is never taken for a failure where it is meant as a value.
    constexpr explicit unexpected(errc e) noexcept : error_(e) {}
    /// The error that it was made from.
    constexpr errc error() const noexcept { return error_; }
    /// Equal if they hold the same error.
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

// An errc is compared as an error wherever it cannot be meant as a value.
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

/// A `T`, or the reason why there is none. The interface is that of `std::expected<T, errc>` without `transform_error`;
/// to_expected() makes one, where the standard library has it.
///
/// No member blocks, and none throws of its own but value(): what else leaves a member was thrown by a constructor of
/// `T`, or by the function that was given to it. A result is as copyable and movable as its `T`; the result that was
/// moved from still says whether it had a value, and holds a `T` that was moved from. It holds the `T` in itself and
/// allocates nothing.
///
/// Like any value it may be read by several threads at once, and changed by one while no other uses it.
template <class T>
class result {
public:
    /// What it holds if the operation succeeded.
    using value_type = T;
    /// What it holds if the operation failed.
    using error_type = errc;

    /// Holds a `T` made from nothing, where a `T` can be.
    constexpr result() requires std::is_default_constructible_v<T> : value_(std::in_place) {}

    /// Holds a `T` made from `value`; implicit where that conversion is. An rvalue is moved from. A `bool` is not made
    /// from another result, since that would say whether there is a value.
    template <detail::value_for<T> U = T>
    constexpr explicit(!std::is_convertible_v<U, T>) result(U&& value)
        : value_(std::in_place, std::forward<U>(value)) {}

    /// Holds a `T` made from `args` in its place, without a move: `result<std::string>(std::in_place, 3, 'x')`.
    template <class... Args>
        requires std::is_constructible_v<T, Args...>
    constexpr explicit result(std::in_place_t, Args&&... args) : value_(std::in_place, std::forward<Args>(args)...) {}

    /// Holds an error and no value. Implicit, so that a function can return it.
    constexpr result(unexpected e) noexcept : error_(e.error()) {}

    /// @{
    /// Whether there is a value; `if (r)` asks the same.
    constexpr bool has_value() const noexcept { return value_.has_value(); }
    constexpr explicit operator bool() const noexcept { return has_value(); }
    /// @}

    /// @{
    /// The value, or a member of it. Requires that there is one: otherwise the behaviour is undefined. Of an rvalue
    /// result an rvalue, to be moved out.
    constexpr T& operator*() & noexcept { return *value_; }
    constexpr const T& operator*() const& noexcept { return *value_; }
    constexpr T&& operator*() && noexcept { return *std::move(value_); }
    constexpr const T&& operator*() const&& noexcept { return *std::move(value_); }
    constexpr T* operator->() noexcept { return std::addressof(*value_); }
    constexpr const T* operator->() const noexcept { return std::addressof(*value_); }
    /// @}

    /// @{
    /// The value. Throws channel_error with error() where there is none, and changes nothing; where exceptions are
    /// switched off, the program ends with the message of the error. Of an rvalue result an rvalue, to be moved out.
    constexpr T& value() & { return expect_value(), *value_; }
    constexpr const T& value() const& { return expect_value(), *value_; }
    constexpr T&& value() && { return expect_value(), *std::move(value_); }
    constexpr const T&& value() const&& { return expect_value(), *std::move(value_); }
    /// @}

    /// Why there is no value. Where there is one, some errc without meaning.
    constexpr errc error() const noexcept { return error_; }

    /// @{
    /// The value, or where there is none what `other` converts to. The value is copied, or moved out of an rvalue
    /// result; `other` is not touched where there is a value.
    template <class U = T>
        requires std::is_convertible_v<U, T>
    constexpr T value_or(U&& other) const& { return has_value() ? **this : static_cast<T>(std::forward<U>(other)); }
    template <class U = T>
        requires std::is_convertible_v<U, T>
    constexpr T value_or(U&& other) && {
        return has_value() ? *std::move(*this) : static_cast<T>(std::forward<U>(other));
    }
    /// @}

    /// The error, or `other` where there is a value.
    constexpr errc error_or(errc other) const noexcept { return has_value() ? other : error_; }

    /// @{
    /// Goes on with an operation that may fail: what `f`, a function of a `T` that returns a result, returns for the
    /// value. Where there is no value, `f` is not called, and the result of its type holds the error. `f` gets a
    /// reference to the value, of an rvalue result an rvalue; what it throws leaves this call.
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
    /// @}

    /// @{
    /// A result with what `f`, a function of a `T`, makes of the value. Where there is no value, `f` is not called, and
    /// the result holds the error. `f` may return `void`, which makes a `result<void>`, but no reference; it gets a
    /// reference to the value, of an rvalue result an rvalue; what it throws leaves this call.
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
    /// @}

    /// @{
    /// Recovers from a failure: what `f`, a function of an errc that returns a result of this type, returns for the
    /// error. Where there is a value, `f` is not called, and the value is copied, or moved out of an rvalue result.
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
    /// @}

    /// Holds an error from now on; a value is destroyed.
    constexpr result& operator=(unexpected e) noexcept {
        value_.reset();
        error_ = e.error();
        return *this;
    }

    /// Replaces what is held by a `T` made from `args`, and returns a reference to it. A value is destroyed first, so
    /// that `args` must not refer to it. If that throws, there is no value, and error() is what it was.
    template <class... Args>
    constexpr T& emplace(Args&&... args) {
        return value_.emplace(std::forward<Args>(args)...);
    }

    /// @{
    /// Results are equal if both hold equal values or both the same error; a result equals a value that it holds, and
    /// an error that it holds. An errc is an error here, unless a `T` can be made from it: then it is a value, and
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
    /// @}

private:
    constexpr void expect_value() const {
        if (!has_value()) detail::throw_error(channel_error(error_));
    }

    std::optional<T> value_;
    errc error_ = errc::empty;
};

/// Success, or the reason why not: what a send returns. No member blocks, and none throws but value(); its thread
/// safety is that of any other result.
template <>
class result<void> {
public:
    /// What it holds if the operation succeeded: nothing.
    using value_type = void;
    /// What it holds if the operation failed.
    using error_type = errc;

    /// @{
    /// Success.
    constexpr result() noexcept = default;
    constexpr explicit result(std::in_place_t) noexcept {}
    /// @}
    /// Failure. Implicit, so that a function can return it.
    constexpr result(unexpected e) noexcept : error_(e.error()) {}

    /// @{
    /// Whether it is a success; `if (r)` asks the same.
    constexpr bool has_value() const noexcept { return error_ == errc{}; }
    constexpr explicit operator bool() const noexcept { return has_value(); }
    /// @}
    /// Nothing; for templates that also take results of other types.
    constexpr void operator*() const noexcept {}
    /// Throws channel_error with error() where it is a failure; where exceptions are switched off, the program ends
    /// with the message of the error.
    constexpr void value() const {
        if (!has_value()) detail::throw_error(channel_error(error_));
    }
    /// Why it failed. Of a success an errc without meaning.
    constexpr errc error() const noexcept { return error_; }
    /// The error, or `other` where it is a success.
    constexpr errc error_or(errc other) const noexcept { return has_value() ? other : error_; }

    /// What `f`, a function of nothing that returns a result, returns; of a failure, `f` is not called, and the result
    /// of its type holds the error.
    template <class F>
    constexpr auto and_then(F&& f) const {
        return detail::and_then(*this, std::forward<F>(f));
    }
    /// A result with what `f`, a function of nothing, returns; of a failure, `f` is not called, and the result holds
    /// the error. `f` may return `void`, but no reference.
    template <class F>
    constexpr auto transform(F&& f) const {
        return detail::transform(*this, std::forward<F>(f));
    }
    /// What `f`, a function of an errc that returns a `result<void>`, returns for the error; a success as it is,
    /// without a call of `f`.
    template <class F>
    constexpr auto or_else(F&& f) const {
        return detail::or_else(*this, std::forward<F>(f));
    }

    /// Is a success from now on.
    constexpr void emplace() noexcept { error_ = errc{}; }

    /// @{
    /// Equal if both are successes or both hold the same error; a failure equals its error.
    friend constexpr bool operator==(const result&, const result&) noexcept = default;
    friend constexpr bool operator==(const result& a, unexpected b) noexcept { return a.error_ == b.error(); }
    friend constexpr bool operator==(const result& a, errc b) noexcept { return a.error_ == b; }
    /// @}

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
/// The same value or error as a `std::expected`; the value is moved. Present where the standard library has
/// `std::expected`.
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

namespace std {
/// An errc converts to a `std::error_code` implicitly.
template <>
struct is_error_code_enum<sluice::errc> : true_type {};
}  // namespace std
