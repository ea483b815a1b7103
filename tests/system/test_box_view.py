# SPDX-License-Identifier: BSD-3-Clause
"""What a session sees from inside its box, and what it must not see. All boxes here are made by real ssh logins."""
import collections
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import threading
import time

import pytest

from lib import baseline as picture
from lib import host, syslog

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

PROFILE = "[profile all]\nusers = *\n"
LOOPBACK = PROFILE + "network = loopback\n"
POWERFUL = "capabilities = all\nseccomp = off\n"  # root in the box has all that he has on the host
ALICE, BOB = 2001, 2002
STOP_TIMEOUT, LEAVE_MARGIN = 2.0, 1.0


@pytest.fixture
def boxed(conf):
    """Everybody who comes by ssh is boxed; boxed.profile(lines) says how."""
    start = syslog.mark()
    conf.pam("sshd")
    conf.remove("/root/.bashrc")  # the machine's, whatever it does
    conf.nsbox(LOOPBACK)
    conf.profile = lambda lines="", network="loopback": conf.nsbox(PROFILE + f"network = {network}\n" + lines)
    yield conf
    syslog.wait_for(r"pam_nsbox\(sshd:\w+\): nsbox \w+: (session|login) of ", start)  # else nothing was tested


@pytest.fixture
def place():
    """A directory of the host that root alone may change and everybody may see."""
    path = pathlib.Path("/srv/place")
    path.mkdir(mode=0o755)
    yield path
    host.run("umount", "-l", "-R", str(path))
    shutil.rmtree(path)


# What each probe begins with. attempt(): the value, or the name of the error.
PROBE = """
import collections, ctypes, errno, glob, json, os, re, signal, socket, stat, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def attempt(function, *arguments):
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
def call(function, *arguments):
    ctypes.set_errno(0)
    value = function(*arguments)
    return errno.errorcode[ctypes.get_errno()] if value == -1 else value
def read(path):
    with open(path, "rb") as file:
        return file.read(200000).decode(errors="replace")
def write(path, text="x"):
    # without O_CREAT and O_TRUNC: nothing happens to a file by being opened
    with os.fdopen(os.open(path, os.O_WRONLY), "w") as file:
        file.write(text)
def make(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
def show(value):
    print(json.dumps(value))
"""
IN_A_BOX = 'assert os.path.exists("/run/host/container-manager")\n'


def look(sshd, user, script, opts=()):
    """Runs PROBE and `script` in a box of the user; what it gave to show()."""
    result = sshd.ssh(user, "/usr/bin/python3", "-", input=PROBE + IN_A_BOX + script, opts=opts)
    assert result.rc == 0, result
    return json.loads(result.out.splitlines()[-1])


def sh(sshd, user, script, opts=()):
    """The output of a shell script in a box, which must succeed."""
    result = sshd.ssh(user, f"[ -e /run/host/container-manager ] || exit 99; {script}", opts=opts)
    assert result.rc == 0 and result.err == "", (script, result)
    return result.out


def refused(sshd, user="alice"):
    """A login that must not be possible: the line in syslog that says why."""
    start = syslog.mark()
    result = sshd.ssh(user, "echo ran")
    assert result.rc != 0 and "ran" not in result.out, result
    return syslog.wait_for(rf"nsbox \w+: login of {user} refused: ", start)


@contextlib.contextmanager
def live(sshd, user, *opts):
    """A connection whose box lives through the block: yields (options for ssh(), host pid of its PID 1)."""
    with sshd.master(user, opts=opts) as control:
        ident = sh(sshd, user, "echo $NSBOX_ID", control).strip()
        init, = [pid for pid in host.find("nsbox-init") if (host.cgroup(pid) or "").endswith(f"/{ident}")]
        yield control, init


Mount = collections.namedtuple("Mount", "id root point options optional type source super")


def parse_mountinfo(text):
    found = []
    for line in text.splitlines():
        left, right = line.split(" - ")
        fields, behind = left.split(), right.split()
        found.append(Mount(int(fields[0]), fields[3], fields[4], set(fields[5].split(",")), fields[6:], behind[0],
                           behind[1], behind[2]))
    return found


def mounts_of(pid):
    return parse_mountinfo(pathlib.Path(f"/proc/{pid}/mountinfo").read_text())


# -- PID 1 --


PID_1 = """
seen = {
    "comm": read("/proc/1/comm"),
    "links": {name: attempt(os.readlink, "/proc/1/" + name) for name in ("exe", "root", "cwd", "ns/mnt", "ns/pid")},
    "directories": {name: attempt(os.listdir, "/proc/1/" + name) for name in ("fd", "map_files", "fdinfo", "root")},
    "files": {name: attempt(read, "/proc/1/" + name) for name in
              ("environ", "mem", "auxv", "syscall", "stack", "personality", "io", "pagemap")},
    "maps": attempt(read, "/proc/1/maps"),
    "signals": {str(number): attempt(os.kill, 1, number) for number in (0, 1, 9, 15, 19)},
    "pidfd": attempt(lambda: signal.pidfd_send_signal(os.pidfd_open(1), 9)),
    "ptrace": {name: call(libc.ptrace, number, 1, 0, 0) for name, number in (("ATTACH", 16), ("SEIZE", 0x4206))},
    "own": [os.readlink("/proc/self/exe"), len(os.listdir("/proc/self/fd")) > 2],
}
vector = (ctypes.c_void_p * 2)(ctypes.addressof(ctypes.create_string_buffer(16)), 16)
seen["read memory"] = call(libc.process_vm_readv, 1, vector, 1, vector, 1, 0)
show(seen)
"""


def test_pid_1_is_closed_to_the_user(boxed, sshd, baseline):
    """PID 1 is nsbox-init; the user can neither look into it, nor signal, nor trace it."""
    seen = look(sshd, "alice", PID_1)
    assert seen["comm"] == "nsbox-init\n"
    for kind in ("links", "directories", "files"):
        for name, answer in seen[kind].items():
            assert answer in ("EACCES", "EPERM"), (kind, name, answer)
    assert seen["maps"] in ("EACCES", "EPERM", "")
    assert set(seen["signals"].values()) == {"EPERM"} and seen["pidfd"] == "EPERM"
    assert set(seen["ptrace"].values()) == {"EPERM"} and seen["read memory"] == "EPERM"
    assert seen["own"][0].startswith("/usr/bin/python3") and seen["own"][1]  # the probe can see what may be seen


def test_pid_1_survives_signals_of_root_in_the_box(boxed, sshd, baseline):
    """Only signals from outside count: whatever root in the box sends, PID 1 and the session go on."""
    sends = "for number in 1 2 3 9 15 19 20; do kill -$number 1; done; kill -9 -- -1 2>/dev/null"
    with live(sshd, "root") as (control, init):
        sshd.ssh("root", sends, opts=control)
        assert host.alive(init) and not host.status(init)["State"].startswith("T")
        assert sh(sshd, "root", "cat /proc/1/comm", control) == "nsbox-init\n"


def test_pid_1_holds_nothing_of_the_host(boxed, sshd, baseline):
    """PID 1 has its life pipe, its signals and the box's /dev/null open, runs with CAP_KILL only, and is in the box's
    tree."""
    with live(sshd, "alice") as (_, init):
        kinds = sorted(re.sub(r"\d+", "N", target) for target in host.descriptors(init).values())
        assert kinds == ["/dev/null"] * 3 + ["anon_inode:[signalfd]", "pipe:[N]"]
        box_dev, = [mount.id for mount in mounts_of(init) if mount.point == "/dev"]
        for number in (0, 1, 2):
            assert f"mnt_id:\t{box_dev}\n" in host.read(f"/proc/{init}/fdinfo/{number}")
        status = host.status(init)
        assert {status[name].strip() for name in ("CapPrm", "CapEff")} == {f"{1 << 5:016x}"}
        assert {status[name].strip() for name in ("CapInh", "CapAmb")} == {f"{0:016x}"}
        assert os.readlink(f"/proc/{init}/cwd") == os.readlink(f"/proc/{init}/root") == "/"


def test_ps_shows_only_the_box(boxed, sshd, baseline):
    """`ps ax` lists PID 1, sshd's user child, the command and itself."""
    lines = sh(sshd, "alice", "ps axo pid=,user=,args=").splitlines()
    words = [line.split(None, 2) for line in lines]
    assert words[0] == ["1", "root", "nsbox-init"]
    assert words[1] == ["2", "alice", "sshd: alice@notty"]
    assert words[2][:2] == ["3", "alice"] and words[-1][2].startswith("ps axo")
    assert len(words) <= 4


# -- namespaces --


