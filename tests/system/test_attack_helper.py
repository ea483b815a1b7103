# SPDX-License-Identifier: BSD-3-Clause
"""The helper and the resident programs run by hand, fed with nonsense, and started by su and sudo for a hostile caller."""
import errno
import os
import pathlib
import re
import resource
import signal
import subprocess
import time

import pexpect
import pytest

from attacks import (DEADLINE, HELPER, OPEN_TO_ALL, PLACE, as_user, boxes, mount_namespace, picture, shared_tool, start, stop,
                     su, tool)
from attacks.limits import seconds
from lib import baseline as baseline_module
from lib import host, syslog

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

ACCOUNT = "/usr/libexec/nsbox/nsbox-account"
MONITOR = "/usr/libexec/nsbox/nsbox-monitor"
INIT = "/usr/libexec/nsbox/nsbox-init"
MARKS = f"{PLACE}/marks"
INSIDE = "readlink /proc/self/ns/mnt"  # without a fork, which bash tries for 15 s where the limit forbids it


@pytest.fixture
def conf(conf):
    """Everybody may become everybody: what a caller can do to su and sudo is asked here, not whether he may call them."""
    conf.pam_all()
    conf.pam("su", first=OPEN_TO_ALL)
    conf.sudoers("ALL ALL=(ALL) NOPASSWD: ALL\nDefaults !lecture\n")
    conf.nsbox("[profile all]\nusers = *\n")
    return conf


@pytest.fixture
def marks():
    os.makedirs(MARKS, exist_ok=True)
    os.chmod(MARKS, 0o1777)
    yield pathlib.Path(MARKS)
    host.run("rm", "-rf", MARKS, check=True)


def programs(user):
    return {"su": ["su", user, "-c", INSIDE], "sudo": ["sudo", "-n", "-u", user, "sh", "-c", INSIDE]}


def never_outside(text):
    """How many sessions there were; none of them outside of a box."""
    seen = re.findall(r"mnt:\[\d+\]", text)
    assert mount_namespace() not in seen, text
    return len(seen)


# -- line 10: by hand --


def limits_of_nothing():
    for what in (resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_CORE, resource.RLIMIT_MEMLOCK):
        resource.setrlimit(what, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))


def test_user_runs_the_helper(conf, baseline):
    """Line 10. Run by a user the helper says one sentence, does nothing, and ends with 2, whatever its arguments."""
    for words in ([], ["gc"], ["end", "aaaaaaaaaa"], ["end", "aaaaaaaaaa", "3", "4"], ["--help"], ["x"] * 50, [""],
                  ["end", "../../../etc"]):
        result = host.run(HELPER, *words, timeout=5, **as_user("mallory"))
        assert result.rc == 2 and result.out == "" and result.err.count("\n") == 1 and "not by hand" in result.err, result


def test_user_runs_the_helper_in_a_hostile_way(conf, baseline, marks):
    """Line 10. The same without descriptors, without limits, with a library of the user's: linked statically it loads none, and
    nsbox-account, which does, runs as the user alone."""
    library = shared_tool("mark")
    environment = {"LD_PRELOAD": library, "GCONV_PATH": PLACE, "LD_LIBRARY_PATH": PLACE, "LOCPATH": PLACE, "NSBOX_ID": "x",
                   "MALLOC_PERTURB_": "255"}
    assert host.run(HELPER, timeout=5, env=environment, **as_user("mallory")).rc == 2
    assert os.listdir(marks) == []
    assert host.run(ACCOUNT, timeout=5, env=environment, **as_user("mallory")).rc == errno.EINVAL
    assert os.listdir(marks) == ["2004"]  # the library works; it had no other uid
    host.run("bash", "-c", f"exec {HELPER} 0<&- 1>&- 2>&- 3>&-", timeout=5, **as_user("mallory"))
    assert host.run(HELPER, timeout=5, preexec_fn=limits_of_nothing, **as_user("mallory")).rc in (2, 127)
    assert os.listdir(marks) == ["2004"] and boxes() == {}


def test_root_runs_the_helper_by_hand(conf, baseline):
    """Line 10. Root by hand, without a socket as descriptor 3: it ends at once, with a status, and has done nothing."""
    for closed in ("", "0<&-", "0<&- 1>&-", "0<&- 1>&- 2>&-", "0<&- 1>&- 2>&- 3>&-", "3</etc/passwd", "3</", "3</dev/null",
                   "3<>/dev/zero"):
        result = host.run("bash", "-c", f"exec {HELPER} {closed}", timeout=5)
        assert result.rc in (1, 2), (closed, result)


