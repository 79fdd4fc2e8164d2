// Counts the words of files by processes instead of threads: the parent sends blocks of text to its workers through
// pipes, and each worker sends back its table. Then counts once more by threads and compares.
#include "args.hpp"
#include "checked.hpp"
#include "word_table.hpp"

#include <sluice/ipc.hpp>
#include <sluice/sluice.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using example::table;

std::optional<table> by_processes(const std::vector<std::string>& files, std::size_t workers) {
    std::vector<sluice::sender<std::string>> blocks;
    std::vector<sluice::receiver<table>> tables;
    std::vector<pid_t> children;
    std::fflush(stdout);
    for (std::size_t w = 0; w < workers; ++w) {
        sluice::ipc::pipe work, result;
        children.push_back(fork());
        if (children.back() < 0) return {};
        if (children.back() == 0) {
            table words;
            for (const std::string& block : work.receiver<std::string>()) example::count(block, words);
            std::exit(result.sender<table>().send(std::move(words)) ? 0 : 1);
        }
        blocks.push_back(work.sender<std::string>());
        tables.push_back(result.receiver<table>());
    }
    std::size_t turn = 0;
    bool well = example::deal_out(
        files, [&](std::string block) { return bool(blocks[turn++ % workers].send(std::move(block))); });
    blocks.clear();
    table sum;
    for (const auto& from : tables) {
        const auto part = from.recv();
        part ? example::add(sum, *part) : void(well = false);
    }
    for (const pid_t child : children) {
        int status = 0;
        well = waitpid(child, &status, 0) == child && status == 0 && well;
    }
    if (!well) return {};
    return sum;
}

int main(int argc, char** argv) {
    example::args args(argc, argv,
                       "Counts the words of the files, else of this repository, by processes and by threads.");
    const auto top = args.number("top", 5, "how many words to print, 0 for all", 0);
    const auto workers =
        args.number("workers", std::max(2U, std::thread::hardware_concurrency()), "processes that count", 1, 100);
    auto files = args.operands("[FILE...]", "text files", 0, SIZE_MAX);
    args.finish();
    if (files.empty()) files = example::files_of_this_repository();

    // Processes first: a fork takes only its own thread along.
    const auto counted = by_processes(files, workers);
    const auto compared = example::by_threads(files, workers);
    if (!counted || !compared) return example::checked(false, "all files were read and all workers ended well");

    std::vector<std::pair<std::string, std::uint64_t>> ranking(counted->begin(), counted->end());
    std::stable_sort(ranking.begin(), ranking.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    for (std::size_t n = 0; n < ranking.size() && (n < top || top == 0); ++n) {
        std::printf("%7zu %s\n", static_cast<std::size_t>(ranking[n].second), ranking[n].first.c_str());
    }
    std::printf("%zu different words, counted by %zu processes\n", ranking.size(), workers);
    return example::checked(*counted == *compared, "processes and threads counted the same");
}
