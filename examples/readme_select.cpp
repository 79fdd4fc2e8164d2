// Select: a fixed set of cases, every kind of case, and a set that is known only at run time.
#include <sluice/sluice.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

void two_channels(const sluice::receiver<std::string>& orders, const sluice::receiver<int>& cancels) {
    // Runs the handler of whichever comes first; ends when both channels are closed and drained.
    while (
        sluice::select(sluice::on_recv(orders, [](const std::string& what) { std::cout << "order: " << what << '\n'; }),
                       sluice::on_recv(cancels, [](int id) { std::cout << "cancel: " << id << '\n'; }))) {
    }
}

void every_case(std::stop_token stop, const sluice::receiver<int>& jobs, const sluice::sender<std::string>& log) {
    // README begin
    for (bool running = true; running;) {
        sluice::select(
            // A handler of a result also hears of the close.
            sluice::on_recv(jobs, [&](sluice::result<int> job) { running = job.has_value(); }),
            sluice::on_send(log, "alive", [] { std::cout << "wrote to the log\n"; }),
            sluice::on_timeout(10ms, [] { std::cout << "nothing to do\n"; }),
            sluice::on_stop(stop, [&] { running = false; }));
    }
    // README end
}

void many_channels(const std::vector<sluice::receiver<int>>& sources) {
    sluice::selector group;
    for (const auto& source : sources) {
        group.add(sluice::on_recv(source, [](int value) { std::cout << "value: " << value << '\n'; }));
    }
    while (group.wait()) {  // until every source has closed
    }
}

}  // namespace

int main() {
    auto orders = sluice::bounded<std::string>(4);
    auto cancels = sluice::bounded<int>(4);
    std::jthread customer([out = std::move(orders.tx)] { (void)(out.send("tea") && out.send("milk")); });
    std::jthread doubter([out = std::move(cancels.tx)] { (void)out.send(1); });
    two_channels(orders.rx, cancels.rx);

    auto jobs = sluice::bounded<int>(4);
    auto log = sluice::bounded<std::string>(1);
    (void)jobs.tx.send(1);
    jobs.tx.close();
    every_case({}, jobs.rx, log.tx);
    std::cout << "no more jobs\n";

    std::vector<sluice::receiver<int>> sources;
    for (int n = 0; n < 3; ++n) {
        auto [tx, rx] = sluice::bounded<int>(1);
        (void)tx.send(n);
        sources.push_back(rx);
    }
    many_channels(sources);
}
