# SPDX-License-Identifier: BSD-3-Clause
"""A kernel without one of the newer system calls, or a seccomp filter around the service: the login is refused by the
call's name before anything is made, or works where the call is not needed. Nothing is left either way."""
import os
import pathlib
import re
import subprocess

import pytest

from lib import host, syslog
from lib.refusal import BOXED, LIBEXEC, boxed, line_of, reference, refused, su
from lib.sshd import Sshd

NEEDED = ("clone3", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "mount_setattr", "pidfd_open",
          "pidfd_send_signal", "close_range", "statx", "setns", "execveat")
NOT_NEEDED = ("openat2", "faccessat2")
OLD = ("unshare", "pivot_root", "signalfd4", "getrandom")  # every kernel has them, but not every filter lets them through


@pytest.fixture(scope="module")
def no_syscall(tmp_path_factory):
    """The command words that take system calls away from what follows: no_syscall("clone3")."""
    source = pathlib.Path(os.environ["NSBOX_SOURCE"], "tests/hostlib/no-syscall.c")
    program = tmp_path_factory.mktemp("no-syscall") / "no-syscall"
    host.run("gcc", "-O2", "-Wall", "-Wextra", "-o", str(program), str(source), check=True)
    os.chmod(program, 0o755)
    return lambda *names: [str(program), ",".join(names)]


@pytest.fixture(autouse=True)
def _stacks(conf):
    conf.pam_all()
    conf.nsbox(BOXED)


def without(words, user="alice"):
    return host.run(*words, "su", user, "-c", "echo in $NSBOX_ID", timeout=20)


def test_the_tool_takes_calls_away(no_syscall):
    """The other tests show nothing if it does not."""
    script = "import os; os.pidfd_open(os.getpid())"
    result = host.run(*no_syscall("openat2", "pidfd_open"), "python3", "-c", script)
    assert "Function not implemented" in result.err
    assert host.run(*no_syscall("openat2"), "python3", "-c", script).rc == 0
    assert host.run(*no_syscall("unknown"), "true").rc == 2


@pytest.mark.parametrize("call", NEEDED)
def test_refused_by_name(call, no_syscall, baseline):
    """The line says which call is missing; the next login, with it, works."""
    since = syslog.mark()
    line = refused(without(no_syscall(call)), since, rf"\b{call}\b")
    assert re.search(r"\(stage (lock_down|check), ENOSYS\)$", line), line  # before anything is made
    boxed(su())


@pytest.mark.parametrize("call", NOT_NEEDED)
def test_not_needed(call, no_syscall, baseline):
    """Works."""
    boxed(without(no_syscall(call)))


@pytest.mark.parametrize("call", OLD)
def test_filtered(call, no_syscall, baseline):
    """Boxed or refused, never let in without a box."""
    since = syslog.mark()
    result = without(no_syscall(call))
    if result.rc == 0:
        boxed(result)
    else:
        line_of(reference(result.out + result.err), since, r"(alice|\?)", helper_lines=None)


def test_all_missing(no_syscall, baseline):
    """Linux 5.1 or so."""
    since = syslog.mark()
    refused(without(no_syscall("clone3", "open_tree", "move_mount", "fsopen", "fsmount", "mount_setattr", "pidfd_open",
                               "close_range")), since, "missing")


@pytest.mark.parametrize("call", ["clone3", "mount_setattr", "pidfd_send_signal"])
def test_ssh_is_refused_in_the_account_phase(call, no_syscall, baseline):
    """sshd disconnects, and tells the user why in a banner."""
    server = Sshd()
    try:
        server.stop()
        server.process = subprocess.Popen([*no_syscall(call), "/usr/sbin/sshd", "-D", "-f",
                                           f"{server.directory}/sshd_config"], stdin=subprocess.DEVNULL,
                                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        host.wait_until(server._listens, timeout=10, what="sshd listens")
        since = syslog.mark()
        result = server.ssh("alice", "echo in", opts=("-o", "LogLevel=INFO"))
        assert result.rc == 255
        refused(result, since, rf"\b{call}\b")
    finally:
        server.stop()


@pytest.mark.parametrize("call", ["pidfd_send_signal", "execveat", "close_range", "statx"])
def test_call_missing_for_the_end_only(call, no_syscall, baseline):
    """gc run by hand where a call is missing (a filter around the administrator's shell) cleans or says that it cannot,
    and does not hang."""
    process = subprocess.Popen(["su", "alice", "-c", "echo ready; exec cat"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    result = host.run(*no_syscall(call), f"{LIBEXEC}/nsbox-helper", "gc", timeout=10)
    assert result.rc == 0 and result.out == "0\n", result  # the box lives, so it stays
    process.communicate(timeout=10)
