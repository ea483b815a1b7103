# SPDX-License-Identifier: BSD-3-Clause
# alone: it measures, and gives up where a processor is busy for long
"""The benchmark runs, and its figures are those of its rounds. How fast anything is is not tested: other things run beside."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

from lib import ctl, host

BUILD = os.environ.get("NSBOX_BUILD", "/cache/build-gcc")
BENCH = pathlib.Path(os.environ["NSBOX_SOURCE"], "tests/bench/bench.py")
STEPS = ["make group", "clone3", "enter group", "loopback", "root", "detach", "mounts", "nodes", "proc", "pivot", "exec", "save", "join",
         "leave", "end", "remove group"]

sys.path.insert(0, str(BENCH.parent))

import boxes  # noqa: E402  pylint: disable=wrong-import-position
import chart  # noqa: E402  pylint: disable=wrong-import-position
import logins  # noqa: E402  pylint: disable=wrong-import-position
import peers  # noqa: E402  pylint: disable=wrong-import-position
import report  # noqa: E402  pylint: disable=wrong-import-position
import stages  # noqa: E402  pylint: disable=wrong-import-position
import turns  # noqa: E402  pylint: disable=wrong-import-position


@pytest.fixture(scope="module", autouse=True)
def programs():
    host.run("make", "-s", "-C", BUILD, "bench-programs", check=True, timeout=120)


@pytest.fixture
def bench(baseline, tmp_path):
    """bench(ARGUMENT, ...): (all figures, what it prints), and nothing else remains."""
    def run(*arguments, rc=0):
        place = tmp_path / "figures"
        result = host.run("python3", "-B", str(BENCH), *arguments, "--json", str(place), timeout=100)
        assert result.rc == rc and (result.err == "") == (rc == 0), result
        return json.loads(place.read_text()), result
    return run


def check(table, out, first=turns.FLOOR):
    """One table of contestants: numbers that go together, and all of them are printed."""
    assert next(iter(table)) == first
    for name, one in table.items():
        assert 0 < one["median"] <= one["p95"] and all(value >= 0 for value in one["steps"].values()), (name, one)
        assert one["ratio"] == pytest.approx(one["median"] / table[first]["median"]), name
        assert f"\n{name} " in out


def test_boxes(bench):
    """Every kind of box has its rounds, sparse and in a loop; the account hook is shown where it was called."""
    figures, result = bench("--part", "boxes", "--rounds", "2")
    assert set(figures) == {"machine", "rounds", "boxes"} and figures["rounds"] == 2 and figures["machine"]["processors"] >= 1
    assert figures["machine"]["load"] >= 0 and ", load " in result.out
    for way in ("sparse", "loop"):
        of = figures["boxes"][way]
        assert list(of) == ["floor", boxes.ADOPTED, *(box.name for box in boxes.BOXES)]
        check(of, result.out)
        assert list(of["floor"]["steps"]) == STEPS and list(of["box: default"]["steps"]) == ["account", "open", "close"]
        assert list(of["box: default, no account hook"]["steps"]) == ["open", "close"]
        assert list(of[boxes.ADOPTED]["steps"]) == ["ask", "save", "enter group", "join", "keyring", "bounding set", "filter"]


def test_report():
    """The tables of BENCHMARKS.md: a row for each contestant, ratios to the first."""
    tables = {way: {"floor": {"median": 2, "p95": 3, "ratio": 1}, "box": {"median": 5, "p95": 8, "ratio": 2.5}} for way in ("sparse", "loop")}
    rows = report.compared("Boxes", tables).splitlines()
    assert rows[2:] == ["| x floor | sparse | sparse, 95 % | loop | loop, 95 % |", "| --- | ---: | ---: | ---: | ---: |",
                        "| floor | 1.00 | 1.50 | 1.00 | 1.50 |", "| box | 2.50 | 4.00 | 2.50 | 4.00 |"]
    assert "| box | 25 | 50 | 25 |" in report.stages({"box": {"open": 4, "stages": {"host": 1, "build": 2}}})


def test_only(bench):
    figures, _ = bench("--part", "boxes", "--rounds", "1", "--only", "network=(host|loop)")
    assert [list(of) for of in figures["boxes"].values()] == [["floor", "box: network=host"]] * 2


def test_peers(bench):
    """Whoever is installed takes part; whoever is not is named."""
    figures, result = bench("--part", "peers", "--rounds", "2")
    of = figures["peers"]
    for way in ("sparse", "loop"):
        assert {"box: default", "no box: true(1)", "unshare(1)", "bwrap --unshare-all", "pam_namespace"} <= set(of[way])
        check(of[way], result.out)
        absent = {why.split(":")[0] for why in of["missing"]}
        assert {*peers.COMMANDS, *peers.MODULES} == (set(of[way]) | absent) - {"floor", "box: default", "no box: true(1)"}
        assert not absent & set(of[way])
    assert all(f"\n  {why}\n" in result.out for why in of["missing"])


def test_peer_that_isolates_nothing():
    """It would be the fastest of all."""
    links = [f"/proc/self/ns/{kind}" for kind in peers.KINDS]
    assert "does not work here" in peers.isolates("env", ["env", "readlink", *links])
    assert "does not work here: unshare: " in peers.isolates("unshare", ["unshare", "--nothing", "readlink", *links])
    assert "does not work here" in peers.isolates("half", ["unshare", "--mount", "readlink", *links])
    assert peers.isolates("both", ["unshare", "--mount", "--net", "readlink", *links]) is None


def test_ssh(bench):
    """Both servers let in, one of them into boxes; logins per second of both, and what one has of the other's."""
    figures, result = bench("--part", "ssh", "--rounds", "2")
    of = figures["ssh"]
    for way in ("sparse", "loop"):
        assert list(of[way]) == ["unboxed", "boxed"]
        check(of[way], result.out, first="unboxed")
    assert list(of["logins per second"]) == ["1", "4", "16"] and of["cipher"] and of["key exchange"]
    for one in of["logins per second"].values():
        assert 0 < one["unboxed"] < 10000 and one["ratio"] == pytest.approx(one["boxed"] / one["unboxed"])
    assert [logins.stack(boxed).count("pam_nsbox.so") for boxed in (True, False)] == [3, 0]