BOX_NAMESPACES = {"cgroup", "ipc", "mnt", "net", "pid", "uts"}
OWN_NAMESPACES = 'show({name: os.stat("/proc/self/ns/" + name).st_ino for name in os.listdir("/proc/self/ns")})'


def test_namespaces_differ(boxed, sshd, baseline):
    """Six namespaces are neither the host's nor another box's; the user namespace is the host's."""
    here = host.namespaces()
    with live(sshd, "alice") as (control, _):
        first, second = look(sshd, "alice", OWN_NAMESPACES, control), look(sshd, "bob", OWN_NAMESPACES)
    for one, other in ((first, here), (second, here), (first, second)):
        assert {kind for kind in here if one[kind] != other[kind]} == BOX_NAMESPACES


@pytest.mark.parametrize("lines, network, shared", [
    ("", "host", {"net"}),
    ("namespaces = mount pid\n", "loopback", {"uts", "ipc", "cgroup"}),
    ("namespaces = mount pid ipc\n", "host", {"uts", "cgroup", "net"}),
], ids=["network=host", "mount pid", "mount pid ipc"])
def test_namespaces_that_are_shared_by_wish(boxed, sshd, baseline, lines, network, shared):
    """`namespaces` and `network` decide which are the host's, and no other is."""
    boxed.profile(lines, network)
    here = host.namespaces()
    seen = look(sshd, "alice", OWN_NAMESPACES)
    assert {kind for kind in BOX_NAMESPACES if seen[kind] == here[kind]} == shared


def test_only_a_loopback_that_works(boxed, sshd, baseline):
    """The box has lo, up, with 127.0.0.1 and ::1, and no other interface, route or neighbour of the host."""
    host.run("ip", "link", "add", "probe0", "type", "veth", "peer", "probe1", check=True)
    try:
        seen = look(sshd, "alice", """
answers = {}
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    server = socket.socket(family)
    server.bind((address, 0))
    server.listen()
    client = socket.socket(family)
    client.settimeout(3)
    answers[address] = attempt(client.connect, (address, server.getsockname()[1]))
show({"links": [name for _, name in socket.if_nameindex()], "answers": answers,
      "sys": os.listdir("/sys/class/net"), "dev": re.findall(r"(\\w+):", read("/proc/net/dev")),
      "flags": int(read("/sys/class/net/lo/flags"), 16), "route": len(read("/proc/net/route").splitlines()),
      "outside": attempt(socket.socket().connect, ("10.0.0.1", 80)),
      "sshd": attempt(socket.socket().connect, ("127.0.0.1", %d))})
""" % sshd.port)
    finally:
        host.run("ip", "link", "del", "probe0", check=True)
    assert seen["links"] == seen["sys"] == seen["dev"] == ["lo"]
    assert seen["answers"] == {"127.0.0.1": None, "::1": None} and seen["flags"] & 1
    assert seen["route"] == 1 and seen["outside"] == "ENETUNREACH" and seen["sshd"] == "ECONNREFUSED"


def test_network_host_reaches_the_host(boxed, sshd, baseline):
    """With network = host the session has the host's interfaces and services."""
    boxed.profile(network="host")
    assert look(sshd, "alice", f'show(attempt(socket.socket().connect, ("127.0.0.1", {sshd.port})))') is None


# -- objects of others --


# Makes one of each kind, each open to everybody. The first argument names them.
PLACE = PROBE + """
name, key = sys.argv[1], int(sys.argv[2])
os.umask(0)
for directory in ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock"):
    make(directory + "/" + name)
assert libc.shmget(key, 4096, 0o1666) >= 0 and libc.semget(key, 1, 0o1666) >= 0 and libc.msgget(key, 0o1666) >= 0
listener = socket.socket(socket.AF_UNIX)
listener.bind("\\0" + name)
listener.listen()
with open("/proc/self/comm", "w") as file:
    file.write(name)
print("ready", flush=True)
sys.stdin.read()
for directory in ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock"):
    os.unlink(directory + "/" + name)
libc.shmctl(libc.shmget(key, 0, 0), 0, 0)
libc.semctl(libc.semget(key, 0, 0), 0, 0)
libc.msgctl(libc.msgget(key, 0), 0, 0)
"""
# Which of them are in sight.
FIND = """
name, key = "%s", %d
librt = ctypes.CDLL("librt.so.1", use_errno=True)
found = {directory: os.path.exists(directory + "/" + name)
         for directory in ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock")}
found["queue"] = call(librt.mq_open, ("/" + name).encode(), 0) != "ENOENT"
found["shm"] = call(libc.shmget, key, 0, 0) != "ENOENT"
found["sem"] = call(libc.semget, key, 0, 0) != "ENOENT"
found["msg"] = call(libc.msgget, key, 0) != "ENOENT"
for kind in ("shm", "sem", "msg"):
    found["sysvipc " + kind] = str(key) in read("/proc/sysvipc/" + kind).split()
found["abstract socket"] = attempt(socket.socket(socket.AF_UNIX).connect, "\\0" + name) is None
found["socket list"] = "@" + name in read("/proc/net/unix").split()
found["process"] = name in [attempt(read, path).strip() for path in glob.glob("/proc/[0-9]*/comm")]
show(found)
"""


