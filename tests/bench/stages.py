# SPDX-License-Identifier: BSD-3-Clause
"""Where the time of a login goes: what the helper says of its stages to syslog, where the PAM line has the word debug."""
import re

import boxes
import turns
from lib import host, syslog

SAID = re.compile(r"nsbox (?P<id>\w+): times in us: (?P<times>.+)$")
STAGE = re.compile(r"(?P<stage>[a-z][a-z_]*) (?P<time>\d+)", re.ASCII)


def parse(line):
    """{stage: microseconds} of a line that says so, else None."""
    said = SAID.search(line)
    if said is None:
        return None
    found = {}
    for words in said["times"].split(", "):
        one = STAGE.fullmatch(words)
        if one is None:
            raise SystemExit(f"bench: not stages and numbers: {line}")
        found[one["stage"]] = int(one["time"])
    return found


def one_round(name, contestant):
    """The stages of one login: the account hook may have some to tell, and the session's are those that come last."""
    since = syslog.mark()
    contestant.round()
    try:
        host.wait_until(lambda: syslog.matching(SAID.pattern, since), timeout=1)
    except AssertionError:
        raise SystemExit(f"bench: stages: no times of {name} in syslog: this helper does not tell them") from None
    return parse(syslog.matching(SAID.pattern, since)[-1])


def medians(rounds):
    """{stage: median in milliseconds}, in the order of the stages, of those rounds that have it."""
    stages = dict.fromkeys(stage for one in rounds for stage in one)
    return {stage: turns.quantile([one[stage] / 1000 for one in rounds if stage in one], 0.5) for stage in stages}


def run(arguments):
    wanted, found = boxes.chosen(arguments.only), {}
    with boxes.Arena(wanted, words="debug") as arena:
        print(f"\nstages: {arguments.rounds} rounds (median ms)")
        for box in wanted:
            with turns.Contestant(*arena.arguments(box)) as contestant:
                rounds = [one_round(box.name, contestant) for _ in range(arguments.rounds + 1)][1:]
                opened = turns.quantile([one["open"] / 1000 for one in contestant.rounds[1:]], 0.5)
            found[box.name] = {"open": opened, "stages": medians(rounds)}
            told = ", ".join(f"{stage} {value:.2f}" for stage, value in found[box.name]["stages"].items())
            print(f"{box.name:<32}open {opened:.2f}: {told}", flush=True)
    return found
