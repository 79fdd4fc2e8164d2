// Where a channel meets the outside: an outlet turns its messages into bytes, an inlet turns bytes into its messages.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/uio.h>

#include <sluice/channel.hpp>
#include <sluice/detail/channel_core.hpp>
#include <sluice/detail/feeder.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/error.hpp>
#include <sluice/ipc/options.hpp>
#include <sluice/result.hpp>

namespace sluice::ipc::detail {

// The error of the exception that is being handled: what a codec has thrown, or the lack of memory.
inline std::error_code current_error(ipc_errc otherwise) noexcept {
    try {
        throw;
    } catch (const std::system_error& e) {
        return e.code();
    } catch (const std::bad_alloc&) {
        return ipc_errc::no_memory;
    } catch (...) {
        return otherwise;
    }
}

// An error as the peer is told of it.
inline ipc_errc told_as(std::error_code e, ipc_errc otherwise) noexcept {
    return e.category() == category() ? static_cast<ipc_errc>(e.value()) : otherwise;
}

// Tells the peer at a socket why this connection ends, if it reads.
inline void tell_broken(int socket, ipc_errc why) noexcept {
    broken_frame last = breaking_off(why);
    const iovec bytes{&last, sizeof last};
    (void)write_some(socket, medium::socket, &bytes, 1);
}

// How many messages wait in this process. Of types that own memory there are fewer, since each may be large.
template <class T>
std::size_t capacity_for(const options& chosen) {
    if (chosen.capacity != 0) return chosen.capacity;
    if constexpr (plain<T>) return std::clamp<std::size_t>((256 * 1024) / sizeof(T), 16, 1024);
    return 64;
}

// A message among others in a std::vector, which of bool has no objects.
template <class T>
struct kept {
    T message;
};

// A waiter of a station, which is posted when it is completed. It may be gone as soon as it has been told.
template <class Waiter>
class station_waiter : public Waiter {
public:
    explicit station_waiter(station& of) : station_(of), reach_(of.reach()) {
        this->has_callback = true;
        this->callback = [](sluice::detail::waiter& w) noexcept {
            auto& self = static_cast<station_waiter&>(w);
            const std::shared_ptr<contact> reach = self.reach_;
            reach->loop->post(self.station_, [&self] { self.told_.store(true, std::memory_order_release); });
        };
    }

    // To be called before it stands in line.
    void begin() noexcept {
        told_.store(false, std::memory_order_relaxed);
        waiting_ = true;
    }
    // It stands in no line any more: it was not let in, or it has been told, or it has withdrawn.
    void end() noexcept { waiting_ = false; }

    bool waiting() const noexcept { return waiting_; }
    bool told() const noexcept { return told_.load(std::memory_order_acquire); }

    // Leaves the line by `withdraw`, which is false if it was completed; then who did that is about to tell it.
    template <class F>
    void leave(F&& withdraw) {
        if (std::exchange(waiting_, false) && !withdraw(*this)) reach_->loop->wait_until([this] { return told(); });
    }

private:
    station& station_;
    const std::shared_ptr<contact> reach_;
    sluice::detail::sync::atomic<bool> told_{false};
    bool waiting_ = false;
};

// So many bytes an end keeps for its next messages while it has none.
inline constexpr std::size_t kept_when_idle = 512;

// ---- The way out

// Bytes on their way out: whole frames, or what is left of them.
class outbox {
public:
    std::vector<std::byte> bytes;
    std::span<const std::byte> tail;  // the end of the last frame, in the message itself

    bool empty() const noexcept { return written_ == bytes.size() && tail.empty(); }
    std::size_t size() const noexcept { return bytes.size() - written_ + tail.size(); }

    int parts(iovec (&to)[2]) const noexcept {
        int count = 0;
        if (written_ < bytes.size()) to[count++] = part(std::span(bytes).subspan(written_));
        if (!tail.empty()) to[count++] = part(tail);
        return count;
    }
    void wrote(std::size_t size) noexcept {
        const std::size_t first = (std::min)(size, bytes.size() - written_);
        written_ += first;
        tail = tail.subspan(size - first);
        if (written_ < bytes.size()) return;
        written_ = 0;
        bytes.clear();
    }
    // Nothing is to be written for now.
    void rest() noexcept {
        if (bytes.capacity() > kept_when_idle) bytes = std::vector<std::byte>();
    }
    void discard() noexcept {
        tail = {};
        wrote(bytes.size() - written_);
    }

private:
    static iovec part(std::span<const std::byte> s) noexcept { return {const_cast<std::byte*>(s.data()), s.size()}; }

    std::size_t written_ = 0;
};

// How messages are framed on their way out.
struct framing {
    std::size_t max_message = longest_message;
    std::uint64_t type = 0;
    bool one_by_one = false;  // each message for itself, behind a queue_header; else behind its length
};

class outlet {
public:
    outlet() = default;
    outlet(const outlet&) = delete;
    outlet& operator=(const outlet&) = delete;
    virtual ~outlet() = default;

