# SPDX-License-Identifier: BSD-3-Clause
"""share = user: how a shared box begins, which one a login joins, and how it ends: races, deaths, linger, changes of the
configuration, limits of the number."""
import concurrent.futures
import contextlib
import os
import pathlib
import random
import re
import signal
import time

import pytest

from attacks import as_user, start, stop, tool
from lib import host, syslog
from lib.ctl import BOXES, boxes, ctl
from lib.refusal import SUDOERS, refused, refused_by_sudo
from lib.share import (MEMBERS_MAX, PROFILE, WAIT, Control, descriptors, guard_of, inside, many, member_files, monitor_of,
                       records, ssh, stopped, su, the_box, timed_su, wait_gone, wait_members, end_what_failed)

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

STOP = 1  # seconds
LIFE = f"{PROFILE}stop_timeout = {STOP}s\n"


@pytest.fixture
def shared(conf, baseline, request):
    conf.pam_all()
    conf.remove("/root/.bashrc")
    conf.nsbox(LIFE)
    yield conf
    end_what_failed(request)


def connections(box):
    """How many sockets have the name of the box's control socket: the listener and connections to it."""
    return sum(line.endswith(f"{BOXES}/{box}/control") for line in host.read("/proc/net/unix").splitlines())


@contextlib.contextmanager
def asking(box, make=su):
    """A login that waits for an answer of the monitor when the block begins; closed at its end."""
    before = connections(box["id"])
    session = make()
    try:
        host.wait_until(lambda: connections(box["id"]) == before + 1, what="its helper has connected")
        yield session
    finally:
        session.close()


# -- logins at the same moment --


def test_first_logins_at_once(shared, sshd):
    """Logins from nothing at the same moment make one box, always."""
    for number in range(host.count(200, 20)):
        kinds = [su, su, su, su, su] if number % 4 else [su, lambda: ssh(sshd), su, lambda: ssh(sshd), su]
        makers = iter(kinds)
        with many(lambda: next(makers)(), 5) as sessions:
            ids = {session.box for session in sessions}
            assert len(ids) == 1 and {entry.name for entry in pathlib.Path(BOXES).iterdir()} == ids, number
            box = wait_members(5)
            assert int(sessions[0].ask("pgrep -c -u alice -x bash")) >= 5 and box["state"] == "ready"
        host.wait_until(lambda: not os.listdir(BOXES))


def test_two_users_at_once(shared):
    """They do not wait for each other, nor take each other's box."""
    for _ in range(host.count(50, 5)):
        users = iter(["alice", "bob"] * 3)
        with many(lambda: su(next(users)), 6) as sessions:
            assert len({session.box for session in sessions}) == 2
            assert {box["user"]: len(box["members"]) for box in boxes()} == {"alice": 3, "bob": 3}
            assert sessions[0].box == sessions[2].box == sessions[4].box
        wait_gone()


def test_login_races_with_the_last_logout(shared, sshd):
    """A login that comes while the box ends is let in, into it or into a new one, and does not wait for it to end."""
    numbers = random.Random(3)
    joined = 0
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for _ in range(host.count(300, 40)):
            one = su()
            box, delay = one.box, numbers.uniform(0, 0.02)
            later = [pool.submit(timed_su) for _ in range(numbers.choice((1, 1, 3)))]
            time.sleep(delay)
            assert one.close() == 0
            found = [login.result()[0] for login in later]
            joined += found.count(box)
            if numbers.random() < 0.3:
                host.wait_until(lambda: not os.listdir(BOXES), what="nothing is left of it")
    wait_gone()
    assert joined > 0, "no login came in time: the race was none"


def test_many_come_and_go(shared, sshd):
    """Five users of one box who log in and out without pause, by ssh and su: nobody is refused, nobody waits."""
    seconds = 4 * host.count(8, 1)

    def come_and_go(number):
        end, slowest, logins = time.monotonic() + seconds, 0, 0
        while time.monotonic() < end or logins < 6:  # a slow machine takes its time
            start = time.monotonic()
            if number < 2:
                assert sshd.ssh("alice", "cat /proc/1/comm").out == "nsbox-init\n"
                slowest = max(slowest, time.monotonic() - start)
            else:
                slowest = max(slowest, timed_su()[1])
            logins += 1
        return slowest
    start = syslog.mark()
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        results = list(pool.map(come_and_go, range(5)))
    assert max(results) < WAIT * host.PATIENCE, results
    wait_gone()
    assert records() == []
    assert not syslog.matching(r"login of \w+ refused|taken back|could not be cleaned|not closed", start)


