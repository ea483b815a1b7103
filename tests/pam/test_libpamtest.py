# SPDX-License-Identifier: BSD-3-Clause
"""The module under applications of our own: app.c does what it is told, pam-wrapper.c runs it by libpamtest."""
import contextlib
import os
import pathlib
import re
import subprocess

import pytest

from lib import host, pamapp, syslog

SOURCE = pathlib.Path(__file__).parent
SERVICE = "nsbox-app"
# "die" makes the module's own code the stack's; of PAM_IGNORE alone libpam makes PAM_PERM_DENIED.
RAW = """\
account [success=ok default=die] pam_nsbox.so {words}
session [success=ok default=die] pam_nsbox.so {words}
"""
SUCCESS, SYSTEM_ERR, PERM_DENIED = 0, 4, 6
IGNORE = PERM_DENIED
UNCONFINED = "[profile all]\nusers = *\n" + pamapp.SEVERAL_SESSIONS
CHILD_NAMESPACES = {"cgroup", "ipc", "mnt", "net", "pid", "uts"}
JOINED_NAMESPACES = CHILD_NAMESPACES - {"pid"}  # a process stays in its PID namespace; its children do not
REFUSAL = r"Login refused: your session could not be isolated \(nsbox (\w{10})\)\. Ask the administrator\."


