# SPDX-License-Identifier: BSD-3-Clause
# build: fault
"""kill -9 of application, helper or monitor, PID 1 and guard, at every stage and while the box runs, alone and in every
combination: nothing may be left. "At every stage" is real: the fault build stops there until it is told to go on."""
import contextlib
import itertools
import os
import pathlib
import random
import re
import signal
import subprocess
import time

import pytest

from attacks import DEADLINE
from lib import baseline as picture
from lib import host, syslog
from lib.refusal import BOXED, LIBEXEC, boxed, reference

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

FAULT, REACHED = pathlib.Path("/run/nsbox-fault"), pathlib.Path("/run/nsbox-fault.reached")
BOXES = pathlib.Path("/run/nsbox/boxes")
STOP = 1  # seconds, in PROFILE
PROFILE = f"{BOXED}stop_timeout = {STOP}s\n"

EARLY = ("lock_down", "request", "configure", "plan", "check", "host")  # before the first effect
LATE = ("build", "enclose", "prove", "exec", "publish", "answer", "commit")
STAGES = (*EARLY, "spawn", *LATE)
RUNNING = ("app", "monitor", "init", "guard")


def victims_at(stage):
    if stage in EARLY:
        return ("app", "helper")
    return ("app", "helper", "guard") if stage == "spawn" else ("app", "helper", "init", "guard")


def combinations(names, most):
    return [some for size in range(1, most + 1) for some in itertools.combinations(names, size)]


def needs_gc(victims):
    """Both that could clean are dead: nobody does until nsbox-helper is run again."""
    return "guard" in victims and ("helper" in victims or "monitor" in victims)


# -- who is who --


def _programs(pattern):
    return {pid for pid in host.pids() if re.match(pattern, host.cmdline(pid)) and host.alive(pid)}


def _inits():
    return {pid for pid in host.pids() if host.inner_pids(pid)[1:] == [1] and host.alive(pid)}


FIND = {
    "helper": lambda: {pid for pid in _programs(r"nsbox-helper$") if len(host.inner_pids(pid)) == 1},
    "monitor": lambda: _programs(r"nsbox-monitor (?!guard)"),
    "guard": lambda: _programs(r"nsbox-monitor guard"),
    "init": _inits,
}


def find_all(names, app, before):
    """{name: pid} of one login; `before`: the others' pids."""
    found = {}
    for name in names:
        if name == "app":
            found[name] = app
            continue
        # a helper that continued in a child may be seen beside it for a moment
        (found[name],) = host.wait_until(lambda: len(mine := FIND[name]() - before) == 1 and mine, what=f"one {name}")
    return found


