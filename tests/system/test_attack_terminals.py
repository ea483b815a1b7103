# SPDX-License-Identifier: BSD-3-Clause
"""Line 16: input that a session pushes into the terminal that it was started from, which root's shell reads after it
(CVE-2016-2568, CVE-2017-5226)."""
import contextlib
import os

import pytest

from attacks import OPEN_TO_ALL, PLACE, table, tool
from lib import host

PROMPT = "OUT> "
SAID = "pushed-42"
WAYS = {
    # -c would begin a session of its own, without the terminal as its own
    "su": "su alice --session-command '{}'",
    "su -": "su - alice --session-command '{}'",
    "sudo": "sudo -u alice sh -c '{}'",
    "sudo -i": "sudo -i -u alice sh -c '{}'",
}


@pytest.fixture
def conf(conf):
    conf.pam_all()
    conf.pam("sudo-i")
    conf.pam("su", first=OPEN_TO_ALL)
    # with a terminal of sudo's own between, what is pushed stays in there
    conf.sudoers("root ALL=(ALL) NOPASSWD: ALL\nDefaults !use_pty, !lecture\n")
    tool("push")
    return conf


@pytest.fixture
def legacy():
    """Where the kernel itself can forbid it (Linux 6.2), this host allows it: the product must not lean on that."""
    text = host.read("/proc/sys/dev/tty/legacy_tiocsti", "1")
    assert text.strip() == "1", "dev.tty.legacy_tiocsti is 0: the kernel stops it before the product does"


@contextlib.contextmanager
def outer_shell():
    """Root's shell on a terminal."""
    child = host.spawn("bash", "--norc", "--noprofile", env={**os.environ, "TERM": "dumb"})
    child.sendline("PS1='OUT''> '")
    child.expect_exact(PROMPT)
    yield child
    child.close(force=True)


def pushed(way, how):
    """(what the kernel said, whether the outer shell ran it)"""
    with outer_shell() as child:
        child.sendline(WAYS[way].format(f"{PLACE}/push {how} \"echo pushed-\\$((6*7))\""))
        child.expect(rf"\n{how} (\w+)\r")
        said = child.match.group(1)
        child.expect_exact(PROMPT)
        child.sendline("echo the-end-$((1+1))")
        child.expect_exact("the-end-2")
        return said, SAID in child.before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("profile", ["default", "strict", "shared"])
def test_input_into_the_outer_terminal(conf, legacy, baseline, profile, way):
    """Nothing that the session pushes arrives, whatever bits the number has; the session is on that very terminal."""
    conf.nsbox(f"[profile all]\nusers = *\n{table.PROFILES[profile]}\n")
    for how in ("sti", "sti64", "linux"):
        assert pushed(way, how) == ("EPERM", False), how


@pytest.mark.parametrize("way", WAYS)
def test_without_the_filter(conf, legacy, baseline, way):
    """With seccomp = off it arrives, so the test above is not blind. (TIOCLINUX is for virtual consoles: none is here.)"""
    conf.nsbox("[profile all]\nusers = *\nseccomp = off\n")
    for how in ("sti", "sti64"):
        assert pushed(way, how) == ("OK", True), how
    assert pushed(way, "linux")[0] in ("ENOTTY", "EINVAL")
