// What travels, and how it is taken apart at the other end, however it is cut on the way.
#include "support.hpp"

#include <array>
#include <span>

using sluice::codec;
using sluice::ipc::detail::arrivals;
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

struct own_format {
    std::string text;
    bool operator==(const own_format&) const = default;
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
    put(stream, sluice::ipc::detail::greeting{});
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
    std::vector<std::string> messages;
    bool greeted = false, ended = false;
    for (std::span<const std::byte> left(stream); !left.empty();) {
        const std::span<std::byte> space = d.space();
        const std::size_t size = std::min({piece, left.size(), space.size()});
        std::copy_n(left.begin(), size, space.begin());
        d.received(size);
        left = left.subspan(size);
        std::span<const std::byte> payload;
        for (found f; (f = d.next(payload)) != found::nothing;) {
            REQUIRE(f != found::error);
            if (f == found::greeting) greeted = true;
            if (f == found::end) ended = true;
            if (f == found::message) messages.push_back(codec<std::string>::decode(payload));
        }
        CHECK(d.capacity() <= arrivals::block + 2 * stream.size());
    }
    CHECK(greeted);
    CHECK(ended);
    return messages;
}

}  // namespace

template <>
struct sluice::codec<own_format> {
    static void encode(const own_format& m, std::vector<std::byte>& out) { codec<std::string>::encode(m.text, out); }
    static own_format decode(std::span<const std::byte> in) {
        if (in.empty()) throw std::invalid_argument("empty");
        return {codec<std::string>::decode(in)};
    }
    static constexpr std::uint64_t id = 42;
};

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
    CHECK(survives(sluice::ipc::shared_bytes()));
    CHECK(survives(sluice::ipc::shared_bytes(bytes(100, std::byte{7}))));
}

TEST_CASE("bytes that are no encoding are refused") {
    const bytes three(3);
    CHECK_THROWS_AS(codec<int>::decode(three), std::invalid_argument);
    CHECK_THROWS_AS(codec<std::vector<int>>::decode(three), std::invalid_argument);
    CHECK_THROWS_AS(codec<own_format>::decode({}), std::invalid_argument);
}

TEST_CASE("types are told apart") {
    CHECK(type_id<int>() == type_id<int>());
    CHECK(type_id<int>() != type_id<unsigned>());
    CHECK(type_id<int>() != type_id<std::vector<int>>());
    CHECK(type_id<std::string>() != type_id<std::vector<char>>());
    CHECK(type_id<own_format>() == 42);
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
