# SPDX-License-Identifier: BSD-3-Clause
# build: fault
"""Every step of every kind of root fails once, and programs are killed while a box with an image or a kept directory is made:
no mount, loop device, directory or lock is left, and the next login gets in."""
import itertools
import os
import pathlib
import re

import pytest

from attacks import su
from attacks.roots import KEPT, KEPT_KINDS, KINDS, every, harmless, loops
from lib import host, pamapp, syslog
from lib.refusal import LIBEXEC
from test_crash import FAULT, REACHED, STOP, Su, end, find_all, hold, kill_at, kill_at_once, ours, settle, victims_at

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

IMAGES_AND_KEPT = ("squashfs", "erofs+memory", "squashfs+kept", "directory+kept", "layers+kept", "curated")


@pytest.fixture(params=KINDS)
def kind(request, conf):
    with every(request.param, conf) as made:
        conf.pam("probe", text="session required pam_nsbox.so\nsession required pam_permit.so\n")
        made.use(f"stop_timeout = {STOP}s", "hostname = box", *pamapp.SEVERAL_SESSIONS.splitlines())
        yield made
        FAULT.unlink(missing_ok=True)
        REACHED.unlink(missing_ok=True)


some = pytest.mark.parametrize("kind", IMAGES_AND_KEPT, indirect=True)


def fails_at(app, step):
    """What the log says of a login whose step fails; None where it got in."""
    begin = syslog.mark()
    FAULT.write_text(f"fail {step}\n")
    try:
        answer = app.do("open", "probe", "alice")
    finally:
        FAULT.unlink()
    assert answer["changed"] == {}, (step, answer)
    if answer["code"] == pamapp.PAM_SUCCESS:
        return None
    assert answer["code"] == pamapp.PAM_SYSTEM_ERR, (step, answer)
    return syslog.wait_for(r"login of alice refused: |box \w+ of alice was taken back: ", begin)


def test_every_step_leaves_nothing(kind, baseline):
    """The directory that keeps writes is not there afterwards if it was not before, and the loop device goes at once."""
    told = []
    with pamapp.App() as app:
        for step in itertools.count():
            line = fails_at(app, step)
            if line is None:
                break
            told.append(re.search(r": step ([a-z_-]+)|$", line).group(1))
            host.wait_until(lambda: os.listdir(KEPT) == [], what=f"nothing of step {step} ({line}) is kept")
            host.wait_until(lambda: loops() == {}, what=f"no loop device is left of step {step} ({line})")
    assert len(told) > 60, told
    root = {"host": "root", "curated": "root-tmpfs"}.get(kind.name)
    if "layers" in kind.name or "+" in kind.name:
        root = "overlay-host" if kind.source == "host" else "overlay"
    wanted = {root or "root", "pivot", "prove"} | ({"upper"} if "kept" in kind.name else set())
    wanted |= {"layer"} if root == "overlay" else {"seal", "alias"} if kind.name == "curated" else set()
    assert wanted <= set(told), set(told)


@pytest.mark.parametrize("kind", KEPT_KINDS, indirect=True)
def test_every_step_with_a_directory_that_is_there(kind, baseline):
    """One that was there before stays, with what is in it."""
    mine = pathlib.Path(KEPT, "alice")
    assert harmless(su("alice", "readlink /proc/self/ns/mnt"))
    (mine / "upper/mark").write_text("")
    with pamapp.App() as app:
        for step in itertools.count(0, host.count(1, 7)):
            if fails_at(app, step) is None:
                break
            assert (mine / "upper/mark").exists() and sorted(os.listdir(mine)) == ["lock", "upper", "work"], step
    assert step > 60 and harmless(su("alice", "readlink /proc/self/ns/mnt; ls /mark"))


@some
@pytest.mark.parametrize("stage", ["check", "host", "build", "enclose", "exec", "answer", "commit"])
def test_kill_while_opening(kind, baseline, stage):
    """kill -9 of the application, the helper, PID 1, each alone, at a stage: the next login gets in."""
    for victim in victims_at(stage):
        status, out, errors = kill_at(stage, (victim,), Su(), ours())
        try:
            settle((victim,), baseline)
        except AssertionError as error:
            raise AssertionError(f"{stage}, killed {victim} ({status}, {out}, {errors}): {error}") from None
        assert loops() == {}
        assert harmless(su("alice", "readlink /proc/self/ns/mnt")), (stage, victim)


@some
def test_kill_while_running(kind, baseline):
    """The same in a box that runs: the directory is free for the next login, the loop device goes."""
    for victims in (("app",), ("monitor",), ("init",), ("guard",), ("app", "monitor"), ("monitor", "init"), ("app", "init")):
        others = ours()
        process, app = hold(Su())
        kill_at_once(find_all(victims, app, others).values())
        end(process)
        settle(victims, baseline)
        assert loops() == {}
        assert harmless(su("alice", "readlink /proc/self/ns/mnt")), victims


def test_this_build_holds_the_injection():
    assert b"nsbox-fault" in pathlib.Path(LIBEXEC, "nsbox-helper").read_bytes()
