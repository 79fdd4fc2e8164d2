#!/usr/bin/env python3
"""Measures what a channel costs its user in compile time, code and memory of the compiler, beside other C++ libraries.

A generated file has N message types, for N = 0, 1 and 20. Each type has a function that opens a channel of it, unbounded or
bounded as its argument says, sends one message, receives it, and drops the channel. A library that is not installed is left out.

    python3 bench/compile_cost.py [--compiler g++] [--include DIR] [--message number|string] [--only sluice,textbook]
"""
import argparse
import collections
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile

TYPES = 20
HERE = os.path.dirname(os.path.abspath(__file__))
STANDARD = "#include <condition_variable>\n#include <mutex>\n#include <thread>\n"
MESSAGE = "struct message_@ {\n    int kind;\n    content what;\n};\n"
CONTENTS = {"string": "std::string", "number": "long"}

# `kinds`: which channels `use` opens. `use`: the definition for one message type, the @ being its number. `folders`: where
# distributions keep the header, beside the folders in which the compiler looks anyway.
Library = collections.namedtuple("Library", "header kinds use folders", defaults=[[]])


def moodycamel(queue):
    return """
void use_@(std::size_t, content what) {
    moodycamel::QUEUE<message_@> queue;
    queue.enqueue(message_@{@, std::move(what)});
    message_@ received;
    queue.wait_dequeue(received);
    take(received.kind, received.what);
}
""".replace("QUEUE", queue)


LIBRARIES = {
    "sluice": Library("sluice/sluice.hpp", "both", """
void use_@(std::size_t capacity, content what) {
    auto [tx, rx] = capacity > 0 ? sluice::bounded<message_@>(capacity) : sluice::unbounded<message_@>();
    if (!tx.send(message_@{@, std::move(what)})) return;
    if (const auto received = rx.recv()) take(received->kind, received->what);
}
"""),
    "oneTBB": Library("tbb/concurrent_queue.h", "both", """
void use_@(std::size_t capacity, content what) {
    tbb::concurrent_bounded_queue<message_@> queue;
    if (capacity > 0) queue.set_capacity(static_cast<std::ptrdiff_t>(capacity));
    queue.push(message_@{@, std::move(what)});
    message_@ received;
    queue.pop(received);
    take(received.kind, received.what);
}
"""),
    "Boost.Fiber": Library("boost/fiber/buffered_channel.hpp", "bounded", """
void use_@(std::size_t capacity, content what) {
    boost::fibers::buffered_channel<message_@> channel(capacity);
    if (channel.push(message_@{@, std::move(what)}) != boost::fibers::channel_op_status::success) return;
    message_@ received;
    if (channel.pop(received) == boost::fibers::channel_op_status::success) take(received.kind, received.what);
}
"""),
    "moodycamel MPMC": Library("blockingconcurrentqueue.h", "unbounded", moodycamel("BlockingConcurrentQueue"), ["concurrentqueue", "concurrentqueue/moodycamel", "moodycamel"]),
    "moodycamel SPSC": Library("readerwriterqueue.h", "unbounded", moodycamel("BlockingReaderWriterQueue"), ["readerwriterqueue"]),
    "textbook": Library("textbook_queue.hpp", "both", """
void use_@(std::size_t capacity, content what) {
    auto queue = capacity > 0 ? bench::textbook_queue<message_@>(capacity) : bench::textbook_queue<message_@>();
    queue.push(message_@{@, std::move(what)});
    if (const auto received = queue.pop()) take(received->kind, received->what);
}
""", [HERE]),
}

# What the table has of a library, by the name of its column and, for --out, of its row.
COLUMNS = {
    "seconds to include": "include, s",
    "seconds for the first type": "first type, s",
    "seconds for a further type": "further type, s",
    "bytes of code of a further type": "further type, bytes",
    f"MB of the compiler with {TYPES} types": f"{TYPES} types, MB",
}

Compilation = collections.namedtuple("Compilation", "seconds megabytes code")


def source(library, types, content):
    text = STANDARD
    if library:
        text += f"#include <{library.header}>\n#include <string>\n#include <utility>\n\n"
        text += f"using content = {content};\nvoid take(int kind, const content& what);\n"
        text += "".join("\n" + (MESSAGE + library.use).replace("@", str(number)) for number in range(1, types + 1))
    return text


