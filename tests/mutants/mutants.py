#!/usr/bin/env python3
"""Applies one-line faults to a copy of the library, one at a time, and says which models catch each."""

import argparse
import concurrent.futures
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOCK, PARKER, WAITER, QUEUE, STATE, STEPS, CHANNEL, CORE, BLOCKING, ENGINE, CASES, HANDLER, TIMER = (f"detail/{name}.hpp" for name in (
    "lock", "parker", "waiter", "queue", "channel_state", "channel_steps", "channel_base", "channel_core", "blocking", "select_engine", "cases", "handler",
    "timer_core"))
LOOP, TASK_GROUP = "detail/loop_core.hpp", "task_group.hpp"
WATCH, GROUP = "detail/watch.hpp", "detail/group.hpp"
READY_SIGNAL, POLLABLE = "detail/ready_signal.hpp", "pollable.hpp"

# Which models are to notice: a file of tests/model, and the names in it that are run, or parts of them ("$": the end of it).
def models(source, *names, options=()):
    return source, [word for name in names for word in ("--filter", name)] + list(options)


SEND_RECV = models("pairs", "pair/rendezvous/send+recv$", "pair/one/send+recv$")
TIMEOUTS = models("pairs", "rendezvous/send+recv_timeout$", "rendezvous/send_timeout+recv$", "rendezvous/send_timeout+recv_timeout$")
STOPS = models("pairs", "rendezvous/recv_stop+stop$", "rendezvous/select_recv_stop+stop$")
SMALL = models("pairs", "pair/small-rendezvous/send+recv$")
CLOSE = models("pairs", "/recv+close$", "/send+close$", "/select_recv+close$", "/select_send+close$")
MEETING = models("selects", "rendezvous/recv-send$", "rendezvous/recv-send-reversed$")
ONE_OF_TWO = models("selects", "rendezvous/recv-send-a-send-b$")
CLOSE_HEARD = models("selects", "rendezvous/close-heard$")
STOP_SELECT = models("selects", "select/stop-against-match$")
BUFFERED = models("pairs_buffered", "one-full/send+recv$", "two-half/send+recv$", "unbounded/send+recv$", "one-full/send+try_recv$")
MANY = models("pairs_buffered", "one-full/send+recv_many", "two-half/send_many+recv", "unbounded/send_many+recv$")
FAULTS = models("faults", "throwing")
ENDS = models("lives", "life/last", "life/senders-go-1$")
GROWTH = models("lives", "life/growth", "life/burst", "life/discard")
TICKS = models("timers", "timer/after-once$")
TIMER_RACE = models("timers", "timer/against-message$", "timer/after-in-selects$")
DIRECT = models("direct_reads", "direct-read/")
SELECT = "select.hpp"
AUDIENCE = "detail/audience.hpp"
BATCHES = models("batches", "rendezvous/full$", "rendezvous/close$", "rendezvous/stop$", "rendezvous/linger$")
BATCH_WAIT = "detail/batch_wait.hpp"
DIRECT_READING = "ipc/detail/direct_reading.hpp"
OUTGOING = "ipc/detail/outgoing.hpp"
CHANNEL_READER = "ipc/detail/channel_reader.hpp"
WRITE_BUFFER = "ipc/detail/write_buffer.hpp"
STOP_CALLBACK = "detail/stop_callback.hpp"

SUSPENSION, ASYNC_CHANNEL, LOOP = "detail/suspension.hpp", "detail/async_channel.hpp", "detail/loop_core.hpp"
LINE_SUSPENSION = "detail/line_suspension.hpp"
SUSPENSIONS = models("suspensions", "suspension/")
ASYNC_ENDS = models("async_ends", "async-end/")
EXCHANGES = models("loops", "loop/exchange")
ASYNC_TIMERS = models("async_selects", "async-timer/")
ASYNC_MANY, ASYNC_BROADCAST, ASYNC_SELECT = "detail/async_many.hpp", "detail/async_broadcast.hpp", "detail/async_select.hpp"

GROUPS = models("groups", "group/unbounded/", "group/one-full/")


def pollables(*names):
    return models("pollables", *(f"pollable/{name}" for name in names))


BROADCASTS = models("broadcasts", "broadcast/drop-oldest$")

LOOPS = models("loops", "loop/")
STOP_CALLBACKS = models("stops", "stop/")
TASK_GROUPS = models("loops", "group/")


def writes(*names):
    return models("outgoing_writes", *(f"outgoing/{name}" for name in names))


