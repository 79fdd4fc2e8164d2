// result<T> and its error codes.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/outcomes.hpp"

#include <memory>
#include <ostream>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

using namespace test;
using sluice::errc;

namespace {

constexpr errc all_errors[] = {errc::closed, errc::empty, errc::full, errc::timeout, errc::stopped};

template <class T>
sluice::result<T> received(T value) {
    auto [tx, rx] = sluice::unbounded<T>();
    REQUIRE(tx.send(std::move(value)).has_value());
    return rx.try_recv();
}

template <class T>
sluice::result<T> failed() {
    auto [tx, rx] = sluice::unbounded<T>();
    return rx.try_recv();
}

sluice::result<void> sent() {
    auto [tx, rx] = sluice::unbounded<int>();
    return tx.send(1);
}

sluice::result<void> refused() {
    auto [tx, rx] = sluice::bounded<int>(0);
    return tx.try_send(1);
}

}  // namespace

TEST_CASE("errors are standard error codes", "[result]") {
    static_assert(std::is_error_code_enum_v<errc>);
    static_assert(static_cast<int>(errc::closed) == 1);

    std::set<std::string> messages;
    for (const errc error : all_errors) {
        const std::error_code code = error;
        CHECK(code);
        CHECK(code == make_error_code(error));
        CHECK(code == error);
        CHECK(std::string(code.category().name()) == "sluice");
        CHECK(code.category() == make_error_code(errc::closed).category());
        CHECK_FALSE(code.message().empty());
        messages.insert(code.message());
    }
    CHECK(messages.size() == std::size(all_errors));
    CHECK(std::error_code(errc::closed) != std::make_error_code(std::errc::operation_not_permitted));
}

TEST_CASE("an error is named in words", "[result]") {
    static_assert(noexcept(to_string(errc::closed)));
    static_assert(std::is_same_v<decltype(to_string(errc::closed)), std::string_view>);
    static_assert(to_string(errc::timeout) == "the deadline passed");
    for (const errc error : all_errors) {
        CHECK(to_string(error) == make_error_code(error).message());
    }
    CHECK(to_string(errc{}) == "unknown sluice error");
    CHECK(sluice::category().message(77) == "unknown sluice error");
}

TEMPLATE_LIST_TEST_CASE("a result holds a value or an error", "[result]", payloads) {
    const audit books;
    {
        sluice::result<TestType> good = received(TestType(7));
        REQUIRE(good.has_value());
        CHECK(static_cast<bool>(good));
        CHECK(id_of(*good) == 7);
        CHECK(id_of(*std::as_const(good)) == 7);
        CHECK(id_of(good.value()) == 7);
        CHECK(id_of(std::as_const(good).value()) == 7);

        sluice::result<TestType> bad = failed<TestType>();
        CHECK_FALSE(bad.has_value());
        CHECK_FALSE(static_cast<bool>(bad));
        CHECK(bad.error() == errc::empty);

        const TestType taken = *std::move(good);
        CHECK(id_of(taken) == 7);
        CHECK(id_of(received(TestType(8)).value()) == 8);
        CHECK(id_of(received(TestType(9)).value_or(TestType(1))) == 9);
        CHECK(id_of(std::move(bad).value_or(TestType(1))) == 1);
    }
    CHECK(books.balanced());
}

TEMPLATE_LIST_TEST_CASE("a result moves and is assigned as its content", "[result]", payloads) {
    const audit books;
    {
        sluice::result<TestType> first = received(TestType(1));
        sluice::result<TestType> moved = std::move(first);
        CHECK(first.has_value());
        REQUIRE(moved.has_value());
        CHECK(id_of(*moved) == 1);

        sluice::result<TestType> target = received(TestType(2));
        target = std::move(moved);
        CHECK(id_in(target) == 1);
        target = failed<TestType>();
        CHECK(error_in(target) == errc::empty);
        target = failed<TestType>();
        CHECK(error_in(target) == errc::empty);
        target = received(TestType(3));
        CHECK(id_in(target) == 3);
    }
    CHECK(books.balanced());
}

TEMPLATE_LIST_TEST_CASE("a result of a copyable type is copied", "[result]", copyable_payloads) {
    const audit books;
    {
        const sluice::result<TestType> good = received(TestType(1));
        const sluice::result<TestType> bad = failed<TestType>();
        sluice::result<TestType> copy = good;
        CHECK(id_in(copy) == 1);
        CHECK(id_in(good) == 1);
        copy = bad;
        CHECK(error_in(copy) == errc::empty);
        copy = good;
        CHECK(id_in(copy) == 1);
        CHECK(id_of(good.value_or(TestType(5))) == 1);
        CHECK(id_of(bad.value_or(TestType(5))) == 5);
    }
    CHECK(books.balanced());
}

