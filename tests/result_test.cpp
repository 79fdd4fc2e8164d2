// result<T> and its error codes.
#include "catch.hpp"
#include "support/kinds.hpp"

#include <memory>
#include <set>
#include <string>
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

TEST_CASE("value() on an error throws the error", "[result]") {
    static_assert(std::is_base_of_v<std::system_error, sluice::channel_error>);
    auto bad = failed<int>();
    try {
        (void)bad.value();
        FAIL("no exception");
    } catch (const sluice::channel_error& error) {
        CHECK(error.code() == errc::empty);
        CHECK_FALSE(std::string(error.what()).empty());
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