    // Puts messages into the outbox, which is empty, while there are any and it is not full. What a codec throws, and
    // an error for a message that is too large, come out; the messages before that one are in the outbox then.
    virtual void fill(outbox& box) = 0;
    // Whether there may be a message, or the channel is closed.
    virtual bool may_have() const noexcept = 0;
    enum class line : std::uint8_t { waiting, refused, closed };
    // Stands in line for the next message. `waiting`: will be told of it, from now on by any thread. `refused`: it is
    // here already.
    virtual line wait() = 0;
    // Leaves the line; false if it is being told.
    virtual bool withdraw() = 0;
    virtual void close() noexcept = 0;
    virtual bool closed() const noexcept = 0;
    // Has the waiter told when the channel closes, as core does.
    virtual bool watch_closing(sluice::detail::waiter& w) = 0;
    virtual bool unwatch_closing(sluice::detail::waiter& w) = 0;
};

// Told when a message has come, or the channel has closed; on the thread that has sent it or closed it.
class outlet_listener {
public:
    virtual void told(bool message) noexcept = 0;

protected:
    ~outlet_listener() = default;
};

template <class T>
class channel_outlet final : public outlet {
public:
    channel_outlet(receiver<T> from, framing how, outlet_listener& listener)
        : from_(std::move(from)), how_(how), node_(listener) {}

    void fill(outbox& box) override {
        while (box.size() < enough) {
            if (next_ == batch_.size() && !fetch()) return;
            const std::size_t begin = box.bytes.size();
            try {
                if (!append_message(box, batch_[next_++].message)) return;
            } catch (...) {
                box.bytes.resize(begin);  // what was written of it is no message
                throw;
            }
        }
    }

    bool may_have() const noexcept override { return core_of(from_)->maybe_ready_to_recv(); }

    line wait() override {
        const auto outcome = core_of(from_)->register_receiver(&arrived_, node_);
        if (outcome == sluice::detail::op_status::blocked) return line::waiting;
        return outcome == sluice::detail::op_status::closed ? line::closed : line::refused;
    }
    bool withdraw() override { return core_of(from_)->unregister_receiver(node_); }
    void close() noexcept override { from_.close(); }
    bool closed() const noexcept override { return from_.is_closed(); }
    bool watch_closing(sluice::detail::waiter& w) override { return core_of(from_)->observe_close(w); }
    bool unwatch_closing(sluice::detail::waiter& w) override { return core_of(from_)->unobserve_close(w); }

private:
    static constexpr std::size_t enough = 64 * 1024;
    static constexpr std::size_t worth_a_part = 16 * 1024;
    // Messages that own memory are taken one by one, lest twice as many of them be held as the capacity says.
    static constexpr std::size_t batch_size = plain<T> ? std::clamp<std::size_t>(16 * 1024 / sizeof(T), 1, 256) : 4;

    struct waiting final : sluice::detail::blocked_op {
        explicit waiting(outlet_listener& l) : listener(l) {
            this->has_callback = true;
            this->callback = [](sluice::detail::waiter& w) noexcept {
                auto& self = static_cast<waiting&>(w);
                self.listener.told(self.state == sluice::detail::waiter::status::done);
            };
        }
        outlet_listener& listener;
    };

    // True if there is room for another message behind it.
    bool append_message(outbox& box, const T& message) {
        const std::size_t begin = box.bytes.size();
        if (how_.one_by_one) {
            queue_header header;
            header.type = type_in_queue(how_.type);
            append_plain(box.bytes, header);
            codec<T>::encode(message, box.bytes);
            (void)length_of(box.bytes.size() - begin - sizeof header);
            return false;
        }
        if constexpr (has_view<T>) {
            const std::span<const std::byte> view = codec<T>::view(message);
            append_plain(box.bytes, length_of(view.size()));
            if (view.size() > worth_a_part) {
                box.tail = view;  // the message stays where it is until the next call
                return false;
            }
            append(box.bytes, view);
        } else {
            append_plain(box.bytes, frame_length{});
            codec<T>::encode(message, box.bytes);
            const frame_length length = length_of(box.bytes.size() - begin - sizeof(frame_length));
            std::memcpy(box.bytes.data() + begin, &length, sizeof length);
        }
        return true;
    }

    frame_length length_of(std::size_t size) const {
        if (size > how_.max_message) throw std::system_error(make_error_code(ipc_errc::too_large));
        return static_cast<frame_length>(size);
    }

