# SPDX-License-Identifier: BSD-3-Clause
"""Each thing that the application takes upon itself fails once, or is not done though the kernel says so: the session is refused,
the application is back where it was, nothing is left. And RLIMIT_CORE, on a host whose core_pattern is a program."""
import errno
import os
import re
import resource

import pytest

from lib import ctl as boxes
from lib import host, privileges, syslog
from lib.ctl import ctl
from lib.pamapp import PAM_SUCCESS, PAM_SYSTEM_ERR, App
from lib.privileges import BY_ALICE, WAYS
from lib.refusal import reference, refused

PROFILE = "[profile all]\nusers = *\nnetwork = loopback\nseccomp = off\n"
CONFINED = f"{PROFILE}no_new_privs = yes\n"
SERVICE = "nsbox-app"
SYS_CAPGET, SYS_CAPSET, SYS_SETRESUID, SYS_KEYCTL = 125, 126, 117, 250
PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 23, 24, 38, 39, 47
# "function number errno": what the log says. 0: the call says that it is done, and is not.
FAULTS = {
    f"syscall {SYS_KEYCTL} {errno.EDQUOT}": r"cannot make a session keyring: Disk quota exceeded",
    f"syscall {SYS_KEYCTL} {errno.EACCES}": r"cannot make a session keyring: Permission denied",
    f"setrlimit {resource.RLIMIT_CORE} {errno.EINVAL}": r"cannot set RLIMIT_CORE: Invalid argument",
    f"setrlimit {resource.RLIMIT_CORE} {errno.EPERM}": r"cannot set RLIMIT_CORE to 1.* or set core = yes",
    f"setrlimit {resource.RLIMIT_CORE} 0": r"RLIMIT_CORE is not what was set",
    f"syscall {SYS_CAPGET} {errno.EPERM}": r"cannot read the capabilities: Operation not permitted",
    f"syscall {SYS_CAPSET} {errno.EPERM}": r"cannot empty the inheritable capabilities: Operation not permitted",
    f"syscall {SYS_CAPSET} 0": r"inheritable capabilities are left",
    f"prctl {PR_CAP_AMBIENT} {errno.EINVAL}": r"cannot empty the inheritable capabilities: Invalid argument",
    f"prctl {PR_CAPBSET_READ} {errno.ENOSYS}": r"cap_chown is not as the profile wants it",
    f"prctl {PR_CAPBSET_DROP} {errno.EPERM}": r"cannot take cap_dac_read_search out of the bounding set: Operation not permitted "
    r"\(the application needs CAP_SETPCAP\)",
    f"prctl {PR_CAPBSET_DROP} 0": r"cap_dac_read_search is not as the profile wants it",
    f"prctl {PR_SET_NO_NEW_PRIVS} {errno.EINVAL}": r"cannot set no_new_privs: Invalid argument",
    f"prctl {PR_SET_NO_NEW_PRIVS} 0": r"no_new_privs is not what was set",
    f"prctl {PR_GET_NO_NEW_PRIVS} {errno.EINVAL}": r"no_new_privs is not what was set",
}
# What an application may have afterwards that it did not have before.
STAYS = {"status CapBnd", "status CapInh", "status CapAmb", "status NoNewPrivs", "limits"}


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """The environment in which a call of the application's fails: failing("prctl 24 1")."""
    source = os.path.join(os.environ["NSBOX_SOURCE"], "tests/pam/fail-call.c")
    library = str(tmp_path_factory.mktemp("fail-call") / "fail-call.so")
    host.run("gcc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", library, source, check=True)
    return lambda fault: {**os.environ, "LD_PRELOAD": library, "NSBOX_FAIL_CALL": fault}


@pytest.fixture
def boxed(conf, baseline):
    privileges.open_ways(conf)
    conf.pam(SERVICE, text="session required pam_nsbox.so\n")
    conf.nsbox(CONFINED)
    return conf


