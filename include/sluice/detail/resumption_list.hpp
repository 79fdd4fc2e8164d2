// resumption_list: what waits to be resumed, in order, linked through the nodes themselves.
#pragma once

#include <sluice/executor.hpp>

namespace sluice::detail {

// A ring through an end of its own, so that a node leaves whatever list it is in without knowing which. A node that is
// in no list has no links. Not safe to use from several threads at once.
class resumption_list {
public:
    resumption_list() noexcept { end_.next = end_.previous = &end_; }
    resumption_list(const resumption_list&) = delete;
    resumption_list& operator=(const resumption_list&) = delete;
    ~resumption_list() {
        while (pop_front()) {
        }
    }

    bool empty() const noexcept { return end_.next == &end_; }
    static bool is_linked(const resumption& node) noexcept { return node.next != nullptr; }

    void push_back(resumption& node) noexcept { insert_before(end_, node); }
    void push_front(resumption& node) noexcept { insert_before(*end_.next, node); }
    // Null if there is none.
    resumption* pop_front() noexcept { return take(*end_.next); }
    resumption* pop_back() noexcept { return take(*end_.previous); }

    // The node is in a list, of this class.
    static void unlink(resumption& node) noexcept {
        node.previous->next = node.next;
        node.next->previous = node.previous;
        node.next = node.previous = nullptr;
    }

    // To look at all of them: the first, and what follows one; null at the end.
    resumption* first() const noexcept { return empty() ? nullptr : end_.next; }
    resumption* after(const resumption& node) const noexcept { return node.next == &end_ ? nullptr : node.next; }

private:
    struct end : resumption {
        end() noexcept : resumption(nullptr) {}
    };

    static void insert_before(resumption& place, resumption& node) noexcept {
        node.next = &place;
        node.previous = place.previous;
        place.previous->next = &node;
        place.previous = &node;
    }
    resumption* take(resumption& node) noexcept {
        if (&node == &end_) return nullptr;
        unlink(node);
        return &node;
    }

    end end_;
};

}  // namespace sluice::detail