// Comparisons of results stand in parentheses of their own: Catch2's expression templates would compare with them too.
TEST_CASE("results compare with results and with values", "[result]") {
    CHECK((received(std::string("a")) == received(std::string("a"))));
    CHECK_FALSE((received(std::string("a")) == received(std::string("b"))));
    CHECK_FALSE((received(std::string("a")) == failed<std::string>()));
    CHECK((failed<std::string>() == failed<std::string>()));
    CHECK((received(std::string("a")) != failed<std::string>()));
    CHECK((received(std::string("a")) == std::string("a")));
    CHECK_FALSE((failed<std::string>() == std::string("a")));
    CHECK((sent() == sent()));
    CHECK((sent() != refused()));

    auto [tx, rx] = sluice::unbounded<std::string>();
    tx.close();
    CHECK((rx.try_recv() != failed<std::string>()));
}

TEST_CASE("a result points into its value", "[result]") {
    auto text = received(std::string("abc"));
    CHECK(text->size() == 3);
    text->push_back('d');
    CHECK(*text == "abcd");
    CHECK(std::as_const(text)->size() == 4);

    auto owner = received(std::make_unique<int>(4));
    const std::unique_ptr<int> out = *std::move(owner);
    CHECK(*out == 4);
    CHECK(owner.has_value());
    CHECK(*owner == nullptr);
}

TEST_CASE("a value is made in the place of what was there", "[result]") {
    auto r = failed<std::string>();
    std::string& made = r.emplace(3, 'x');
    CHECK(&made == &*r);
    CHECK(r == "xxx");
    r = sluice::unexpected(errc::full);
    CHECK_THROWS_AS(r.emplace(std::string("abc"), 4), std::out_of_range);
    CHECK(error_in(r) == errc::full);
    CHECK(sluice::result<std::string>(std::in_place, 2, 'y') == "yy");
}

TEST_CASE("value() on an error throws the error", "[result]") {
    static_assert(std::is_base_of_v<std::system_error, sluice::channel_error>);
    auto bad = failed<int>();
    try {
        (void)bad.value();
        FAIL("no exception");
    } catch (const sluice::channel_error& error) {
        CHECK(error.code() == errc::empty);
        CHECK(std::string_view(error.what()) == to_string(errc::empty));
    }
    CHECK_THROWS_AS(std::as_const(bad).value(), sluice::channel_error);
    CHECK_THROWS_AS(failed<std::unique_ptr<int>>().value(), std::system_error);
    CHECK_THROWS_AS(refused().value(), sluice::channel_error);
    CHECK_NOTHROW(sent().value());
}

TEST_CASE("a result of nothing", "[result]") {
    static_assert(std::is_void_v<decltype(*std::declval<sluice::result<void>&>())>);
    CHECK(sent().has_value());
    CHECK(static_cast<bool>(sent()));
    const auto bad = refused();
    CHECK_FALSE(bad);
    CHECK(bad.error() == errc::full);
    auto copy = bad;
    CHECK(copy.error() == errc::full);
    copy = sent();
    CHECK(copy.has_value());
}

TEST_CASE("a bool and an error code are values like any other", "[result]") {
    const auto no = received(false);
    REQUIRE(no.has_value());
    CHECK(*no == false);
    CHECK(no.value_or(true) == false);
    CHECK((no == received(false)));
    CHECK_FALSE((no == received(true)));
    const auto none = failed<bool>();
    CHECK_FALSE(none.has_value());
    CHECK(none.value_or(true) == true);
    CHECK(none.error() == errc::empty);

    const auto message = received(errc::full);
    REQUIRE(message.has_value());
    CHECK(*message == errc::full);
    CHECK((message == received(errc::full)));
    const auto lost = failed<errc>();
    REQUIRE_FALSE(lost.has_value());
    CHECK(lost.error() == errc::empty);
    CHECK_FALSE((lost == received(errc::empty)));
    CHECK(lost.value_or(errc::closed) == errc::closed);
    CHECK_THROWS_AS(lost.value(), sluice::channel_error);
}

