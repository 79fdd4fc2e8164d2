// Counts the words of files: one reader cuts them into blocks, a pool of workers counts each for itself, and a merger
// adds up their tables. The bounded channel of blocks keeps memory small however large the files are.
#include "args.hpp"

#include <sluice/sluice.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <unistd.h>

struct hash : std::hash<std::string_view> {
    using is_transparent = void;  // a word is looked up without making a string of it
};
using table = std::unordered_map<std::string, std::size_t, hash, std::equal_to<>>;
using seconds = std::chrono::duration<double>;

char lower(char c) { return static_cast<char>(c | 0x20); }  // of an ASCII letter
bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }

// Sends the text of a file in blocks that cut no word; returns why the file could not be read, or 0.
int read(const std::string& name, const sluice::sender<std::string>& out, std::atomic<std::size_t>& bytes) {
    std::FILE* const file = std::fopen(name.c_str(), "rb");
    if (file == nullptr) return errno;

    constexpr std::size_t block_size = 256 * 1024;
    int error = 0;
    std::string rest;  // the first part of a word that goes on in the next block
    for (bool more = true; more;) {
        std::string block = std::exchange(rest, {});
        const std::size_t old = block.size();
        block.resize(old + block_size);
        const std::size_t size = std::fread(&block[old], 1, block_size, file);
        more = size > 0;
        if (!more && std::ferror(file) != 0) error = errno;

        bytes += size;
        block.resize(old + size);
        const auto cut = more ? std::find_if_not(block.rbegin(), block.rend(), is_letter).base() : block.end();
        rest.assign(cut, block.end());
        block.erase(cut, block.end());
        if (!out.send(std::move(block))) break;
    }
    std::fclose(file);
    return error;
}

void count(std::string text, table& words) {
    for (auto begin = text.begin();;) {
        begin = std::find_if(begin, text.end(), is_letter);
        if (begin == text.end()) return;
        const auto end = std::find_if_not(begin, text.end(), is_letter);
        std::transform(begin, end, begin, lower);
        const std::string_view word(begin, end);
        if (const auto known = words.find(word); known != words.end()) {
            ++known->second;
        } else {
            words.emplace(word, 1);
        }
        begin = end;
    }
}

std::vector<std::string> files_of_this_repository() {
    std::vector<std::string> files;
    const auto root = std::filesystem::path(__FILE__).parent_path() / "..";
    for (const char* folder : {"include", "tests", "bench", "examples", "cmake"}) {
        std::error_code absent;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder, absent)) {
            if (entry.is_regular_file()) files.push_back(entry.path().string());
        }
    }
    return files;
}

int main(int argc, char** argv) {
    example::args args(argc, argv,
                       "Prints the most frequent words of the files, else of this repository, and the rate.");
    const auto top = args.number("top", 10, "how many words to print, 0 for all", 0);
    const auto cores = std::max(1U, std::thread::hardware_concurrency());
    const auto workers = args.number("workers", cores, "threads that count", 1, 1000);
    auto files = args.operands("[FILE...]", "text files", 0, SIZE_MAX);
    args.finish();
    if (files.empty()) files = files_of_this_repository();
    if (files.empty()) {
        std::fprintf(stderr, "word_count: this repository is not where it was built, so name some files\n");
        return 1;
    }

    const auto start = std::chrono::steady_clock::now();
    std::atomic<std::size_t> bytes = 0;
    bool all_read = true;
    auto [block_tx, blocks] = sluice::bounded<std::string>(2 * workers);
    auto [table_tx, tables] = sluice::unbounded<table>();
    std::jthread reader([&files, &all_read, &bytes, out = std::move(block_tx)] {
        for (const std::string& name : files) {
            if (const int error = read(name, out, bytes); error != 0) {
                std::fprintf(stderr, "word_count: %s: %s\n", name.c_str(), std::strerror(error));
                all_read = false;
            }
        }
    });
    std::vector<std::jthread> pool;
    for (std::size_t w = 0; w < workers; ++w) {
        pool.emplace_back([in = blocks, out = table_tx] {
            table words;
            for (std::string& block : in) count(std::move(block), words);
            (void)out.send(std::move(words));
        });
    }
    table_tx = {};

    table words;
    const bool terminal = isatty(STDERR_FILENO) != 0;
    const auto beat = sluice::tick(std::chrono::milliseconds(100));
    for (std::size_t merged = 0; merged < workers;) {
        (void)sluice::select(sluice::on_recv(tables,
                                             [&](table part) {
                                                 for (const auto& [word, times] : part) words[word] += times;
                                                 ++merged;
                                             }),
                             sluice::on_recv(beat, [&](std::chrono::steady_clock::time_point) {
                                 if (terminal) std::fprintf(stderr, "\r%zu MB", bytes / 1'000'000);
                             }));
    }
    reader.join();
    const seconds took = std::chrono::steady_clock::now() - start;
    if (terminal) std::fprintf(stderr, "\r\033[K");

    std::vector<std::pair<std::string, std::size_t>> ranking(words.begin(), words.end());
    std::sort(ranking.begin(), ranking.end(), [](const auto& a, const auto& b) {
        return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    for (std::size_t n = 0; n < ranking.size() && (n < top || top == 0); ++n) {
        std::printf("%7zu %s\n", ranking[n].second, ranking[n].first.c_str());
    }
    const double size = static_cast<double>(bytes) / 1e6;
    std::printf("%zu different words in %.3f MB, at %.1f MB/s\n", ranking.size(), size, size / took.count());
    return all_read ? 0 : 1;
}
