# SPDX-License-Identifier: BSD-3-Clause
# build: fault
"""user_namespace = keep-id: every step fails once, and somebody dies at every stage. Nothing is left, and the only range of
the pool is free again each time."""
import os
import pathlib
import re
import subprocess

import pytest

from lib import baseline as picture
from lib import host, pamapp, syslog
from lib.refusal import BOXED, LIBEXEC, boxed, su
from system import test_crash as crash
from system import test_faults as faults

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

TREES = pathlib.Path("/srv/fault-trees")
KEPT = (BOXED.replace("users = *", "users = * !root") + "user_namespace = keep-id\nsubid_pool = 1879048192-1879113727\n"
        "stop_timeout = 1s\n")
PROFILES = {
    "host": KEPT + "hostname = box-of-%u\nhome = overlay\naccount_files = minimal\nbind = /srv/fault-trees/data:/mnt\n",
    "overlay": KEPT + f"root = {TREES}/tree\noverlay = {TREES}/kept/%u\n",
    "directory": KEPT + f"root = {TREES}/tree\nroot_readonly = yes\nhome = tmpfs\n",
}


@pytest.fixture(scope="module", autouse=True)
def _trees():
    """A file system that can be mapped, with a tree that has a shell."""
    TREES.mkdir(mode=0o755)
    host.run("mount", "-t", "tmpfs", "-o", "size=64m,mode=0755", "trees", str(TREES), check=True)
    for name in ("tree", "kept", "data", *(f"tree/{part}" for part in ("bin", "dev", "etc", "home", "proc", "run", "sys", "tmp",
                                                                       "var", "var/tmp", "srv"))):
        (TREES / name).mkdir(mode=0o755)
    for name in ("busybox", "sh", "echo", "id", "true"):
        host.run("cp", "/bin/busybox", f"{TREES}/tree/bin/{name}", check=True)
    yield
    host.run("umount", str(TREES), check=True)
    TREES.rmdir()


def shell(conf):
    """One that the tree has."""
    conf.file("/etc/passwd", re.sub(r"^((?:alice|bob):.*:)[^:\n]*$", r"\1/bin/sh", pathlib.Path("/etc/passwd").read_text(), flags=re.M))


@pytest.fixture(params=PROFILES)
def profile(request, conf):
    conf.pam_all()
    shell(conf)
    conf.pam("probe", text="session required pam_nsbox.so\nsession required pam_permit.so\n")
    conf.nsbox(PROFILES[request.param])
    return request.param


def test_every_step(profile, baseline):
    """Each is told with one reference, the steps of this key among them. Application and host are as before, however far the
    box had come; a login that works ends the list. (Its application would stay in the box, so that one is su's.)"""
    told = []
    with pamapp.App() as app:
        while True:
            with faults.failing(len(told)):
                result = su()
            if result.rc == 0:
                boxed(result)
                break
            told.append(faults.refusal_of(app, len(told)))
    words = faults.words_of(told)
    assert len(words) > 50 and {"user-namespace", "enter-owned", "become-root", "register", "init"} <= set(words), words
    if profile == "overlay":
        assert {"layer", "overlay", "upper"} <= set(words), words


def test_each_step_leaves_the_host_as_it_was(profile, baseline):
    number = 0
    while True:
        since = syslog.mark()
        with faults.failing(number):
            result = su()
        if result.rc == 0:
            boxed(result)
            break
        faults.refusal_of_su(result, since)
        try:
            picture.wait_equal(baseline, timeout=2)
        except AssertionError as error:
            raise AssertionError(f"step {number} ({syslog.lines_since(since)}): {error}") from None
        number += host.count(1, 3)
    assert number > 50


@pytest.fixture
def login(conf):
    conf.pam_all()
    shell(conf)
    conf.nsbox(PROFILES["overlay"])
    yield crash.Su()
    crash.FAULT.unlink(missing_ok=True)
    crash.REACHED.unlink(missing_ok=True)


@pytest.mark.parametrize("stage", crash.STAGES)
def test_kill_while_opening(stage, login, baseline):
    """Every one and every pair: the next login gets the range, which is the only one."""
    crash.kill_all_at(stage, login, 2, baseline)
    status, out, errors = crash.end(login.start("true")[0])
    assert status == 0, (out, errors)


@pytest.mark.parametrize("stage", ("host", "spawn", "build", "exec", "answer"))
def test_all_at_once_then_the_next_login_cleans(stage, login, baseline):
    """With nobody left to clean it is the next login that does, or gc."""
    crash.kill_at(stage, crash.victims_at(stage), login, set())
    crash.collect_garbage()
    status, out, errors = crash.end(login.start("true")[0])
    assert status == 0, (out, errors)
    picture.wait_equal(baseline, timeout=2)


def test_application_that_dies_half_way(login, baseline):
    """COMMITTED is said before the application joins: one that is gone by then is seen to be gone."""
    with crash.pause("commit"):
        process, app = login.start("true")
        host.wait_until(lambda: crash.REACHED.exists(), timeout=10, what="a helper at commit")
        crash.kill_at_once([app()])
    crash.end(process)
    picture.wait_equal(baseline, timeout=3)
    assert subprocess.run(["su", "alice", "-c", "true"], check=False).returncode == 0
    assert os.path.exists(f"{LIBEXEC}/nsbox-helper")