TEST_CASE("a result is implicitly as copyable and movable as its value", "[result]") {
    static_assert(std::is_copy_constructible_v<sluice::result<std::string>>);
    static_assert(!std::is_copy_constructible_v<sluice::result<std::unique_ptr<int>>>);
    static_assert(std::is_nothrow_move_constructible_v<sluice::result<std::unique_ptr<int>>>);
    static_assert(std::is_copy_constructible_v<sluice::result<void>>);
    static_assert(!std::is_convertible_v<sluice::result<int>, bool>);
    static_assert(std::is_constructible_v<bool, sluice::result<int>>);
    const sluice::result<std::string> made = std::string("made");
    CHECK(made.value() == "made");
}

TEMPLATE_LIST_TEST_CASE("a function is chained to a result", "[result]", payloads) {
    const audit books;
    {
        int calls = 0;
        const auto next = [&](TestType message) -> sluice::result<int> {
            ++calls;
            if (id_of(message) == 0) return sluice::unexpected(errc::full);
            return id_of(message) + 1;
        };
        CHECK(*received(TestType(7)).and_then(next) == 8);
        CHECK(error_in(received(TestType(0)).and_then(next)) == errc::full);
        CHECK(calls == 2);
        CHECK(error_in(failed<TestType>().and_then(next)) == errc::empty);
        CHECK(calls == 2);
        CHECK(received(TestType(7)).and_then([&](TestType) { return sent(); }).has_value());
        CHECK(error_in(received(TestType(7)).and_then([&](TestType) { return refused(); })) == errc::full);
    }
    CHECK(books.balanced());
}

TEMPLATE_LIST_TEST_CASE("the value of a result is transformed", "[result]", payloads) {
    const audit books;
    {
        int calls = 0;
        const auto count = [&](const TestType& message) {
            ++calls;
            return std::to_string(id_of(message));
        };
        CHECK(*received(TestType(7)).transform(count) == "7");
        CHECK(calls == 1);
        CHECK(error_in(failed<TestType>().transform(count)) == errc::empty);
        CHECK(calls == 1);

        auto moved = received(TestType(3)).transform([](TestType&& message) { return std::move(message); });
        static_assert(std::is_same_v<decltype(moved), sluice::result<TestType>>);
        CHECK(id_in(moved) == 3);

        auto nothing = received(TestType(4)).transform([&](auto&&) { ++calls; });
        static_assert(std::is_same_v<decltype(nothing), sluice::result<void>>);
        CHECK(nothing.has_value());
        CHECK(calls == 2);
        CHECK(error_in(failed<TestType>().transform([&](auto&&) { ++calls; })) == errc::empty);
        CHECK(calls == 2);
    }
    CHECK(books.balanced());
}

TEMPLATE_LIST_TEST_CASE("a failed result is replaced", "[result]", payloads) {
    const audit books;
    {
        errc seen{};
        const auto instead = [&](errc error) -> sluice::result<TestType> {
            seen = error;
            return TestType(5);
        };
        CHECK(id_in(received(TestType(7)).or_else(instead)) == 7);
        CHECK(seen == errc{});
        CHECK(id_in(failed<TestType>().or_else(instead)) == 5);
        CHECK(seen == errc::empty);
        const auto other = [](errc) -> sluice::result<TestType> { return sluice::unexpected(errc::closed); };
        CHECK(error_in(failed<TestType>().or_else(other)) == errc::closed);
    }
    CHECK(books.balanced());
}

TEST_CASE("functions get the value as what the result is", "[result]") {
    struct categories {
        int operator()(std::string&) const { return 1; }
        int operator()(const std::string&) const { return 2; }
        int operator()(std::string&&) const { return 3; }
        int operator()(const std::string&&) const { return 4; }
    };
    const auto as_result = [](auto&& value) -> sluice::result<int> {
        return categories{}(std::forward<decltype(value)>(value));
    };
    auto text = received(std::string("abc"));
    CHECK(*text.transform(categories{}) == 1);
    CHECK(*std::as_const(text).transform(categories{}) == 2);
    CHECK(*std::move(text).transform(categories{}) == 3);
    CHECK(*std::move(std::as_const(text)).transform(categories{}) == 4);
    CHECK(*text.and_then(as_result) == 1);
    CHECK(*std::as_const(text).and_then(as_result) == 2);
    CHECK(*std::move(text).and_then(as_result) == 3);
    CHECK(*std::move(std::as_const(text)).and_then(as_result) == 4);

    const auto none = [](errc) -> sluice::result<std::string> { return sluice::unexpected(errc::full); };
    CHECK(*text.or_else(none) == "abc");
    CHECK(*std::as_const(text).or_else(none) == "abc");
    CHECK(*std::move(std::as_const(text)).or_else(none) == "abc");
    CHECK(*text == "abc");
    CHECK(*std::move(text).or_else(none) == "abc");
    CHECK(text->empty());

    // A function may be one that is used once, and a pointer to a member.
    struct once {
        std::unique_ptr<int> held;
        int operator()(int more) && { return *held + more; }
    };
    CHECK(*received(1).transform(once{std::make_unique<int>(2)}) == 3);
    CHECK(*received(std::string("abc")).transform(&std::string::size) == 3);
}

