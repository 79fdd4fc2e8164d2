// Counts the words of files by processes instead of threads: the parent sends blocks of text to its workers through
// pipes, and each worker sends back its table. Then counts once more by threads and compares.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/ipc.hpp>
#include <sluice/sluice.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using table = std::map<std::string, std::uint64_t>;

// How a table travels: each word behind its count and its length.
template <>
struct sluice::codec<table> {
    struct head {
        std::uint64_t count, length;
    };
    static void encode(const table& words, std::vector<std::byte>& out) {
        for (const auto& [word, count] : words) {
            codec<head>::encode({count, word.size()}, out);
            codec<std::string>::encode(word, out);
        }
    }
    static table decode(std::span<const std::byte> in) {
        table words;
        while (!in.empty()) {
            const head h = codec<head>::decode(in.first(std::min(in.size(), sizeof(head))));
            in = in.subspan(sizeof(head));
            if (h.length > in.size()) throw std::invalid_argument("a word is cut off");
            words[codec<std::string>::decode(in.first(h.length))] = h.count;
            in = in.subspan(h.length);
        }
        return words;
    }
};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

void count(const std::string& text, table& words) {
    for (auto begin = text.begin();;) {
        begin = std::find_if(begin, text.end(), is_letter);
        if (begin == text.end()) return;
        const auto end = std::find_if_not(begin, text.end(), is_letter);
        std::string word(begin, end);
        std::transform(word.begin(), word.end(), word.begin(), [](char c) { return static_cast<char>(c | 0x20); });
        ++words[word];
        begin = end;
    }
}

void add(table& sum, const table& part) {
    for (const auto& [word, times] : part) sum[word] += times;
}

// Sends the files in blocks that cut no word, to one worker after the other.
bool deal_out(const std::vector<std::string>& files, const std::vector<sluice::sender<std::string>>& workers) {
    std::size_t turn = 0;
    for (const std::string& name : files) {
        std::ifstream file(name, std::ios::binary);
        std::string rest;
        while (file) {
            std::string block = std::exchange(rest, {});
            const std::size_t old = block.size();
            block.resize(old + 64 * 1024);
            file.read(&block[old], 64 * 1024);
            block.resize(old + static_cast<std::size_t>(file.gcount()));
            const auto cut = file ? std::find_if_not(block.rbegin(), block.rend(), is_letter).base() : block.end();
            rest.assign(cut, block.end());
            block.erase(cut, block.end());
            if (!workers[turn++ % workers.size()].send(std::move(block))) return false;
        }
        if (!file.eof()) return false;
    }
    return true;
}

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
            for (const std::string& block : work.receiver<std::string>()) count(block, words);
            std::exit(result.sender<table>().send(std::move(words)) ? 0 : 1);
        }
        blocks.push_back(work.sender<std::string>());
        tables.push_back(result.receiver<table>());
    }
    bool well = deal_out(files, blocks);
    blocks.clear();
    table sum;
    for (const auto& from : tables) {
        const auto part = from.recv();
        part ? add(sum, *part) : void(well = false);
    }
    for (const pid_t child : children) {
        int status = 0;
        well = waitpid(child, &status, 0) == child && status == 0 && well;
    }
    if (!well) return {};
    return sum;
}

std::optional<table> by_threads(const std::vector<std::string>& files, std::size_t workers) {
    auto [tx, rx] = sluice::bounded<std::string>(2 * workers);
    auto [table_tx, tables] = sluice::unbounded<table>();
    std::vector<std::thread> threads;
    for (std::size_t w = 0; w < workers; ++w) {
        threads.emplace_back([in = rx, out = table_tx] {
            table words;
            for (const std::string& block : in) count(block, words);
            (void)out.send(std::move(words));
        });
    }
    table_tx = {};
    const bool well = deal_out(files, {tx});
    tx = {};
    for (std::thread& t : threads) t.join();
    table sum;
    for (const table& part : tables) add(sum, part);
    if (!well) return {};
    return sum;
}

std::vector<std::string> files_of_this_repository() {
    std::vector<std::string> files;
    const auto root = std::filesystem::path(__FILE__).parent_path() / "..";
    for (const char* folder : {"include", "tests", "examples"}) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
            if (entry.is_regular_file()) files.push_back(entry.path().string());
        }
    }
    return files;
}

int main(int argc, char** argv) {
    example::args args(argc, argv,
                       "Counts the words of the files, else of this repository, by processes and by threads.");
    const auto top = args.number("top", 5, "how many words to print, 0 for all", 0);
    const auto workers =
        args.number("workers", std::max(2U, std::thread::hardware_concurrency()), "processes that count", 1, 100);
    auto files = args.operands("[FILE...]", "text files", 0, SIZE_MAX);
    args.finish();
    if (files.empty()) files = files_of_this_repository();

    // Processes first: a fork takes only its own thread along.
    const auto counted = by_processes(files, workers);
    const auto compared = by_threads(files, workers);
    if (!counted || !compared) return example::checked(false, "all files were read and all workers ended well");

    std::vector<std::pair<std::string, std::uint64_t>> ranking(counted->begin(), counted->end());
    std::stable_sort(ranking.begin(), ranking.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    for (std::size_t n = 0; n < ranking.size() && (n < top || top == 0); ++n) {
        std::printf("%7zu %s\n", static_cast<std::size_t>(ranking[n].second), ranking[n].first.c_str());
    }
    std::printf("%zu different words, counted by %zu processes\n", ranking.size(), workers);
    return example::checked(*counted == *compared, "processes and threads counted the same");
}