@pytest.mark.parametrize("fault", FAULTS)
def test_each_step_fails(fault, core_pattern, boxed, failing):
    """PAM_SYSTEM_ERR with a sentence; namespaces, root, directory, groups, ids and descriptors are as before."""
    boxed.nsbox(CONFINED)
    with App(env=failing("none 0 0")) as app:
        assert app.do("hold", SERVICE, "alice")["code"] == PAM_SUCCESS  # the library by itself harms nothing
        app.do("release")
    core_pattern("|/bin/false")
    since = syslog.mark()
    inheritable = [] if "syscall 126 0" not in fault else ["setpriv", "--inh-caps", "+net_raw"]
    with App(env=failing(fault), wrapper=inheritable) as app:
        answer = app.do("open", SERVICE, "alice")
        assert answer["code"] == PAM_SYSTEM_ERR, answer
        assert set(answer["changed"]) <= STAYS, answer
        ref = reference("\n".join(answer["said"]))
        line = syslog.wait_for(rf"nsbox {ref}: login of alice refused: ", since)
        assert re.search(rf"refused: {FAULTS[fault]} \(stage join, E[A-Z]+\)$", line), line
        host.wait_until(lambda: not os.listdir("/run/nsbox/boxes"), what="the box has ended")
        assert "nsbox" not in host.read(f"/proc/{app.pid}/cgroup")


@pytest.mark.parametrize("share", ["session", "user"])
def test_application_that_cannot_join(share, boxed, failing):
    """The box is built and its monitor is there already, or somebody else's is: the application closes its line instead of saying
    JOINED, and the helper's side says so."""
    boxed.nsbox(f"{CONFINED}share = {share}\n")
    since = syslog.mark()
    with App(env=failing(f"setns 0 {errno.EPERM}")) as app:
        answer = app.do("open", SERVICE, "alice")
        assert answer["code"] == PAM_SYSTEM_ERR and answer["changed"] == {}, answer
        ref = reference("\n".join(answer["said"]))
        line = syslog.wait_for(rf"nsbox {ref}: login of alice refused: ", since)
        assert re.search(r"refused: cannot join the box: Operation not permitted \(.*\) \(stage join, EPERM\)$", line), line
        syslog.wait_for(rf"^authpriv.err nsbox-helper\[\d+\] box {ref} of alice was taken back: the application did not join$", since)
        host.wait_until(lambda: not os.listdir("/run/nsbox/boxes"), what="the box has ended")
        assert "nsbox" not in host.read(f"/proc/{app.pid}/cgroup")


def test_debug_tells_the_times(boxed):
    """What `debug` in the PAM line is for: each stage, the builder's among them, in microseconds."""
    boxed.pam(SERVICE, text="session required pam_nsbox.so debug\n")
    since = syslog.mark()
    with App() as app:
        assert app.do("hold", SERVICE, "alice")["code"] == PAM_SUCCESS
        line = syslog.wait_for(r"^authpriv.debug nsbox-helper\[\d+\] nsbox \w{10}: times in us: ", since)
        app.do("release")
    times = [(stage, int(number)) for stage, number in re.findall(r"(\w+) (\d+)(?:, |$)", line.partition("times in us: ")[2])]
    assert [stage for stage, _ in times] == ["lock_down", "request", "configure", "plan", "check", "host", "spawn", "build", "enclose",
                                             "prove", "exec", "answer", "publish"], line
    assert 500 < sum(number for _, number in times) < 10_000_000, line


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM])
def test_no_keys_is_no_fault(error, boxed, failing):
    """A kernel without keys."""
    with App(env=failing(f"syscall {SYS_KEYCTL} {error}")) as app:
        assert app.do("open", SERVICE, "alice")["code"] == PAM_SUCCESS


def test_fault_in_a_shared_box(boxed, failing):
    """A login that joins and fails leaves the others their box."""
    boxed.nsbox(f"{CONFINED}share = user\n")
    with boxes.running():
        box = boxes.box(user="alice")
        since = syslog.mark()
        with App(env=failing(f"prctl {PR_SET_NO_NEW_PRIVS} {errno.EINVAL}")) as app:
            assert app.do("open", SERVICE, "alice")["code"] == PAM_SYSTEM_ERR
        syslog.wait_for("cannot set no_new_privs", since)
        host.wait_until(lambda: boxes.box(id=box["id"])["members"] == box["members"], what="one login")
        assert host.run("su", "alice", "-c", "echo $NSBOX_ID").out.strip() == box["id"]