# What is wrong, where, the exact text, what takes its place, and the models that are to notice.
MUTANTS = [
    # ---- Parking
    ("wake() does not notify", PARKER, "        notified_ = true;\n        notify();", "        notified_ = true;", SEND_RECV),
    ("wake() notifies without a reason to see", PARKER, "        notified_ = true;\n        notify();",
     "        notify();", SEND_RECV),
    ("wake() leaves a parked thread alone", PARKER, "== state::awake) return;", "!= state::woken) return;", SEND_RECV),
    ("wake() notifies without the lock", PARKER, "        const std::lock_guard<sync::mutex> lock(mutex_);\n        notified_ = true;",
     "        notified_ = true;", SEND_RECV),
    ("interrupt() does not notify", PARKER, "        interrupted_ = true;\n        notify();",
     "        interrupted_ = true;", STOPS),
    ("interrupt() notifies without the lock", PARKER, "        const std::lock_guard<sync::mutex> lock(mutex_);\n        interrupted_ = true;",
     "        interrupted_ = true;", STOPS),
    ("a thread announces its sleep without a look", PARKER,
     "return announced_ = state_.compare_exchange_strong(expected, state::parked, std::memory_order_acq_rel);",
     "state_.store(state::parked, std::memory_order_release); return announced_ = true;", SEND_RECV),
    ("a thread that gives up does not look whether it was woken", PARKER,
     "if (!notified_ && state_.compare_exchange_strong(expected, state::awake, std::memory_order_acq_rel)) {",
     "if (!notified_) {", TIMEOUTS),
    ("a thread leaves before its waker is done", PARKER, "        while (!notified_) sleeper_.wait(lock);\n        return event::woken;",
     "        return event::woken;", TIMEOUTS),
    ("a deadline is not looked at", PARKER, "!interrupted_ && !until.passed()) until.sleep", "!interrupted_) until.sleep", TIMEOUTS),
    ("woken() does not acquire", PARKER, "return state_.load(std::memory_order_acquire) == state::woken;",
     "return state_.load(std::memory_order_relaxed) == state::woken;", SEND_RECV),
    ("wake() does not release", PARKER, "state_.exchange(state::woken, std::memory_order_acq_rel)",
     "state_.exchange(state::woken, std::memory_order_acquire)", SEND_RECV),
    ("a lock that is taken is not waited for", LOCK, "            if (m.try_lock()) return;\n        }\n        m.lock();",
     "            if (m.try_lock()) return;\n        }", SEND_RECV),

    # ---- Reading by the thread that waits
    ("a bell is not rung", PARKER, "        if (bell_) bell_->ring();\n", "", DIRECT),
    ("a thread sleeps until its bell though it was interrupted", PARKER, "if (!interrupted_) bell_ = &b;", "bell_ = &b;", DIRECT),
    ("the loop does not wait for a descriptor that is given back", DIRECT_READING, "            if (of.of_) of.of_->take_back();\n", "",
     DIRECT),
    ("two threads read at once", DIRECT_READING, "        const auto held = lock_work();\n        if (!of_) return false;",
     "        if (!of_) return false;", DIRECT),
    ("the reader goes while another thread reads", DIRECT_READING, "        const auto held = lock_work();\n        of_ = nullptr;",
     "        of_ = nullptr;", DIRECT),
    ("the reader goes and does not say so", DIRECT_READING, "        of_ = nullptr;\n", "", DIRECT),
    ("the reader goes while a thread is inside", DIRECT_READING,
     "        while (inside_ > 0) left_.wait(held);\n", "", DIRECT),
    ("a thread that enters is not counted", DIRECT_READING, "        ++inside_;\n", "", DIRECT),
    ("the last thread to leave does not notify", DIRECT_READING, "        if (--inside_ == 0) left_.notify_one();", "        --inside_;", DIRECT),
    ("a borrower does not look at its deadline", DIRECT_READING, "            if (spins == 0 && until.passed()) return false;\n", "", DIRECT),

    # ---- Writing by the thread that sends
    ("a token that is passed to the loop is not taken", OUTGOING, "[this] { loop_has_token_.store(true, std::memory_order_release); }", "[] {}",
     writes("two")),
    ("the token is passed on without what was done with it", OUTGOING, "[this] { loop_has_token_.store(true, std::memory_order_release); }",
     "[this] { loop_has_token_.store(true, std::memory_order_relaxed); }", writes("stop-sending", "narrow")),
    ("the loop takes the token without what was done with it", OUTGOING, "return loop_has_token_.load(std::memory_order_acquire) ?",
     "return loop_has_token_.load(std::memory_order_relaxed) ?", writes("stop-sending", "narrow")),
    ("the loop writes without the token", OUTGOING, "return loop_has_token_.load(std::memory_order_acquire) ?", "return true ?",
     writes("stop-sending")),
    ("the token is parked before all is written", OUTGOING, "if (!write_buffer_.empty() || (looping && spin_for_message(spins))) continue;",
     "if (looping && spin_for_message(spins)) continue;", writes("one")),
    ("a token that is parked is still the loop's", OUTGOING,
     "                loop_has_token_.store(false, std::memory_order_relaxed);\n", "", writes("stop-sending")),
    ("the token is given up after it was parked", OUTGOING,
     "                loop_has_token_.store(false, std::memory_order_relaxed);\n                const channel_reader::wait_result waited = reader_->wait();\n"
     "                if (waited == channel_reader::wait_result::waiting) return flow::idle;",
     "                const channel_reader::wait_result waited = reader_->wait();\n                loop_has_token_.store(false, std::memory_order_relaxed);\n"
     "                if (waited == channel_reader::wait_result::waiting) return flow::idle;", writes("one")),
    ("a token that could not be parked is nobody's", OUTGOING,
     "                loop_has_token_.store(looping, std::memory_order_relaxed);\n                if (waited", "                if (waited",
     writes("narrow-two", "two")),
    ("a blocked sender keeps the token", OUTGOING, "write_out(false) == flow::idle) {", "write_out(false) != flow::done) {", writes("narrow")),
    ("a message that has come meanwhile is taken for the end", OUTGOING, "if (waited == channel_reader::wait_result::closed) queue_end();",
     "queue_end();", writes("two", "two-senders")),
    ("the end is queued again and again", OUTGOING, "        end_queued_ = true;\n        const ipc_errc why", "        const ipc_errc why",
     writes("one")),
    ("the error of the end is not read again", OUTGOING, "if (waited == channel_reader::wait_result::closed) queue_end();",
     "if (waited == channel_reader::wait_result::closed) { end_queued_ = true; append_end(write_buffer_); }", writes("error")),
    ("the error is not looked at before the channel is written out", OUTGOING,
     "                if (is_ending_by_error()) {\n                    queue_end();\n                    continue;\n                }\n", "",
     writes("error-queued")),
    ("ending by an error closes nothing", OUTGOING, "        end_error_.store(why, std::memory_order_release);\n        reader_->close(cause);",
     "        end_error_.store(why, std::memory_order_release);", writes("error")),
    ("the token holder does not look whether it is abandoned", OUTGOING,
     "            if (abandoned_.load(std::memory_order_acquire)) done_ = true;\n", "", writes("abandon-narrow")),
    ("a sender that waits for room does not hear that it is abandoned", OUTGOING,
     "        abandoned_.store(true, std::memory_order_release);\n        reader_->close(ended_by_);",
     "        abandoned_.store(true, std::memory_order_release);", writes("abandon-narrow")),
    ("a sender that waits for room does not hear that the system takes nothing", OUTGOING, "                    note_write_error();\n                    reader_->close(ended_by_);",
     "                    note_write_error();", writes("gone")),
    ("a sender finds out why the system takes nothing", OUTGOING, "                    if (!looping) return flow::blocked;\n", "", writes("gone")),
    ("the token holder does not look at stop_sending_", OUTGOING,
     "if (stop_sending_.exchange(false, std::memory_order_acq_rel)) append_plain(write_buffer_.bytes, stop_sending_mark);", "", writes("stop-sending")),
    ("stop_sending is written again and again", OUTGOING, "if (stop_sending_.exchange(false, std::memory_order_acq_rel))",
     "if (stop_sending_.load(std::memory_order_acquire))", writes("stop-sending")),
    ("a sender that has parked the token does not post a loop that asks for it", OUTGOING,
     "            if (ref->always_signal.load(std::memory_order_acquire)) ref->loop->post(*ref);\n", "", writes("stop-sending")),
    ("the loop does not ask to be posted", OUTGOING,
     "        handler_.ref()->always_signal.store(true, std::memory_order_release);\n", "", writes("stop-sending")),
    ("the loop takes a token that is not parked", OUTGOING,
     " &&\n            reader_->unregister()) {", ") {\n            reader_->unregister();", writes("stop-sending")),
    ("the loop takes the token out of the channel and does not have it", OUTGOING,
     "            loop_has_token_.store(true, std::memory_order_relaxed);\n", "", writes("stop-sending")),
    ("what was begun of a message that cannot be encoded is written", CHANNEL_READER,
     "                buffer.bytes.resize(begin);  // removes what was encoded of it\n", "", writes("unencodable")),
    ("a message that was handed over is left where it is", CHANNEL_READER, "from_.size() + (arrived_ ? 1 : 0)", "from_.size()", writes("one")),
    ("what was written is written again", WRITE_BUFFER, "        written_ += first;\n", "", writes("narrow")),

    # ---- Waiting in line
    ("the second to be woken is looked up after the first was", WAITER,
     "                first_ = w->next;  // before wake(): after it, `w` may be gone\n                w->wake();",
     "                w->wake();\n                first_ = w->next;",
     models("lives", "life/sleep-again$")),
    ("the first in line stays the first when it leaves", WAITER,
     "                begin_at(*second);\n", "", models("triples", "rendezvous/send+recv_timeout+recv_timeout$")),
    ("a line that is empty again says so as before", WAITER, "first_.store(w.times_empty + 2, std::memory_order_release);",
     "first_.store(w.times_empty, std::memory_order_release);", models("exact", "rendezvous/turns/recv/otherwise$")),
    ("the next in line does not know how often it was empty", WAITER, "                second->times_empty = w.times_empty;\n", "",
     models("triples", "rendezvous/send+recv_timeout+recv_timeout$")),
    ("a waiter that leaves the line stays its neighbour's next", WAITER, "        w.previous->next = w.next;\n        w.next->previous",
     "        w.next->previous",
     models("triples", "rendezvous/send+recv_timeout+recv_timeout$")),
    ("a waiter that leaves the line still counts as linked", WAITER, "        w.next->previous = w.previous;\n        w.linked = false;",
     "        w.next->previous = w.previous;", TIMEOUTS),
    ("closing decides a select that was decided", WAITER, "if (of.decided_ || (w.ignores_close", "if ((w.ignores_close", CLOSE_HEARD),
    ("closing the last channel does not wake a select", WAITER, "--of.live_cases_ > 0)) return false;",
     "--of.live_cases_ + 1 > 0)) return false;", CLOSE),
    ("closing wakes a select without deciding it", WAITER, "        of.decide_as_peer(nullptr);\n        return true;",
     "        of.by_peer_ = true;\n        return true;", CLOSE_HEARD),

    # ---- Claims
    ("a select that was decided completes another case", WAITER, "if (mine && (mine->decided_ || mine->is_late(*self)))", "if (mine && mine->is_late(*self))", ONE_OF_TWO),
    ("a peer completes a select that was decided", WAITER, "        if (theirs && theirs->decided_) return claim_result::peer_lost;\n", "", ONE_OF_TWO),
    ("two claims are locked in any order", WAITER, "reinterpret_cast<std::uintptr_t>(second) < reinterpret_cast<std::uintptr_t>(first)",
     "false", MEETING),
    ("the second claim is not locked", WAITER, "        if (second) inner.lock(second->lock_);\n", "", MEETING),
    ("a peer completes a select without deciding it", WAITER, "        if (theirs) theirs->decide_as_peer(peer);\n        return transferred",
     "        if (theirs) theirs->by_peer_ = true, theirs->selected_ = peer;\n        return transferred", ONE_OF_TWO),
    ("a select does not know that a peer has decided it", WAITER, "        if (theirs) theirs->decide_as_peer(peer);\n        return transferred",
     "        if (theirs) theirs->decided_ = true, theirs->selected_ = peer;\n        return transferred", MEETING),
    ("a select does not know which case a peer has completed", WAITER, "        selected_ = selected;\n", "", MEETING),
    ("a select that completes its own case does not decide itself", WAITER, "            mine->decided_ = transferred;", "            mine->decided_ = false;",
     ONE_OF_TWO),

    # ---- Sending
    ("a send does not see that the channel is closed", STEPS, "        if (closed_under_lock()) return op_status::closed;\n        if (!receivers_",
     "        if (!receivers_", CLOSE),
    ("a send that meets nobody does not see that the channel is closed", CHANNEL, "if (!closed_under_lock() && receivers_.empty()) {",
     "if (receivers_.empty()) {", CLOSE),
    ("a send passes a waiting receiver", CHANNEL, "if (!closed_under_lock() && receivers_.empty()) {", "if (!closed_under_lock()) {", SEND_RECV),
    ("a send that has waited for more room gives up", CHANNEL, "        producer_.wait_for_batch();\n        return try_send(erased_messages(ops), message);",
     "        producer_.wait_for_batch();\n        return op_status::closed;", models("lives", "life/patient$")),
    ("a waiter that was completed stays in line", STEPS, "            line.remove(*w);\n", "", SEND_RECV),
    ("a waiter that was completed is not woken", STEPS,
     "w->state = waiter::status::done;\n            locked.wake_after(*w);", "w->state = waiter::status::done;", SEND_RECV),
    ("a waiter that was completed hears of closing", STEPS,
     "            if (c == claim_result::won) w->state = waiter::status::done;\n", "", SEND_RECV),
    ("a message goes to a select that did not take it", STEPS,
     "            line.remove(*w);\n            if (c == claim_result::peer_lost) continue;\n", "            line.remove(*w);\n", ONE_OF_TWO),
    ("a select that was decided takes a message, or gives one", STEPS, "            if (c == claim_result::self_lost) return op_status::superseded;\n", "", ONE_OF_TWO),
    ("a select completes itself", STEPS, "if (w->watches || is_same_select(self, w)) continue;", "if (w->watches) continue;",
     models("pairs", "pair/rendezvous/select_both+close$")),
    ("only the first in line is completed", STEPS, "            line.remove(*w);\n            if (c == claim_result::peer_lost) continue;", "            line.remove(*w);\n            if (c == claim_result::peer_lost) break;",
     models("selects", "one/passed-over$")),
    ("a message is announced before it is there", STEPS,
     "        messages.put(message, slot);\n        producer_.publish(producer_.own_tail() + 1);",
     "        producer_.publish(producer_.own_tail() + 1);\n        messages.put(message, slot);", SEND_RECV),
    ("send_many announces one message too few", CORE, "const auto publish = [&] { producer_.publish(number); };",
     "const auto publish = [&] { producer_.publish(number - 1); };", MANY),

    # ---- Receiving
    ("a receive passes waiting senders", CHANNEL, "        if (senders_.empty()) {\n            if (consumer_.available",
     "        {\n            if (consumer_.available", BUFFERED),
    ("a receive lets no sender in", STEPS, "            if (senders_.empty()) return op_status::done;\n            locked.lock_also(back_lock());",
     "            return op_status::done;", BUFFERED),
    ("a select that receives lets no sender in", STEPS, "if (claim::try_claim(self, nullptr, dequeue) != claim_result::won) return op_status::superseded;",
     "return claim::try_claim(self, nullptr, dequeue) != claim_result::won ? op_status::superseded : op_status::done;",
     models("pairs", "pair/one/send_many+select_recv$")),
    ("a receive lets senders in without the lock", STEPS,
     "            locked.lock_also(back_lock());\n        }\n        refill", "        }\n        refill",
     models("triples", "one-full/send+try_send+recv$", "one-full/send+send+recv$")),
    ("recv_many lets no sender in", CORE, "                if (senders_.empty()) return;\n", "                return;\n", MANY),
    ("more are let in than there is room for", STEPS,
     "while (!senders_.empty() && producer_.room(limit_, consumer_) > 0) {", "while (!senders_.empty()) {", models("triples", "one-full/send+send+recv$")),
    ("what a sender's move throws is forgotten", STEPS, "        sender.fail(std::move(error));\n        return false;",
     "        return false;", FAULTS),
    ("a slot is given back before its message has ended", STEPS,
     "        messages.take(consumer_.message(messages, number), out);\n        consumer_.publish(number + 1);",
     "        void* const slot = consumer_.message(messages, number);\n        consumer_.publish(number + 1);\n        messages.take(slot, out);", BUFFERED),
    ("a message that was moved from is never destroyed", CORE,
     "        static_cast<result<T>*>(out)->emplace(std::move(*message));\n        std::destroy_at(message);", "        static_cast<result<T>*>(out)->emplace(std::move(*message));", SEND_RECV),

    # ---- Waiting
    ("a receiver registers without a second look", CHANNEL, "        const op_status tried = recv_locked(ops, out, &self, both);",
     "        const op_status tried = closed_under_lock() ? op_status::closed : op_status::blocked;", SEND_RECV),
    ("a sender registers without a second look", CHANNEL, "        const op_status tried = send_locked(ops, message, &self, both);",
     "        const op_status tried = closed_under_lock() ? op_status::closed : op_status::blocked;", SEND_RECV),
    ("a receiver registers with one lock", CHANNEL,
     "        section both(front_lock_, back_lock());\n        const op_status tried = recv_locked(ops, out, &self, both);",
     "        section both(front_lock_);\n        const op_status tried = recv_locked(ops, out, &self, both);", SEND_RECV),
    ("a sender registers with one lock", CHANNEL,
     "        section both(front_lock_, back_lock());\n        const op_status tried = send_locked(ops, message, &self, both);",
     "        section both(back_lock());\n        const op_status tried = send_locked(ops, message, &self, both);", BUFFERED),
    ("a sender that gives up leaves the line twice", CHANNEL, "        if (!self.linked) return false;\n        senders_.remove(self);",
     "        senders_.remove(self);", TIMEOUTS),
    ("a receiver leaves the line without a lock", CHANNEL,
     "        const auto back = spin_lock_guard::unless_alone(back_lock());\n        if (!self.linked) return false;\n        receivers_.remove(self);",
     "        if (!self.linked) return false;\n        receivers_.remove(self);", TIMEOUTS),
    ("a message that came at the deadline is thrown away", BLOCKING,
     "        if (!woken && me.leave()) return", "        if (!woken && (me.leave() || true)) return", TIMEOUTS),
    ("a thread that is completed at the deadline does not wait for its peer", BLOCKING,
     "            if (!withdrawn) sleeper.wait_for_wake();\n", "", TIMEOUTS),

    # ---- Rendezvous: one lock, and small messages that travel in the waiter
    ("a send on a rendezvous takes another lock than a receive", CHANNEL,
     "        spin_lock_guard back(back_lock());\n        if (!closed_under_lock() && receivers_.empty()) {",
     "        spin_lock_guard back(back_lock_);\n        if (!closed_under_lock() && receivers_.empty()) {", SEND_RECV),
    ("a receiver leaves the line of a rendezvous with another lock", CHANNEL,
     "        const auto back = spin_lock_guard::unless_alone(back_lock());\n        if (!self.linked) return false;\n        receivers_.remove(self);",
     "        const auto back = spin_lock_guard::unless_alone(back_lock_);\n        if (!self.linked) return false;\n        receivers_.remove(self);", TIMEOUTS),
    ("a biased select sends on a rendezvous with another lock", CHANNEL,
     "        section back(back_lock());\n        if (closed_under_lock()) return op_status::closed;\n        // Room only",
     "        section back(back_lock_);\n        if (closed_under_lock()) return op_status::closed;\n        // Room only",
     models("biased", "rendezvous/send-send-leaving/")),
    ("a small message that was handed over is not taken", BLOCKING, "            ops_.take(me.self.carried, message_);\n", "            (void)0;\n", SMALL),
    ("a receiver is woken before its small message is there", STEPS, "                    ops.put(message, receiver.carried);\n",
     "                    receiver.sleeper->wake();\n                    ops.put(message, receiver.carried);\n", SMALL),
    ("a sender that registers leaves its small message behind", STEPS, "                ops.put(message, self.carried);\n", "                (void)0;\n", SMALL),
    ("a small message is sought where it was before", WAITER, "return carries_message ? carried : message;", "return message;", SMALL),

    # ---- Groups that watch their channels
    ("a send tells no group", STEPS, "            tell_watchers(receivers_, locked);\n", "", GROUPS),
    ("a receive tells no group of the room", STEPS, "        tell_watchers(senders_, locked);\n", "", GROUPS),
    ("recv_many tells no group of the room", CORE, "                tell_watchers(senders_, front);\n", "", GROUPS),
    ("closing tells no group", STATE, "            tell_watchers(*line, locked);\n", "", GROUPS),
    ("a message is shown before groups are told", STEPS,
     "            tell_watchers(receivers_, locked);\n        }\n        if (!self) return push(erased_messages(ops), message, false) ? op_status::done : op_status::blocked;",
     "            if (!self && push(erased_messages(ops), message, false)) { tell_watchers(receivers_, locked); return op_status::done; }\n        }\n"
     "        if (!self) return push(erased_messages(ops), message, false) ? op_status::done : op_status::blocked;", GROUPS),
    ("only the first group in line is told", WATCH, "            told.hub->tell(told, locked);\n", "            told.hub->tell(told, locked);\n            return;\n", GROUPS),
    ("a message goes to a group that only watches", STEPS, "if (w->watches || is_same_select(self, w)) continue;", "if (is_same_select(self, w)) continue;", GROUPS),
    ("a group watches a channel without a look", CHANNEL, "        if (is_rendezvous() ? !senders_.empty() : consumer_.available(producer_) > 0) return false;\n        message_watchers().push_back(w);",
     "        message_watchers().push_back(w);", GROUPS),
    ("a group watches a channel with one lock", CHANNEL,
     "        const section both(front_lock_, back_lock());\n        if (closed_under_lock()) return false;\n        if (is_rendezvous() ? !senders_",
     "        const section both(front_lock_);\n        if (closed_under_lock()) return false;\n        if (is_rendezvous() ? !senders_", GROUPS),
    ("a group falls asleep without a look at the news", WATCH, "        if (first_) return false;\n", "", GROUPS),
    ("news wake nobody", WATCH, "            if (claim::claim_without_transfer(*group)) locked.wake_after(*group);", "            (void)group;", GROUPS),
    ("a group that is awake is woken by news", WATCH, "        const spin_lock_guard held(lock_);\n        waiting_ = nullptr;\n", "", GROUPS),
    ("a case that goes is still watched", GROUP, "if (!m.self->unwatch(m)) hub_.forget(m);", "", GROUPS),
    ("a case that goes is among those that were told", GROUP, "if (!m.self->unwatch(m)) hub_.forget(m);", "m.self->unwatch(m);", GROUPS),
    ("a group that is told goes on with what it has", "detail/select_cases.hpp",
     """        source_->add_to(*this);
""",
     "",
     ('groups', ['--filter', 'group/unbounded/', '--filter', 'group/one-full/'])),

    # ---- Pollables, and what tells them
    ("a watcher of a pollable is not woken", WATCH, "            locked.wake_after(told);\n", "            (void)told;\n", pollables("unbounded/level/sender$")),
    ("who gets in line at a rendezvous tells nobody that watches for messages", CHANNEL, "            if (is_rendezvous()) tell_watchers(seldom_.message_watchers, both);\n", "",
     pollables("rendezvous/level/sender$")),
    ("who gets in line at a rendezvous tells nobody that watches for room", CHANNEL, "            if (is_rendezvous()) tell_watchers(seldom_.room_watchers, both);\n", "",
     pollables("rendezvous/room$")),
    ("closing a rendezvous tells nobody that watches for messages", STATE, "&seldom_.message_watchers, ", "", pollables("rendezvous/level/sender$")),
    ("a rendezvous is watched though a sender waits there", CHANNEL, "is_rendezvous() ? !senders_.empty() :", "is_rendezvous() ? false :", pollables("rendezvous/level/")),
    ("a rendezvous is watched though a receiver waits there", CHANNEL, "is_rendezvous() ? !receivers_.empty() :", "is_rendezvous() ? false :", pollables("rendezvous/room$")),
    ("a closed channel is watched for messages", CHANNEL, "        if (closed_under_lock()) return false;\n        if (is_rendezvous() ? !senders_", "        if (is_rendezvous() ? !senders_",
     pollables("unbounded/level/sender$")),
    ("a watcher leaves the line without a look whether it was told", CHANNEL, "        if (!w.linked) return false;\n        message_watchers().remove(w);", "        message_watchers().remove(w);",
     pollables("unbounded/gone$")),
    ("a pollable that finds nothing does not lower its descriptor", READY_SIGNAL, "        raised_ = false;\n        event_->clear();", "        raised_ = false;",
     pollables("unbounded/level/sender$", "unbounded/edge/sender$", "one/edge/", "one/level/")),
    ("a descriptor is lowered by who did not look whether it is raised", READY_SIGNAL, "        if (!raised_) return false;\n", "", pollables("unbounded/shared$", "one/shared$", "unbounded/level/")),
    ("a descriptor is lowered without its lock", READY_SIGNAL, "        const spin_lock_guard held(lock_);\n        if (!raised_) return false;\n", "        if (!raised_) return false;\n",
     pollables("unbounded/level/", "unbounded/shared$")),
    ("a descriptor is raised without its lock", READY_SIGNAL, "        const spin_lock_guard held(lock_);\n        if (raised_ || !event_) return;\n", "        if (raised_ || !event_) return;\n",
     pollables("unbounded/level/", "unbounded/gone$")),
    ("raising a descriptor does not make it readable", READY_SIGNAL, "        event_->set();\n", "", pollables("unbounded/level/sender$")),
    ("a descriptor that was raised is not noted", READY_SIGNAL, "        raised_ = true;\n", "", pollables("unbounded/level/sender$")),
    ("a descriptor is written after it was closed", READY_SIGNAL, "if (raised_ || !event_) return;", "if (raised_) return;", pollables("unbounded/gone$")),
    ("a descriptor is closed without its lock", READY_SIGNAL, "        const spin_lock_guard held(lock_);\n        event_.reset();\n", "        event_.reset();\n", pollables("unbounded/gone$")),
    ("an armed watcher does not keep its signal", READY_SIGNAL, "        kept_ = self;\n", "        (void)self;\n", pollables("unbounded/level/sender$", "unbounded/gone$")),
    ("a watcher that was withdrawn keeps its signal", READY_SIGNAL, "(static_cast<watcher&>(*this))) disarm();", "(static_cast<watcher&>(*this))) (void)0;", pollables("unbounded/gone$")),
    ("a pollable leaves its watcher in line", POLLABLE, "return from_ && core_of(from_)->unwatch_message(w);", "(void)w; return from_ ? true : false;", pollables("unbounded/gone$")),
    ("a pollable lowers its descriptor, and does not arm", POLLABLE, "        if (from_ && core_of(from_)->watch_for_message(signal_->arm(signal_))) return true;\n        signal_->disarm();\n        return false;", "        return true;",
     pollables("unbounded/level/sender$")),
    ("a pollable arms before it lowers its descriptor", POLLABLE, "!signal_->lower() || arm()) return message;", "!arm() || signal_->lower()) return message;", pollables("unbounded/level/", "one/level/")),
    ("a pollable that can't arm leaves its descriptor as it is", POLLABLE, "            signal_->raise();\n            if (looks", "            if (looks", pollables("unbounded/level/", "one/level/", "unbounded/edge/")),
    ("a pollable of a selector does not listen", POLLABLE, "cases.listen(signal_->arm(signal_));", "(void)cases;", pollables("unbounded/level/group$")),
    ("a pollable of a selector goes on listening", POLLABLE, "return cases && cases->stop_listening(w);", "(void)w; return cases != nullptr;", pollables("unbounded/group-gone$")),
    ("news wake no listener", WATCH, "        wake_listeners(locked);\n", "", pollables("unbounded/level/group$")),
    ("who is told of a case looks at the listeners without the lock", WATCH, "        section held(lock_);\n        wake_listeners(held);", "        sync::mutex none;\n        section held(none);\n        wake_listeners(held);",
     pollables("unbounded/selector-gone$", "stop$", "unbounded/removed$")),
    ("a listener that leaves is not looked for", WATCH, "        if (!l.linked) return false;\n        listeners_.remove(l);", "        listeners_.remove(l);", pollables("unbounded/group-gone$")),
    ("a case that is added does not ring", GROUP, "        if (hub_.has_listeners() && m.is_active && !is_announced(m)) hub_.ring();\n", "", pollables("unbounded/added$")),
    ("a case that goes does not ring", GROUP, "        if (hub_.has_listeners() && !can_be_ready()) hub_.ring();\n        return taken;", "        return taken;", pollables("unbounded/removed$")),
    ("a group that ends does not ring", GROUP, "        if (made_in_ == sync::fork_count() && hub_.has_listeners()) hub_.ring();\n", "", pollables("unbounded/selector-gone$")),
    ("a group does not ring for a case that can't be announced", GROUP, "        if (!announced || !can_be_ready()) hub_.ring();", "        if (!can_be_ready()) hub_.ring();", pollables("unbounded/level/group$", "one/level/group$")),
    ("a group with nothing to wait for does not ring", GROUP, "        if (!announced || !can_be_ready()) hub_.ring();", "        if (!announced) hub_.ring();", pollables("nothing-to-wait-for$")),
    ("a listener does not look at what was told before", GROUP, "        hub_.listen(l);\n        activate_told();\n", "        hub_.listen(l);\n", pollables("unbounded/level/group$", "one/level/group$", "unbounded/edge/group$")),
    ("a group listens only once it has looked", GROUP, "        if (!announced || !can_be_ready()) hub_.ring();", "        hub_.stop_listening(l);\n        hub_.listen(l);\n        if (!announced || !can_be_ready()) hub_.ring();",
     pollables("unbounded/level/group$", "one/level/group$")),
    ("a wait does not stand in line where a listener watches", GROUP, "        if (!limit.is_immediate()) activate_apart();\n", "", models("pollables", "pollable/rendezvous/wait-beside$", "pollable/rendezvous/wait-meets$")),
    ("a wait that stands in line in place of watchers does not ring", GROUP, "        if (!apart_) return;\n        hub_.ring();\n", "        if (!apart_) return;\n", pollables("rendezvous/wait-beside$", "rendezvous/wait-meets$")),
    ("cases on a rendezvous are not watched for a listener", CASES, "return channel_->is_rendezvous() && watch_anywhere(w);", "(void)w; return false;", pollables("rendezvous/level/group$")),
    ("a case on a rendezvous that may be ready passes for announced", CASES, "    op_status notify(watch_hub&) final { return op_status::done; }\n    void prepare", "    op_status notify(watch_hub&) final { return op_status::blocked; }\n    void prepare",
     pollables("unbounded/level/group$", "rendezvous/level/group$")),
    ("a stop does not ring", CASES, "            if (!on_stop_ring_) on_stop_ring_.emplace(case_.token, bell{&hub});\n", "            (void)hub;\n", pollables("stop$")),
    ("a stop that was requested passes for one to come", CASES, "return case_.token.stop_requested() ? op_status::done : op_status::blocked;\n        }\n\n    private:", "return op_status::blocked;\n        }\n\n    private:", pollables("message-and-stop$")),

    # ---- Closing and the end
    ("close() does not close", STATE, "        closed_.store(true, std::memory_order_release);\n", "", CLOSE),
    ("close() forgets the receivers", STATE, "{&receivers_, &senders_, ", "{&senders_, ", CLOSE),
    ("close() forgets the senders", STATE, "{&receivers_, &senders_, ", "{&receivers_, ", CLOSE),
    ("close() forgets the observers", STATE, "&senders_, &close_observers_, ", "&senders_, ",
     models("lives", "life/watch-closing$")),
    ("an observer of closing does not look whether it has come", STATE, "        if (closed_under_lock()) return false;\n        close_observers_",
     "        close_observers_", models("lives", "life/watch-closing$")),
    ("the last handle of two goes uncounted", STATE, "        if (count.load(std::memory_order_acquire) == 1 &&",
     "        if (count.load(std::memory_order_acquire) <= 2 &&", ENDS),
    ("a handle goes without an order before the end", STATE, "return count.fetch_sub(1, std::memory_order_acq_rel) == 1;",
     "return count.fetch_sub(1, std::memory_order_relaxed) == 1;", ENDS),
    ("both sides think that the other is still there", STATE, "if (!one_side_gone_.exchange(true, std::memory_order_acq_rel)) return;",
     "if (!one_side_gone_.load(std::memory_order_acquire)) return one_side_gone_.store(true, std::memory_order_release);", ENDS),
    ("the side that goes second does not see what the first did", STATE, "if (!one_side_gone_.exchange(true, std::memory_order_acq_rel)) return;",
     "if (!one_side_gone_.exchange(true, std::memory_order_relaxed)) return;", ENDS),
    ("messages that nobody can receive are destroyed under a lock", STATE,
     "            if (discard) both.destroy_after(consumer_.reset(producer_, ops));", "            if (discard) detached_queue(consumer_.reset(producer_, ops));", ENDS),
    ("what is left in the channel is never destroyed", STATE, "        if (discard) {\n            const detached_queue rest = consumer_.reset(producer_, ops);\n        }\n",
     "", ENDS),
    ("the last handle does not close the channel", STATE,
     "            close_locked(both, nullptr);\n            if (discard)", "            if (discard)", ENDS),
    ("a drop_oldest send drops the new one too", STEPS, "            producer_.publish(newest + 1);\n            consumer_.publish(oldest + 1);",
     "            consumer_.publish(oldest + 1);", BROADCASTS),

    # ---- Closing with a cause
    ("a cause is forgotten", STATE, "        std::swap(seldom_.cause, cause);\n", "", models("causes", "cause/recv")),
    ("a later closing replaces the cause", STATE, "        if (closed_under_lock()) return false;\n        std::swap(seldom_.cause, cause);",
     "        std::swap(seldom_.cause, cause);\n        if (closed_under_lock()) return false;", models("causes", "cause/first$")),
    ("a cause is looked at before the channel is seen closed", STATE, "is_closed() ? seldom_.cause : nullptr", "seldom_.cause",
     models("causes", "cause/observers$")),
    ("who sees a channel closed does not see what was before", STATE, "        closed_.store(true, std::memory_order_release);\n        return true;",
     "        closed_.store(true, std::memory_order_relaxed);\n        return true;", models("causes", "cause/observers$")),
    ("who asks whether a channel is closed does not see what was before", STATE,
     "bool is_closed() const noexcept { return closed_.load(std::memory_order_acquire); }",
     "bool is_closed() const noexcept { return closed_.load(std::memory_order_relaxed); }", models("causes", "cause/observers$")),

    # ---- Weak handles
    ("the only handle is taken for the last though there are weak ones", STATE, " && !had_weak_.load(std::memory_order_relaxed)) {", ") {",
     models("weak_handles", "weak/short-cut$")),
    ("the first weak handle is not noted", STATE, "        had_weak_.store(true, std::memory_order_relaxed);\n", "",
     models("weak_handles", "weak/short-cut$")),
    ("a side that is gone comes back", STATE, "        return seen != 0;\n", "        return seen != 0 || (count.fetch_add(1), true);\n",
     models("weak_handles", "weak/sender-lock-or-drop$")),
    ("of two that lock a weak handle at once one is not counted", STATE, "!count.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire)",
     "(count.store(seen + 1, std::memory_order_release), false)", models("weak_handles", "weak/sender-lock-or-drop$")),
    ("a channel goes though there are weak handles", STATE,
     "        if (had_weak_.load(std::memory_order_relaxed)) return drop_weak();\n", "", models("weak_handles", "weak/last-of-all$")),
    ("a weak handle goes without an order before the end", STATE, "weak_count.fetch_sub(1, std::memory_order_acq_rel)",
     "weak_count.fetch_sub(1, std::memory_order_relaxed)", models("weak_handles", "weak/last-of-all$")),
    ("a copy of a weak handle is not counted", STATE, "seldom_.weak_count.fetch_add(1, std::memory_order_relaxed);", "",
     models("weak_handles", "weak/last-of-all$")),

    # ---- Overflow, and forced sends
    ("an eviction finds room for a moment", STEPS, "            producer_.publish(newest + 1);\n            consumer_.publish(oldest + 1);",
     "            consumer_.publish(oldest + 1);\n            producer_.publish(newest + 1);", models("overflows", "oldest-full/try_send+select_recv_otherwise$")),
    ("a forced send leaves the front to others", CHANNEL,
     "        section both(front_lock_, back_lock());\n        const op_status tried = send_locked(ops, message, nullptr, both);",
     "        section both(back_lock());\n        const op_status tried = send_locked(ops, message, nullptr, both);", models("overflows", "overflow/force-ledger$")),
    ("a forced send does not look whether the channel is closed", CHANNEL, "if (!closed_under_lock() && receivers_.empty() && push(erased",
     "if (receivers_.empty() && push(erased", models("overflows", "overflow/force-closed$")),
    ("a forced send passes a receiver that waits", CHANNEL, "if (!closed_under_lock() && receivers_.empty() && push(erased",
     "if (!closed_under_lock() && push(erased", models("overflows", "overflow/force-waiting$")),
    ("a rule discards for a case though one before it is ready", CHANNEL, "        if (!holds(others)) return op_status::superseded;\n", "",
     models("overflows", "overflow/biased$")),
    ("an eviction by a rule is not counted", CHANNEL, "            if (evicted == op_status::done) count_dropped();\n", "",
     models("overflows", "overflow/ledger-oldest$")),
    ("a new message that is discarded is not counted", CHANNEL, "        count_dropped();\n        return op_status::blocked;",
     "        return op_status::blocked;", models("overflows", "overflow/ledger-newest$")),
    ("a message that is discarded is left to the caller", CHANNEL, "            ops.deliver(message, out);\n            sent = op_status::done;",
     "            sent = op_status::blocked;", models("overflows", "overflow/ledger-newest$")),
    ("drop_oldest takes the front's messages without its lock", CHANNEL, "section locked(evicts ? front_lock_ : back_lock());",
     "section locked(back_lock());", models("overflows", "overflow/ledger-oldest$")),
    ("a case of a select waits on a channel that discards", CHANNEL, "        if (discards()) return send_discarding(ops, message, &self);\n", "",
     models("overflows", "overflow/register$")),

    # ---- Broadcast
    ("a message of which two made a copy is replayed twice", AUDIENCE, "            if (next_ == number) {", "            if (next_ < messages_.size()) {",
     models("broadcasts", "broadcast/replay-")),
    ("a newcomer is sent a message before what is replayed", "detail/publication.hpp",
     """            if (at_->gets_replay()) at_->before->put_into(*core_of(at_->to));
""",
     "",
     ('broadcasts', ['--filter', 'broadcast/replay-'])),
    ("a newcomer is closed before its replay", AUDIENCE, "if (!before || before->close_after()) to.close();", "to.close();",
     models("broadcasts", "broadcast/close-replay$")),
    ("a newcomer is not closed after its replay", AUDIENCE, "        if (closes()) channel.close();\n", "", models("broadcasts", "broadcast/close-replay$")),
    ("who comes after the closing stays open", "broadcast.hpp", "        if (!open) newcomer.close();\n        return", "        if (!open) (void)new sender<T>(newcomer.to);\n        return",
     models("broadcasts", "broadcast/close-plain$")),
    ("a closing closes those alone who come later", "broadcast.hpp", "        for (const auto& s : *all) s.close();\n", "", models("broadcasts", "broadcast/close-plain$")),

    # ---- The queue
    ("the consumer does not see what is in a slot", QUEUE, "std::size_t tail() const noexcept { return tail_.load(std::memory_order_acquire); }",
     "std::size_t tail() const noexcept { return tail_.load(std::memory_order_relaxed); }", BUFFERED),
    ("the producer does not show what is in a slot", QUEUE, "tail_.store(number, std::memory_order_release);",
     "tail_.store(number, std::memory_order_relaxed);", BUFFERED),
    ("the producer does not see that a slot is free", QUEUE,
     "std::size_t head() const noexcept { return head_.load(std::memory_order_acquire); }",
     "std::size_t head() const noexcept { return head_.load(std::memory_order_relaxed); }", BUFFERED),
    ("the consumer does not show that a slot is free", QUEUE, "head_.store(number, std::memory_order_release);",
     "head_.store(number, std::memory_order_relaxed);", BUFFERED),
    ("a ring that has gone round counts as empty", QUEUE, "has_consumer(number, head) ? number - head : written(number)",
     "has_consumer(number, head) ? 0 : written(number)", GROWTH),
    ("the consumer leaves a segment too early", QUEUE, "if (following && segment_->end == number)", "if (following)", GROWTH),
    ("a segment does not know its end", QUEUE, "            segment_->end = number;\n", "", GROWTH),
    ("room is reckoned from what was, after a reset", QUEUE, "        cached_limit_ = own_tail();\n", "", GROWTH),
    ("a limit is one too high", QUEUE, "const std::size_t room = limit - (number - head), unused",
     "const std::size_t room = limit + 1 - (number - head), unused",
     models("lives", "life/odd-capacity$")),
    ("the ring inside a channel is given back", QUEUE,
     "    if (front && !front->is_allocated) front = front->next.load(std::memory_order_relaxed);\n", "", models("lives", "life/idle")),
    ("the consumer does not see where a segment ends", QUEUE, "queue_segment* const following = segment_->next.load(std::memory_order_acquire);",
     "queue_segment* const following = segment_->next.load(std::memory_order_relaxed);", GROWTH),
    ("a segment is linked before it is ready", QUEUE, "segment_->next.store(following, std::memory_order_release);",
     "segment_->next.store(following, std::memory_order_relaxed);", GROWTH),

    # ---- Select
    ("a select does not decide itself before it leaves", WAITER, "        decided_ = true;\n        return by_peer_;",
     "        return by_peer_;",
     models("selects", "rendezvous/in-time-select$")),
    ("a select leaves before its peer has woken it", ENGINE,
     "            if (by_peer_) decision.sleeper.wait_for_wake();",
     "",
     ('selects', ['--filter', 'rendezvous/recv-send-a-send-b$'])),
    ("a select leaves its cases in line", ENGINE,
     "for (std::uint32_t place = 0; place < registered; ++place) engine_.in_order(place).unregister();", "",
     MEETING),
    ("a closed case does not drop out", ENGINE, "case op_status::closed: here.decision.drop_case(); break;", "case op_status::closed: break;", CLOSE),
    ("a select takes the end of a channel for a message", ENGINE,
     "            if (selected) {",
     """            if (!selected) chosen = order_[0];
            if (selected) {""",
     ('pairs', ['--filter', '/recv+close$', '--filter', '/send+close$', '--filter', '/select_recv+close$', '--filter', '/select_send+close$'])),
    ("a select sleeps although it was decided", ENGINE,
     """        if (here.decision.is_decided()) return false;
""",
     "",
     ('pairs', ['--filter', '/recv+close$', '--filter', '/send+close$', '--filter', '/select_recv+close$', '--filter', '/select_send+close$'])),
    ("a select waits for a timer that is over", ENGINE,
     "if (tried != op_status::blocked) return false;",
     "if (tried == op_status::done) return false;",
     ('timers', ['--filter', 'timer/after-alone$'])),
    ("a failed send of a select counts as done", CASES,
     "        if (op_->state == waiter::status::failed) op_->rethrow();\n", "", FAULTS),
    ("a stop request wakes a select that was decided", CASES, "if (claim::claim_without_transfer(*of)) of->wake();", "claim::claim_without_transfer(*of), of->wake();", STOP_SELECT),

    # ---- Nothing is ready, and what came first
    ("nothing is ready if one round says so", ENGINE,
     "if ((none_can_be || !may_block_) && was_at_one_moment())",
     "if (none_can_be || !may_block_)",
     ('exact', ['--filter', 'exact/two/to-and-fro/recv/otherwise$'])),
    ("room is reckoned from a message that was taken since", STATE, "        const std::size_t tail = producer_.tail();\n        seen = consumer_.head();",
     "        seen = consumer_.head();\n        const std::size_t tail = producer_.tail();", models("exact", "exact/two/to-and-fro/send/")),
    ("a sender whose message was put in is in no line and in no queue", STATE, " || is_closed() || producer_.tail() != seen;", " || is_closed();",
     models("exact", "behind-one/recv-alone/")),
    ("a case is taken though a timer before it is due", WAITER, "return w.yields_to_timer && timers_ && timers_->is_timer_due();",
     "return false;", models("outcomes", "outcome/timer/due-1/biased_timer_stop+stop")),
    ("a case is taken though a timer before it was reset to be due", WAITER, "return w.yields_to_timer && timers_ && timers_->is_timer_due();",
     "return false;", models("timers", "timer/reset-biased$")),
    ("a channel is seen closed before its selects are", STATE, "        for (wait_queue* const line",
     "        closed_.store(true, std::memory_order_release);\n        for (wait_queue* const line",
     models("selects", "/seen-closed$")),
    ("a case is taken though an earlier one has become ready", "detail/select_cases.hpp",
     "return choice_.is_unchanged_before(place_);",
     "return true;",
     ('biased', ['--filter', 'biased/two/recv-recv/otherwise$', '--filter', 'biased/one/recv-recv/otherwise$'])),
    ("a receive overlooks a stop that was requested before", CORE,
     "    errc recv(result<T>& out, const deadline& until, const stop_token& stop) {\n        if (stop.stop_requested()) return errc::stopped;",
     "    errc recv(result<T>& out, const deadline& until, const stop_token& stop) {",
     models("outcomes", "outcome/recv/one/recv_stop+stop-message$")),
    ("a stop after the deadline counts", BLOCKING, "            if (until_.passed()) return;\n            me->stopped", "            me->stopped",
     models("outcomes", "outcome/recv/one/recv_until_stop+", "outcome/recv/rendezvous/recv_until_stop+")),
    ("what a sender's move throws passes for a message", WAITER, "return transferred ? claim_result::won : claim_result::peer_failed;",
     "return claim_result::won;", models("faults", "throwing-move/meeting/send+select_recv", "throwing-move/meeting/select_send+")),

    # ---- Closings, and cases that store
    ("an on_closed does not stand in line", CASES, "return channel_->observe_close(self_) ? op_status::blocked : claim::claim_own(self_);",
     "return op_status::blocked;", models("closings", "closing/one/heard$")),
    ("an on_closed stays in line", CASES, "if (channel_) channel_->unobserve_close(self_);", "", models("closings", "closing/one/or-message$")),
    ("an on_closed is taken though a timer before it is due", CASES,
     "return channel_->observe_close(self_) ? op_status::blocked : claim::claim_own(self_);",
     "return channel_->observe_close(self_) ? op_status::blocked : op_status::done;", models("closings", "/behind-timer$")),
    ("an on_closed does not look at its channel", CASES, "if (!channel_->is_closed()) return op_status::blocked;", "return op_status::blocked;",
     models("exact", "/hearing/recv-closed/otherwise$")),
    ("an on_closed is not looked at again", CASES, "bool is_unchanged() const final { return !maybe_ready(); }",
     "bool is_unchanged() const final { return true; }", models("exact", "/one/hearing/")),
    ("an on_closed is taken though an earlier case has become ready", CASES,
     "if (!channel_->is_closed()) return op_status::blocked;\n        return holds(others) ? op_status::done : op_status::superseded;",
     "return channel_->is_closed() ? op_status::done : op_status::blocked;", models("biased", "/recv-end/")),
    ("a select begins with what was stored before", SELECT, "    (clear_storage(cases.handler), ...);\n", "",
     models("closings", "/into-optionals$")),
    ("a result does not say that its channel is closed", HANDLER, "            into = unexpected(outcome.error());\n", "",
     models("closings", "/into-results$")),
    ("an on_closed stays in its group", CASES, "bool is_done(bool chosen) const noexcept final { return chosen; }",
     "bool is_done(bool) const noexcept final { return false; }", models("closings", "/in-group$")),
    # ---- Batches
    ("a batch leaves while a callback is under way", BATCH_WAIT, "        while (waiting_) changed_.wait(lock);\n", "", BATCHES),
    ("a batch that leaves is put back in line", BATCH_WAIT, "        leaving_ = true;\n", "", BATCHES),
    ("a batch that is full sleeps on", BATCH_WAIT, "        waiting_ = false;\n        changed_.notify_one();", "        waiting_ = false;", BATCHES),
    ("a batch does not hear of the closing", BATCH_WAIT, "            closed_ = true;\n            end_wait();\n", "            closed_ = true;\n", BATCHES),
    ("a batch is not put back in line", BATCH_WAIT, "            keep_next();\n            stand_in_line();\n", "            keep_next();\n", BATCHES),
    ("a stop does not wake a batch", BATCH_WAIT, "            stopped_ = true;\n            changed_.notify_one();\n", "            stopped_ = true;\n", BATCHES),
    ("a message handed to a batch is not kept", BATCH_WAIT, "            keep_next();\n            stand_in_line();\n", "            stand_in_line();\n", BATCHES),
    ("a batch that has lingered goes on", BATCH_WAIT, "        if (over) break;\n", "", BATCHES),

    # ---- Timers
    ("a timer ticks twice", "detail/timer_core.hpp",
     """            end_locked(timer_phase::over, told);
""",
     "",
     ('timers', ['--filter', 'timer/after-once$'])),
    ("a timer is early", TIMER, "next_ != never && now >= next_ ?", "next_ != never ?", TICKS),
    ("a reset wakes nobody", "detail/timer_core.hpp",
     """        ++changes_;
        interrupt_first(told);
""",
     """        ++changes_;
""",
     ('timers', ['--filter', 'timer/reset-recv$'])),
    ("a reset is no change", "detail/timer_core.hpp",
     """        ++changes_;
        interrupt_first(told);
""",
     """        interrupt_first(told);
""",
     ('timers', ['--filter', 'timer/reset-exact$'])),
    ("a select with one live case asks no further", "detail/select_cases.hpp",
     "    bool was_at_one_moment() const { return count_ <= 1 ||",
     "    bool was_at_one_moment() const { return live_ <= 1 ||",
     ('timers', ['--filter', 'timer/over-exact$'])),
    ("all timers are over, though not at one moment", ENGINE,
     "                if ((none_can_be || !may_block_) && was_at_one_moment()) {",
     "                if (none_can_be || (!may_block_ && was_at_one_moment())) {",
     ('timers', ['--filter', 'timer/pending-in-turn$'])),
    ("a select that has registered does not count its live cases", ENGINE,
     """case op_status::blocked: ++live_; break;
            }
        }
        return no_case;
    }

    // ---- A stop""",
     """case op_status::blocked: break;
            }
        }
        return no_case;
    }

    // ---- A stop""",
     ('timers', ['--filter', 'timer/pending-in-turn$'])),
    ("a reset leaves the end of a timer", TIMER, "        period_ = period;\n        end_ = timer_phase::pending;\n", "        period_ = period;\n", models("timers", "timer/reset-over$")),
    ("a cancelled timer goes on", TIMER, "        next_ = never;\n        end_ = how;\n", "        end_ = how;\n", models("timers", "timer/reset-drops$", "timer/cancel$")),
    ("a select leaves the line of a timer that has ended", TIMER, "            if (!self.linked) line_.push_back(self);\n",
     "            if (tried == op_status::blocked && !self.linked) line_.push_back(self);\n", models("timers", "timer/reset-in-selects$", "timer/reset-in-group$")),
    ("the end of a timer is looked at again and again", TIMER, "now.is_end() && now.changes != seen_.changes", "now.is_end()",
     models("timers", "timer/after-in-selects$")),
    ("a tick goes to a select that was decided", WAITER, "        if (decided_) return false;\n        decided_ = attempt();",
     "        decided_ = attempt();", TIMER_RACE),
    ("who watches the clock leaves the others asleep", "detail/timer_core.hpp",
     """                if (watches) interrupt_first(told);
""",
     "",
     ('timers', ['--filter', 'timer/watch$'])),
    ("a tick does not decide the select", WAITER, "        decided_ = attempt();", "        attempt();", TIMER_RACE),
    # ---- Loops of coroutines
    ("a post leaves a loop asleep", LOOP, "        if (sleepers_ > 0) wake_up_.notify_one();\n", "", LOOPS),
    ("a post to a loop notifies without the lock", LOOP, "    void post(resumption& node) noexcept {\n        loop_lock lock(mutex_);\n        make_ready(node);",
     "    void post(resumption& node) noexcept {\n        {\n loop_lock lock(mutex_); ready_.push_back(node); ++ready_count_; }\n"
     "        if (sleepers_ > 0) wake_up_.notify_one();", LOOPS),
    ("a stop leaves a loop asleep", LOOP, "            ++stops_;\n            wake_all();", "            ++stops_;", LOOPS),
    ("a stop ends two runs of a loop", LOOP, "if (std::exchange(stops_next_, false)) return;", "if (stops_next_) return;", LOOPS),
    ("a stop before the run of a loop is lost", LOOP, "            stops_next_ = true;\n", "", LOOPS),
    ("a run of a loop is not counted", LOOP, "    ++running_;\n", "    running_ = 1;\n", LOOPS),
    ("a run of a loop is not counted off", LOOP, "            --self.running_;\n", "", LOOPS),
    ("a sooner timer leaves a loop asleep", LOOP, "        if (timers_.top() == &node) wake_all();\n", "", LOOPS),
    ("a loop sleeps without its timers", LOOP, "            wake_up_.wait_until(lock.to_sleep(), when);", "            (void)when;\n            wake_up_.wait(lock.to_sleep());", LOOPS),
    ("a timer of a loop is early", LOOP, "timers_.top() && timers_.top()->when <= time; ++count", "timers_.top(); ++count", LOOPS),
    ("a timer of a loop expires and stays", LOOP, "            timers_.remove(*node);\n            lock.unlock();", "            lock.unlock();", LOOPS),
    ("the last task of a loop ends and leaves others asleep", LOOP, "        if (unfinished_ == 0) wake_all();\n", "", LOOPS),
    ("a loop forgets to count off what has thrown", LOOP, "    void take_back(turn& now) noexcept {\n        count_off(now);", "    void take_back(turn& now) noexcept {", LOOPS),
    ("a task of a loop ends and stays in its list", LOOP, "            loop_lock lock(mutex_);\n            if (resumption_list::is_linked(task)) resumption_list::unlink(task);\n        }",
     "        }", LOOPS),
    ("a task of a loop ends without the lock", LOOP, "            loop_lock lock(mutex_);\n            if (resumption_list::is_linked(task)) resumption_list::unlink(task);\n        }",
     "            if (resumption_list::is_linked(task)) resumption_list::unlink(task);\n        }", LOOPS),
    ("a loop returns though tasks wait", LOOP, "} else if (unfinished_ == 0) {", "} else if (unfinished_ <= 1) {", LOOPS),
    ("a loop's destructor leaves what has begun", LOOP, "        resumption* const last = begun_.pop_back();", "        resumption* const last = nullptr;", LOOPS),
    ("a loop does not know what has begun", LOOP, "        if (spawned_task* const task = spawned(*node); task && !task->frame.done()) begun_.push_back(*task);\n", "", LOOPS),
    ("what is revoked from a loop stays there", LOOP, "        if (!resumption_list::is_linked(node)) return false;\n        resumption_list::unlink(node);",
     "        if (!resumption_list::is_linked(node)) return false;", LOOPS),
    ("a revoke looks at a loop without the lock", LOOP, "    bool revoke(resumption& node) noexcept {\n        loop_lock lock(mutex_);", "    bool revoke(resumption& node) noexcept {", LOOPS),
    ("a task that ends elsewhere is posted to its loop twice", LOOP, "        if (resumption_list::is_linked(task)) resumption_list::unlink(task);  // a spawned one that ends: from begun_\n",
     "", models("loops", "loop/foreign-end")),
    ("a task takes any loop for its own", LOOP, "now && now->loop == task.loop && !now->next", "now && !now->next", models("loops", "loop/foreign-loop")),
    ("a task that waits for a group does not look again", TASK_GROUP, "            if (group_.running_ == 0) return false;\n", "", TASK_GROUPS),
    ("a group posts who waits for it without its lock", TASK_GROUP, "    const detail::loop_lock lock(mutex_);\n    if (--running_ > 0) return;",
     "    detail::loop_lock lock(mutex_);\n    if (--running_ > 0) return;\n    lock.unlock();", TASK_GROUPS),
    ("a group requests no stop", TASK_GROUP, "            if (stop) stop->request_stop();\n", "", TASK_GROUPS),
    ("a group keeps a token that was stopped", TASK_GROUP, "            if (exception) std::swap(group_.stop_, fresh);\n", "", TASK_GROUPS),
    ("a group drops an exception", TASK_GROUP, "                    std::swap(first_exception_, exception);\n", "", TASK_GROUPS),

    # ---- Stop callbacks
    ("a stop callback does not wait for its call", STOP_CALLBACK,
     "while (state_.load(std::memory_order_acquire) != state::ended) sync::yield();", "", STOP_CALLBACKS),
    ("a call leaves its stop callback to the owner", STOP_CALLBACK, "            callback_.reset();\n", "", STOP_CALLBACKS),
    ("a call of a stop callback begins though the owner leaves", STOP_CALLBACK,
     "if (!state_.compare_exchange_strong(before, state::calls, std::memory_order_acq_rel)) return;",
     "state_.store(state::calls, std::memory_order_release);", STOP_CALLBACKS),
    ("a call does not wait until its stop callback is made", STOP_CALLBACK,
     "            while (state_.load(std::memory_order_acquire) == state::starts) sync::yield();\n", "", STOP_CALLBACKS),
    ("a call from within the constructor ends the stop callback", STOP_CALLBACK, "        if (within_constructor) {", "        if (false) {",
     STOP_CALLBACKS),
    ("a call of a stop callback does not show what it did", STOP_CALLBACK, "state_.store(state::ended, std::memory_order_release);",
     "state_.store(state::ended, std::memory_order_relaxed);", STOP_CALLBACKS),
    ("a stop callback does not see what its call did", STOP_CALLBACK, "while (state_.load(std::memory_order_acquire) != state::ended)",
     "while (state_.load(std::memory_order_relaxed) != state::ended)", STOP_CALLBACKS),
    ("a stop callback is armed before it is there to see", STOP_CALLBACK,
     "state_.compare_exchange_strong(before, state::armed, std::memory_order_acq_rel);",
     "state_.compare_exchange_strong(before, state::armed, std::memory_order_relaxed);", STOP_CALLBACKS),
    ("a call does not see the stop callback that it ends", STOP_CALLBACK,
     "while (state_.load(std::memory_order_acquire) == state::starts) sync::yield(); state before = state::armed; "
     "if (!state_.compare_exchange_strong(before, state::calls, std::memory_order_acq_rel)) return;",
     "while (state_.load(std::memory_order_relaxed) == state::starts) sync::yield(); state before = state::armed; "
     "if (!state_.compare_exchange_strong(before, state::calls, std::memory_order_relaxed)) return;", STOP_CALLBACKS),

    # ---- Suspended coroutines
    ("a coroutine that was notified before it was armed sleeps", SUSPENSION,
     "if (!(state_.fetch_or(armed, std::memory_order_acq_rel) & notified)) return false;",
     "state_.fetch_or(armed, std::memory_order_acq_rel); return false;", SUSPENSIONS),
    ("who notifies a coroutine shows nothing of what came before", SUSPENSION, "state_.fetch_or(what, std::memory_order_acq_rel)",
     "state_.fetch_or(what, std::memory_order_relaxed)", SUSPENSIONS),
    ("each that notifies a coroutine posts it", SUSPENSION, "if ((before & (armed | notified)) == armed) post();", "if (before & armed) post();",
     SUSPENSIONS),
    ("a coroutine is posted that is not armed", SUSPENSION, "if ((before & (armed | notified)) == armed) post();",
     "if (!(before & notified)) post();", SUSPENSIONS),
    ("a coroutine goes on before its completion has ended", SUSPENSION,
     "while (!(state_.load(std::memory_order_acquire) & completed)) sync::yield();", "", SUSPENSIONS),
    ("a completion tells nothing of what came before it", SUSPENSION, "while (!(state_.load(std::memory_order_acquire) & completed))",
     "while (!(state_.load(std::memory_order_relaxed) & completed))", ASYNC_ENDS),
    ("a coroutine goes on before a timer that is about to come", SUSPENSION,
     "!(state_.fetch_or(left_to_timer, std::memory_order_acq_rel) & expired))", "false)", SUSPENSIONS),
    ("a timer goes on with what was posted as well", SUSPENSION,
     "if (!(before & left_to_timer) && (before & (armed | notified)) != armed) return;", "", SUSPENSIONS),
    ("a timer does not say that it has come", SUSPENSION, "static_cast<std::uint8_t>(notified | expired)",
     "static_cast<std::uint8_t>(notified)", SUSPENSIONS),
    ("a step is left to a timer that goes by", SUSPENSION,
     "if (!(before & left_to_timer) && (before & (armed | notified)) != armed) return;",
     "if ((before & (armed | notified)) != armed) return;", SUSPENSIONS),
    ("a destroyed coroutine stays posted", SUSPENSION, "if ((state & (notified | left_to_timer)) == notified) revoke();", "", SUSPENSIONS),
    ("a destroyed receive does not count its message", LINE_SUSPENSION,
     "if (of_.way->receives && state == status::done) of_.channel->count_dropped();", "", ASYNC_ENDS),
    ("a destroyed receive with a stop does not count its message", ASYNC_CHANNEL,
     "if (way_.receives && !stopped_ && state == status::done) channel_->count_dropped();", "", ASYNC_ENDS),
    ("a destroyed receive stays posted", LINE_SUSPENSION, "if (of_.way->unregister(*of_.channel, *this)) return; revoke();",
     "if (of_.way->unregister(*of_.channel, *this)) return;", ASYNC_ENDS),
    ("a coroutine leaves its small message in the line", LINE_SUSPENSION,
     "if (of_.way->receives && carries_message && state == status::done)", "if (false)", EXCHANGES),
    ("a place in a promise keeps the operation before", LINE_SUSPENSION, "of_ = of;\n", "if (!of_.channel) of_ = of;\n", EXCHANGES),
    ("a coroutine stands in line again as it is told", TIMER, "if (is_being_told) return false;", "is_being_told = false;", ASYNC_TIMERS),
    ("a coroutine leaves a timer that tells it", TIMER, "if (watches) interrupt_first(told); } } wait_until_told(self);",
     "if (watches) interrupt_first(told); } }", ASYNC_ENDS),
    ("a batch of a coroutine lingers for ever after the message that it waited for", ASYNC_MANY,
     "        if (taken_ == 0) begin_to_linger();\n        *out_", "        *out_", models("async_pairs", "rendezvous/async_recv_batch_linger+send$")),
    ("a batch of a coroutine does not count the message that it waited for", ASYNC_MANY, "        ++out_;\n        ++taken_;\n", "        ++out_;\n",
     models("async_pairs", "rendezvous/async_recv_batch+send_many$")),
    ("a coroutine sends what it has waited for once more", ASYNC_MANY, "        elements_->was_sent();\n", "",
     models("async_pairs", "one-full/async_send_many_stop+recv_many$")),
    ("a coroutine counts what a closed channel did not take", ASYNC_MANY,
     "        if (outcome_ != errc{}) return false;\n        elements_->was_sent();", "        elements_->was_sent();",
     models("async_pairs", "one-full/async_send_many_stop+close$")),
    ("a coroutine sends to the same subscriber again", ASYNC_BROADCAST, "        out_->settle(outcome_);\n", "", models("async_broadcasts", "/received$")),
    ("a coroutine takes a stop, or a closing, for a delivery to a subscriber", ASYNC_BROADCAST, "out_->settle(outcome_)", "out_->settle(errc{})",
     models("async_broadcasts", "/stop$", "/closes$")),
    ("a coroutine's wait for a group hears of no stop", ASYNC_SELECT, "engine_.begin(until_, errc::timeout, stop_);", "engine_.begin(until_, errc::timeout, {});",
     models("async_groups", "/stop$")),
    ("a coroutine's wait for a group forgets a stop that was requested before", ASYNC_SELECT,
     "return has_chosen_before_ ? group_.conclude(before_) : group_.conclude(engine_);", "return group_.conclude(engine_);",
     models("async_groups", "/stop$")),
    ("a destroyed select of a coroutine stays in line", ASYNC_SELECT, "void withdraw() noexcept final { engine_.abandon(); }", "void withdraw() noexcept final {}",
     models("async_groups", "/destroyed$")),
    ("a destroyed wait of a group leaves the message that it was handed in the case", CASES, "            recv_registration::discard();\n            got_ = unexpected(errc::closed);",
     "            recv_registration::discard();", models("async_groups", "rendezvous/destroyed$")),
    ("a coroutine that is destroyed as it yields stays posted", "this_executor.hpp", "        if (executor_) executor_->revoke(*this);\n", "",
     models("loops", "loop/yield")),
]

