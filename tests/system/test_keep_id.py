# SPDX-License-Identifier: BSD-3-Clause
"""user_namespace = keep-id: the user keeps its ids, everybody else in the box is nobody on the host. Real ssh logins."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal

import pexpect
import pytest

from lib import ctl, host, share, syslog
from lib import sshd as sshd_module
from lib.refusal import SUDOERS, moved_away, sudo

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

FIRST, LAST, COUNT = 1879048192, 2147483647, 65536  # the pool of nsbox.conf(5), and what a box takes of it
PROFILE = "[profile kept]\nusers = * !root\nnetwork = loopback\nuser_namespace = keep-id\n"
TREES = pathlib.Path("/srv/trees")
BOX_TREE = ("bin", "proc", "sys", "dev", "run", "home", "root", "etc", "var", "var/log", "srv", "mnt")
APPLETS = ("sh", "ls", "cat", "id", "mount", "umount", "touch", "rm", "mkdir", "sleep", "mknod", "stat", "true", "readlink",
           "grep", "chmod", "chown", "cp", "hostname", "kill", "ps")


@pytest.fixture
def boxed(conf):
    """Everybody but root is boxed; boxed.profile(lines) says how."""
    conf.pam("sshd", "su")
    conf.nsbox(PROFILE)
    conf.profile = lambda *lines: conf.nsbox(PROFILE + "".join(f"{line}\n" for line in lines))
    yield conf


def make_tree(path):
    path.mkdir(mode=0o755)
    for directory in BOX_TREE:
        (path / directory).mkdir(mode=0o755)
    for directory in ("tmp", "var/tmp"):
        (path / directory).mkdir()
        (path / directory).chmod(0o1777)
    shutil.copy("/bin/busybox", path / "bin/busybox")
    for applet in APPLETS:
        os.symlink("busybox", path / "bin" / applet)
    # becomes root of the box, as sudo does
    shutil.copy("/cache/as-root", path / "bin/as-root")
    os.chmod(path / "bin/as-root", 0o4755)
    (path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nalice:x:2001:2001::/home/alice:/bin/sh\n"
                                     "bob:x:2002:2002::/home/bob:/bin/sh\n")
    (path / "etc/group").write_text("root:x:0:\ntty:x:5:\nalice:x:2001:\nbob:x:2002:\n")
    (path / "etc/secret").write_text("secret\n")
    os.chmod(path / "etc/secret", 0o600)
    return path


@pytest.fixture(scope="module", autouse=True)
def _as_root():
    source = pathlib.Path("/cache/as-root.c")
    source.write_text("""#include <stdio.h>
#include <unistd.h>
#include <grp.h>
int main(int argc, char **argv)
{
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) {
		perror("as-root");
		return 1;
	}
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
""")
    host.run("gcc", "-static", "-o", "/cache/as-root", str(source), check=True)


@pytest.fixture
def trees(conf):
    """A place on a file system whose owners can be mapped: the throw-away host's own is an overlay."""
    TREES.mkdir(mode=0o755)
    host.run("mount", "-t", "tmpfs", "-o", "size=64m,mode=0755", "trees", str(TREES), check=True)
    conf.file("/etc/passwd", re.sub(r"^((?:alice|bob):.*:)[^:\n]*$", r"\1/bin/sh", pathlib.Path("/etc/passwd").read_text(),
                                    flags=re.M))
    yield TREES
    host.run("umount", str(TREES), check=True)
    TREES.rmdir()


def run(sshd, script, user="alice", **options):
    start = syslog.mark()
    result = sshd.ssh(user, script, **options)
    assert result.rc == 0, (result, syslog.matching("refused|taken back|cannot|left out", start))
    return result.out


def refused(sshd, user="alice"):
    """The login is refused in the account phase; what the helper says why."""
    start = syslog.mark()
    result = sshd.ssh(user, "echo in")
    assert result.rc != 0 and result.out == "", result
    return syslog.wait_for("login of .* refused", start)


def base_of(box):
    """The first of the box's ids on the host, as PID 1 has them."""
    for line in host.read(f"/proc/{box['init_pid']}/uid_map").splitlines():
        inside, outside, _ = map(int, line.split())
        if inside == 0:
            return outside
    raise AssertionError(box)


def ids_of(pid):
    """Real, effective, saved, file system: (uids, gids)."""
    status = host.status(pid)
    return tuple([int(word) for word in status[name].split()] for name in ("Uid", "Gid"))


def find(command):
    """The pids of the processes with exactly this command line."""
    return [pid for pid in host.pids() if host.cmdline(pid) == command and host.alive(pid)]


@contextlib.contextmanager
def session(sshd, script, user="alice"):
    """A session that runs this script and waits; yields what it printed, a list of lines, and the box."""
    process = sshd.popen(user, f"({script}) 2>&1; echo end-of-it; exec cat")
    try:
        lines = []
        while (line := process.stdout.readline().decode()) != "end-of-it\n":
            assert line, (lines, process.stderr.read())
            lines.append(line.rstrip("\n"))
        yield lines, share.the_box(user)
    finally:
        process.stdin.close()
        process.terminate()
        process.wait(10 * host.PATIENCE)
        process.stdout.close()
        process.stderr.close()


