#!/usr/bin/env python3
"""Writes one header that holds others: `single_header.py INCLUDE-FOLDER OUTPUT HEADER...`, each as <sluice/sluice.hpp>.

What a header includes of the library comes before it, once; what it includes of other libraries stays where it is.
"""

import pathlib
import re
import sys

OWN = re.compile(r"#include <(sluice/[^>]+)>")


def inline(name, folder, seen):
    if name in seen:
        return
    seen.add(name)
    guard = "SLUICE_IN_ONE_" + re.sub(r"\W", "_", name).upper()  # for who includes both of the files that are made
    yield f"\n// ---- {name}\n\n#ifndef {guard}\n#define {guard}\n"
    depth = 0
    for line in (folder / name).read_text().splitlines(keepends=True):
        own = OWN.match(line)
        if own and depth > 0:
            sys.exit(f"single_header.py: {name} includes {own[1]} on a condition")
        if own:
            yield from inline(own[1], folder, seen)
        elif line.strip() != "#pragma once":
            yield line
        depth += bool(re.match(r"#if", line)) - bool(re.match(r"#endif", line))
    yield "#endif\n"


def main():
    folder, output, names = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
    licence = (folder.parent / "LICENSE").read_text()
    numbers = re.findall(r"#define SLUICE_VERSION_\w+ (\d+)", (folder / "sluice/version.hpp").read_text())
    seen = set()
    text = f"// sluice {'.'.join(numbers)} in one file, made of its headers; to change it, change these.\n//\n"
    text += "".join(f"// {line}".rstrip() + "\n" for line in licence.splitlines())
    text += "\n#pragma once\n" + "".join(part for name in names for part in inline(name, folder, seen))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text)


if __name__ == "__main__":
    main()