@contextlib.contextmanager
def placed(command, name):
    """PLACE, run by `command`, until the block ends."""
    process = subprocess.Popen([*command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n", name
        yield
    finally:
        process.stdin.close()
        process.wait(10 * host.PATIENCE)
        process.stdout.close()


@contextlib.contextmanager
def placed_here(name, key):
    with placed(["python3", "-c", PLACE, name, str(key)], name):
        yield


@contextlib.contextmanager
def placed_in_a_box(sshd, user, name, key, opts):
    quoted = "'" + PLACE.replace("'", "'\\''") + "'"
    with placed(sshd.command(user, "python3", "-c", quoted, name, str(key), opts=opts), name):
        yield


def find(sshd, user, name, key, opts=()):
    return look(sshd, user, FIND % (name, key), opts)


def test_objects_of_others_are_out_of_sight(boxed, sshd, baseline):
    """IPC objects, queues, abstract sockets, processes and files in shared places, of the host and of another box: none
    is in sight. The same look finds them all where they were made."""
    with live(sshd, "bob") as (bobs, _), placed_here("ns-probe-host", 4711), \
            placed_in_a_box(sshd, "bob", "ns-probe-box", 4712, bobs):
        assert set(find(sshd, "bob", "ns-probe-box", 4712, bobs).values()) == {True}
        with live(sshd, "alice") as (control, _):
            for name, key in (("ns-probe-host", 4711), ("ns-probe-box", 4712)):
                assert set(find(sshd, "alice", name, key, control).values()) == {False}
        assert set(find(sshd, "bob", "ns-probe-host", 4711, bobs).values()) == {False}


def test_objects_are_in_sight_where_the_profile_shares(boxed, sshd, baseline):
    """The look itself is good: a box that shares IPC, network and /tmp sees what is in them, and nothing else."""
    boxed.profile("namespaces = mount pid\nprivate_tmp = no\n", network="host")
    with placed_here("ns-probe-host", 4711):
        found = find(sshd, "alice", "ns-probe-host", 4711)
    assert {kind for kind, seen in found.items() if not seen} == {"/run/lock", "process"}


def test_host_processes_cannot_be_signalled(boxed, sshd, baseline):
    """The pids of the host's processes of the same user mean nothing in the box."""
    victim = subprocess.Popen(["setpriv", "--reuid", "2001", "--regid", "2001", "--clear-groups", "sleep", "1000"])
    try:
        host.wait_until(lambda: host.comm(victim.pid) == "sleep")
        assert look(sshd, "alice", f"show([attempt(os.kill, {victim.pid}, 9), attempt(os.kill, -1, 0)])")[0] == "ESRCH"
        sshd.ssh("alice", "kill -9 -1")
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


# -- ways to the host's tree --


def test_root_of_the_tree_is_its_end(boxed, sshd, baseline):
    """".." of "/" is "/", and every mount in mountinfo hangs below the box's root."""
    seen = look(sshd, "alice", """
root, up = os.stat("/"), os.stat("/../../..")
show({"same": (root.st_dev, root.st_ino) == (up.st_dev, up.st_ino), "mountinfo": read("/proc/self/mountinfo")})
""")
    assert seen["same"]
    mounts = parse_mountinfo(seen["mountinfo"])
    parents = {int(line.split()[0]): int(line.split()[1]) for line in seen["mountinfo"].splitlines()}
    tops = [mount for mount in mounts if parents[mount.id] not in parents]
    assert [mount.point for mount in tops] == ["/"]
    assert len([mount for mount in mounts if mount.point == "/"]) == 1


# Whatever can be reached through /proc/PID/{root,cwd,fd}, told by the mount it lies on.
REACHABLE = """
here = {int(line.split()[0]) for line in read("/proc/self/mountinfo").splitlines()}
outside, looked, denied = [], 0, set()
def look_at(path):
    global looked
    try:
        target = os.readlink(path)
        if re.match(r"(pipe|socket|anon_inode|net|mnt|pid|uts|ipc|user|cgroup|time):", target):
            if not re.match("(pipe|socket):", target) and not target.startswith("anon_inode"):
                outside.append(path + " " + target)
            return
        fd = os.open(path, os.O_PATH)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            denied.add(path.split("/")[2])
        return
    mount = int(re.search(r"mnt_id:\\s*(\\d+)", read("/proc/self/fdinfo/%d" % fd))[1])
    os.close(fd)
    looked += 1
    if mount not in here:
        outside.append(path + " " + target)
for process in glob.glob("/proc/[0-9]*"):
    for name in ("root", "cwd"):
        look_at(process + "/" + name)
    for number in range(100):
        look_at(process + "/fd/%d" % number)
show({"outside": outside, "looked": looked, "denied": sorted(denied)})
"""


@pytest.mark.parametrize("user, denied", [("alice", ["1", "2"]), ("root", ["1"]), ("root with all", [])])
def test_no_process_of_the_box_leads_out(boxed, sshd, baseline, user, denied):
    """root, cwd and every descriptor of every process, as far as the user may look, lie on mounts of the box; none is a
    namespace. The user may not look into PID 1 and sshd's child at all, and root not into PID 1, unless he has all capabilities:
    then he sees that they lead nowhere either."""
    if user == "root with all":
        boxed.profile(POWERFUL)
        user = "root"
    with live(sshd, user) as (control, _), sshd.session(user, "cat", opts=control):
        seen = look(sshd, user, REACHABLE, control)
    assert seen["outside"] == [] and seen["looked"] >= 4
    assert seen["denied"] == denied


def kinds_of_descriptors(pid):
    return collections.Counter(re.sub(r"\d+", "N", target) for target in host.descriptors(pid).values())


def test_no_descriptor_is_handed_down(boxed, sshd, baseline):
    """sshd's user child and the shell have the descriptors that they have without a box, not one more."""
    def tree():
        with sshd.session("alice", "cat"):
            monitor, = sshd.monitors("alice")
            below = sorted(host.descendants(monitor))
            host.wait_until(lambda: [host.comm(pid) for pid in below] == ["sshd", "cat"], what="sshd's child and cat")
            return [kinds_of_descriptors(pid) for pid in below]

    inside = tree()
    host.wait_until(lambda: not sshd.monitors("alice"))
    boxed.pam("sshd", variant="none")
    assert inside == tree()


def test_chroot_does_not_lead_out(boxed, sshd, baseline):
    """The old trick (chroot below an open directory, then ".." upwards) ends at the box's root, even for root."""
    marker = pathlib.Path("/run/only-on-the-host")
    marker.write_text("")
    try:
        seen = look(sshd, "root", """
top = os.open("/", os.O_RDONLY)
os.mkdir("/tmp/hole")
os.chroot("/tmp/hole")
os.fchdir(top)
for _ in range(100):
    os.chdir("..")
os.chroot(".")
show([read("/run/host/container-manager"), os.path.exists("/run/only-on-the-host"), os.path.exists("/etc/passwd")])
""")
    finally:
        marker.unlink()
    assert seen == ["nsbox\n", False, True]


def test_nothing_lies_under_the_boxs_own_mounts(boxed, sshd, baseline):
    """/run, /sys, /dev and /proc of the host were taken away, not covered: root who unmounts the box's finds neither
    the host's services nor its processes."""
    boxed.profile(POWERFUL)
    marker = pathlib.Path("/run/only-on-the-host")
    marker.write_text("")
    try:
        seen = look(sshd, "root", """
umount = lambda path: call(libc.umount2, path.encode(), 2)
results = {path: umount(path) for path in ("/run", "/sys", "/dev", "/proc")}
results["again"] = [umount(path) for path in ("/run", "/sys", "/dev", "/proc")]
results["left"] = [path for path in ("/run/only-on-the-host", "/proc/self", "/proc/1", "/sys/kernel", "/dev/null",
                                     "/sys/fs/cgroup/pids", "/sys/fs/cgroup/cgroup.procs") if os.path.lexists(path)]
show(results)
""")
    finally:
        marker.unlink()
    assert [seen[path] for path in ("/run", "/sys", "/dev", "/proc")] == [0, 0, 0, 0]
    assert seen["again"] == ["EINVAL"] * 4
    # The root's own file system may have nodes there, as Debian's images have.
    own = host.run("unshare", "--mount", "sh", "-c", "mount --bind / /mnt && test -e /mnt/dev/null").rc == 0
    assert seen["left"] == (["/dev/null"] if own else [])


def test_user_cannot_uncover_tmp(boxed, sshd, baseline):
    """In a user namespace of the user's own, where one can be had, the box's mounts cannot be lifted either."""
    boxed.profile("nested_namespaces = yes\n")
    marker = pathlib.Path("/tmp/only-on-the-host")
    marker.write_text("")
    try:
        script = ("unshare --user --map-root-user --mount sh -c 'umount /tmp; umount -l /tmp; ls -A /tmp; "
                  "umount -l /run; ls -A /run' 2>/dev/null; true")
        assert "only-on-the-host" not in sh(sshd, "alice", script)
    finally:
        marker.unlink()


# -- mounts --


INERT = {"nosuid", "nodev", "noexec"}
# point: (type, options that must be there, options that must not)
VIEW = {
    "/run": ("tmpfs", {"rw", "nosuid", "nodev"}, set()),
    f"/run/user/{ALICE}": ("tmpfs", {"rw", "nosuid", "nodev"}, set()),
    "/var/log/wtmp": ("tmpfs", {"rw"} | INERT, set()),
    "/sys": ("sysfs", {"ro"} | INERT, set()),
    "/dev": ("tmpfs", {"rw", "nosuid", "noexec"}, {"nodev"}),
    "/dev/pts": ("devpts", {"rw", "nosuid", "noexec"}, {"nodev"}),
    "/dev/shm": ("tmpfs", {"rw", "nosuid", "nodev"}, set()),
    "/dev/mqueue": ("mqueue", {"rw"} | INERT, set()),
    "/dev/log": ("tmpfs", {"rw", "nosuid", "noexec"}, set()),
    "/tmp": ("tmpfs", {"rw", "nosuid", "nodev"}, set()),
    "/var/tmp": ("tmpfs", {"rw", "nosuid", "nodev"}, set()),
    "/proc": ("proc", {"rw"} | INERT, set()),
}
MASKED = ("kcore", "keys", "timer_list", "sched_debug", "latency_stats", "acpi", "scsi", "asound")
FROZEN = ("sys", "sysrq-trigger", "irq", "bus", "fs", "dynamic_debug")
KERNEL_TYPES = {"proc", "sysfs", "cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "debugfs", "tracefs",
                "securityfs", "configfs", "bpf", "pstore", "efivarfs", "binfmt_misc", "nsfs", "rpc_pipefs", "fusectl"}


def present(names):
    return [f"/proc/{name}" for name in names if os.path.exists(f"/proc/{name}")]


def expected_view():
    view = dict(VIEW)
    for path in present(MASKED):
        view[path] = (None, {"ro", "nosuid", "noexec"}, set())
    for path in present(FROZEN):
        view[path] = ("proc", {"ro"} | INERT, set())
    return view


def check_view(mounts, view, others):
    """Each row of the view is there, on top, with its flags; every other mount is one of `others`. None sends mounts
    back."""
    assert not [mount for mount in mounts if any(word.startswith("shared:") for word in mount.optional)]
    top = {mount.point: mount for mount in mounts}
    for point, (kind, wanted, unwanted) in view.items():
        mount = top[point]
        assert kind in (None, mount.type), mount
        assert wanted <= mount.options and not unwanted & mount.options, mount
    for mount in mounts:
        if mount.point not in view or mount is not top[mount.point]:
            assert mount.point in others and mount.type not in KERNEL_TYPES, mount


def test_mounts_of_the_default_view(boxed, sshd, baseline):
    """mountinfo of a box is the default view with its flags, and otherwise clones of the host's real file systems,
    none of which sends mounts back."""
    with live(sshd, "alice") as (_, init):
        outside = {mount.point for mount in mounts_of(1)}
        check_view(mounts_of(init), expected_view(), outside)
        assert {"/", "/cache"} <= {mount.point for mount in mounts_of(init)}
        root, = [mount for mount in mounts_of(init) if mount.point == "/"]
        assert any(word.startswith("master:") for word in root.optional)


def test_kernel_file_systems_in_other_places_are_gone(boxed, sshd, baseline, place):
    """A second /proc, /sys, devpts and cgroup tree, such as an administrator keeps for a chroot, is not in the box."""
    for kind in ("proc", "sysfs", "devpts", "cgroup2"):
        (place / kind).mkdir()
        host.run("mount", "-t", kind, kind, str(place / kind), check=True)
    assert sh(sshd, "alice", f"ls {place}/*").split() == [f"{place}/{name}:" for name in
                                                         ("cgroup2", "devpts", "proc", "sysfs")]
    host.run("umount", *(str(path) for path in place.iterdir()), check=True)


def test_hidden_files_stay_hidden(boxed, sshd, baseline, place):
    """By the null device, mounted on a file: of a devtmpfs, as /dev is on most hosts, and of a tmpfs."""
    (place / "dev").mkdir()
    host.run("mount", "-t", "devtmpfs", "devtmpfs", str(place / "dev"), check=True)
    for name, null in (("one", place / "dev/null"), ("two", "/dev/null")):
        (place / name).write_text("secret\n")
        host.run("mount", "--bind", str(null), str(place / name), check=True)
    try:
        for user in ("alice", "root"):
            assert "secret" not in sh(sshd, user, f"cat {place}/one {place}/two 2>&1; ls -l {place}/one {place}/two; true")
    finally:
        host.run("umount", *(str(place / name) for name in ("one", "two", "dev")), check=True)


# -- /proc and /sys --


def test_masked_files_are_empty(boxed, sshd, baseline):
    """What /proc says about the kernel as a whole reads as nothing, for root as well."""
    masked = present(MASKED)
    assert "/proc/keys" in masked
    for user in ("alice", "root"):
        seen = look(sshd, user, f"""
show({{path: os.listdir(path) if os.path.isdir(path) else attempt(read, path) for path in {masked!r}}})
""")
        assert set(map(str, seen.values())) <= {"", "[]"}, seen
        assert look(sshd, user, "show(os.path.exists('/proc/version'))")


@pytest.mark.parametrize("user", ["alice", "root"])
def test_kernel_settings_cannot_be_written(boxed, sshd, baseline, user):
    """No file of /proc/sys, /proc/sysrq-trigger and /sys can be opened for writing, even by root in the box."""
    seen = look(sshd, user, """
def openable(path):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY))
        return True
    except OSError:
        return False
tried, writable = 0, []
for top in ("/proc/sys", "/proc/irq", "/proc/fs", "/proc/bus", "/sys"):
    for directory, names, files in os.walk(top):
        for name in files:
            path = directory + "/" + name
            if os.path.islink(path) or not os.lstat(path).st_mode & 0o222:
                continue
            tried += 1
            if openable(path):
                writable.append(path)
pattern = read("/proc/sys/kernel/core_pattern")
show({"tried": tried, "writable": writable, "sysrq": attempt(os.open, "/proc/sysrq-trigger", os.O_WRONLY),
      "pattern": [pattern, attempt(write, "/proc/sys/kernel/core_pattern", pattern)]})
""")
    assert seen["tried"] > 100 and seen["writable"] == []
    refusals = {"EROFS", "EACCES"} if user == "alice" else {"EROFS"}
    assert seen["sysrq"] in (refusals if os.path.exists("/proc/sysrq-trigger") else {"ENOENT"})
    assert seen["pattern"][1] in refusals
    assert seen["pattern"][0] == host.read("/proc/sys/kernel/core_pattern")


def test_no_cgroup_file_is_in_sight(boxed, sshd, baseline):
    """No tree of control groups is mounted, no file of one can be found, and the own group looks like the root."""
    seen = look(sshd, "root", """
files = [d + "/" + f for d, _, names in os.walk("/sys/fs") for f in names if f in ("tasks", "cgroup.procs")]
show({"files": files, "own": read("/proc/self/cgroup"),
      "types": sorted({line.split(" - ")[1].split()[0] for line in read("/proc/self/mountinfo").splitlines()})})
""")
    assert seen["files"] == [] and not {"cgroup", "cgroup2"} & set(seen["types"])
    assert host.cgroup_in(seen["own"]) == "/"


# -- /dev --


DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0),
           "ptmx": (5, 2)}
LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}


def test_dev_has_the_standard_devices_only(boxed, sshd, baseline):
    """/dev holds seven devices, four links, pts, shm, mqueue and log; the user can make nothing in it."""
    seen = look(sshd, "alice", """
entries = {}
for name in os.listdir("/dev"):
    info = os.lstat("/dev/" + name)
    entries[name] = [stat.S_IFMT(info.st_mode), info.st_mode & 0o7777, os.major(info.st_rdev), os.minor(info.st_rdev),
                     attempt(os.readlink, "/dev/" + name)]
show({"entries": entries, "make": attempt(make, "/dev/new"), "node": attempt(os.mknod, "/tmp/null", 0o20666, 0x103),
      "zero": open("/dev/zero", "rb").read(3).hex(),
      "full": attempt(lambda: os.write(os.open("/dev/full", os.O_WRONLY), b"x"))})
""")
    entries = seen["entries"]
    assert set(entries) == set(DEVICES) | set(LINKS) | {"pts", "shm", "mqueue", "log"}
    for name, numbers in DEVICES.items():
        assert entries[name][:4] == [stat.S_IFCHR, 0o666, *numbers], name
    for name, target in LINKS.items():
        assert entries[name][0] == stat.S_IFLNK and entries[name][4] == target
    assert entries["log"][0] == stat.S_IFSOCK
    assert (entries["shm"][1], entries["mqueue"][1]) == (0o1777, 0o1777)
    assert (seen["make"], seen["node"], seen["zero"], seen["full"]) == ("EACCES", "EPERM", "000000", "ENOSPC")


def test_devices_on_writable_mounts_do_not_open(boxed, sshd, baseline):
    """A raw device that root, with all capabilities, makes on a file system of the box is dead: nodev."""
    boxed.profile(POWERFUL)
    seen = look(sshd, "root", """
found = {}
for place in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/run/user/0"):
    os.mknod(place + "/disk", 0o60600, os.makedev(7, 0))
    found[place] = attempt(os.open, place + "/disk", os.O_RDONLY)
show(found)
""")
    assert set(seen.values()) == {"EACCES"}


@pytest.mark.parametrize("mode, own", [("private", True), ("auto", True), ("host", False)])
def test_devpts(boxed, sshd, baseline, mode, own):
    """devpts = private and, for sshd, auto: a terminal that the host does not have. host: one of the host's, with its
    name."""
    boxed.profile(f"devpts = {mode}\n")
    before = set(os.listdir("/dev/pts"))
    process = sshd.popen("alice", "tty; stat -c %d $(tty); cat", tty=True)
    try:
        name, device = (process.stdout.readline().decode().strip() for _ in range(2))
        assert (int(device) == os.stat("/dev/pts").st_dev) != own
        added = {f"/dev/pts/{entry}" for entry in set(os.listdir("/dev/pts")) - before}
        assert added == (set() if own else {name})
        assert name == "/dev/pts/0" or not own
    finally:
        process.stdin.close()
        process.terminate()
        process.wait(10 * host.PATIENCE)
        process.stdout.close()
        process.stderr.close()


# -- /run --


def test_run_holds_only_what_is_meant_to_be_there(boxed, sshd, baseline):
    """/run has host, lock, screen, user and utmp, with the right owners, and nothing of the host's."""
    made = [pathlib.Path(path) for path in ("/run/dbus", "/run/systemd", f"/run/user/{ALICE}", f"/run/user/{BOB}")]
    for path in made:
        path.mkdir(parents=True)
        (path / "bus").write_text("")
    try:
        seen = look(sshd, "alice", """
def entry(path):
    info = os.lstat(path)
    return [oct(info.st_mode & 0o7777), info.st_uid, info.st_gid]
names = ("/run", "/run/host", "/run/host/container-manager", "/run/lock", "/run/screen", "/run/user", "/run/user/2001")
show({"names": sorted(os.listdir("/run")), "users": os.listdir("/run/user"), "own": os.listdir("/run/user/2001"),
      "entries": {name: entry(name) for name in names}, "manager": read("/run/host/container-manager"),
      "write": [attempt(make, "/run/user/2001/x"), attempt(make, "/run/x"), attempt(make, "/run/host/x"),
                attempt(write, "/run/host/container-manager"), attempt(os.unlink, "/run/host/container-manager"),
                attempt(os.rename, "/run/host", "/run/other")]})
""")
    finally:
        for path in made:
            shutil.rmtree(path)
    assert seen["names"] == ["host", "lock", "screen", "user", "utmp"]
    assert seen["users"] == [str(ALICE)] and seen["own"] == [] and seen["manager"] == "nsbox\n"
    assert seen["entries"] == {
        "/run": ["0o755", 0, 0], "/run/host": ["0o755", 0, 0], "/run/host/container-manager": ["0o444", 0, 0],
        "/run/lock": ["0o1777", 0, 0], "/run/screen": ["0o1777", 0, 0], "/run/user": ["0o755", 0, 0],
        f"/run/user/{ALICE}": ["0o700", ALICE, ALICE]}
    assert seen["write"][0] is None and set(seen["write"][1:]) == {"EACCES"}


