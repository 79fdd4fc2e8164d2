#!/usr/bin/env python3
"""Turns what the benchmarks have measured into tables (Markdown) and plots (SVG), with the libraries side by side.

    plot.py RESULTS.json... --out FOLDER    writes results.md, results.svg, trends.svg, coroutine-results.md,
                                            coroutines.svg, ipc-results.md, nats-results.md, as far as the files have them
"""
import argparse
import collections
import json
import math
import os
import statistics
import textwrap
from xml.sax.saxutils import escape

# The names in the input, in the order of the legend.
COLOURS = {
    "sluice": "#0b57d0",
    "oneTBB": "#1e8e3e",
    "Boost.Fiber": "#9065c9",
    "moodycamel MPMC": "#0e8f9b",
    "moodycamel SPSC": "#a3dbe0",
    "Asio": "#e8710a",
    "textbook": "#8a9096",
    "select": "#0b57d0",
    "selector": "#e8710a",
    "Go": "#0e8f9b",
    "crossbeam": "#9065c9",
}
ORDER = list(COLOURS)
OWN = "sluice"

# A plot: what it is of, its panels, each with a title and its workloads with the names to show, what the names mean, and the rest.
Plot = collections.namedtuple("Plot", "title panels meaning note")
CHANNELS = Plot("Nanoseconds per message of sluice and other channels", [
    ("Unbounded", [("seq unb", "seq"), ("spsc unb", "spsc"), ("mpsc unb", "mpsc"), ("spmc unb", "spmc"), ("mpmc unb", "mpmc"),
                   ("select_recv unb", "select"), ("pingpong unb", "ping-pong")]),
    ("Capacity 512", [("spsc b512", "spsc"), ("mpsc b512", "mpsc"), ("spmc b512", "spmc"), ("mpmc b512", "mpmc"),
                      ("select_recv b512", "select"), ("payload256 b512", "256 bytes"), ("payload_str b512", "string")]),
    ("Capacity 1 (create: capacity 16)", [("seq b1", "seq"), ("spsc b1", "spsc"), ("mpsc b1", "mpsc"), ("spmc b1", "spmc"),
                                          ("mpmc b1", "mpmc"), ("pingpong b1", "ping-pong"), ("create b16", "create")]),
    ("Rendezvous", [("spsc b0", "spsc"), ("mpsc b0", "mpsc"), ("spmc b0", "spmc"), ("mpmc b0", "mpmc"),
                    ("select_recv b0", "select"), ("pingpong b0", "ping-pong")]),
], "seq: one thread sends and receives · spsc, mpsc, spmc, mpmc: one or four threads a side · select: four channels with a sender each, "
   "one receiver · ping-pong: a round trip over two channels · 256 bytes, string: spsc with larger messages · create: make and drop a "
   "channel.",
   "Wall time for a message of 8 bytes unless said; thin lines: fastest to slowest run; dashes: the best of the others.")
COROUTINES = Plot("Nanoseconds per message of coroutines of sluice and others", [
    ("One thread: unbounded, and capacity 512", [
        ("co_spsc unb", "spsc unb"), ("co_mpmc unb", "mpmc unb"), ("co_spsc b512", "spsc"), ("co_mpmc b512", "mpmc"),
        ("co_select b512", "select"), ("co_spawn b512", "spawn")]),
    ("One thread: capacity 1", [
        ("co_spsc b1", "spsc"), ("co_mpmc b1", "mpmc"), ("co_select b1", "select"), ("co_pingpong b1", "ping-pong"),
        ("co_ring b1", "ring"), ("co_sieve b1", "sieve")]),
    ("One thread: rendezvous", [
        ("co_spsc b0", "spsc"), ("co_mpmc b0", "mpmc"), ("co_select b0", "select"), ("co_pingpong b0", "ping-pong"),
        ("co_ring b0", "ring"), ("co_sieve b0", "sieve")]),
    ("Two threads", [
        ("co2_spsc unb", "spsc unb"), ("co2_spsc b512", "spsc 512"), ("co2_spsc b1", "spsc 1"),
        ("co2_spsc b0", "spsc rendezvous"), ("co2_pingpong b1", "ping-pong 1"), ("mix_spsc unb", "mix unb"),
        ("mix_spsc b512", "mix 512")]),
], "spsc, mpmc: one or four coroutines a side · select: four channels with a sender each, one receiver · ping-pong: a round trip over two "
   "channels · ring: a token among 1000, the time of a step · sieve: of the first 1000 primes (200 in a quick run), a coroutine for each, "
   "the time of a number that passes a channel · spawn: a coroutine begins, sends a message and ends · two threads: each with a loop and a "
   "coroutine; mix: a thread sends to a coroutine.",
   "Wall time for a message of 8 bytes; thin lines: fastest to slowest run; dashes: the best of the others.")
