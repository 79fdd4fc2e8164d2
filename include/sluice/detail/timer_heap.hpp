// timer_heap: points in time, the soonest first, linked through the nodes themselves.
#pragma once

#include <sluice/executor.hpp>

namespace sluice::detail {

// A pairing heap (Fredman, Sedgewick, Sleator and Tarjan, 1986): constant time to add one, logarithmic on average to
// take one out. `child` is the first of a node's children, `next` its next sibling, `previous` its sibling before, or
// its parent for a first child, or itself for the root; null for a node that is in no heap. Not safe to use from
// several threads at once.
class timer_heap {
public:
    timer_heap() = default;
    timer_heap(const timer_heap&) = delete;
    timer_heap& operator=(const timer_heap&) = delete;

    // The soonest, or null.
    timer_node* top() const noexcept { return root_; }

    // The node is in no heap, and says when it is due.
    void add(timer_node& node) noexcept {
        node.next = node.child = nullptr;
        set_root(root_ ? &meld(*root_, node) : &node);
    }

    // False if the node is in no heap.
    bool remove(timer_node& node) noexcept {
        if (!node.previous) return false;
        timer_node* const below = meld_siblings(node.child);
        if (&node == root_) {
            set_root(below);
        } else {
            (node.previous->child == &node ? node.previous->child : node.previous->next) = node.next;
            if (node.next) node.next->previous = node.previous;
            if (below) set_root(&meld(*root_, *below));
        }
        node.next = node.previous = node.child = nullptr;
        return true;
    }

private:
    void set_root(timer_node* node) noexcept {
        root_ = node;
        if (node) node->previous = node;
    }

    // Makes the later of two roots the first child of the other; returns that. Of two that are due at once, `a` stays.
    static timer_node& meld(timer_node& a, timer_node& b) noexcept {
        if (b.when < a.when) return meld_below(b, a);
        return meld_below(a, b);
    }
    static timer_node& meld_below(timer_node& parent, timer_node& later) noexcept {
        later.previous = &parent;
        later.next = parent.child;
        if (later.next) later.next->previous = &later;
        parent.child = &later;
        parent.next = nullptr;
        return parent;
    }

    // One root of a line of siblings: in pairs from the left, and then all from the right. A loop, as a line may be long.
    static timer_node* meld_siblings(timer_node* first) noexcept {
        timer_node* pairs = nullptr;  // linked by `next`, the last first
        while (first) {
            timer_node* const second = first->next;
            timer_node* const rest = second ? second->next : nullptr;
            timer_node& melded = second ? meld(*first, *second) : *first;
            melded.next = pairs;
            pairs = &melded;
            first = rest;
        }
        timer_node* all = pairs;
        if (!all) return nullptr;
        pairs = all->next;
        all->next = nullptr;
        while (pairs) {
            timer_node* const rest = pairs->next;
            all = &meld(*pairs, *all);
            pairs = rest;
        }
        return all;
    }

    timer_node* root_ = nullptr;
};

}  // namespace sluice::detail