# Not in the list, because no program can tell the difference:
#   - notify_all() for notify_one() in a parker: one thread sleeps there, and nobody else;
#   - claims locked in the order of falling addresses: any order will do that is the same for all;
#   - `by_peer_` and `decided_` written the other way round, or `state` before the removal from the line: nobody looks at them but with
#     the lock held under which both are written;
#   - a hint that says "perhaps" too often (maybe_ready_to_send(), maybe_ready_to_recv(), has_excess(), batch_delay): it is checked again under the lock, and
#     only time is lost;
#   - a section that wakes before it releases its locks: the woken thread waits for them, and only time is lost;
#   - a spurious wake-up that ends the sleep of a parker: who waits looks round again, and sleeps again;
#   - abandoned, deaf, broken off or curious noted without an order: the lock of the channel, which is closed or asked for the turn next,
#     orders it;
#   - the end of a timer that is told to the first in its line alone: each leaves the line, or looks again, and tells the next;
#   - the loop curious only once it has looked for the turn in the channel: it looks again before it writes;
#   - the time of the last write not noted: either of the two may write the next message;
#   - no notification where wake() finds the thread awake: it sees `woken` when it looks, before it sleeps;
#   - a thread that spins for a loop not told of news: its spin ends by itself, and it looks again under the lock;
#   - the destructor of a task group without the group's lock: who knows that all tasks have ended has had that lock after the last of
#     them, in join(), or has seen the run of their loop return; otherwise the program is terminated.

