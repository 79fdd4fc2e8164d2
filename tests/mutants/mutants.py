#!/usr/bin/env python3
"""Applies one-line faults to a copy of the library, one at a time, and says which models catch each."""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
WAIT, CORE, QUEUE, SELECTION = (f"detail/{name}.hpp" for name in ("wait", "core", "queue", "selection"))

# What a channel does for one and the same fault is tried with these, one after the other, until one fails.
SEND_RECV = ("pairs", ["--filter", "pair/rendezvous/send+recv", "--filter", "pair/one/send+recv"])
TIMEOUTS = ("pairs", ["--filter", "send+recv_timeout", "--filter", "send_timeout+recv", "--filter", "send_timeout+recv_timeout"])
STOPS = ("pairs", ["--filter", "recv_stop+stop", "--filter", "select_recv_stop+stop", "--filter", "send+recv_stop"])
SPURIOUS = ("pairs", ["--filter", "pair/one/send+recv", "--spurious", "1", "--preemptions", "2"])
CLOSE = ("pairs", ["--filter", "recv+close", "--filter", "send+close", "--filter", "select_recv+close", "--filter", "select_send+close"])
SELECTS = ("selects", ["--filter", "rendezvous/recv-send", "--filter", "both-both", "--filter", "rendezvous/two-recv", "--filter", "in-time",
                       "--filter", "close-", "--filter", "one/recv-send"])
STOP_SELECT = ("selects", ["--filter", "select/stop"])
BUFFERED = ("pairs_buffered", ["--filter", "send+recv", "--filter", "recv_many", "--filter", "send+send", "--filter", "send+select_recv"])
MANY = ("pairs_buffered", ["--filter", "send+recv_many", "--filter", "send+try_recv_many", "--filter", "select_send+try_recv_many"])
FAULTS = ("faults", ["--filter", "throwing"])
LIVES = ("lives", ["--filter", "life/last", "--filter", "life/copy", "--filter", "life/senders-go-1", "--filter", "life/nested",
                   "--filter", "life/discard"])
GROWTH = ("lives", ["--filter", "life/growth", "--filter", "life/burst", "--filter", "life/discard"])
TIMERS = ("timers", [])
BROADCASTS = ("broadcasts", [])

