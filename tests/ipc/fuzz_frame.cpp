// libFuzzer's target: the decoder gets any bytes in any pieces, and must neither crash nor hold more than it was given.
#include <sluice/ipc/detail/decoder.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

namespace {

using sluice::ipc::detail::decoder;
using sluice::ipc::detail::early_allocation;
using sluice::ipc::detail::frame_length;

constexpr std::size_t block = 1 << 16;

void must(bool holds) {
    if (!holds) std::abort();
}

// What is found in the stream: as it is, whatever the pieces.
struct findings {
    std::vector<decoder::found> kinds;
    std::vector<std::byte> content;
    bool operator==(const findings&) const = default;
};

template <class Size>
findings decode(std::span<const std::byte> stream, bool direct, bool abandon, Size next_size) {
    constexpr std::size_t max_message = 1 << 20;
    findings all;
    decoder d(max_message);
    std::size_t given = 0;
    std::vector<std::byte> storage, scratch(1024);
    for (;;) {
        std::span<const std::byte> payload;
        decoder::found f;
        while ((f = d.next(payload)) != decoder::found::nothing) {
            if (f == decoder::found::large) {
                must(d.large_length() <= (std::max)(2 * given, early_allocation::max_total) &&
                     d.large_length() <= max_message);
                if (direct) {
                    storage.assign(d.large_length(), {});
                    d.read_direct(storage);
                    if (abandon) d.abandon_direct();
                }
                continue;
            }
            if (f == decoder::found::direct_message) {
                f = decoder::found::message;
                payload = storage;
            }
            all.kinds.push_back(f);
            if (f == decoder::found::error) {
                must(static_cast<bool>(d.error()) && d.next(payload) == decoder::found::error);
                return all;
            }
            if (f != decoder::found::message) continue;
            must(payload.size() <= max_message && payload.size() <= given);
            if (payload.empty()) continue;
            all.content.resize(all.content.size() + payload.size());
            std::memcpy(&all.content.end()[-static_cast<std::ptrdiff_t>(payload.size())], payload.data(),
                        payload.size());
        }
        if (given == stream.size()) return all;
        d.release_scratch();
        std::fill(scratch.begin(), scratch.end(), std::byte{0xee});
        const std::span<std::byte> space = d.space(scratch);
        must(!space.empty() && d.capacity() <= 1024 + 2 * given);
        const std::size_t size = std::min({next_size(), space.size(), stream.size() - given});
        std::copy_n(stream.begin() + static_cast<std::ptrdiff_t>(given), size, space.begin());
        d.received(size);
        given += size;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    // The first byte says how the others are cut; the second, whether they follow a handshake and two frames as long as
    // a block, which is slow and therefore rare.
    const bool long_frame = data[1] >= 0xf0;
    const bool abandon = (data[1] & 8) != 0;
    const std::size_t piece = (data[0] + 1U) * (long_frame ? 251U : 1U);
    std::vector<std::byte> stream;
    if ((data[1] & 1) != 0) sluice::ipc::detail::append_plain(stream, sluice::ipc::detail::handshake{});
    if (long_frame) {
        for (const frame_length length : {static_cast<frame_length>(block + 1), static_cast<frame_length>(block)}) {
            sluice::ipc::detail::append_plain(stream, length);
            stream.resize(stream.size() + length);
        }
    }
    const auto rest = std::as_bytes(std::span(data, size)).subspan(2);
    stream.insert(stream.end(), rest.begin(), rest.end());
    const findings whole = decode(stream, false, false, [&] { return stream.size(); });
    const findings cut = decode(stream, (data[1] & 4) != 0, abandon, [&] { return piece; });
    must(abandon || whole == cut);
    return 0;
}
