# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark: contestants take turns, one round each, so that whatever else the machine does meets all of them. Started by
tests/bench/run, in the throw-away host."""
import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time

BUILD = pathlib.Path(os.environ.get("NSBOX_BUILD", "/cache/build-gcc"))
CONTESTANT = str(BUILD / "bench-contestant")
FLOOR_INIT = str(BUILD / "bench-floor-init")
SPARSE = 0.06  # s between two rounds: what a login host sees; in a loop caches are warm and grace periods overlap
PROFILES = {
    "default": "network = loopback\n",
    "host network": "network = host\n",
    "curated": "network = loopback\nroot = curated\n",
    "keep-id": "network = loopback\nuser_namespace = keep-id\n",
    "seccomp strict": "network = loopback\nseccomp = strict\n",
    "veth": "network = veth\nforwarding = set\n",
}
REFERENCE = "floor"


class Contestant:
    """A process that does a round for each line, and answers with {step: microseconds}."""

    def __init__(self, *arguments):
        self._process = subprocess.Popen([CONTESTANT, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.rounds = []

    def round(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"bench: {self._process.args} has ended with status {self._process.wait()}")
        self.rounds.append(json.loads(line))

    def end(self):
        self._process.stdin.close()
        self._process.wait(20)


def floor_group():
    """A directory of a pids tree, version 1 or 2, or "-"."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text(encoding="ascii").splitlines():
        point, kind, options = line.split()[4], line.partition(" - ")[2].split()[0], line.split()[-1]
        if kind == "cgroup" and "pids" in options.split(","):
            return point
    return "-"


def make_profiles():
    """One PAM service and one profile for each: the service's name says which."""
    text = ""
    for number, lines in enumerate(PROFILES.values()):
        text += f"[profile bench{number}]\nusers = alice\nservices = bench{number}\n{lines}\n"
        pathlib.Path(f"/etc/pam.d/bench{number}").write_text("auth required pam_permit.so\naccount required pam_permit.so\n"
                                                            "session required pam_nsbox.so\n", encoding="ascii")
    pathlib.Path("/etc/security/nsbox.conf").write_text(text, encoding="ascii")
    checked = subprocess.run(["nsboxctl", "check"], capture_output=True, text=True, check=False)
    if checked.returncode != 0:
        raise SystemExit(f"bench: {checked.stdout}{checked.stderr}")


def entries(only):
    """{name: arguments of the contestant}."""
    found = {REFERENCE: ("floor", FLOOR_INIT, floor_group())}
    for number, name in enumerate(PROFILES):
        found[f"box: {name}"] = ("session", f"bench{number}", "alice")
    if shutil.which("bwrap"):
        found["bwrap --unshare-all"] = ("command", "bwrap", "--unshare-all", "--dev-bind", "/", "/", "--proc", "/proc", "--dev", "/dev",
                                        "--tmpfs", "/tmp", "true")
    found["unshare(1)"] = ("command", "unshare", "--uts", "--ipc", "--mount", "--pid", "--net", "--fork", "--mount-proc", "true")
    found["no box: true(1)"] = ("command", "true")
    return {name: arguments for name, arguments in found.items() if name == REFERENCE or re.search(only, name)}


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def measure(wanted, rounds, pause):
    """{name: [{step: microseconds}]}. The first round of each is not counted."""
    contestants = {name: Contestant(*arguments) for name, arguments in wanted.items()}
    try:
        for number in range(rounds + 1):
            for contestant in contestants.values():
                contestant.round()
                time.sleep(pause)
            if number == 0:
                for contestant in contestants.values():
                    contestant.rounds.clear()
    finally:
        for contestant in contestants.values():
            contestant.end()
    return {name: contestant.rounds for name, contestant in contestants.items()}


def summary(rounds):
    """Median and 95th percentile of the whole, and the median of each step, in milliseconds."""
    totals = [sum(one.values()) / 1000 for one in rounds]
    return {"median": quantile(totals, 0.5), "p95": quantile(totals, 0.95),
            "steps": {step: quantile([one[step] / 1000 for one in rounds], 0.5) for step in rounds[0]}}


def print_table(title, results):
    print(f"\n{title}\n{'':<24}{'median ms':>10}{'p95 ms':>10}{'x floor':>9}  steps (median ms)")
    reference = results[REFERENCE]["median"]
    for name, one in results.items():
        steps = ", ".join(f"{step} {value:.2f}" for step, value in one["steps"].items()) if len(one["steps"]) > 1 else ""
        print(f"{name:<24}{one['median']:>10.2f}{one['p95']:>10.2f}{one['median'] / reference:>9.2f}  {steps}".rstrip())


def machine():
    info = pathlib.Path("/proc/meminfo").read_text(encoding="ascii")
    return {"kernel": platform.release(), "processors": os.cpu_count(), "memory_kB": int(re.search(r"MemTotal:\s+(\d+)", info)[1])}


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run", allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=100, metavar="N", help="of each contestant (default 100)")
    parser.add_argument("--only", default="", metavar="PATTERN", help="only those whose name has the pattern, and the floor")
    parser.add_argument("--json", type=argparse.FileType("w"), metavar="FILE", help="all figures, for programs")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds: at least one")
    make_profiles()
    wanted = entries(arguments.only)
    result = {"machine": machine(), "rounds": arguments.rounds}
    print("kernel {kernel}, {processors} processors, {memory_kB} kB of memory".format(**result["machine"]))
    for title, pause in (("sparse", SPARSE), ("loop", 0)):
        rounds = measure(wanted, arguments.rounds, pause)
        result[title] = {name: summary(one) for name, one in rounds.items()}
        print_table(f"{title}: {arguments.rounds} rounds, {int(pause * 1000)} ms apart", result[title])
        sys.stdout.flush()
    if arguments.json:
        json.dump(result, arguments.json, indent=1)


if __name__ == "__main__":
    main()
