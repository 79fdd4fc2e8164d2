// libFuzzer's target: the archive for cereal gets any bytes, and must neither crash nor take much more memory than it
// was given. The first byte says which type of message they are.
#define SLUICE_TEST_CEREAL
#include "decoding.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    test::decode_with_cereal(data[0], std::as_bytes(std::span(data, size)).subspan(1));
    return 0;
}
