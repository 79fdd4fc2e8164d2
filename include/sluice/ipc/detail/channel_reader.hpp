// channel_reader: takes messages from a channel and encodes them for a transport.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/channel.hpp>
#include <sluice/detail/channel_core.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/batching.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/write_buffer.hpp>
#include <sluice/ipc/error.hpp>
#include <sluice/result.hpp>

namespace sluice::ipc::detail {

// How messages are encoded.
struct framing {
    std::size_t max_message = longest_message;
    std::uint64_t type = 0;
    bool datagram = false;  // each alone, behind a message_header; otherwise behind its length
};

// Used by one thread at a time, which holds the write token of `outgoing`.
class channel_reader {
public:
    channel_reader() = default;
    channel_reader(const channel_reader&) = delete;
    channel_reader& operator=(const channel_reader&) = delete;
    virtual ~channel_reader() = default;

    // Fills an empty buffer with messages, until there are none or it is full. Throws what a codec throws, and
    // too_large; the messages before that one are then in the buffer.
    virtual void fill(write_buffer& buffer) = 0;
    // A hint: whether there is a message, or the channel is closed.
    virtual bool may_have_message() const noexcept = 0;
    // Registers as a receiver that waits for the next message. `waiting`: the listener will be notified, and from now
    // on any thread may do that; `message`: one has come already, for the next fill().
    enum class wait_result : std::uint8_t { waiting, message, closed };
    virtual wait_result wait() = 0;
    // Leaves the line; false if the listener is being notified, or nothing waits.
    virtual bool unregister() = 0;

    // From any thread; because of that error, if it is one.
    virtual void close(const std::error_code& why) noexcept = 0;
    virtual bool closed() const noexcept = 0;
    // Has the waiter completed when the channel closes; false if it is closed.
    virtual bool observe_close(sluice::detail::waiter& w) = 0;
    virtual bool unobserve_close(sluice::detail::waiter& w) = 0;
};

// Notified when a message has come after wait(), or the channel has closed, by the thread that sends or closes.
class message_listener {
public:
    virtual void notified(bool message) noexcept = 0;

protected:
    ~message_listener() = default;
};

template <class T>
class typed_channel_reader final : public channel_reader {
public:
    typed_channel_reader(receiver<T> from, framing how, message_listener& listener)
        : from_(std::move(from)), framing_(how), waiter_(listener) {}

    void fill(write_buffer& buffer) override {
        while (buffer.size() < batch_bytes) {
            if (next_ == batch_.size() && !fetch()) return;
            const std::size_t begin = buffer.bytes.size();
            try {
                if (!append_message(buffer, batch_[next_++].message)) return;
            } catch (...) {
                buffer.bytes.resize(begin);  // removes what was encoded of it
                throw;
            }
        }
    }

    bool may_have_message() const noexcept override { return core_of(from_)->maybe_ready_to_recv(); }

    wait_result wait() override {
        const auto status = core_of(from_)->register_receiver(arrived_, waiter_);
        if (status == sluice::detail::op_status::blocked) return wait_result::waiting;
        return status == sluice::detail::op_status::closed ? wait_result::closed : wait_result::message;
    }
    bool unregister() override { return core_of(from_)->unregister_receiver(waiter_); }
    void close(const std::error_code& why) noexcept override { from_.close(cause_of(why)); }
    bool closed() const noexcept override { return from_.is_closed(); }
    bool observe_close(sluice::detail::waiter& w) override { return core_of(from_)->observe_close(w); }
    bool unobserve_close(sluice::detail::waiter& w) override { return core_of(from_)->unobserve_close(w); }

private:
    static constexpr std::size_t zero_copy_min = 16 * 1024;
    // Messages that own memory are taken a few at a time: those taken are held beyond the channel's capacity.
    static constexpr std::size_t batch_size = plain<T> ? std::clamp<std::size_t>(16 * 1024 / sizeof(T), 1, 256) : 4;

    struct receiving_waiter final : sluice::detail::blocked_op {
        explicit receiving_waiter(message_listener& l) : listener(l) {
            this->has_callback = true;
            this->callback = [](sluice::detail::waiter& w) noexcept {
                auto& self = static_cast<receiving_waiter&>(w);
                self.listener.notified(self.state == sluice::detail::waiter::status::done);
            };
        }
        message_listener& listener;
    };

    // True if another message may follow it in the buffer.
    bool append_message(write_buffer& buffer, const T& message) {
        const std::size_t begin = buffer.bytes.size();
        if (framing_.datagram) {
            message_header header;
            header.type = short_type(framing_.type);
            append_plain(buffer.bytes, header);
            codec<T>::encode(message, buffer.bytes);
            (void)length_of(buffer.bytes.size() - begin - sizeof header);
            return false;
        }
        if constexpr (has_view<T>) {
            const std::span<const std::byte> view = codec<T>::view(message);
            append_plain(buffer.bytes, length_of(view.size()));
            if (view.size() > zero_copy_min) {
                buffer.tail = view;  // batch_ keeps the message until the next call
                return false;
            }
            append(buffer.bytes, view);
        } else {
            append_plain(buffer.bytes, frame_length{});
            codec<T>::encode(message, buffer.bytes);
            const frame_length length = length_of(buffer.bytes.size() - begin - sizeof(frame_length));
            std::memcpy(buffer.bytes.data() + begin, &length, sizeof length);
        }
        return true;
    }

    frame_length length_of(std::size_t size) const {
        if (size > framing_.max_message) throw std::system_error(make_error_code(ipc_errc::too_large));
        return static_cast<frame_length>(size);
    }

    // Takes a batch from the channel; false if there is none.
    bool fetch() {
        batch_.clear();
        next_ = 0;
        const std::size_t there = (std::min)(batch_size, from_.size() + (arrived_ ? 1 : 0));
        if (there == 0) {
            if (batch_.capacity() * sizeof(T) > max_idle_bytes) batch_ = std::vector<boxed<T>>();
            return false;
        }
        batch_.reserve(there);  // not under the lock of the channel
        if (arrived_) {
            batch_.push_back({*std::move(arrived_)});
            arrived_ = unexpected(errc::empty);
        }
        core_of(from_)->try_recv_some([this](T&& m) { batch_.push_back({std::move(m)}); }, there - batch_.size());
        return !batch_.empty();
    }

    const receiver<T> from_;
    const framing framing_;
    receiving_waiter waiter_;
    result<T> arrived_ = unexpected(errc::empty);  // what the waiting receiver got
    std::vector<boxed<T>> batch_;
    std::size_t next_ = 0;  // in batch_
};

}  // namespace sluice::ipc::detail
