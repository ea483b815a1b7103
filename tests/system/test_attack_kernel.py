# SPDX-License-Identifier: BSD-3-Clause
"""Ways out by /proc, ptrace(2), chroot(2), mounts and the IPC of the kernel."""
import math
import os
import pathlib
import re
import socket
import subprocess
import threading

import pytest

from attacks import PLACE, as_user, boxes, make_root, mount_namespace, picture, start, stop, su, tool
from attacks.limits import seconds
from lib import host

ROOT = "/srv/box"
MARKER = "/run/host-only"  # is on the host, and in no box
POWERFUL = "capabilities = all\nseccomp = off\n"  # root in the box has all that he has on the host


@pytest.fixture
def conf(conf):
    conf.pam_all()
    conf.nsbox("[profile all]\nusers = *\n")
    return conf


@pytest.fixture
def marker():
    pathlib.Path(MARKER).write_text("")
    yield MARKER
    os.unlink(MARKER)


# -- line 9 --


class Traffic:
    """Logins by sshd and su that come and go as long as the block lasts."""

    def __init__(self, sshd):
        self.sshd = sshd
        self.done = threading.Event()
        self.results = []
        self.threads = [threading.Thread(target=self._ssh), threading.Thread(target=self._su)]

    def _ssh(self):
        while not self.done.is_set():
            self.results.append(self.sshd.ssh("bob", "readlink /proc/self/ns/mnt"))

    def _su(self):
        while not self.done.is_set():
            self.results.append(su("carol", "readlink /proc/self/ns/mnt"))
            self.results.append(su("alice", "readlink /proc/self/ns/mnt"))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()
        assert len(self.results) > 5
        for result in self.results:
            assert result.rc == 0 and "mnt:[" in result.out and mount_namespace() not in result.out, result


def in_traffic(sshd):
    """How many seconds an attack has to last that meets a dozen of these logins."""
    return math.ceil(max(3, 6 * seconds(lambda: sshd.ssh("bob", "true"))))


def prey(lines):
    """What peek should not have got: processes of others, and those that are not dumpable whoever owns them."""
    return [line for line in lines if line.startswith("foreign") or line.split()[1].startswith("nsbox") or
            line.split()[0] == "own" and line.split()[1] in ("sshd", "su")]


def test_peek_from_inside(conf, sshd, baseline):
    """Line 9. A loop over every file of /proc and PTRACE_SEIZE in a box, while others log in and its own user opens channels:
    it gets at its user's own processes and at nothing else, and sees no more than those."""
    peek, lasts = tool("peek"), in_traffic(sshd)
    with sshd.master("alice") as opts:
        process = start(*sshd.command("alice", f"sleep {10 * lasts} & {peek} {lasts}; kill $!", opts=opts))
        with Traffic(sshd):
            while process.poll() is None:
                assert sshd.ssh("alice", "true", opts=opts).rc == 0
        lines = process.stdout.read().decode().splitlines()
        stop(process)
    assert "own sleep PTRACE_SEIZE" in lines and "own sleep root/." in lines  # the attack works where it may
    assert prey(lines) == []


def test_peek_from_outside(conf, sshd, baseline):
    """Line 9. The same by an unboxed accomplice of the same uid: he gets at her own boxed processes, which the kernel allows
    (SECURITY.md says so), and never at helper, builder, PID 1, monitor, guard, or an application that is joining."""
    lasts = in_traffic(sshd)
    with sshd.session("alice", f"sleep {10 * lasts}"):
        process = start(tool("peek"), str(lasts), **as_user("alice"))
        with Traffic(sshd):
            process.wait(10 * lasts)
        lines = process.stdout.read().decode().splitlines()
        stop(process)
    assert "own sleep PTRACE_SEIZE" in lines
    assert prey(lines) == []


def test_join_by_an_outsider(conf, baseline):
    """Line 9. An unboxed process of the same uid cannot enter the box, nor a box's process leave for the namespaces of an
    unboxed process."""
    session = start("su", "alice", "-c", "echo ready; exec cat")
    try:
        [entry] = boxes().values()
        inside = host.children(session.pid)[0]
        for pid in (inside, int(entry["init"].split()[0])):
            for words in (["-m"], ["-p"], ["-n"], ["-i"], ["-u"], ["-C"], ["-U", "-m", "--preserve-credentials"]):
                result = host.run("nsenter", "-t", str(pid), *words, "true", **as_user("alice"))
                assert result.rc != 0, (pid, words)
    finally:
        session.stdin.close()
        session.wait(5 * host.PATIENCE)
        session.stdout.close()


# -- line 17 --


