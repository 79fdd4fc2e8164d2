// Many messages in one call: send_many, recv_many, iteration and ranges.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/onlooker.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <list>
#include <memory>
#include <optional>
#include <ranges>
#include <sstream>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace test;
using sluice::errc;

namespace {

/// A range whose elements are offered as rvalues, in the order of the container.
template <class Container>
struct given_away {
    Container& from;
    auto begin() const { return std::make_move_iterator(from.begin()); }
    auto end() const { return std::make_move_iterator(from.end()); }
};

template <class T>
std::vector<T> messages(int first, int last) {
    std::vector<T> made;
    made.reserve(static_cast<std::size_t>(last - first));
    for (int id = first; id < last; ++id) {
        made.emplace_back(id);
    }
    return made;
}

template <class T>
std::vector<int> ids_of(const std::vector<T>& values) {
    std::vector<int> ids;
    for (const auto& value : values) {
        ids.push_back(id_of(value));
    }
    return ids;
}

/// A range that makes its elements as it goes, any number of times.
struct number_range {
    struct iterator {
        using value_type = int;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::forward_iterator_tag;
        int at = 0;
        int operator*() const { return at; }
        iterator& operator++() {
            ++at;
            return *this;
        }
        iterator operator++(int) { return {at++}; }
        bool operator==(const iterator&) const = default;
    };
    int first;
    int last;
    iterator begin() const { return {first}; }
    iterator end() const { return {last}; }
};

/// A container of the user's own, which lets an onlooker look as it grows.
struct watched_container {
    using value_type = int;
    onlooker* watch;
    std::vector<int> kept;
    void push_back(int message) {
        watch->look();
        kept.push_back(message);
    }
};

/// An allocator that lets an onlooker look.
template <class T>
struct watched_allocator {
    using value_type = T;
    explicit watched_allocator(onlooker& who) : watch(&who) {}
    template <class U>
    watched_allocator(const watched_allocator<U>& other) : watch(other.watch) {}
    T* allocate(std::size_t count) {
        watch->look();
        return std::allocator<T>().allocate(count);
    }
    void deallocate(T* block, std::size_t count) { std::allocator<T>().deallocate(block, count); }
    friend bool operator==(const watched_allocator& a, const watched_allocator& b) { return a.watch == b.watch; }
    onlooker* watch;
};

/// Numbers that let an onlooker look at each step.
struct watched_range {
    struct iterator {
        using value_type = int;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;
        onlooker* watch = nullptr;
        int at = 0;
        int operator*() const { return watch->look(), at; }
        iterator& operator++() {
            watch->look();
            ++at;
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator==(int end) const { return watch->look(), at == end; }
    };
    onlooker& watch;
    int count;
    iterator begin() const { return {&watch, 0}; }
    int end() const { return count; }
};

std::vector<std::string> words(int count) {
    std::vector<std::string> made;
    for (int i = 0; i < count; ++i) {
        made.push_back("a word too long to lie in the string itself, with the number " + std::to_string(i));
    }
    return made;
}

std::vector<std::unique_ptr<int>> pointers(int count) {
    std::vector<std::unique_ptr<int>> made;
    for (int i = 0; i < count; ++i) {
        made.push_back(std::make_unique<int>(i));
    }
    return made;
}

bool is_gone(const std::string& text) { return text.empty(); }
bool is_gone(const std::unique_ptr<int>& pointer) { return !pointer; }

/// The places of the elements that were moved from.
template <class Elements>
std::vector<int> gone(const Elements& elements) {
    std::vector<int> places;
    for (std::size_t i = 0; i < elements.size(); ++i) {
        if (is_gone(elements[i])) {
            places.push_back(static_cast<int>(i));
        }
    }
    return places;
}

/// A message, and the elements that it is made of.
struct words_to_optionals {
    using message = std::optional<std::string>;
    static auto make(int count) { return words(count); }
};
struct unique_to_shared {
    using message = std::shared_ptr<int>;
    static auto make(int count) { return pointers(count); }
};
struct words_to_words {
    using message = std::string;
    static auto make(int count) { return words(count); }
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("send_many sends all, in order, blocking while there is no room", "[batch]", payloads_and_page) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const audit books;
    {
        auto [tx, rx] = make_channel<TestType>(which);
        auto batch = messages<TestType>(0, 50);
        task sender([&, &tx = tx] { return tx.send_many(given_away<std::vector<TestType>>{batch}); });
        if (which != kind::unbounded) {
            REQUIRE(wait_until_asleep(sender));
        }
        std::vector<int> ids;
        while (ids.size() < 50) {
            ids.push_back(id_of(rx.recv().value()));
        }
        CHECK(ids == numbers(0, 50));
        CHECK(sender.get() == 50);
    }
    CHECK(books.balanced());
}

TEST_CASE("send_many takes any input range", "[batch]") {
    auto [tx, rx] = sluice::unbounded<std::string>();
    const std::vector<std::string> fixed{"a", "b"};
    CHECK(tx.send_many(fixed) == 2);
    CHECK(fixed == std::vector<std::string>{"a", "b"});
    std::list<std::string> list{"c", "d"};
    CHECK(tx.send_many(list) == 2);
    CHECK(list.front() == "c");
    const std::array<const char*, 2> literals{"e", "f"};
    CHECK(tx.send_many(literals) == 2);
    CHECK(tx.send_many(std::vector<std::string>{}) == 0);
    std::string joined;
    CHECK(rx.try_recv_many(std::back_inserter(list), 100) == 6);
    for (const auto& text : list) {
        joined += text;
    }
    CHECK(joined == "cdabcdef");

    auto [number_tx, number_rx] = sluice::bounded<int>(10);
    std::istringstream words("1 2 3");
    struct input {
        std::istringstream& from;
        auto begin() const { return std::istream_iterator<int>(from); }
        auto end() const { return std::istream_iterator<int>(); }
    };
    CHECK(number_tx.send_many(input{words}) == 3);
    CHECK(number_tx.try_send_many(number_range{4, 6}) == 2);
    CHECK(drain(number_rx) == numbers(1, 6));
}

TEMPLATE_LIST_TEST_CASE("send_many stops where the channel closes", "[batch]", payloads_and_page) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    auto batch = messages<TestType>(0, 20);
    if (which == kind::unbounded) {
        rx.close();
        CHECK(tx.send_many(given_away<std::vector<TestType>>{batch}) == 0);
        CHECK(ids_of(batch) == numbers(0, 20));
        return;
    }
    task sender([&, &tx = tx] { return tx.send_many(given_away<std::vector<TestType>>{batch}); });
    REQUIRE(wait_until_asleep(sender));
    CHECK(id_in(rx.recv()) == 0);
    CHECK(id_in(rx.recv()) == 1);
    REQUIRE(wait_until_asleep(sender));
    tx.close();
    const auto sent = sender.get();
    CHECK(sent == static_cast<std::size_t>(2 + room(which)));
    CHECK(drain(rx) == numbers(2, 2 + room(which)));
    batch.erase(batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(sent));
    CHECK(ids_of(batch) == numbers(static_cast<int>(sent), 20));
}

TEMPLATE_LIST_TEST_CASE("try_send_many sends what there is room for", "[batch]", payloads_and_page) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    auto batch = messages<TestType>(0, 20);
    const auto expected = capacity_of(which).value_or(20);
    CHECK(tx.try_send_many(given_away<std::vector<TestType>>{batch}) == expected);
    auto rest = batch.begin() + static_cast<std::ptrdiff_t>(expected);
    CHECK(std::all_of(rest, batch.end(), [&](const auto& left) { return id_of(left) == &left - batch.data(); }));
    CHECK(drain(rx) == numbers(0, static_cast<int>(expected)));
    tx.close();
    auto late = messages<TestType>(0, 2);
    CHECK(tx.try_send_many(given_away<std::vector<TestType>>{late}) == 0);
    CHECK(ids_of(late) == numbers(0, 2));
}

