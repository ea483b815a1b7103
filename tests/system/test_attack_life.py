# SPDX-License-Identifier: BSD-3-Clause
"""PID 1 under attack, processes that do not want to end, and descriptors that a session inherits."""
import os
import pathlib
import re
import signal
import subprocess
import time

import pexpect
import pytest

from attacks import OPEN_TO_ALL, STOP_TIMEOUT, as_user, boxes, mount_namespace, start, stop, su, tool
from lib import baseline as baseline_module
from lib import host

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

MARKER = "/run/host-only"  # is on the host, and in no box
# In proportion to how fast the machine is: so what waits for stop_timeout is told from what returns at once.
STRETCHED = f"stop_timeout = {STOP_TIMEOUT * host.PATIENCE:.0f}s\n"


@pytest.fixture
def conf(conf):
    conf.pam_all()
    conf.pam("su", first=OPEN_TO_ALL)
    conf.nsbox("[profile all]\nusers = *\n")
    return conf


def init_of(box):
    return int(box["init"].split()[0])


def only_box():
    [box] = boxes().values()
    return box


def session(user="alice", command="cat", **options):
    return start("su", user, "-c", f"echo ready; exec {command}", **options)


def end(process):
    process.stdin.close()
    process.wait(10 * host.PATIENCE)
    process.stdout.close()


# -- line 21: PID 1 --

ATTACK_PID_1 = r"""
for number in $(seq 1 64); do kill -$number 1 2>/dev/null && [ $number != 0 ] && echo "signal $number"; done
for file in mem environ maps auxv fd/3 fd/0 oom_score_adj comm timerslack_ns coredump_filter; do
	{ echo 1 >/proc/1/$file; } 2>/dev/null && echo "writes $file"
done
for file in environ maps auxv mem stack syscall; do cat /proc/1/$file 2>/dev/null | grep -q . && echo "reads $file"; done
ls /proc/1/fd /proc/1/map_files 2>/dev/null
for link in exe cwd root ns/mnt ns/pid; do readlink /proc/1/$link && echo "follows $link"; done
renice -n 19 -p 1 >/dev/null 2>&1 && echo renice
prlimit --pid 1 --nofile=0:0 >/dev/null 2>&1 && echo prlimit
taskset -p 1 1 >/dev/null 2>&1 && echo taskset
chrt -i -p 0 1 >/dev/null 2>&1 && echo chrt
"""


def test_user_attacks_pid_1(conf, baseline):
    """Line 21. A user sends PID 1 every signal, traces it, reads and writes its files, changes its limits and priority:
    nothing of it works, and PID 1 sleeps on."""
    process = session(command=f"bash -c '{tool('trace')} 1 | cat; read line; exec cat'")
    try:
        init = init_of(only_box())
        assert process.stdout.readline() == b"no\n"  # ptrace
        assert host.status(init)["State"].startswith("S")
    finally:
        end(process)
    result = su("alice", ATTACK_PID_1)
    assert result.out == "", result


def test_root_in_the_box_attacks_pid_1(conf, baseline):
    """Line 21. Root in a box cannot kill or stop its PID 1 by signals; forged ones do not end the box."""
    script = "for n in $(seq 1 64); do kill -$n 1; done 2>/dev/null; sleep 0.3; cat /proc/1/comm; ps -o stat= -p 1"
    result = su("root", script)
    assert result.out.split()[0] == "nsbox-init" and result.out.split()[1].startswith("S"), result
    forge = ("import ctypes, os, signal, struct, time\n"
             "info = struct.pack('iiixxxxiI', signal.SIGTERM, 0, -1, 0, 0) + bytes(128)\n"
             "libc = ctypes.CDLL(None, use_errno=True)\n"
             "assert libc.syscall(129, 1, signal.SIGTERM, info) == 0, ctypes.get_errno()\n"
             "time.sleep(0.3); print('alive')\n")
    result = host.run("su", "root", "-c", 'exec python3 -c "$0"', forge)
    assert result.out == "alive\n", result


def test_root_does_not_trace_pid_1(conf, baseline):
    """Line 21. PID 1 cannot be traced without CAP_SYS_PTRACE, which root in a box has not got."""
    result = su("root", f"{tool('trace')} 1")
    assert result.out == "no\n", result


def test_root_traces_pid_1(conf, baseline):
    """Line 21. Root in a box with that capability can hold PID 1 by ptrace(2); the box ends all the same."""
    conf.nsbox("[profile all]\nusers = *\ncapabilities = default +cap_sys_ptrace\n")
    process = session("root", f"bash -c '{tool('trace')} 1 stop & read line; exit'")
    assert process.stdout.readline() == b"ready\n"
    init = init_of(only_box())
    host.wait_until(lambda: host.status(init)["State"].startswith("t"), what="PID 1 is stopped by its tracer")
    process.stdin.close()
    process.wait(5 * host.PATIENCE)
    process.stdout.close()
    assert baseline_module.wait_equal(baseline, timeout=STOP_TIMEOUT + 1) <= (STOP_TIMEOUT + 1) * host.PATIENCE


