# SPDX-License-Identifier: BSD-3-Clause
# build: fault
"""network = veth and bridge: each step and each request to the kernel fails once; everybody is killed at each stage. No link, no
rule, no address stays taken."""
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

import test_crash as crash
from lib import baseline as picture
from lib import host, netlab, syslog
from lib.ctl import ctl
from lib.netlab import BRIDGE_POOL, FAR, Box, everywhere, reach
from lib.refusal import line_of, reference, su

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

NETWORKS = {"veth": "publish = 8080:80\nallow = host:22/tcp boxes\ndeny = 10.0.0.0/8\nnetwork_rate = 10Mbit\nnetwork_pool = 10.213.0.0/30\n",
            "bridge": f"network_pool = {BRIDGE_POOL[0]} {BRIDGE_POOL[1]}\nnetwork_rate = 10Mbit\ndeny = 10.77.0.2\n"}
MANY = 400


@pytest.fixture(params=NETWORKS)
def network(request, lab, baseline, conf):
    """With everything that makes requests. (The pool of veth has two addresses: what stays taken is noticed soon.)"""
    conf.pam_all()
    word = "bridge:br0" if request.param == "bridge" else "veth"
    conf.nsbox(netlab.VETH.replace("= veth", f"= {word}") + NETWORKS[request.param])
    yield baseline
    crash.FAULT.unlink(missing_ok=True)
    crash.REACHED.unlink(missing_ok=True)


@contextlib.contextmanager
def fault(text):
    crash.FAULT.write_text(f"{text}\n")
    try:
        yield
    finally:
        crash.FAULT.unlink()


def swept():
    """Whoever cleans has ended, and then nsbox-helper gc."""
    host.wait_until(lambda: not crash.ours() and not host.find("nsbox-helper") and not host.find("nsbox-net"), timeout=10,
                    what="all programs have ended")
    crash.collect_garbage()