TEMPLATE_LIST_TEST_CASE("try_send_many serves the receivers that wait", "[batch]", payloads_and_page) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    std::list<task<id_or_error>> receivers;
    for (int i = 0; i < 2; ++i) {
        receivers.emplace_back([&rx = rx] { return id_in(rx.recv()); });
        REQUIRE(wait_until_asleep(receivers.back()));
    }
    auto batch = messages<TestType>(0, 20);
    const auto sent = tx.try_send_many(given_away<std::vector<TestType>>{batch});
    CHECK(receivers.front().get() == 0);
    CHECK(receivers.back().get() == 1);
    CHECK(sent == capacity_of(which).value_or(18) + 2);
    CHECK(drain(rx) == numbers(2, static_cast<int>(sent)));
}

TEMPLATE_TEST_CASE("try_send_many of an rvalue container gives up what it sends and nothing else", "[batch]",
                   words_to_optionals, unique_to_shared, words_to_words) {
    const auto which = EACH_KIND();
    const int count = GENERATE(2, 5, 200);
    CAPTURE(which, count);
    auto [tx, rx] = make_channel<typename TestType::message>(which);
    const auto try_it = [count, &tx = tx] {
        auto elements = TestType::make(count);
        const std::size_t sent = tx.try_send_many(std::move(elements));
        CHECK(gone(elements) == numbers(0, static_cast<int>(sent)));
        return sent;
    };
    const auto all = static_cast<std::size_t>(count);
    CHECK(try_it() == (std::min)(all, capacity_of(which).value_or(all)));
    if (which != kind::unbounded && which != kind::rendezvous && count > room(which)) {
        CHECK(try_it() == 0);
        REQUIRE(rx.try_recv().has_value());
        CHECK(try_it() == 1);
    }
    tx.close();
    CHECK(try_it() == 0);
}

