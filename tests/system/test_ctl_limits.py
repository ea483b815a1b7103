# SPDX-License-Identifier: BSD-3-Clause
# alone: a loop must get more than half a processor
"""nsboxctl top, freeze and thaw, with control groups version 1."""
import json
import os
import pathlib
import re
import signal
import subprocess
import termios
import time

import pytest

from lib import ctl as lib
from lib import host, syslog
from lib.ctl import box, boxes, ctl, running

TREES = pathlib.Path("/sys/fs/cgroup")
LIBEXEC = "/usr/libexec/nsbox"
FREEZER = TREES / "freezer/nsbox"
LIMITS = lib.PROFILE + "pids_max = 30\ncpu_max = 90%\nstop_timeout = 1s\n"
BUSY = "echo ready; while :; do :; done"
FIELDS = ["id", "user", "profile", "cpu_percent", "cpu_limit_percent", "user_cpu_limit_percent", "memory", "memory_limit",
          "user_memory_limit", "processes", "processes_limit", "user_processes_limit", "sent_bytes", "received_bytes", "sends",
          "receives", "rate", "process_hits", "memory_kills"]


@pytest.fixture
def boxed(conf, baseline):
    """Everybody is boxed, and nothing remains."""
    conf.nsbox(LIMITS)
    return conf


@pytest.fixture
def busy(boxed):
    """A box with a loop that never rests: what list says of it."""
    with running(script=BUSY) as process:
        yield box(user="alice")
        process.kill()


def top():
    """{user: row} of `top --json`."""
    result = ctl("top", "--json")
    assert (result.rc, result.err) == (0, ""), result
    rows = json.loads(result.out)
    assert all(list(row) == FIELDS for row in rows)
    return {row["user"]: row for row in rows}


def group(one, tree="pids"):
    return TREES / tree / f"nsbox/{one['id']}"


def cpu(one):
    """Nanoseconds of CPU time that the box has used."""
    return int((group(one, "cpuacct") / "cpuacct.usage").read_text())


def grows(one):
    before = cpu(one)
    time.sleep(0.3)
    return cpu(one) - before > 10_000_000


def change(verb, one):
    result = ctl(verb, one["id"])
    assert result == (0, "", ""), result


def state(one):
    return box(id=one["id"])["state"]


def pids(path):
    return {int(word) for word in (path / "cgroup.procs").read_text().split()}


# -- top --


def test_top_nothing(boxed):
    """A line of headings; no rows."""
    assert ctl("top", "--once") == (0, "ID  USER  PROFILE  CPU  MEMORY  PROCESSES  HITS  SENDS  RECEIVES\n", "")
    assert json.loads(ctl("top", "--json").out) == []


@pytest.fixture
def preferred():
    """This host has the processors before other ones on the machine."""
    shares = TREES / "cpu/cpu.shares"
    before = shares.read_text()
    shares.write_text("262144")
    yield
    shares.write_text(before)


def test_top_numbers(boxed, preferred):
    """A loop takes more than half a processor and no more than its limit; processes are those of the box with PID 1 and
    the application; what this host does not tell is null."""
    with running(script="sleep 77 & sleep 77 & echo ready; exec cat", user="bob"), running(script=BUSY) as loop:
        # what runs beside the tests wants the processors too
        rows = host.wait_until(lambda: (lambda rows: rows["alice"]["cpu_percent"] > 50 and rows)(top()), timeout=30)
        alice, bob = rows["alice"], rows["bob"]
        assert list(rows) == ["alice", "bob"]
        assert alice["cpu_percent"] < 100 and bob["cpu_percent"] < 10
        assert alice["cpu_limit_percent"] == bob["cpu_limit_percent"] == 90
        assert (alice["processes"], bob["processes"], bob["processes_limit"]) == (3, 5, 30)
        assert alice["process_hits"] == 0
        assert alice["memory"] is alice["memory_limit"] is alice["memory_kills"] is None
        assert alice["id"] == box(user="alice")["id"] and alice["profile"] == "all"
        heading, first, second = ctl("top").out.splitlines()
        assert heading.split() == "ID USER PROFILE CPU MEMORY PROCESSES HITS SENDS RECEIVES".split()
        assert re.fullmatch(rf"{alice['id']}  alice  all      \d+\.\d%/90%  -       3/30       0     -      -", first), first
        assert re.fullmatch(rf"{bob['id']}  bob    all      \d\.\d%/90%\s+-       5/30       0     -      -", second), second
        loop.kill()


