// Threads at the ends, which may block on files, and coroutines between, which all run in one more thread: each stage is
// a filter of lines, and neither side knows what the other is.
#include "args.hpp"

#include <sluice/async.hpp>

#include <cstddef>
#include <iostream>
#include <string>
#include <thread>
#include <utility>

using lines_in = sluice::receiver<std::string>;
using lines_out = sluice::sender<std::string>;
constexpr std::size_t depth = 64;  // how many lines wait between two stages

sluice::task<> lower(lines_in in, lines_out out) {
    while (auto line = co_await in.async_recv()) {
        for (char& c : *line) {
            if ('A' <= c && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        }
        if (!co_await out.async_send(std::move(*line))) co_return;
    }
}

// Of empty lines in a row it lets one pass.
sluice::task<> squeeze(lines_in in, lines_out out) {
    bool was_empty = false;
    while (auto line = co_await in.async_recv()) {
        if (std::exchange(was_empty, line->empty()) && line->empty()) continue;
        if (!co_await out.async_send(std::move(*line))) co_return;
    }
}

sluice::task<> number(lines_in in, lines_out out) {
    for (std::size_t n = 1; auto line = co_await in.async_recv(); ++n) {
        std::string digits = std::to_string(n);
        digits.insert(0, digits.size() < 6 ? 6 - digits.size() : 0, ' ');
        line->insert(0, digits + '\t');
        if (!co_await out.async_send(std::move(*line))) co_return;
    }
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Standard input in lower case, without repeated empty lines, numbered.");
    args.finish();

    sluice::run_loop loop;
    auto [source, lines] = sluice::bounded<std::string>(depth);
    for (const auto stage : {lower, squeeze, number}) {
        auto [tx, rx] = sluice::bounded<std::string>(depth);
        loop.spawn(stage(std::move(lines), std::move(tx)));
        lines = std::move(rx);
    }

    std::jthread input([out = std::move(source)]() mutable {
        for (std::string line; std::getline(std::cin, line) && out.send(std::move(line));) {
        }
        out = {};
    });
    std::jthread stages([&loop] { loop.run(); });
    for (const std::string& line : lines) std::cout << line << '\n';
}