@pytest.mark.parametrize("linger", ["no", "1h"])
@pytest.mark.parametrize("kind", ["su", "ssh"])
def test_last_logout_and_login_in_one_moment(shared, sshd, kind, linger):
    """The monitor hears of the last logout and of the next login at once: the box lives on for that, and what the other has
    left on the host is gone."""
    shared.nsbox(f"{LIFE}linger = {linger}\n")
    make = su if kind == "su" else lambda: ssh(sshd)
    one = make()
    assert one.box == the_box()["id"]
    box, monitor = the_box(), monitor_of(the_box())
    with contextlib.ExitStack() as stack:
        with stopped(monitor):
            assert one.close() == 0
            two = stack.enter_context(asking(box, make))
        assert two.box == box["id"]
        box = wait_members(1)
        assert len(records()) == (kind == "ssh")
        host.wait_until(lambda: descriptors(monitor) < 20)
        assert box["members"] and host.alive(box["members"][0])
    with contextlib.suppress(ProcessLookupError):
        os.kill(monitor, signal.SIGTERM)


def test_monitor_dies_while_logins_ask(shared):
    """Logins that wait for the answer of a monitor that is killed make a box of their own, one for all, at once."""
    with su() as one:
        box, monitor = the_box(), monitor_of(the_box())
        with stopped(monitor), asking(box) as two:
            start = time.monotonic()
            three = su()
            os.kill(monitor, signal.SIGKILL)
            assert two.box == three.box != box["id"]
            assert time.monotonic() - start < 2 * host.PATIENCE
            three.close()
            assert one.close() != 0


def test_monitor_that_does_not_answer(shared):
    """It is waited for, but not for longer than a login may take; the next login waits no longer either, and uses the other
    box or a third."""
    with su() as one:
        with stopped(monitor_of(the_box())):
            box, seconds = timed_su()
            assert box != one.box and seconds > 1
        assert timed_su()[0] == one.box


def test_dying_box_is_not_waited_for(shared):
    """While the old box waits for its deaf processes, a login is let in into a new one at once."""
    shared.nsbox(f"{PROFILE}stop_timeout = 3s\n")
    one = su()
    one.ask(f"{tool('stay')} ignore")
    assert one.close() == 0
    host.wait_until(lambda: the_box()["state"] == "ending")
    with su() as two:
        states = {entry["id"]: entry["state"] for entry in boxes()}
        assert states == {one.box: "ending", two.box: "ready"}
        with su() as three:
            assert three.box == two.box
    wait_gone()


def test_full_box(shared):
    """A box with as many members as one may have is not joined: the next logins share a second one. Room is used again."""
    with su() as one, contextlib.ExitStack() as stack:
        first, monitor = the_box(), monitor_of(the_box())
        before = descriptors(monitor)
        for number in range(1, MEMBERS_MAX):
            stack.enter_context(Control(first))
            if number % 32 == 0:  # no more wait at once than the queue holds
                host.wait_until(lambda: descriptors(monitor) >= before + number)
        host.wait_until(lambda: descriptors(monitor) == before + MEMBERS_MAX - 1)
        with Control(first) as one_too_many:
            assert one_too_many.dropped()
        with su() as two, su() as three:
            assert two.box == three.box != one.box
        stack.close()
        host.wait_until(lambda: descriptors(monitor) == before and len(boxes()) == 1)
        with su() as four:
            assert four.box == one.box


def test_frozen_box(shared):
    """A box that an administrator has frozen is not joined, and joined again when it is thawed."""
    with su() as one:
        assert ctl("freeze", one.box).rc == 0
        try:
            with su() as two:
                assert two.box != one.box
                with su() as three:
                    assert three.box == two.box
            host.wait_until(lambda: len(boxes()) == 1)
        finally:
            assert ctl("thaw", one.box).rc == 0
        assert timed_su()[0] == one.box


