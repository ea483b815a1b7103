# SPDX-License-Identifier: BSD-3-Clause
# build: fault
"""share = user: a login that joins fails at each of its steps, or somebody is killed at each of its stages. The box of the
others lives on, and nothing of the login is left."""
import concurrent.futures
import contextlib
import fcntl
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from lib import host, pamapp, syslog
from lib.ctl import BOXES, boxes, ctl
from lib.refusal import reference
from lib.share import (PROFILE, WAIT, descriptors, guard_of, member_files, monitor_of, records, ssh, su, the_box,
                       timed_su, wait_gone, wait_members, end_what_failed)

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

FAULT, REACHED = pathlib.Path("/run/nsbox-fault"), pathlib.Path("/run/nsbox-fault.reached")
CACHE = pathlib.Path("/tmp/krb5cc-fault")
CONFIG = f"{PROFILE}stop_timeout = 1s\nsessions_max = 20\n{pamapp.SEVERAL_SESSIONS}"
MANY = 300  # more steps than any plan has
# Each step that a joining login does.
STEPS = ("sessions", "member", "credentials", "record")
STAGES = ("lock_down", "request", "configure", "plan", "check", "host", "build", "answer", "commit")


@pytest.fixture
def shared(conf, baseline, request):
    """Logins bring a Kerberos cache, so that there is work in the box's tree as well; the service "probe" has a record."""
    conf.pam_all()
    conf.remove("/root/.bashrc")
    CACHE.unlink(missing_ok=True)
    CACHE.write_text("tickets")
    os.chown(CACHE, 2001, 2001)
    CACHE.chmod(0o600)
    conf.file("/etc/security/fault-environment", f"KRB5CCNAME=FILE:{CACHE}\n")
    environment = "session required pam_env.so readenv=1 envfile=/etc/security/fault-environment"
    conf.pam_all(before_open=[environment])
    conf.pam("probe", text=f"{environment}\nsession required pam_nsbox.so\nsession required pam_permit.so\n")
    conf.nsbox(CONFIG)
    yield conf
    FAULT.unlink(missing_ok=True)
    end_what_failed(request)
    CACHE.unlink()


@pytest.fixture(autouse=True)
def _no_fault():
    yield
    FAULT.unlink(missing_ok=True)
    REACHED.unlink(missing_ok=True)


@contextlib.contextmanager
def fault(text):
    REACHED.unlink(missing_ok=True)
    FAULT.write_text(f"{text}\n")
    try:
        yield
    finally:
        FAULT.unlink(missing_ok=True)
        REACHED.unlink(missing_ok=True)


def reached(stage):
    """The pid that waits there."""
    def look():
        found = re.fullmatch(rf"{stage} (\d+)\n", host.read(REACHED, ""))
        return int(found[1]) if found else 0
    return host.wait_until(look, timeout=10, what=f"somebody at {stage}")


class Others:
    """The box that is there: what a login that fails must not change."""

    def __init__(self):
        self.session = su()
        assert self.session.box == the_box()["id"]
        self.box = wait_members(1)
        self.session.ask(f"rm -f {CACHE}")
        self.monitor = monitor_of(self.box)
        self.before = self._look()

    def _look(self):
        return {"members": member_files(self.box), "listed": the_box()["members"], "records": records(),
                "descriptors": descriptors(self.monitor), "state": the_box()["state"]}

    def unchanged(self, what):
        try:
            host.wait_until(lambda: self._look() == self.before, timeout=3)
        except AssertionError:
            raise AssertionError(f"{what}: {self.before} became {self._look()}") from None
        assert self.session.ask("echo fine") == "fine\n", what

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.close()


@pytest.fixture
def others(shared):
    with Others() as found:
        yield found


# -- each step fails --


def test_every_step_of_a_joining_login(others):
    """Each fails once: the application is told, and is as it was; so is the box. A step that is not the login's is not run.
    And the next login joins each time."""
    told = {}
    with pamapp.App() as app:
        for step in range(MANY):
            since = syslog.mark()
            with fault(f"fail {step}"):
                answer = app.do("open", "probe", "alice")
            assert answer["changed"] == {}, (step, answer)
            others.unchanged(f"step {step}")
            if answer["code"] == pamapp.PAM_SUCCESS:
                assert not answer["said"] and not syslog.matching("(Input/output|I/O) error", since), step
                if len(told) >= len(STEPS) and step > max(told) + 1:
                    break
                continue
            assert answer["code"] == pamapp.PAM_SYSTEM_ERR, (step, answer)
            ref = reference("\n".join(answer["said"]))
            line = syslog.wait_for(r"step [a-z_-]+.*: (Input/output|I/O) error \(stage [a-z]+, EIO\)$", since)
            assert ref in line, f"{ref} is not the reference in {line}"
            told[step] = re.search(r"step ([a-z_-]+)", line)[1]
            assert app.do("open", "probe", "alice")["code"] == pamapp.PAM_SUCCESS
    assert tuple(told.values()) == STEPS, told