def test_socket_of_a_user(conf, baseline):
    """Line 10. Root's helper on a socket that a user has made serves it not: the application must be root."""
    script = (f"import os, socket; a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET); os.dup2(b.fileno(), 3); "
              f"os.execv('/usr/bin/sudo', ['sudo', '-n', '-C', '4', '{HELPER}'])")
    conf.sudoers("ALL ALL=(ALL) NOPASSWD: ALL\nDefaults closefrom_override\n")
    conf.pam("sudo", variant="none")
    mark = syslog.mark()
    result = host.run("python3", "-c", script, timeout=5, **as_user("mallory"))
    assert result.rc == 1 and boxes() == {}, (result, syslog.lines_since(mark))


@pytest.mark.parametrize("program", [MONITOR, INIT])
@pytest.mark.parametrize("who", ["mallory", "root"])
def test_resident_programs_by_hand(conf, baseline, program, who):
    """Line 10. Monitor and init by hand, by anybody: they end at once with a status, and a live box is as before."""
    with_box = start("su", "bob", "-c", "echo ready; exec cat")
    try:
        before = boxes()
        for words in ([], ["guard"], ["guard", "../../etc"], ["x", "0", "9", "9", "9", "9"], ["guard", "aaaaaaaaaa"],
                      ["a", "b", "c"], ["aaaaaaaaaa", "0", "-1", "-1", "-1", "-1"]):
            result = host.run(program, *words, timeout=5, **as_user(who))
            assert 0 <= result.rc < 126 and boxes() == before and len(before) == 1, (words, result)
    finally:
        with_box.stdin.close()
        with_box.wait(5 * host.PATIENCE)
        with_box.stdout.close()


def test_init_as_pid_1_of_a_users_namespace(conf, baseline):
    """Line 10. nsbox-init as PID 1 of a user's own namespaces ends: it has more or other capabilities than it wants."""
    result = host.run("unshare", "--user", "--map-root-user", "--pid", "--fork", INIT, timeout=5, **as_user("mallory"))
    assert result.rc != 0, result


def test_life_box_cannot_be_ended_by_name(conf, baseline):
    """Line 10. `nsbox-helper end ID` and the guard's way to it leave a box alone whose monitor lives."""
    session = start("su", "bob", "-c", "echo ready; exec cat")
    try:
        [(name, entry)] = boxes().items()
        for command in ([HELPER, "end", name], [MONITOR, "guard", name], [HELPER, "gc"]):
            assert host.run(*command, timeout=5).rc == 0
        assert boxes()[name] == entry and session.poll() is None
        assert host.alive(int(entry["init"].split()[0]))
    finally:
        session.stdin.close()
        session.wait(5 * host.PATIENCE)
        session.stdout.close()


@pytest.mark.timeout(1500)
def test_fuzzed_requests(conf, baseline):
    """Line 10. Cut, oversized, changed, random messages, with descriptors, in pairs: the helper ends by itself, and nothing
    stays. Some of them are still requests: their boxes are taken back."""
    fuzz = tool("fuzz-request", "common/protocol.c", "common/protocol-words.c", "common/fd-util.c", "common/error.c")
    result = host.run(fuzz, HELPER, str(host.count(20000, 500)), str(os.getpid()), timeout=host.count(1200, 100))
    last = result.out.splitlines()[-1]
    assert result.out.count("\n") == 1 and last.startswith("rounds ") and result.rc == 0, result.out
    assert int(last.split()[-1]) > 0, "not even a true request was answered"


# -- line 11b: su and sudo from a hostile shell --


@pytest.mark.parametrize("program", ["su", "sudo"])
def test_callers_environment(conf, baseline, marks, program):
    """Line 11b. Nothing that the caller has in the environment is loaded by what runs as root."""
    library = shared_tool("mark")
    environment = {**os.environ, "LD_PRELOAD": library, "LD_AUDIT": library, "GCONV_PATH": PLACE, "NIS_PATH": PLACE,
                   "NSBOX_ID": "aaaaaaaaaa", "KRB5CCNAME": "FILE:/etc/shadow", "LOCALDOMAIN": PLACE, "TMPDIR": PLACE,
                   "PATH": f"{PLACE}:/usr/bin:/bin", "ENV": "/none", "IFS": "/"}
    pathlib.Path(PLACE, "nsbox-helper").write_text("#!/bin/sh\ntouch /opt/attacks/marks/helper\n")
    os.chmod(f"{PLACE}/nsbox-helper", 0o755)
    result = host.run(*programs("bob")[program], env=environment, timeout=DEADLINE, **as_user("alice"))
    assert never_outside(result.out) == 1, result
    assert not {"0", "helper"} & set(os.listdir(marks))