TEMPLATE_TEST_CASE("send_many of an rvalue container gives up what it sends and the element under way", "[batch]",
                   words_to_optionals, unique_to_shared, words_to_words) {
    const auto which = EACH_BOUNDED_KIND();
    const bool stopping = GENERATE(false, true);
    CAPTURE(which, stopping);
    auto [tx, rx] = make_channel<typename TestType::message>(which);
    auto elements = TestType::make(100);
    std::stop_source source;
    task sender([&, &tx = tx] { return tx.send_many(std::move(elements), source.get_token()); });
    REQUIRE(wait_until_asleep(sender));
    CHECK(rx.recv().has_value());
    CHECK(rx.recv().has_value());
    REQUIRE(wait_until_asleep(sender));
    if (stopping) {
        source.request_stop();
    } else {
        rx.close();
    }
    const std::size_t sent = sender.get();
    CHECK(sent == static_cast<std::size_t>(2 + room(which)));
    const bool converted = !std::is_same_v<TestType, words_to_words>;
    const int given_up = static_cast<int>(sent);
    CHECK((gone(elements) == numbers(0, given_up) || (converted && gone(elements) == numbers(0, given_up + 1))));
}

TEMPLATE_TEST_CASE("send_many to a closed channel leaves its elements alone", "[batch]", words_to_optionals,
                   unique_to_shared, words_to_words) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<typename TestType::message>(which);
    auto elements = TestType::make(5);
    rx.close();
    CHECK(tx.send_many(std::move(elements)) == 0);
    CHECK(sluice::sender<typename TestType::message>().send_many(std::move(elements)) == 0);
    CHECK(gone(elements).empty());
}

TEMPLATE_LIST_TEST_CASE("recv_many writes what is there, up to its limit", "[batch]", payloads_and_page) {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    fill(tx, which);
    const auto count = static_cast<std::size_t>(room(which));
    std::vector<TestType> out;
    out.reserve(20);
    CHECK(rx.recv_many(std::back_inserter(out), 1) == 1);
    CHECK(rx.try_recv_many(std::back_inserter(out), 100) == count - 1);
    CHECK(ids_of(out) == numbers(0, room(which)));
    CHECK(rx.try_recv_many(std::back_inserter(out), 100) == 0);
    fill(tx, which);
    tx.close();
    std::vector<int> ids;
    CHECK(rx.try_recv_many(id_sink{&ids}, 0) == 0);
    CHECK(rx.recv_many(id_sink{&ids}, 100) == count);
    CHECK(ids == numbers(0, room(which)));
    CHECK(rx.recv_many(id_sink{&ids}, 100) == 0);
    CHECK(rx.try_recv_many(id_sink{&ids}, 100) == 0);
}

TEMPLATE_LIST_TEST_CASE("recv_many waits for the first message", "[batch]", payloads_and_page) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    std::vector<int> ids;
    task receiver([&, &rx = rx] { return rx.recv_many(id_sink{&ids}, 10); });
    REQUIRE(wait_until_asleep(receiver));
    CHECK(tx.send(TestType(4)).has_value());
    CHECK(receiver.get() == 1);
    CHECK(ids == std::vector<int>{4});
    task closing([&, &rx = rx] { return rx.recv_many(id_sink{&ids}, 10); });
    REQUIRE(wait_until_asleep(closing));
    tx.close();
    CHECK(closing.get() == 0);
    CHECK(ids.size() == 1);
}

