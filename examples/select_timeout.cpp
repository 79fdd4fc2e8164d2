// One consumer serves two channels with a select: it notices silence, keeps an overall deadline, and goes on with one
// channel when the other has closed.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <cstdio>
#include <thread>

void produce(const sluice::sender<std::size_t>& out, std::size_t messages, std::chrono::milliseconds pace) {
    for (std::size_t n = 1; n <= messages; ++n) {
        std::this_thread::sleep_for(pace);  // imitates work
        if (!out.send(n)) {
            return;  // the consumer had to give up
        }
    }
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Two producers at different rates, one consumer that selects over both.");
    const auto messages = args.number("messages", 10, "numbers from each producer");
    const auto pace =
        args.delay("pace", 2, "between two numbers of the fast producer; the slow one takes five times this");
    const auto silence = args.delay("silence", 5, "after which the consumer says that nothing came", 1);
    const auto limit = args.delay("limit", 10'000, "for everything");
    args.finish();

    auto fast = sluice::bounded<std::size_t>(4);
    auto slow = sluice::bounded<std::size_t>(4);
    std::jthread fast_producer(produce, std::move(fast.tx), messages, pace);
    std::jthread slow_producer(produce, std::move(slow.tx), messages, 5 * pace);

    std::size_t received = 0;
    bool late = false;
    const auto take = [&](const char* name, sluice::receiver<std::size_t>& from, sluice::result<std::size_t> message) {
        if (message) {
            std::printf("%s: %zu\n", name, *message);
            ++received;
        } else {
            std::printf("%s: closed\n", name);
            from = {};  // an empty handle is never ready: the select goes on with the other channel
        }
    };

    // README begin
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while ((fast.rx || slow.rx) && !late) {
        (void)sluice::select(
            sluice::on_recv(fast.rx, [&](sluice::result<std::size_t> n) { take("fast", fast.rx, n); }),
            sluice::on_recv(slow.rx, [&](sluice::result<std::size_t> n) { take("slow", slow.rx, n); }),
            sluice::on_timeout(silence, [] { std::printf("nothing came for a while\n"); }),
            sluice::on_deadline(deadline, [&] { late = true; }));
    }
    // README end

    if (late) {
        std::printf("the deadline passed after %zu numbers\n", received);
        fast.rx = slow.rx = {};  // the producers learn from their next send that nobody listens any more
        return 0;
    }
    return example::checked(received == 2 * messages, "both producers were heard to the end");
}