# Beyond those: the group, a title, and what its parameter is.
TRENDS = [
    ("threads a side unb", "Threads a side, unbounded", "threads"),
    ("threads a side b512", "Threads a side, capacity 512", "threads"),
    ("senders unb", "Senders of one receiver, unbounded", "senders"),
    ("capacity", "Capacity, spsc", "capacity"),
    ("payload bytes", "Bytes of a message, spsc, capacity 512", "bytes"),
    ("depth", "Messages waiting, one thread", "waiting"),
    ("batch unb", "Messages in a batch, spsc, unbounded", "batch"),
    ("batch b512", "Messages in a batch, spsc, capacity 512", "batch"),
    ("messages b512", "Messages sent in all, spsc, capacity 512", "messages"),
    ("select ready", "Ready channels in a select", "channels"),
    ("select wake-up", "Threads blocked in selects, round trip", "threads"),
    ("group round trip", "One active channel in a group, round trip", "channels"),
]

Figures = collections.namedtuple("Figures", "ns low high cpu runs counters")
# What a benchmark may count beside its times.
COUNTERS = ("p50", "p99", "value", "seconds_to_connect", "kib_each", "io_threads")


def read(paths):
    """Figures by group, parameter and name, in the order of the files; and what the files say about the machine."""
    runs, about = {}, {}
    for path in paths:
        if os.path.getsize(path) == 0:
            continue  # what a program leaves whose benchmarks were all filtered out
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        about = {**content["context"], **about}
        for run in content["benchmarks"]:
            if run.get("run_type") == "iteration" and not run.get("error_occurred"):
                runs.setdefault(tuple(run["name"].split("/")[:3]), []).append(run)
    table = {}
    for (group, parameter, name), all_runs in sorted(runs.items(), key=lambda e: e[1][0]["family_index"]):
        def median(key, of=all_runs):
            return statistics.median(run[key] for run in of)
        wall = [run["real_time"] for run in all_runs]
        counters = {key: median(key) for key in COUNTERS if key in all_runs[0]}
        figures = Figures(median("real_time"), min(wall), max(wall), median("cpu_time"), len(all_runs), counters)
        table.setdefault(group, {}).setdefault(parameter, {})[name] = figures
    return table, about


def side_by_side(table, plot):
    """The cells that are in the plot, in its order."""
    cells = {}
    for cell in (cell for _, panel in plot.panels for cell, _ in panel):
        group, parameter = cell.split()
        row = table.get(group, {}).get(parameter)
        if row:
            cells[cell] = row
    return cells


def names_in(rows):
    present = {name for row in rows for name in row}
    return [name for name in ORDER if name in present] + sorted(present - set(ORDER))


def short(x):
    if x >= 1e6:
        return f"{x / 1e6:.1f}M" if x < 1e7 else f"{x / 1e6:.0f}M"
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2g}"


def best_of(row, of=lambda f: f.ns, without=()):
    return min((of(f) for name, f in row.items() if name not in without), default=None)


# ---- Markdown


def markdown_table(rows, first, of, ratio=False):
    """A line for each entry of `rows`, a column for each name, the smallest in bold."""
    names = names_in(rows.values())
    ratio = ratio and OWN in names and len(names) > 1
    lines = ["| " + " | ".join([first, *names, *(["sluice / best other"] if ratio else [])]) + " |",
             "| --- |" + " ---: |" * (len(names) + ratio)]
    for title, row in rows.items():
        best = best_of(row, of)
        line = [title]
        for name in names:
            text = short(of(row[name])) if name in row else ""
            line.append(f"**{text}**" if text and len(names) > 1 and text == short(best) else text)
        if ratio:
            other = best_of(row, of, {OWN})
            line.append(f"{of(row[OWN]) / other:.2f}" if OWN in row and other else "")
        lines.append("| " + " | ".join(line) + " |")
    return "\n".join(lines) + "\n"


