// Searches files in parallel and prints in order: for each file a reply channel is queued for the printer before any
// worker sees the file, so the output is that of `grep -rn`, whichever worker is the first to finish.
#include "args.hpp"
#include "pattern.hpp"

#include <sluice/sluice.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace fs = std::filesystem;

struct report {
    std::string lines;  // those that match, as they are printed
    std::string error;
};

struct job {
    fs::path file;
    sluice::sender<report> reply;
};

report failure(const fs::path& path, const std::string& reason) { return {{}, path.string() + ": " + reason}; }

report search(const fs::path& path, const example::pattern& wanted, bool with_name) {
    std::FILE* const file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) return failure(path, std::strerror(errno));
    std::string text;
    std::string block(256 * 1024, '\0');
    while (const auto size = std::fread(block.data(), 1, block.size(), file)) text.append(block, 0, size);
    const int error = std::ferror(file) != 0 ? errno : 0;
    std::fclose(file);
    if (error != 0) return failure(path, std::strerror(error));

    report found;
    if (text.find('\0') != std::string::npos) {
        return found;  // a binary file
    }
    std::size_t number = 1;
    for (std::size_t begin = 0; begin < text.size(); ++number) {
        const auto end = std::min(text.find('\n', begin), text.size());
        text[end] = '\0';  // the end of the string that regexec sees; behind the last character there is one already
        if (wanted.matches(&text[begin])) {
            found.lines += (with_name ? path.string() + ":" : "") + std::to_string(number) + ":" + &text[begin] + "\n";
        }
        begin = end + 1;
    }
    return found;
}

using results = sluice::receiver<report>;

// Gives out the files under `path` in the order of their names, not following links.
void walk(const fs::path& path, const sluice::sender<job>& jobs, const sluice::sender<results>& queue) {
    auto [reply, result] = sluice::bounded<report>(1);
    std::error_code error;
    if (!fs::is_directory(path, error)) {
        (void)(queue.send(std::move(result)) && jobs.send(job{path, std::move(reply)}));
        return;
    }
    std::vector<fs::directory_entry> entries;
    for (auto entry = fs::directory_iterator(path, error); !error && entry != fs::directory_iterator();) {
        entries.push_back(*entry);
        entry.increment(error);
    }
    if (error) (void)(reply.send(failure(path, error.message())) && queue.send(std::move(result)));
    std::sort(entries.begin(), entries.end());
    for (const auto& entry : entries) {
        const auto type = entry.symlink_status(error).type();
        if (type == fs::file_type::directory || type == fs::file_type::regular) walk(entry.path(), jobs, queue);
    }
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Prints the lines that match a basic regular expression, as `grep -rn` does.");
    const auto cores = std::max(1U, std::thread::hardware_concurrency());
    const auto workers = args.number("workers", cores, "threads that search", 1, 1000);
    auto paths = args.operands("PATTERN PATH...", "what to look for, and files and folders", 2, SIZE_MAX);
    args.finish();
    const std::string text = paths.front();
    paths.erase(paths.begin());
    if (!example::pattern(text).valid()) {
        std::fprintf(stderr, "parallel_grep: '%s' is not a basic regular expression\n", text.c_str());
        return 2;
    }

    std::error_code unknown;
    const bool with_name = paths.size() > 1 || fs::is_directory(paths.front(), unknown);
    auto [job_tx, jobs] = sluice::bounded<job>(64);
    auto [queue_tx, queue] = sluice::bounded<results>(256);
    std::vector<std::jthread> threads;
    threads.emplace_back([out = std::move(job_tx), order = std::move(queue_tx), paths] {
        for (const std::string& path : paths) walk(path, out, order);
    });
    for (std::size_t w = 0; w < workers; ++w) {
        threads.emplace_back([todo = jobs, text, with_name] {
            const example::pattern wanted(text);
            for (const job& next : todo) (void)next.reply.send(search(next.file, wanted, with_name));
        });
    }
    jobs = {};

    bool matched = false;
    bool failed = false;
    for (const results& result : queue) {
        const report found = result.recv().value();
        matched = matched || !found.lines.empty();
        failed = failed || !found.error.empty();
        std::fwrite(found.lines.data(), 1, found.lines.size(), stdout);
        if (!found.error.empty()) std::fprintf(stderr, "parallel_grep: %s\n", found.error.c_str());
    }
    if (std::fflush(stdout) != 0) {
        std::fprintf(stderr, "parallel_grep: write error: %s\n", std::strerror(errno));
        return 2;
    }
    return failed ? 2 : matched ? 0 : 1;
}