def test_pid_1_killed_from_outside(conf, baseline):
    """Line 21. PID 1 killed from the host takes all with it; a process of the session that had the box's root is gone."""
    process = session()
    os.kill(init_of(only_box()), signal.SIGKILL)
    process.wait(3 * host.PATIENCE)
    process.stdin.close()
    process.stdout.close()
    baseline_module.wait_equal(baseline, timeout=STOP_TIMEOUT + 1)


@pytest.mark.parametrize("user", ["alice", "root"])
def test_pid_1_stopped_from_outside(conf, baseline, user):
    """Line 21. PID 1 stopped, say by a debugger on the host, does not see the end: it is killed when stop_timeout is over."""
    process = session(user)
    os.kill(init_of(only_box()), signal.SIGSTOP)
    end(process)
    baseline_module.wait_equal(baseline, timeout=STOP_TIMEOUT + 1)


# -- line 21: who does not want to end --


@pytest.mark.parametrize("user, how", [("alice", "ignore"), ("alice", "stopped"), ("alice", "loop"), ("alice", "vfork"),
                                       ("alice", "bomb"), ("alice", "zombies"), ("root", "ignore"), ("root", "bomb")])
def test_who_stays(conf, baseline, user, how):
    """Line 21. Processes that are deaf, stopped, wait in vfork(2), fork for ever, or are not reaped, are gone within
    stop_timeout + 1 s after the logout, which itself returns at once."""
    conf.nsbox(f"[profile all]\nusers = *\npids_max = 200\n{STRETCHED}")
    process = session(user, f"bash -c '{tool('stay')} {how}; cat'")
    assert process.stdout.readline() == b"ready\n"
    init = init_of(only_box())
    host.wait_until(lambda: len(host.children(init)) > 0, what="the process has left its session")
    began = time.monotonic()
    process.stdin.close()
    process.wait(20 * host.PATIENCE)
    assert time.monotonic() - began < (3 if how == "bomb" else 1) * host.PATIENCE
    process.stdout.close()
    baseline_module.wait_equal(baseline, timeout=STOP_TIMEOUT + 1)


@pytest.mark.parametrize("how", ["ignore", "loop"])
def test_who_stays_over_ssh(conf, baseline, sshd, how):
    """Line 21. The same when sshd's session ends; the client returns at once."""
    conf.nsbox(f"[profile all]\nusers = *\n{STRETCHED}")
    began = time.monotonic()
    result = sshd.ssh("alice", f"{tool('stay')} {how}")
    assert result.out == "ready\n" and time.monotonic() - began < 2 * host.PATIENCE
    baseline_module.wait_equal(baseline, timeout=STOP_TIMEOUT + 1)


def test_everything_stopped(conf, baseline, sshd):
    """Line 21. SIGSTOP to everything in the box, sshd's own child included: when its root process ends, the box does."""
    process = sshd.popen("alice", "sleep 100 & echo ready; read go; kill -STOP -1; cat")
    assert process.stdout.readline() == b"ready\n"
    # only now: sshd's child must have passed the line on before it is stopped
    process.stdin.write(b"go\n")
    process.stdin.flush()
    init = init_of(only_box())
    [monitor] = sshd.monitors("alice")
    host.wait_until(lambda: [pid for pid in host.children(monitor) if host.status(pid)["State"].startswith("T")],
                    what="sshd's child is stopped")
    assert host.status(init)["State"].startswith("S")
    os.kill(monitor, signal.SIGKILL)  # by TERM it waits for the stopped child, with our module or without
    host.wait_until(lambda: not host.alive(monitor), what="sshd's process has ended")
    process.kill()
    process.communicate()
    baseline_module.wait_equal(baseline, timeout=STOP_TIMEOUT + 1)


def test_fork_bomb_leaves_others_alone(conf, baseline):
    """Line 21. While a bomb goes off in one box another user logs in; the limit is the box's."""
    conf.nsbox("[profile all]\nusers = *\npids_max = 100\n")
    process = session("mallory", f"bash -c '{tool('stay')} bomb; cat'")
    assert process.stdout.readline() == b"ready\n"
    group = next(iter(boxes()))
    host.wait_until(lambda: int(host.read(f"{host.cgroup_tree()}/nsbox/{group}/pids.current")) >= 99, timeout=10)
    began = time.monotonic()
    result = su("alice", "readlink /proc/self/ns/mnt")
    assert result.rc == 0 and mount_namespace() not in result.out and time.monotonic() - began < 4 * host.PATIENCE
    process.stdin.close()
    process.wait(20 * host.PATIENCE)
    process.stdout.close()