# -- who dies --


@contextlib.contextmanager
def crowd(sshd, number=4):
    """Sessions by ssh and su, with a daemon, in one box."""
    makers = iter([su, lambda: ssh(sshd)] * number)
    with many(lambda: next(makers)(), 2 * number) as sessions:
        sessions[0].ask("setsid sleep 1234 </dev/null >/dev/null 2>&1 &")
        yield sessions, wait_members(2 * number)


def all_end(sessions, box):
    """Every process of the box ends, every application, every record."""
    start = time.monotonic()
    for session in sessions:
        session.process.wait(STOP + 4)
    host.wait_until(lambda: not inside(box) and not host.find("sleep", "1234"), timeout=STOP + 2)
    host.wait_until(lambda: records() == [], timeout=STOP + 2)
    wait_gone(STOP + 2)
    assert not os.path.exists(box["cgroup"])
    lines = [line for line in host.run("last", "-w", check=True).out.splitlines() if " nsbox/" in line]
    assert lines and not [line for line in lines if "still logged in" in line or "gone" in line], lines
    return time.monotonic() - start


def test_monitor_killed(shared, sshd):
    """With many members: all end, nobody hangs, all records are closed; the next login makes a new box."""
    with crowd(sshd) as (sessions, box):
        os.kill(monitor_of(box), signal.SIGKILL)
        all_end(sessions, box)
        assert timed_su()[0] != box["id"]


def test_pid_1_killed(shared, sshd):
    with crowd(sshd) as (sessions, box):
        os.kill(box["init_pid"], signal.SIGKILL)
        all_end(sessions, box)


def test_pid_1_stopped(shared, sshd):
    """Logins go on, and the end is not held up for longer than stop_timeout."""
    with crowd(sshd, 2) as (sessions, box):
        os.kill(box["init_pid"], signal.SIGSTOP)
        assert timed_su()[0] == box["id"]
        for session in sessions:
            session.hang_up()
        all_end(sessions, box)


def test_guard_killed(shared, sshd):
    """Nobody needs it as long as all goes well: the box is joined and left."""
    with crowd(sshd, 2) as (sessions, box):
        os.kill(guard_of(box), signal.SIGKILL)
        with su() as another:
            assert another.box == box["id"] and another.ask("echo fine") == "fine\n"
        assert [session.ask("echo fine") for session in sessions] == ["fine\n"] * 4
    wait_gone()


def test_monitor_and_guard_killed(shared, sshd):
    """Both that could clean: the box ends all the same, and the next run of the helper cleans it, all records too."""
    with crowd(sshd, 2) as (sessions, box):
        with stopped(guard := guard_of(box)):
            os.kill(monitor_of(box), signal.SIGKILL)
            os.kill(guard, signal.SIGKILL)
        for session in sessions:
            session.process.wait(STOP + 4)
        host.wait_until(lambda: not inside(box))
        assert len(member_files(box)) == 4 and len(records()) == 2
        assert ctl("gc").rc == 0
        all_end(sessions, box)


def test_applications_killed(shared, sshd):
    """kill -9 of sshd's process or su is a logout, of that one alone; of all of them the end of the box."""
    with crowd(sshd, 3) as (sessions, box):
        monitor = monitor_of(box)
        before = descriptors(monitor)
        for number, pid in enumerate(box["members"][:4], 1):
            os.kill(pid, signal.SIGKILL)
            left = wait_members(len(box["members"]) - number)
            assert left["id"] == box["id"] and pid not in left["members"]
            host.wait_until(lambda: len(records()) == sum(host.comm(pid) == "sshd" for pid in left["members"]))
        host.wait_until(lambda: descriptors(monitor) == before - 8)
        assert timed_su()[0] == box["id"]
        for pid in left["members"]:
            os.kill(pid, signal.SIGKILL)
        all_end(sessions, box)