def test_utmp_is_the_boxs_own(boxed, sshd, baseline):
    """sshd's record of its terminal goes into the box's utmp and wtmp; the host's has one record for the box."""
    wtmp = os.path.getsize("/var/log/wtmp")
    child = sshd.spawn("alice", "cat /run/host/container-manager; read x")
    child.expect("nsbox\r\n")
    init, = host.find("nsbox-init")
    ident = host.cgroup(init).split("/")[-1]
    inside = picture.utmp_records(f"/proc/{init}/root/run/utmp")
    assert [(record[2], record[4]) for record in inside] == [("pts/0", "alice")]
    outside = [record for record in picture.utmp_records() if record[4] == "alice"]
    assert [(record[1], record[2], record[5]) for record in outside] == [
        (sshd.monitors("alice")[0], f"nsbox/{ident}", "127.0.0.1")]
    info = os.stat(f"/proc/{init}/root/run/utmp")
    assert (info.st_uid, info.st_gid, info.st_mode) == (0, os.stat("/run/utmp").st_gid, os.stat("/run/utmp").st_mode)
    assert os.path.getsize(f"/proc/{init}/root/var/log/wtmp") == picture.UTMP_RECORD.size
    child.sendline("")
    child.expect("\r\n")
    child.close()
    host.wait_until(lambda: not [r for r in picture.utmp_records() if r[4] == "alice"], what="the record is closed")
    assert os.path.getsize("/var/log/wtmp") - wtmp == 2 * picture.UTMP_RECORD.size


SERVICES = {
    "/run/nscd": "/run/nscd/socket",
    "/run/nslcd": "/run/nslcd/socket",
    "/run/samba/winbindd": "/run/samba/winbindd/pipe",
    "/run/systemd/userdb": "/run/systemd/userdb/io.example",
    "": "/run/.heim_org.h5l.kcm-socket",
}


@contextlib.contextmanager
def service(path):
    """A service of the host that says "here" to everybody."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o666)
    listener.listen()

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):
                client.sendall(b"here")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        listener.close()
        os.unlink(path)


@pytest.mark.parametrize("directory", SERVICES)
def test_name_services_are_bound_back(boxed, sshd, baseline, directory):
    """The socket of a name service in /run answers in the box; its directory cannot be changed, and what lies beside
    it on the host is not there."""
    path = SERVICES[directory]
    top = "/run/" + path.split("/")[2]
    if directory:
        os.makedirs(directory)
        pathlib.Path(os.path.dirname(directory), "beside").write_text("")
    try:
        with service(path):
            seen = look(sshd, "root", f"""
client = socket.socket(socket.AF_UNIX)
client.settimeout(5)
client.connect({path!r})
show({{"answer": client.recv(10).decode(), "run": os.listdir("/run"), "make": attempt(make, {directory + "/new"!r}),
      "top": os.listdir({top!r}) if os.path.isdir({top!r}) else []}})
""")
    finally:
        if directory:
            os.unlink(os.path.join(os.path.dirname(directory), "beside"))
            shutil.rmtree(top)
    assert seen["answer"] == "here" and "beside" not in seen["run"] + seen["top"]
    assert seen["make"] == ("EROFS" if directory else None)


def test_resolv_conf_behind_a_link(boxed, sshd, baseline):
    """Where /etc/resolv.conf is a link into /run the file is there, read-only, and its neighbours are not."""
    directory = pathlib.Path("/run/resolver/deep")
    directory.mkdir(parents=True)
    (directory / "stub.conf").write_text("nameserver 192.0.2.1\n")
    (directory / "other").write_text("")
    boxed.remove("/etc/resolv.conf")
    os.symlink("../run/resolver/deep/stub.conf", "/etc/resolv.conf")
    try:
        seen = look(sshd, "root", """
show([read("/etc/resolv.conf"), attempt(write, "/etc/resolv.conf"), os.listdir("/run/resolver/deep")])
""")
        assert seen == ["nameserver 192.0.2.1\n", "EROFS", ["stub.conf"]]
        (directory / "stub.conf").unlink()
        assert sshd.ssh("alice", "cat /etc/resolv.conf").rc == 1  # a link to nowhere refuses no login
    finally:
        shutil.rmtree("/run/resolver")


# -- Kerberos --


CACHE = b"\5\4" + bytes(range(256)) * 20
CACHE_PATH = "/tmp/krb5cc_probe"


@pytest.fixture
def tickets(boxed):
    """with_cache(value): the stack sets KRB5CCNAME, as pam_krb5 does."""
    def write(value=f"FILE:{CACHE_PATH}"):
        boxed.file("/etc/security/krb-environment", f"KRB5CCNAME={value}\n")
        boxed.pam("sshd", before_open=["session required pam_env.so conffile=/dev/null "
                                       "envfile=/etc/security/krb-environment"])
    write()
    yield write
    for name in os.listdir("/tmp"):
        if name.startswith("krb5cc"):
            os.unlink(f"/tmp/{name}")


def make_cache(path=CACHE_PATH, uid=ALICE, mode=0o600):
    pathlib.Path(path).write_bytes(CACHE)
    os.chown(path, uid, uid)
    os.chmod(path, mode)


LOOK_FOR_CACHE = f"""
def cache(path):
    info = os.lstat(path)
    return [open(path, "rb").read().hex(), info.st_uid, oct(info.st_mode)]
show([os.environ.get("KRB5CCNAME"), sorted(os.listdir("/tmp")), attempt(cache, {CACHE_PATH!r})])
"""


@pytest.mark.parametrize("value", [f"FILE:{CACHE_PATH}", CACHE_PATH])
def test_kerberos_cache_is_taken_along(tickets, sshd, baseline, value):
    """The user's own cache is in the box's /tmp, for the user only, and is a copy."""
    tickets(value)
    make_cache()
    assert look(sshd, "alice", LOOK_FOR_CACHE) == [value, ["krb5cc_probe"], [CACHE.hex(), ALICE, "0o100600"]]
    sh(sshd, "alice", f"echo changed >{CACHE_PATH}")
    assert pathlib.Path(CACHE_PATH).read_bytes() == CACHE


def make_link_to_shadow():
    os.symlink("/etc/shadow", CACHE_PATH)
    os.lchown(CACHE_PATH, ALICE, ALICE)


def make_link_to_bobs():
    make_cache("/tmp/krb5cc_bob", BOB, 0o644)
    os.symlink("/tmp/krb5cc_bob", CACHE_PATH)
    os.lchown(CACHE_PATH, ALICE, ALICE)


def make_fifo():
    os.mkfifo(CACHE_PATH, 0o666)
    os.chown(CACHE_PATH, ALICE, ALICE)


@pytest.mark.parametrize("prepare", [
    pytest.param(lambda: make_cache(uid=BOB, mode=0o644), id="another user's"),
    pytest.param(lambda: make_cache(uid=0, mode=0o644), id="root's"),
    pytest.param(make_link_to_shadow, id="link to root's"),
    pytest.param(make_link_to_bobs, id="link to another's"),
    pytest.param(make_fifo, id="fifo"),
    pytest.param(lambda: None, id="missing"),
])
def test_kerberos_cache_that_is_not_the_users_own_file(tickets, sshd, baseline, prepare):
    """A cache that is not a plain file of the user is passed over: the login works at once, with an empty /tmp."""
    prepare()
    start = time.monotonic()
    assert look(sshd, "alice", LOOK_FOR_CACHE) == [f"FILE:{CACHE_PATH}", [], "ENOENT"]
    assert time.monotonic() - start < 3 * host.PATIENCE


@pytest.mark.parametrize("value", ["FILE:/etc/shadow", "FILE:/tmp/../etc/shadow", "FILE:relative", "FILE:/tmp", "FILE:",
                                   "KEYRING:persistent:2001", "DIR:/tmp/krb5cc_probe"])
def test_kerberos_cache_in_other_places(tickets, sshd, baseline, value):
    """Values that name no file in /tmp bring nothing into the box and hinder no login."""
    tickets(value)
    assert look(sshd, "alice", LOOK_FOR_CACHE) == [value, [], "ENOENT"]


def test_kerberos_cache_with_a_shared_tmp(tickets, boxed, sshd, baseline):
    """With private_tmp = no the cache stays what it is."""
    boxed.profile("private_tmp = no\n")
    make_cache()
    sh(sshd, "alice", f"test $(stat -c %u {CACHE_PATH}) = {ALICE} && echo more >>{CACHE_PATH}")
    assert pathlib.Path(CACHE_PATH).read_bytes() == CACHE + b"more\n"


# -- syslog --


def test_dev_log_works_in_the_box(boxed, sshd, baseline):
    """syslog(3) of the session arrives, with the pid that the kernel vouches for."""
    start = syslog.mark()
    with sshd.session("alice", "sh -c 'logger -t probe inside; exec cat'"):
        line = syslog.wait_for(r"probe\[\d+\] .*inside", start)
    assert line.startswith("user.notice probe[")


def test_syslogd_restart(boxed, sshd, baseline):
    """After a restart of the syslogd new boxes log to the new one. In a box of before a program that logs goes on (its
    lines are lost), and the end of the box is logged."""
    before = syslog.pid()
    with live(sshd, "alice") as (control, _):
        syslog.restart()
        start = syslog.mark()
        sh(sshd, "bob", "logger -t probe new box")
        syslog.wait_for(r"probe\[\d+\] .*new box", start)
        took = time.monotonic()
        assert sshd.ssh("alice", "logger -t probe old box; echo went on", opts=control).out == "went on\n"
        assert time.monotonic() - took < 3 * host.PATIENCE
    syslog.wait_for("box .* of alice .* ended", start)
    assert before not in host.pids()
    baseline["process"].update(line for line in picture.take()["process"] if line.startswith(f"{syslog.pid()} "))
    for line in [line for line in baseline["process"] if line.startswith(f"{before} ")]:
        del baseline["process"][line]


# -- names --


@pytest.mark.parametrize("template, name", [
    ("%u-box", "alice-box"),
    ("%H-%u", "testhost-alice"),
    ("My_Box.%u", "my-box-alice"),
    ("-u%U-", "u2001"),
    ("x" * 70, "x" * 63),
    ("___", "box"),
])
def test_hostname(boxed, sshd, baseline, template, name):
    """The box has the name that was asked for, made valid, and it resolves; the host keeps its own."""
    boxed.profile(f"hostname = {template}\n")
    hosts = host.read("/etc/hosts")
    seen = look(sshd, "root" if "%" not in template else "alice", f"""
