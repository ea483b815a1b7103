# SPDX-License-Identifier: BSD-3-Clause
# build: none
# alone: it makes a loop device, and those are the whole machine's
"""The throw-away host itself, without the product: is it one, and would the baseline notice?"""
import collections
import grp
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess

import pexpect
import pytest

from lib import baseline as picture
from lib import host, sample, syslog
from lib.sshd import EXTERNAL_SFTP, Sshd, agent, x_server

SECONDS = 0.2  # how long a check that must fail is given


@pytest.fixture
def plain(conf):
    """The product is not part of this file."""
    conf.pam_all(variant="none")
    return conf


def fails_with(before, *patterns):
    """The baseline must complain, and about this."""
    with pytest.raises(AssertionError) as error:
        picture.wait_equal(before, timeout=SECONDS)
    for pattern in patterns:
        assert re.search(pattern, str(error.value)), str(error.value)


# -- the host --


def test_namespaces_are_not_the_machines():
    machine, here = host.machine_namespaces(), host.namespaces()
    assert {kind for kind in here if here[kind] != machine[kind]} == {"cgroup", "ipc", "mnt", "net", "pid", "uts"}


def test_pid_1_is_ours_and_reaps():
    assert host.comm(1).startswith("host-init")
    subprocess.run(["sh", "-c", "sleep 0.1 & echo $! >/run/orphan"], check=True)
    orphan = int(pathlib.Path("/run/orphan").read_text())
    assert host.parent(orphan) == 1
    host.wait_until(lambda: not os.path.exists(f"/proc/{orphan}"), what="the orphan is reaped")


def test_mounts_are_shared_as_on_a_systemd_host():
    propagation = host.run("findmnt", "-rno", "TARGET,PROPAGATION", check=True).out.splitlines()
    assert propagation and all(line.endswith(" shared") for line in propagation)


def test_root_is_a_copy():
    pathlib.Path("/etc/only-here").write_text("x")
    assert host.run("findmnt", "-no", "FSTYPE", "/").out.strip() == "overlay"
    # The machine's tree must not hang under ours, or a test could reach it through "..".
    assert os.stat("/").st_ino == os.stat("/..").st_ino
    assert len([line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
                if line.split()[4] == "/"]) == 1


def test_source_is_read_only_and_cache_is_not():
    source = os.environ["NSBOX_SOURCE"]
    with pytest.raises(OSError):
        pathlib.Path(source, "tests", "written").write_text("x")
    cache = pathlib.Path("/cache/written")
    cache.write_text("x")
    cache.unlink()
    hidden = pathlib.Path(source, ".test-cache")
    assert not hidden.exists() or not list(hidden.iterdir())


def test_devices_and_terminals():
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        assert pathlib.Path("/dev", name).is_char_device()
    master, slave = os.openpty()
    assert os.ttyname(slave) == "/dev/pts/0"
    assert os.stat("/dev/pts/0").st_gid == grp.getgrnam("tty").gr_gid
    os.close(master)
    os.close(slave)


def test_only_loopback_and_it_is_up():
    links = host.run("ip", "-o", "link", check=True).out.splitlines()
    assert len(links) == 1 and re.search(r"lo: <LOOPBACK,UP,LOWER_UP>", links[0])
    assert os.uname().nodename == "testhost"


def test_cgroup_is_writable_and_limits():
    group = host.cgroup_tree() / "probe"
    assert host.cgroup("self") == ("/" if group.parent.name == "pids" else "/host")
    group.mkdir()
    (group / "pids.max").write_text("3")
    script = f"echo 0 >{group}/cgroup.procs; sleep 1 & sleep 1 & sleep 1 & wait"
    assert "Cannot fork" in host.run("sh", "-c", script).err
    assert host.run("sh", "-c", "sleep 0 & sleep 0 & sleep 0 & wait").rc == 0
    host.wait_until(lambda: not (group / "cgroup.procs").read_text(), what="the group is empty")
    group.rmdir()