class Compiler:
    def __init__(self, options, folder):
        self.command = [*shlex.split(options.compiler), *shlex.split(options.flags), "-I", options.include]
        self.source = os.path.join(folder, "types.cpp")
        self.object = os.path.join(folder, "types.o")

    def finds(self, header, folders):
        """The options by which `header` is found, or None."""
        for options in ([], *(["-I", os.path.join(root, folder)] for folder in folders
                              for root in ("", "/usr/include", "/usr/local/include", "/opt/homebrew/include"))):
            check = subprocess.run([*self.command, *options, "-x", "c++", "-E", "-o", os.devnull, "-"], text=True, check=False,
                                   input=f"#if !__has_include(<{header}>)\n#error\n#endif\n", stderr=subprocess.DEVNULL)
            if check.returncode == 0:
                return options
        return None

    def compile(self, text, options):
        """Seconds are of the processor, the assembler's among them, so that they depend less on what else the machine does."""
        with open(self.source, "w", encoding="utf-8") as file:
            file.write(text)
        process = subprocess.Popen([*self.command, *options, "-c", self.source, "-o", self.object])
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit("compile_cost.py: the compiler failed")
        size = subprocess.run(["size", self.object], capture_output=True, text=True, check=True).stdout
        return Compilation(used.ru_utime + used.ru_stime, used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3),
                           int(size.splitlines()[1].split()[0]))


def measure(options, folder):
    """By library, the values in the order of COLUMNS: of each, one for each repetition."""
    compiler = Compiler(options, folder)
    work = [(None, 0, source(None, 0, ""), [])]
    for name, library in LIBRARIES.items():
        if options.only and name not in options.only.split(","):
            continue
        found = compiler.finds(library.header, library.folders)
        if found is None:
            print(f"not installed: {name}", file=sys.stderr)
            continue
        work += [(name, types, source(library, types, CONTENTS[options.message]), found) for types in (0, 1, TYPES)]
    table = collections.defaultdict(list)
    for _ in range(options.repetitions):
        cost = {(name, types): compiler.compile(text, found) for name, types, text, found in work}
        for name in dict.fromkeys(name for name, _ in cost if name):
            none, one, many = (cost[name, types] for types in (0, 1, TYPES))
            table[name].append((none.seconds - cost[None, 0].seconds, one.seconds - none.seconds,
                                (many.seconds - one.seconds) / (TYPES - 1), (many.code - one.code) / (TYPES - 1), many.megabytes))
    return {name: list(zip(*runs)) for name, runs in table.items()}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--compiler", default="g++", metavar="COMMAND")
    options.add_argument("--flags", default="-std=c++20 -O2", metavar="TEXT", help="its options (default: %(default)s)")
    options.add_argument("--include", default=os.path.join(HERE, "..", "include"), metavar="DIR", help="the folder that holds sluice/")
    options.add_argument("--repetitions", default=5, type=int, metavar="N",
                         help="the libraries take turns; the table has medians (default: %(default)s)")
    options.add_argument("--message", default="string", choices=CONTENTS, help="what a message has beside an int (default: %(default)s)")
    options.add_argument("--only", metavar="NAMES", help="some libraries, with commas between: " + ", ".join(LIBRARIES))
    options.add_argument("--out", metavar="FILE", help="also writes the figures as plot.py reads them")
    options = options.parse_args()
    if options.only and not set(options.only.split(",")) <= set(LIBRARIES):
        sys.exit("compile_cost.py: --only takes some of " + ", ".join(LIBRARIES))
    with tempfile.TemporaryDirectory() as folder:
        table = measure(options, folder)

    print("| library | channels | " + " | ".join(COLUMNS.values()) + " |")
    print("| --- | --- |" + " ---: |" * len(COLUMNS))
    for name, values in table.items():
        include, first, further, code, megabytes = map(statistics.median, values)
        print(f"| {name} | {LIBRARIES[name].kinds} | {include:.2f} | {first:.2f} | {further:.3f} | {code:.0f} | {megabytes:.0f} |")
    if options.out:
        blank = {"run_type": "iteration", "real_time": 0, "cpu_time": 0, "family_index": 0}
        runs = [{"name": f"compile/{row}/{name}", "value": value, **blank}
                for name, values in table.items() for row, repeated in zip(COLUMNS, values) for value in repeated]
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump({"context": {}, "benchmarks": runs}, file, indent=1)


if __name__ == "__main__":
    main()