LIMITS = [
    ("FSIZE", 0), ("FSIZE", 1), ("CPU", 0), ("CPU", 1), ("NPROC", 0), ("NPROC", 1), ("STACK", 0), ("STACK", 65536),
    ("DATA", 0), ("DATA", 1 << 20), ("AS", 1 << 20), ("AS", 8 << 20), ("AS", 16 << 20), ("AS", 32 << 20), ("CORE", 0),
    ("MEMLOCK", 0), ("SIGPENDING", 0), ("MSGQUEUE", 0), ("NICE", 0), ("RTPRIO", 0), ("RTTIME", 0), ("RSS", 0),
    *[("NOFILE", number) for number in (0, 1, 2, *range(3, 24), 30, 64)],
]


@pytest.mark.parametrize("program", ["su", "sudo"])
def test_callers_limits(conf, baseline, program):
    """Line 11b. With each limit of the caller's at nothing or nearly so: boxed or refused, soon, and nothing stays."""
    sessions = {}
    for name, value in LIMITS:
        what = getattr(resource, f"RLIMIT_{name}")
        began = time.monotonic()
        result = host.run(*programs("bob")[program], timeout=30, cwd="/",
                          preexec_fn=lambda: resource.setrlimit(what, (value, value)), **as_user("alice"))
        assert time.monotonic() - began < DEADLINE, (name, value)
        sessions[(name, value)] = never_outside(result.out)
        assert sessions[(name, value)] or result.rc != 0 or name in ("FSIZE", "RSS"), (name, value, result)
    for needless in ("CORE", "MEMLOCK", "SIGPENDING", "MSGQUEUE", "NICE"):
        assert sessions[(needless, 0)] == 1, needless
    assert sum(sessions.values()) < len(LIMITS)  # some of them do hurt


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGABRT])
@pytest.mark.parametrize("whom", [0, 1], ids=["children", "all"])
@pytest.mark.parametrize("program", ["su", "sudo"])
def test_signal_loop(conf, baseline, program, whom, number):
    """Line 11b. The caller sends signals in a loop to su, sudo and all that they start: boxed or refused, none outside, none
    longer than the deadline, nothing left."""
    rounds = host.count(100, 12)
    result = host.run(tool("harass"), str(int(number)), str(whom), str(rounds), str(DEADLINE), *programs("bob")[program],
                      timeout=rounds * 2 + 30, **as_user("alice"))
    assert "hang" not in result.out and "reached" in result.out, result
    sessions = never_outside(result.out)
    assert sessions <= rounds
    if number == signal.SIGSTOP and program == "su":
        assert sessions == rounds, result  # a pause, and no more


@pytest.mark.timeout(1200)
def test_stop_and_go(conf, baseline):
    """Line 11b. The caller stops and wakes the first process that su starts, as fast as he can: it must not be caught stopped
    in the moment in which it gets out of his reach. All are boxed, su does not wait for ever, no process stays."""
    rounds = host.count(3000, 80)
    result = host.run(tool("harass"), str(int(signal.SIGSTOP)), "2", str(rounds), str(DEADLINE + 2), *programs("bob")["su"],
                      timeout=1000, **as_user("alice"))
    stuck = [pid for pid in host.find("su") if host.status(pid)["State"].startswith("T")]
    for pid in stuck:
        os.kill(pid, signal.SIGKILL)
    assert stuck == [] and "hang" not in result.out and never_outside(result.out) == rounds, result


@pytest.mark.timeout(600)
@pytest.mark.parametrize("key", ["\x03", "\x1a", "\x1c", "\x03\x1a\x03"], ids=["ctrl-c", "ctrl-z", "ctrl-backslash", "all"])
def test_keys_during_open(conf, baseline, key):
    """Line 11b. Ctrl-C, Ctrl-Z, Ctrl-\\ at any moment of su: in or not, never outside; and nothing stays when the shell ends."""
    child = host.spawn("runuser", "-u", "alice", "--", "env", "PS1=shell> ", "bash", "--norc", "-i", timeout=15)
    child.expect("shell> ")
    child.sendline("stty -echo; ulimit -c 0")
    child.expect("shell> ")
    text = ""
    usual = seconds(lambda: su("bob", INSIDE))
    for number in range(host.count(100, 12)):
        child.sendline(f"su bob -c '{INSIDE}'; echo done$((1+1))")
        time.sleep(number % 12 * usual / 8)
        child.send(key)
        # stopped: wake it, so that the next round finds a shell without jobs
        child.sendline("kill -CONT %% 2>/dev/null; fg 2>/dev/null; wait; echo next$((1+1))")
        child.expect("next2")
        text += child.before
        child.expect("shell> ")
    assert never_outside(text) > 0
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()
    never_outside(text)