def test_users():
    for name, uid in (("alice", 2001), ("bob", 2002), ("carol", 2003), ("mallory", 2004)):
        entry = pwd.getpwnam(name)
        assert (entry.pw_uid, entry.pw_shell) == (uid, "/bin/bash")
        assert os.stat(entry.pw_dir).st_uid == uid
    assert grp.getgrnam("students").gr_gid == 3001
    assert os.getgrouplist("alice", 2001) == [2001, 3001]


def test_no_stray_descriptor_is_inherited():
    inherited = host.run("sh", "-c", "ls /proc/$$/fd").out.split()
    assert set(inherited) <= {"0", "1", "2"}


# -- programs in it --


def test_password_opens_su(plain):
    child = host.spawn("su", "-", "alice", "-c", "su - bob -c id")
    child.expect("Password: ")
    child.sendline("bobpw")
    child.expect(r"uid=2002\(bob\)")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_login_on_a_terminal(plain, baseline):
    child = host.spawn("login")
    child.expect("login: ")
    child.sendline("bob")
    child.expect("Password: ")
    child.sendline("bobpw")
    child.expect(r"\$ ")
    child.sendline("tty; who; id -un")
    child.expect("/dev/pts/0\r\n(bob .*)\r\nbob\r\n")
    child.sendline("exit 4")
    child.expect(pexpect.EOF)
    child.close()


def test_sudo(plain, baseline):
    plain.sudoers("alice ALL=(ALL) NOPASSWD: ALL\n")
    result = host.run("runuser", "-u", "alice", "--", "sudo", "-u", "carol", "id", "-un")
    assert result.out == "carol\n", result
    assert host.run("runuser", "-u", "bob", "--", "sudo", "-n", "id").rc == 1


def test_cron_runs_a_job_at_once_and_mails(plain, baseline):
    """Every minute is too seldom for a test: @reboot runs when cron starts."""
    plain.file("/etc/cron.d/probe", "@reboot alice echo hello $(id -un)\n")
    pathlib.Path("/run/crond.reboot").unlink(missing_ok=True)
    cron = subprocess.Popen(["cron", "-f"])
    mail = host.wait_until(lambda: "hello alice" in host.read("/var/mail/captured") and host.read("/var/mail/captured"))
    assert re.search(r"^--- sendmail .* alice$", mail, re.M) and "Subject: Cron <alice@testhost>" in mail
    cron.terminate()
    cron.wait()


def test_ssh_login(plain, sshd, baseline):
    start = syslog.mark()
    result = sshd.ssh("alice", "id -un; readlink /proc/self/ns/mnt")
    assert result.rc == 0, result
    assert result.out.split() == ["alice", f"mnt:[{host.namespaces()['mnt']}]"]
    assert sshd.ssh("bob", "exit 42").rc == 42
    line = syslog.wait_for(r"^auth.info sshd\[\d+\] Accepted publickey for alice", start)
    assert "says pid" not in line
    syslog.wait_for(r"pam_unix\(sshd:session\): session opened for user alice", start)


def test_ssh_terminal(plain, sshd, baseline):
    child = sshd.spawn("alice")
    child.expect(r"\$ ")
    child.sendline("tty; echo $((6 * 7))")
    child.expect("/dev/pts/[0-9]+")
    child.expect("42")
    child.sendline("exit 5")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 5


def test_ssh_master_sftp_scp(plain, sshd, baseline, tmp_path):
    with sshd.master("alice") as opts:
        for number in range(3):
            assert sshd.ssh("alice", f"echo {number}", opts=opts).out == f"{number}\n"
        assert len(sshd.monitors("alice")) == 1
    assert sshd.sftp("alice", "pwd\n").out.splitlines()[-1].endswith("/home/alice")
    source = tmp_path / "file"
    source.write_bytes(os.urandom(100000))
    assert sshd.scp(str(source), "alice@box:/home/alice/copy").rc == 0
    assert pathlib.Path("/home/alice/copy").read_bytes() == source.read_bytes()


def test_ssh_agent_and_x11(plain, sshd):
    with agent(sshd.identity) as environment:
        result = sshd.ssh("alice", "ssh-add", "-l", opts=("-A",), env=environment)
        assert result.out.endswith("user (ED25519)\n"), result
    with x_server() as display:
        result = sshd.ssh("alice", "echo $DISPLAY; xdpyinfo", opts=("-Y",), env={"DISPLAY": display})
        assert result.out.startswith("localhost:10.0\n") and "dimensions:    640x480 pixels" in result.out, result