# What is wrong, where, the exact text, what takes its place, and the models that are to notice.
MUTANTS = [
    # ---- Parking
    ("wake() does not notify", WAIT, "        notified_ = true;\n        sleeper_.notify_one();", "        notified_ = true;", SEND_RECV),
    ("wake() notifies without a reason to see", WAIT, "        notified_ = true;\n        sleeper_.notify_one();",
     "        sleeper_.notify_one();", SEND_RECV),
    ("wake() leaves a parked thread alone", WAIT, "== state::awake) return;", "!= state::woken) return;", SEND_RECV),
    ("wake() notifies without the lock", WAIT, "        const std::lock_guard lock(mutex_);\n        notified_ = true;",
     "        notified_ = true;", SEND_RECV),
    ("interrupt() does not notify", WAIT, "        interrupted_ = true;\n        sleeper_.notify_one();",
     "        interrupted_ = true;", STOPS),
    ("interrupt() notifies without the lock", WAIT, "        const std::lock_guard lock(mutex_);\n        interrupted_ = true;",
     "        interrupted_ = true;", STOPS),
    ("a thread announces its sleep without a look", WAIT,
     "if (!state_.compare_exchange_strong(expected, state::parked, std::memory_order_acq_rel)) return true;",
     "state_.store(state::parked, std::memory_order_release);", SEND_RECV),
    ("a thread that gives up does not look whether it was woken", WAIT,
     "if (!notified_ && state_.compare_exchange_strong(expected, state::awake, std::memory_order_acq_rel)) return false;",
     "if (!notified_) return false;", TIMEOUTS),
    ("a thread leaves before its waker is done", WAIT, "        while (!notified_) sleeper_.wait(lock);\n", "", TIMEOUTS),
    ("a spurious wake-up is taken for the end", WAIT, "while (!notified_ && !(interrupted_ && heed_interrupt) && !until.passed()) {",
     "if (!notified_ && !(interrupted_ && heed_interrupt) && !until.passed()) {", SPURIOUS),
    ("a deadline is not looked at", WAIT, "&& !until.passed()) {", ") {", TIMEOUTS),
    ("woken() does not acquire", WAIT, "return state_.load(std::memory_order_acquire) == state::woken;",
     "return state_.load(std::memory_order_relaxed) == state::woken;", SEND_RECV),
    ("wake() does not release", WAIT, "state_.exchange(state::woken, std::memory_order_acq_rel)",
     "state_.exchange(state::woken, std::memory_order_acquire)", SEND_RECV),
    ("a lock that is taken is not waited for", WAIT, "            if (mutex_.try_lock()) return;\n        }\n        mutex_.lock();",
     "            if (mutex_.try_lock()) return;\n        }", SEND_RECV),

    # ---- Waiting in line
    ("the second to be woken is looked up after the first was", WAIT,
     "            first_ = w->next;  // before wake(): after it, `w` may be gone\n            w->wake();",
     "            w->wake();\n            first_ = w->next;", GROWTH),
    ("the first in line stays the first when it leaves", WAIT,
     "        if (&w == front()) first_.store(after(w), std::memory_order_release);\n", "", SEND_RECV),
    ("who leaves the line stays its neighbour's next", WAIT, "        w.previous->next = w.next;\n        w.next->previous",
     "        w.next->previous", ("triples", ["--filter", "triple/one-full/send+send_timeout+recv", "--filter", "triple/rendezvous/recv+recv_timeout"])),
    ("who leaves the line still counts as linked", WAIT, "        w.next->previous = w.previous;\n        w.linked = false;",
     "        w.next->previous = w.previous;", TIMEOUTS),
    ("closing decides a select that was decided", WAIT, "if (w.owner->decided || (w.drops_out", "if ((w.drops_out", SELECTS),
    ("closing the last channel does not wake a select", WAIT, "--w.owner->open_cases > 0)) return false;",
     "--w.owner->open_cases + 1 > 0)) return false;", CLOSE),
    ("closing wakes a select without deciding it", WAIT, "    w.owner->decided = w.owner->by_peer = true;\n    return true;",
     "    w.owner->by_peer = true;\n    return true;", SELECTS),

    # ---- Claims
    ("a select that was decided completes another case", WAIT, "    if (mine && mine->decided) return contest::self_lost;\n", "", SELECTS),
    ("a peer completes a select that was decided", WAIT, "    if (theirs && theirs->decided) return contest::peer_lost;\n", "", SELECTS),
    ("two claims are locked in any order", WAIT, "reinterpret_cast<std::uintptr_t>(second) < reinterpret_cast<std::uintptr_t>(first)",
     "false", SELECTS),
    ("a peer completes a select without deciding it", WAIT, "        theirs->decided = theirs->by_peer = true;",
     "        theirs->by_peer = true;", SELECTS),
    ("a select does not know that a peer has decided it", WAIT, "        theirs->decided = theirs->by_peer = true;",
     "        theirs->decided = true;", SELECTS),
    ("a select does not know which case a peer has completed", WAIT, "        theirs->winner = peer;\n", "", SELECTS),
    ("a select that completes its own case does not decide itself", WAIT, "    if (mine) mine->decided = true;\n", "", SELECTS),

    # ---- Sending
    ("a send does not see that the channel is closed", CORE,
     "if (closed_under_lock() || !receivers_.empty()) return put_and_wake", "if (!receivers_.empty()) return put_and_wake", CLOSE),
    ("a send passes a waiting receiver", CORE,
     "if (closed_under_lock() || !receivers_.empty()) return put_and_wake", "if (closed_under_lock()) return put_and_wake", SEND_RECV),
    ("a receiver that was served stays in line", CORE, "            receivers_.remove(peer);\n", "", SEND_RECV),
    ("a receiver that was served is not woken", CORE,
     "            receivers_.remove(peer);\n            if (c == contest::peer_lost) continue;\n            w->what = waiter::outcome::done;\n"
     "            wakes.add(*w);",
     "            receivers_.remove(peer);\n            if (c == contest::peer_lost) continue;\n            w->what = waiter::outcome::done;",
     SEND_RECV),
    ("a receiver that was served hears of closing", CORE,
     "            receivers_.remove(peer);\n            if (c == contest::peer_lost) continue;\n            w->what = waiter::outcome::done;\n",
     "            receivers_.remove(peer);\n            if (c == contest::peer_lost) continue;\n", SEND_RECV),
    ("a message goes to a select that did not take it", CORE,
     "            receivers_.remove(peer);\n            if (c == contest::peer_lost) continue;\n",
     "            receivers_.remove(peer);\n", SELECTS),
    ("a select serves its own receiving case", CORE,
     "            next = receivers_.after(*w);\n            if (same_select(self, w)) continue;\n",
     "            next = receivers_.after(*w);\n", ("pairs", ["--filter", "pair/rendezvous/send+select_both", "--filter", "select_both+close"])),
    ("a message is announced before it is there", CORE,
     "        ::new (static_cast<void*>(back_.slot(number, limit_, front_))) T(std::move(message));\n        back_.publish(number + 1);",
     "        T* const at = back_.slot(number, limit_, front_);\n        back_.publish(number + 1);\n        ::new (static_cast<void*>(at)) T(std::move(message));",
     SEND_RECV),
    ("send_many announces one message too few", CORE, "const auto publish = [&] { back_.publish(number); };",
     "const auto publish = [&] { back_.publish(number - 1); };", MANY),

    # ---- Receiving
    ("a receive passes waiting senders", CORE, "        if (!senders_.empty()) return take_and_wake(out, std::move(front));\n", "", BUFFERED),
    ("a sender that was served stays in line", CORE, "            senders_.remove(peer);\n", "", SEND_RECV),
    ("a select takes a message after it was decided", CORE,
     "            const contest c = contend(self, w, [&] { peer.give(peer.message, &out, nullptr); });\n"
     "            if (c == contest::self_lost) return attempt::lost;\n",
     "            const contest c = contend(self, w, [&] { peer.give(peer.message, &out, nullptr); });\n", SELECTS),
    ("a receive lets no sender in", CORE, "            pop_into(out);\n            const guard back(back_lock_);\n            admit(wakes);",
     "            pop_into(out);", BUFFERED),
    ("a receive lets senders in without the lock", CORE,
     "            pop_into(out);\n            const guard back(back_lock_);\n            admit(wakes);", "            pop_into(out);\n            admit(wakes);", BUFFERED),
    ("recv_many lets no sender in", CORE, "                if (senders_.empty()) return;\n", "                return;\n", MANY),
    ("more are let in than there is room for", CORE,
     "        while (waiter* const w = senders_.front()) {\n            if (back_.room(limit_, front_) == 0) return;",
     "        while (waiter* const w = senders_.front()) {", ("triples", ["--filter", "triple/one-full/send+send+recv", "--filter", "triple/one-full/send+select_send+recv"])),
    ("what a sender's move throws is forgotten", CORE, "                    sender.error = std::current_exception();\n", "", FAULTS),
    ("a slot is given back before its message has ended", CORE,
     "        out.emplace(std::move(message));\n        std::destroy_at(std::addressof(message));\n        front_.publish(number + 1);",
     "        front_.publish(number + 1);\n        out.emplace(std::move(message));\n        std::destroy_at(std::addressof(message));", BUFFERED),
    ("a message that was moved from is never destroyed", CORE,
     "        std::destroy_at(std::addressof(message));\n        front_.publish(number + 1);", "        front_.publish(number + 1);", SEND_RECV),

    # ---- Waiting
    ("a receiver begins to wait without a second look", CORE, "        const attempt tried = take(out, &self, wakes);",
     "        const attempt tried = closed_under_lock() ? attempt::closed : attempt::blocked;", SEND_RECV),
    ("a sender begins to wait without a second look", CORE,
     "        const guard back(back_lock_);\n        const attempt tried = put(message, &self, wakes);\n        if (tried == attempt::blocked) {",
     "        const guard back(back_lock_);\n        const attempt tried = closed_under_lock() ? attempt::closed : attempt::blocked;\n        if (tried == attempt::blocked) {",
     SEND_RECV),
    ("a receiver begins to wait with one lock", CORE,
     "        const guard back(back_lock_);\n        const attempt tried = take(out, &self, wakes);",
     "        const attempt tried = take(out, &self, wakes);", SEND_RECV),
    ("a sender begins to wait with one lock", CORE,
     "        const guard front(front_lock_);\n        const guard back(back_lock_);\n        const attempt tried = put(message, &self, wakes);",
     "        const guard back(back_lock_);\n        const attempt tried = put(message, &self, wakes);", BUFFERED),
    ("a sender that gives up leaves the line twice", CORE, "        if (!self.linked) return false;\n        senders_.remove(self);",
     "        senders_.remove(self);", TIMEOUTS),
    ("a receiver leaves the line without a lock", CORE,
     "        const guard back(back_lock_);\n        if (!self.linked) return false;\n        receivers_.remove(self);",
     "        if (!self.linked) return false;\n        receivers_.remove(self);", TIMEOUTS),
    ("a message that came at the deadline is thrown away", CORE,
     "            if (withdraw(me.self)) return stop.stop_requested() ? errc::stopped : errc::timeout;",
     "            if (withdraw(me.self) || true) return stop.stop_requested() ? errc::stopped : errc::timeout;", TIMEOUTS),
    ("one who is completed at the deadline does not wait for his peer", CORE,
     "            me.sleeper.wait();  // completed just now: that counts\n", "", TIMEOUTS),

    # ---- Closing and the end
    ("close() does not close", CORE, "        closed_.store(true, std::memory_order_release);\n", "", CLOSE),
    ("close() forgets the receivers", CORE, "            receivers_.remove(*w);\n            turn_away(*w);",
     "            receivers_.remove(*w);", CLOSE),
    ("close() forgets the senders", CORE, "            senders_.remove(*w);\n            turn_away(*w);", "            senders_.remove(*w);", CLOSE),
    ("the last handle of two goes uncounted", CORE, "        if (count.load(std::memory_order_acquire) == 1) {",
     "        if (count.load(std::memory_order_acquire) <= 2) {", LIVES),
    ("a handle goes without an order before the end", CORE, "return count.fetch_sub(1, std::memory_order_acq_rel) == 1;",
     "return count.fetch_sub(1, std::memory_order_relaxed) == 1;", LIVES),
    ("both sides think that the other is still there", CORE, "if (!one_side_gone_.exchange(true, std::memory_order_acq_rel)) return;",
     "if (!one_side_gone_.load(std::memory_order_acquire)) return one_side_gone_.store(true, std::memory_order_release);", LIVES),
    ("the side that goes second does not see what the first did", CORE, "if (!one_side_gone_.exchange(true, std::memory_order_acq_rel)) return;",
     "if (!one_side_gone_.exchange(true, std::memory_order_relaxed)) return;", LIVES),
    ("messages that nobody can receive are destroyed under a lock", CORE,
     "            queue_contents<T> garbage;\n            wake_list wakes;\n            const guard front(front_lock_);\n            const guard back(back_lock_);\n            close_locked(wakes);",
     "            wake_list wakes;\n            const guard front(front_lock_);\n            const guard back(back_lock_);\n            queue_contents<T> garbage;\n            close_locked(wakes);", LIVES),
    ("what is left in the channel is never destroyed", CORE, "        if (discard) { const queue_contents<T> garbage = front_.reset(back_); }\n",
     "", LIVES),
    ("the last handle does not close the channel", CORE,
     "            close_locked(wakes);\n            if (discard)", "            if (discard)", LIVES),
    ("a drop_oldest send drops the new one too", CORE, "        pop_into(displaced);\n        return put(message, nullptr, wakes);",
     "        pop_into(displaced);\n        return attempt::done;", BROADCASTS),

    # ---- The queue
    ("the front does not see what is in a slot", QUEUE, "std::size_t sent() const noexcept { return sent_.load(std::memory_order_acquire); }",
     "std::size_t sent() const noexcept { return sent_.load(std::memory_order_relaxed); }", BUFFERED),
    ("the back does not show what is in a slot", QUEUE, "sent_.store(number, std::memory_order_release);",
     "sent_.store(number, std::memory_order_relaxed);", BUFFERED),
    ("the back does not see that a slot is free", QUEUE,
     "std::size_t received() const noexcept { return received_.load(std::memory_order_acquire); }",
     "std::size_t received() const noexcept { return received_.load(std::memory_order_relaxed); }", BUFFERED),
    ("the front does not show that a slot is free", QUEUE, "received_.store(number, std::memory_order_release);",
     "received_.store(number, std::memory_order_relaxed);", BUFFERED),
    ("a new segment counts as begun", QUEUE, "(begun ? received : segment_->first)", "received", GROWTH),
    ("the front leaves a segment too early", QUEUE, "if (following && segment_->end == number)", "if (following)", GROWTH),
    ("a segment does not know its end", QUEUE, "            segment_->end = number;\n", "", GROWTH),
    ("room is reckoned from what was, after a reset", QUEUE, "        room_end_ = next();\n", "", GROWTH),
    ("a limit is one too high", QUEUE, "std::min(slots, limit - (number - received))", "std::min(slots, limit + 1 - (number - received))",
     ("pairs_buffered", ["--filter", "one-full/", "--filter", "two-half/"])),
    ("a segment is linked before it is ready", QUEUE, "segment_->next.store(following, std::memory_order_release);",
     "segment_->next.store(following, std::memory_order_relaxed);", GROWTH),

    # ---- Select
    ("a select does not decide itself before it leaves", SELECTION, "        decision.decided = true;\n        return decision.by_peer;",
     "        return decision.by_peer;", SELECTS),
    ("a select leaves before its peer has woken it", SELECTION, "        if (by_peer) sleeper.wait();\n", "", SELECTS),
    ("a select leaves its cases in line", SELECTION,
     "        for (std::uint32_t place = 0; place < enlisted; ++place) in_order(place).withdraw();\n", "", SELECTS),
    ("a closed case does not drop out", SELECTION, "case attempt::closed: drop_out(decision); break;", "case attempt::closed: break;", CLOSE),
    ("a select takes the end of a channel for a message", SELECTION, "if (by_peer && decision.winner) {", "if (by_peer) {", CLOSE),
    ("a select sleeps although it was decided", SELECTION, "            if (is_decided(decision)) return no_case;\n", "", CLOSE),
    ("a select waits for a timer that is over", SELECTION, "if (tried != attempt::blocked) return no_case;", "", TIMERS),
    ("a failed send of a select counts as done", "select.hpp",
     "            if (self_.error) std::rethrow_exception(std::exchange(self_.error, nullptr));\n", "", FAULTS),
    ("a stop request wakes a select that was decided", "select.hpp", "if (contend(nullptr, of, [] {}) == contest::won) of->sleeper->wake();",
     "contend(nullptr, of, [] {}), of->sleeper->wake();", STOP_SELECT),

    # ---- Timers
    ("a timer ticks twice", "timer.hpp", "            over_ = true;\n", "", TIMERS),
    ("a timer is early", "timer.hpp", "        if (now < next_) return attempt::blocked;\n", "", TIMERS),
    ("a tick goes to a select that was decided", "timer.hpp", "            if (self_.owner->decided) return attempt::lost;\n", "", TIMERS),
    ("a tick does not decide the select", "timer.hpp", "            if (tried == attempt::done) self_.owner->decided = true;\n", "", TIMERS),
]