HOSTILE = """
import os, signal, sys
for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGUSR1):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
os.setpriority(os.PRIO_PROCESS, 0, 19)
open("/proc/self/oom_score_adj", "w").write("1000")
os.umask(0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def state_of(pid):
    words = host.status(pid)
    return {
        "policy": os.sched_getscheduler(pid), "nice": os.getpriority(os.PRIO_PROCESS, pid),
        "cpus": os.sched_getaffinity(pid), "oom": host.read(f"/proc/{pid}/oom_score_adj").strip(),
        "uids": words["Uid"].split(), "gids": words["Gid"].split(), "groups": words["Groups"].split(),
        "umask": words["Umask"], "cwd": os.readlink(f"/proc/{pid}/cwd"), "tty": words.get("Tty"),
        "environment": host.read(f"/proc/{pid}/environ"),
        "session": os.getsid(pid) == os.getsid(0),
    }


def test_callers_state(conf, baseline):
    """Line 11b. Ignored and blocked signals, SCHED_IDLE, nice 19, one processor, oom_score_adj 1000: the box is made all the
    same, and what runs as root has nothing of it."""
    session = start("python3", "-c", HOSTILE, "su", "bob", "-c", "echo ready; exec cat", cwd="/home/alice",
                    **as_user("alice"))
    try:
        [entry] = boxes().values()
        monitor, init = (int(entry[name].split()[0]) for name in ("monitor", "init"))
        everywhere = os.sched_getaffinity(0)
        for pid in (monitor, init, *host.find("nsbox-guard")):
            state = state_of(pid)
            assert state["policy"] == os.SCHED_OTHER and state["nice"] == 0 and state["oom"] == "0", state
            assert state["cpus"] == everywhere and state["uids"] == ["0"] * 4 and state["gids"] == ["0"] * 4, state
            assert state["groups"] == [] and state["umask"] == "0077" and state["cwd"] == "/", state
            assert state["environment"] == "" and not state["session"], state
            assert not set(host.descriptors(pid)) - set(range(24)), host.descriptors(pid)
        assert int(host.status(monitor)["SigIgn"], 16) & ~(1 << 12 | 1 << 24) == 0
    finally:
        session.kill()
        session.wait(5 * host.PATIENCE)
        session.stdin.close()
        session.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGALRM])
@pytest.mark.parametrize("program", ["su", "sudo"])
def test_ignored_signals(conf, baseline, program, number):
    """Line 11b. Each of these signals ignored by the caller: boxed, and the exit status of the command arrives."""
    command = [*programs("bob")[program][:-1], INSIDE + "; exit 7"]
    result = host.run(*command, preexec_fn=lambda: signal.signal(number, signal.SIG_IGN), restore_signals=False,
                      **as_user("alice"))
    assert never_outside(result.out) == 1 and (result.rc == 7 or number == signal.SIGCHLD), result


def test_caller_gone_at_once(conf, baseline):
    """Line 11b. The terminal and the caller's shell vanish while su opens: nothing of it stays."""
    for number in range(host.count(100, 8)):
        child = host.spawn("runuser", "-u", "alice", "--", "bash", "--norc", "-c", f"su bob -c '{INSIDE}; sleep 1'")
        time.sleep(number * 0.004)
        child.close(force=True)
        assert mount_namespace() not in (child.before or "")