show([os.uname().nodename, attempt(socket.gethostbyname, {name!r}), attempt(socket.gethostbyname, "localhost"),
      read("/etc/hosts"), attempt(write, "/etc/hosts")])
""")
    assert seen[:3] == [name, "127.0.1.1", "127.0.0.1"]
    assert seen[3] == hosts + f"127.0.1.1\t{name}\n"
    assert seen[4] in ("EROFS", "EACCES")
    assert os.uname().nodename == "testhost" and host.read("/etc/hosts") == hosts


def test_hostname_of_the_host_is_the_default(boxed, sshd, baseline):
    """Without the key the box is called like the host, and /etc/hosts is the host's own."""
    seen = look(sshd, "root", 'show([os.uname().nodename, "/etc/hosts" in read("/proc/self/mountinfo").split()])')
    assert seen == ["testhost", False]


def test_hostname_can_be_changed_in_the_box_only(boxed, sshd, baseline):
    """What root in a box calls its host, if he is let, stays there."""
    result = sshd.ssh("root", "hostname changed")
    assert result.rc != 0 and "must be root" in result.err, result
    boxed.profile(POWERFUL)
    assert sh(sshd, "root", "hostname changed && hostname") == "changed\n"
    assert os.uname().nodename == "testhost"


def test_domainname(boxed, sshd, baseline):
    """The NIS domain name is set in the box; without the key it is the host's."""
    outside = host.read("/proc/sys/kernel/domainname")
    assert sh(sshd, "alice", "cat /proc/sys/kernel/domainname") == outside
    boxed.profile("domainname = %g.example\n")
    assert sh(sshd, "alice", "cat /proc/sys/kernel/domainname") == "alice.example\n"
    assert host.read("/proc/sys/kernel/domainname") == outside


# -- bind, bind_ro, bind_optional, tmpfs, mask, private_tmp --


def mount_at(sshd, user, point):
    """The mount of a box on this place, from a fresh login."""
    found = [mount for mount in parse_mountinfo(sh(sshd, user, "cat /proc/self/mountinfo")) if mount.point == point]
    assert len(found) == 1, found
    return found[0]


def test_bind(boxed, sshd, baseline, place):
    """bind shows a directory or file of the host elsewhere, writable, without setuid and devices; %-words name the
    user's."""
    (place / "alice").mkdir()
    os.chown(place / "alice", ALICE, ALICE)
    (place / "file").write_text("content\n")
    boxed.profile(f"bind = {place}/%u:/mnt {place}/file:/etc/motd\n")
    assert sh(sshd, "alice", "echo written >/mnt/new; cat /etc/motd") == "content\n"
    assert (place / "alice/new").read_text() == "written\n"
    assert {"rw", "nosuid", "nodev"} <= mount_at(sshd, "alice", "/mnt").options
    (place / "bob").mkdir()
    os.chown(place / "bob", BOB, BOB)
    assert sh(sshd, "bob", "ls -A /mnt") == ""


@pytest.mark.parametrize("line, reason", [
    ("bind = /srv/place/missing:/mnt", "nsbox.conf:4: cannot bind /srv/place/missing: it does not exist"),
    ("bind_ro = /srv/place/missing:/mnt", "nsbox.conf:4: cannot bind /srv/place/missing: it does not exist"),
    ("bind = /srv/place/directory:/etc/motd", "one is a directory"),
    ("bind = /srv/place/file:/mnt", "one is a directory"),
    ("bind = /srv/place:/srv/place/nowhere/at/all", "/srv/place/nowhere/at/all"),
    ("tmpfs = /srv/place/nowhere", "/srv/place/nowhere"),
    ("tmpfs = /srv/place/file", "/srv/place/file"),
])
def test_wishes_that_cannot_be_granted(boxed, sshd, baseline, place, line, reason):
    """A source or a target that is missing or of the wrong kind refuses the login, and the log says which."""
    (place / "file").write_text("")
    (place / "directory").mkdir()
    boxed.profile(line + "\n")
    assert reason in refused(sshd)
    assert sorted(os.listdir(place)) == ["directory", "file"]


def test_bind_is_nosuid(boxed, sshd, baseline, place):
    """A setuid program on a bind gives nothing, while the same file in the host's tree does."""
    setuid_probe(place / "probe")
    boxed.profile(f"bind = {place}:/mnt\n")
    assert sh(sshd, "alice", "/mnt/probe; /srv/place/probe") == f"{ALICE}\n0\n"


def test_bind_ro(boxed, sshd, baseline, place):
    """bind_ro can be read and not written, by root either, also where another file system is mounted below."""
    below = place / "below"
    below.mkdir()
    host.run("mount", "-t", "tmpfs", "probe", str(below), check=True)
    (below / "file").write_text("content\n")
    boxed.profile(f"bind_ro = {place}:/mnt\n")
    seen = look(sshd, "root", """
show([read("/mnt/below/file"), attempt(make, "/mnt/new"), attempt(make, "/mnt/below/new"),
      attempt(write, "/mnt/below/file")])
""")
    assert seen == ["content\n", "EROFS", "EROFS", "EROFS"]
    host.run("umount", str(below), check=True)


@pytest.mark.parametrize("key", ["bind", "bind_ro"])
def test_bind_of_proc_shows_no_other_tree(key, boxed, sshd, place, baseline):
    """What has been taken out of the box's tree, the host's /run among it, is not found again below a clone of the host's /proc."""
    boxed.profile(f"{key} = /proc:{place}\n")
    out = sh(sshd, "alice", f"ls {place}/uptime; ls -A {place}/tty/ldisc; awk '$5 ~ /ldisc/ {{ print $5 }}' /proc/self/mountinfo")
    assert out.split() == [f"{place}/uptime"], out


def test_bind_optional(boxed, sshd, baseline, place):
    """bind_optional is bound where it exists and passed over where it does not."""
    boxed.profile(f"bind_optional = {place}/maybe:/mnt\n")
    assert sh(sshd, "alice", "ls -A /mnt | grep there; true") == ""
    (place / "maybe").mkdir()
    (place / "maybe/there").write_text("")
    assert sh(sshd, "alice", "ls -A /mnt") == "there\n"
    assert {"nosuid", "nodev"} <= mount_at(sshd, "alice", "/mnt").options


