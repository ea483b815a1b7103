# SPDX-License-Identifier: BSD-3-Clause
"""Who the user is: asked of nsbox-account, by name services that do not know, fail, hang, die, or know of many groups."""
import errno
import os
import pathlib
import socket
import sys
import time

import pytest

from attacks import DEADLINE
from lib import host, pamapp, syslog
from lib.refusal import BOXED, LIBEXEC, boxed, line_of, moved_away, reference, refused, replaced, su

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "pam"))
from test_pamtester import NameService, compile_program  # noqa: E402  pylint: disable=wrong-import-position

ACCOUNT = f"{LIBEXEC}/nsbox-account"
PROBE = "account required pam_nsbox.so\nsession required pam_nsbox.so\nsession required pam_permit.so\n"
SOCKET = "/run/nslcd/socket"


@pytest.fixture(autouse=True)
def asked(conf):
    """The library of a daemon that is asked after the files: dave is its user."""
    library = compile_program("libnss_nsbtest", "-shared", "-fPIC")
    conf.file("/lib/x86_64-linux-gnu/libnss_nsbtest.so.2", pathlib.Path(library).read_bytes(), mode=0o755)
    conf.file("/etc/nsswitch.conf", "passwd: files nsbtest\ngroup: files nsbtest\nshadow: files\nhosts: files\n")
    conf.pam("su")
    conf.pam("probe", text=PROBE)
    conf.nsbox(BOXED)


@pytest.fixture
def service():
    daemon = NameService()
    yield daemon
    daemon.stop()


@pytest.fixture
def silent():
    """The daemon's socket: whoever connects is not answered."""
    os.makedirs("/run/nslcd")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(SOCKET)
    listener.listen(64)
    yield listener
    listener.close()
    os.unlink(SOCKET)
    os.rmdir("/run/nslcd")


def ask(user):
    result = host.run(ACCOUNT, user, timeout=5)
    return result.rc, result.out.split("\0")[:-1], result.err


def opened(user, code=pamapp.PAM_SYSTEM_ERR, service="probe"):
    """A PAM application's session of the user is refused: the line of syslog."""
    since = syslog.mark()
    with pamapp.App() as app:
        answer = app.do("open", service, user)
        assert answer["code"] == code and answer["changed"] == {}, answer
        return line_of(reference("\n".join(answer["said"])), since, user)


def test_what_the_program_prints(service, conf):
    """The strings of an account; the two ways to fail; nothing by hand."""
    assert ask("alice")[0:2] == (0, ["alice", "2001", "2001", "/home/alice", "/bin/bash", *ask("alice")[1][5:]])
    assert ask("dave") == (0, ["dave", "5001", "5001", "/home/dave", "/bin/bash", ":", "5001 dave", "5100 directory"], "")
    assert ask("nosuch") == (errno.ENOENT, [], "the name service does not know the user nosuch\n")
    for words in ([], [""], ["alice", "bob"]):
        result = host.run(ACCOUNT, *words, timeout=5)
        assert (result.rc, result.out) == (errno.EINVAL, "") and "usage" in result.err, result


def test_user_of_a_daemon(service, conf, baseline):
    """A name service that only a library knows: asked once in a login, in the host, and not by the helper."""
    os.makedirs("/home/dave")
    os.chown("/home/dave", 5001, 5001)
    try:
        boxed(su("dave"))
        questions = [question for question, namespace in service.asked if question == "initgroups dave"]
        assert questions and service.asked_by_account.count("passwd dave") == 1, service.asked
    finally:
        os.rmdir("/home/dave")


def test_unknown_user(service, conf, baseline):
    assert "the name service does not know the user nosuch (stage request, ENOENT)" in opened("nosuch")


def test_name_service_that_is_down(silent, conf, baseline):
    """It does not know that there is no such user: another refusal than that of an unknown one."""
    silent.close()  # the socket is there, nobody listens
    assert ask("dave") == (errno.ECONNREFUSED, [], "cannot look up the user dave: Connection refused\n")
    assert "cannot look up the user dave: Connection refused (stage request, ECONNREFUSED)" in opened("dave")
    boxed(su("alice"))