@pytest.fixture
def other_side(tmp_path):
    """Objects of an unboxed user: abstract and path socket, shared memory, message queues, semaphores."""
    script = ("import socket, os, ctypes; os.umask(0); a = socket.socket(socket.AF_UNIX); a.bind('\\0nsbox-attack'); a.listen(); "
              "open('/dev/shm/nsbox-attack', 'w').write('x'); rt = ctypes.CDLL('librt.so.1', use_errno=True); "
              "q = rt.mq_open(b'/nsbox-attack', os.O_CREAT | os.O_RDWR, 0o666, None); assert q >= 0; "
              "print('ready', flush=True); input()")
    process = start("python3", "-c", script, **as_user("mallory"))
    made = [host.run("ipcmk", *words, "-p", "0666", check=True).out.split(": ")[1].strip()
            for words in (["-M", "4096"], ["-Q"], ["-S", "1"])]
    yield
    stop(process)
    host.run("ipcrm", "-m", made[0], "-q", made[1], "-s", made[2], check=True)
    os.unlink("/dev/shm/nsbox-attack")
    mounted = os.path.ismount("/dev/mqueue")
    if not mounted:
        os.makedirs("/dev/mqueue", exist_ok=True)
        host.run("mount", "-t", "mqueue", "none", "/dev/mqueue", check=True)
    os.unlink("/dev/mqueue/nsbox-attack")
    if not mounted:
        host.run("umount", "/dev/mqueue", check=True)


LOOK = """
import ctypes, os, socket, subprocess
def can(what):
    try:
        what()
        return 'yes'
    except OSError:
        return 'no'
def queue():
    rt = ctypes.CDLL('librt.so.1', use_errno=True)
    if rt.mq_open(b'/nsbox-attack', os.O_RDWR) < 0:
        raise OSError(ctypes.get_errno(), 'mq_open')
s = socket.socket(socket.AF_UNIX)
print('abstract', can(lambda: s.connect('\\0nsbox-attack')))
print('shm', can(lambda: os.stat('/dev/shm/nsbox-attack')))
print('queue', can(queue))
print('sysv', 'yes' if '0x' in subprocess.run(['ipcs'], capture_output=True, text=True).stdout else 'no')
"""


def look(run):
    result = run(LOOK)
    assert result.rc == 0, result
    return dict(line.split() for line in result.out.splitlines())


def test_ipc_of_the_host(conf, other_side):
    """Line 17. Abstract sockets, /dev/shm, POSIX queues and SysV objects of an unboxed user are out of reach in a box."""
    kinds = ("abstract", "shm", "queue", "sysv")
    unboxed = look(lambda script: host.run("python3", "-c", script, **as_user("alice")))
    assert unboxed == dict.fromkeys(kinds, "yes")
    boxed = look(lambda script: host.run("su", "alice", "-c", 'exec python3 -c "$0"', script))
    assert boxed == dict.fromkeys(kinds, "no")


def test_ipc_of_another_box(conf, baseline):
    """Line 17. And those of one box in another one, of the same user."""
    script = ("import socket, subprocess; a = socket.socket(socket.AF_UNIX); a.bind('\\0nsbox-attack'); a.listen(); "
              "open('/dev/shm/nsbox-attack', 'w'); subprocess.run(['ipcmk', '-Q'], capture_output=True, check=True); "
              "print('ready', flush=True); input()")
    first = start("su", "alice", "-c", 'exec python3 -c "$0"', script)
    try:
        second = look(lambda script: host.run("su", "alice", "-c", 'exec python3 -c "$0"', script))
        assert set(second.values()) == {"no"}
        with socket.socket(socket.AF_UNIX) as probe, pytest.raises(ConnectionRefusedError):
            probe.connect("\0nsbox-attack")
        assert not os.path.exists("/dev/shm/nsbox-attack")
    finally:
        first.stdin.write(b"\n")
        first.stdin.close()
        first.wait(5 * host.PATIENCE)
        first.stdout.close()


# -- line 18 --


@pytest.mark.parametrize("root", ["host", ROOT])
def test_root_tries_to_get_out(conf, baseline, marker, root):
    """Line 18. Root in a box, with all capabilities (those of the default set are in test_attack_table): chroot and fchdir, "..", /proc/*/root, unmounting, the namespaces of PID
    1, none leads to the host's tree; what he mounts is not on the host. (open_by_handle_at(2), raw devices made by mknod and
    the like are root's then: SECURITY.md.)"""
    escape = tool("escape")
    if root == ROOT:
        make_root(ROOT, [escape])
        escape = "/bin/escape"
    conf.nsbox(f"[profile all]\nusers = *\nroot = {root}\n{POWERFUL}")
    try:
        result = su("root", f"cd /; {escape} {marker}", cwd="/srv")
        assert result.out.splitlines() == ["tried 8"], result
    finally:
        if root == ROOT:
            host.run("rm", "-r", ROOT, check=True)