def test_sshd_with_chroot_and_external_sftp(plain, baseline):
    os.makedirs("/srv/jail/in", exist_ok=True)
    server = Sshd(match="Match User bob\n  ChrootDirectory /srv/jail\n  ForceCommand internal-sftp\n", sftp="external")
    assert server.sftp("bob", "ls /\n").out.split()[-1].endswith("in")
    with server.session("alice", "cat"):
        pass
    assert EXTERNAL_SFTP in host.read(f"{server.directory}/sshd_config")
    assert server.sftp("alice", "pwd\n").rc == 0
    server.stop()


def test_session_helper(plain, sshd, baseline):
    with sshd.session("carol"):
        assert len(sshd.monitors("carol")) == 1
    host.wait_until(lambda: not sshd.monitors("carol"), what="carol is out")


def test_sshd_without_pam(plain, baseline):
    server = Sshd(pam=False)
    start = syslog.mark()
    assert server.ssh("alice", "id -un").out == "alice\n"
    assert not syslog.matching("pam_unix", start)
    server.stop()


def test_sshd_under_another_name(plain, baseline):
    plain.pam("sshd-two", variant="none")
    server = Sshd(name="sshd-two")
    start = syslog.mark()
    assert server.ssh("alice", "true").rc == 0
    syslog.wait_for(r"pam_unix\(sshd-two:session\)", start)
    server.stop()


# -- syslog --


def test_syslog_line():
    start = syslog.mark()
    process = subprocess.Popen(["logger", "-p", "authpriv.alert", "-t", "probe", "--", "two words"])
    process.wait()
    assert syslog.wait_for("probe", start) == f"authpriv.alert probe[{process.pid}] two words"


def test_syslog_knows_a_false_pid():
    start = syslog.mark()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.connect("/dev/log")
        log.send(b"<13>Jan  1 00:00:00 probe[1]: I am init\nand more")
    assert syslog.wait_for("probe", start) == f"user.notice probe[{os.getpid()}] (says pid 1) I am init#012and more"


def test_syslog_restart():
    before = os.stat("/dev/log").st_ino
    syslog.restart()
    assert os.stat("/dev/log").st_ino != before
    start = syslog.mark()
    host.run("logger", "-t", "probe", "again", check=True)
    syslog.wait_for("again", start)


# -- the baseline: each of these must be noticed --


def test_baseline_is_equal_to_itself():
    assert picture.diff(picture.take(), picture.take()) == []


def test_baseline_notices_a_mount(tmp_path):
    before = picture.take()
    host.run("mount", "-t", "tmpfs", "leak", str(tmp_path), check=True)
    try:
        fails_with(before, f"new mount: {tmp_path} ")
    finally:
        host.run("umount", str(tmp_path), check=True)
    picture.wait_equal(before)


def test_baseline_notices_a_second_mount_of_the_same(tmp_path):
    host.run("mount", "--bind", "/etc", str(tmp_path), check=True)
    before = picture.take()
    host.run("mount", "--bind", "/etc", str(tmp_path), check=True)
    try:
        fails_with(before, "new mount")
    finally:
        host.run("umount", str(tmp_path), check=True)
        picture.wait_equal(before)
        host.run("umount", str(tmp_path), check=True)


def test_baseline_notices_a_process_and_its_namespaces():
    before = picture.take()
    leak = subprocess.Popen(["unshare", "--uts", "--ipc", "sleep", "30"])
    try:
        host.wait_until(lambda: host.comm(leak.pid) == "sleep")
        fails_with(before, f"new process: {leak.pid} sleep sleep 30", r"new namespace: uts", r"new namespace: ipc")
        leak.kill()
        host.wait_until(lambda: not host.alive(leak.pid))
        fails_with(before, f"new process: {leak.pid} sleep zombie")
    finally:
        leak.kill()
        leak.wait()
    picture.wait_equal(before)