def summary(cells):
    ratios = [row[OWN].ns / best_of(row, without={OWN}) for row in cells.values() if OWN in row and best_of(row, without={OWN})]
    if not ratios:
        return ""
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    ahead = sum(ratio < 1 for ratio in ratios)
    return (f"Against the best other of each line, sluice takes {mean:.2f} times as long (geometric mean), {max(ratios):.2f} at the worst; "
            f"it is ahead in {ahead} of {len(ratios)}.\n")


def origin(about, options):
    """How the figures were made."""
    facts = [options.about, about.get("num_cpus") and f"{about['num_cpus']} CPUs", about.get("date", "")[:10], options.command]
    return ("Measured: " + "; ".join(fact for fact in facts if fact) + ".\n"
            "The libraries take turns. Only figures of one such run on one machine compare.\n")


def medians_of(*tables):
    runs = max((f.runs for rows in tables for row in rows.values() for f in row.values()), default=0)
    return f"Medians of {runs} repetitions.\n" if runs > 1 else "Measured once.\n"


def compared(cells, picture, *notes):
    """The plot and the two tables of what was measured side by side; nothing where nothing was."""
    if not cells:
        return []
    return [f"![Nanoseconds per message, by workload and library]({picture})\n",
            "## Side by side: nanoseconds of wall time per message\n",
            medians_of(cells),
            markdown_table(cells, "workload", lambda f: f.ns, ratio=True),
            summary(cells),
            *notes,
            "## Side by side: nanoseconds of CPU time per message, all threads together\n",
            markdown_table(cells, "workload", lambda f: f.cpu, ratio=True)]


def results(table, about, options):
    text = ["# What sluice and its peers cost\n", origin(about, options)]
    if about.get("peers"):
        text.append(f"Beside sluice: {about['peers']}.\n")
    text += compared(
        side_by_side(table, CHANNELS), "results.svg",
        "unb is unbounded, b512 holds 512 messages, b0 is a rendezvous. " + CHANNELS.meaning + "\n",
        "A receiver ends when its channel is closed; where a library has no close, after an equal share of the messages. "
        "All values are checked.\n")

    trends = [trend for trend in TRENDS if trend[0] in table]
    if trends:
        text.append("## Trends: nanoseconds of wall time per message\n")
        text.append(medians_of(*(table[group] for group, _, _ in trends)))
        text.append("![Trends](trends.svg)\n")
    for group, title, parameters in trends:
        text.append(f"### {title}\n")
        rows = {spell(parameter): row for parameter, row in by_number(table[group])}
        text.append(markdown_table(rows, parameters, lambda f: f.ns))
    if "latency" in table:
        text.append("## Waking a receiver that sleeps: nanoseconds from send to recv\n")
        text.append(medians_of(table["latency"]))
        rows = {f"{kind}, {which}": {name: f._replace(ns=f.counters[which]) for name, f in row.items()}
                for kind, row in table["latency"].items() for which in ("p50", "p99")}
        text.append(markdown_table(rows, "channel, percentile", lambda f: f.ns))
    if "memory" in table:
        text.append("## Memory\n")
        text.append(markdown_table(table["memory"], "", lambda f: f.counters["value"]))
    if "compile" in table:
        text.append("## Compiling\n")
        text.append(medians_of(table["compile"]))
        text.append("A function for each type of message opens a channel, sends, receives and drops the channel: bounded or "
                    "unbounded by an argument, but with Boost.Fiber bounded, with moodycamel unbounded. Seconds of the processor; "
                    "the include is what it takes beyond `<thread>`, `<mutex>` and `<condition_variable>`. "
                    "`python3 bench/compile_cost.py` measures this alone.\n")
        text.append(markdown_table(table["compile"], "", lambda f: f.counters["value"]))
    return "\n".join(text).rstrip() + "\n"


