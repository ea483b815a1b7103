# SPDX-License-Identifier: BSD-3-Clause
"""Keys of the view: sizes, sys, proc_subset, dev, binds into /proc."""
import contextlib
import os
import pathlib
import re
import shutil
import stat
import subprocess

import pytest

from lib import host, syslog
from lib.refusal import BOXED, refused, su
from lib.sandbox import enough_of_a_tree, remove_tree

ALICE = 2001
MEGA = 1 << 20
TREE = "/srv/view-root"
CONF = "/etc/security/nsbox.conf"
FIRST = BOXED.count("\n") + 1  # the line of what a profile adds


@pytest.fixture
def profile(conf):
    """Everybody is boxed; profile(lines) says how."""
    conf.pam_all()

    def write(lines):
        conf.nsbox(BOXED + lines)
    write.conf = conf
    return write


def sh(script, user="alice"):
    """The output of a script in a box, which must succeed."""
    since = syslog.mark()
    result = su(user, f"test -e /run/host/container-manager || exit 99; {script}", timeout=60)
    assert result.rc == 0 and result.err == "", (script, result, syslog.lines_since(since))
    return result.out


def check(profile, lines):
    profile(lines)
    return host.run("nsboxctl", "check")


# -- sizes --


SIZES = {"tmp_size": ("/tmp", "/var/tmp"), "shm_size": ("/dev/shm",), "run_size": ("/run", "/run/user/2001"),
         "home_size": ("/home/alice",)}


def size_of(path):
    return int(sh(f"df -B1 --output=size {path} | tail -1"))