def test_on_error_allow(shared, others):
    """on_error = allow: the login that could not join is let in, unboxed; nsboxctl list shows it beside the box, which does
    not notice."""
    shared.nsbox(CONFIG + "on_error = allow\n")
    with pamapp.App() as app:
        for step in range(12):
            since = syslog.mark()
            with fault(f"fail {step}"):
                answer = app.do("hold", "probe", "alice")
            failed = bool(syslog.matching("WITHOUT a box", since))
            if failed:
                host.wait_until(lambda: len(boxes()) == 2, what=f"the unboxed session is listed; step {step}")
                [unboxed] = [box for box in boxes() if box["id"] != others.box["id"]]
                assert unboxed["state"] == "unboxed" and unboxed["members"] == [app.pid]
                assert not syslog.matching("not listed", since)
            assert answer["code"] == pamapp.PAM_SUCCESS
            assert app.do("release")["changed"] == {}
            host.wait_until(lambda: len(boxes()) == 1)
            others.unchanged(f"step {step}")
            if failed:
                return
    raise AssertionError("no step failed")


def test_ssh_refuses(shared, others, sshd):
    """sshd's login whose step fails can run nothing, and leaves nothing in the box."""
    failed = 0
    for step in range(MANY):
        since = syslog.mark()
        with fault(f"fail {step}"):
            out = sshd.ssh("alice", "echo in").out
        if "in" in out.split():
            if failed == 2 or step > 20:
                break
            continue
        failed += 1
        others.unchanged(f"step {step}")
        syslog.wait_for(r"sshd:session\): nsbox \w+: login of alice refused: ", since)
    assert failed >= 2


# -- somebody is killed --


@contextlib.contextmanager
def joining(stage, app):
    """A login of the application that waits at the stage: yields the pid that waits, and the result to come."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool, fault(f"pause {stage}"):
        result = pool.submit(app.do, "open", "probe", "alice")
        try:
            yield reached(stage), result
        finally:
            FAULT.unlink(missing_ok=True)


@pytest.mark.parametrize("stage", STAGES)
def test_helper_killed(stage, others):
    """At each stage: refused, and outside again; and the next login joins."""
    with pamapp.App() as app:
        with joining(stage, app) as (helper, result):
            os.kill(helper, signal.SIGKILL)
            start = time.monotonic()
            answer = result.result(timeout=10)
        assert answer["code"] == pamapp.PAM_SYSTEM_ERR and answer["changed"] == {}, answer
        assert time.monotonic() - start < host.PATIENCE
        reference("\n".join(answer["said"]))
        others.unchanged(stage)
        assert app.do("open", "probe", "alice") == {"code": pamapp.PAM_SUCCESS, "said": [], "changed": {}, "confined": {}}
        others.unchanged("after the next login")


def test_worker_and_helper_killed(others):
    """The process in the box's tree does not outlive the helper; alone it makes the login fail."""
    with pamapp.App() as app:
        with joining("build", app) as (worker, result):
            os.kill(host.parent(worker), signal.SIGKILL)
            host.wait_until(lambda: not host.alive(worker), what="the worker ends with its helper")
            assert result.result(timeout=10)["code"] == pamapp.PAM_SYSTEM_ERR
        others.unchanged("helper")


def test_worker_that_hangs(others):
    """The work in the box's tree, which users may make slow, is given up: refused after 2 s, and the worker is dead."""
    with pamapp.App() as app:
        start = time.monotonic()
        with joining("build", app) as (worker, result):
            answer = result.result(timeout=10)
            assert 1.5 < time.monotonic() - start < WAIT * host.PATIENCE
            assert not host.alive(worker)
        assert answer["code"] == pamapp.PAM_SYSTEM_ERR and answer["changed"] == {}
        others.unchanged("given up")