def coroutine_results(table, about, options):
    text = ["# What coroutines cost\n", origin(about, options)]
    if about.get("coroutine_peers"):
        text.append(f"Beside sluice: {about['coroutine_peers']}.\n")
    text += compared(
        side_by_side(table, COROUTINES), "coroutines.svg",
        "co_ is in one thread, co2_ and mix_ in two. unb is unbounded, b512 holds 512 messages, b0 is a rendezvous. "
        + COROUTINES.meaning + " All values are checked.\n",
        "Asio's channels are experimental: without locks in one thread, else its concurrent ones; its select is a group of "
        "operations, which may take a message from each channel. Boost.Fiber's fibers have stacks of their own, its channel of "
        "512 holds 511, that of 1 is its smallest, and it has no select.\n")
    if "co_blocked" in table:
        rows = table["co_blocked"]["b1"]
        text.append("## Coroutines that wait\n")
        text.append(medians_of({"": rows}))
        text.append("Each is blocked in a receive from a channel of its own, of capacity 1; then each gets a message, and ends. Resident "
                    "memory, with the channel and its handles: a million coroutines at once, of fibers 100,000 (20,000 in a quick run).\n")
        text.append(markdown_table({
            "bytes of each": {name: f._replace(ns=f.counters["value"]) for name, f in rows.items()},
            "ns to release each": rows}, "", lambda f: f.ns))
    return "\n".join(text).rstrip() + "\n"


def ipc_results(table, about, options):
    text = ["# Between processes\n", origin(about, options)]
    streams = [table.get(group, {}) for group in ("ipc 8 bytes", "ipc 1 MiB", "ipc round trip")]
    text.append(medians_of(*streams))
    text.append("*bare* is write() and read(), or mq_send() and mq_receive(), without any framing.\n")
    text.append("| over | by | 8 bytes, million/s | 1 MiB, GB/s | round trip, us |\n| --- | --- | ---: | ---: | ---: |")
    show = (lambda ns: f"{1000 / ns:.2f}", lambda ns: f"{2**20 / ns:.2f}", lambda ns: f"{ns / 1000:.1f}")
    for over, by in dict.fromkeys((over, by) for rows in streams for over, row in rows.items() for by in row):
        found = [rows.get(over, {}).get(by) for rows in streams]
        text.append(" | ".join([f"| {over} | {by}", *(of(f.ns) if f else "" for of, f in zip(show, found))]) + " |")
    crowds = table.get("ipc crowd", {})
    if crowds:
        text.append("\n" + medians_of(crowds))
        text.append("A listener with clients that say nothing, on a unix socket: half of a round trip to one more client, which "
                    "is heard by the same receiver, or has a session of its own; resident memory of the listener's process.\n")
        text.append("| idle clients | of | connected in, s | KiB each | latency of another, us | threads of the library |\n"
                    "| ---: | --- | ---: | ---: | ---: | ---: |")
    for hearing in dict.fromkeys(name for row in crowds.values() for name in row):
        for clients, row in crowds.items():
            if hearing in row:
                c = row[hearing].counters
                text.append(f"| {clients} | {hearing} | {c['seconds_to_connect']:.2f} | {c['kib_each']:.1f} | "
                            f"{row[hearing].ns / 1000:.1f} | {c['io_threads']:.0f} |")
    return "\n".join(text) + "\n"


def nats_results(table, about, options):
    text = ["# Between machines\n", origin(about, options), medians_of(*table.values())]
    text.append("The NATS C client used directly, and the library over it, with one server on the same machine. *confirmed* is into a "
                "stream in memory with at most 256 messages unconfirmed; the library's have ids.\n")
    text.append("| | message | by | us per message |\n| --- | --- | --- | ---: |")
    for group, rows in table.items():
        for size, row in rows.items():
            for by, found in row.items():
                text.append(f"| {group.removeprefix('nats ')} | {size} | {by} | {found.ns / 1000:.2f} |")
    return "\n".join(text) + "\n"


def by_number(row):
    return sorted(row.items(), key=lambda e: (e[0].isdigit(), int(e[0]) if e[0].isdigit() else 0))


def spell(parameter):
    """10000000 as 10 million, and so on."""
    if parameter.isdigit():
        for size, word in ((10**6, "million"), (10**3, "thousand")):
            if int(parameter) >= 10 * size or int(parameter) == size:
                if int(parameter) % size == 0:
                    return f"{int(parameter) // size} {word}"
    return parameter


# ---- SVG

INK, FAINT, LINE = "#202124", "#5f6368", "#e3e6ea"
FONT = "font-family=\"-apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', Helvetica, Arial, sans-serif\""