    bool fetch() {
        batch_.clear();
        next_ = 0;
        const std::size_t there = (std::min)(batch_size, from_.size() + (arrived_ ? 1 : 0));
        if (there == 0) {
            if (batch_.capacity() * sizeof(T) > kept_when_idle) batch_ = std::vector<kept<T>>();
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
    const framing how_;
    waiting node_;
    result<T> arrived_ = unexpected(errc::empty);
    std::vector<kept<T>> batch_;
    std::size_t next_ = 0;
};

// ---- The way in

class inlet {
public:
    enum class outcome : std::uint8_t { hungry, full, closed };

    inlet() = default;
    inlet(const inlet&) = delete;
    inlet& operator=(const inlet&) = delete;
    virtual ~inlet() = default;

    // Decodes a message and keeps it for pass_on(); whether there is room for another one. What the codec throws comes
    // out.
    virtual bool take(std::span<const std::byte> encoded) = 0;
    // Where the bytes of a message of this length may be put one by one, if its type has room for them; take_prepared()
    // when they are.
    virtual std::span<std::byte> prepare(std::size_t) { return {}; }
    virtual void take_prepared() {}
    // Hands over what was taken. `full`: not all of it, the station is posted when there is room; `closed`: nobody
    // receives any more.
    virtual outcome pass_on() = 0;
    // Whether messages wait in the channel.
    virtual bool has_more() const noexcept = 0;
};

template <class T>
class channel_inlet final : public inlet {
public:
    // `source` feeds the channel, if nobody else does, as long as the inlet is there.
    channel_inlet(sender<T> to, station& of, sluice::detail::feeder* source = nullptr)
        : to_(std::move(to)),
          fed_(source != nullptr),
          batch_((std::min)(most, to_.capacity().value_or(most))),
          room_(of),
          closing_(of) {
        if (fed_) core_of(to_)->feed_by(source);
        closing_.begin();
        if (!core_of(to_)->observe_close(closing_)) closing_.end();
    }
    ~channel_inlet() override {
        if (fed_) core_of(to_)->feed_by(nullptr);
        room_.leave([this](auto& w) { return core_of(to_)->unregister_sender(w); });
        closing_.leave([this](auto& w) { return core_of(to_)->unobserve_close(w); });
    }

    bool take(std::span<const std::byte> encoded) override {
        taken_.push_back({codec<T>::decode(encoded)});
        bytes_ += encoded.size();
        return taken_.size() < batch_ && bytes_ < enough;
    }

    std::span<std::byte> prepare([[maybe_unused]] std::size_t size) override {
        if constexpr (has_room<T>) {
            prepared_.emplace(codec<T>::make(size));
            const std::span<std::byte> room = codec<T>::room(*prepared_);
            if (room.size() == size) return room;
            prepared_.reset();
            if (!room.empty()) throw std::length_error("sluice: a codec whose room() is not as long as the message");
            return {};
        } else {
            return {};
        }
    }
    void take_prepared() override {
        bytes_ += enough;
        taken_.push_back({*std::move(prepared_)});
        prepared_.reset();
    }

    outcome pass_on() override {
        using sluice::detail::op_status;
        if (room_.waiting()) {
            if (!room_.told()) return core_of(to_)->is_closed() ? outcome::closed : outcome::full;
            room_.end();
            if (room_.error) std::rethrow_exception(std::exchange(room_.error, nullptr));
            if (room_.state == sluice::detail::waiter::status::closed) return outcome::closed;
            ++next_;
        }
        while (next_ < taken_.size()) {
            std::size_t sent = 0;
            op_status tried = core_of(to_)->try_send_some(
                [this](std::size_t i) -> T& { return taken_[next_ + i].message; }, taken_.size() - next_, sent);
            next_ += sent;
            if (tried == op_status::blocked) {
                room_.begin();
                tried = core_of(to_)->register_sender(&taken_[next_].message, room_);
                if (tried == op_status::blocked) return outcome::full;
                room_.end();
                if (tried == op_status::done) ++next_;
            }
            if (tried == op_status::closed) return outcome::closed;
        }
        taken_.clear();
        if (taken_.capacity() * sizeof(T) > kept_when_idle) taken_ = std::vector<kept<T>>();
        next_ = bytes_ = 0;
        return core_of(to_)->is_closed() ? outcome::closed : outcome::hungry;
    }

    bool has_more() const noexcept override { return !to_.empty(); }

private:
    static constexpr std::size_t enough = 64 * 1024;
    static constexpr std::size_t most = plain<T> ? std::clamp<std::size_t>(16 * 1024 / sizeof(T), 1, 256) : 16;

    const sender<T> to_;
    const bool fed_;
    const std::size_t batch_;  // how many messages are taken before they are handed over
    station_waiter<sluice::detail::blocked_op> room_;
    station_waiter<sluice::detail::waiter> closing_;
    std::vector<kept<T>> taken_;
    std::optional<T> prepared_;
    std::size_t next_ = 0, bytes_ = 0;
};

}  // namespace sluice::ipc::detail