TEMPLATE_LIST_TEST_CASE("receiving many takes the messages of blocked senders too", "[batch]", payloads_and_page) {
    const auto which = EACH_BOUNDED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    fill(tx, which);
    std::list<task<errc>> senders;
    for (int i = 0; i < 3; ++i) {
        senders.emplace_back([&tx = tx, id = room(which) + i] { return error_in(tx.send(TestType(id))); });
        REQUIRE(wait_until_asleep(senders.back()));
    }
    std::vector<int> ids;
    while (ids.size() < static_cast<std::size_t>(room(which) + 3)) {
        REQUIRE(rx.recv_many(id_sink{&ids}, 100) > 0);
    }
    CHECK(ids == numbers(0, room(which) + 3));
    for (auto& sender : senders) {
        CHECK(sender.get() == errc{});
    }
    CHECK(rx.try_recv_many(id_sink{&ids}, 100) == 0);
}

TEST_CASE("receiving many takes all that is there, also what came since it was last looked", "[batch]") {
    const auto which = GENERATE(kind::three, kind::unbounded);
    const bool blocking = GENERATE(true, false);
    CAPTURE(which, blocking);
    const int there = which == kind::three ? 3 : 99;
    auto [tx, rx] = make_channel<int>(which);
    const auto recv_many = [&, &rx = rx](auto out) {
        return blocking ? rx.recv_many(out, 200) : rx.try_recv_many(out, 200);
    };
    const auto come_later = [&, &tx = tx, &rx = rx] {
        (void)drain(rx);
        REQUIRE(tx.send(-1).has_value());
        REQUIRE(tx.send(0).has_value());
        REQUIRE(rx.recv().value() == -1);
        for (int id = 1; id < there; ++id) {
            REQUIRE(tx.send(id).has_value());
        }
    };
    std::vector<int> all(200, -1);
    const auto is_right = [&](std::size_t count) {
        std::vector<int> ids(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count));
        return ids == numbers(0, there) && all[count] == -1;
    };
    come_later();
    CHECK(is_right(recv_many(all.data())));
    std::fill(all.begin(), all.end(), -1);
    come_later();
    CHECK(is_right(recv_many(all.begin())));
    std::vector<int> appended;
    come_later();
    CHECK(recv_many(std::back_inserter(appended)) == static_cast<std::size_t>(there));
    CHECK(appended == numbers(0, there));
    std::vector<int> noted;
    come_later();
    CHECK(recv_many(id_sink{&noted}) == static_cast<std::size_t>(there));
    CHECK(noted == numbers(0, there));
}

TEST_CASE("the user's containers and iterators run with no lock held", "[batch]") {
    const auto which = EACH_BUFFERED_KIND();
    const bool blocking = GENERATE(true, false);
    CAPTURE(which, blocking);
    const auto ch = make_channel<int>(which);
    onlooker watch(send_and_receive(ch, 100));
    const auto recv_many = [&](auto out) { return blocking ? ch.rx.recv_many(out, 3) : ch.rx.try_recv_many(out, 3); };
    fill(ch.tx, which);

    SECTION("a container of the user's own") {
        watched_container out{&watch, {}};
        CHECK(recv_many(std::back_inserter(out)) >= 1);
        CHECK(out.kept.front() == 0);
    }
    SECTION("a standard container with an allocator of the user's own") {
        std::vector<int, watched_allocator<int>> out{watched_allocator<int>(watch)};
        CHECK(recv_many(std::back_inserter(out)) >= 1);
        CHECK(out.front() == 0);
    }
    SECTION("a standard list with an allocator of the user's own") {
        std::list<int, watched_allocator<int>> out{watched_allocator<int>(watch)};
        CHECK(recv_many(std::back_inserter(out)) >= 1);
        CHECK(out.front() == 0);
    }
    SECTION("a range that is sent") {
        (void)drain(ch.rx);
        const watched_range range{watch, room(which)};
        CHECK((blocking ? ch.tx.send_many(range) : ch.tx.try_send_many(range)) >= 1);
    }
    CHECK(watch.looks() > 0);
    CHECK_FALSE(watch.kept_out());
}