class Drawing:
    def __init__(self, width):
        self.width, self.parts = width, []

    def text(self, x, y, text, size=11, anchor="start", colour=INK, weight="normal", turn=0, halo=False):
        outline = ' stroke="#ffffff" stroke-width="3" paint-order="stroke"' if halo else ""
        turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" '
                          f'font-weight="{weight}"{turned}{outline}>{escape(text)}</text>')

    def rect(self, x, y, width, height, colour, title="", more=""):
        tip = f"<title>{escape(title)}</title>" if title else ""
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"{more}>{tip}</rect>')

    def line(self, x1, y1, x2, y2, colour, width=1.0, more=""):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"{more}/>')

    def legend(self, names, x, y, right, mark="bar"):
        """Returns the y below it."""
        start = x
        for name in names:
            width = 34 + sum(10 if c in "mMwW" else 8.5 if c.isupper() else 4 if c in "ijl. " else 7.2 for c in name)
            if x + width > right:
                x, y = start, y + 18
            colour = COLOURS.get(name, FAINT)
            if mark == "bar":
                self.rect(x, y - 9, 11, 11, colour)
            else:
                self.line(x, y - 4, x + 12, y - 4, colour, 2.5)
            self.text(x + 16, y, name, 12, weight="bold" if name == OWN else "normal")
            x += width
        return y + 18

    def svg(self, height, title):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{height:.0f}" '
                f'viewBox="0 0 {self.width} {height:.0f}" role="img" {FONT}>\n<title>{escape(title)}</title>\n'
                f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(self.parts) + "\n</svg>\n")


class LogScale:
    """From values to heights on the paper, with the bottom a little below the smallest."""

    def __init__(self, values, top, bottom):
        self.low = 10 ** (math.floor(math.log10(min(values)) * 2 - 0.3) / 2)
        self.high = max(max(values) * 1.25, self.low * 10)
        self.top, self.bottom = top, bottom

    def __call__(self, value):
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.bottom - share * (self.bottom - self.top)

    def draw(self, on, left, right):
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        few = self.high / self.low < 500
        for decade in decades:
            for step in (1, 2, 5):
                value = step * 10.0**decade
                if not self.low * 0.999 <= value <= self.high:
                    continue
                y = self(value)
                on.line(left, y, right, y, "#cfd4da" if step == 1 else LINE, 1)
                if step == 1 or few:
                    on.text(left - 6, y + 3.5, f"{value:,.0f}" if value >= 1 else f"{value:g}", 10, "end", FAINT)


def plot(cells, of):
    drawing = Drawing(960)
    left, right, height = 76, 948, 150
    names = names_in(cells.values())
    drawing.text(14, 26, "Nanoseconds per message, less is better (log scale)", 16, weight="bold")
    y = drawing.legend(names, 14, 50, right)
    panels = [(title, [(label, cells[cell]) for cell, label in wanted if cell in cells]) for title, wanted in of.panels]
    panels = [panel for panel in panels if panel[1]]
    gap = 22
    bar = min(14.0, *((right - left - gap * (len(groups) + 1)) / sum(len(row) for _, row in groups) for _, groups in panels))
    for title, groups in panels:
        top, bottom = y + 24, y + 24 + height
        drawing.text(14, y + 10, title, 13, weight="bold")
        figures = [f for _, row in groups for f in row.values()]
        scale = LogScale([f.low for f in figures] + [f.high for f in figures], top, bottom)
        scale.draw(drawing, left, right)
        drawing.text(16, (top + bottom) / 2, "ns per message", 10, "middle", FAINT, turn=-90)
        space = (right - left - bar * len(figures)) / len(groups)
        x = left + space / 2
        for label, row in groups:
            begin = x
            best = best_of(row, without={OWN})
            for name in names:
                if name not in row:
                    continue
                f = row[name]
                colour = COLOURS.get(name, FAINT)
                tip = f"{name}: {short(f.ns)} ns ({short(f.low)} to {short(f.high)}), {short(f.cpu)} ns of CPU time"
                drawing.rect(x + 0.5, scale(f.ns), bar - 1, bottom - scale(f.ns), colour, tip)
                drawing.line(x + bar / 2, scale(f.low), x + bar / 2, scale(f.high), INK, 0.8, ' stroke-opacity="0.55"')
                x += bar
            if best and OWN in row:
                drawing.line(begin - 4, scale(best), x + 4, scale(best), INK, 1, ' stroke-dasharray="3 2"')
            if OWN in row:
                own = row[OWN]
                drawing.text(begin + bar, scale(own.high) - 4, short(own.ns), 10, "end", COLOURS[OWN], "bold", halo=True)
            drawing.text((begin + x) / 2, bottom + 15, label, 11, "middle")
            x += space
        drawing.line(left, bottom, right, bottom, FAINT, 1)
        y = bottom + 34
    for line in textwrap.wrap(f"{of.meaning} {of.note}", 132):
        drawing.text(14, y, line, 11, colour=FAINT)
        y += 16
    return drawing.svg(y, of.title)