# -- what the box is like --


def directory(trees):
    return [f"root = {make_tree(trees / 'plain')}", "root_readonly = yes"]


def closed(trees):
    """Written to by root of the box, where nobody else comes by."""
    (trees / "closed").mkdir(mode=0o700)
    return [f"root = {make_tree(trees / 'closed/tree')}"]


def ephemeral(trees):
    return [f"root = {make_tree(trees / 'plain')}", "overlay = ephemeral"]


def kept(trees):
    (trees / "kept").mkdir(mode=0o755)
    return [f"root = {make_tree(trees / 'plain')}", f"overlay = {trees}/kept/%u"]


def layers(trees):
    make_tree(trees / "lower")
    (trees / "upper").mkdir(mode=0o755)
    (trees / "upper/etc").mkdir(mode=0o755)
    (trees / "upper/etc/mark").write_text("layers\n")
    return [f"layers = {trees}/upper:{trees}/lower", "overlay = ephemeral"]


def squashfs(trees):
    host.run("mksquashfs", str(make_tree(trees / "plain")), str(trees / "image"), "-quiet", "-no-progress", check=True)
    return [f"root = {trees}/image"]


def squashfs_overlay(trees):
    return [*squashfs(trees), "overlay = ephemeral"]


ROOTS = [directory, closed, ephemeral, kept, layers, squashfs, squashfs_overlay]
WRITABLE = [closed, ephemeral, kept, layers, squashfs_overlay]


@pytest.mark.parametrize("root", ROOTS)
def test_ids_inside_and_outside(boxed, trees, sshd, baseline, root):
    """The user is the same on both sides; root and everybody else in the box are ids of the pool outside."""
    boxed.profile(*root(trees))
    script = ("id; grep CapPrm /proc/self/status; stat -c %u:%g:%a / /etc /bin/as-root /dev/null /tmp /run; as-root id; cat /etc/secret; as-root cat /etc/secret; "
              "sleep 4321 > /dev/null 2>&1 & as-root sleep 4322 > /dev/null 2>&1 & sleep 0.2; touch ~/mine")
    with session(sshd, script) as (lines, box):
        base = base_of(box)
        assert FIRST <= base and base + COUNT - 1 <= LAST and (base - FIRST) % COUNT == 0
        assert lines.pop(1) == "CapPrm:\t0000000000000000"
        assert lines == ["uid=2001(alice) gid=2001(alice) groups=2001(alice)", "0:0:755", "0:0:755", "0:0:4755", "0:0:666",
                         "0:0:1777", "0:0:755", "uid=0(root) gid=0(root)", "cat: can't open '/etc/secret': Permission denied",
                         "secret"], lines
        (user,), (root_of_box,) = find("sleep 4321"), find("sleep 4322")
        assert ids_of(user) == ([2001] * 4, [2001] * 4)
        assert ids_of(root_of_box) == ([base] * 4, [base] * 4)
        assert ids_of(box["init_pid"]) == ([base] * 4, [base] * 4)
        home = os.stat("/home/alice/mine")
        assert (home.st_uid, home.st_gid) == (2001, 2001)
        assert host.namespaces(user)["user"] == box["namespaces"]["user"] != host.namespaces()["user"]
        assert json.loads(ctl.ctl("show", box["id"], "--json").out)["subids"] == base
        assert f"ids           {base}-{base + COUNT - 1}, beside" in ctl.ctl("show", box["id"]).out
    os.unlink("/home/alice/mine")


@pytest.mark.parametrize("root", WRITABLE)
def test_root_of_the_box_writes(boxed, trees, sshd, baseline, root):
    """What root of the box writes belongs to root there, what the user writes to the user."""
    boxed.profile(*root(trees))
    out = run(sshd, "as-root touch /etc/new; as-root chmod 1777 /srv; touch /srv/mine; as-root chown bob /etc/secret; "
                    "stat -c %u:%g /etc/new /srv/mine /etc/secret; touch /etc/not || echo refused")
    assert out == "0:0\n2001:2001\n2002:0\nrefused\n"


def test_kept_writes_are_those_of_the_disk(boxed, trees, sshd, baseline):
    """What is kept is the same for the next box, whatever range that one gets."""
    lines = kept(trees)
    boxed.profile(*lines, f"subid_pool = {FIRST}-{FIRST + COUNT - 1}")
    run(sshd, "as-root touch /etc/new; as-root sh -c 'echo changed > /etc/secret'; as-root rm /etc/group")
    upper = trees / "kept/alice/upper/etc"
    assert [(upper / name).stat().st_uid for name in ("new", "secret")] == [0, 0]
    boxed.profile(*lines, f"subid_pool = {FIRST + 3 * COUNT}-{FIRST + 4 * COUNT - 1}")
    assert run(sshd, "stat -c %u /etc/new; as-root cat /etc/secret; ls /etc/group || echo gone") == "0\nchanged\ngone\n"