def test_top_without_limits(boxed):
    """No limit: null, and nothing behind the number."""
    boxed.nsbox(lib.PROFILE + "pids_max = infinity\n")
    with running():
        row = top()["alice"]
        assert row["processes_limit"] is row["cpu_limit_percent"] is None and row["processes"] == 3
        assert re.search(r"all      0\.\d%  -       3          0     -      -\n", ctl("top", "--once").out)


def test_top_user_limits(boxed):
    """The smaller one is shown, with a mark if it is the user's; programs get both."""
    for limits, cells, numbers in (
            ("user_pids_max = 20\nuser_cpu_max = 50%\n", r"/50%\*  -       3/20\*", (90, 50, 30, 20)),
            ("user_pids_max = 31\nuser_cpu_max = 90%\n", r"/90%  -       3/30", (90, 90, 30, 31))):
        boxed.nsbox(LIMITS + limits)
        with running():
            row = top()["alice"]
            assert numbers == (row["cpu_limit_percent"], row["user_cpu_limit_percent"], row["processes_limit"],
                               row["user_processes_limit"])
            assert row["user_memory_limit"] is None
            assert re.search(rf"all      \d+\.\d%{cells} +0     -      -\n", ctl("top", "--once").out)
    boxed.nsbox(lib.PROFILE + "pids_max = infinity\nuser_pids_max = 25\n")
    with running():
        row = top()["alice"]
        assert row["processes_limit"] is None and row["user_processes_limit"] == 25
        assert re.search(r" -       3/25\*      0     -      -\n", ctl("top", "--once").out)


def test_top_hits(boxed):
    """Forks that the limit refused are counted."""
    with running(script="sh -c 'for i in $(seq 40); do sleep 77 & done' 2>&-; echo ready; exec cat") as process:
        assert top()["alice"]["process_hits"] > 0
        process.kill()


@pytest.fixture
def invented(boxed, tmp_path):
    """The group of a box with these limits is the directory `tmp_path`."""
    with lib.invented(tmp_path, "memory_max 50%", "cpu_max 125000"):
        yield tmp_path


@pytest.mark.parametrize("size, words", [(0, "0B"), (1023, "1023B"), (1024, "1.0K"), (12_897_485, "12.3M"),
                                         (1024 ** 2 - 1, "1.0M"), (5 * 1024 ** 3, "5.0G"), (2 ** 63, "8.0E")])
