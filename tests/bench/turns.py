# SPDX-License-Identifier: BSD-3-Clause
"""Contestants that take turns, one round each, so that whatever else the machine does meets all of them; and what their rounds come to."""
import contextlib
import json
import os
import pathlib
import random
import subprocess
import time

BUILD = pathlib.Path(os.environ.get("NSBOX_BUILD", "/cache/build-gcc"))
CONTESTANT = str(BUILD / "bench-contestant")
SPARSE = 0.06  # s between two rounds: what a login host sees; in a loop caches are warm and grace periods overlap
WAYS = {"sparse": SPARSE, "loop": 0}
FLOOR = "floor"
UNCOUNTED = ("account",)  # steps that are shown, but are not the session's


class Contestant:
    """A process that does a round for each line, and answers with {step: microseconds}."""

    def __init__(self, *arguments):
        self._process = subprocess.Popen([CONTESTANT, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.rounds = []

    def begin(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def finish(self):
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"bench: {self._process.args} has ended with status {self._process.wait()}")
        self.rounds.append(json.loads(line))

    def round(self):
        self.begin()
        self.finish()

    def hang_up(self):
        """The end of its input: it ends, and what it holds. Nothing is waited for."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def end(self):
        self.hang_up()
        self._process.wait(60)
        self._process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Crowd:
    """So many of a kind, whose rounds begin at the same moment; each of them counts."""

    def __init__(self, number, *arguments):
        self._members = [Contestant(*arguments) for _ in range(number)]

    @property
    def rounds(self):
        return [one for member in self._members for one in member.rounds]

    def round(self):
        for member in self._members:
            member.begin()
        for member in self._members:
            member.finish()

    def forget(self):
        for member in self._members:
            member.rounds.clear()

    def end(self):
        for member in self._members:
            member.end()


def floor():
    """The arguments of the contestant that makes a box of bare calls."""
    return "floor", str(BUILD / "bench-floor-init"), _pids_group()


def _pids_group():
    """A directory of a pids tree, version 1 or 2, or "-"."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text(encoding="ascii").splitlines():
        point, kind, options = line.split()[4], line.partition(" - ")[2].split()[0], line.split()[-1]
        if kind == "cgroup" and "pids" in options.split(","):
            return point
    return "-"


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def total(one):
    """Microseconds of a round."""
    return sum(value for step, value in one.items() if step not in UNCOUNTED)


def take_turns(wanted, rounds, pause, at_once=1):
    """{name: [{step: microseconds}]} of {name: arguments}. The first round of each is not counted."""
    crowds = {name: Crowd(at_once, *arguments) for name, arguments in wanted.items()}
    order, shuffler = list(crowds.values()), random.Random(1)
    try:
        for number in range(rounds + 1):
            shuffler.shuffle(order)  # what one leaves to be done behind its back meets another each time
            for crowd in order:
                crowd.round()
                time.sleep(pause)
            if number == 0:
                for crowd in order:
                    crowd.forget()
        return {name: crowd.rounds for name, crowd in crowds.items()}
    finally:
        for crowd in crowds.values():
            crowd.end()


def summary(rounds, reference=None):
    """In milliseconds: median and 95th percentile of the whole, the median of each step; "ratio" to the reference's summary."""
    totals = [total(one) / 1000 for one in rounds]
    found = {"median": quantile(totals, 0.5), "p95": quantile(totals, 0.95),
             "steps": {step: quantile([one[step] / 1000 for one in rounds], 0.5) for step in rounds[0]}}
    found["ratio"] = found["median"] / (reference or found)["median"]
    return found


def measure(title, wanted, rounds, pause, at_once=1):
    """Takes turns and prints the table: {name: summary}, whose first is what all others are compared to."""
    found, reference = {}, None
    for name, one in take_turns(wanted, rounds, pause, at_once).items():
        found[name] = summary(one, reference)
        reference = reference or found[name]
    print_table(f"{title}: {rounds} rounds, {int(pause * 1000)} ms apart", found)
    return found


def print_table(title, results):
    width = max(map(len, results)) + 2
    print(f"\n{title}\n{'':<{width}}{'median ms':>10}{'p95 ms':>10}{'x ' + next(iter(results)):>10}  steps (median ms)")
    for name, one in results.items():
        steps = ", ".join(f"{step} {value:.2f}" for step, value in one["steps"].items()) if len(one["steps"]) > 1 else ""
        print(f"{name:<{width}}{one['median']:>10.2f}{one['p95']:>10.2f}{one['ratio']:>10.2f}  {steps}".rstrip(), flush=True)
