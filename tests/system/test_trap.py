# SPDX-License-Identifier: BSD-3-Clause
# build: trap
# full: a build of its own, for six tests; test_asan.py has undefined behaviour too
"""Stock sshd, su, sudo and cron with module, helper, init and monitor that trap on undefined behaviour
(-fsanitize=undefined -fsanitize-trap): a trap is SIGILL, which ends the program, and with it the login."""
import glob
import os
import pathlib

import pytest

from lib import host, syslog

BOXED = "[profile all]\nusers = *\nnetwork = loopback\nstop_timeout = 1s\n"


@pytest.fixture
def boxed(conf):
    conf.nsbox(BOXED)
    conf.pam_all()
    return conf


def test_build_traps():
    """Each binary has traps, and no sanitizer's library, which stock programs could not load."""
    programs = [*glob.glob("/usr/libexec/nsbox/*"), "/usr/sbin/nsboxctl", *glob.glob("/lib/*/security/pam_nsbox.so")]
    assert len(programs) >= 5
    for path in programs:
        code = host.run("objdump", "-d", "--no-show-raw-insn", path, check=True).out
        assert "\tud1" in code, path
        assert "__ubsan" not in host.run("nm", "-D", path).out, path


def test_ssh(boxed, sshd, baseline):
    """A command, and a login that is refused."""
    assert sshd.ssh("alice", "cat /proc/1/comm").out == "nsbox-init\n"
    boxed.nsbox("[profile all]\nusers = *\nroot = /no/such\nnetwork = loopback\n")
    assert sshd.ssh("alice", "true").rc != 0
    boxed.nsbox(BOXED)
    assert sshd.ssh("alice", "cat /proc/1/comm").out == "nsbox-init\n"


def test_su_and_sudo(boxed, baseline):
    """The caller's terminal or none, a nested open."""
    assert host.run("su", "alice", "-c", "cat /proc/1/comm; echo alicepw | su bob -c true").out == "nsbox-init\n"
    boxed.sudoers("alice ALL=(ALL) NOPASSWD: ALL\n")
    done = host.run("sudo", "-n", "-u", "carol", "cat", "/proc/1/comm", user="alice", group="alice", extra_groups=[], cwd="/")
    assert done.out == "nsbox-init\n", done


def test_no_signal_in_the_log(boxed, baseline):
    """Everything nsboxctl prints; no program ended by a signal (a trap exits with 132 in a shell)."""
    mark = syslog.mark()
    for words in ("check", "explain --user alice --service sshd", "explain --user alice --service su --tty /dev/pts/0", "list",
                  "list --json", "show 0", "kill 0", "gc", "run --user alice -- true"):
        done = host.run("sh", "-c", f"nsboxctl {words}; echo $?", timeout=60)
        assert done.out.splitlines()[-1] in ("0", "1"), done
    assert not syslog.matching("signal|core dumped", mark)


def test_tests_of_the_helper_by_hand(boxed, baseline):
    """Arguments that are none: a status, no signal."""
    for words in ([], ["end"], ["end", "../x"], ["gc", "x"], ["\xff"]):
        assert host.run("/usr/libexec/nsbox/nsbox-helper", *words).rc in (0, 1, 2)


def test_traps_are_seen(tmp_path):
    """The flags of this build do what the tests above rely on."""
    source = tmp_path / "fault.c"
    source.write_text("int main(int argc, char **argv) { (void)argv; int a = 2147483647; return a + argc; }\n")
    program = str(tmp_path / "fault")
    host.run("clang", "-fsanitize=undefined", "-fsanitize-trap=undefined", "-o", program, str(source), check=True)
    assert host.run(program).rc < 0
    assert pathlib.Path(os.environ["NSBOX_BUILD"], "config.status").read_text().count("-fsanitize-trap=undefined") > 0
