# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark: its parts, one after the other. Started by tests/bench/run, in the throw-away host."""
import argparse
import json
import os
import pathlib
import platform
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # lib

import boxes  # noqa: E402  pylint: disable=wrong-import-position
import chart  # noqa: E402  pylint: disable=wrong-import-position
import growth  # noqa: E402  pylint: disable=wrong-import-position
import logins  # noqa: E402  pylint: disable=wrong-import-position
import parallel  # noqa: E402  pylint: disable=wrong-import-position
import peers  # noqa: E402  pylint: disable=wrong-import-position
import stages  # noqa: E402  pylint: disable=wrong-import-position

PARTS = {"boxes": boxes.run, "stages": stages.run, "peers": peers.run, "ssh": logins.run, "parallel": parallel.run, "growth": growth.run}


def machine():
    info = pathlib.Path("/proc/meminfo").read_text(encoding="ascii")
    return {"kernel": platform.release(), "processors": os.cpu_count(), "memory_kB": int(re.search(r"MemTotal:\s+(\d+)", info)[1]),
            "load": os.getloadavg()[0]}


def numbers(text):
    found = [int(word) for word in text.split(",")]
    if min(found) < 0:
        raise ValueError
    return found


def pattern(text):
    try:
        return re.compile(text).pattern
    except re.error as error:
        raise argparse.ArgumentTypeError(error) from None


def parse_arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run", allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=100, metavar="N", help="of each contestant (default 100)")
    parser.add_argument("--only", type=pattern, default="", metavar="PATTERN", help="of boxes, stages and peers, those whose name has the pattern")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part, and others that are named so (default: all)")
    parser.add_argument("--boxes", type=numbers, default=[0, 100, 1000], metavar="N,...", help="how many live, for growth (default 0,100,1000)")
    parser.add_argument("--json", metavar="FILE", help="all figures, for programs")
    parser.add_argument("--chart", metavar="FILE", help="an SVG of the boxes and peers, by gnuplot")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds: at least one")
    return arguments


def main():
    arguments = parse_arguments()
    parts = [name for name in PARTS if name in (arguments.part or PARTS)]
    if arguments.chart:
        chart.check(parts)
    result, failed = {"machine": machine(), "rounds": arguments.rounds}, []
    print("kernel {kernel}, {processors} processors, {memory_kB} kB of memory, load {load:.2f}".format(**result["machine"]), flush=True)
    for name in parts:
        try:
            result[name] = PARTS[name](arguments)
        except SystemExit as error:  # the others' figures are worth something without it
            failed.append(str(error))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(result, indent=1) + "\n", encoding="ascii")
    if failed:
        raise SystemExit("\n".join(failed))
    if arguments.chart:
        chart.draw(arguments.chart, result)


if __name__ == "__main__":
    main()