def test_accomplice_holds_a_process(conf, baseline):
    """Line 21. An unboxed accomplice of the same uid holds a boxed process by ptrace(2) and never waits for it, so PID 1 cannot
    finish dying: cgroup and record go all the same, the entry says "dying", and is gone with him."""
    process = session(command="bash -c 'sleep 1000 & echo $!; cat'")
    process.stdout.readline()
    init = init_of(only_box())
    [sleeper] = host.wait_until(lambda: [pid for pid in host.find("sleep", "1000") if host.inner_pids(pid)[1:]])
    holder = start(tool("trace"), str(sleeper), **as_user("alice"))
    [name] = boxes()
    end(process)
    host.wait_until(lambda: boxes().get(name, {}).get("state") == "dying", timeout=STOP_TIMEOUT + 4, what="it is dying")
    host.wait_until(lambda: not os.path.exists(f"{host.cgroup_tree()}/nsbox/{name}"), what="the cgroup is gone")
    assert os.path.exists(f"/proc/{init}")
    assert su("alice", "true").rc == 0
    stop(holder)
    baseline_module.wait_equal(baseline, timeout=STOP_TIMEOUT + 3)


def test_stopped_application(conf, baseline):
    """Line 21. su itself stopped by its caller while its session is killed: the box waits for nobody's reaping but its own, and
    all is gone when su runs on."""
    process = start("su", "bob", "-c", "echo ready; exec cat", **as_user("alice"))
    [name] = boxes()
    host.run("kill", "-STOP", str(process.pid), check=True, **as_user("alice"))
    os.kill(init_of(only_box()), signal.SIGTERM)
    assert su("carol", "true").rc == 0
    host.run("kill", "-CONT", str(process.pid), check=True, **as_user("alice"))
    process.wait(5 * host.PATIENCE)
    process.stdin.close()
    process.stdout.close()
    host.wait_until(lambda: name not in boxes(), timeout=STOP_TIMEOUT + 1)


# -- line 25 --


@pytest.fixture
def marker():
    pathlib.Path(MARKER).write_text("")
    yield MARKER
    os.unlink(MARKER)


def led_out(text):
    """What walk-fds reports; it must have looked at some."""
    assert re.search(r"^looked at [1-9]", text, re.M), text
    return re.findall(r"^OUT .*", text, re.M)


@pytest.fixture
def walk(marker):
    return f"{tool('walk-fds')} {marker}"


def test_walk_finds(walk, marker):
    """The tool is not blind: on the host a directory, a namespace, a cgroup file, a pidfd and a packet socket are found."""
    script = ("import os, socket, subprocess, sys; fds = [os.open(p, f) for p, f in "
              f"(('/', 0), ('/proc/self/ns/uts', 0), ('{host.cgroup_tree()}/cgroup.procs', 1))]; fds += [os.pidfd_open(1)]; "
              "fds += [s.detach() for s in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)]; "
              "subprocess.run(sys.argv[1:], pass_fds=fds)")
    text = host.run("python3", "-c", script, *walk.split()).out
    for way in ("root", "setns", "a namespace", "a cgroup file", "a pidfd", "the monitor's socket"):
        assert way in text, text


def test_descriptors_of_su(conf, baseline, walk):
    """Line 25. What su's shell holds, with and without "-", on a terminal or not."""
    for words in (["alice"], ["-", "alice"]):
        assert led_out(host.run("su", *words, "-c", walk, cwd="/srv").out) == []
    child = host.spawn("su", "alice", "-c", walk)
    child.expect(pexpect.EOF)
    child.close()
    assert led_out(child.before.replace("\r", "")) == []


def test_descriptors_of_su_from_a_caller(conf, baseline, walk):
    """Line 25. What su's caller had open is handed down by su: directories, namespaces, cgroup files are none that lead out."""
    script = ("import os, sys; fds = [os.open(p, f) for p, f in (('/', 0), ('/srv', 0), ('/proc', 0), ('/proc/self/ns/mnt', 0), "
              f"('/proc/self/ns/uts', 0), ('/', os.O_PATH), ('{host.cgroup_tree()}', 0))]; "
              "[os.set_inheritable(fd, True) for fd in fds]; os.chdir('/srv'); os.execvp(sys.argv[1], sys.argv[1:])")
    result = host.run("python3", "-c", script, "su", "bob", "-c", walk, **as_user("alice"))
    assert led_out(result.out) == []
    result = host.run("python3", "-c", f"import os; os.dup2(os.open('/', 0), 0); {script}", "su", "bob", "-c", walk,
                      **as_user("alice"))
    assert result.rc != 0 or led_out(result.out) == []


