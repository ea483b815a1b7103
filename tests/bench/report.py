# SPDX-License-Identifier: BSD-3-Clause
"""The tables of BENCHMARKS.md, of the figures that `tests/bench/run --json` has written: report.py FILE >>BENCHMARKS.md. Ratios, because
a millisecond of one machine is none of another."""
import json
import sys

import turns

COLUMNS = ("sparse", "loop")


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def ratio(value):
    return f"{value:.2f}"


def of_floor(tables):
    """Rows of {way: {name: summary}}: the ratio, and what the 95th percentile is of the reference's median."""
    reference = {way: next(iter(found.values()))["median"] for way, found in tables.items()}
    return [[name, *(ratio(value) for way in COLUMNS for value in (tables[way][name]["ratio"], tables[way][name]["p95"] / reference[way]))]
            for name in next(iter(tables.values()))]


def compared(title, tables):
    first = next(iter(next(iter(tables.values()))))
    head = [f"x {first}", *(f"{way}{what}" for way in COLUMNS for what in ("", ", 95 %"))]
    return f"### {title}\n\n{table(head, of_floor(tables))}"


def stages(found):
    """What each stage is of the whole, in percent; `rest` is the application's own part, and the processes' start."""
    names = list(dict.fromkeys(stage for one in found.values() for stage in one["stages"]))
    rows = []
    for name, one in found.items():
        shares = {stage: 100 * one["stages"].get(stage, 0) / one["open"] for stage in names}
        rows.append([name, *(f"{shares[stage]:.0f}" if stage in one["stages"] else "" for stage in names), f"{100 - sum(shares.values()):.0f}"])
    return "### Stages: percent of the opening\n\n" + table(["", *(name.replace("_", " ") for name in names), "rest"], rows)


def ssh(found):
    text = compared("`ssh host true`", {way: found[way] for way in COLUMNS})
    rows = [[number, ratio(one["ratio"])] for number, one in found["logins per second"].items()]
    return f"{text}\n### Logins per second by ssh, boxed of unboxed\n\n{table(['at a time', 'ratio'], rows)}"


def parallel(found):
    first, box = list(next(iter(found.values())))
    rows = [[number, ratio(one[box]["ratio"]), ratio(one[first]["median"] / found["1"][first]["median"]),
             ratio(one[box]["median"] / found["1"][box]["median"])] for number, one in found.items()]
    return f"### Many at the same moment\n\n{table(['at a time', f'{box} x {first}', f'{first} x one', f'{box} x one'], rows)}"


def growth(found):
    levels, end = found["levels"], found["teardown"]
    first, box = list(next(iter(levels.values()))["rounds"])
    rows = [[number, ratio(one["rounds"][box]["ratio"]), ratio(one["growth"][first]), ratio(one["growth"][box])]
            for number, one in levels.items()]
    text = f"### Beside boxes that live\n\n{table(['boxes', f'{box} x {first}', f'{first} x beside none', f'{box} x beside none'], rows)}"
    rows = [[number, *(f"{one['memory']['pss'][name]:.0f}" for name in ("nsbox-init", "nsbox-monitor")),
             f"{sum(one['memory']['pss'][name] for name in ('nsbox-init', 'nsbox-monitor')):.0f}", f"{one['memory']['kernel']['slab']:.0f}"]
            for number, one in levels.items() if "memory" in one]
    text += "\n### Memory of each, kB\n\n" + table(["boxes", "PSS of nsbox-init", "PSS of nsbox-monitor", "both", "slab of the kernel"], rows)
    alone = next(iter(levels.values()))["rounds"][box]["median"]
    text += f"\nAll {end['boxes']} end at once: gone within {end['seconds']:.1f} s. "
    if end["logins"]:
        text += (f"A login meanwhile (account, open and close) takes {end['median'] / alone:.0f} times what a box takes beside none, at most "
                 f"{end['max'] / alone:.0f} times; ")
    return f"{text}{end['refused']} of {end['logins'] + end['refused']} logins were refused, because they were not ready in time.\n"


def machine(figures):
    of = figures["machine"]
    return (f"{of['processors']} processors, {of['memory_kB'] // 1024} MB of memory, Linux {'.'.join(of['kernel'].split('.')[:2])}; {figures['rounds']} rounds; load before: "
            f"{of['load']:.2f}. The floor took {figures['boxes']['sparse'][turns.FLOOR]['median']:.1f} ms sparse and "
            f"{figures['boxes']['loop'][turns.FLOOR]['median']:.1f} ms in a loop.\n")


PARTS = {
    "boxes": lambda found: compared("Kinds of boxes", found),
    "stages": stages,
    "peers": lambda found: compared("Others, on the same root", {way: found[way] for way in COLUMNS}),
    "ssh": ssh,
    "parallel": parallel,
    "growth": growth,
}


def main():
    with open(sys.argv[1], encoding="ascii") as file:
        figures = json.load(file)
    print(machine(figures))
    for name, part in PARTS.items():
        if name in figures:
            print(part(figures[name]))


if __name__ == "__main__":
    main()
