// Bytes that are no messages, or have been some, decoded as every kind of message: as the fuzzers do, without them.
#include "support.hpp"

#include <random>

#include "decoding.hpp"

namespace {

// Bytes with many zeros, ones and small counts among them, as encodings have them.
std::vector<std::byte> random_bytes(std::mt19937& random) {
    std::vector<std::byte> bytes(random() % 200);
    for (std::byte& b : bytes) {
        const auto value = random();
        b = static_cast<std::byte>(value % 8 == 0 ? value >> 8 : value % 4 == 0 ? value >> 8 & 3 : 0);
    }
    return bytes;
}

template <class F>
std::size_t count_decoded(F&& decode, unsigned kinds) {
    std::mt19937 random(1);
    std::size_t decoded = 0;
    for (std::size_t n = 0; n < test::scaled(100'000); ++n) {
        for (unsigned kind = 0; kind < kinds; ++kind) {
            if (n % kinds == kind && decode(kind, random_bytes(random))) ++decoded;
        }
    }
    return decoded;
}

}  // namespace

TEST_CASE("any bytes are a message or none, for each codec") {
    CHECK(count_decoded(test::decode_with_codec, 16) > test::scaled(1000));
}

#if defined(SLUICE_TEST_CEREAL)
TEST_CASE("any bytes are a message or none, for cereal") {
    CHECK(count_decoded(test::decode_with_cereal, 14) > test::scaled(1000));
}
#endif
