// What travels, and how it is taken apart at the other end, however it is cut on the way.
#include "support.hpp"

#include <array>
#include <chrono>
#include <complex>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

using sluice::codec;
using sluice::ipc::detail::decoder;
using sluice::ipc::detail::type_id;
using found = decoder::found;

namespace {

struct point {
    double x, y;
    bool operator==(const point&) const = default;
};

struct without_default {
    explicit without_default(int i) : value(i) {}
    int value;
    bool operator==(const without_default&) const = default;
};

struct padded {
    char c;
    int i;
    bool b;
    bool operator==(const padded&) const = default;
};

class closed_padded {
public:
    explicit closed_padded(int i) : value_(i) {}
    bool operator==(const closed_padded&) const = default;

private:
    char c_ = 1;
    int value_;
};

struct with_flags {
    double x;
    struct {
        short s;
        bool b[2];
    } nested[2];
};

class private_bool {
public:
    constexpr private_bool() = default;

private:
    bool b_ = false;
};

union number {
    float f;
    unsigned bits;
};
struct holder {
    number n;
};

struct own_format {
    std::string text;
    bool operator==(const own_format&) const = default;
};

struct only_moved {
    std::unique_ptr<std::string> text;
};

using bytes = std::vector<std::byte>;

template <class T>
bytes encoded(const T& message) {
    bytes out;
    codec<T>::encode(message, out);
    return out;
}
template <class T>
bool survives(const T& message) {
    return codec<T>::decode(encoded(message)) == message;
}

template <class Plain>
void put(bytes& to, const Plain& value) {
    sluice::ipc::detail::append_plain(to, value);
}

bytes stream_of(const std::vector<std::string>& messages) {
    bytes stream;
    put(stream, sluice::ipc::detail::handshake{});
    for (const std::string& m : messages) {
        put(stream, static_cast<std::uint32_t>(m.size()));
        codec<std::string>::encode(m, stream);
    }
    put(stream, sluice::ipc::detail::end_of_stream);
    return stream;
}

// Feeds the stream in pieces of at most `piece` bytes; the messages, if it ended as it should.
std::vector<std::string> decoded(const bytes& stream, std::size_t piece) {
    decoder d(1 << 20);
    std::vector<std::byte> lent(1 << 16);
    std::vector<std::string> messages;
    bool peer_handshake = false, ended = false;
    for (std::span<const std::byte> left(stream); !left.empty();) {
        const std::span<std::byte> space = d.space(lent);
        const std::size_t size = std::min({piece, left.size(), space.size()});
        std::copy_n(left.begin(), size, space.begin());
        d.received(size);
        left = left.subspan(size);
        std::span<const std::byte> payload;
        for (found f; (f = d.next(payload)) != found::nothing;) {
            REQUIRE(f != found::error);
            if (f == found::handshake) peer_handshake = true;
            if (f == found::end) ended = true;
            if (f == found::message) messages.push_back(codec<std::string>::decode(payload));
        }
        d.release_scratch();
        std::fill(lent.begin(), lent.end(), std::byte{0xee});
        CHECK(d.capacity() <= 1024 + 2 * stream.size());
    }
    CHECK(peer_handshake);
    CHECK(ended);
    return messages;
}

}  // namespace

template <>
struct sluice::codec<only_moved> {
    static void encode(const only_moved& m, std::vector<std::byte>& out) { codec<std::string>::encode(*m.text, out); }
    static only_moved decode(std::span<const std::byte> bytes) {
        return {std::make_unique<std::string>(codec<std::string>::decode(bytes))};
    }
};

template <>
struct sluice::codec<own_format> {
    static void encode(const own_format& m, std::vector<std::byte>& out) { codec<std::string>::encode(m.text, out); }
    static own_format decode(std::span<const std::byte> in) {
        if (in.empty()) throw std::invalid_argument("empty");
        return {codec<std::string>::decode(in)};
    }
    static constexpr std::uint64_t id = 42;
};

template <>
struct sluice::codec<std::pair<int, int>> {
    static void encode(const std::pair<int, int>& m, std::vector<std::byte>& out) {
        codec<int>::encode(m.first, out);
        codec<int>::encode(m.second, out);
    }
    static std::pair<int, int> decode(std::span<const std::byte> in) {
        return {codec<int>::decode(in.first(sizeof(int))), codec<int>::decode(in.subspan(sizeof(int)))};
    }
    static constexpr std::string_view name = "two numbers";
};

template <>
inline constexpr bool sluice::ipc::any_bytes<holder> = true;