def plot_trends(table):
    drawing = Drawing(960)
    groups = [(table[group], title) for group, title, _ in TRENDS if group in table]
    drawing.text(14, 26, "Trends: nanoseconds per message, less is better (log scales)", 16, weight="bold")
    y = drawing.legend(names_in(row for rows, _ in groups for row in rows.values()), 14, 50, 948, "line")
    columns, width, height = 3, 312, 150
    for index, (rows, title) in enumerate(groups):
        column = index % columns
        left = 14 + column * width + 44
        right = 14 + (column + 1) * width - 12
        top, bottom = y + 24, y + 24 + height
        drawing.text(left - 44, y + 10, title, 12, weight="bold")
        ordered = [(parameter, row) for parameter, row in by_number(rows) if parameter.isdigit()]
        scale = LogScale([f.ns for _, row in ordered for f in row.values()], top, bottom)
        scale.draw(drawing, left, right)
        steps = [math.log(int(parameter)) for parameter, _ in ordered]
        place = [left + 12 + (s - steps[0]) / ((steps[-1] - steps[0]) or 1) * (right - left - 24) for s in steps]
        for x, (parameter, _) in zip(place, ordered):
            drawing.text(x, bottom + 14, short_count(parameter), 10, "middle", FAINT)
        for name in reversed(names_in(row for _, row in ordered)):
            points = [(x, scale(row[name].ns)) for x, (_, row) in zip(place, ordered) if name in row]
            colour, thick = COLOURS.get(name, FAINT), 2.6 if name == OWN else 1.5
            path_of = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
            drawing.parts.append(f'<polyline points="{path_of}" fill="none" stroke="{colour}" stroke-width="{thick}">'
                                 f'<title>{escape(name)}</title></polyline>')
            drawing.parts.extend(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{thick:.1f}" fill="{colour}"/>' for px, py in points)
        drawing.line(left, bottom, right, bottom, FAINT, 1)
        if column == columns - 1 or index == len(groups) - 1:
            y = bottom + 38
    return drawing.svg(y, "How the cost of a message changes")


def short_count(parameter):
    n = int(parameter)
    return f"{n // 10**6}M" if n >= 10**6 else f"{n // 1000}k" if n >= 1000 else str(n)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("results", nargs="+", help="files that Google Benchmark wrote, or compile_cost.py")
    options.add_argument("--out", required=True, metavar="FOLDER")
    options.add_argument("--about", default="", metavar="TEXT", help="the machine and the compiler")
    options.add_argument("--command", default="", metavar="TEXT", help="the command that measured")
    options = options.parse_args()

    def write(name, text):
        with open(os.path.join(options.out, name), "w", encoding="utf-8") as file:
            file.write(text)

    table, about = read(options.results)
    parts = {"ipc": {}, "nats": {}, "coroutines": {}, "channels": {}}
    for group, rows in table.items():
        prefixes = {"ipc ": "ipc", "nats ": "nats", "co_": "coroutines", "co2_": "coroutines", "mix_": "coroutines"}
        part = next((part for prefix, part in prefixes.items() if group.startswith(prefix)), "channels")
        parts[part][group] = rows
    for part, name, text_of in (("channels", "results.md", results), ("coroutines", "coroutine-results.md", coroutine_results),
                                ("ipc", "ipc-results.md", ipc_results), ("nats", "nats-results.md", nats_results)):
        if parts[part]:
            write(name, text_of(parts[part], about, options))
    for part, name, of in (("channels", "results.svg", CHANNELS), ("coroutines", "coroutines.svg", COROUTINES)):
        cells = side_by_side(parts[part], of)
        if cells:
            write(name, plot(cells, of))
    if any(group in parts["channels"] for group, _, _ in TRENDS):
        write("trends.svg", plot_trends(parts["channels"]))


if __name__ == "__main__":
    main()