def test_parallel(bench):
    figures, result = bench("--part", "parallel", "--rounds", "1")
    assert list(figures["parallel"]) == ["1", "4", "16"]
    for table in figures["parallel"].values():
        assert list(table) == ["floor", "box: default"]
        check(table, result.out)


def test_growth(bench):
    """Boxes that live while others are made, what they take, and the end of all at once."""
    figures, result = bench("--part", "growth", "--rounds", "2", "--boxes", "0,3")
    levels, teardown = figures["growth"]["levels"], figures["growth"]["teardown"]
    assert list(levels) == ["0", "3"] and "memory" not in levels["0"]
    for level in levels.values():
        check(level["rounds"], result.out)
        for name, one in level["rounds"].items():
            assert level["growth"][name] == pytest.approx(one["median"] / levels["0"]["rounds"][name]["median"])
    memory = levels["3"]["memory"]
    assert all(0 < kB < 5000 for kB in memory["pss"].values()) and set(memory["pss"]) == {"nsbox-init", "nsbox-monitor", "application"}
    assert {"MemAvailable", "Slab"} <= set(memory["meminfo"]) and memory["kernel"]["slab"] == memory["meminfo"]["Slab"]
    assert memory["kernel"]["available without pss"] == pytest.approx(memory["meminfo"]["MemAvailable"] - sum(memory["pss"].values()))
    assert teardown["boxes"] == 3 and 0 < teardown["seconds"] < 30 and teardown["logins"] >= 1
    assert 0 < teardown["median"] <= teardown["max"] < 30000 and teardown["refused"] == 0


# -- stages --

LINE = "authpriv.debug nsbox-helper[7] nsbox abcdefghij: times in us: lock_down 110, request 250, configure 90"


def test_stages_are_read():
    assert stages.parse(LINE) == {"lock_down": 110, "request": 250, "configure": 90}
    assert stages.parse("authpriv.notice sshd[7] nsbox abcdefghij: session of alice opened") is None
    for words in ("lock_down", "lock_down x", "110", "a 1,b 2", "a -1"):
        with pytest.raises(SystemExit, match="not stages and numbers"):
            stages.parse(f"nsbox abcdefghij: times in us: {words}")
    assert stages.medians([{"a": 1000, "b": 5000}, {"a": 3000}, {"a": 2000, "b": 7000}]) == {"a": 2.0, "b": 7.0}


def test_stages_of_a_round():
    """The session's, which come after those of the account hook; a round of which nothing is told."""
    class Told:
        lines = ()

        def round(self):
            for line in self.lines:
                host.run("logger", "-p", "authpriv.debug", "-t", "nsbox-helper", f"nsbox abcdefghij: times in us: {line}", check=True)

    told = Told()
    with pytest.raises(SystemExit, match="no times of box: x in syslog"):
        stages.one_round("box: x", told)
    told.lines = ("request 1", "request 3, join 4")
    assert stages.one_round("box: x", told) == {"request": 3, "join": 4}


def test_stages(bench):
    """Of each box all stages; of a join those that a login has by itself."""
    figures, _ = bench("--part", "stages", "--rounds", "2", "--only", "default|join$")
    assert list(figures["stages"]) == ["box: default", "box: default, no account hook", "box: share=user, a join"]
    for name, one in figures["stages"].items():
        assert one["open"] > 0 and all(value >= 0 for value in one["stages"].values())
        assert {"lock_down", "request", "configure", "plan", "check", "host", "answer", "publish"} <= set(one["stages"]), name
        assert ("exec" in one["stages"]) == ("join" not in name)
        assert sum(one["stages"].values()) < 2 * one["open"]


