// What the documents show and name is there: their code is that of example programs, their figures are measured ones,
// their links lead somewhere, and their lists are complete.
#include "catch.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using lines = std::vector<std::string>;

const fs::path root = SLUICE_SOURCE_DIR;

/// Those in bench that a full run of the benchmarks writes.
std::vector<std::string> measured_tables() {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(root / "bench")) {
        const std::string name = entry.path().filename().string();
        if (std::regex_match(name, std::regex("(.*-)?results[.]md"))) {
            found.push_back("bench/" + name);
        }
    }
    return found;
}

std::vector<std::string> documents() {
    std::vector<std::string> all = measured_tables();
    all.insert(all.end(), {"README.md", "bench/README.md", "examples/README.md", "include/sluice/README.md",
                           "include/sluice/ipc/README.md", "tests/README.md"});
    return all;
}

struct block {
    std::size_t line;  // the number of its first line
    lines text;
};

std::string content(const fs::path& path) {
    INFO(path);
    std::ifstream file(path);
    REQUIRE(file.is_open());
    std::ostringstream all;
    all << file.rdbuf();
    return all.str();
}

// What stands between a line that is `begin` and the next that is `end`, whatever their indent.
std::vector<block> blocks(const fs::path& path, const std::string& begin, const std::string& end) {
    INFO(path);
    std::vector<block> found;
    bool inside = false;
    std::size_t number = 0;
    std::istringstream text(content(path));
    for (std::string line; std::getline(text, line);) {
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

// Whether the name stands in the text as a word of its own.
bool names(const std::string& text, const std::string& name) {
    return std::regex_search(text, std::regex("(^|[^a-z_])" + name + "([^a-z_]|$)"));
}

}  // namespace

TEST_CASE("each C++ block of a document is a region of an example program", "[documents]") {
    std::vector<lines> regions;
    for (const auto& entry : fs::directory_iterator(root / "examples")) {
        if (entry.path().extension() == ".cpp") {
            for (const auto& region : blocks(entry.path(), "// README begin", "// README end")) {
                regions.push_back(moved_left(region.text));
            }
        }
    }
    CHECK_FALSE(blocks(root / "README.md", "```cpp", "```").empty());
    for (const auto& document : documents()) {
        for (const auto& [line, text] : blocks(root / document, "```cpp", "```")) {
            INFO("the block at line " << line << " of " << document);
            CHECK(std::count(regions.begin(), regions.end(), moved_left(text)) > 0);
        }
    }
}

TEST_CASE("each link of a document to a file leads to one", "[documents]") {
    for (const auto& document : documents()) {
        const std::string text = content(root / document);
        const std::regex link(R"(\[[A-Za-z][^\]]*\]\(([^)#:\s]+)(#[^)]*)?\))");  // and no lambda
        for (std::sregex_iterator it(text.begin(), text.end(), link), end; it != end; ++it) {
            INFO(document << " links to " << (*it)[1]);
            CHECK(fs::exists((root / document).parent_path() / (*it)[1].str()));
        }
    }
}

TEST_CASE("each row of figures in README.md is one of those that were measured", "[documents]") {
    const auto section = [](const std::string& text, const std::string& head) {
        const auto begin = text.find("\n## " + head);
        return begin == std::string::npos ? "" : text.substr(begin, text.find("\n## ", begin + 1) - begin);
    };
    std::istringstream shown(section(content(root / "README.md"), "How fast"));
    std::string measured;
    for (const auto& table : measured_tables()) {
        measured += section(content(root / table), "Side by side: nanoseconds of wall time");
    }
    int rows = 0;
    for (std::string line; std::getline(shown, line);) {
        if (line.rfind("| ", 0) == 0) {
            INFO(line);
            CHECK(measured.find('\n' + line + '\n') != std::string::npos);
            ++rows;
        }
    }
    CHECK(rows > 2);
}

TEST_CASE("the lists of examples and of tests name all there are", "[documents]") {
    const std::string examples = content(root / "examples/README.md");
    for (const auto& entry : fs::directory_iterator(root / "examples")) {
        const std::string name = entry.path().stem().string();
        if (entry.path().extension() == ".cpp" && name.rfind("readme_", 0) != 0) {
            INFO(name);
            CHECK(names(examples, name));
        }
    }
    const std::string tests = content(root / "tests/README.md");
    for (const auto& entry : fs::directory_iterator(root / "tests")) {
        if (entry.is_directory()) {
            INFO(entry.path());
            CHECK(tests.find("](" + entry.path().filename().string() + ")") != std::string::npos);
        }
    }
}
