// Conway's problem, the first example of Hoare's "Communicating sequential processes": cards are taken apart into
// characters, pairs of asterisks are squeezed into one '^', and the stream is put together into lines of another
// length.
#include "args.hpp"

#include <sluice/sluice.hpp>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>
#include <utility>

void disassemble(std::istream& cards, const sluice::sender<char>& out) {
    for (std::string card; std::getline(cards, card);) {
        card += ' ';  // the end of a card reads as a space
        if (out.send_many(card) < card.size()) return;
    }
}

void squeeze(const sluice::receiver<char>& in, const sluice::sender<char>& out) {
    bool asterisk = false;  // one that has not been passed on yet
    for (char c : in) {
        if (c == '*' && asterisk) {
            asterisk = false;
            c = '^';
        } else if (std::exchange(asterisk, c == '*') && !out.send('*')) {
            return;
        }
        if (!asterisk && !out.send(c)) return;
    }
    if (asterisk) (void)out.send('*');
}

void assemble(const sluice::receiver<char>& in, const sluice::sender<std::string>& out, std::size_t width) {
    std::string line;
    for (char c : in) {
        line += c;
        if (line.size() == width && !out.send(std::exchange(line, {}))) return;
    }
    if (!line.empty()) {
        line.resize(width, ' ');
        (void)out.send(line);
    }
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Reads cards, squeezes ** into ^, and prints lines of one width.");
    const auto width = args.number("width", 125, "characters in a line of the output");
    const auto file = args.operands("[FILE]", "read instead of standard input", 0, 1);
    args.finish();

    std::ifstream named;
    if (!file.empty()) {
        named.open(file[0]);
        if (!named) {
            std::fprintf(stderr, "conway: %s: %s\n", file[0].c_str(), std::strerror(errno));
            return 1;
        }
    }

    auto cards = sluice::bounded<char>(64);
    auto squeezed = sluice::bounded<char>(64);
    auto lines = sluice::bounded<std::string>(4);
    std::istream& input = file.empty() ? std::cin : named;
    std::jthread disassembler(disassemble, std::ref(input), std::move(cards.tx));
    std::jthread squeezer(squeeze, std::move(cards.rx), std::move(squeezed.tx));
    std::jthread assembler(assemble, std::move(squeezed.rx), std::move(lines.tx), width);

    for (const std::string& line : lines.rx) std::printf("%s\n", line.c_str());
}