# Faults that change nothing that a program can see, and why.
EQUIVALENT = {
}

FLAGS = ["-std=c++20", "-O1", "-w", "-U_FORTIFY_SOURCE"]


def fail(text):
    sys.exit("mutants: " + text)


def run(command, **how):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **how)


def compile_to(compiler, model, source, output, include, extra):
    built = run([compiler, *FLAGS, *extra, f"-I{model}/include", f"-I{model.parent}", f"-I{include}", "-c", f"{model}/{source}.cpp",
                 "-o", str(output)])
    if built.returncode != 0:
        return built.stdout
    return None


def try_mutant(number, mutant, compiler, folder, base, headers, seconds):
    """What caught it: the name of the model and its complaint; or None, or a text that begins with '!' if there was an error."""
    what, file, old, new, (source, arguments) = mutant
    place = folder / str(number)
    include = place / "include"
    for name, text in headers.items():
        target = include / "sluice" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.replace(old, new) if name == file else text)
    problem = compile_to(compiler, folder / "model", source, place / "m.o", include, ["-fsanitize=thread"])
    if problem:
        return "!it does not compile:\n" + problem[:2000]
    program = place / "models"
    linked = run([compiler, str(place / "m.o"), *map(str, base), "-ldl", "-pthread", "-o", str(program)])
    if linked.returncode != 0:
        return "!it does not link:\n" + linked.stdout[:2000]
    try:
        ran = run([str(program), "--quiet", *arguments], timeout=seconds)
    except subprocess.TimeoutExpired:
        return "!the models did not end in time"
    if ran.returncode == 0:
        return None
    lines = ran.stdout.splitlines()
    name = next((line[8:] for line in lines if line.startswith("FAILED: ")), "?")
    complaint = next((line[11:] for line in lines if line.startswith("Complaint: ")), f"it ended with code {ran.returncode}")
    return f"{name}: {complaint}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", default=os.environ.get("CXX", "c++"))
    parser.add_argument("--include", type=pathlib.Path, default=ROOT / "include", help="the headers to spoil a copy of")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--filter", default="", help="only faults whose description contains this")
    parser.add_argument("--seconds", type=float, default=120, help="for the models of one fault")
    options = parser.parse_args()

    library = options.include / "sluice"
    headers = {str(path.relative_to(library)): path.read_text() for path in library.rglob("*.hpp")}
    stale = []
    for what, file, old, _, _ in MUTANTS:
        count = headers.get(file, "").count(old)
        if count != 1:
            stale.append(f"  {what}: its text is found {count} times in {file}")
    if stale:
        fail("the headers have changed; correct the list:\n" + "\n".join(stale))
    mutants = [m for m in MUTANTS if options.filter in m[0]]
    if not mutants:
        fail("no fault has such a name")

    begun = time.monotonic()
    survivors = []
    with tempfile.TemporaryDirectory(prefix="sluice-mutants-") as name:
        folder = pathlib.Path(name)
        shutil.copytree(ROOT / "tests/model", folder / "model")  # as they are now
        base = []
        for part, extra in (("scheduler", ["-O2"]), ("memory", ["-O2"]), ("main", [])):
            base.append(folder / f"{part}.o")
            problem = compile_to(options.compiler, folder / "model", part, base[-1], options.include, extra)
            if problem:
                fail(problem)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            waiting = {
                pool.submit(try_mutant, i, m, options.compiler, folder, base, headers, options.seconds): m for i, m in enumerate(mutants)
            }
            for done in concurrent.futures.as_completed(waiting):
                mutant = waiting[done]
                caught = done.result()
                if caught is None or caught.startswith("!"):
                    survivors.append(mutant[0])
                    print(f"NOT CAUGHT  {mutant[0]} ({mutant[1]}){'' if caught is None else ': ' + caught[1:]}", flush=True)
                else:
                    print(f"caught      {mutant[0]} ({mutant[1]})\n            by {caught}", flush=True)
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} faults caught, {time.monotonic() - begun:.0f} s")
    if survivors:
        sys.exit(1)


if __name__ == "__main__":
    main()