def works():
    """Two logins at once get in: the pool has not lost an address."""
    first, second = (subprocess.Popen(["su", user, "-c", "echo in; read x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                     for user in ("alice", "bob"))
    if "8080" in pathlib.Path("/etc/security/nsbox.conf").read_text():  # one port, one box
        second.kill()
        second.wait()
        assert first.stdout.readline() == "in\n"
        first.communicate("\n", timeout=20)
        return
    for process in (first, second):
        assert process.stdout.readline() == "in\n"
    for process in (first, second):
        process.communicate("\n", timeout=20)


@pytest.mark.timeout(900)
def test_every_request_fails(network):
    """Request after request of nsbox-net to the kernel fails: refused with one sentence, and nothing is left. One further, the
    login works."""
    for number in range(MANY):
        since = syslog.mark()
        with fault(f"request {number}"):
            result = su()
            # a box that got in ends under the fault as well: its logout may not be kept from cleaning for good
            if result.rc == 0:
                host.wait_until(lambda: not crash.FIND["monitor"](), timeout=6, what="the box has ended")
        if result.rc == 0:
            break
        line_of(reference(result.out + result.err), since, helper_lines=None)
        swept()  # what took it back met the same fault
        try:
            picture.wait_equal(network, timeout=3)
        except AssertionError as error:
            raise AssertionError(f"request {number}: {error}") from None
    else:
        raise AssertionError("no login works")
    assert number > 3, number
    crash.collect_garbage()
    picture.wait_equal(network, timeout=3)
    works()


@pytest.mark.timeout(900)
def test_every_request_of_a_logout_fails(network):
    """Request after request fails while a box is taken away: what is left is swept by gc, and the address is free."""
    for number in range(12):
        process, _ = crash.hold(crash.Su())
        with fault(f"request {number}"):
            crash.end(process)
            host.wait_until(lambda: not crash.ours() and not host.find("nsbox-helper"), timeout=10, what="all programs have ended")
        swept()
        try:
            picture.wait_equal(network, timeout=3)
        except AssertionError as error:
            raise AssertionError(f"request {number}: {error}") from None
    works()


@pytest.mark.timeout(900)
def test_every_step_fails(network):
    """As test_faults.py, with the steps that make a network: after each failure nothing is left."""
    for number in range(MANY):
        since = syslog.mark()
        with fault(f"fail {number}"):
            result = su()
        if result.rc == 0:
            break
        line_of(reference(result.out + result.err), since, helper_lines=None)
        try:
            picture.wait_equal(network, timeout=3)
        except AssertionError as error:
            raise AssertionError(f"step {number}: {error}") from None
    else:
        raise AssertionError("no login works")
    picture.wait_equal(network, timeout=3)
    works()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("stage", crash.STAGES if host.full() else ("check", "host", "spawn", "build", "publish", "answer", "commit"))
def test_kill_while_opening(network, stage):
    """Every one and every pair killed at each stage."""
    crash.kill_all_at(stage, crash.Su(), 2, network)
    works()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("victims", crash.combinations(crash.RUNNING, host.count(4, 2)) + [crash.RUNNING], ids="+".join)
def test_kill_while_running(network, victims):
    """Any of them, alone and together, while the box runs: link, rules and address go."""
    before, others = picture.take_settled(), crash.ours()
    process, app = crash.hold(crash.Su())
    assert len(netlab.our_links()) == 1 and netlab.elements()
    crash.kill_at_once(crash.find_all(victims, app, others).values())
    crash.end(process)
    crash.settle(victims, before)
    works()


def test_all_at_once_then_gc(network):
    """Whoever could clean is dead: link and rules stay until `nsboxctl gc`, which sweeps them."""
    process, app = crash.hold(crash.Su())
    crash.kill_at_once(crash.find_all(crash.RUNNING, app, set()).values())
    crash.end(process)
    assert list(crash.BOXES.iterdir())
    assert ctl("gc").rc == 0
    picture.wait_equal(network, timeout=crash.STOP + 1)
    works()


def test_all_at_once_then_the_next_login(network):
    """The next login cleans as well, and finds the address and the port free."""
    process, app = crash.hold(crash.Su())
    crash.kill_at_once(crash.find_all(crash.RUNNING, app, set()).values())
    crash.end(process)
    assert list(crash.BOXES.iterdir())
    results = [su() for _ in range(3)]
    assert [result.rc for result in results][-1] == 0, results
    picture.wait_equal(network, timeout=crash.STOP + 1)


@pytest.mark.timeout(900)
def test_kill_of_nsbox_net(network):
    """nsbox-net itself dies at any moment of its few milliseconds, at login and logout: refused or let in, nothing is left."""
    numbers = random.Random(7)
    killed = 0
    for _ in range(host.count(300, 40)):
        process, _ = crash.Su().start("true")
        end = time.monotonic() + 3
        while time.monotonic() < end and process.poll() is None:
            found = [pid for pid in host.pids() if host.comm(pid) == "nsbox-net"]
            if found:
                time.sleep(numbers.uniform(0, 0.004))
                for pid in found:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        killed += 1
                break
        status, out, errors = crash.end(process)
        if status != 0:
            reference(out + errors)
        crash.settle((), network) if not crash.BOXES.exists() or not list(crash.BOXES.iterdir()) else (
            host.wait_until(lambda: not crash.ours(), timeout=8), crash.collect_garbage(), picture.wait_equal(network, timeout=3))
    assert killed > 5, killed
    works()


def sweep_leases():
    """A helper that dies between the lease and the record leaves an address that is nobody's: it is taken by the next one, or swept."""
    with contextlib.suppress(FileNotFoundError):
        if any(not (crash.BOXES / os.readlink(path)).exists() for path in pathlib.Path("/run/nsbox/leases").iterdir()):
            crash.collect_garbage()


@pytest.mark.timeout(600)
def test_kill_at_random_moments(network):
    """Somebody dies at any moment of a login, and one who could clean remains."""
    choices = list(crash.combinations(("app", "helper", "monitor", "init"), 4)) + [("app", "guard", "init")]
    numbers = random.Random(3)
    for _ in range(host.count(500, 40)):
        victims, delay = numbers.choice(choices), numbers.uniform(0, 0.06)
        process, _ = crash.Su().start("sleep 0.03")
        time.sleep(delay)
        found = {"app": {process.pid}, **{name: find() for name, find in crash.FIND.items() if name in victims}}
        crash.kill_at_once(set().union(*(found[name] for name in victims)))
        crash.end(process)
        try:
            picture.wait_equal(network, timeout=0.5)
        except AssertionError:
            sweep_leases()
        try:
            picture.wait_equal(network, timeout=crash.STOP + 2)
        except AssertionError as error:
            raise AssertionError(f"killed {victims} ({found}) after {delay} s: {error}") from None
    works()


def test_application_that_does_not_reap(network):
    """PID 1 cannot finish dying while the application is stopped: link and rules go all the same, and the address is free."""
    process, app = crash.hold(crash.Su())
    monitor = crash.find_all(("monitor",), app, set())["monitor"]
    crash.stop(app)
    os.kill(monitor, signal.SIGTERM)
    host.wait_until(lambda: not netlab.our_links() and not netlab.elements(), timeout=crash.STOP + 4, what="link and rules are gone")
    works()
    os.kill(app, signal.SIGCONT)
    crash.end(process)
    picture.wait_equal(network, timeout=crash.STOP + 2)


def test_helper_killed_with_nsbox_net_running(network):
    """Helper and application are gone while nsbox-net works: what it still makes goes too."""
    for _ in range(host.count(50, 10)):
        process, _ = crash.Su().start("true")
        end = time.monotonic() + 2
        while time.monotonic() < end and process.poll() is None:
            if any(host.comm(pid) == "nsbox-net" for pid in host.pids()):
                crash.kill_at_once([process.pid, *crash.FIND["helper"]()])
                break
        crash.end(process)
        host.wait_until(lambda: not crash.ours() and not host.find("nsbox-net"), timeout=8)
        crash.collect_garbage()
        picture.wait_equal(network, timeout=4)
    works()


def test_no_nft_no_login(network):
    """A table of our name that is somebody else's: refused with a sentence, the table stays as it is."""
    if netlab.elements() or "nsbox" in host.run("nft", "list", "tables", check=True).out:
        host.run("sh", "-c", "nft delete table inet nsbox; nft delete table bridge nsbox")
    for family in ("inet", "bridge"):
        host.run("nft", f"add table {family} nsbox; add chain {family} nsbox mine", check=True)
    try:
        before = host.run("nft", "list", "ruleset", check=True).out
        since = syslog.mark()
        result = su()
        line = line_of(reference(result.out + result.err), since, helper_lines=None)
        assert "nsbox" in line and host.run("nft", "list", "ruleset", check=True).out == before, line
    finally:
        for family in ("inet", "bridge"):
            host.run("nft", "delete", "table", family, "nsbox", check=True)
    works()


def test_a_lease_without_a_box(network):
    """What a login that was killed too early has left: gc removes it, and leaves the leases of boxes."""
    with Box("alice") as box:
        leases = pathlib.Path("/run/nsbox/leases")
        before = sorted(path.name for path in leases.iterdir())
        (leases / "10.213.0.200").symlink_to("zzzzzzzzzz")
        (leases / "10.213.0.201").symlink_to("../../etc")
        assert box.id and crash.collect_garbage() == "0\n"
        assert sorted(path.name for path in leases.iterdir()) == before