def test_top_sizes(invented, size, words):
    """Bytes for programs, something shorter for people; half of the memory is a number; both kinds of hits are one."""
    for name, text in (("memory.current", size), ("memory.events", "low 0\noom 3\noom_kill 2\n"), ("pids.current", 7),
                       ("pids.events", "max 40\n")):
        (invented / name).write_text(f"{text}\n")
    half = int(re.search(r"MemTotal: +(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) * 512
    row = top()["alice"]
    assert row["memory"] == size and row["memory_limit"] == pytest.approx(half, rel=0.001)
    assert (row["memory_kills"], row["process_hits"], row["processes"]) == (2, 40, 7)
    assert row["cpu_percent"] is None and row["cpu_limit_percent"] == 12.5
    assert re.search(rf"alice  all      -/12\.5%  {words}/[0-9.]+G  +7          42    -      -\n", ctl("top", "--once").out)


def test_top_leaves_out_what_has_no_box(boxed):
    """A session that was let in without a box, and a box that crashed."""
    with running():
        one = box(user="alice")
        for pid in host.find(argument=one["id"]):  # monitor and guard
            os.kill(pid, signal.SIGKILL)
        host.wait_until(lambda: state(one) == "crashed")
        assert top() == {}
    host.wait_until(lambda: ctl("gc").rc == 0)


def modes(child):
    return termios.tcgetattr(child.child_fd)


@pytest.fixture
def screen(boxed):
    """nsboxctl top on a terminal of six lines: (child, modes of the terminal before)."""
    with running():
        child = host.spawn("sh", "-c", "stty -a >/dev/null; read go; nsboxctl top; echo status=$?; read end",
                           dimensions=(6, 70))
        before = modes(child)
        child.sendline("")
        child.expect("ID +USER")
        child.expect("alice")
        yield child, before
        child.close(force=True)


def test_top_is_refreshed(screen):
    """By itself, from the upper left corner on."""
    child, _ = screen
    for _ in range(2):
        child.expect_exact("\x1b[H")
        child.expect(r"alice +all +\d")
    assert not modes(child)[3] & (termios.ICANON | termios.ECHO)


@pytest.mark.parametrize("key", ["q", "\x03"])
def test_top_ends_by_key(screen, key):
    """q or Ctrl-C: status 0, and the terminal is as it was."""
    child, before = screen
    child.send(key)
    if key == "q":
        child.expect("status=0")
    host.wait_until(lambda: modes(child) == before, what="the terminal is as before")
    assert host.find("nsboxctl", "top") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_top_ends_by_signal(screen, number):
    """It dies of it, and the terminal is as it was."""
    child, before = screen
    (pid,) = host.find("nsboxctl", "top")
    os.kill(pid, number)
    child.expect(f"status={128 + number}")
    assert modes(child) == before


def test_top_is_cut_to_the_window(screen, boxed):
    """Six lines hold the headings, three boxes and how many more there are; a larger window all of them; a narrow one is
    not wrapped."""
    child, _ = screen
    more = [running(user=user) for user in ("bob", "carol", "alice", "bob")]
    for context in more:
        context.__enter__()
    try:
        child.expect_exact("2 more\x1b[K\r\n\x1b[J")
        child.setwinsize(20, 30)
        frame = r"\x1b\[H(ID +USER[^H]*?)\x1b\[J"
        child.expect(frame)
        while "more" in child.match[1]:
            child.expect(frame)
        lines = child.match[1].replace("\x1b[K", "").split("\r\n")
        assert len(lines) == 7 and max(map(len, lines)) <= 30 and "carol" in child.match[1], lines
    finally:
        for context in more:
            context.__exit__(None, None, None)


def test_top_stopped_and_continued(boxed):
    """Ctrl-Z gives the shell its terminal; in the foreground again it is drawn anew."""
    child = host.spawn("bash", "--norc", "-i")
    child.sendline("PS1='prompt> '; nsboxctl top")
    child.expect("ID +USER")
    child.send("\x1a")
    child.expect("Stopped")
    child.expect("prompt> ")
    child.sendline("echo it $((40 + 2))")
    child.expect("it 42\r")
    child.sendline("fg")
    child.expect("ID +USER")
    assert not modes(child)[3] & termios.ICANON
    child.send("q")
    child.expect("prompt> ")
    child.sendline("exit")
    child.close()


# -- freeze, thaw --


def test_freeze_and_thaw(busy):
    """The loop stops and goes on; list shows it; the application is stopped too; in the freezer tree nothing remains."""
    since = syslog.mark()
    (app,) = busy["members"]
    assert grows(busy)
    change("freeze", busy)
    assert state(busy) == "frozen" and not grows(busy)
    assert pids(FREEZER / busy["id"]) == pids(group(busy)) and app in pids(FREEZER / busy["id"])
    assert re.search(r"  frozen  ", ctl("list").out)
    assert top()["alice"]["cpu_percent"] == 0
    change("thaw", busy)
    assert state(busy) == "ready" and grows(busy)
    assert not (FREEZER / busy["id"]).exists() and host.cgroup(app, "freezer") == "/"
    for word in ("frozen", "thawed"):
        syslog.wait_for(rf"box {busy['id']} of alice \(nsboxctl, profile all\) {word}", since)


def test_state_is_not_written(busy):
    """Only the holder of the lock writes the entry."""
    before = pathlib.Path(lib.BOXES, busy["id"], "state").stat()
    change("freeze", busy)
    assert pathlib.Path(lib.BOXES, busy["id"], "state").stat().st_ino == before.st_ino
    change("thaw", busy)


def test_twice_and_by_prefix(busy):
    """Frozen twice is frozen, thawed twice is thawed; the beginning of the id is enough."""
    for _ in range(2):
        assert ctl("freeze", busy["id"][:8]) == (0, "", "")
        assert state(busy) == "frozen"
    for _ in range(2):
        assert ctl("thaw", busy["id"][:8]) == (0, "", "")
        assert state(busy) == "ready"


@pytest.mark.parametrize("script", [
    "for i in 1 2 3; do (while :; do (: &); done) & done; echo ready; wait",
    "for i in $(seq 8); do (while :; do (:); done) & done; echo ready; wait",
    "sleep 77 & kill -STOP $!; echo ready; wait",
])
def test_freeze_what_does_not_hold_still(boxed, script):
    """Nobody is missed who is born meanwhile; a stopped process is stopped in both ways."""
    with running(script=script) as process:
        one = box(user="alice")
        for _ in range(host.count(10, 3)):
            change("freeze", one)
            frozen = pids(group(one))
            assert frozen == pids(FREEZER / one["id"]) and not grows(one)
            assert pids(group(one)) == frozen
            change("thaw", one)
        process.kill()


def test_enter_a_frozen_box(busy):
    """Would be stopped at once: refused."""
    change("freeze", busy)
    result = ctl("enter", busy["id"], "--", "true")
    assert result.rc == 1 and f"nsboxctl thaw {busy['id']} first" in result.err
    change("thaw", busy)
    assert ctl("enter", busy["id"], "--", "true").rc == 0


def test_ssh_session(boxed, sshd):
    """A session by ssh goes on after it as if nothing had been."""
    boxed.pam("sshd")
    with sshd.session("alice", "sh -c 'while read word; do echo got $word; done'") as process:
        one = box(service="sshd")
        change("freeze", one)
        process.stdin.write(b"this\n")
        process.stdin.flush()
        change("thaw", one)
        assert process.stdout.readline() == b"got this\n"


def test_no_such_box(boxed):
    """One sentence, status 1."""
    for verb in ("freeze", "thaw"):
        result = ctl(verb, "zzzz")
        assert (result.rc, result.out) == (1, "") and 'there is no box "zzzz"' in result.err
        result = host.run(f"{LIBEXEC}/nsbox-helper", verb, "zzzzzzzzzz")
        assert (result.rc, result.out) == (1, "") and len(result.err.splitlines()) == 1
        assert host.run(f"{LIBEXEC}/nsbox-helper", verb, "../boxes").rc == 2


def test_unboxed_session(boxed):
    """Let in without a box: nothing to freeze."""
    boxed.nsbox(LIMITS + "on_error = allow\nroot = /srv/not-there\n")
    boxed.pam("su")
    session = subprocess.Popen(["su", "alice", "-c", "echo in; exec cat"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    assert session.stdout.readline() == b"in\n"
    one = host.wait_until(lambda: boxes())[0]
    result = ctl("freeze", one["id"])
    assert result.rc == 1 and "is unboxed: only one that is ready can be frozen" in result.err, result
    session.communicate(timeout=10)


def test_without_a_freezer_tree(busy):
    """One sentence that says what to do; what it says helps."""
    host.run("umount", "/sys/fs/cgroup/freezer", check=True)
    try:
        result = ctl("freeze", busy["id"])
        assert (result.rc, result.out) == (1, "") and len(result.err.splitlines()) == 1
        assert "version 1 without a freezer tree" in result.err and state(busy) == "ready"
        assert ctl("thaw", busy["id"]) == (0, "", "")
        words = re.search(r"\((mount .*)\)", result.err)[1].split()
    finally:
        host.run("mount", "-t", "cgroup", "-o", "nosuid,nodev,noexec,freezer", "cgroup", "/sys/fs/cgroup/freezer",
                 check=True)
    assert words == "mount -t cgroup -o freezer cgroup /sys/fs/cgroup/freezer".split()
    change("freeze", busy)
    change("thaw", busy)


# -- the end of a frozen box; the fixture `baseline` sees what is left --


def holders(one, *names):
    """Pids of monitor, guard, init, app."""
    found = {"init": one["init_pid"], "app": one["members"][0]}
    (found["guard"],) = host.find(argument=f"guard {one['id']}")
    (found["monitor"],) = [pid for pid in host.find(argument=f"nsbox-monitor {one['id']}") if pid != found["guard"]]
    return [found[name] for name in names]


def gone():
    return host.wait_until(lambda: not boxes() and not [path for path in FREEZER.iterdir() if path.is_dir()])


@pytest.mark.parametrize("names, number", [
    (("monitor",), signal.SIGTERM), (("monitor",), signal.SIGKILL), (("guard", "monitor"), signal.SIGTERM),
    (("app", "monitor"), signal.SIGKILL), (("app", "init", "monitor"), signal.SIGKILL),
], ids=str)
def test_end_while_frozen(busy, names, number):
    """Whoever ends the box thaws it first: a shutdown, the guard after a crash."""
    change("freeze", busy)
    for pid in holders(busy, *names):
        os.kill(pid, number)
    gone()


@pytest.mark.parametrize("names", [("app",), ("init",), ("app", "init")], ids=str)
def test_killed_while_frozen(busy, names):
    """A frozen process of version 1 does not die before it is thawed: the session ends then, and not before."""
    change("freeze", busy)
    for pid in holders(busy, *names):
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.3)
    assert state(busy) == "frozen" and all(host.alive(pid) for pid in holders(busy, *names))
    change("thaw", busy)
    gone()


def test_gc_of_a_frozen_box(busy):
    """Nobody is left who would clean: gc does, and thaws."""
    change("freeze", busy)
    for pid in holders(busy, "monitor", "guard"):
        os.kill(pid, signal.SIGKILL)
    host.wait_until(lambda: state(busy) == "crashed")
    result = ctl("freeze", busy["id"])
    assert ctl("gc").out == "1 box cleaned\n", result
    gone()


def test_runtime_max_of_a_frozen_box(boxed):
    """The session's time goes on."""
    boxed.nsbox(LIMITS + "runtime_max = 2s\n")
    with running(script=BUSY):
        one = box(user="alice")
        change("freeze", one)
        host.wait_until(lambda: not boxes(), timeout=8)
    gone()


def test_hung_up_while_frozen(boxed):
    """The end of the application's input is seen after thawing."""
    with running() as process:
        one = box(user="alice")
        change("freeze", one)
        process.stdin.close()
        time.sleep(0.2)
        assert state(one) == "frozen"
        change("thaw", one)
        assert process.wait(5) == 0
    gone()


def test_half_frozen(busy):
    """Whoever froze it was killed before a process was moved: ending and thawing clean up all the same."""
    FREEZER.mkdir(exist_ok=True)
    (FREEZER / busy["id"]).mkdir()
    (FREEZER / busy["id"] / "freezer.state").write_text("FROZEN")
    (FREEZER / busy["id"] / "cgroup.procs").write_text(str(busy["init_pid"]))
    assert state(busy) == "frozen"
    change("thaw", busy)
    (FREEZER / busy["id"]).mkdir()
    (FREEZER / busy["id"] / "freezer.state").write_text("FROZEN")
    os.kill(holders(busy, "monitor")[0], signal.SIGTERM)
    gone()


def test_frozen_while_it_ends(boxed):
    """Whoever froze it did so after the end had begun, and was killed before he saw it: it is thawed again."""
    boxed.nsbox(LIMITS.replace("stop_timeout = 1s", "stop_timeout = 3s"))
    with running(script="trap '' HUP TERM; echo ready; while :; do sleep 1; done") as process:
        one = box(user="alice")
        os.kill(holders(one, "monitor")[0], signal.SIGTERM)
        host.wait_until(lambda: state(one) == "ending", what="it ends")
        FREEZER.mkdir(exist_ok=True)
        (FREEZER / one["id"]).mkdir()
        (FREEZER / one["id"] / "freezer.state").write_text("FROZEN")
        for pid in pids(group(one)):
            (FREEZER / one["id"] / "cgroup.procs").write_text(str(pid))
        try:
            host.wait_until(lambda: state(one) == "dying", timeout=10, what="it cannot die")
            process.wait(20)
        finally:
            if (FREEZER / one["id"]).exists():  # else not even the end of this host would end it
                (FREEZER / one["id"] / "freezer.state").write_text("THAWED")
    gone()


def test_gc_of_a_group_without_a_box(boxed):
    """Whoever froze it was killed when the box ended."""
    with running():
        pass
    FREEZER.mkdir(exist_ok=True)
    (FREEZER / "aaaaaaaaaa").mkdir()
    (FREEZER / "aaaaaaaaaa" / "freezer.state").write_text("FROZEN")
    sleeper = subprocess.Popen(["sleep", "77"])
    (FREEZER / "aaaaaaaaaa" / "cgroup.procs").write_text(str(sleeper.pid))
    (FREEZER / "another").mkdir()
    assert ctl("gc").out == "1 box cleaned\n"
    assert [path.name for path in FREEZER.iterdir() if path.is_dir()] == ["another"]
    assert host.cgroup(sleeper.pid, "freezer") == "/"
    (FREEZER / "another").rmdir()
    sleeper.kill()
    assert sleeper.wait() == -signal.SIGKILL


def test_freeze_at_the_moment_of_the_end(boxed):
    """Frozen or ended, whichever is first: nothing stays."""
    for i in range(host.count(100, 15)):
        with running(script=BUSY) as process:
            one = box(user="alice")
            (monitor,) = holders(one, "monitor")
            freezing = [subprocess.Popen(["nsboxctl", verb, one["id"]], stderr=subprocess.DEVNULL)
                        for verb in ("freeze", "thaw", "freeze")]
            time.sleep(0.004 * (i % 8))
            os.kill(monitor, signal.SIGTERM)
            for each in freezing:
                each.wait(20)
            process.wait(10)
        gone()
