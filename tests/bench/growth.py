# SPDX-License-Identifier: BSD-3-Clause
"""How the price of one more box, and of each that lives, grows with how many live; and what becomes of logins while all of them end."""
import pathlib
import re
import threading
import time

import boxes
import turns
from lib import host

REGISTRY = pathlib.Path("/run/nsbox/boxes")
PROCESSES = {"nsbox-init": "nsbox-init", "nsbox-monitor": "nsbox-monitor", "application": "bench-contestan"}  # name: what comm says
MEMORY = ("MemAvailable", "Slab", "SUnreclaim", "KernelStack", "PageTables", "Percpu")  # of /proc/meminfo: the whole machine's
SETTLE = 1  # s: what the kernel frees or counts late
MEANWHILE = 4  # who log in again and again while all boxes end


def live():
    return {path.name for path in REGISTRY.iterdir()} if REGISTRY.exists() else set()


def meminfo():
    """{name: kB}"""
    text = pathlib.Path("/proc/meminfo").read_text(encoding="ascii")
    return {name: int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1]) for name in MEMORY}


def _pss(comm):
    """kB of all processes that are called so."""
    rollups = [host.read(f"/proc/{pid}/smaps_rollup", "") for pid in host.find(comm)]
    return sum(int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) for text in rollups if "Pss:" in text)


def memory(before, number):
    """kB of each box: of its processes, and of the application that is in it; what the machine has less than `before`, and the kernel
    more; and what of the former is no process's."""
    now = meminfo()
    pss = {name: _pss(comm) / number for name, comm in PROCESSES.items()}
    changed = {name: (before[name] - now[name] if name == "MemAvailable" else now[name] - before[name]) / number for name in MEMORY}
    return {"pss": pss, "meminfo": changed, "kernel": {"available without pss": changed["MemAvailable"] - sum(pss.values()),
                                                       "slab": changed["Slab"]}}


def _level(arena, holder, number, before, arguments):
    """So many boxes live: {"opened", "floor", "box", "memory"}."""
    start = time.monotonic()
    for _ in range(number - len(live())):
        holder.round()
    opened = time.monotonic() - start
    time.sleep(SETTLE)
    if len(live()) != number:
        raise SystemExit(f"bench: growth: {len(live())} boxes live instead of {number}")
    found = {"memory": memory(before, number)} if number else {}
    wanted = {turns.FLOOR: turns.floor(), boxes.DEFAULT.name: arena.arguments(boxes.DEFAULT)}
    found["rounds"] = turns.measure(f"{number} boxes live", wanted, arguments.rounds, turns.SPARSE)
    host.wait_until(lambda: len(live()) == number, what="the rounds' boxes have ended")
    if number:
        print(f"the last of them opened within {opened:.1f} s")
    for kind, values in found.get("memory", {}).items():
        print(f"kB of each box, {kind}: " + ", ".join(f"{name} {value:.1f}" for name, value in values.items()))
    return found


def compare(levels):
    """Adds to each level how much its medians are of those of the first."""
    first = next(iter(levels.values()))["rounds"]
    for level in levels.values():
        level["growth"] = {name: one["median"] / first[name]["median"] for name, one in level["rounds"].items()}


def _teardown(arena, holder):
    """All at once: how long until none of them is there, and the logins meanwhile."""
    held = live()
    empty, start = [], time.monotonic()

    def watch():
        while held & live():
            time.sleep(0.01)
        empty.append(time.monotonic())
    holder.hang_up()
    watcher = threading.Thread(target=watch)
    watcher.start()
    took, refused = [], 0
    while not empty:
        logins = [turns.Contestant(*arena.arguments(boxes.DEFAULT)) for _ in range(MEANWHILE)]
        for login in logins:
            login.begin()
        for login in logins:
            try:
                login.finish()
            except SystemExit:
                refused += 1
            took += [sum(one.values()) / 1000 for one in login.rounds]  # with the account hook: what somebody waits for
            login.end()
    watcher.join()
    holder.end()
    found = {"boxes": len(held), "seconds": empty[0] - start, "logins": len(took), "refused": refused,
             "median": turns.quantile(took, 0.5) if took else None, "max": max(took, default=None)}
    print(f"\nall {len(held)} end at once: gone within {found['seconds']:.2f} s; logins meanwhile (account, open and close): {len(took)}, " +
          (f"median {found['median']:.2f} ms, at most {found['max']:.2f} ms, " if took else "") + f"refused {refused}", flush=True)
    return found


def run(arguments):
    numbers = sorted({0, *arguments.boxes})
    with boxes.Arena([boxes.DEFAULT]) as arena:
        holder, before = arena.hold(*arena.arguments(boxes.DEFAULT)[1:3], number=0), meminfo()
        levels = {str(number): _level(arena, holder, number, before, arguments) for number in numbers}
        compare(levels)
        for number, level in levels.items():
            print(f"{number:>5} boxes, beside none: " + ", ".join(f"{name} x {value:.2f}" for name, value in level["growth"].items()))
        return {"levels": levels, "teardown": _teardown(arena, holder)}