TEST_CASE("what is encoded is decoded the same") {
    CHECK(survives(7));
    CHECK(survives(point{1.5, -2}));
    CHECK(survives(without_default(3)));
    CHECK(survives(std::array<int, 3>{1, 2, 3}));
    CHECK(survives(std::string()));
    CHECK(survives(std::string("a\0b", 3)));
    CHECK(survives(std::vector<int>()));
    CHECK(survives(std::vector<int>{1, 2, 3}));
    CHECK(survives(std::vector<unsigned char>{1, 2, 3}));
    CHECK(survives(bytes{std::byte{1}, std::byte{2}}));
    CHECK(survives(std::vector<point>{{1, 2}, {3, 4}}));
    CHECK(survives(std::vector<without_default>{without_default(1), without_default(2)}));
    CHECK(survives(own_format{"text"}));
    CHECK(survives(true));
    CHECK(survives(padded{'a', 2, true}));
    CHECK(survives(std::array<padded, 2>{{{'a', 2, true}, {'b', 3, false}}}));
    CHECK(survives(std::vector<padded>{{'a', 2, true}, {'b', 3, false}}));
    CHECK(survives(std::complex<double>(1, 2)));
    CHECK(survives(1.5L));
    CHECK(survives(std::monostate()));
    CHECK(survives(std::optional<int>()));
    CHECK(survives(std::optional<std::string>("text")));
    CHECK(survives(std::optional<own_format>(own_format{"text"})));
    CHECK(survives(std::variant<std::monostate, int, std::vector<int>>(std::vector<int>{1, 2})));
    CHECK(survives(std::variant<int, int>(std::in_place_index<1>, 7)));
    CHECK(survives(std::variant<bool, std::optional<std::string>>(std::optional<std::string>("text"))));
    CHECK(survives(sluice::ipc::shared_bytes()));
    CHECK(survives(sluice::ipc::shared_bytes(bytes(100, std::byte{7}))));
}

TEST_CASE("bytes that are no encoding are refused") {
    const bytes three(3);
    CHECK_THROWS_AS(codec<int>::decode(three), std::invalid_argument);
    CHECK_THROWS_AS(codec<std::vector<int>>::decode(three), std::invalid_argument);
    CHECK_THROWS_AS(codec<own_format>::decode({}), std::invalid_argument);
}

TEST_CASE("a bool is true or false, wherever it is") {
    using std::byte;
    const auto refused = []<class T>(T message, std::size_t at) {
        bytes b = encoded(message);
        b[at] = byte{2};
        CHECK_THROWS_AS(codec<T>::decode(b), std::invalid_argument);
    };
    refused(true, 0);
    refused(std::array<bool, 3>{}, 2);
    refused(padded{}, offsetof(padded, b));
    refused(std::array<padded, 3>{}, 2 * sizeof(padded) + offsetof(padded, b));
    refused(std::vector<padded>(3), sizeof(padded) + offsetof(padded, b));
    refused(with_flags{}, offsetof(with_flags, nested[1].b[1]));
    refused(with_flags{}, offsetof(with_flags, nested[0].b[0]));
    bytes b = encoded(with_flags{});
    b[offsetof(with_flags, nested[1].s)] = byte{2};
    CHECK(codec<with_flags>::decode(b).nested[1].s != 0);
#if defined(__clang__)
    refused(private_bool(), 0);
#endif
}

TEST_CASE("an optional and a variant are what they say") {
    using maybe = std::optional<int>;
    using either = std::variant<int, bool>;
    const auto made = [](std::initializer_list<int> numbers) {
        bytes b;
        for (const int n : numbers) b.push_back(static_cast<std::byte>(n));
        return b;
    };
    CHECK(codec<maybe>::decode(made({0})) == std::nullopt);
    for (const bytes& b : {made({}), made({2, 1, 1, 1, 1}), made({0, 0}), made({1}), made({1, 1, 1, 1, 1, 1})}) {
        CHECK_THROWS_AS(codec<maybe>::decode(b), std::invalid_argument);
    }
    CHECK(codec<either>::decode(made({1, 1})) == either(true));
    for (const bytes& b : {made({}), made({2, 1, 1, 1, 1}), made({255, 1}), made({1, 2}), made({0, 1})}) {
        CHECK_THROWS_AS(codec<either>::decode(b), std::invalid_argument);
    }
}