def test_bind_into_run(boxed, sshd, baseline):
    """What is missing of a target on a file system of the box is made."""
    made = pathlib.Path("/run/probe-service")
    made.mkdir()
    (made / "socket").write_text("")
    try:
        boxed.profile("bind_ro = /run/probe-service /run/probe-service:/run/a/b/c\n")
        assert sh(sshd, "alice", "ls /run/probe-service /run/a/b/c").split() == [
            "/run/a/b/c:", "socket", "/run/probe-service:", "socket"]
    finally:
        shutil.rmtree(made)


def test_tmpfs(boxed, sshd, baseline, place):
    """tmpfs covers a directory with an empty file system of the size and mode asked for."""
    (place / "hidden").write_text("")
    boxed.profile(f"tmpfs = {place}:size=1m,mode=1777,noexec\n")
    seen = look(sshd, "alice", f"""
top = {str(place)!r}
show([os.listdir(top), oct(os.stat(top).st_mode), attempt(lambda: open(top + "/big", "wb").write(b"x" * (2 << 20))),
      os.statvfs(top).f_blocks * os.statvfs(top).f_frsize])
""")
    assert seen == [[], "0o41777", "ENOSPC", 1 << 20]
    assert INERT <= mount_at(sshd, "alice", str(place)).options
    boxed.profile(f"tmpfs = {place}\n")
    assert "noexec" not in mount_at(sshd, "alice", str(place)).options
    assert os.listdir(place) == ["hidden"]


def test_mask(boxed, sshd, baseline, place):
    """A masked file is empty and a masked directory too, for root as well; a missing one does not matter; what is
    beside stays."""
    (place / "file").write_text("secret")
    (place / "directory").mkdir()
    (place / "directory/file").write_text("secret")
    (place / "beside").write_text("public")
    boxed.profile(f"mask = {place}/file {place}/directory {place}/missing\n")
    seen = look(sshd, "root", f"""
top = {str(place)!r}
show([read(top + "/file"), os.listdir(top + "/directory"), read(top + "/beside"), attempt(make, top + "/directory/new"),
      os.path.exists(top + "/missing")])
""")
    assert seen == ["", [], "public", "EROFS", False]
    assert (place / "file").read_text() == (place / "directory/file").read_text() == "secret"


@pytest.mark.parametrize("private", [True, False])
def test_private_tmp(boxed, sshd, baseline, private):
    """private_tmp = session: /tmp and /var/tmp are empty and vanish. no: they are the host's."""
    boxed.profile("" if private else "private_tmp = no\n")
    names = [f"{directory}/probe-of-the-host" for directory in ("/tmp", "/var/tmp")]
    mine = [f"{directory}/probe-of-alice" for directory in ("/tmp", "/var/tmp")]
    for name in names:
        pathlib.Path(name).write_text("")
    try:
        seen = look(sshd, "alice", f"""
show([[os.path.exists(name) for name in {names!r}], [oct(os.stat(d).st_mode & 0o7777) for d in ("/tmp", "/var/tmp")],
      [attempt(make, name) for name in {mine!r}]])
""")
        assert seen == [[not private] * 2, ["0o1777"] * 2, [None] * 2]
        assert [os.path.exists(name) for name in mine] == [not private] * 2
    finally:
        for name in names + mine:
            pathlib.Path(name).unlink(missing_ok=True)


# -- root = DIRECTORY --


TREE = pathlib.Path("/srv/tree")
APPLETS = ("sh", "cat", "cp", "echo", "id", "ls", "sleep", "touch", "true", "wc")


def setuid_probe(path):
    """A static program that belongs to root, is setuid, and prints its effective uid."""
    source = '#include <stdio.h>\n#include <unistd.h>\nint main(void) { return printf("%d\\n", (int)geteuid()) < 0; }\n'
    host.run("musl-gcc", "-static", "-x", "c", "-o", str(path), "-", input=source, check=True)
    os.chown(path, 0, 0)
    os.chmod(path, 0o4755)