# -- chart --

RESULT = {"boxes": {"sparse": {"floor": {"ratio": 1}, "box: default": {"ratio": 1.5}}},
          "peers": {"sparse": {"box: default": {"ratio": 9}, "crun": {"ratio": 6.25}}}}


def test_chart(tmp_path, monkeypatch):
    """The boxes' own figures and the others', the shortest first, as gnuplot is told; what it writes is the file."""
    place = tmp_path / "chart.svg"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="gnuplot is not installed"):
        chart.check(["boxes", "ssh"])
    with pytest.raises(SystemExit, match="it shows boxes and peers"):
        chart.check(["ssh"])
    program = tmp_path / "gnuplot"
    program.write_text("#!/bin/bash\n/bin/cat\n")
    program.chmod(0o755)
    chart.check(["peers"])
    chart.draw(place, RESULT)
    assert '\n"floor" 1.000\n"box: default" 1.500\n"crun" 6.250\nend\n' in place.read_text()
    program.write_text("#!/bin/bash\necho 'line 1: no' >&2; exit 1\n")
    with pytest.raises(SystemExit, match="gnuplot: line 1: no"):
        chart.draw(place, RESULT)


# -- contestants --


def contestant(*arguments, lines=1):
    return subprocess.run([turns.CONTESTANT, *arguments], input="\n" * lines, capture_output=True, text=True, check=False, timeout=20)


def test_floor_alone(baseline):
    """Two rounds, each a line of JSON with all steps; a program that cannot be run is a sentence and status 1."""
    done = contestant("floor", f"{BUILD}/bench-floor-init", "-", lines=2)
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and [list(one) for one in rounds] == [[step for step in STEPS if step != "remove group"]] * 2
    for arguments, words in ((("floor", "/nowhere", "-"), "floor: /nowhere: "), (("floor",), "usage"), (("command", "false"), "false ended with"),
                             (("command", "/nowhere"), "/nowhere: No such file"), (("session", "su"), "usage"), (("hold", "su"), "usage"),
                             (("session", "su", "alice", "acct"), "usage"), (("crowd", "0", "2", "true"), "usage"),
                             (("crowd", "2", "2"), "usage"), (("crowd", "2", "3", "false"), "false ended with"), (("sessions",), "usage"),
                             ((), "usage")):
        done = contestant(*arguments)
        assert done.returncode != 0 and words in done.stderr and done.stdout == "", (arguments, done)


def test_crowd(baseline, tmp_path):
    """So many runs, never more than that at a time."""
    script = f"n=$(ls {tmp_path} | wc -l); [ $n -lt 3 ] && touch {tmp_path}/$$ && sleep 0.1 && rm {tmp_path}/$$ && echo >>{tmp_path}.runs"
    done = contestant("crowd", "3", "7", "sh", "-c", script)
    assert done.returncode == 0 and list(json.loads(done.stdout)) == ["all"] and json.loads(done.stdout)["all"] > 300000, done
    assert pathlib.Path(f"{tmp_path}.runs").read_text() == "\n" * 7


def test_session_without_a_box(conf, baseline):
    """It would be the fastest of all."""
    conf.pam("bench-none", text="account required pam_permit.so\nsession required pam_permit.so\n")
    for words in ((), ("account",)):
        done = contestant("session", "bench-none", "alice", *words)
        assert done.returncode == 1 and "in no namespace of its own" in done.stderr and done.stdout == "", done


def test_hold(baseline):
    """A box for each round, until the input ends."""
    with boxes.Arena([boxes.DEFAULT]) as arena:
        holder = arena.hold(*arena.arguments(boxes.DEFAULT)[1:3], 3)
        assert [list(one) for one in holder.rounds] == [["all"]] * 3 and len(ctl.boxes()) == 3
        holder.end()
        host.wait_until(lambda: ctl.boxes() == [], what="all have ended")


def test_summary():
    """The account hook is shown and not counted."""
    rounds = [{"account": 9000, "open": 1000 * number, "close": 1000} for number in range(1, 11)]
    found = turns.summary(rounds, {"median": 14})
    assert found == {"median": 7, "p95": 11, "steps": {"account": 9, "open": 6, "close": 1}, "ratio": 0.5}
    assert turns.summary(rounds)["ratio"] == 1


@pytest.mark.parametrize("arguments", (["--rounds", "0"], ["--rounds", "many"], ["--what"], ["--part", "all"], ["--boxes", "3,-1"],
                                       ["--boxes", "few"], ["--only", "("]))
def test_wrong_usage(arguments):
    result = host.run("python3", "-B", str(BENCH), *arguments)
    assert result.rc == 2 and "usage: tests/bench/run" in result.err
