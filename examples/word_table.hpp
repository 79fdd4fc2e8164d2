// Tables of how often which word is there: how they are made and added, and how they travel.
#pragma once

#include <sluice/ipc/codec.hpp>
#include <sluice/sluice.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace example {
using table = std::map<std::string, std::uint64_t>;
}

// How a table travels: each word behind its count and its length.
template <>
struct sluice::codec<example::table> {
    struct head {
        std::uint64_t count, length;
    };
    static void encode(const example::table& words, std::vector<std::byte>& out) {
        for (const auto& [word, count] : words) {
            codec<head>::encode({count, word.size()}, out);
            codec<std::string>::encode(word, out);
        }
    }
    static example::table decode(std::span<const std::byte> in) {
        example::table words;
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

namespace example {

inline bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

inline void count(const std::string& text, table& words) {
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

inline void add(table& sum, const table& part) {
    for (const auto& [word, times] : part) sum[word] += times;
}

// Gives the files to send() in blocks that cut no word; it returns false to end that.
template <class Send>
bool deal_out(const std::vector<std::string>& files, Send send) {
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
            if (!send(std::move(block))) return false;
        }
        if (!file.eof()) return false;
    }
    return true;
}

inline std::optional<table> by_threads(const std::vector<std::string>& files, std::size_t workers) {
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
    const bool well = deal_out(files, [&tx = tx](std::string block) { return bool(tx.send(std::move(block))); });
    tx = {};
    for (std::thread& t : threads) t.join();
    table sum;
    for (const table& part : tables) add(sum, part);
    if (!well) return {};
    return sum;
}

inline std::vector<std::string> files_of_this_repository() {
    std::vector<std::string> files;
    const auto root = std::filesystem::path(__FILE__).parent_path() / "..";
    for (const char* folder : {"include", "tests", "examples"}) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
            if (entry.is_regular_file()) files.push_back(entry.path().string());
        }
    }
    return files;
}

}  // namespace example