@pytest.mark.parametrize("stage", STAGES)
def test_application_killed(stage, others):
    """At each stage of its login: helper and monitor let go of it."""
    app = pamapp.App()
    with concurrent.futures.ThreadPoolExecutor(1) as pool, fault(f"pause {stage}"):
        result = pool.submit(app.do, "open", "probe", "alice")
        reached(stage)
        os.kill(app.pid, signal.SIGKILL)
        FAULT.unlink()
        with pytest.raises(Exception):
            result.result(timeout=10)
    with contextlib.suppress(BrokenPipeError):
        app.end()
    host.wait_until(lambda: not host.find(argument="nsbox-helper"), what="its helper has ended")
    others.unchanged(stage)
    assert timed_su()[0] == others.box["id"]


@pytest.mark.parametrize("stage", STAGES)
def test_application_and_helper_killed(stage, others):
    """Together: nobody is left but the monitor, and that cleans."""
    app = pamapp.App()
    with concurrent.futures.ThreadPoolExecutor(1) as pool, fault(f"pause {stage}"):
        result = pool.submit(app.do, "open", "probe", "alice")
        helper = reached(stage)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in (app.pid, helper):
                os.kill(pid, number)
        with pytest.raises(Exception):
            result.result(timeout=10)
    with contextlib.suppress(BrokenPipeError):
        app.end()
    others.unchanged(stage)
    assert timed_su()[0] == others.box["id"]


@pytest.mark.parametrize("victim", ["monitor", "init", "guard", "monitor and helper", "init and helper", "monitor and guard"])
@pytest.mark.parametrize("stage", ["check", "build", "answer", "commit"])
def test_the_box_dies_under_a_login(stage, victim, shared):
    """Whoever dies while a login joins: it is let in somewhere or refused and outside again, within the deadline; all of the
    old box goes; and the next login is let in."""
    with Others() as others, pamapp.App() as app:
        guard = guard_of(others.box)
        with joining(stage, app) as (waiting, result):
            helper = host.parent(waiting) if stage == "build" else waiting
            pids = {"monitor": others.monitor, "init": others.box["init_pid"], "guard": guard, "helper": helper}
            chosen = [pids[name] for name in victim.split(" and ")]
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for pid in chosen:
                    os.kill(pid, number)
            start = time.monotonic()
            FAULT.unlink()
            answer = result.result(timeout=15)
            assert time.monotonic() - start < WAIT * host.PATIENCE
        assert answer["changed"] == {}, answer
        if stage == "check" and victim == "init":
            # what dies with PID 1 takes its time, and until then nobody knows that it will
            assert answer["code"] in (pamapp.PAM_SUCCESS, pamapp.PAM_SYSTEM_ERR), answer
        elif victim == "guard" or (stage == "check" and "helper" not in victim):
            assert answer["code"] == pamapp.PAM_SUCCESS, answer
        elif stage != "commit" or "helper" in victim:
            assert answer["code"] == pamapp.PAM_SYSTEM_ERR, answer
        if victim == "guard":
            others.unchanged(victim)
        else:
            others.session.process.wait(5)
            assert app.do("open", "probe", "alice")["code"] == pamapp.PAM_SUCCESS
            if victim == "monitor and guard":
                assert ctl("gc").rc == 0
    wait_gone()
    assert records() == []


def test_guard_when_somebody_looks_at_the_box(shared):
    """Monitor and PID 1 are dead, and a login that sweeps holds the box's lock just then: it lets go of a box that is not
    dead yet, and the guard cleans after it."""
    with Others() as others:
        guard = guard_of(others.box)
        os.kill(guard, signal.SIGSTOP)
        os.kill(others.monitor, signal.SIGKILL)
        with open(f"{BOXES}/{others.box['id']}/lock", "r+") as lock:
            def locked():
                with contextlib.suppress(BlockingIOError):
                    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return True
            host.wait_until(locked, what="the monitor has let go")
            os.kill(guard, signal.SIGCONT)
            time.sleep(0.5)
            assert host.alive(guard) and os.path.exists(f"{BOXES}/{others.box['id']}")
        wait_gone()
        others.session.process.wait(5)
    assert records() == []


def test_application_on_its_way_out_is_not_moved(others):
    """The box is removed under a login that has joined: its application goes back to its own group by itself, and whoever
    cleans does not move it meanwhile, which might be after it went."""
    def groups():
        return pathlib.Path(f"/proc/{app.pid}/cgroup").read_text()

    with pamapp.App() as app:
        before = groups()
        with joining("commit", app) as (helper, result):
            host.wait_until(lambda: groups() != before, what="it has joined the groups")
            for pid in (app.pid, others.monitor, helper):
                os.kill(pid, signal.SIGSTOP)
            for pid in (others.monitor, helper):
                os.kill(pid, signal.SIGKILL)
            for _ in range(10):  # half of the time that it has
                assert "/nsbox/monitors" not in groups()
                time.sleep(0.01)
            os.kill(app.pid, signal.SIGCONT)
            answer = result.result(timeout=15)
        assert answer["changed"] == {} and answer["code"] == pamapp.PAM_SYSTEM_ERR, answer
    others.session.process.wait(5)
    wait_gone()


