// The classic filter process: characters go into a channel, lines of a limited length come out of another.
#include "args.hpp"

#include <sluice/sluice.hpp>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

int main(int argc, char** argv) {
    example::args args(argc, argv, "Copies its input by way of two channels, one of characters and one of lines.");
    const auto longest = args.number("maxline", 80, "characters in a line; a longer one travels in pieces");
    const auto file = args.operands("[FILE]", "read instead of standard input", 0, 1);
    args.finish();

    std::FILE* const input = file.empty() ? stdin : std::fopen(file[0].c_str(), "rb");
    if (input == nullptr) {
        std::fprintf(stderr, "char_to_line: %s: %s\n", file[0].c_str(), std::strerror(errno));
        return 1;
    }

    auto [char_tx, chars] = sluice::bounded<char>(4096);
    auto [line_tx, lines] = sluice::bounded<std::string>(16);
    std::jthread reader([input, out = std::move(char_tx)] {
        for (int c = std::getc(input); c != EOF && out.send(static_cast<char>(c)); c = std::getc(input)) {
        }
    });
    std::jthread assembler([in = std::move(chars), out = std::move(line_tx), longest] {
        std::string line;
        for (char c : in) {
            line += c;
            if ((c == '\n' || line.size() == longest) && !out.send(std::exchange(line, {}))) return;
        }
        if (!line.empty()) {
            (void)out.send(std::move(line));  // the last line of the input may lack its end
        }
    });

    bool written = true;
    while (written) {
        const auto line = lines.recv();
        if (!line) break;
        written = std::fwrite(line->data(), 1, line->size(), stdout) == line->size();
    }
    lines = {};  // after a failed write this ends the assembler, and that the reader
    reader.join();
    if (!written || std::fflush(stdout) != 0 || std::ferror(input) != 0) {
        std::fprintf(stderr, "char_to_line: the input could not be copied: %s\n", std::strerror(errno));
        return 1;
    }
    return 0;
}