def test_fault_of_nsboxctl(boxed, failing):
    """run and enter say why, and leave nothing."""
    environment = failing(f"prctl {PR_SET_NO_NEW_PRIVS} {errno.EINVAL}")
    result = ctl("run", "--user", "alice", "--", "echo", "in", env=environment)
    assert result.rc != 0 and result.out == "" and "cannot set no_new_privs: Invalid argument" in result.err, result
    with boxes.running():
        identifier = boxes.box(user="alice")["id"]
        result = ctl("enter", identifier, "--", "echo", "in", env=environment)
        assert result.rc != 0 and result.out == "", result
        assert "cannot prepare the command: cannot set no_new_privs: Invalid argument" in result.err, result
        assert ctl("enter", identifier, "--", "echo", "in").out == "in\n"


# -- RLIMIT_CORE: that it keeps the handler away is shown in the virtual machine (tests/vm/test_core_dumps.py) --

LIMITS = "cat /proc/self/limits"


def core_limits(text):
    """(soft, hard)"""
    return tuple(re.search(r"^Max core file size\s+(\S+)\s+(\S+)\s+bytes", text, re.M).groups())


@pytest.mark.parametrize("way", [way for way in WAYS if not way.startswith("sudo")])
def test_core_limit_where_dumps_go_to_a_program(way, core_pattern, boxed, sshd):
    """1, for users and root; unchanged with core = yes, or where dumps are files."""
    boxed.nsbox(PROFILE)
    for user in ("alice", "root"):
        plain = core_limits(WAYS[way](sshd, boxed, user, LIMITS))
        assert plain != ("1", "1")
    core_pattern("|/usr/libexec/handler %p %u")
    for user in ("alice", "root"):
        assert core_limits(WAYS[way](sshd, boxed, user, LIMITS)) == ("1", "1"), user
    boxed.nsbox(f"{PROFILE}core = yes\n")
    assert core_limits(WAYS[way](sshd, boxed, "root", LIMITS)) == plain


@pytest.mark.parametrize("text, stopped", [("|/bin/x", True), ("@/run/dumps.socket", True), ("@@/run/dumps", True), ("core", False),
                                           ("/var/crash/core.%p", False), (" |/bin/x", False), ("", False)])
def test_core_patterns(text, stopped, core_pattern, boxed):
    """A program or a socket; anything else is a file's name."""
    boxed.nsbox(PROFILE)
    core_pattern(text)
    assert (core_limits(host.run("su", "alice", "-c", LIMITS).out) == ("1", "1")) == stopped


def test_core_limit_of_zero(core_pattern, boxed):
    """The hard limit is 0, and there is no CAP_SYS_RESOURCE: 1 cannot be set, and with 0 the handler would be started. Refused
    before the join, with what to do; sudo is such an application. With core = yes, or a file, it is let in."""
    boxed.nsbox(PROFILE)
    without = ("setpriv", "--bounding-set", "-sys_resource")
    zero = (*without, "sh", "-c", "ulimit -Hc 0; su alice -c 'echo in'")
    sudo = (*without, *BY_ALICE, "sudo", "-n", "-u", "carol", "echo", "in")
    assert host.run(*zero).out == host.run(*sudo).out == "in\n"
    core_pattern("|/bin/x")
    since = syslog.mark()
    line = refused(host.run(*zero), since, "lacks CAP_SYS_RESOURCE.*or set core = yes", helper_lines=None)
    assert line.endswith("(stage join, EPERM)")
    since = syslog.mark()
    result = host.run(*sudo)
    assert result.rc != 0 and result.out == "", result
    assert "or set core = yes" in syslog.wait_for(r"sudo\[\d+\] .*nsbox \w+: login of carol refused: ", since)
    boxed.nsbox(f"{PROFILE}core = yes\n")
    assert host.run(*zero).out == host.run(*sudo).out == "in\n"