def compile_program(name, *libraries):
    """The program, made once in a run."""
    program = f"/tmp/nsbox-test-{name}"
    if not os.path.exists(program):
        host.run("gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, f"{SOURCE}/{name}.c", *libraries, check=True)
    return program


@pytest.fixture
def app(conf):
    """Runs app.c with commands: its lines."""
    conf.nsbox(UNCONFINED)
    conf.pam(SERVICE, text=RAW.format(words=""))
    program = compile_program("app", "-lpam", "-lpthread")

    def run_app(*commands, user="alice", **options):
        result = host.run(program, "start", SERVICE, user, *commands, **options)
        assert result.rc == 0, result
        assert result.out.startswith("start 0\n"), result
        return result.out.splitlines()[1:]
    run_app.program = program
    return run_app


@contextlib.contextmanager
def running(app, *commands, user="alice"):
    """The application as a process that stops at each `ready`; yields (process, go on until the next)."""
    process = subprocess.Popen([app.program, "start", SERVICE, user, *commands], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    lines = []

    def until_ready(text=None):
        if text is not None:
            process.stdin.write(f"{text}\n")
            process.stdin.flush()
        while True:
            line = process.stdout.readline()
            assert line, f"ended after {lines}"
            if line == "ready\n":
                return lines
            lines.append(line.rstrip("\n"))
    try:
        yield process, until_ready
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def differing(pid):
    """The namespaces of the process that are not this one's."""
    mine, its = host.namespaces(), host.namespaces(pid)
    return {kind for kind in its if its[kind] != mine[kind]}


def code(lines, command):
    """The result of the only such command."""
    found = [line.split()[1] for line in lines if line.split()[0] == command]
    assert len(found) == 1, lines
    return int(found[0])


def line_of(lines, command):
    return next(line for line in lines if line.split()[0] == command).split(" ", 1)[1]


def boxes():
    directory = pathlib.Path("/run/nsbox/boxes")
    return sorted(os.listdir(directory)) if directory.exists() else []


# -- libpamtest --


def test_libpamtest_with_pam_wrapper(conf, baseline):
    """A cmocka program drives the module through pam_wrapper, with real namespaces."""
    conf.nsbox(UNCONFINED.replace("*", "alice"))  # one process, several sessions
    program = compile_program("pam-wrapper", "-lpam", "-lpamtest", "-lcmocka")
    environment = {**os.environ, "LD_PRELOAD": "libpam_wrapper.so", "PAM_WRAPPER": "1",
                   "PAM_WRAPPER_SERVICE_DIR": "/tmp/nsbox-services"}
    os.makedirs("/tmp/nsbox-services", exist_ok=True)
    module = "/usr/lib/x86_64-linux-gnu/security/pam_nsbox.so"
    for name, words in (("both", ""), ("bad-word", "opne"), ("profile", "profile=nothing")):
        permit = "session optional pam_permit.so\naccount optional pam_permit.so\n"
        pathlib.Path("/tmp/nsbox-services", name).write_text(
            f"account required {module} {words}\nsession required {module} {words}\n{permit}")
    result = host.run(program, env=environment)
    assert result.rc == 0, result
    assert re.search(r"\[  PASSED  \] 5 test\(s\)", result.out + result.err), result


# -- a session and what it leaves --


def test_session_leaves_the_application_as_it_was(app, baseline):
    """Descriptors, signals, umask, directory, environment, limits, namespaces, cgroup: all as before open."""
    lines = app("snapshot", "acct", "compare", cwd="/usr/share")
    assert code(lines, "compare") == 0, lines
    lines = app("snapshot", "open", "close", "no-child", "compare", cwd="/usr/share")
    assert (code(lines, "open"), code(lines, "close"), code(lines, "compare")) == (0, 0, 0), lines
    assert "no-child yes" in lines


@pytest.mark.parametrize("habit", ["ulimit -S -n 64; umask 027", "ulimit -S -s 1024; trap '' CHLD PIPE TERM INT",
                                   "cd /home/alice; renice -n 5 $$ >/dev/null", "exec 7</etc 9>/tmp/open"])
def test_session_leaves_odd_applications_as_they_were(app, baseline, habit):
    """The same where limits, ignored signals, directory, priority and descriptors are not the usual ones."""
    command = f"{app.program} start {SERVICE} alice snapshot open close compare"
    result = host.run("bash", "-c", f"{habit}; exec {command}")
    assert "open 0" in result.out and "close 0" in result.out and "compare 0" in result.out, result


def test_failed_open_leaves_the_application_as_it_was(app, conf, baseline):
    """A refusal changes nothing about the application."""
    conf.nsbox("[profile all]\nusers = *\nroot = /srv/nowhere\n")
    lines = app("snapshot", "acct", "open", "close", "no-child", "compare")
    assert (code(lines, "acct"), code(lines, "open")) == (PERM_DENIED, SYSTEM_ERR), lines
    assert code(lines, "compare") == 0, lines


def test_application_is_in_the_box_and_back(app, baseline):
    """Between open and close the application itself is in the box, its limit too; afterwards where it was."""
    with running(app, "ready", "open", "ready", "close", "ready") as (process, until_ready):
        until_ready()
        before, group = host.namespaces(process.pid), host.cgroup(process.pid)
        until_ready("")
        assert differing(process.pid) == JOINED_NAMESPACES
        assert re.fullmatch(r"/nsbox/\w{10}", host.cgroup(process.pid)), host.cgroup(process.pid)
        assert boxes() == [host.cgroup(process.pid).split("/")[-1]]
        lines = until_ready("")
        assert lines == ["start 0", "open 0", "close 0"]
        assert host.namespaces(process.pid) == before and host.cgroup(process.pid) == group
        host.wait_until(lambda: not boxes(), what="the box ends although the application lives on")


def test_children_are_in_the_box(app, baseline):
    """What the application starts sees the box only, and who made it in NSBOX_ID."""
    lines = app("open", "getenv", "NSBOX_ID", "run", "readlink /proc/self/ns/pid; cat /proc/1/comm; ps -e | wc -l", "close")
    identifier = re.search(r"getenv NSBOX_ID (\w{10}) -", "\n".join(lines))
    assert identifier, lines
    assert "nsbox-init" in lines and f"pid:[{host.namespaces()['pid']}]" not in lines
    assert int(lines[lines.index("nsbox-init") + 1]) <= 6, lines


def test_two_sessions_one_after_the_other(app, baseline):
    """Each open makes a box of its own."""
    lines = app("open", "getenv", "NSBOX_ID", "close", "open", "getenv", "NSBOX_ID", "close")
    assert [line for line in lines if line.startswith(("open", "close"))] == ["open 0", "close 0"] * 2
    identifiers = {line for line in lines if line.startswith("getenv")}
    assert len(identifiers) == 2


# -- order and number of the calls --


def test_open_without_close(app, baseline):
    """pam_end, and even the end of the process without it, end the box."""
    assert app("open", "end") == ["open 0", "end 0"]
    assert app("open") == ["open 0"]


def test_what_stays(app, conf, baseline):
    """The default profile: of all that is compared the bounding set alone is another after close."""
    conf.nsbox("[profile all]\nusers = *\nseccomp = off\n")
    before = host.status("self")["CapBnd"]
    lines = app("snapshot", "open", "close", "compare")
    assert (code(lines, "open"), code(lines, "close")) == (0, 0), lines
    assert [line.split("\t")[0] for line in lines if line.startswith(("lost", "new"))] == [
        "lost /proc/self/status CapBnd:", "new /proc/self/status CapBnd:"], lines
    assert f"lost /proc/self/status CapBnd:\t{before}" in lines and f"new /proc/self/status CapBnd:\t{before}" not in lines


@pytest.mark.parametrize("seccomp", ["off", "default", "strict"])
def test_second_session_is_refused(app, conf, baseline, seccomp):
    """What stays is too little to make another box with, and that is said; another process is as before."""
    conf.nsbox(f"[profile all]\nusers = *\nseccomp = {seccomp}\n")
    start = syslog.mark()
    lines = app("open", "close", "snapshot", "open", "acct", "compare")
    assert [line for line in lines if line.startswith(("open", "close", "acct"))] == [
        "open 0", "close 0", f"open {SYSTEM_ERR}", f"acct {PERM_DENIED}"], lines
    assert code(lines, "compare") == 0 and re.search(REFUSAL, "\n".join(lines))
    line = syslog.wait_for(r"refused: .*in a box before", start)
    assert ("without cap_sys_admin" if seccomp == "off" else "blocked by a seccomp filter") in line, line
    assert app("open", "close") == ["open 0", "close 0"]


def test_close_without_open(app, baseline):
    """Nothing was opened: nothing is touched."""
    lines = app("snapshot", "close", "compare")
    assert (code(lines, "close"), code(lines, "compare")) == (IGNORE, 0), lines


def test_open_twice(app, baseline):
    """The second finds itself boxed: success, and the same box. Two closes: the second finds nothing."""
    lines = app("snapshot", "open", "open", "ready", "close", "close", "compare", input="\n")
    assert [line for line in lines if line.startswith("open")] == ["open 0", "open 0"]
    assert [line for line in lines if line.startswith("close")] == ["close 0", f"close {IGNORE}"]
    assert code(lines, "compare") == 0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_handles(app, baseline, order):
    """The handle that opened is the one that closes; the other finds nothing of its own."""
    closes = [word for number in order for word in ("handle", str(number), "close")]
    lines = app("snapshot", "open", "handle", "1", "start", SERVICE, "bob", "open", *closes, "compare",
                "end", "handle", "0" if order[-1] == 1 else "1", "end")
    assert [line for line in lines if line.startswith("open")] == ["open 0", "open 0"], lines
    results = {number: line for number, line in zip(order, [line for line in lines if line.startswith("close")])}
    assert results == {0: "close 0", 1: f"close {IGNORE}"}, lines
    assert code(lines, "compare") == 0


def test_killed_between(app, baseline):
    """SIGKILL between open and close: the box ends."""
    result = host.run(app.program, "start", SERVICE, "alice", "open", "kill")
    assert result.rc == -9 and "open 0" in result.out


# -- descriptors --


def test_child_without_exec_has_no_descriptor_of_the_module(app, baseline):
    """sshd's user child never execs: it must not inherit the way out."""
    lines = app("fork-fds", "open", "fork-fds", "close", "fork-fds")
    listings = [line for line in lines if line.startswith("fork-fds")]
    assert len(listings) == 3 and len(set(listings)) == 1, lines


def test_program_has_no_descriptor_of_the_module(app, baseline):
    """Nor does anything that is executed."""
    lines = app("run", "ls -l /proc/self/fd | wc -l", "open", "run", "ls -l /proc/self/fd | wc -l", "close")
    counts = [line for line in lines if line.isdigit()]
    assert len(counts) == 2 and counts[0] == counts[1], lines


def test_no_descriptor_of_a_cgroup_outlives_the_join(app, baseline):
    """The application itself holds the namespaces, the socket and the pidfd, no directory and no file."""
    with running(app, "ready", "open", "ready") as (process, until_ready):
        until_ready()
        before = set(host.descriptors(process.pid).items())
        until_ready("")
        new = {target for _, target in set(host.descriptors(process.pid).items()) - before}
        others = [target for target in new if not re.match(r"\w+:\[\d+\]$|socket:|anon_inode:\[?pidfd|pidfd:", target)]
        assert new and not others, new


def test_descriptors_closed_between(app, baseline):
    """The application closed everything: close touches nothing, says so, and is no failure; the box ends with the
    application."""
    start = syslog.mark()
    with running(app, "open", "closefds", "run", "true", "close", "ready") as (process, until_ready):
        lines = until_ready()
        assert "run 0" in lines, "the box lives on after the descriptors are closed"
        assert code(lines, "close") == SUCCESS
        assert differing(process.pid) == JOINED_NAMESPACES
        syslog.wait_for(r"^authpriv\.alert nsbox-app.*closed a descriptor of the module", start)


@pytest.mark.parametrize("last", ["close", "end"])
def test_descriptors_reused_between(app, baseline, last):
    """The numbers are the application's now: neither close nor pam_end closes one of them."""
    lines = app("open", "closefds", "reuse", "fds", last, "fds")
    before, after = [line.split() for line in lines if line.startswith("fds")]
    assert code(lines, last) == SUCCESS
    assert [entry for entry in before if entry not in after] == [], lines


def test_descriptors_reused_then_forked(app, baseline):
    """The same for a child: what it inherits is the application's."""
    lines = app("open", "closefds", "reuse", "fds", "fork-fds")
    assert line_of(lines, "fork-fds") == line_of(lines, "fds")


@pytest.mark.parametrize("target, comes_back", [("pidfd", True), ("socket", True), ("mnt:[", False), ("pid:[", False)])
def test_one_descriptor_reused(app, baseline, target, comes_back):
    """One number of the module's belongs to somebody else at close: it stays open. Without a namespace's the
    application stays in the box; without socket or pidfd it comes back and the box ends all the same."""
    with running(app, "ready", "open", "steal", "fds", "close", "fds", "ready") as (process, until_ready):
        until_ready()
        before = host.descriptors(process.pid)
        until_ready("")
        new = {fd: name for fd, name in host.descriptors(process.pid).items() if before.get(fd) != name}
        number = next(fd for fd, name in new.items() if target in name)
        lines = until_ready(str(number))
        assert (code(lines, "open"), code(lines, "close")) == (0, 0), lines
        assert os.readlink(f"/proc/{process.pid}/fd/{number}").endswith("/null")
        assert differing(process.pid) == (set() if comes_back else JOINED_NAMESPACES)
        if comes_back:
            host.wait_until(lambda: not boxes(), what="the box ends")


# -- processes --


def test_close_in_a_child_does_nothing(app, baseline):
    """login's and su's children run the handle's cleanup: the session is the parent's."""
    with running(app, "open", "fork-close", "run", "true", "ready") as (process, until_ready):
        lines = until_ready()
        assert code(lines, "fork-close") == SUCCESS and "run 0" in lines, lines
        assert differing(process.pid) == JOINED_NAMESPACES and boxes()


@pytest.mark.parametrize("disposition", ["ignore", "block", "handler", "default"])
def test_sigchld_is_the_applications(app, baseline, disposition):
    """Whatever the application does with SIGCHLD, it hears of no child and finds none to wait for."""
    lines = app("sigchld", disposition, "snapshot", "open", "no-child", "close", "no-child", "acct", "no-child",
                "sigchld-seen", "compare")
    assert (code(lines, "open"), code(lines, "close"), code(lines, "acct")) == (0, 0, 0), lines
    assert lines.count("no-child yes") == 3 and "sigchld-seen 0 0" in lines and "compare 0" in lines, lines


def test_threaded_application_is_refused(app, baseline):
    """setns(2) would leave the other threads behind with their root moved: PAM_SYSTEM_ERR, nothing changed."""
    start = syslog.mark()
    with running(app, "threads", "1", "snapshot", "open", "acct", "compare", "ready") as (process, until_ready):
        lines = until_ready()
        assert (code(lines, "open"), code(lines, "acct")) == (SYSTEM_ERR, PERM_DENIED), lines
        assert code(lines, "compare") == 0
        assert differing(process.pid) == set() and boxes() == []
        assert len(os.listdir(f"/proc/{process.pid}/task")) == 2
    assert re.search(REFUSAL, "\n".join(lines))
    syslog.wait_for("the application has 2 threads; only one with a single thread can be boxed", start)


def test_large_application_is_not_copied(app, baseline):
    """With 512 MB the start of the helper costs no fork: not a fraction of what one costs there."""
    lines = app("open-cost", "grow", "512", "fork-cost", "open-cost")
    small, big = [float(line.split()[1]) for line in lines if line.startswith("open-cost")]
    fork = float(line_of(lines, "fork-cost"))
    assert fork > small, f"this fork is too cheap to tell anything: {small, fork} ms"
    assert big - small < fork / 2, (small, big, fork)


def test_processes_share_memory(app, baseline, tmp_path):
    """The application itself makes processes only that share its memory, so its size does not matter."""
    trace = tmp_path / "trace"
    result = host.run("strace", "-o", str(trace), "-e", "trace=clone,clone3,fork,vfork", app.program, "start", SERVICE,
                      "alice", "open", "close")
    assert "open 0" in result.out, result
    calls = [line for line in trace.read_text().splitlines() if "(" in line and not line.startswith(("+", "-"))]
    assert calls and all("CLONE_VM" in line for line in calls), calls


@pytest.mark.parametrize("tree", ["empty", "whole"])
def test_chrooted_application_is_refused(app, conf, baseline, tree):
    """Leaving a box sets the root to that of the namespace: a chrooted application would be let out of its chroot."""
    os.makedirs("/srv/jail", exist_ok=True)
    mounts = ["/dev"] if tree == "empty" else ["/"]
    target = {"/dev": "/srv/jail/dev", "/": "/srv/jail"}
    for source in mounts:
        os.makedirs(target[source], exist_ok=True)
        host.run("mount", "--rbind", source, target[source], check=True)
        host.run("mount", "--make-rprivate", target[source], check=True)
    try:
        start = syslog.mark()
        lines = app("chroot", "/srv/jail", "snapshot", "open", "acct", "compare")
        assert (code(lines, "open"), code(lines, "acct")) == (SYSTEM_ERR, PERM_DENIED), lines
        assert code(lines, "compare") == 0 and boxes() == []
        if tree == "whole":
            syslog.wait_for("the application is chrooted: its sessions cannot be boxed", start)
        else:
            syslog.wait_for("login of alice refused: .*/proc", start)
    finally:
        for source in mounts:
            host.run("umount", "-R", "-l", target[source], check=True)
