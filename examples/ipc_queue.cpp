// Programs that share a named queue of the system: `ipc_queue put NAME TEXT...` and `ipc_queue take NAME` may run at
// any time, in any number, one without the other. Without arguments, tries that out with processes of its own.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/ipc.hpp>
#include <sluice/sluice.hpp>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using sluice::ipc::message_queue;

bool put(const std::string& name, const std::vector<std::string>& texts) {
    const message_queue queue(name, {.max_message = 1024});
    const auto out = queue.sender<std::string>();
    return out.send_many(texts) == texts.size();
}

// What the queue holds, and what comes until it has been empty for a while, or until there are enough.
std::vector<std::string> take(const std::string& name, std::chrono::milliseconds patience,
                              std::size_t enough = SIZE_MAX) {
    const message_queue queue(name, {.max_message = 1024});
    const auto in = queue.receiver<std::string>();
    std::vector<std::string> texts;
    while (texts.size() < enough) {
        auto text = in.recv_timeout(patience);
        if (!text) break;
        texts.push_back(*std::move(text));
    }
    if (queue.error()) std::fprintf(stderr, "ipc_queue: %s\n", queue.error().message().c_str());
    return texts;
}

int try_it() {
    const std::string name = "/sluice-example-" + std::to_string(getpid());
    std::fflush(stdout);
    std::vector<pid_t> children;
    for (int child = 0; child < 3; ++child) {
        children.push_back(fork());
        if (children.back() == 0) {
            std::vector<std::string> texts;
            for (int i = 0; i < 20; ++i)
                texts.push_back("text " + std::to_string(i) + " of process " + std::to_string(child));
            std::exit(put(name, texts) ? 0 : 1);
        }
    }
    const std::vector<std::string> texts = take(name, 10s, 60);
    bool ended_well = true;
    for (const pid_t child : children) {
        int status = 0;
        ended_well = child > 0 && waitpid(child, &status, 0) == child && status == 0 && ended_well;
    }
    message_queue::remove(name);
    const std::set<std::string> different(texts.begin(), texts.end());
    std::printf("%zu texts from 3 processes\n", texts.size());
    return example::checked(ended_well && texts.size() == 60 && different.size() == 60, "each text was taken once");
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Puts texts into a named queue of the system, or takes them out.");
    const auto patience = args.delay("patience", 1000, "how long to wait for one more text");
    const auto words =
        args.operands("[put NAME TEXT... | take NAME | remove NAME]", "the name begins with a slash", 0, SIZE_MAX);
    args.finish();
    try {
        if (words.empty()) return try_it();
        if (words[0] == "put" && words.size() > 2) return put(words[1], {words.begin() + 2, words.end()}) ? 0 : 1;
        if (words[0] == "remove" && words.size() == 2) return message_queue::remove(words[1]) ? 0 : 1;
        if (words[0] == "take" && words.size() == 2) {
            for (const std::string& text : take(words[1], patience)) std::printf("%s\n", text.c_str());
            return 0;
        }
    } catch (const std::system_error& e) {
        std::fprintf(stderr, "ipc_queue: %s\n", e.what());
        return 1;
    }
    std::fprintf(stderr, "ipc_queue: '%s' is no command, or its arguments are missing (--help explains)\n",
                 words[0].c_str());
    return 2;
}