TEST_CASE("what lies between the members of a message stays at home") {
    const auto encoded_over = []<class T>(std::byte before, const T& message) {
        alignas(T) std::byte memory[sizeof(T)];
        std::memset(memory, static_cast<int>(before), sizeof memory);
        T* const placed = new (memory) T(message);
        // The copy may have brought along other padding.
        for (std::size_t i = 0; i < sizeof(T); ++i) {
            std::byte probe[sizeof(T)];
            std::memset(probe, 0xff, sizeof probe);
            sluice::ipc::detail::clear_padding<T>(probe);
            if (probe[i] == std::byte{}) memory[i] = before;
        }
        return std::pair(encoded(*placed), encoded(std::vector<T>(1, *placed)));
    };
    const auto same = [&](const auto& message) {
        return encoded_over(std::byte{0x11}, message) == encoded_over(std::byte{0x22}, message);
    };
    CHECK(same(padded{'a', 2, true}));
    CHECK(same(std::array<padded, 2>{{{'a', 2, true}, {'b', 3, false}}}));
    CHECK(same(with_flags{}));
    CHECK(same(1.5L));
    CHECK(same(std::complex<long double>(1, 2)));
    CHECK(same(std::monostate()));
    const bytes b = encoded_over(std::byte{0x11}, padded{'a', 2, true}).first;
    CHECK(b[1] == std::byte{0});
    CHECK(b[sizeof(padded) - 1] == std::byte{0});
#if defined(__clang__)
    STATIC_REQUIRE_FALSE(sluice::ipc::detail::plain<closed_padded>);
#else
    CHECK(same(closed_padded(7)));
#endif
}

TEST_CASE("addresses do not travel") {
    using sluice::ipc::detail::plain;
    struct pointers {
        int count;
        const char* names[2];
    };
    struct spans {
        std::span<int> s[2];
    };
    struct within {
        std::array<pointers, 2> p;
    };
    struct reference {
        int& r;
    };
    STATIC_REQUIRE_FALSE(plain<int*>);
    STATIC_REQUIRE_FALSE(plain<std::nullptr_t>);
    STATIC_REQUIRE_FALSE(plain<int padded::*>);
    STATIC_REQUIRE_FALSE(plain<std::reference_wrapper<int>>);
    STATIC_REQUIRE_FALSE(plain<std::string_view>);
    STATIC_REQUIRE_FALSE(plain<std::initializer_list<int>>);
    STATIC_REQUIRE_FALSE(plain<std::array<int*, 2>>);
    STATIC_REQUIRE_FALSE(plain<std::array<std::array<std::span<int>, 2>, 2>>);
    STATIC_REQUIRE_FALSE(plain<std::optional<int*>>);
    STATIC_REQUIRE_FALSE(plain<std::vector<int>::iterator>);
    STATIC_REQUIRE_FALSE(plain<pointers>);
    STATIC_REQUIRE_FALSE(plain<spans>);
    STATIC_REQUIRE_FALSE(plain<within>);
    STATIC_REQUIRE_FALSE(plain<reference>);
    STATIC_REQUIRE_FALSE(plain<number>);
    STATIC_REQUIRE_FALSE(sluice::ipc::detail::encodable<std::optional<int*>>);
    STATIC_REQUIRE_FALSE(sluice::ipc::detail::encodable<std::variant<int, const char*>>);
    STATIC_REQUIRE(plain<holder>);
    STATIC_REQUIRE(plain<without_default>);
    STATIC_REQUIRE(plain<std::chrono::system_clock::time_point>);
}

