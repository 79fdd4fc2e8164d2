// Counts the words of files by processes that share nothing but a NATS server: blocks of text are in one stream, and the
// workers' tables in another. A worker that is killed with a block in hand is made up for by the rest. Then counts once
// more by threads and compares.
#include "args.hpp"
#include "checked.hpp"
#include "nats_server.hpp"
#include "word_table.hpp"

#include <sluice/nats.hpp>
#include <sluice/sluice.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using example::table;
using sluice::nats::message;

// What parent and workers know: where the server is, and these two streams.
struct streams {
    explicit streams(const std::string& url)
        : bus(url, {.connect_timeout = 10s, .retry_first_connect = true, .reconnect_for = 30s}),
          blocks(bus.stream("BLOCKS", {.subjects = {"block.*"}, .work_queue = true})),
          tables(bus.stream("TABLES", {.subjects = {"table.*"}})) {}
    const sluice::nats::connection bus;
    const sluice::nats::stream blocks, tables;
};

// Counts block after block until one is empty. A block is acknowledged when its table is stored: if this process ends
// before, another one counts it.
bool work(const std::string& url, bool is_killed) {
    const streams at(url);
    const auto blocks = at.blocks.receiver<std::string>({.durable = "workers", .ack_wait = 1s, .capacity = 1});
    const auto out = at.tables.sender<message<table>>();
    if (!out.send({"table.ready", {}})) return false;
    while (auto block = blocks.recv()) {
        if (is_killed) raise(SIGKILL);
        table words;
        example::count(**block, words);
        const std::string number = block->subject().substr(block->subject().find('.') + 1);
        if (!(*block)->empty() && !(out.send({"table." + number, std::move(words)}) && at.tables.flush(30s)))
            return false;
        if (!block->ack(30s)) return false;
        if ((*block)->empty()) return true;
    }
    return false;
}

int main(int argc, char** argv) {
    example::args args(argc, argv,
                       "Counts the words of the files, else of this repository, by processes around a server.");
    const auto workers = args.number("workers", 3, "processes that count, the first of which is killed", 2, 100);
    auto files = args.operands("[FILE...]", "text files", 0, SIZE_MAX);
    args.finish();
    if (files.empty()) files = example::files_of_this_repository();

    const example::nats_server server;
    std::vector<pid_t> children;
    std::fflush(stdout);
    for (std::size_t w = 0; w < workers; ++w) {
        children.push_back(fork());
        if (children.back() == 0) std::exit(work(server.url(), w == 0) ? 0 : 1);
    }

    const streams at(server.url());
    const auto tables = at.tables.receiver<message<table>>({.durable = "sum"});
    const auto next = [&tables] {
        auto d = tables.recv_timeout(30s);
        return d && d->ack() ? *std::move(*d) : message<table>{};
    };
    for (std::size_t w = 0; w < workers; ++w) (void)next();  // they are ready

    std::size_t count = 0;
    const auto out = at.blocks.sender<message<std::string>>();
    bool well = example::deal_out(files, [&](std::string block) {
        return block.empty() || out.send({"block." + std::to_string(count++), std::move(block)});
    });
    table sum;
    for (std::set<std::string> seen; well && seen.size() < count;) {
        const auto part = next();
        if (part.subject.empty()) well = false;
        if (seen.insert(part.subject).second) example::add(sum, part.value);  // one may come twice
    }
    for (std::size_t w = 1; w < workers; ++w) well = out.send({"block.end", {}}) && well;
    std::size_t ended = 0, killed = 0;
    for (const pid_t child : children) {
        int status = 0;
        if (waitpid(child, &status, 0) == child) ++(WIFSIGNALED(status) ? killed : ended);
    }
    std::printf("%zu blocks, %zu different words, counted by %zu processes, one of them killed\n", count, sum.size(),
                workers);
    return example::checked(well && killed == 1 && ended == workers - 1 && sum == example::by_threads(files, workers),
                            "processes around a server and threads counted the same");
}
