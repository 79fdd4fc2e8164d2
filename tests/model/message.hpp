// Messages of the models: they notice misuse, count themselves, and fail to move where the scheduler says so.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <model/explorer/control.hpp>

namespace model {

struct injected_error {};  // what a move throws

// Which messages were made and have ended. Not memory of the model: it stands outside of the execution and orders
// nothing.
class registry {
public:
    static constexpr int most = 64;

    void clear() {
        balance_.fill(0);
        objects = 0;
        thrown_ = heard_ = 0;
    }
    void made(int id) { ++balance_.at(index(id)); }
    void ended(int id) {
        if (--balance_.at(index(id)) < 0) fail("a message is destroyed twice");
    }
    // A move throws, and the caller of an operation hears of it.
    void threw() { ++thrown_; }
    void heard() { ++heard_; }
    void check() const {
        expect(thrown_ == heard_, "what a move has thrown is heard by nobody, or twice");
        for (const int b : balance_) expect(b == 0, "a message was never destroyed");
        expect(objects == 0, "a message that was moved from was never destroyed");
    }
    bool moves_throw = false;
    int objects = 0;  // those moved from as well

private:
    static std::size_t index(int id) {
        expect(id >= 0 && id < most, "a message is damaged");
        return static_cast<std::size_t>(id);
    }
    std::array<int, most> balance_{};
    int thrown_ = 0, heard_ = 0;
};

inline registry messages;

// A number; its moves throw if `messages.moves_throw` and the scheduler's budget of faults allow it.
class number {
public:
    explicit number(int id) : id_(id), state_(full) {
        messages.made(id);
        ++messages.objects;
    }
    number(const number& other) : id_(other.id()), state_(full) {
        expect_unlocked("a message is copied");
        messages.made(id_);
        ++messages.objects;
    }
    number(number&& other) noexcept(false) {
        other.check(full, "a message is moved that is not there");
        if (messages.moves_throw && inject_fault()) {
            messages.threw();
            throw injected_error();
        }
        id_ = other.id_;
        state_ = full;
        other.state_ = hollow;
        ++messages.objects;
    }
    number& operator=(number&& other) noexcept(false) {
        if (this != &other) {
            number taken(std::move(other));
            std::swap(id_, taken.id_);
            std::swap(state_, taken.state_);
        }
        return *this;
    }
    ~number() {
        if (state_ == full) {
            expect_unlocked("a message is destroyed");
            messages.ended(id_);
        } else {
            check(hollow, "a message is destroyed that is not there");
        }
        state_ = ended;
        --messages.objects;
    }
    int id() const {
        check(full, "a message is read that is not there");
        return id_;
    }

private:
    enum state : std::uint32_t { full = 0xf0110001, hollow = 0xf0110002, ended = 0xf0110003 };
    void check(state s, const char* complaint) const { expect(state_ == s, complaint); }

    int id_;
    state state_;
};

// So large that a queue has segments of one slot, then of two.
struct bulky : number {
    using number::number;
    char padding[24000];
    explicit bulky(int id) : number(id) {}
    bulky(const bulky& other) : number(other) {}
    bulky(bulky&& other) noexcept(false) : number(std::move(other)) {}
    bulky& operator=(bulky&& other) noexcept(false) {
        number::operator=(std::move(other));
        return *this;
    }
};

// One whose moves are known not to throw.
struct steady : number {
    explicit steady(int id) : number(id) {}
    steady(const steady&) = default;
    steady(steady&& other) noexcept : number(std::move(other)) {}
    steady& operator=(steady&& other) noexcept {
        number::operator=(std::move(other));
        return *this;
    }
};

// One that needs no destructor: a queue keeps the first few of them beside its counters.
struct plain {
    explicit plain(int id) : id_(id), again_(id) {}
    int id() const {
        expect(id_ == again_, "a message is torn");
        return id_;
    }
    int id_, again_;
    std::uint64_t padding = 0;
};

// One so small that it travels in the waiter of a blocked operation.
struct small {
    explicit small(int id) : id_(id), again_(id) {}
    int id() const {
        expect(id_ == again_, "a message is torn");
        return id_;
    }
    int id_, again_;
};

}  // namespace model