def kill_at_once(pids):
    """All die before one of them can act on the death of another. They are dead on return."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    host.wait_until(lambda: not [pid for pid in pids if host.alive(pid)], interval=0.001, what=f"{pids} are dead")


def collect_garbage():
    return host.run(f"{LIBEXEC}/nsbox-helper", "gc", check=True).out


# -- logins to kill: start(command) -> (client process, function that finds the application's pid) --


class Su:
    name = "su"

    def start(self, script):
        process = subprocess.Popen(["su", "alice", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, start_new_session=True)
        return process, lambda: process.pid


class Pamtester:
    """Opens and closes at once: only for what happens while a session is opened."""
    name = "pamtester"

    def start(self, script):
        process = subprocess.Popen(["pamtester", "su", "alice", "open_session", "close_session"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return process, lambda: process.pid


class Ssh:
    name = "sshd"

    def __init__(self, server):
        self._server = server

    def start(self, script):
        process = self._server.popen("alice", script)
        return process, lambda: host.wait_until(lambda: self._server.monitors("alice"), what="sshd's monitor")[0]


@pytest.fixture
def login(request, conf):
    """The program that logs in, named by the parameter, with everybody boxed."""
    conf.pam_all()
    conf.nsbox(PROFILE)
    if request.param == "sshd":
        return Ssh(request.getfixturevalue("sshd"))
    return {"su": Su, "pamtester": Pamtester}[request.param]()


@pytest.fixture(autouse=True)
def _no_fault():
    yield
    FAULT.unlink(missing_ok=True)
    REACHED.unlink(missing_ok=True)


@contextlib.contextmanager
def pause(stage):
    """Logins stop at the stage while the block runs."""
    REACHED.unlink(missing_ok=True)
    FAULT.write_text(f"pause {stage}\n")
    try:
        yield
    finally:
        FAULT.unlink()
        REACHED.unlink(missing_ok=True)


def end(process):
    """Waits for a login that nothing holds up any more: (status, output, errors)."""
    out, errors = process.communicate(timeout=15)
    return process.returncode, out.decode(), errors.decode()


def settle(victims, before):
    if needs_gc(victims):
        collect_garbage()
    return picture.wait_equal(before, timeout=STOP + 1)


def ours():
    return set().union(*(find() for find in FIND.values()))


# -- while a session is opened --


def kill_at(stage, victims, login, others):
    """Whoever is left of the login ends by itself."""
    with pause(stage):
        process, app = login.start("true")
        host.wait_until(lambda: REACHED.exists() and REACHED.read_text().startswith(stage), timeout=10,
                        what=f"a helper at {stage}")
        kill_at_once(find_all(victims, app(), others).values())
    return end(process)


def check_refusal(login, stage, victims, status, text):
    """What the user sees of a killed login. sshd says it to clients in ways of its own."""
    if stage == "commit" and "helper" not in victims:
        # A box that dies between the join and COMMITTED is entered, but nothing can start in it.
        assert status != 0 or login.name == "pamtester", (stage, victims, text)
        return
    assert status != 0, (stage, victims, text)
    if login.name != "sshd":
        reference(text)


def kill_all_at(stage, login, most, before):
    others = ours()
    for victims in combinations(victims_at(stage), most):
        status, out, errors = kill_at(stage, victims, login, others)
        try:
            settle(victims, before)
        except AssertionError as error:
            raise AssertionError(f"{login.name}, {stage}, killed {victims}: {error}") from None
        if set(victims) == {"guard"}:
            assert status == 0, (stage, victims, out, errors)  # nobody needs it as long as all goes well
        elif "app" not in victims:
            check_refusal(login, stage, victims, status, out + errors)


@pytest.mark.parametrize("login", ["su"], indirect=True)
@pytest.mark.parametrize("stage", STAGES)
def test_kill_while_opening(stage, login, baseline):
    """Every one and every pair (in the full run: any number) killed at each stage: back to the baseline within
    stop_timeout + 1 s; where the application lives it refuses; the next login works."""
    kill_all_at(stage, login, host.count(4, 2), baseline)
    end(login.start("true")[0])


@pytest.mark.parametrize("login", ["pamtester"], indirect=True)
@pytest.mark.parametrize("stage", STAGES if host.full() else ("host", "prove", "answer", "commit"))
def test_kill_while_opening_pamtester(stage, login, baseline):
    """The same with an application that closes by itself."""
    kill_all_at(stage, login, host.count(4, 2), baseline)


@pytest.mark.parametrize("login", ["sshd"], indirect=True)
@pytest.mark.parametrize("stage", STAGES if host.full() else ("check", "exec", "commit"))
def test_kill_while_opening_ssh(stage, login, baseline):
    """The same with sshd, whose account phase runs the early stages."""
    kill_all_at(stage, login, host.count(4, 2), baseline)


@pytest.mark.parametrize("login", ["su"], indirect=True)
@pytest.mark.parametrize("stage", LATE[:-1])
def test_all_at_once_then_the_next_login_cleans(stage, login, baseline):
    """What nobody was left to clean is cleaned by the next login as well as by gc."""
    kill_at(stage, victims_at(stage), login, set())
    assert list(BOXES.iterdir())  # or this test shows nothing
    status, out, errors = end(login.start("true")[0])
    assert status == 0, (out, errors)
    picture.wait_equal(baseline, timeout=STOP + 1)


@pytest.mark.parametrize("login", ["su"], indirect=True)
@pytest.mark.parametrize("stage", ("host", "build", "answer") if host.full() else ("build",))
def test_helper_that_hangs(stage, login, baseline):
    """A helper that does not come on is given up: refused with a message, then nothing is left."""
    since, start = syslog.mark(), time.monotonic()
    with pause(stage):
        status, out, errors = end(login.start("true")[0])
    assert status != 0 and time.monotonic() - start < DEADLINE + 2 * host.PATIENCE, (status, out, errors)
    syslog.wait_for(rf"nsbox {reference(out + errors)}: login of alice refused", since)
    picture.wait_equal(baseline, timeout=STOP + 1)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("login", ["su"], indirect=True)
def test_kill_at_random_moments(login, baseline):
    """Not only between stages: somebody dies at any moment of a login, and one who could clean remains."""
    choices = [some for some in combinations(("app", "helper", "monitor", "init"), 4)] + [("app", "guard", "init")]
    numbers = random.Random(2)
    for _ in range(host.count(1000, 50)):
        victims, delay = numbers.choice(choices), numbers.uniform(0, 0.03)
        process, _ = login.start("sleep 0.03")
        time.sleep(delay)
        found = {"app": {process.pid}, **{name: find() for name, find in FIND.items() if name in victims}}
        kill_at_once(set().union(*(found[name] for name in victims)))
        end(process)
        try:
            picture.wait_equal(baseline, timeout=STOP + 1)
        except AssertionError as error:
            raise AssertionError(f"killed {victims} ({found}) after {delay} s: {error}") from None


# -- while the box runs --


DAEMON = "setsid sleep 1000 >/dev/null 2>&1 </dev/null &"


def hold(login, script=f"{DAEMON} echo ready; exec cat"):
    """A session that goes on until its input ends."""
    process, app = login.start(script)
    line = process.stdout.readline()
    assert line == b"ready\n", (line, process.stderr.read())
    return process, app()


@contextlib.contextmanager
def bystander():
    """Another box, which must not notice anything."""
    process = subprocess.Popen(["su", "bob", "-c", "echo ready; exec cat"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        yield
        process.stdin.write(b"alive\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"alive\n"
    finally:
        process.stdin.close()
        process.wait(10 * host.PATIENCE)
        process.stdout.close()


@pytest.mark.parametrize("victims", combinations(RUNNING, 4), ids="+".join)
@pytest.mark.parametrize("login", ["su", "sshd"], indirect=True)
def test_kill_while_running(victims, login, baseline):
    """Any of them, alone and together: the box and all in it go, nobody else's."""
    with bystander():
        before, others = picture.take_settled(), ours()
        process, app = hold(login)
        kill_at_once(find_all(victims, app, others).values())
        if victims == ("guard",):
            process.stdin.write(b"goes on\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"goes on\n"
        end(process)
        settle(victims, before)


@pytest.mark.parametrize("login", ["su"], indirect=True)
def test_processes_that_ignore_the_end(login, baseline):
    """The application killed, all its children ignore HUP and TERM: stop_timeout, then they are killed."""
    process, app = hold(login, f"trap '' HUP TERM; (sleep 1000; sleep 1000) & {DAEMON} echo ready; exec cat")
    start = time.monotonic()
    os.kill(app, signal.SIGKILL)
    end(process)  # `cat` has the pipe
    picture.wait_equal(baseline, timeout=STOP + 1)
    assert STOP * 0.9 < time.monotonic() - start < STOP + host.PATIENCE  # they did ignore it


@pytest.mark.parametrize("login", ["su", "sshd"], indirect=True)
def test_utmp_record_of_killed_session(login, baseline):
    """who(1) does not show a session whose application and monitor were killed together."""
    others = ours()
    process, app = hold(login)
    recorded = [record for record in picture.utmp_records() if record[2].startswith("nsbox/")]
    assert bool(recorded) == (login.name == "sshd")  # su makes no record of its own
    kill_at_once(find_all(("app", "monitor"), app, others).values())
    end(process)
    host.wait_until(lambda: not [record for record in picture.utmp_records() if record[2].startswith("nsbox/")])


@pytest.mark.parametrize("login", ["su"], indirect=True)
def test_gc_leaves_live_boxes_alone(login, baseline):
    """nsbox-helper gc while a box runs: it goes on."""
    process, _ = hold(login)
    assert collect_garbage() == "0\n"
    process.stdin.write(b"still\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"still\n"
    end(process)


# -- stopped applications --


def stop(pid):
    """It is stopped on return: SIGSTOP is only sent, and a process that waits may reap before it obeys."""
    os.kill(pid, signal.SIGSTOP)
    host.wait_until(lambda: host.status(pid)["State"].startswith("T"), what=f"{pid} is stopped")


def state_of_only_box():
    (box,) = BOXES.iterdir()
    text = host.read(box / "state", "")
    return re.search(r"^state (\S+)$", text, re.M).group(1)


STOPPED = [("monitor told to end", signal.SIGCONT), ("monitor killed", signal.SIGKILL),
           ("monitor told to end", signal.SIGKILL), ("monitor killed", signal.SIGCONT)]


@pytest.mark.parametrize("how, then", STOPPED[:host.count(4, 2)])
@pytest.mark.parametrize("login", ["su"], indirect=True)
def test_application_that_does_not_reap(how, then, login, baseline):
    """PID 1 cannot finish dying while the stopped application holds its dead children. Everything else goes all the
    same, the entry says so, and with the application the rest goes."""
    process, app = hold(login)
    monitor = find_all(("monitor",), app, set())["monitor"]
    group = f"{host.cgroup_tree()}{host.cgroup(app)}"
    assert "/nsbox/" in group
    stop(app)
    os.kill(monitor, signal.SIGTERM if how == "monitor told to end" else signal.SIGKILL)
    host.wait_until(lambda: not os.path.exists(group), timeout=STOP + 3, what="the cgroup is gone")
    host.wait_until(lambda: state_of_only_box() == "dying", what="the box is dying")
    os.kill(app, then)
    end(process)
    picture.wait_equal(baseline, timeout=STOP + 2)


@pytest.mark.parametrize("login", ["su"], indirect=True)
def test_application_stopped_before_the_join(login, baseline):
    """The helper does not wait for ever; the application, when it runs again, finds no box and refuses."""
    with pause("answer"):
        process, app = login.start("true")
        host.wait_until(REACHED.exists, what="a helper at answer")
        stop(app())
    host.wait_until(lambda: not ours(), timeout=10, what="the helper has given up")
    assert not list(BOXES.iterdir())
    os.kill(app(), signal.SIGCONT)
    status, out, errors = end(process)
    assert status != 0, (out, errors)
    reference(out + errors)


# -- sshd --


def drop(server, delay):
    """A client that is killed: its connection breaks wherever it is."""
    client = server.popen("alice", "echo in; exec cat")
    time.sleep(delay)
    client.kill()
    client.communicate()


@pytest.mark.timeout(900)
def test_connect_and_drop(conf, sshd, baseline):
    """Connections that break at random moments leave nothing."""
    conf.pam_all()
    conf.nsbox(PROFILE)
    numbers = random.Random(1)
    for _ in range(host.count(1000, 60)):
        drop(sshd, numbers.uniform(0.02, 0.3))
    picture.wait_equal(baseline, timeout=STOP + 3)
    result = sshd.ssh("alice", "echo in $NSBOX_ID")
    boxed(result)