def test_unlucky_few(shared, sshd):
    """Some application, monitor, guard or PID 1 dies at any moment while logins come and go; nothing is left, and the next
    login is let in."""
    numbers, killed = random.Random(5), 0
    for number in range(rounds := host.count(200, 10)):
        sessions = [su() if numbers.random() < 0.8 else ssh(sshd) for _ in range(4)]
        time.sleep(numbers.uniform(0, 0.2))
        victim = numbers.choice(("app", "monitor", "init", "guard"))
        pids = {"app": [numbers.choice(sessions).process.pid],
                "monitor": host.find(argument="nsbox-monitor ") if victim == "monitor" else [],
                "guard": host.find("nsbox-guard") if victim == "guard" else [],
                "init": host.find("nsbox-init")}[victim]
        if victim == "monitor":
            pids = [pid for pid in pids if " guard " not in host.cmdline(pid) and host.comm(pid).startswith("nsbox")]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        for session in sessions:
            session.close()
        timed_su()
        try:
            wait_gone(STOP + 2)
            assert records() == []
        except AssertionError as error:
            raise AssertionError(f"round {number}, {victim} {pids}: {error}") from None
    assert killed > rounds / 5


def test_somebody_locks_utmp(shared, sshd):
    """A user who keeps /run/utmp locked holds up neither the monitor nor other logins for longer than a record may take."""
    with ssh(sshd) as one:
        holder = start("python3", "-c", "import fcntl; f = open('/run/utmp'); fcntl.lockf(f, fcntl.LOCK_SH); "
                       "print('ready', flush=True); input()", **as_user("mallory"))
        try:
            began = time.monotonic()
            with ssh(sshd) as two:
                assert two.box == one.box and time.monotonic() - began < 4 * host.PATIENCE
            found, seconds = zip(*[timed_su() for _ in range(3)])
            assert set(found) == {one.box} and min(seconds) < 1, (seconds, "the monitor waits for no record")
            assert one.ask("echo fine") == "fine\n"
        finally:
            stop(holder)
        wait_members(1)
    wait_gone()


# -- linger --


def test_linger_time(shared, sshd):
    """The box outlives its last session by that time: a login within it finds all as it was, and begins it anew."""
    shared.nsbox(f"{LIFE}linger = 4s\n")
    one = ssh(sshd)
    one.ask("setsid sleep 1234 </dev/null >/dev/null 2>&1 & echo left > /tmp/left")
    one.close()
    box = wait_members(0)
    assert box["id"] == one.box and box["state"] == "lingering" and records() == []
    time.sleep(2.4)  # the time itself is looked at
    with su() as two:
        assert two.box == one.box and two.ask("cat /tmp/left; pgrep -c -x sleep") == "left\n1\n"
        time.sleep(2.4)
    start = time.monotonic()
    time.sleep(2.4)
    assert the_box()["id"] == one.box and host.find("sleep", "1234")
    wait_gone(timeout=4)
    assert 4 <= time.monotonic() - start < 4 + 1.5 * host.PATIENCE + STOP
    assert not host.find("sleep", "1234")
    with su() as three:
        assert three.box != one.box and three.ask("ls /tmp") == ""
        os.kill(monitor_of(the_box()), signal.SIGTERM)  # of no use to wait for


@pytest.mark.parametrize("how", ["SIGTERM", "PID 1", "monitor"])
def test_linger_for_good(shared, how):
    """linger = yes: until the monitor is told to end, or something in it dies."""
    shared.nsbox(f"{LIFE}linger = yes\n")
    one = su()
    one.ask("setsid sleep 1234 </dev/null >/dev/null 2>&1 &")
    one.close()
    box = wait_members(0)
    assert timed_su()[0] == one.box
    wait_members(0)
    assert host.find("sleep", "1234")
    start = time.monotonic()
    if how == "SIGTERM":
        os.kill(monitor_of(box), signal.SIGTERM)
    else:
        os.kill(box["init_pid"] if how == "PID 1" else monitor_of(box), signal.SIGKILL)
    wait_gone(STOP + 2)
    assert not host.find("sleep", "1234") and not os.path.exists(box["cgroup"])
    assert time.monotonic() - start < STOP + 2 * host.PATIENCE


