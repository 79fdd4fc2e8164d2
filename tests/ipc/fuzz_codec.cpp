// libFuzzer's target: the codecs get any bytes, and must neither crash nor make what cannot be encoded again. The first
// byte says which type of message they are.
#include "decoding.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    test::decode_with_codec(data[0], std::as_bytes(std::span(data, size)).subspan(1));
    return 0;
}