FLAGS = ["-std=c++20", "-O1", "-w", "-U_FORTIFY_SOURCE"]


def fail(text):
    sys.exit("mutants: " + text)


def run(command, **how):
    return subprocess.run([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **how)


def pattern(code):
    """Finds the code however it is broken into lines."""
    return re.compile(r"\s*".join(re.escape(token) for token in re.findall(r"\w+|[^\w\s]", code)))


def stale_rows(include):
    """What is missing in the table of memory orders: atomics of the headers, and faults that it names."""
    rows = [row.split("|") for row in (ROOT / "tests/model/memory_orders.md").read_text().splitlines() if row.startswith("| `")]
    listed = {(header, atomic) for row in rows for header in re.findall("`(.+?)`", row[1]) for atomic in re.findall("`(.+?)`", row[2])}
    missing = [f"no fault is called {fault}" for row in rows for fault in re.findall('"(.+?)"', row[-2]) if all(fault != m[0] for m in MUTANTS)]
    access = re.compile(r"(\w+)(?:\[[^\]]*\]|\(\))?\.(?:load|store|exchange|fetch_\w+|compare_exchange_\w+)\([^;{]*?memory_order_(?!seq_cst)")
    for header in sorted((include / "sluice").rglob("*.hpp")):
        name = str(header.relative_to(include / "sluice").with_suffix(""))
        used = sorted(set(access.findall(header.read_text())))
        missing += [f"{atomic} of {name} has no row" for atomic in used if (name, atomic) not in listed]
    return missing


class Workshop:
    """Where model programs are built from spoiled headers. What does not depend on the headers is compiled once."""

    def __init__(self, folder, compiler, include):
        self.folder = folder
        self.compiler = compiler
        self.include = include
        self.model = ROOT / "tests/model"
        self.base = []
        for source in (*self.model.glob("explorer/*.cpp"), self.model / "main.cpp"):
            self.base.append(folder / f"{source.stem}.o")
            problem = self.compile(source, self.base[-1], [])
            if problem:
                fail(problem)

    def compile(self, source, output, extra):
        built = run([self.compiler, *FLAGS, f"-I{self.model}/include", *extra, f"-I{self.model.parent}", f"-I{self.include}",
                     "-c", source, "-o", output])
        return built.stdout[:4000] if built.returncode != 0 else None

    def try_mutant(self, number, mutant, seconds):
        """Whether it was caught, and the name of the model and its complaint, or what went wrong."""
        _, file, old, new, (source, arguments) = mutant
        place = self.folder / str(number)
        spoiled = place / "include/sluice" / file
        spoiled.parent.mkdir(parents=True)
        text = (self.include / "sluice" / file).read_text()
        spoiled.write_text(pattern(old).sub(lambda _: new, text))
        problem = self.compile(self.model / f"{source}.cpp", place / "models.o", ["-fsanitize=thread", f"-I{place}/include"])
        if problem:
            return False, "it does not compile:\n" + problem
        program = place / "models"
        linked = run([self.compiler, place / "models.o", *self.base, "-ldl", "-o", program])
        if linked.returncode != 0:
            return False, "it does not link:\n" + linked.stdout
        try:
            ran = run([program, "--quiet", "--deepen", *arguments], timeout=seconds)
        except subprocess.TimeoutExpired:
            return False, "the models did not end in time"
        finally:
            shutil.rmtree(place)
        if ran.returncode == 0:
            return False, "the models passed"
        told = dict(line.split(": ", 1) for line in ran.stdout.splitlines() if ": " in line)
        if "Complaint" not in told:
            return False, f"the models ended with code {ran.returncode}:\n" + ran.stdout
        return True, f"{told['FAILED']}: {told['Complaint']}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", default=os.environ.get("CXX", "c++"))
    parser.add_argument("--include", type=pathlib.Path, default=ROOT / "include", help="the headers to spoil a copy of")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--filter", action="append", help="only faults whose description contains this; may be given several times")
    parser.add_argument("--share", default="0/1", metavar="I/N", help="only every Nth fault, from the Ith")
    parser.add_argument("--seconds", type=float, default=120, help="for the models of one fault")
    options = parser.parse_args()

    stale = []
    for what, file, old, _, _ in MUTANTS:
        count = len(pattern(old).findall((options.include / "sluice" / file).read_text()))
        if count != 1:
            stale.append(f"  {what}: its text is found {count} times in {file}")
    if stale:
        fail("the headers have changed; correct the list:\n" + "\n".join(stale))
    missing = stale_rows(options.include)
    if missing:
        fail("correct tests/model/memory_orders.md:\n  " + "\n  ".join(missing))
    mutants = [m for m in MUTANTS if not options.filter or any(f in m[0] for f in options.filter)]
    if not mutants:
        fail("no fault has such a name")
    first, step = map(int, options.share.split("/"))
    mutants = mutants[first::step]

    begun = time.monotonic()
    caught = 0
    with tempfile.TemporaryDirectory(prefix="sluice-mutants-") as folder, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        workshop = Workshop(pathlib.Path(folder), options.compiler, options.include)

        def timed(number, mutant):
            since = time.monotonic()
            return *workshop.try_mutant(number, mutant, options.seconds), time.monotonic() - since

        waiting = {pool.submit(timed, i, m): m for i, m in enumerate(mutants)}
        for done in concurrent.futures.as_completed(waiting):
            what, file = waiting[done][:2]
            noticed, by, took = done.result()
            caught += noticed
            print(f"{'caught' if noticed else 'NOT CAUGHT'}: {what} ({file}, {took:.0f} s)\n    {by}", flush=True)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{caught} of {len(mutants)} faults caught, {time.monotonic() - begun:.0f} s, "
          f"{spent.ru_utime + spent.ru_stime:.0f} s of processor time")
    return caught != len(mutants)


if __name__ == "__main__":
    sys.exit(main())