def test_baseline_notices_a_namespace_that_only_a_descriptor_holds():
    before = picture.take()
    child = subprocess.Popen(["unshare", "--net", "sleep", "30"])
    host.wait_until(lambda: host.comm(child.pid) == "sleep")
    held = os.open(f"/proc/{child.pid}/ns/net", os.O_RDONLY)
    child.send_signal(signal.SIGKILL)
    child.wait()
    try:
        fails_with(before, "new namespace: net")
    finally:
        os.close(held)
    picture.wait_equal(before)


@pytest.mark.parametrize("controller", ["pids", ""])
@pytest.mark.parametrize("name", ["leak", "nsbox/leak"])
def test_baseline_notices_a_cgroup(controller, name):
    group = host.cgroup_tree(controller) / name
    before = picture.take()
    group.mkdir(parents=True)
    fails_with(before, f"new cgroup: {group}")
    group.rmdir()
    picture.wait_equal(before)  # the empty parent of all boxes may stay


@pytest.mark.parametrize("what, add, remove", [
    ("link: .*leak0", "ip link add leak0 type veth peer leak1", "ip link del leak0"),
    ("link: .*lo:.*mtu 4242", "ip link set lo mtu 4242", "ip link set lo mtu 65536"),
    ("route: unreachable 198.51.100.0/24 table 7", "ip route add unreachable 198.51.100.0/24 table 7",
     "ip route del unreachable 198.51.100.0/24 table 7"),
    ("route: unreachable 2001:db8:7::/48", "ip -6 route add unreachable 2001:db8:7::/48 dev lo",
     "ip -6 route del unreachable 2001:db8:7::/48 dev lo"),
    ('rule: table .*"leak"', "nft add table inet leak", "nft delete table inet leak"),
    ("rule: element of .*leak.* 4242", "nft 'add table inet leak; add set inet leak s { type inet_service; elements = { 4242 }; }'",
     "nft delete table inet leak"),
])
def test_baseline_notices_the_network(what, add, remove):
    """It asks again when the kernel has told of a change: of each kind, there and back, twice."""
    for _ in range(2):
        before = picture.take()
        host.run("sh", "-c", add, check=True)
        try:
            fails_with(before, f"new {what}")
        finally:
            host.run("sh", "-c", remove, check=True)
        picture.wait_equal(before)


def test_baseline_notices_an_element_that_goes_by_itself():
    """Of its end the kernel says nothing."""
    host.run("nft", "add table inet leak; add set inet leak s { type inet_service; flags timeout; }", check=True)
    try:
        before = picture.take()
        host.run("nft", "add element inet leak s { 4242 timeout 1s }", check=True)
        fails_with(before, "new rule: element of .*leak")
        picture.wait_equal(before)
    finally:
        host.run("nft", "delete", "table", "inet", "leak", check=True)