def test_root_gets_out_of_a_chroot(conf, marker):
    """Line 18. The same tricks do lead out of a mere chroot(2): the test above is not blind."""
    make_root(ROOT, [tool("escape")])
    try:
        result = host.run("unshare", "--mount", "--pid", "--fork", "--propagation", "private", "chroot", ROOT,
                          "/bin/escape", marker)
        assert "OUT chroot, fchdir" in result.out.splitlines(), result
    finally:
        host.run("rm", "-r", ROOT, check=True)


def test_mounts_of_root_stay_inside(conf, baseline):
    """Line 18. Mounts, shared ones too, bind mounts and moves by root in a box, if he is let, reach neither the host nor
    another box."""
    conf.nsbox(f"[profile all]\nusers = *\n{POWERFUL}")
    session = start("su", "alice", "-c", "echo ready; exec cat")
    [inside] = host.children(session.pid)
    before = host.read(f"/proc/{inside}/mountinfo")
    here = host.read("/proc/1/mountinfo")
    try:
        result = su("root", "mount --make-rshared / && mount -t tmpfs none /mnt && mkdir /mnt/x && mount --bind /etc /mnt/x && "
                            "mount -t tmpfs none /srv && mount -t tmpfs none /home/alice && umount -l /usr/bin 2>/dev/null; "
                            "mount --make-rprivate / && grep -c ' /home/alice ' /proc/self/mountinfo; cat /proc/self/mountinfo")
        assert result.rc == 0 and result.out.startswith("1\n"), result
        assert host.read("/proc/1/mountinfo") == here
        assert host.read(f"/proc/{inside}/mountinfo") == before
    finally:
        session.stdin.close()
        session.wait(5 * host.PATIENCE)
        session.stdout.close()


def test_no_propagation_to_the_host(conf):
    """Line 18. No mount of a box is shared with the host: each is private, or receives only."""
    for profile in ("", "root = /srv/box"):
        if profile:
            make_root(ROOT)
        conf.nsbox(f"[profile all]\nusers = *\n{profile}\n")
        lines = su("alice", "cat /proc/self/mountinfo").out.splitlines()
        assert len(lines) > 10
        assert [line for line in lines if re.search(r" shared:\d+", line.split(" - ")[0])] == []
    host.run("rm", "-r", ROOT, check=True)


def test_user_tries_to_get_out(conf, baseline, marker):
    """Line 18. An ordinary user: "..", /proc/*/root and cwd, with and without a user namespace of his own."""
    conf.nsbox("[profile all]\nusers = *\nnested_namespaces = yes\n")
    escape = tool("escape")
    script = f"{escape} {marker}; unshare --user --map-root-user --mount --pid --fork {escape} {marker}"
    result = su("alice", script)
    lines = [line for line in result.out.splitlines() if "mount (failed)" not in line]
    assert lines and set(lines) == {"tried 8"}, result


def test_no_second_root(conf, baseline):
    """Line 18. In the box's mount table there is one root, nothing of the builder's staging place, and no host /proc, /sys,
    /dev, /run, cgroup."""
    for profile in ("", f"root = {ROOT}"):
        if profile:
            make_root(ROOT)
        conf.nsbox(f"[profile all]\nusers = *\n{profile}\n")
        table = [line.split() for line in su("root", "cat /proc/self/mountinfo").out.splitlines()]
        points = [fields[4] for fields in table]
        types = [fields[fields.index("-") + 1] for fields in table]
        assert points.count("/") == 1 and not [point for point in points if point.startswith("/run/nsbox")], points
        assert "cgroup" not in types and "cgroup2" not in types and "devtmpfs" not in types and "nsfs" not in types
        assert {point for point, kind in zip(points, types) if kind == "sysfs"} == {"/sys"}
        assert {point.split("/")[1] for point, kind in zip(points, types) if kind == "proc"} == {"proc"}
    host.run("rm", "-r", ROOT, check=True)


def test_rootfs_is_untouched(conf, baseline):
    """Line 18. A login leaves no name in the root directory it used, neither root's nor a user's."""
    make_root(ROOT)
    try:
        conf.nsbox(f"[profile all]\nusers = *\nroot = {ROOT}\nhostname = other\n")
        before = picture(ROOT)
        assert su("alice", "mount | grep -c tmpfs").rc == 0 and su("root", "true").rc == 0
        assert picture(ROOT) == before
    finally:
        host.run("rm", "-r", ROOT, check=True)


def test_tools_are_there():
    """The tools run and find what can be found."""
    sleeper = subprocess.Popen(["sleep", "30"], **as_user("mallory"))
    try:
        lines = host.run(tool("peek"), "0", **as_user("mallory")).out.splitlines()
        assert "own sleep mem" in lines and PLACE
        assert "foreign sleep PTRACE_SEIZE" in host.run(tool("peek"), "0").out.splitlines()
    finally:
        sleeper.kill()
        sleeper.wait()