@pytest.mark.parametrize("pty", ["use_pty", "!use_pty"])
def test_descriptors_of_sudo(conf, baseline, walk, pty):
    """Line 25. What a command of sudo holds."""
    conf.sudoers(f"ALL ALL=(ALL) NOPASSWD: ALL\nDefaults {pty}\n")
    assert led_out(host.run("sudo", "-n", "-u", "bob", *walk.split(), cwd="/srv", **as_user("alice")).out) == []
    child = host.spawn("runuser", "-u", "alice", "--", "sudo", "-n", "-u", "bob", *walk.split())
    child.expect(pexpect.EOF)
    child.close()
    assert led_out(child.before.replace("\r", "")) == []


def test_descriptors_over_ssh(conf, baseline, sshd, walk):
    """Line 25. What a command and a terminal of sshd hold, also in the second channel of a connection, also as root."""
    for user in ("alice", "root"):
        assert led_out(sshd.ssh(user, walk).out) == []
        assert led_out(sshd.ssh(user, walk, tty=True).out.replace("\r", "")) == []
    with sshd.master("alice") as opts:
        for _ in range(2):
            assert led_out(sshd.ssh("alice", walk, opts=opts).out) == []


def test_descriptors_of_sshds_child(conf, baseline, sshd):
    """Line 25. sshd's child runs as the user and never execs: it holds no namespace, no pidfd, no cgroup file, no socket to
    the monitor, no directory; it has no more descriptors than it has without the module."""
    counts = []
    for variant in ("none", "two"):
        conf.pam("sshd", variant=variant)
        with sshd.session("alice"):
            [child] = host.children(sshd.monitors("alice")[0])
            held = host.descriptors(child)
            counts.append(sorted(re.sub(r"\d+", "N", target) for target in held.values()))
    assert counts[0] == counts[1]
    assert not [target for target in counts[1] if re.search(r"pidfd|cgroup|nsbox|^(mnt|pid|net|uts|ipc|cgroup):", target)]


def test_descriptors_by_sftp(conf, baseline, sshd, marker):
    """Line 25. internal-sftp is that very process: its own /proc/self shows no way out by any of its commands."""
    for path in ("/proc/self/root", "/proc/self/cwd/../..", "/proc/1/root", "/proc/self/task/self/root", "/dev/fd/..",
                 *[f"/proc/self/fd/{number}/.." for number in range(16)], "/proc/self/fd/3", "/proc/self/cwd/../../../.."):
        result = sshd.sftp("alice", f"-ls -la {path}\n-ls -la {path}/run\n-get {path}{marker} /tmp/got\n")
        listed = [line for line in result.out.splitlines() if not line.startswith("sftp>")]
        assert "host-only" not in " ".join(listed) and not os.path.exists("/tmp/got"), (path, result)


def test_descriptors_of_cron(conf, baseline, walk):
    """Line 25. What a cron job holds."""
    conf.file("/etc/cron.d/walk", f"@reboot alice {walk}; echo the end\n")
    pathlib.Path("/run/crond.reboot").unlink(missing_ok=True)
    pathlib.Path("/var/mail/captured").write_text("")
    cron = subprocess.Popen(["cron", "-f"])
    try:
        host.wait_until(lambda: "the end" in host.read("/var/mail/captured"), timeout=10)
    finally:
        cron.terminate()
        cron.wait(5 * host.PATIENCE)
    assert led_out(host.read("/var/mail/captured")) == []


def test_descriptors_of_the_application(conf, baseline, sshd):
    """Line 25. What sshd's root process, PID 1 and monitor hold: own namespaces and socket with close-on-exec, PID 1 nothing of
    the host but the life pipe."""
    with sshd.session("alice"):
        [application] = sshd.monitors("alice")
        for fd, target in host.descriptors(application).items():
            if re.search(r"pidfd|^(mnt|pid|net|uts|ipc|cgroup):\[", target):
                flags = host.read(f"/proc/{application}/fdinfo/{fd}")
                assert int(re.search(r"flags:\s+(\d+)", flags).group(1), 8) & os.O_CLOEXEC, target
            assert "/sys/fs/cgroup" not in target
        box = only_box()
        held = host.descriptors(init_of(box))
        assert len(held) == 5 and sorted(re.sub(r"\d+", "N", target) for target in held.values()) == [
            "/dev/null", "/dev/null", "/dev/null", "anon_inode:[signalfd]", "pipe:[N]"], held
