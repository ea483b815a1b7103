# SPDX-License-Identifier: BSD-3-Clause
# build: fault
"""Whoever dies while a login joins a box: the box and its other sessions are as before, and nothing is left."""
import contextlib
import itertools
import os
import pathlib
import signal
import subprocess

import pytest

from lib import baseline as picture
from lib import host
from lib.ctl import BOXES, boxes, ctl
from lib.refusal import su

FAULT = pathlib.Path("/run/nsbox-fault")
REACHED = pathlib.Path("/run/nsbox-fault.reached")
CACHE = pathlib.Path("/tmp/krb5cc_2001")
PROFILE = "[profile all]\nusers = *\nnetwork = loopback\nshare = user\n"


@pytest.fixture
def shared(conf, baseline):
    """Logins that share a box and bring tickets, so that there is work inside."""
    CACHE.write_text("tickets")
    os.chown(CACHE, 2001, 2001)
    conf.file("/etc/tickets", f"KRB5CCNAME=FILE:{CACHE}\n")
    conf.pam("su", before_open=["session required pam_env.so envfile=/etc/tickets"])
    conf.nsbox(PROFILE)
    yield baseline
    CACHE.unlink()


def begin():
    return subprocess.Popen(["su", "alice", "-c", "echo ready; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def end(process):
    process.communicate(timeout=20)


def members():
    (box,) = boxes()
    return os.listdir(f"{BOXES}/{box['id']}/members")


def find(name):
    return set(host.find(name))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("stage", ["host", "build", "answer", "commit"])
def test_killed_while_joining(shared, stage):
    for n in (1, 2):
        for victims in itertools.combinations(("app", "helper", "monitor", "guard", "init"), n):
            first = begin()
            assert first.stdout.readline() == b"ready\n"
            of_box = {"monitor": find("nsbox-monitor"), "guard": find("nsbox-guard"), "init": find("nsbox-init")}
            assert all(len(found) == 1 for found in of_box.values()), of_box
            FAULT.write_text(f"pause {stage}\n")
            second = begin()
            host.wait_until(REACHED.exists, what="the helper is there")
            found = {"app": {second.pid}, "helper": find("nsbox-helper"), **of_box}
            for victim in victims:
                for pid in found[victim]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            FAULT.unlink()
            REACHED.unlink()
            try:
                if not {"monitor", "init"} & set(victims):
                    end(second)
                    host.wait_until(lambda: len(members()) == 1, what="one member")
                    assert first.poll() is None and su().out.startswith("in ")
                end(first)
                end(second)
                if "monitor" in victims and "guard" in victims:
                    ctl("gc")
                picture.wait_equal(shared, timeout=4)
            except AssertionError as error:
                raise AssertionError(f"{stage}, killed {victims}: {error}") from None


def test_each_step_fails_once(shared):
    """Of the steps that a login has in a box that is there: it is refused, and the box goes on."""
    refused = []
    first = begin()
    assert first.stdout.readline() == b"ready\n"
    (box,) = boxes()
    for number in range(120):
        FAULT.write_text(f"fail {number}\n")
        result = su(command="echo in $NSBOX_ID; ls /tmp")
        refused += [number] if result.rc else []
        assert result.rc != 0 or result.out.startswith(f"in {box['id']}\n"), (number, result)
        host.wait_until(lambda: len(members()) == 1, what="one member")
    FAULT.unlink()
    assert len(refused) == 3, refused  # member, filter and credentials; su makes no record
    assert first.poll() is None
    end(first)