def test_cgroup_kill(conf, baseline):
    """Line 11b. A caller whose cgroup is delegated to him kills and freezes by it what uids forbid: never the monitor."""
    group = host.cgroup_tree("") / "delegated"
    group.mkdir()
    for path in (group, group / "cgroup.procs", group / "cgroup.kill", group / "cgroup.freeze"):
        os.chown(path, 2001, 2001)
    before = set(boxes())
    session = start("bash", "-c", f"echo $$ >{group}/cgroup.procs; exec setpriv --reuid 2001 --regid 2001 --clear-groups "
                    "su bob -c 'echo ready; exec cat'")
    try:
        [name] = set(boxes()) - before
        monitor = int(boxes()[name]["monitor"].split()[0])
        held = group.joinpath("cgroup.procs").read_text().split()
        assert str(monitor) not in held and not {str(pid) for pid in host.find("nsbox-guard")} & set(held)
        host.run("sh", "-c", f"echo 1 >{group}/cgroup.kill", check=True, **as_user("alice"))
        if str(session.pid) in held:
            host.wait_until(lambda: not boxes(), timeout=4, what="the box is cleaned by its monitor")
        else:  # with one tree the application is in the box's group, and out of the caller's reach
            assert session.poll() is None and boxes()[name]["state"] == "ready" and host.alive(monitor)
    finally:
        stop(session)
        host.wait_until(lambda: not group.joinpath("cgroup.procs").read_text(), what="the group is empty")
        group.rmdir()


# -- what stops other users' logins --


def test_records_are_closed_in_turn(conf, baseline, sshd):
    """What holds utmp up for more than a second while boxes end, be it the others that end, costs no record its end."""
    script = "import fcntl; f = open('/run/utmp'); fcntl.lockf(f, fcntl.LOCK_SH); print('ready', flush=True); input()"
    with sshd.session("alice", "cat"):
        holder = start("python3", "-c", script, **as_user("mallory"))
    try:
        host.wait_until(lambda: not host.find("nsbox-init"), what="the box has ended")
        time.sleep(1.5)
        assert boxes()  # its record is waited for
    finally:
        stop(holder)
    host.wait_until(lambda: not boxes(), what="the box is cleaned")
    assert not [record for record in baseline_module.utmp_records() if record[2].startswith("nsbox/")]


def test_users_lock_on_utmp(conf, baseline, sshd):
    """A user who holds a read lock on utmp or wtmp, which pututxline(3) waits 10 s for, holds up nobody's login."""
    for path in ("/run/utmp", "/var/log/wtmp"):
        script = f"import fcntl; f = open('{path}'); fcntl.lockf(f, fcntl.LOCK_SH); print('ready', flush=True); input()"
        holder = start("python3", "-c", script, **as_user("mallory"))
        try:
            began = time.monotonic()
            result = sshd.ssh("alice", INSIDE)
            assert never_outside(result.out) == 1 and time.monotonic() - began < 4 * host.PATIENCE, result
            host.wait_until(lambda: not boxes(), timeout=5)
        finally:
            stop(holder)


def test_many_mounts_with_long_names(conf):
    """More mounts than mountinfo has room for in a buffer (any user may have a thousand by FUSE) stop no login."""
    top = "/srv/mounts"
    os.makedirs(top)
    host.run("mount", "-t", "tmpfs", "none", top, check=True)
    try:
        host.run("mount", "--make-private", top, check=True)
        long = "/".join([top] + ["d" * 240] * 15)
        os.makedirs(f"{long}/0")
        for number in range(1, 100):
            os.makedirs(f"{long}/{number}")
            host.run("mount", "--bind", f"{long}/0", f"{long}/{number}", check=True)
        assert len(host.read("/proc/self/mountinfo")) > 300 * 1024
        result = su("alice", INSIDE)
        assert never_outside(result.out) == 1, result
    finally:
        host.run("umount", "-l", top, check=True)
        os.rmdir(top)


def test_group_with_many_members(conf, baseline):
    """A group whose line is longer than a buffer still chooses the profile: its members are not let in unboxed."""
    members = ",".join(f"member{number:06}" for number in range(host.count(60000, 12000)))
    lines = host.read("/etc/group").splitlines()
    conf.file("/etc/group", "".join(
        f"{line}{'' if line.endswith(':') else ','}{members}\n" if line.startswith("students:") else line + "\n"
        for line in lines))
    conf.nsbox("[profile students]\nusers = @students\n")
    result = su("alice", INSIDE)
    assert result.rc != 0 or never_outside(result.out) == 1, result


def test_tools_notice(conf):
    """The pictures these tests rely on do notice a session outside and a thing that stays."""
    with pytest.raises(AssertionError):
        never_outside(f"{mount_namespace()}\n")
    before = baseline_module.take()
    pathlib.Path("/run/nsbox/boxes").mkdir(parents=True, exist_ok=True)
    leak = pathlib.Path("/run/nsbox/boxes/leak")
    leak.write_text("")
    assert baseline_module.diff(before, baseline_module.take())
    leak.unlink()
    assert picture(PLACE) and subprocess.run([tool("harass")], check=False).returncode == 2