def test_linger_expiry_races_with_logins(shared):
    """A login in the moment that the time is over is let in, here or there."""
    timed_su()
    login = max(timed_su()[1] for _ in range(3))  # how long that takes here and now
    linger = 0.1 + 2 * login
    shared.nsbox(f"{LIFE}linger = {round(linger * 1000)}ms\n")
    wait_gone(linger + STOP)
    numbers = random.Random(7)
    found = []
    for _ in range(host.count(100, 15)):
        found.append(timed_su()[0])
        time.sleep(max(0.0, numbers.uniform(0.5, 1.5) * linger - login / 2))
    same = sum(a == b for a, b in zip(found, found[1:]))
    assert 0 < same < len(found) - 1, f"the race was none: {same} of {len(found) - 1}, {linger} s, {login} s"
    wait_gone(linger + STOP)


def test_linger_needs_sharing(shared):
    """A box that nobody can come back to does not linger: refused with a sentence."""
    shared.nsbox(LIFE.replace("share = user\n", "") + "linger = 1s\n")
    since = syslog.mark()
    refused(host.run("su", "alice", "-c", "echo in"), since, "linger: .* share = user")


def test_lingering_boxes_and_sessions_max(shared):
    """A box without a session counts as none."""
    shared.nsbox(f"{LIFE}linger = yes\nsessions_max = 1\n")
    first, _ = timed_su()
    wait_members(0)
    with su() as one:
        assert one.box == first
        since = syslog.mark()
        refused(host.run("su", "alice", "-c", "echo in"), since, "alice has 1 session already")
    os.kill(monitor_of(the_box()), signal.SIGTERM)


# -- the configuration changes --


def test_change_makes_a_separate_box(shared, sshd):
    """After a change new logins share a new box, the old one lives on with who is in it, and the old configuration leads
    back to it."""
    with su() as old:
        shared.nsbox(LIFE + "hostname = other\n")
        with su() as new, ssh(sshd) as newer:
            assert new.box == newer.box != old.box
            assert (old.ask("uname -n"), new.ask("uname -n")) == (f"{os.uname().nodename}\n", "other\n")
            assert old.ask("echo fine") == "fine\n"
            shared.nsbox(LIFE + "hostname = third\n")
            assert timed_su()[0] not in (old.box, new.box)
            shared.nsbox(LIFE)
            with su() as back:
                assert back.box == old.box
        host.wait_until(lambda: [box["id"] for box in boxes()] == [old.box])


@pytest.mark.parametrize("line", ["pids_max = 77", "network = host", "private_tmp = no", "linger = 1m", "stop_timeout = 3s",
                                  "runtime_max = 1h", "mask = /etc/shadow", "namespaces = uts ipc mount pid"])
def test_any_change_counts(shared, line):
    """Whatever makes another box of it, and does not only concern the login."""
    key = line.split()[0]
    without = "".join(f"{old}\n" for old in LIFE.splitlines() if old.split()[0] != key)
    with su() as old:
        shared.nsbox(f"{without}{line}\n")
        with su() as new:
            assert new.box != old.box
            if key == "linger":
                new.hang_up()
                wait = [box for box in boxes() if box["id"] == new.box]
                host.wait_until(lambda: monitor_of(wait[0]))
                os.kill(monitor_of(wait[0]), signal.SIGTERM)


@pytest.mark.parametrize("line", ["sessions_max = 10", "on_change = refuse", "on_error = allow"])
def test_what_concerns_the_login_alone(shared, line):
    """It is no reason for another box."""
    with su() as old:
        shared.nsbox(f"{LIFE}{line}\n")
        assert timed_su()[0] == old.box