TEMPLATE_TEST_CASE("another receiver comes between in a batch of any length", "[batch]", int, std::string) {
    const bool limited = GENERATE(true, false);
    const bool blocking = GENERATE(true, false);
    CAPTURE(limited, blocking);
    constexpr std::size_t count = scaled(500'000);
    const auto make = [](std::size_t id) {
        if constexpr (std::is_same_v<TestType, int>) {
            return static_cast<int>(id);
        } else {
            return std::to_string(id);
        }
    };
    const auto comes_between = [&] {
        auto [tx, rx] = limited ? sluice::bounded<TestType>(count) : sluice::unbounded<TestType>();
        bool right = true;
        for (std::size_t id = 0; id < count; ++id) {
            right = tx.try_send(make(id)).has_value() && right;
        }
        task other([&, &rx = rx] {
            while (rx.size() == count) {
            }
            return rx.try_recv().has_value();
        });
        std::vector<TestType> batch;
        const std::size_t got = blocking ? rx.recv_many(std::back_inserter(batch), count)
                                         : rx.try_recv_many(std::back_inserter(batch), count);
        const bool between = other.get();
        CHECK(right);
        CHECK(got == batch.size());
        CHECK(got == count - (between ? 1 : 0));
        return between;
    };
    // Whether the other one is quick enough is chance, but not round after round.
    bool between = false;
    for (int round = 0; round < 100 && !between; ++round) {
        between = comes_between();
    }
    CHECK(between);
}

TEMPLATE_LIST_TEST_CASE("iteration goes on until the channel is closed and drained", "[batch]", payloads_and_page) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto ch = make_channel<TestType>(which);
    task sender([tx = std::move(ch.tx)] {
        int sent = 0;
        for (int id = 0; id < 30; ++id) {
            sent += tx.send(TestType(id)).has_value();
        }
        return sent;
    });
    std::vector<int> ids;
    const sluice::receiver<TestType>& rx = ch.rx;
    for (auto&& message : rx) {
        const TestType own = std::move(message);
        ids.push_back(id_of(own));
    }
    CHECK(sender.get() == 30);
    CHECK(ids == numbers(0, 30));
}

TEMPLATE_LIST_TEST_CASE("a receiver is an input range", "[batch]", payloads_and_page) {
    using receiver = sluice::receiver<TestType>;
    static_assert(std::ranges::input_range<receiver>);
    static_assert(std::ranges::input_range<const receiver>);
    static_assert(!std::ranges::forward_range<receiver>);
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    fill(tx, which);
    tx.close();
    int sum = 0;
    std::ranges::for_each(rx, [&](const TestType& message) { sum += id_of(message); });
    CHECK(sum == room(which) * (room(which) - 1) / 2);
    CHECK(rx.begin() == rx.end());
}

TEMPLATE_LIST_TEST_CASE("an iterator takes no message before it must", "[batch]", payloads_and_page) {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    fill(tx, which);
    auto it = rx.begin();
    CHECK(id_of(*it) == 0);
    CHECK(id_of(*it) == 0);
    ++it;
    CHECK(rx.size() == static_cast<std::size_t>(room(which)) - 1);
    CHECK(drain(rx) == numbers(1, room(which)));
}

// clang before 16 cannot compile the range adaptors of libstdc++.
#if !defined(__clang__) || __clang_major__ >= 16 || defined(_LIBCPP_VERSION)
TEMPLATE_LIST_TEST_CASE("a view takes as many messages as it shows", "[batch]", payloads_and_page) {
    auto [tx, rx] = sluice::unbounded<TestType>();
    fill(tx, kind::unbounded);
    std::vector<int> ids;
    for (auto&& message : rx | std::views::take(3)) {
        ids.push_back(id_of(message));
    }
    CHECK(ids == numbers(0, 3));
    CHECK(rx.size() == 7);
    for (int id : rx | std::views::take(4) | std::views::transform([](const TestType& m) { return id_of(m); }) |
                      std::views::filter([](int number) { return number % 2 == 1; })) {
        ids.push_back(id);
    }
    CHECK(ids == std::vector<int>{0, 1, 2, 3, 5});
    CHECK(drain(rx) == numbers(7, 10));
}
#endif