@pytest.mark.parametrize("name", ["leak", "boxes/leak", "leak/", "boxes/leak/"])
def test_baseline_notices_a_runtime_file(name):
    before = picture.take()
    path = pathlib.Path("/run/nsbox", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith("/"):
        path.mkdir()
    else:
        path.write_text("")
    fails_with(before, f"new runtime file: {name}")
    path.rmdir() if name.endswith("/") else path.unlink()
    picture.wait_equal(before)


@pytest.mark.parametrize("line, pid", [("pts/9", os.getpid()), ("nsbox/x", 99999)])
def test_baseline_notices_a_utmp_record(line, pid):
    before = picture.take()
    old = pathlib.Path(picture.UTMP).read_bytes()
    record = picture.UTMP_RECORD.pack(7, pid, line.encode(), b"ts/9", b"alice", b"far", *[0] * 9)
    assert len(record) == 384
    pathlib.Path(picture.UTMP).write_bytes(old + record)
    try:
        assert (line in host.run("who").out) == (pid == os.getpid())  # our layout of the record is libc's
        fails_with(before, rf"new utmp record: \(7, {pid}, '{line}', 'ts/9', 'alice', 'far'\)")
    finally:
        pathlib.Path(picture.UTMP).write_bytes(old)
    picture.wait_equal(before)


def test_baseline_notices_a_descriptor_of_sshd(sshd):
    now = picture.take()
    assert now["sshd descriptor"]
    one = next(iter(now["sshd descriptor"]))
    before = {**now, "sshd descriptor": now["sshd descriptor"] - collections.Counter([one])}
    assert picture.diff(before, now) == [f"new sshd descriptor: {one}"]
    assert sshd.process


def test_baseline_notices_a_pty():
    before = picture.take()
    master, slave = os.openpty()
    fails_with(before, "new pty: ")
    os.close(master)
    os.close(slave)
    picture.wait_equal(before)


def test_baseline_notices_a_loop_device(tmp_path):
    file = tmp_path / "disk"
    file.write_bytes(b"\0" * 1048576)
    before = picture.take()
    device = host.run("losetup", "--find", "--show", str(file), check=True).out.strip()
    try:
        fails_with(before, f"new loop device: {os.path.basename(device)} ")
    finally:
        host.run("losetup", "-d", device, check=True)
    picture.wait_equal(before)


def test_baseline_waits_for_what_is_going():
    before = picture.take()
    subprocess.run(["sh", "-c", "sleep 0.5 &"], check=True)  # PID 1 reaps it
    assert picture.diff(before, picture.take())
    assert 0.2 < picture.wait_equal(before, timeout=5) < 3


# -- which tests run without --full --


class Item:
    """As much of a test of pytest as sample.py looks at: `sets` of parameters, ("a,b", (1, 2)) each."""

    def __init__(self, test, *sets, **marks):
        self.nodeid = f"test_file.py::{test}[{sets}]" if sets else f"test_file.py::{test}"
        self.sets, self.marks = sets, marks
        if sets:
            self.callspec = collections.namedtuple("Callspec", "params")({
                word: value for names, values in sets for word, value in zip(names.split(","), values)})

    def iter_markers(self, name):
        assert name == "parametrize"
        return [collections.namedtuple("Mark", "args")((names,)) for names, _ in self.sets if names != "fixture"]

    def get_closest_marker(self, name):
        return collections.namedtuple("Mark", "args")((self.marks[name],)) if name in self.marks else None


def product(test="product", **marks):
    return [Item(test, ("a", (a,)), ("b,c", (b, -b)), ("fixture", (f,)), **marks) for a in range(5) for b in range(4) for f in "xyz"]


PRODUCT = product()
ROWS = [Item("rows", ("a,b", (a, b))) for a in range(3) for b in range(3)]
PLAIN = [Item("plain")]


def test_sample_has_each_value_of_each_argument():
    """Of a product as few as that takes; rows of one list, and what has no parameters, whole."""
    for seed in "abc":
        chosen = sample.choose(PRODUCT + ROWS + PLAIN, seed)
        assert chosen - set(PRODUCT) == set(ROWS + PLAIN)
        some = chosen & set(PRODUCT)
        assert len(some) == 5
        for names, number in (("a", 5), ("b,c", 4), ("fixture", 3)):
            assert len({dict(item.sets)[names] for item in some}) == number


def test_sample_depends_on_the_seed_alone():
    """The same seed, the same tests, in whatever order; other seeds, others in time; none, all."""
    assert sample.choose(PRODUCT, None) == set(PRODUCT)
    assert sample.choose(PRODUCT, "a") == sample.choose(PRODUCT[::-1], "a")
    seen = set()
    for seed in range(100):
        seen |= sample.choose(PRODUCT, seed)
    assert seen == set(PRODUCT)


def test_sample_by_marks():
    """some, one_in and full ask for less; without a seed nothing is left out."""
    some, rest = product("some", some=2), [Item(f"third{number}", one_in=3) for number in range(7)]
    rows = [Item("fourth", ("a", (number,)), one_in=4) for number in range(4)]
    never = [Item("full", full="it takes hours")]
    items = some + rest + rows + never + PLAIN
    for seed in "abc":
        chosen = sample.choose(items, seed)
        assert len(chosen & set(some)) == 2 and len(chosen & set(rest)) == 3
        assert chosen >= set(rows + PLAIN) and not chosen & set(never)
    assert sample.choose(items, "") == set(items)
    seen = set()
    for seed in range(100):
        seen |= sample.choose(rest, seed)
    assert seen == set(rest)
