// Every C++ block of README.md is a region of an example program, so whatever the README shows has been compiled.
#include "catch.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace {

using lines = std::vector<std::string>;

struct block {
    std::size_t line;  // the number of its first line
    lines text;
};

// What stands between a line that is `begin` and the next that is `end`, whatever their indent.
std::vector<block> blocks(const std::filesystem::path& path, const std::string& begin, const std::string& end) {
    INFO(path);
    std::vector<block> found;
    bool inside = false;
    std::size_t number = 0;
    std::ifstream file(path);
    REQUIRE(file.is_open());
    for (std::string line; std::getline(file, line);) {
        ++number;
        const auto words = line.substr(std::min(line.find_first_not_of(' '), line.size()));
        if (!inside && words == begin) {
            inside = true;
            found.push_back({number + 1, {}});
        } else if (inside && words == end) {
            inside = false;
        } else if (inside) {
            found.back().text.push_back(line);
        }
    }
    CHECK_FALSE(inside);
    return found;
}

lines moved_left(lines text) {
    auto indent = std::string::npos;
    for (const auto& line : text) {
        indent = std::min(indent, line.find_first_not_of(' '));
    }
    for (auto& line : text) {
        line.erase(0, indent);
    }
    return text;
}

}  // namespace

TEST_CASE("each C++ block of README.md is a region of an example program", "[readme]") {
    const std::filesystem::path root = SLUICE_SOURCE_DIR;
    std::vector<lines> regions;
    for (const auto& entry : std::filesystem::directory_iterator(root / "examples")) {
        if (entry.path().extension() == ".cpp") {
            for (const auto& region : blocks(entry.path(), "// README begin", "// README end")) {
                regions.push_back(moved_left(region.text));
            }
        }
    }

    const auto shown = blocks(root / "README.md", "```cpp", "```");
    CHECK_FALSE(shown.empty());
    for (const auto& [line, text] : shown) {
        INFO("the block at line " << line << " of README.md");
        CHECK(std::count(regions.begin(), regions.end(), moved_left(text)) > 0);
    }
}