def test_name_service_that_hangs(silent, conf, baseline):
    """The login is refused in time, and nobody goes on asking."""
    began = time.monotonic()
    line = opened("dave")
    assert time.monotonic() - began < DEADLINE + 2 and "stage launch" in line, line
    host.wait_until(lambda: not host.find("nsbox-account") and not host.find("nsbox-helper"), what="both are gone")


def test_account_program_ends_by_itself(silent, conf, baseline):
    """Should nobody kill it: without a helper it lives no longer than one."""
    began = time.monotonic()
    result = host.run(ACCOUNT, "dave", timeout=DEADLINE + 5)
    assert result.rc < 0 and 8 < time.monotonic() - began < DEADLINE, result


def test_account_program_is_missing(conf, baseline):
    """Half an uninstallation is no unknown user."""
    with moved_away(ACCOUNT):
        line = opened("alice")
    assert f"{ACCOUNT} does not start: nsbox is not installed as a whole (stage request, EIO)" in line, line
    boxed(su("alice"))


def test_services_that_root_starts(service, conf, baseline):
    """There the module asks, in the application, in the account phase: no program is needed, and it is one question for account and
    session. Not in another service, where a caller may have set the limits, nor in a session, where pam_limits may have."""
    os.makedirs("/home/dave")
    os.chown("/home/dave", 5001, 5001)
    conf.nsbox("[profile directory]\nusers = @directory\nnetwork = loopback\n")  # of a group that only the daemon knows
    conf.pam("sshd", text=PROBE)
    try:
        with moved_away(ACCOUNT), pamapp.App() as app:
            assert app.do("account", "sshd", "dave")["code"] == pamapp.PAM_SUCCESS
        assert service.asked_by_account == [] and ("gid 5100", host.namespaces()["pid"]) in service.asked
        with moved_away(ACCOUNT):
            assert "does not start" in opened("dave")
            assert "does not start" in opened("dave", service="sshd")
        with moved_away(ACCOUNT), pamapp.App(wrapper=["setpriv", "--ruid", "alice"]) as app:  # a setuid program
            assert app.do("account", "sshd", "dave")["code"] == pamapp.PAM_PERM_DENIED
    finally:
        os.rmdir("/home/dave")


@pytest.mark.parametrize("script, words", [
    ("kill -SEGV $$", "nsbox-account died of signal 11 (stage request, EIO)"),
    ("printf 'bob\\0002002\\000'", "nsbox-account answered what is no account of alice (stage request, EIO)"),
    ("echo 'cannot do that' >&2; exit 28", "cannot do that (stage request, ENOSPC)"),
])
def test_account_program_that_fails(script, words, conf, baseline):
    with replaced(ACCOUNT, f"#!/bin/sh\n{script}\n".encode()):
        since = syslog.mark()
        refused(su("alice"), since, words.replace("(", "\\(").replace(")", "\\)"))


def test_broken_configuration_of_an_unknown_user(conf, baseline):
    """The two are read side by side; who the user is is told first, as ever."""
    conf.nsbox("[profile all\n")
    assert "does not know the user nosuch (stage request, ENOENT)" in opened("nosuch")
    assert "(stage configure, EBADMSG)" in opened("alice", pamapp.PAM_SERVICE_ERR)


def test_many_groups(conf, baseline):
    """More than a message between account phase and session holds, so asked for in both: the last of 1500 decides."""
    text = host.read("/etc/group")
    conf.file("/etc/group", text + "".join(f"crowd{number}:x:{20000 + number}:alice\n" for number in range(1500)))
    conf.nsbox("[profile all]\nusers = @crowd1499\nnetwork = loopback\n")
    assert len(ask("alice")[1]) > 1500
    boxed(su("alice"))
    assert len(host.run("su", "alice", "-c", "id -G", check=True).out.split()) > 1500