@pytest.mark.parametrize("key", SIZES)
def test_sizes(profile, baseline, key):
    """Bytes as they are, percentages of the machine's memory; a tenth where nothing is said."""
    total = int(re.search(r"MemTotal: *(\d+) kB", host.read("/proc/meminfo")).group(1)) * 1024
    for value, wanted in (("8M", 8 * MEGA), ("3%", total * 3 // 100), ("", total // 10)):
        profile("home = tmpfs\n" + (f"{key} = {value}\n" if value else ""))
        for path in SIZES[key]:
            assert abs(size_of(path) - wanted) <= 64 * 1024, (key, value, path)


@pytest.mark.parametrize("key,path", [("tmp_size", "/tmp"), ("tmp_size", "/var/tmp"), ("shm_size", "/dev/shm"),
                                      ("run_size", "/run/user/2001")])
def test_full(profile, baseline, key, path):
    """A full one is ENOSPC in the box alone."""
    profile(f"{key} = 2M\n")
    free = os.statvfs("/tmp").f_bavail
    out = sh(f"head -c 8M /dev/zero 2>~/error >{path}/big; cat ~/error; rm ~/error; stat -c %s {path}/big")
    assert "No space left" in out and int(out.split()[-1]) <= 2 * MEGA, out
    assert abs(os.statvfs("/tmp").f_bavail - free) * os.statvfs("/tmp").f_frsize < MEGA


@pytest.mark.parametrize("value,words", [("2.5%", "has a fraction"), ("0", "less than 1M"), ("0%", "nothing at all"),
                                         ("101%", "more than 100%"), ("infinity", "is no size"), ("4K", "less than 1M"),
                                         ("all", "is no size")])
@pytest.mark.parametrize("key", SIZES)
def test_sizes_that_are_none(profile, key, value, words):
    """What tmpfs would not take, or not as it is meant, is an error with its line."""
    result = check(profile, f"{key} = {value}\n")
    assert result.rc == 1 and re.search(rf"{CONF}:{FIRST}: {key}: .*{words}", result.err), result


# -- /sys and /proc --


def test_sys_none(profile, baseline):
    """Empty, and not to be written, not even by root."""
    profile("sys = none\n")
    assert sh("ls -A /sys; stat -c '%a %u' /sys") == "555 0\n"
    result = su("root", "mkdir /sys/x; test -e /run/host/container-manager && echo boxed")
    assert result.out == "boxed\n" and "Read-only file system" in result.err, result
    profile("")
    assert "kernel" in sh("ls /sys").split()


def test_proc_subset(profile, baseline):
    """Processes only; what programs need of themselves is there."""
    profile("proc_subset = pid\n")
    names = sh("ls -A /proc").split()
    assert {"self", "thread-self", "1"} <= set(names), names
    assert not {"meminfo", "cpuinfo", "sys", "kcore", "cmdline", "net"} & set(names), names
    assert sh("grep -c . /proc/self/status; readlink /proc/self/fd/0; cat <(echo substituted)").split()[-1] == "substituted"
    fields, = [line.split() for line in sh("cat /proc/self/mountinfo").splitlines() if line.split()[4] == "/proc"]
    assert "subset=pid" in fields[-1] and {"nosuid", "nodev", "noexec"} <= set(fields[5].split(",")), fields


# -- devices --


@pytest.fixture
def devices():
    """Devices of the host that no other test has: /dev/nsbt/..., owned by alice or not."""
    top = pathlib.Path("/dev/nsbt")
    top.mkdir(mode=0o755)
    for name, kind, mode, owner in (("null0", stat.S_IFCHR, 0o600, ALICE), ("null1", stat.S_IFCHR, 0o640, 0)):
        os.mknod(top / name, kind | 0o600, os.makedev(1, 3))
        os.chmod(top / name, mode)
        os.chown(top / name, owner, 0)
    os.mknod(top / "disk0", stat.S_IFBLK | 0o600, os.makedev(7, 250))
    os.symlink("null0", top / "nullink")
    (top / "nullfile").write_text("")
    os.mkfifo(top / "nullfifo")
    (top / "sub").mkdir(mode=0o755)
    os.mknod(top / "sub/zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    yield top
    shutil.rmtree(top)


def nodes():
    """What the box's /dev has below /dev/nsbt: {path: "type major:minor mode uid"}."""
    out = sh("cd /; find /dev/nsbt -mindepth 1 ! -type d -exec stat -c '%n %F %t:%T %a %u' {} + 2>/dev/null; true")
    return dict(line.split(" ", 1) for line in out.splitlines())


def test_dev_by_name(profile, baseline, devices):
    """The host's device with the host's owner and mode, in a directory that is made as needed; what the mode forbids stays
    forbidden, and the device works."""
    profile("dev = /dev/nsbt/null0 /dev/nsbt/null1\ndev = /dev/nsbt/sub/zero\n")
    assert nodes() == {"/dev/nsbt/null0": "character special file 1:3 600 2001",
                       "/dev/nsbt/null1": "character special file 1:3 640 0",
                       "/dev/nsbt/sub/zero": f"character special file 1:5 {os.stat(devices / 'sub/zero').st_mode & 0o777:o} 0"}
    assert sh("stat -c '%a %u' /dev/nsbt /dev/nsbt/sub").split() == ["755", "0", "755", "0"]
    assert sh("echo x >/dev/nsbt/null0; head -c 3 /dev/nsbt/sub/zero | wc -c") == "3\n"
    result = su("alice", "echo x >/dev/nsbt/null1")
    assert result.rc != 0 and "Permission denied" in result.err, result


def test_dev_acl_and_mode_stay_the_hosts(profile, baseline, devices, sshd):
    """A change on the host is seen by a box that is there."""
    profile("dev = /dev/nsbt/null1\n")
    with sshd.master("alice") as opts:
        assert sshd.ssh("alice", "echo x >/dev/nsbt/null1", opts=opts).rc != 0
        host.run("setfacl", "-m", "u:alice:rw", str(devices / "null1"), check=True)
        assert sshd.ssh("alice", "echo x >/dev/nsbt/null1", opts=opts).rc == 0


def test_dev_by_glob(profile, baseline, devices):
    """Globs take devices only: no files, no links, no FIFOs; in directories too; nothing that matches is fine."""
    profile("dev = /dev/nsbt/null* /dev/nsbt/*/z?ro /dev/nowhere/* /dev/nsbt/n[x-z]*\n")
    assert set(nodes()) == {"/dev/nsbt/null0", "/dev/nsbt/null1", "/dev/nsbt/sub/zero"}
    profile("dev = /dev/nothing-like-this*\n")
    assert nodes() == {}


def test_dev_all(profile, baseline, devices):
    """Even /dev/* and /dev/*/* leave alone what the box makes itself."""
    own = "ls -d /dev/null /dev/tty /dev/pts /dev/shm /dev/fd; stat -c '%t:%T' /dev/null; ls /dev/shm; stat -f -c %T /dev/shm"
    pathlib.Path("/dev/shm/hosts").write_text("")
    profile("")
    before = sh(own)
    profile("dev = /dev/nsb* /dev/nsbt/* /dev/*/zero /dev/n[u]* /dev/pt* /dev/?hm/*\n")
    assert sh(own) == before and "hosts" not in before
    assert {"/dev/nsbt/null0", "/dev/nsbt/disk0", "/dev/nsbt/sub/zero"} - set(nodes()) == {"/dev/nsbt/sub/zero"}
    os.unlink("/dev/shm/hosts")


def test_dev_link(profile, baseline, devices):
    """A link of root's may be named: the device has the link's name in the box."""
    profile("dev = /dev/nsbt/nullink\n")
    assert nodes() == {"/dev/nsbt/nullink": "character special file 1:3 600 2001"}


@pytest.mark.parametrize("name,words", [("nothing", "there is no device /dev/nsbt/nothing"),
                                        ("nullfile", "/dev/nsbt/nullfile is not a device"),
                                        ("nullfifo", "/dev/nsbt/nullfifo is not a device"),
                                        ("sub", "/dev/nsbt/sub is not a device")])
def test_dev_that_is_none(profile, sshd, baseline, devices, name, words):
    """It refuses the login, by ssh in the account phase, with the line of the configuration."""
    profile(f"\ndev = /dev/nsbt/{name}\n")
    since = syslog.mark()
    refused(su(), since, rf"{CONF}:{FIRST + 1}: dev: {words}")
    since = syslog.mark()
    assert sshd.ssh("alice", "echo in").rc == 255
    syslog.wait_for(rf"login of alice refused: {CONF}:{FIRST + 1}: dev: {words} \(stage check", since)
    result = host.run("nsboxctl", "check")
    assert f"{CONF}:{FIRST + 1}: warning: dev: logins would be refused: {words}" in result.err, result


@pytest.mark.parametrize("word", ["/dev/null", "/dev/tty", "/dev/pts/0", "/dev/pts/*", "/dev/shm/x", "/dev/mqueue", "/dev/fd/0",
                                  "/dev/ptmx", "/dev/log"])
def test_dev_of_the_box(profile, word):
    result = check(profile, f"dev = {word}\n")
    assert result.rc == 1 and f'{CONF}:{FIRST}: dev: "{word}" is made by the box itself' in result.err, result


@pytest.mark.parametrize("word", ["/etc/passwd", "/dev", "/dev/", "/dev/../etc/passwd", "/dev//kvm", "kvm", "/dev/./kvm", "/deva",
                                  "/dev/%u", "/dev/a:/dev/b", "*"])
def test_dev_that_is_no_path(profile, word):
    result = check(profile, f"dev = {word}\n")
    assert result.rc == 1 and f"{CONF}:{FIRST}: dev: " in result.err, result


def test_check_warns_of_disks(profile, devices):
    """`nsboxctl check` names each block device, also those that a glob takes."""
    result = check(profile, "dev = /dev/nsbt/disk* /dev/nsbt/null0\n")
    assert result.rc == 0 and result.err.count("is a raw disk") == 1, result
    assert f"{CONF}:{FIRST}: warning: dev: /dev/nsbt/disk0 is a raw disk" in result.err, result


# -- binds into /proc and /sys --


@pytest.fixture
def numbers():
    """Files that stand for those of LXCFS."""
    top = pathlib.Path("/srv/numbers")
    top.mkdir(mode=0o755)
    for name in ("meminfo", "kcore", "loadavg", "possible"):
        (top / name).write_text(f"this is {name}\n")
    yield top
    shutil.rmtree(top)


@pytest.mark.parametrize("root", ["host", "directory"])
def test_bind_into_proc(profile, sshd, baseline, numbers, root):
    """A file is put over one of the new /proc; read-only where it says so; mask wins over it; the host's are as before."""
    own = host.read("/proc/version")
    lines = f"bind = {numbers}/meminfo:/proc/meminfo\nbind_ro = {numbers}/loadavg:/proc/loadavg\nmask = /proc/version\n"
    if root == "directory":
        enough_of_a_tree(TREE)
        lines += f"root = {TREE}\nbind_ro = /usr /etc\n"
    profile(lines)
    script = "cat /proc/meminfo /proc/loadavg /proc/version; grep ' /proc/[mlv]' /proc/self/mountinfo"
    for out in (sh(script), sshd.ssh("alice", script).out):
        assert out.startswith("this is meminfo\nthis is loadavg\n") and "Linux version" not in out, out
        mounts = [line.split() for line in out.splitlines()[2:]]
        assert [fields[4] for fields in mounts] == ["/proc/meminfo", "/proc/loadavg", "/proc/version"], mounts
        assert {"nosuid", "nodev"} <= set(mounts[0][5].split(",")) and {"nosuid", "nodev", "ro"} <= set(mounts[1][5].split(","))
    assert host.read("/proc/version") == own and "MemTotal" in host.read("/proc/meminfo")
    if root == "directory":
        remove_tree(TREE)


def test_bind_into_sys(profile, baseline, numbers):
    profile(f"bind_ro = {numbers}/possible:/sys/devices/system/cpu/possible\n")
    assert sh("cat /sys/devices/system/cpu/possible") == "this is possible\n"


@pytest.mark.parametrize("target,words", [
    ("/proc/self/status", "belongs to a process"), ("/proc/1/status", "belongs to a process"),
    ("/proc//thread-self", "belongs to a process"), ("/proc/mounts", "belongs to a process"),
    ("/proc/net/tcp", "belongs to a process"), ("/proc/kcore", "is closed in every box"),
    ("/proc/sys/kernel/hostname", "is closed in every box"), ("/proc/sysrq-trigger", "is closed in every box")])
@pytest.mark.parametrize("key", ["bind", "bind_ro", "bind_optional"])
def test_no_target_in_proc(profile, numbers, key, target, words):
    result = check(profile, f"{key} = {numbers}/kcore:{target}\n")
    assert result.rc == 1 and re.search(rf"{CONF}:{FIRST}: {key}: .*{words}", result.err), result


def test_no_target_by_specifier(profile, baseline, numbers):
    """What a specifier makes of a target is looked at as well."""
    profile(f"bind = {numbers}/kcore:/proc/%U/status\n")
    since = syslog.mark()
    refused(su(), since, "/proc/2001/status belongs to a process")


@pytest.mark.parametrize("target,words", [("/proc/not-there", "/proc/not-there does not exist"),
                                          ("/proc/driver", "/proc/driver is not a file")])
def test_target_that_proc_does_not_have(profile, sshd, baseline, numbers, target, words):
    """In the account phase already."""
    profile(f"bind = {numbers}/kcore:{target}\n")
    since = syslog.mark()
    assert sshd.ssh("alice", "echo in").rc == 255
    syslog.wait_for(rf"login of alice refused: {CONF}:{FIRST}: {words}: .*\(stage check", since)


def test_tmpfs_in_proc(profile):
    result = check(profile, "tmpfs = /proc/driver\n")
    assert result.rc == 1 and f"{CONF}:{FIRST}: tmpfs: " in result.err, result


@contextlib.contextmanager
def lxcfs():
    top = pathlib.Path("/var/lib/lxcfs")
    top.mkdir(exist_ok=True)
    if not os.path.exists("/dev/fuse"):
        os.mknod("/dev/fuse", 0o666 | stat.S_IFCHR, os.makedev(10, 229))
    server = subprocess.Popen(["lxcfs", "-f", "-p", "/run/lxcfs-test.pid", str(top)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        host.wait_until(lambda: os.path.exists(top / "proc/meminfo") or server.poll() is not None, what="lxcfs is there")
        assert server.poll() is None, server.stderr.read()
        yield top
    finally:
        host.run("umount", "-l", str(top))
        server.terminate()
        server.wait(10 * host.PATIENCE)
        shutil.rmtree("/run/lxcfs", ignore_errors=True)
        pathlib.Path("/run/lxcfs-test.pid").unlink(missing_ok=True)


def test_lxcfs(profile, sshd, baseline):
    """The files of lxcfs over those of the new /proc: what they say is of the box, in the format of the kernel's."""
    with lxcfs() as top:
        names = sorted(set(os.listdir(top / "proc")) & {"meminfo", "cpuinfo", "stat", "uptime", "loadavg", "diskstats", "swaps"})
        assert "meminfo" in names
        profile("bind_ro = " + " ".join(f"{top}/proc/{name}:/proc/{name}" for name in names) + "\n")
        for out in (sh("cat /proc/self/mountinfo /proc/meminfo"), sshd.ssh("alice", "cat /proc/self/mountinfo /proc/meminfo").out):
            mounts = [line.split() for line in out.splitlines() if " - fuse.lxcfs " in line and " /proc/" in line]
            assert sorted(fields[4] for fields in mounts) == [f"/proc/{name}" for name in names]
            for fields in mounts:
                assert {"ro", "nosuid", "nodev"} <= set(fields[5].split(",")), fields
            assert re.search(r"^MemTotal: +\d+ kB$", out, re.M), out
        # from uptime(1), which reads the file by its path
        assert float(sh("cat /proc/uptime").split()[0]) < float(host.read("/proc/uptime").split()[0])


# -- flags of all mounts --


SETTINGS = {
    "default": "",
    "home tmpfs": "home = tmpfs\n",
    "home overlay": "home = overlay\n",
    "home none": "home = none\n",
    "sys none, proc pid": "sys = none\nproc_subset = pid\n",
    "devices": "dev = /dev/nsbt/null*\n",
    "proc": "bind = /srv/numbers/meminfo:/proc/meminfo\nbind_ro = /srv/numbers/loadavg:/proc/loadavg\nmask = /proc/version\n",
    "lists": "tmpfs = /mnt\nbind = /srv/numbers:/media\nmask = /opt\n",
    "sizes": "home = tmpfs\nhome_size = 4M\ntmp_size = 4M\nshm_size = 4M\nrun_size = 4M\n",
    "tmp of the tree": "private_tmp = no\n",
    "own tree": f"root = {TREE}\nbind_ro = /usr /etc\n",
    "own tree, home overlay": f"root = {TREE}\nbind_ro = /usr /etc\nhome = overlay\n",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_flags(profile, sshd, baseline, numbers, devices, name):
    """Every mount of a box but the tree's own and what bind_ro takes from the administrator is nosuid; and nodev, but for
    /dev, its devices and terminals."""
    enough_of_a_tree(TREE)
    host_points = {line.split()[4] for line in host.read("/proc/self/mountinfo").splitlines()}
    profile(SETTINGS[name])
    for out in (sh("cat /proc/self/mountinfo"), sshd.ssh("alice", "cat /proc/self/mountinfo").out):
        seen = 0
        for line in out.splitlines():
            fields = line.split()
            point, flags = fields[4], set(fields[5].split(","))
            ours = point not in host_points or re.match(r"/(proc|sys|dev|run|tmp|var/tmp)(/|$)", point)
            if not ours or point in ("/", "/usr", "/etc"):
                continue
            seen += 1
            assert "nosuid" in flags, line
            if not re.match(r"/dev(/pts|/nsbt/.*|/log|/console|/tty\d*)?$", point) and " /dev/null " not in line \
                    and not (fields[3] == "/null"):
                assert "nodev" in flags, line
        assert seen > 8, out
    remove_tree(TREE)