def test_change_refused(shared, sshd):
    """on_change = refuse: no login by the new configuration while the old box lives, said in syslog; sshd's account hook says
    it before there is a session; the old configuration is let in; and when the box has ended all are."""
    config = LIFE + "on_change = refuse\n"
    words = r"the configuration of profile all has changed since box {} of alice was made \(on_change = refuse\)"
    shared.sudoers(SUDOERS.replace("alice", "bob"))
    shared.nsbox(config)
    with su() as old:
        shared.nsbox(config + "hostname = other\n")
        since = syslog.mark()
        line = refused(host.run("su", "alice", "-c", "echo in"), since, words.format(old.box))
        assert "(stage check, EEXIST)" in line
        since = syslog.mark()
        refused_by_sudo(host.run("sudo", "-n", "-u", "alice", "echo", "in", user="bob", group="bob", extra_groups=[], cwd="/"),
                        since, words.format(old.box), user="alice")
        since = syslog.mark()
        result = sshd.ssh("alice", "echo in", opts=("-o", "LogLevel=INFO"))
        assert result.rc == 255
        refused(result, since, words.format(old.box))
        assert syslog.matching(r"pam_nsbox\(sshd:account\)", since) and not syslog.matching(r"\(sshd:session\)", since)
        assert timed_su("bob")[0] != old.box  # another user's affair
        shared.nsbox(config)
        assert timed_su()[0] == old.box
        shared.nsbox(config + "hostname = other\n")
        command = re.search(r"end that box first \((.*?)\)", line)[1].split()
        assert host.run(*command).rc == 0, command  # what the sentence recommends can be done
        wait_gone()
    assert timed_su()


def test_change_refused_in_the_session_phase(shared, sshd):
    """Without our account line sshd has a session that can run nothing."""
    config = LIFE + "on_change = refuse\n"
    shared.pam("sshd", account=False)
    shared.nsbox(config)
    with su():
        shared.nsbox(config + "hostname = other\n")
        since = syslog.mark()
        assert "in" not in sshd.ssh("alice", "echo in").out.split()
        syslog.wait_for(r"sshd:session\): nsbox \w+: login of alice refused: .*on_change = refuse", since)


# -- the number of sessions --


@pytest.mark.parametrize("make", ["su", "ssh"])
def test_sessions_max_at_once(shared, sshd, make):
    """Of ten that come at the same moment exactly as many as may are let in, into one box; who leaves makes room."""
    shared.nsbox(f"{LIFE}sessions_max = 3\n")
    for _ in range(host.count(20, 3)):
        sessions = [su() if make == "su" else ssh(sshd) for _ in range(10)]
        lines = {session: session.process.stdout.readline().decode() for session in sessions}
        inside_now = [session for session, line in lines.items() if line.startswith("box ")]
        assert len(inside_now) == 3, lines
        box = wait_members(3)
        assert {lines[session].split()[1] for session in inside_now} == {box["id"]}
        for session in set(sessions) - set(inside_now):
            assert session.close() != 0
        wait_members(3)
        inside_now[0].close()
        wait_members(2)
        assert timed_su()[0] == box["id"]
        for session in inside_now:
            session.close()
        wait_gone()


def test_sessions_max_counts_all_boxes(shared):
    """Shared and separate ones, made by any configuration of that user."""
    shared.nsbox(f"{LIFE}sessions_max = 3\n")
    with su() as one, su():
        shared.nsbox(f"{LIFE}sessions_max = 3\nhostname = other\n")
        with su() as three:
            assert three.box != one.box
            for config in ("hostname = other\n", ""):
                shared.nsbox(f"{LIFE}sessions_max = 3\n{config}")
                since = syslog.mark()
                refused(host.run("su", "alice", "-c", "echo in"), since, "alice has 3 sessions already")
            assert timed_su("bob")
        host.wait_until(lambda: len(boxes()) == 1)
        assert timed_su()[0] == one.box


def test_a_box_of_an_old_configuration_does_not_linger(shared):
    """No login joins it any more, so it ends with its last session, or at once where there is none; the new one lingers."""
    shared.nsbox(f"{PROFILE}linger = yes\n")
    with su() as one:
        shared.nsbox(f"{PROFILE}linger = yes\npids_max = 500\n")
        with su() as two:
            assert two.box != one.box
        assert {entry["id"]: entry["state"] for entry in boxes()} == {one.box: "ready", two.box: "lingering"}
    host.wait_until(lambda: [entry["id"] for entry in boxes()] == [two.box])
    shared.nsbox(f"{PROFILE}linger = 1h\n")
    with su() as three:
        host.wait_until(lambda: [entry["id"] for entry in boxes()] == [three.box])
    assert ctl("kill", three.box).rc == 0