@pytest.fixture
def tree(boxed):
    """A root that is nothing but busybox and a few files; its /bin/sh is the shell of alice, bob and root."""
    for name in ("bin", "etc", "proc", "sys", "dev", "run", "tmp", "var/tmp", "var/log", "home", "root", "srv"):
        (TREE / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", TREE / "bin/busybox")
    for name in APPLETS:
        os.symlink("busybox", TREE / "bin" / name)
    (TREE / "etc/motd").write_text("the tree's own\n")
    (TREE / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nalice:x:2001:2001::/home/alice:/bin/sh\n")
    (TREE / "etc/group").write_text("root:x:0:\nalice:x:2001:\nstudents:x:3001:alice\n")
    passwd = re.sub(r"(?m)^((alice|bob|root):.*):/bin/bash$", r"\1:/bin/sh", host.read("/etc/passwd"))
    boxed.file("/etc/passwd", passwd)
    boxed.profile(f"root = {TREE}\n")
    yield TREE
    shutil.rmtree(TREE)


def test_tree_is_the_root(tree, sshd, baseline):
    """The tree's files are there, the host's are not, and the default view is over it."""
    script = "cat /etc/motd; id -un; pwd; echo $NSBOX_ID | wc -c; ls /; ls /usr 2>&1; cat /proc/1/comm"
    assert sh(sshd, "alice", script) == (
        "the tree's own\nalice\n/home/alice\n11\n"
        "bin\ndev\netc\nhome\nproc\nroot\nrun\nsrv\nsys\ntmp\nvar\nls: /usr: No such file or directory\nnsbox-init\n")
    assert sh(sshd, "alice", "ls /home; ls /srv; touch /etc/x 2>/dev/null || echo read only") == "alice\nread only\n"
    with live(sshd, "alice") as (_, init):
        view = expected_view()
        del view["/var/log/wtmp"]  # the tree has none
        check_view(mounts_of(init), view, {"/", "/home", "/home/alice"})


def test_tree_and_home(tree, sshd, baseline):
    """The home is the host's own: what is written there stays."""
    probe = pathlib.Path("/home/alice/from-outside")
    probe.write_text("outside\n")
    try:
        assert sh(sshd, "alice", "cat ~/from-outside; echo inside >~/from-inside") == "outside\n"
        assert host.read("/home/alice/from-inside") == "inside\n"
        assert os.stat("/home/alice/from-inside").st_uid == ALICE
        assert {"nosuid", "nodev"} <= mount_at(sshd, "alice", "/home/alice").options
    finally:
        probe.unlink()
        pathlib.Path("/home/alice/from-inside").unlink(missing_ok=True)


def test_tree_makes_setuid_in_the_home_harmless(tree, boxed, sshd, baseline):
    """A setuid program of root in the home gives nothing in the box; in the host's tree it does, and in the tree
    itself."""
    probe = pathlib.Path("/home/alice/probe")
    setuid_probe(probe)
    shutil.copy(probe, tree / "bin/probe")
    os.chmod(tree / "bin/probe", 0o4755)
    try:
        assert sh(sshd, "alice", "~/probe; /bin/probe") == f"{ALICE}\n0\n"
        boxed.profile()
        assert sh(sshd, "alice", "~/probe") == "0\n"
    finally:
        probe.unlink()


def listing(top):
    found = {}
    for directory, names, files in os.walk(top):
        for name in [*names, *files, "."]:
            path = os.path.join(directory, name)
            info = os.lstat(path)
            found[path] = (info.st_mode, info.st_uid, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
    return found


def test_tree_is_not_changed(tree, sshd, baseline):
    """One tree serves several users at once and stays as it was; each sees the own home alone."""
    before = listing(tree)
    with live(sshd, "alice") as (alices, _), live(sshd, "bob") as (bobs, _):
        assert sh(sshd, "alice", "ls /home; echo x >/tmp/x; echo x >/dev/shm/x", alices) == "alice\n"
        assert sh(sshd, "bob", "ls /home; ls /tmp; ls /dev/shm", bobs) == "bob\n"
    assert listing(tree) == before


def test_tree_takes_sftp(tree, sshd, baseline, tmp_path):
    """sshd's own sftp server needs no program of the tree."""
    back = tmp_path / "motd"
    assert sshd.sftp("alice", f"get /etc/motd {back}\nput {back} /tmp/x\nls /tmp\n").rc == 0
    assert back.read_text() == "the tree's own\n"


def test_tree_behind_specifiers(tree, boxed, sshd, baseline):
    """%-words in root name one tree for each user."""
    boxed.profile("root = /srv/tree-of-%u\n")
    os.rename(TREE, "/srv/tree-of-alice")
    try:
        assert sh(sshd, "alice", "cat /etc/motd") == "the tree's own\n"
        assert "/srv/tree-of-bob" in refused(sshd, "bob")
    finally:
        os.rename("/srv/tree-of-alice", TREE)


def make_writable(tree):
    os.chmod(tree, 0o777)


def make_etc_foreign(tree):
    os.chown(tree / "etc", ALICE, 0)


def take_proc_away(tree):
    (tree / "proc").rmdir()


def make_dev_a_link(tree):
    (tree / "dev").rmdir()
    os.symlink("/etc", tree / "dev")


def take_shell_away(tree):
    (tree / "bin/sh").unlink()


def fill_home(tree):
    (tree / "home/somebody").mkdir()


@pytest.mark.parametrize("damage, words", [
    (make_writable, "/srv/tree can be changed by others than root"),
    (make_etc_foreign, "can be changed by others than root"),
    (take_proc_away, "mkdir -m 755 /srv/tree/proc"),
    (make_dev_a_link, "symbolic link"),
    (take_shell_away, "the user's shell /bin/sh is not in the root /srv/tree"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_tree_that_is_not_fit(tree, sshd, baseline, damage, words):
    """A tree that others can change, or that lacks something, refuses the login before anything is made."""
    damage(tree)
    before = listing(tree)
    line = refused(sshd)
    assert words in line and "stage check" in line
    assert listing(tree) == before


def test_tree_without_a_place_for_the_home(tree, sshd, baseline):
    """Where the tree has homes of its own but not this one, the login is refused rather than the tree changed."""
    fill_home(tree)
    before = listing(tree)
    assert "/home/alice" in refused(sshd)
    assert listing(tree) == before
    (tree / "home/alice").mkdir()
    assert sh(sshd, "alice", "pwd") == "/home/alice\n"


# -- mounts that come later --


@contextlib.contextmanager
def mounted(point):
    """A tmpfs of the host with a file in it."""
    host.run("mount", "-t", "tmpfs", "probe", str(point), check=True)
    try:
        pathlib.Path(point, "arrived").write_text("")
        yield
    finally:
        host.run("umount", str(point), check=True)


def test_later_mounts_of_the_host_arrive(boxed, sshd, baseline, place):
    """A mount of the host (an autofs home) arrives in a box that is there already, and its unmounting too."""
    late = pathlib.Path("/home/late")
    late.mkdir()
    try:
        with live(sshd, "alice") as (control, _):
            for point in (late, place):
                assert sh(sshd, "alice", f"ls {point}", control) == ""
                with mounted(point):
                    assert sh(sshd, "alice", f"ls {point}", control) == "arrived\n"
                assert sh(sshd, "alice", f"ls {point}", control) == ""
    finally:
        late.rmdir()


def test_later_mounts_do_not_arrive_where_the_box_has_its_own(boxed, sshd, baseline):
    """What is mounted later below the host's /run, /tmp and /dev does not show in the box."""
    points = [pathlib.Path(top, "late") for top in ("/run", "/tmp", "/dev")]
    for point in points:
        point.mkdir()
    try:
        with live(sshd, "alice") as (control, init):
            before = mounts_of(init)
            with contextlib.ExitStack() as stack:
                for point in points:
                    stack.enter_context(mounted(point))
                assert sh(sshd, "alice", "ls /run/late /tmp/late /dev/late 2>/dev/null; true", control) == ""
                visible = [mount.point for mount in mounts_of(init)]
                assert visible.count("/run/late") == visible.count("/dev/late") == 0
            assert len(mounts_of(init)) == len(before)
    finally:
        for point in points:
            point.rmdir()


def test_later_mounts_below_the_home_arrive_in_a_tree(tree, sshd, baseline):
    """With root = DIRECTORY later mounts arrive below the home and nowhere else."""
    late = pathlib.Path("/home/alice/late")
    late.mkdir()
    try:
        with live(sshd, "alice") as (control, _):
            with mounted(late), mounted(tree / "srv"):
                assert sh(sshd, "alice", "ls ~/late; ls /srv", control) == "arrived\n"
    finally:
        late.rmdir()


@pytest.mark.parametrize("root", ["host", str(TREE)])
def test_mounts_of_the_box_stay_in_it(boxed, tree, sshd, baseline, root):
    """What root mounts in a box is seen neither on the host nor in another box."""
    boxed.profile(f"root = {root}\n")
    before = pathlib.Path("/proc/1/mountinfo").read_text()
    with live(sshd, "root") as (control, init), live(sshd, "alice") as (_, other):
        for point in ("/srv", "/var/log"):
            host.run("nsenter", "-t", str(init), "-m", *(["-r"] if root != "host" else []),
                     "/bin/busybox", "mount", "-t", "tmpfs", "probe", point, check=True)
        points = [mount.point for mount in mounts_of(init) if mount.source == "probe"]
        assert sorted(points) == ["/srv", "/var/log"]
        assert pathlib.Path("/proc/1/mountinfo").read_text() == before
        assert not [mount for mount in mounts_of(other) if mount.source == "probe"]
        assert sh(sshd, "root", "cat /proc/mounts", control).count("probe ") == 2


# -- the limit --


FORK_UNTIL_FULL = """
children, failed = 0, None
while children < 500:
    try:
        pid = os.fork()
    except OSError as error:
        failed = errno.errorcode[error.errno]
        break
    if pid == 0:
        time.sleep(1000)
    children += 1
print(json.dumps([children, failed]), flush=True)
sys.stdin.read()
"""


def group_of(init):
    return pathlib.Path(f"{host.cgroup_tree()}{host.cgroup(init)}")


def test_limit_is_felt_inside_only(boxed, sshd, baseline):
    """With pids_max = 40 the fork that is one too many fails with EAGAIN; meanwhile another user, the same user in
    another box, and the host go on. The group has the limit and is gone after the logout."""
    boxed.profile("pids_max = 40\n")
    script = "'" + (PROBE + IN_A_BOX + FORK_UNTIL_FULL).replace("'", "'\\''") + "'"
    process = sshd.popen("alice", "python3", "-c", script)
    try:
        children, failed = json.loads(process.stdout.readline())
        init, = host.find("nsbox-init")
        group = group_of(init)
        assert failed == "EAGAIN" and 30 < children < 40
        assert (group / "pids.max").read_text() == (group / "pids.current").read_text() == "40\n"
        many = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 0.2 & done; wait; echo done"
        assert sh(sshd, "bob", many) == sh(sshd, "alice", many) == "done\n"
        outside = [subprocess.Popen(["sleep", "1000"]) for _ in range(60)]
        for sleeper in outside:
            sleeper.kill()
            sleeper.wait()
    finally:
        process.stdin.close()
        process.terminate()
        process.wait(10 * host.PATIENCE)
        process.stdout.close()
        process.stderr.close()
    host.wait_until(lambda: not group.exists(), timeout=STOP_TIMEOUT + LEAVE_MARGIN, what="the group is gone")


@pytest.mark.parametrize("value, text", [("77", "77\n"), ("infinity", "max\n"), (None, "2048\n")])
def test_limit_value(boxed, sshd, baseline, value, text):
    """pids_max is what the group of the box says; everything of the session is in it, the monitor of the box is not."""
    boxed.profile(f"pids_max = {value}\n" if value else "")
    with live(sshd, "alice") as (_, init):
        group = group_of(init)
        assert (group / "pids.max").read_text() == text
        members = {int(pid) for pid in (group / "cgroup.procs").read_text().split()}
        app, = sshd.monitors("alice")
        assert {init, app} | set(host.descendants(app)) == members
        assert group.parent == host.cgroup_tree() / "nsbox"
    host.wait_until(lambda: not group.exists(), what="the group is gone")


# Should the box be missing, the machine that runs the tests must not be the one that suffers.
BOMB = """
import os, resource
assert os.path.exists("/run/host/container-manager")
resource.setrlimit(resource.RLIMIT_NPROC, (1000, 1000))
while True:
    try:
        os.fork()
    except OSError:
        pass
"""


def test_fork_bomb(boxed, sshd, baseline):
    """While a bomb fills its box another user logs in, and the logout ends the bomb."""
    boxed.profile("pids_max = 64\n")
    process = sshd.popen("alice", "python3", "-c", f"'{BOMB}'")
    try:
        init = host.wait_until(lambda: host.find("nsbox-init"), what="the box")[0]
        group = group_of(init)
        host.wait_until(lambda: (group / "pids.current").read_text() == "64\n", what="the box is full")
        assert sh(sshd, "bob", "id -un") == "bob\n"
        assert int((group / "pids.current").read_text()) <= 64
        assert host.read(group / "pids.events", "max 0").split()[1] != "0"
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
    host.wait_until(lambda: not group.exists(), timeout=STOP_TIMEOUT + LEAVE_MARGIN, what="the bomb is gone")