def test_host_root(boxed, sshd, baseline):
    """The host's tree is shown as it is: what belongs to root belongs to nobody, and its set-user-ID programs are plain ones.
    So nobody becomes root of the box, who could read what only root may."""
    boxed.sudoers(SUDOERS)
    with session(sshd, "id -u; stat -c %u /etc/shadow /usr/bin/su; cat /etc/shadow; sudo -n id; touch ~/mine /tmp/x && echo written") as (
            lines, box):
        assert lines[:3] == ["2001", "65534", "65534"] and lines[-1] == "written", lines
        assert "cat: /etc/shadow: Permission denied" in lines and any("must be owned by uid 0" in line for line in lines), lines
        result = ctl.ctl("enter", box["id"], "--root", "--", "sh", "-c",
                         "id -u; cat /etc/shadow; touch /etc/new; touch /usr/new; ls /root; cat /proc/1/environ; echo x > ~alice/mine; "
                         "mount -t tmpfs x /mnt; mknod /tmp/null c 1 3; hostname other; kill -9 1")
        assert result.out == "0\n", result
        assert result.err.count("Permission denied") == 5 and result.err.count("not permitted") + result.err.count(
            "must be superuser") + result.err.count("you must be root") + result.err.count("permission denied") >= 3, result
        assert ctl.ctl("enter", box["id"], "--", "id", "-u").out == "2001\n"
        assert share.the_box()["id"] == box["id"]
    assert not os.path.exists("/etc/new") and not os.path.exists("/usr/new")
    assert pathlib.Path("/home/alice/mine").read_text() == "x\n"
    os.unlink("/home/alice/mine")


SUDO_FILES = ("/usr/bin/sudo", "/usr/libexec/sudo/sudoers.so", "/usr/libexec/sudo/libsudo_util.so.0", "/usr/bin/id",
              "/lib/x86_64-linux-gnu/security/pam_permit.so")


