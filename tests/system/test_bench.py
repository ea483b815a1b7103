# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark runs, and its figures are those of its rounds. How fast anything is is not tested: other things run beside."""
import json
import os
import pathlib
import subprocess

import pytest

from lib import host

BUILD = os.environ.get("NSBOX_BUILD", "/cache/build-gcc")
BENCH = pathlib.Path(os.environ["NSBOX_SOURCE"], "tests/bench/bench.py")
STEPS = ["make group", "clone3", "enter group", "loopback", "root", "detach", "mounts", "nodes", "proc", "pivot", "exec", "save", "join",
         "leave", "end", "remove group"]


@pytest.fixture(scope="module", autouse=True)
def programs():
    host.run("make", "-s", "-C", BUILD, "bench-programs", check=True, timeout=120)


def test_all_take_part(baseline, conf, tmp_path):
    """Every contestant has its rounds, sparse and in a loop; nothing of any of them is left."""
    place = tmp_path / "figures"
    result = host.run("python3", str(BENCH), "--rounds", "3", "--json", str(place), timeout=100)
    try:
        assert result.rc == 0 and result.err == "", result
        figures = json.loads(place.read_text())
        for way in ("sparse", "loop"):
            of = figures[way]
            assert {"floor", "box: default", "box: curated", "box: keep-id", "box: veth", "unshare(1)", "bwrap --unshare-all"} <= set(of)
            assert list(of["floor"]["steps"]) == STEPS and list(of["box: default"]["steps"]) == ["open", "close"]
            for name, one in of.items():
                assert 0 < one["median"] <= one["p95"] and all(value >= 0 for value in one["steps"].values()), (name, one)
                assert f"\n{name} " in result.out
        assert figures["rounds"] == 3 and figures["machine"]["processors"] >= 1
    finally:
        for path in pathlib.Path("/etc/pam.d").glob("bench*"):
            path.unlink()
        pathlib.Path("/etc/security/nsbox.conf").unlink()
        host.run("nft", "flush", "ruleset")


def test_floor_alone(baseline):
    """Two rounds, each a line of JSON with all steps; a program that cannot be run is a sentence and status 1."""
    done = subprocess.run([f"{BUILD}/bench-contestant", "floor", f"{BUILD}/bench-floor-init", "-"], input="\n\n", capture_output=True,
                          text=True, check=False, timeout=20)
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and [list(one) for one in rounds] == [[step for step in STEPS if step != "remove group"]] * 2
    for arguments, words in ((("floor", "/nowhere", "-"), "floor: /nowhere: "), (("floor",), "usage"), (("command", "false"), "false ended with"),
                             (("command", "/nowhere"), "/nowhere: No such file"), (("session", "su"), "usage"), ((), "usage")):
        done = subprocess.run([f"{BUILD}/bench-contestant", *arguments], input="\n", capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode != 0 and words in done.stderr and done.stdout == "", (arguments, done)


@pytest.mark.parametrize("arguments", (["--rounds", "0"], ["--rounds", "many"], ["--what"]))
def test_wrong_usage(arguments):
    result = host.run("python3", str(BENCH), *arguments)
    assert result.rc == 2 and "usage: tests/bench/run" in result.err