TEST_CASE("what has no padding is sent from where it is") {
    using sluice::ipc::detail::has_view;
    STATIC_REQUIRE(has_view<int>);
    STATIC_REQUIRE(has_view<bool>);
    STATIC_REQUIRE(has_view<point>);
    STATIC_REQUIRE(has_view<std::vector<point>>);
    STATIC_REQUIRE(has_view<std::array<double, 100'000>>);
    STATIC_REQUIRE(has_view<std::vector<std::complex<float>>>);
    STATIC_REQUIRE_FALSE(has_view<padded>);
    STATIC_REQUIRE_FALSE(has_view<std::vector<padded>>);
}

TEST_CASE("bools travel one by one") {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    sluice::ipc::pipe out(-1, fds[1]), in(fds[0], -1);
    const auto tx = out.sender<bool>();
    const auto rx = in.receiver<bool>();
    for (int i = 0; i < 1000; ++i) CHECK(tx.send(i % 3 == 0));
    for (int i = 0; i < 1000; ++i) CHECK(rx.recv() == (i % 3 == 0));
}

TEST_CASE("types are told apart") {
    CHECK(type_id<int>() == type_id<int>());
    CHECK(type_id<int>() != type_id<unsigned>());
    CHECK(type_id<int>() != type_id<std::vector<int>>());
    CHECK(type_id<std::string>() != type_id<std::vector<char>>());
    CHECK(type_id<own_format>() == 42);
    CHECK(type_id<long>() == (sizeof(long) == 8 ? type_id<std::int64_t>() : type_id<std::int32_t>()));
    CHECK(type_id<long long>() == type_id<std::int64_t>());
    CHECK(type_id<char>() != type_id<signed char>());
    CHECK(type_id<char8_t>() != type_id<unsigned char>());
    CHECK(type_id<bool>() != type_id<unsigned char>());
    CHECK(type_id<float>() != type_id<std::int32_t>());
    CHECK(type_id<double>() != type_id<float>());
    CHECK(type_id<padded>() != type_id<point>());
    CHECK(type_id<std::vector<padded>>() != type_id<std::vector<point>>());
    CHECK(type_id<std::optional<int>>() != type_id<int>());
    CHECK(type_id<std::variant<int, bool>>() != type_id<std::variant<bool, int>>());
    CHECK(type_id<std::array<int, 2>>() != type_id<std::array<int, 3>>());
    CHECK(type_id<std::chrono::seconds>() != type_id<std::chrono::milliseconds>());
    CHECK(type_id<std::pair<int, int>>() == sluice::ipc::detail::hash("two numbers"));
    CHECK(type_id<std::optional<std::pair<int, int>>>() != type_id<std::optional<std::pair<int, short>>>());
    // A queue has room for half of it.
    CHECK(sluice::ipc::detail::short_type(1) != sluice::ipc::detail::short_type(1 | std::uint64_t{1} << 32));
}

TEST_CASE("a stream is decoded the same however it is cut") {
    const std::vector<std::string> messages{"", "a", std::string(100'000, 'b'), "c", std::string(300'000, 'd'),
                                            "", "e"};
    const bytes stream = stream_of(messages);
    for (const std::size_t piece : {std::size_t{test::sanitized ? 11 : 1}, std::size_t{97}, std::size_t{4096},
                                    std::size_t{65'537}, stream.size()}) {
        CHECK(decoded(stream, piece) == messages);
    }
}

TEMPLATE_TEST_CASE("large messages arrive whole, put together where they stay", "", std::string, std::vector<char>,
                   bytes, std::vector<double>, std::vector<point>, sluice::ipc::shared_bytes) {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    sluice::ipc::pipe out(-1, fds[1]), in(fds[0], -1);
    auto tx = out.sender<TestType>();
    const auto rx = in.receiver<TestType>();
    const auto message = [](std::size_t n) {
        bytes content(n % 3 == 0 ? 1'600'000 + 16 * n : 160 * n);
        for (std::size_t i = 0; i < content.size(); i += 97) content[i] = static_cast<std::byte>(i + n);
        return codec<TestType>::decode(content);
    };
    constexpr std::size_t count = test::scaled(100);
    test::task sending([&] {
        std::size_t n = 0;
        while (n < count && tx.send(message(n))) ++n;
        tx = {};
        return n;
    });
    std::size_t received = 0;
    bool whole = true;
    for (const TestType& got : rx) whole = whole && got == message(received++);
    CHECK(whole);
    CHECK(received == count);
    CHECK(sending.get() == count);
    CHECK_FALSE(in.error());
}

TEST_CASE("messages of a user's own format travel, and what its codec throws closes the end") {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    sluice::ipc::pipe out(-1, fds[1]), in(fds[0], -1);
    const auto tx = out.sender<own_format>();
    const auto rx = in.receiver<own_format>();
    for (int i = 0; i < 1000; ++i) CHECK(tx.send(own_format{std::to_string(i)}));
    for (int i = 0; i < 1000; ++i) CHECK(rx.recv() == own_format{std::to_string(i)});
    CHECK(tx.send(own_format{}));
    CHECK(rx.recv() == sluice::errc::closed);
    CHECK(in.error() == std::errc::bad_message);
    CHECK(test::eventually([&] { return tx.is_closed(); }));
}

TEST_CASE("messages that can only be moved travel") {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    sluice::ipc::pipe out(-1, fds[1]), in(fds[0], -1);
    const auto tx = out.sender<only_moved>();
    const auto rx = in.receiver<only_moved>();
    for (int i = 0; i < 1000; ++i) CHECK(tx.send(only_moved{std::make_unique<std::string>(std::to_string(i))}));
    for (int i = 0; i < 1000; ++i) CHECK(*rx.recv()->text == std::to_string(i));
}

TEST_CASE("an end that has nothing to write gives back what a large message took") {
    sluice::ipc::detail::write_buffer box;
    box.bytes.resize(1 << 20);
    box.wrote(1 << 20);
    box.shrink();
    CHECK(box.empty());
    CHECK(box.bytes.capacity() <= sluice::ipc::detail::max_idle_bytes);
}