def add_sudo(tree):
    """The host's sudo, with the libraries that it loads, and rules of the tree's own."""
    wanted = set(SUDO_FILES)
    for path in SUDO_FILES:
        wanted |= set(re.findall(r"\s(/\S+) \(0x", host.run("ldd", path).out))
    for path in wanted:
        target = tree / path.lstrip("/")
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(path), target)
    os.chmod(tree / "usr/bin/sudo", 0o4755)
    (tree / "etc/sudoers").write_text("alice ALL=(ALL) NOPASSWD: ALL\n")
    os.chmod(tree / "etc/sudoers", 0o440)
    (tree / "etc/pam.d").mkdir(mode=0o755)
    (tree / "etc/pam.d/sudo").write_text("auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n")
    (tree / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
    (tree / "etc/hosts").write_text(f"127.0.0.1 localhost {os.uname().nodename}\n")


def test_sudo_makes_root_of_the_box_only(boxed, trees, sshd, baseline):
    """The real sudo of the tree: uid 0 in there, nobody on the host."""
    tree = make_tree(trees / "plain")
    add_sudo(tree)
    boxed.profile(f"root = {tree}", "overlay = ephemeral")
    with session(sshd, "/usr/bin/sudo -n /usr/bin/id; /usr/bin/sudo -n -u bob /usr/bin/id -u; /usr/bin/sudo -n sleep 4324 > /dev/null 2>&1 & "
                       "sleep 0.5; ls -ln /run | grep sudo") as (lines, box):
        assert lines[:2] == ["uid=0(root) gid=0(root) groups=0(root)", "2002"], lines
        assert ids_of(find("sleep 4324")[0]) == ([base_of(box)] * 4, [base_of(box)] * 4)


def test_terminal(boxed, trees, sshd, baseline):
    """sshd gives the terminal to the user."""
    boxed.profile(*directory(trees))
    child = sshd.spawn("alice", "stat -c %u:%g:%a $(readlink /proc/self/fd/0); echo on > /dev/tty; ls /dev/pts")
    child.expect(pexpect.EOF)
    child.close()
    assert child.before.replace("\r", "").split() == ["2001:5:620", "on", "0", "ptmx"], child.before


def test_terminal_that_the_user_opens(boxed, sshd, baseline):
    """It is the user's, as tmux, script and expect need it, and can be opened by its name."""
    look = ("import os; main, other = os.openpty(); name = os.ttyname(other); found = os.stat(name); os.open(name, os.O_RDWR); "
            "print(found.st_uid, found.st_gid, oct(found.st_mode & 0o777))")
    assert run(sshd, f"python3 -c '{look}'") == "2001 5 0o620\n"
    assert "in script" in run(sshd, "script -qec 'echo in script' /dev/null")


def test_services(boxed, sshd, baseline):
    """su, sudo, and nsboxctl run; login(1) is told before."""
    boxed.pam("su", "su-l", "sudo", "login")
    boxed.sudoers("bob ALL=(ALL) NOPASSWD: ALL\n")
    look = ("sh", "-c", "id -u; head -1 /proc/self/uid_map; grep CapEff /proc/self/status")
    results = [host.run("su", "alice", "-c", look[2]), host.run("su", "-", "alice", "-c", look[2]),
               sudo("bob", "alice", look), ctl.ctl("run", "--user", "alice", "--", *look)]
    for result in results:
        lines = result.out.splitlines()
        assert lines[0] == "2001" and re.match(r" +0 +(1[89]|20|21)\d{8} +2001$", lines[1]), result
        assert lines[2] == "CapEff:\t0000000000000000", result
    start = syslog.mark()
    child = host.spawn("login", "-f", "alice", env={**os.environ, "TERM": "dumb"})
    child.expect("Login refused")
    child.expect(pexpect.EOF)
    child.close()
    syslog.wait_for("login must make the user the owner of the terminal", start)


def test_ssh_features(boxed, sshd, baseline):
    """The application does for the user what it did before: files, agents, forwarded ports."""
    assert "Remote working directory: /home/alice" in sshd.sftp("alice", "pwd\n").out
    with sshd_module.agent(sshd.identity) as environment:
        out = sshd.ssh("alice", "ssh-add -l; stat -c %u $SSH_AUTH_SOCK", opts=("-A",), env=environment).out
        assert "ED25519" in out and out.endswith("\n2001\n"), out
    port = sshd_module.free_port()
    with sshd.master("alice", opts=("-L", f"{port}:127.0.0.1:8123")) as options:
        out = sshd.ssh("alice", "echo inside > /tmp/page; cd /tmp; python3 -m http.server -b 127.0.0.1 8123 > /dev/null 2>&1 & "
                       "for i in 1 2 3 4 5 6 7 8 9; do sleep 0.2; (echo > /dev/tcp/127.0.0.1/8123) 2> /dev/null && break; done; "
                       "echo listens", opts=options).out
        assert out == "listens\n"
        assert host.run("curl", "-s", f"http://127.0.0.1:{port}/page").out == "inside\n"


def test_shared(boxed, trees, sshd, baseline):
    """The user's second login joins, and has the same ids; so has one by su."""
    boxed.profile(*ephemeral(trees), "share = user")
    with session(sshd, "as-root touch /etc/first") as (_, box):
        out = run(sshd, "ls /etc/first; as-root id -u; as-root touch /etc/second; id -u")
        assert out == "/etc/first\n0\n2001\n"
        assert share.the_box()["id"] == box["id"]
        assert ctl.ctl("enter", box["id"], "--root", "--", "sh", "-c", "stat -c %u /etc/second; id -u").out == "0\n0\n"


def test_application(boxed, sshd, baseline):
    """What joined is root of the box and nobody on the host, and cannot be looked into."""
    with session(sshd, "true") as (_, box):
        (pid,) = box["members"]
        base = base_of(box)
        assert ids_of(pid) == ([base] * 4, [base] * 4)
        assert os.stat(f"/proc/{pid}/environ").st_uid == 0  # the kernel's way of saying: not dumpable
        assert host.namespaces(pid)["user"] == box["namespaces"]["user"]


# -- what root of the box cannot --


def test_root_of_the_box_is_nobody(boxed, trees, sshd, baseline):
    boxed.profile(*ephemeral(trees))
    attempts = {
        "mount -t tmpfs x /mnt": "denied|not permitted|superuser", "mount -o remount,rw /sys": "denied|not permitted|superuser",
        "mount --bind /tmp /mnt": "denied|not permitted|superuser", "umount /proc/sys": "denied|not permitted|superuser|Invalid",
        "mknod /tmp/disk b 8 0": "not permitted", "hostname other": "not permitted", "cat /proc/kcore | grep -q x": "",
        "sh -c 'echo 1 > /proc/sys/kernel/panic'": "Read-only", "sh -c 'echo b > /proc/sysrq-trigger'": "Read-only|denied|nonexistent",
        "ls /proc/1/root/": "denied", "cat /proc/1/maps": "denied", "readlink /proc/1/exe": "", "kill -9 1": "",
        "chown 70000 /tmp/x": "Invalid argument",
    }
    for command, pattern in attempts.items():
        result = sshd.ssh("alice", f"touch /tmp/x; as-root {command}; echo status $?")
        assert re.search(r"^status [1-9]", result.out, re.M) or command == "kill -9 1", (command, result)
        assert re.search(pattern, result.err), (command, result)
    # the box is still there after it has killed its PID 1, as far as that is for it
    assert "status 0" in sshd.ssh("alice", "as-root kill -9 1; sleep 0.2; echo status 0").out


def test_root_of_the_box_and_other_boxes(boxed, trees, sshd, baseline):
    """Neither the files nor the processes of another's box, nor those of the user outside of it, are its root's."""
    boxed.profile(*ephemeral(trees))
    outside = host.run("su", "-s", "/bin/sh", "nobody", "-c", "true")
    assert outside.rc in (0, 1)
    with session(sshd, "sleep 4323 > /dev/null 2>&1 & touch /tmp/bobs", user="bob") as (_, bobs):
        (victim,) = find("sleep 4323")
        with session(sshd, f"as-root kill -9 {victim}; as-root ls /proc/{victim}; as-root ls /home/bob; as-root ls /tmp") as (
                lines, box):
            assert base_of(box) != base_of(bobs)
            assert not [line for line in lines if "bobs" in line], lines
        assert host.alive(victim)


PLANT = ("as-root cp /bin/as-root {place}/planted && as-root chmod 4755 {place}/planted; "
         "as-root stat -c %u:%a {place}/planted 2>/dev/null")


def run_as_bob(path):
    """The uid that whoever is not the user gets by running it outside; None: it cannot be run."""
    # through a shell: what setpriv itself starts it looks for with root's capabilities
    result = host.run("setpriv", "--reuid=2002", "--regid=2002", "--clear-groups", "sh", "-c", f"{path} id -u; exit $?")
    return int(result.out) if result.out.strip().isdigit() else None


@pytest.mark.parametrize("root", [closed, kept])
def test_planted_in_the_tree(boxed, trees, sshd, baseline, root):
    """A set-user-ID program of root of the box is one of the host's root on disk: nobody outside comes to it."""
    boxed.profile(*root(trees))
    assert run(sshd, PLANT.format(place="/srv")) == "0:4755\n"
    found = [pathlib.Path(directory, name) for directory, _, names in os.walk(trees) for name in names if name == "planted"]
    assert len(found) == 1 and found[0].stat().st_uid == 0 and found[0].stat().st_mode & 0o4000
    assert run_as_bob(found[0]) is None


def test_planted_in_a_home(boxed, trees, sshd, baseline):
    """A home whose file system can be mapped takes nothing that belongs to ids of a box."""
    home = trees / "home"
    home.mkdir()
    os.chown(home, 2001, 2001)
    os.chmod(home, 0o755)
    os.mkdir(trees / "shared", 0o755)
    os.chmod(trees / "shared", 0o1777)
    boxed.profile(*ephemeral(trees), f"bind = {home}:/mnt {trees}/shared:/srv")
    for place in ("/mnt", "/srv"):
        result = sshd.ssh("alice", f"touch {place}/mine && echo mine; " + PLANT.format(place=place) + f"; ls {place}")
        assert result.out.replace("planted\n", "") == "mine\nmine\n", result
        assert "Value too large" in result.err, result
        assert run_as_bob(f"{home if place == '/mnt' else trees / 'shared'}/planted") is None
    assert (home / "mine").stat().st_uid == 2001


def test_planted_where_nothing_can_be_mapped(boxed, trees, sshd, baseline):
    """The throw-away host's /home is on overlayfs: there the file belongs to an id of the pool, which is nobody's."""
    boxed.profile(*ephemeral(trees))
    out = run(sshd, PLANT.format(place="~"))
    assert out == "0:4755\n"
    planted = pathlib.Path("/home/alice/planted")
    try:
        assert planted.stat().st_uid >= FIRST
        os.chmod("/home/alice", 0o755)
        uid = run_as_bob(planted)
        assert uid is None or FIRST <= uid <= LAST, uid
    finally:
        os.chmod("/home/alice", 0o700)
        planted.unlink()


def test_tree_that_others_reach(boxed, trees, sshd, baseline):
    """A tree that root of the box could write to is refused where other users come by; the sentence says how to mend it."""
    tree = make_tree(trees / "open")
    boxed.profile(f"root = {tree}")
    assert "root_readonly = yes or overlay = ephemeral, or close the directory above" in refused(sshd)
    os.chmod(trees, 0o710)
    assert "where other users find them" in refused(sshd)
    os.chmod(trees, 0o700)
    assert run(sshd, "as-root id -u") == "0\n"


def test_tree_that_others_reach_behind_a_link(boxed, trees, sshd, baseline):
    """What is above a symbolic link to the tree keeps nobody away from the tree."""
    (trees / "shut").mkdir(mode=0o700)
    (trees / "shut/current").symlink_to(make_tree(trees / "open"))
    boxed.profile(f"root = {trees}/shut/current")
    line = refused(sshd)
    assert f"root to {trees}/open, where other users find them" in line, line
    (trees / "shut/current").unlink()
    (trees / "shut/current").symlink_to(make_tree(trees / "shut/tree"))
    assert run(sshd, "as-root id -u") == "0\n"


@pytest.mark.parametrize("part", ["", "/srv"], ids=["whole", "part"])
def test_tree_that_others_reach_by_another_mount(boxed, trees, sshd, baseline, part):
    """Each name of a tree that is mounted twice counts, and each of a part of it."""
    (trees / "shut").mkdir(mode=0o700)
    (trees / "wide open").mkdir(mode=0o755)
    if part:
        tree = make_tree(trees / "shut/tree")
        arguments = [f"{tree}{part}", str(trees / "wide open")]
    else:
        tree = trees / "shut/tree"
        tree.mkdir(mode=0o755)
        arguments = [str(make_tree(trees / "wide open/tree")), str(tree)]
    boxed.profile(f"root = {tree}")
    host.run("mount", "--bind", *arguments, check=True)
    try:
        line = refused(sshd)
        assert re.search(rf"root to {trees}/wide open{'' if part else '/tree'}, where other users find them", line), line
        os.chmod(trees / "wide open", 0o700)
        if part:
            os.chmod(trees, 0o700)
        assert run(sshd, "as-root id -u") == "0\n"
        os.chmod(trees, 0o755)
    finally:
        host.run("umount", arguments[1], check=True)


@pytest.mark.parametrize("link", [False, True], ids=["path", "link"])
def test_mounts_in_a_tree_that_root_of_the_box_writes(boxed, trees, sshd, baseline, link):
    """A part of the host that is mounted in the tree takes no set-user-ID program of the host's root, and tells no secret: it is
    as if it were bound. A file system that is mounted nowhere else is a part of the tree."""
    lines = closed(trees)
    tree = trees / "closed/tree"
    if link:
        (trees / "closed/current").symlink_to(tree)
        lines = [f"root = {trees}/closed/current"]
    (trees / "shared").mkdir(mode=0o755)
    os.chmod(trees / "shared", 0o1777)
    (trees / "shared/secret").write_text("secret\n")
    os.chmod(trees / "shared/secret", 0o600)
    with contextlib.ExitStack() as mounts:
        for arguments in (["--bind", trees / "shared", tree / "srv"], ["-t", "tmpfs", "-o", "size=1m,mode=0755", "own", tree / "mnt"],
                          ["--bind", "-o", "ro", trees / "shared", tree / "opt"]):
            if not arguments[-1].exists():
                arguments[-1].mkdir(mode=0o755)
            host.run("mount", *map(str, arguments), check=True)
            mounts.callback(host.run, "umount", str(arguments[-1]), check=True)
        boxed.profile(*lines)
        result = sshd.ssh("alice", "touch /srv/mine && echo mine; as-root cat /srv/secret; " + PLANT.format(place="/srv"))
        assert result.out == "mine\n" and "Value too large" in result.err and "denied" in result.err, result
        assert (trees / "shared/mine").stat().st_uid == 2001
        assert run_as_bob(trees / "shared/planted") is None
        assert run(sshd, "as-root touch /mnt/new; stat -c %u /mnt/new") == "0\n"
        result = sshd.ssh("alice", "as-root touch /opt/new")
        assert "Read-only" in result.err, result


# -- what cannot be mapped --


def test_curated_on_an_overlay(boxed, sshd, baseline):
    """The throw-away host's /usr is on overlayfs, which is never mapped."""
    boxed.profile("root = curated")
    line = refused(sshd)
    assert "/usr is on overlay, whose owners Linux " + os.uname().release + " cannot show" in line, line


def test_directory_on_an_overlay(boxed, trees, sshd, baseline):
    tree = make_tree(pathlib.Path("/srv/unfit"))
    try:
        boxed.profile(f"root = {tree}", "root_readonly = yes")
        assert "/srv/unfit is on overlay, whose owners" in refused(sshd)
        boxed.profile(f"root = {tree}", "overlay = ephemeral")
        assert "/srv/unfit is on overlay, whose owners" in refused(sshd)
    finally:
        shutil.rmtree(tree)


def test_mounts_in_the_tree(boxed, trees, sshd, baseline):
    """Each mount comes by itself; one that cannot be mapped is left out, and syslog says so."""
    tree = make_tree(trees / "plain")
    host.run("mount", "-t", "tmpfs", "-o", "size=1m,mode=0755", "data", f"{tree}/srv", check=True)
    try:
        (tree / "srv/file").write_text("x")
        host.run("mount", "--bind", "/usr/share/misc", f"{tree}/mnt", check=True)
        try:
            boxed.profile(f"root = {tree}", "root_readonly = yes")
            start = syslog.mark()
            out = run(sshd, "stat -c %u /srv/file; ls /mnt; touch /srv/new || echo refused")
            assert out == "0\nrefused\n"
            assert f"{tree}/mnt (overlay) is left out of the box" in syslog.wait_for("left out", start)
            told = ctl.ctl("explain", "--user", "alice", "--service", "sshd").out
            assert told.count("is left out of the box") == 1, told
            assert f"{tree}/mnt is left out of the box: it is overlay, whose owners Linux {os.uname().release} cannot show" in told
        finally:
            host.run("umount", f"{tree}/mnt", check=True)
    finally:
        host.run("umount", f"{tree}/srv", check=True)


# -- who may, and ranges --


def test_root_is_refused(boxed, sshd, baseline):
    boxed.nsbox(PROFILE.replace("!root", ""))
    assert "root has uid 0, which would stay root of the host" in refused(sshd, "root")
    assert run(sshd, "id -u") == "2001\n"


def test_too_many_groups(boxed, sshd, baseline):
    """Each group that is not beside another one needs a line of the map: refused before anything is made."""
    groups = pathlib.Path("/etc/group").read_text()
    boxed.file("/etc/group", groups + "".join(f"many{n}:x:{10000 + 2 * n}:alice\n" for n in range(400)))
    line = refused(sshd)
    assert "alice is in 40" in line and "takes 340 lines and 4096 bytes" in line, line
    boxed.file("/etc/group", groups + "".join(f"many{n}:x:{10000 + n}:alice\n" for n in range(60)))
    assert "10059" in run(sshd, "id -G")


def test_ids_above_65535(boxed, sshd, baseline):
    boxed.file("/etc/group", pathlib.Path("/etc/group").read_text() + "large:x:300000:alice\n")
    assert run(sshd, "id -G").split()[-1] == "300000"
    boxed.file("/etc/group", pathlib.Path("/etc/group").read_text() + f"taken:x:{FIRST + 5}:alice\n")
    assert f"the id {FIRST + 5} of alice lies in subid_pool" in refused(sshd)


def test_ranges(boxed, sshd, baseline):
    """Two boxes never have the same at a time; a pool that is used up refuses the next one, and is free again at once."""
    boxed.profile(f"subid_pool = {FIRST}-{FIRST + 2 * COUNT - 1}")
    with session(sshd, "true") as (_, one):
        with session(sshd, "true", user="bob") as (_, other):
            assert sorted((base_of(one), base_of(other))) == [FIRST, FIRST + COUNT]
            line = refused(sshd, "carol")
            assert "boxes have all 2 ranges" in line, line
            assert "boxes have all 2 ranges" in refused(sshd)
        host.wait_until(lambda: len(ctl.boxes()) == 1, what="the other box is gone")
        assert run(sshd, "id -u", user="carol") == "2003\n"
    boxed.profile(f"subid_pool = {FIRST + COUNT}-{FIRST + 2 * COUNT - 1}", "on_error = allow")
    with session(sshd, "true"):
        assert "boxes have all 1 ranges" in refused(sshd, "bob")


def test_shared_box_in_a_full_pool(boxed, sshd, baseline):
    """A login that joins needs no range."""
    boxed.profile(f"subid_pool = {FIRST}-{FIRST + COUNT - 1}", "share = user")
    with session(sshd, "true") as (_, box):
        assert run(sshd, "id -u; echo $NSBOX_ID") == f"2001\n{box['id']}\n"


def test_shared_box_and_new_groups(boxed, sshd, baseline):
    """A map cannot be changed any more: who has been put into a group since gets a box of its own, and in there the group."""
    boxed.profile("share = user")
    with session(sshd, "true") as (_, box):
        boxed.file("/etc/group", pathlib.Path("/etc/group").read_text() + "large:x:300000:alice\n")
        out = run(sshd, "id -G; echo $NSBOX_ID").split()
        assert "300000" in out and out[-1] != box["id"], out


def test_subuid(boxed, sshd, baseline):
    """Ids that /etc/subuid and /etc/subgid give to the user, under the same numbers in both; as many boxes as fit."""
    boxed.file("/etc/subuid", "alice:500000:131072\nbob:700000:65536\ncarol:800000:65535\n")
    boxed.file("/etc/subgid", "alice:500000:65536\nbob:765536:65536\ncarol:800000:65536\n")
    boxed.profile("subid_pool = subuid")
    with session(sshd, "head -1 /proc/self/uid_map; head -1 /proc/self/gid_map") as (lines, box):
        assert base_of(box) == 500000 and [line.split()[1] for line in lines] == ["500000"] * 2
        assert "boxes have all 1 ranges" in refused(sshd)
        for user in ("bob", "carol"):
            line = refused(sshd, user)
            assert f"{user} has no 65536 ids with the same numbers" in line and "usermod --add-subuids" in line, line
    boxed.file("/etc/subuid", "alice:2001:65536\n2002:700000:65536\n")
    boxed.file("/etc/subgid", "alice:2001:65536\n2002:700000:65536\n")
    assert "has no 65536 ids" in refused(sshd)
    assert run(sshd, "head -1 /proc/self/uid_map", user="bob").split() == ["0", "700000", "2002"]


def test_subuid_program(boxed, baseline):
    program = "/usr/libexec/nsbox/nsbox-subid"
    boxed.file("/etc/subuid", "alice:500000:131072\nalice:900000:1\n")
    boxed.file("/etc/subgid", "2001:500000:65536\n")
    result = host.run(program, "alice")
    assert (result.rc, result.out) == (0, "uid 500000 131072\nuid 900000 1\ngid 500000 65536\n"), result
    assert host.run(program, "nobody-knows").out == ""
    assert (host.run(program).rc, host.run(program, "").rc) == (2, 2)


def test_subuid_program_is_missing(boxed, sshd, baseline):
    boxed.profile("subid_pool = subuid")
    with moved_away("/usr/libexec/nsbox/nsbox-subid"):
        line = refused(sshd)
        assert "/usr/libexec/nsbox/nsbox-subid does not start: subid_pool = subuid needs nsbox built with libsubid" in line, line


def test_check(boxed, baseline):
    """nsboxctl check says what makes logins fail, and who else has ids of the pool."""
    assert ctl.ctl("check").err.count("keep-id") + ctl.ctl("check").err.count("subid_pool") == 0
    boxed.nsbox(PROFILE.replace("!root", "") + "subid_pool = 1000000-2000000\n")
    boxed.file("/etc/subuid", "alice:100000:65536\nbob:934464:65537\n")
    boxed.file("/etc/subgid", "bob:934464:65536\n")
    boxed.file("/etc/passwd", pathlib.Path("/etc/passwd").read_text() + "high:x:1500000:1500000::/:/bin/sh\n")
    told = ctl.ctl("check").err
    for words in ("root could not log in: user_namespace = keep-id refuses uid 0: write !root in users",
                  "lies over a range that /etc/subuid gives to bob (65537 ids from 934464)", "has the uid of high (1500000) in it"):
        assert words in told, told
    assert "/etc/subgid" not in told and "alice" not in told, told


def test_session_keyring(boxed, sshd, baseline):
    """Made before the application is nobody: it is the host's root's, as in every box, and so is the limit of core dumps."""
    boxed.pam("sudo")
    boxed.sudoers("bob ALL=(ALL) NOPASSWD: ALL\n")
    boxed.profile("seccomp = off")
    for out in (run(sshd, "keyctl rdescribe @s; echo $NSBOX_ID"), sudo("bob", "alice", ("sh", "-c", "keyctl rdescribe @s; echo $NSBOX_ID")).out):
        described, box = out.split()
        assert described.startswith("keyring;65534;") and described.endswith(f";nsbox:{box}"), out


@pytest.mark.parametrize("victims", ["app", "monitor", "init", "app monitor", "monitor init", "app monitor init"])
def test_killed(boxed, sshd, baseline, victims):
    """Whoever dies of kill -9: the range is free again, and nothing is left."""
    boxed.profile(f"subid_pool = {FIRST}-{FIRST + COUNT - 1}")
    process = sshd.popen("alice", "echo ready; exec cat")
    assert process.stdout.readline() == b"ready\n"
    box = share.the_box()
    pids = {"app": box["members"][0], "monitor": share.monitor_of(box), "init": box["init_pid"]}
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for name in victims.split():
            os.kill(pids[name], number)
    share.wait_gone()
    process.stdin.close()
    process.wait(10 * host.PATIENCE)
    process.stdout.close()
    process.stderr.close()
    assert run(sshd, "id -u", user="bob") == "2002\n"


def test_many_at_once(boxed, trees, sshd, baseline):
    """Logins that race for ranges get different ones."""
    boxed.pam("su")
    processes = [sshd.popen(user, "head -1 /proc/self/uid_map; exec cat") for user in ("alice", "bob", "carol", "alice", "bob")]
    bases = [process.stdout.readline().split()[1] for process in processes]
    for process in processes:
        process.stdin.close()
        process.wait(10 * host.PATIENCE)
        process.stdout.close()
        process.stderr.close()
    assert len(set(bases)) == len(processes), bases


@pytest.mark.parametrize("level", ["default", "strict"])
def test_filter(boxed, trees, sshd, baseline, level):
    """The filter of system calls holds in the user namespace of the box as well; containers in it where the profile says so."""
    lines = [f"root = {make_tree(trees / 'plain')}", "root_readonly = yes", f"seccomp = {level}"]
    nested = "/bin/busybox unshare -Urpf --mount-proc /bin/busybox true"
    boxed.profile(*lines)
    result = sshd.ssh("alice", f"grep ^Seccomp: /proc/self/status; {nested}; /bin/as-root {nested}")
    assert result.out == "Seccomp:\t2\n" and result.rc != 0 and result.err.count("not permitted") == 2, result
    boxed.profile(*lines, "nested_namespaces = yes")
    result = sshd.ssh("alice", f"{nested} && ls -A /run/host/nested && echo good")
    assert result.out == "good\n", result


@pytest.mark.parametrize("lines", [["capabilities = none"], ["seccomp = strict"], ["no_new_privs = yes"], ["capabilities = all"],
                                   ["nested_namespaces = yes"], ["network = host"], ["namespaces = mount pid cgroup"]], ids=" ".join)
def test_beside_other_keys(boxed, trees, sshd, baseline, lines):
    """A terminal, and what root of the box is: there is none without privileges, and with all of them it is still nobody."""
    boxed.nsbox(PROFILE.replace("network = loopback\n", "") + "\n".join([*ephemeral(trees), *lines, ""] + (
        [] if "network" in lines[0] else ["network = loopback\n"])))
    child = sshd.spawn("alice", "stat -c %u:%g $(readlink /proc/self/fd/0); as-root id -u; as-root mount -t tmpfs x /mnt || echo no; "
                                "as-root cat /proc/1/maps || echo no; id -u")
    child.expect(pexpect.EOF)
    child.close()
    words = child.before.replace("\r", "").splitlines()
    powerless = lines[0] in ("no_new_privs = yes", "capabilities = none")
    assert words[0] == "2001:5" and words[-1] == "2001", words
    assert words[1] == ("as-root: Operation not permitted" if powerless else "0"), words
    # cap_sys_ptrace sees into PID 1, which holds nothing of the host
    assert words.count("no") == (1 if lines == ["capabilities = all"] else 2), words