# -- who waits for whom --


def test_box_waits_for_a_login_that_is_under_way(others):
    """The last session ends while another login is about to join: the box is kept for it."""
    with pamapp.App() as app:
        with joining("answer", app) as (_, result):
            assert others.session.close() == 0
            host.wait_until(lambda: len(member_files(others.box)) == 1, what="the session is gone")
            assert not result.done() and the_box()["id"] == others.box["id"] and the_box()["state"] == "ready"
            FAULT.unlink()
            answer = result.result(timeout=10)
        assert answer["code"] == pamapp.PAM_SUCCESS, answer
    wait_gone()


def test_helper_killed_that_kept_the_box(others):
    """As above, but the login fails: the box that was kept for it alone ends."""
    with pamapp.App() as app:
        with joining("commit", app) as (helper, result):
            assert others.session.close() == 0
            host.wait_until(lambda: len(member_files(others.box)) == 1)
            os.kill(helper, signal.SIGKILL)
            assert result.result(timeout=10)["code"] == pamapp.PAM_SYSTEM_ERR
    wait_gone()
    assert records() == []


@pytest.mark.parametrize("stage", ["host", "spawn", "prove", "publish", "answer", "commit"])
def test_first_login_fails_while_others_wait(stage, shared):
    """Logins that wait for the one that makes the box, which is killed: they make one for themselves, one for all."""
    with pamapp.App() as app:
        with joining(stage, app) as (_, result):
            # who waits may be the builder, which knows its own number only
            [helper] = [pid for pid in host.find("nsbox-helper") if len(host.inner_pids(pid)) == 1]
            waiters = [su() for _ in range(3)]
            time.sleep(0.2)  # they may wait, or be there already
            if stage in ("host", "spawn"):
                FAULT.unlink()
            os.kill(helper, signal.SIGKILL)
            FAULT.unlink(missing_ok=True)
            start = time.monotonic()
            assert result.result(timeout=10)["code"] == pamapp.PAM_SYSTEM_ERR
            found = [waiter.box for waiter in waiters]
            assert len(set(found)) == 1 and time.monotonic() - start < WAIT * host.PATIENCE, found
        host.wait_until(lambda: [box["id"] for box in boxes()] == found[:1])
        wait_members(3)
        for waiter in waiters:
            waiter.close()
    wait_gone()


@pytest.mark.parametrize("attempt", range(host.count(6, 1)))
def test_first_login_does_not_go_on(attempt, shared):
    """Whoever makes the box is stopped before it joins (a caller of sudo can do that): the user's other logins are held up
    for no longer than a login may be, one or several, and share a box."""
    with fault("pause answer"):
        first = subprocess.Popen(["su", "alice", "-c", "echo in"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, start_new_session=True)
        reached("answer")
        os.kill(first.pid, signal.SIGSTOP)
    try:
        start = time.monotonic()
        waiters = [su() for _ in range(4)]
        found = [waiter.box for waiter in waiters]
        assert time.monotonic() - start < WAIT * host.PATIENCE, (found, time.monotonic() - start)
        assert len(set(found)) == 1, found
    finally:
        for waiter in waiters:
            waiter.close()
        os.kill(first.pid, signal.SIGKILL)
        first.communicate()
    wait_gone(10)


def test_joining_login_does_not_go_on(others, sshd):
    """The same of one that joins: others join and leave meanwhile; when it is given up its traces are gone."""
    with pamapp.App() as app, concurrent.futures.ThreadPoolExecutor(1) as pool:
        with fault("pause answer"):
            result = pool.submit(app.do, "open", "probe", "alice")
            helper = reached("answer")
            os.kill(app.pid, signal.SIGSTOP)
        for _ in range(3):
            assert timed_su()[0] == others.box["id"]
        with ssh(sshd) as another:
            assert another.box == others.box["id"]
        host.wait_until(lambda: not host.alive(helper), timeout=10, what="its helper has given up")
        others.unchanged("given up")
        os.kill(app.pid, signal.SIGCONT)
        answer = result.result(timeout=15)
        assert answer["code"] == pamapp.PAM_SYSTEM_ERR and answer["changed"] == {}, answer
    others.unchanged("and refused")
