// Command line options of the example programs: defaults, --help, and one clear line for a mistake.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace example {

// A program asks for its options one by one, then for its operands, then calls finish(), which prints the help or
// reports the first mistake: no program starts to work with arguments that it did not understand.
class args {
public:
    args(int argc, char** argv, std::string idea) : idea_(std::move(idea)), words_(argv + 1, argv + argc) {
        const std::string path = argv[0];
        program_ = path.substr(path.find_last_of("/\\") + 1);
        if (program_.ends_with(".exe")) program_.erase(program_.size() - 4);
        const auto dashes = std::find(words_.begin(), words_.end(), "--");
        operands_.assign(dashes == words_.end() ? dashes : dashes + 1, words_.end());
        words_.erase(dashes, words_.end());
    }

    [[nodiscard]] std::size_t number(const std::string& name, std::size_t preset, const std::string& meaning,
                                     std::size_t least = 1, std::size_t most = 1'000'000) {
        usage_ += " [--" + name + " N]";
        help_ += "  --" + name + " N: " + meaning + " (" + std::to_string(preset) + ")\n";
        std::size_t value = preset;
        for (auto word = words_.begin(); word != words_.end();) {
            if (*word != "--" + name) {
                ++word;
                continue;
            }
            const std::string text = word + 1 == words_.end() ? "nothing" : *(word + 1);
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
            if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) {
                mistake("--" + name + " takes a number from " + std::to_string(least) + " to " + std::to_string(most) +
                        ", not '" + text + "'");
                value = preset;
            }
            word = words_.erase(word, word + std::min<std::ptrdiff_t>(2, words_.end() - word));
        }
        return value;
    }

    [[nodiscard]] std::chrono::milliseconds delay(const std::string& name, std::size_t preset,
                                                  const std::string& meaning, std::size_t least = 0) {
        return std::chrono::milliseconds(number(name, preset, meaning + ", in ms", least, 60'000));
    }

    [[nodiscard]] std::vector<std::string> operands(const std::string& names, const std::string& meaning,
                                                    std::size_t least, std::size_t most) {
        usage_ += " " + names;
        help_ += "  " + names + ": " + meaning + "\n";
        const auto is_operand = [](const std::string& word) { return word.size() < 2 || word[0] != '-'; };
        const auto rest = std::stable_partition(words_.begin(), words_.end(), std::not_fn(is_operand));
        operands_.insert(operands_.begin(), rest, words_.end());
        words_.erase(rest, words_.end());
        if (operands_.size() < least || operands_.size() > most) {
            mistake("wrong number of arguments, the usage is: " + program_ + usage_);
        }
        return std::exchange(operands_, {});
    }

    void finish() {
        if (std::find(words_.begin(), words_.end(), "--help") != words_.end()) {
            std::printf("usage: %s%s\n%s\n%s", program_.c_str(), usage_.c_str(), idea_.c_str(), help_.c_str());
            std::exit(0);
        }
        words_.insert(words_.end(), operands_.begin(), operands_.end());
        if (!words_.empty()) mistake("unknown argument '" + words_.front() + "'");
        if (!mistake_.empty()) {
            std::fprintf(stderr, "%s: %s (--help explains)\n", program_.c_str(), mistake_.c_str());
            std::exit(2);
        }
    }

private:
    void mistake(const std::string& text) {
        if (mistake_.empty()) mistake_ = text;
    }

    std::string program_, idea_, usage_, help_, mistake_;
    std::vector<std::string> words_;     // what nobody has asked for yet
    std::vector<std::string> operands_;  // what follows "--", and then all operands
};

}  // namespace example