TEST_CASE("functions are chained to a result of nothing", "[result]") {
    int calls = 0;
    const auto answer = [&] {
        ++calls;
        return 6;
    };
    CHECK(*sent().transform(answer) == 6);
    CHECK(sent().transform([&] { ++calls; }).has_value());
    CHECK(*sent().and_then([&] { return received(answer()); }) == 6);
    CHECK(error_in(sent().and_then(refused)) == errc::full);
    CHECK(calls == 3);

    CHECK(error_in(refused().transform(answer)) == errc::full);
    CHECK(error_in(refused().transform([&] { ++calls; })) == errc::full);
    CHECK(error_in(refused().and_then([&] { return received(answer()); })) == errc::full);
    CHECK(calls == 3);

    errc seen{};
    const auto forgive = [&](errc error) {
        seen = error;
        return sluice::result<void>();
    };
    CHECK(refused().or_else(forgive).has_value());
    CHECK(seen == errc::full);
    seen = {};
    CHECK(sent().or_else(forgive).has_value());
    CHECK(seen == errc{});
}

TEST_CASE("an error or another", "[result]") {
    CHECK(failed<int>().error_or(errc::stopped) == errc::empty);
    CHECK(received(1).error_or(errc::stopped) == errc::stopped);
    CHECK(refused().error_or(errc::stopped) == errc::full);
    CHECK(sent().error_or(errc::stopped) == errc::stopped);
    CHECK(received(errc::full).error_or(errc::stopped) == errc::stopped);
}

TEST_CASE("a bool is not made from another result", "[result]") {
    static_assert(!std::is_constructible_v<sluice::result<bool>, sluice::result<int>>);
    static_assert(!std::is_constructible_v<sluice::result<bool>, sluice::result<void>>);
    static_assert(std::is_constructible_v<sluice::result<sluice::result<int>>, sluice::result<int>>);

    const auto both = received(false).and_then([](bool b) -> sluice::result<errc> {
        CHECK_FALSE(b);
        return errc::closed;
    });
    REQUIRE(both.has_value());
    CHECK(*both == errc::closed);
    const auto recovered = failed<errc>().or_else([](errc e) -> sluice::result<errc> { return e; });
    REQUIRE(recovered.has_value());
    CHECK(*recovered == errc::empty);
    CHECK_FALSE(*failed<bool>().or_else([](errc) -> sluice::result<bool> { return false; }));
}

TEST_CASE("results are computed by the compiler", "[result]") {
    static_assert(sluice::result<int>(2).transform([](int x) { return x + 1; }) == 3);
    static_assert(sluice::result<int>(2).and_then([](int x) -> sluice::result<long> { return x; }) == 2L);
    static_assert(*sluice::result<int>(sluice::unexpected(errc::full)).or_else([](errc) -> sluice::result<int> {
        return 4;
    }) == 4);
    static_assert(sluice::result<void>().transform([] { return 5; }) == 5);
    static_assert(sluice::result<void>(sluice::unexpected(errc::full)).error_or(errc::closed) == errc::full);
    CHECK(sluice::result<void>(std::in_place).has_value());
}

namespace {

template <class T>
concept printable = requires(std::ostream& out, const T& value) {
    out << value;
};

struct stamp {};
[[maybe_unused]] std::ostream& operator<<(std::ostream& out, const sluice::result<stamp>&) { return out; }

}  // namespace

TEST_CASE("a result is printable only where the program says how", "[result]") {
    static_assert(printable<int>);
    static_assert(!printable<sluice::result<int>>);
    static_assert(!printable<sluice::result<bool>>);
    static_assert(!printable<sluice::result<void>>);
    static_assert(printable<sluice::result<stamp>>);
    CHECK(Catch::Detail::stringify(received(1)) == Catch::Detail::stringify(received(2)));
}
