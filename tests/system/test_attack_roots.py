# SPDX-License-Identifier: BSD-3-Clause
"""Ways out and traps, against every kind of root: host, curated, directory, image, layers, with and without overlays."""
import os
import pathlib
import re

import pytest

from attacks import as_user, start, stop, tool
from attacks.roots import (KEPT, KINDS, LIVE_KINDS, SECRET, TOP, TRAP, TREE, TREE_KINDS, every, give, harmless,
                           in_place_of, login, mounts_of_host, untouched)
from lib import host, syslog

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

POWERFUL = ("capabilities = all", "seccomp = off")  # root in the box has all that he has on the host


@pytest.fixture(params=KINDS)
def kind(request, conf):
    with every(request.param, conf) as made:
        yield made


trees_only = pytest.mark.parametrize("kind", TREE_KINDS, indirect=True)


@pytest.fixture
def home():
    """A directory of alice's that she may fill with traps."""
    path = pathlib.Path("/home/alice")
    before = set(os.listdir(path))
    yield path
    for name in set(os.listdir(path)) - before:
        host.run("rm", "-rf", str(path / name), check=True)


def set_home(conf, home):
    lines = host.read("/etc/passwd").splitlines()
    conf.file("/etc/passwd", "".join(
        ":".join([*line.split(":")[:5], home, line.split(":")[6]]) + "\n" if line.startswith("alice:") else line + "\n"
        for line in lines))


def link_to(target):
    return lambda path: os.symlink(target, path)


# -- line 1: links in the tree --


@trees_only
def test_mount_point_is_a_link(kind, baseline):
    """Line 1. A mount point of the tree that is a link ends the login with a sentence that names it."""
    targets = (f"{TRAP}/dir", f"../..{TRAP}/dir", "/proc/1/root", "/", "bin")
    for name, target in zip(("proc", "dev", "sys", "run", "tmp"), targets):
        with in_place_of(TREE / name, link_to(target)):
            kind.use()
            begin = syslog.mark()
            with untouched():
                assert not harmless(login())
            syslog.wait_for(rf"refused: .*/{name} is a symbolic link", begin)
    kind.use()
    assert harmless(login())


@trees_only
def test_other_name_is_a_link(kind, baseline):
    """Line 1. A link elsewhere in the tree is either refused or leads nowhere but into the tree."""
    targets = (f"/../../..{TRAP}/file", f"{TRAP}/dir", "../../../../etc/passwd")
    names = ("dev/pts", "dev/shm", "dev/null", "dev/log", "etc/resolv.conf", "etc/hosts", "var/log/wtmp", "var/tmp", "run/utmp",
             "run/host", "home", "var", "etc/passwd")
    for number, name in enumerate(names):
        with in_place_of(TREE / name, link_to(targets[number % len(targets)])):
            kind.use("hostname = other")
            with untouched():
                result = login(script=f"test -e {SECRET} && echo secret; cat /proc/self/mountinfo")
            harmless(result)
            assert "secret" not in result.out.splitlines() and str(TRAP) not in result.out, (name, result)


@trees_only
def test_link_that_a_user_owns(kind, baseline):
    """Line 1. A link that a user owns is followed nowhere in a tree, wherever it leads."""
    for name in ("bin", "etc", "usr", "etc/passwd", "home"):
        with in_place_of(TREE / name, lambda path: (os.symlink("/srv", path), give(path))):
            kind.use()
            assert not harmless(login()), name


@pytest.mark.parametrize("kind", ["curated"], indirect=True)
@pytest.mark.parametrize("target", [str(TRAP), "../../../../proc/1/root", "/proc/self/fd/3", "x" * 4000, "/libx32", "/home/alice"])
def test_alias_of_a_curated_root(kind, baseline, target):
    """Line 1. A link of the host that the curated root repeats leads nowhere but into the box, whatever it says."""
    os.symlink(target, "/libx32")
    try:
        with untouched():
            result = login(script="readlink /libx32; ls /libx32/")
        assert harmless(result) and result.out.splitlines()[1] == target, result
        if target != "/home/alice":
            assert result.rc != 0 and "file" not in result.out.split() and "host-only" not in result.out, result
    finally:
        os.unlink("/libx32")


# -- line 3: nodes and /proc of the tree --


@trees_only
def test_false_null(kind, baseline):
    """Line 3. A masked file is empty whatever stands at /dev/null of the tree: the box's own node is used."""
    makes = (lambda path: path.write_text("not null\n"), link_to("/etc/secret"), link_to(f"{TRAP}/file"), os.mkfifo, os.mkdir,
             lambda path: os.mknod(path, 0o020666, os.makedev(1, 5)), lambda path: os.mknod(path, 0o060666, os.makedev(7, 0)))
    (TREE / "etc/secret").write_text("secret")
    for make in makes:
        with in_place_of(TREE / "dev/null", make):
            kind.use("mask = /etc/secret /mnt")
            with untouched():
                result = login(script="stat -c %t:%T /dev/null; cat /etc/secret; stat -c %t:%T /etc/secret; ls /mnt")
            assert harmless(result) and result.out.split()[1:] == ["1:3", "1:3"], result


@trees_only
def test_false_proc(kind, baseline):
    """Line 3. What stands in proc and dev/pts of the tree is covered, and read by nobody."""
    for name in ("self/ns", "1", "sys/kernel"):
        os.makedirs(TREE / "proc" / name)
    for name in ("1/comm", "version", "mounts", "self/mountinfo", "self/cgroup"):
        (TREE / "proc" / name).write_text("false")
    os.symlink("mnt:[1]", TREE / "proc/self/ns/mnt")
    os.makedirs(TREE / "dev/pts")
    (TREE / "dev/pts/0").write_text("false")
    kind.use()
    result = login(script="cat /proc/1/comm; grep -c false /proc/version; grep -c ' /dev/pts .* devpts ' /proc/self/mountinfo; "
                          "grep -l false /dev/pts/[0-9]*; stat -f -c %t /proc/self/")
    assert harmless(result) and result.out.split()[1:5] == ["nsbox-init", "0", "1", "9fa0"], result


# -- line 4: FIFOs --


@trees_only
def test_fifo_in_the_tree(kind, baseline):
    """Line 4. FIFOs at names of the tree that are mounted on, loaded or read by root's programs in the box."""
    for name in ("proc", "dev", "sys", "run", "tmp", "home", "etc", "bin", "etc/nsswitch.conf", "etc/passwd", "etc/group", "etc/hosts",
                 "etc/resolv.conf", "etc/environment", "etc/login.defs", "etc/ld.so.preload", "etc/ld.so.cache", "etc/profile", "bin/bash",
                 "var/log/wtmp", "usr/lib"):
        with in_place_of(TREE / name, os.mkfifo):
            kind.use("hostname = other")
            with untouched():
                harmless(login())
    kind.use()
    assert harmless(login())


@pytest.mark.parametrize("profile, path", [
    ("bind = %h/a/b:/mnt", "a"), ("bind = /usr:%h/a", "a"), ("tmpfs = %h/a", "a"), ("tmpfs = %h/a/b", "a"), ("mask = %h/a", "a"),
])
def test_fifo_below_home(kind, baseline, home, profile, path):
    """Line 4. A FIFO at a name that the profile uses below a home: the login ends within 2 s, in or refused."""
    os.mkfifo(give(home) / path)
    kind.use(profile)
    with untouched():
        harmless(login())


def test_fifo_as_home(kind, conf, baseline):
    """Line 4. So where the home itself, or a part of its path, is a FIFO."""
    os.makedirs("/home/shared")
    os.mkfifo("/home/shared/fifo")
    try:
        for path in ("/home/shared/fifo", "/home/shared/fifo/alice"):
            set_home(conf, path)
            kind.use()
            harmless(login())
    finally:
        host.run("rm", "-r", "/home/shared", check=True)


# -- line 5: names made in advance --


@pytest.mark.parametrize("profile", ["bind = /usr:%h/x", "tmpfs = %h/x", "mask = %h/x", "bind = %h/x:/mnt", "bind = /usr:%h/x/y"])
def test_link_waits_in_home(kind, baseline, home, profile):
    """Line 5. A link of the user's at a source or target is not followed: refused, and nothing happens where it leads."""
    for target in (f"{TRAP}/dir", f"{TRAP}/none", "/proc/self/root"):
        os.symlink(target, home / "x")
        give(home / "x")
        kind.use(profile)
        with untouched():
            assert not harmless(login())
        os.unlink(home / "x")


def test_links_wait_in_tmp(kind, baseline):
    """Line 5. Links in the host's /tmp and /var/tmp at names that the builder makes do not matter: the box has its own."""
    links = ["/tmp/desk", "/var/tmp/desk"]
    for link in links:
        os.symlink(f"{TRAP}/dir", link)
        give(link)
    try:
        kind.use("tmpfs = /tmp/desk", "bind = /usr:/var/tmp/desk")
        with untouched():
            result = login(script="grep -c ' /tmp/desk ' /proc/self/mountinfo; ls -d /var/tmp/desk/bin")
        assert harmless(result) and result.out.split()[1:] == ["1", "/var/tmp/desk/bin"], result
    finally:
        for link in links:
            os.unlink(link)


# -- line 6: home directories, working directories, descriptors --


@pytest.fixture
def leaving():
    """Descriptors 7 and 47 to 49, on directories of the host, that are handed down."""
    opened = []
    for number, path in ((7, "/"), (47, "/"), (48, "/srv"), (49, "/proc")):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fstat(number)
        except OSError:
            os.dup2(fd, number, inheritable=True)
            opened.append(number)
        if fd != number:
            os.close(fd)
    yield tuple(opened)
    for number in opened:
        os.close(number)


def test_home_field(kind, conf, leaving):
    """Line 6. Whatever the account says is the home, with directories of the host open: no way to the host's tree."""
    for home in ("/", "/proc/self/fd/7", "/proc/self/fd/47", "/proc/self/fd/48", "/proc/1/root", "/dev/fd/7", "/run", "/sys", "relative",
                 "..", "/home/../etc", "//"):
        set_home(conf, home)
        for profile in ("", "bind_optional = %h:/mnt"):
            kind.use(profile)
            with untouched():
                result = login(script=f"ls /mnt; for at in '' . ~ /mnt /proc/self/fd/7 /proc/self/fd/4[789]; do "
                                      f"test -e $at{SECRET} && echo secret; test -e $at/host-only && echo secret; done",
                               pass_fds=leaving, cwd="/")
            if harmless(result) and kind.source != "host":
                assert "secret" not in result.out.split() and "host-only" not in result.out, (home, profile, result)


def test_working_directory_in_the_old_tree(kind, baseline):
    """Line 6. su from a directory of the host: in the box the working directory is the box's, and so is what is above it."""
    os.makedirs("/srv/outside/a/b")
    pathlib.Path("/run/host-only").write_text("")
    script = (f"pwd -P; for up in . .. ../.. ../../../.. ../../../../../../..; do test -e $up{SECRET} && echo secret-srv; "
              f"test -e $up/run/host-only && echo secret-run; test -e /proc/self/cwd/$up/run/host-only && echo secret-cwd; done; "
              f"test -e /proc/self/cwd/{os.getpid()} && echo secret-proc; true")
    try:
        for directory in ("/srv/outside/a/b", "/", "/proc", "/proc/1", "/sys/kernel", "/run/nsbox", "/dev/pts", str(TREE), str(KEPT),
                          str(TOP)):
            if not os.path.isdir(directory):
                continue
            result = login(script=script, cwd=directory)
            assert harmless(result), (directory, result)
            found = {word for word in result.out.split() if word.startswith("secret")}
            assert found <= ({"secret-srv"} if kind.source == "host" else set()), (directory, result)
            assert result.out.split()[1].startswith("/") and "unreachable" not in result.out, (directory, result)
    finally:
        host.run("rm", "-rf", "/srv/outside", "/run/host-only", check=True)


# -- line 7: code that root would load --


PLACES = ("etc/ld.so.preload", "etc/nsswitch.conf", "usr/lib/x86_64-linux-gnu/gconv", "usr/lib/locale", "lib/x86_64-linux-gnu", "etc",
          "usr/lib", "bin", "")


@trees_only
def test_trojan_in_the_tree(kind, baseline):
    """Line 7. Places from which root's programs load code, or settings that name it, that a user can write: refused."""
    for name in PLACES:
        path = TREE / name
        there = os.path.lexists(path)
        if not there and name.endswith((".preload", ".conf")):
            path.write_text("/home/alice/trojan.so\n")
        elif not there:
            os.makedirs(path)
        if name == "lib/x86_64-linux-gnu":
            path = path.parent
        for uid, mode in ((2001, 0o755), (0, 0o757)):
            os.chown(path, uid, 0)
            os.chmod(path, mode)
            kind.use()
            begin = syslog.mark()
            assert not harmless(login()), name
            syslog.wait_for("refused: .*can be changed by others than root", begin)
        os.chown(path, 0, 0)
        os.chmod(path, 0o755)
        if not there:
            host.run("rm", "-r", str(path), check=True)
    kind.use()
    assert harmless(login())


def test_user_plants_nothing(kind, baseline):
    """Line 7. The session's user can write none of these places, in any root."""
    with untouched("/etc"):
        result = login(script="for f in /etc/ld.so.preload /etc/x /usr/lib/x /lib/x /bin/x /x /usr/lib/locale/x; do "
                              "(echo trojan > $f) 2>/dev/null && echo planted $f; done; mkdir /y /etc/y 2>/dev/null && echo planted y; "
                              "mount -o remount,rw / 2>/dev/null && echo mounted; true")
    assert harmless(result) and len(result.out.split()) == 1, result


# -- line 14: nodes, setuid files, handles --


WRITABLE = ("while read -r a b c root point options e; do if test -w \"$point\"; then echo WRITABLE $point $options $root; fi; done "
            "</proc/self/mountinfo; true")


@pytest.mark.parametrize("kind", [name for name in KINDS if not name.startswith("host")], indirect=True)
def test_nothing_of_roots_for_a_user(kind, baseline, home):
    """Line 14. mknod(2) and open_by_handle_at(2) are refused; a setuid file of root's gives nothing in the home; what the user
    can write is nosuid and nodev."""
    program = home / "powers"
    host.run("cp", tool("powers"), str(program), check=True)
    os.chown(program, 0, 0)
    os.chmod(program, 0o4755)
    outside = host.run(str(program), **as_user("alice"))
    assert outside.out.startswith("euid 0\n"), outside  # where nosuid is missing it works
    result = login(script=f"~/powers ~ /tmp /dev/shm /run/user/2001 /dev; {WRITABLE}")
    assert harmless(result), result
    lines = result.out.splitlines()
    assert {"euid 2001", "handle 1"} <= set(lines), result
    assert sorted(line.split()[1:] for line in lines if line.startswith("mknod")) == [
        ["/dev", "13"], ["/dev/shm", "1"], ["/home/alice", "1"], ["/run/user/2001", "1"], ["/tmp", "1"]], result
    # what is masked is the box's /dev/null
    writable = {line.split()[1]: line.split()[2].split(",") for line in lines
                if line.startswith("WRITABLE") and not line.endswith(" /null")}
    assert {"/tmp", "/dev/shm", "/run/user/2001", "/home/alice"} <= set(writable), result
    for point, options in writable.items():
        assert "nosuid" in options and ("nodev" in options or point.startswith("/dev")), (point, options)


@trees_only
def test_nodes_are_dead(kind, baseline):
    """Line 14. Device nodes that root makes in the box, if he is let, or that the tree brings, open nothing but on the box's /dev."""
    os.mknod(TREE / "null", 0o020666, os.makedev(1, 3))
    os.mknod(TREE / "disk", 0o060666, os.makedev(7, 0))
    kind.use(f"bind_ro = {os.path.dirname(tool('powers'))}:/mnt", *POWERFUL)
    result = login("root", "/mnt/powers / /etc /tmp /run /dev/shm /home /home/alice /dev; cat /null; cat /disk", cwd="/")
    assert harmless(result) and result.err.count("Permission denied") == 2, result
    opened = dict(line.split()[1:] for line in result.out.splitlines() if line.startswith("open"))
    assert opened.pop("/dev") == "0" and "/tmp" in opened and set(opened.values()) == {"13"}, result


# -- line 18: ways up --


def test_root_tries_to_get_out(kind, baseline):
    """Line 18. Root in the box: chroot and fchdir, "..", /proc/*/root, leftovers of pivot_root, the namespaces of PID 1: none
    shows the host's tree, and no mount of the box is on the host while it lives."""
    marker = "/run/host-only-marker"
    escape = tool("escape")
    pathlib.Path(marker).write_text("")
    kind.use(f"bind_ro = {os.path.dirname(escape)}:/mnt", *POWERFUL)
    try:
        with untouched():
            session = start("su", "root", "-c", f"cd /; /mnt/escape {marker}; echo ready; exec cat", cwd="/srv", ready=b"tried 8")
            here = mounts_of_host()
            session.stdin.close()
            assert session.stdout.readline() == b"ready\n" and session.wait(5 * host.PATIENCE) == 0
            session.stdout.close()
            assert mounts_of_host() == here
    finally:
        os.unlink(marker)


def test_mounts_of_root_stay_inside(kind, baseline):
    """Line 18. Mounts that root makes in the box, shared ones too, reach neither the host nor another box."""
    kind.use(*POWERFUL)
    session = start("su", "alice", "-c", "echo ready; exec cat")
    try:
        [inside] = host.children(session.pid)
        before = host.read(f"/proc/{inside}/mountinfo")
        with untouched():
            result = login("root", "mount --make-rshared / 2>/dev/null || mount -o rshared /; mount -t tmpfs none /mnt && mkdir /mnt/x && "
                                   "mount -t tmpfs none /mnt/x && mount -t tmpfs none /home && grep -c ' /mnt/x ' /proc/self/mountinfo",
                           cwd="/")
        assert harmless(result) and result.out.split()[-1] == "1", result
        assert host.read(f"/proc/{inside}/mountinfo") == before
        flags = [line.split(" - ")[0] for line in before.splitlines()]
        assert not [line for line in flags if "shared:" in line], flags
        if kind.source != "host":
            # nothing of the host arrives but below the home, where no flag is promised to what comes later
            assert {line.split()[4] for line in flags if "master:" in line} <= {"/home/alice"}, flags
    finally:
        stop(session)


# -- line 2: renames while logins run --


def race(one, other, script, wanted=""):
    """Logins while `one` and `other` change places all the time: [boxed or refused]. `wanted`: is in what every box shows."""
    answers = []
    racer = start(tool("exchange"), str(one), str(other), **as_user("alice"))
    try:
        for _ in range(host.count(200, 20)):
            result = login(script=script)
            assert "bait" not in result.out and str(TRAP) not in result.out, result
            answers.append(harmless(result))
            assert not answers[-1] or re.search(wanted, result.out), result
        assert racer.poll() is None
    finally:
        stop(racer)
    assert len(answers) == host.count(200, 20)
    return answers


@pytest.fixture
def bait():
    os.makedirs("/srv/data", exist_ok=True)
    os.makedirs(TRAP / "dir/y")
    for name in ("dir/bait", "dir/y/bait"):
        (TRAP / name).write_text("")
    yield
    host.run("rm", "-r", "/srv/data", check=True)


@pytest.mark.parametrize("profile", ["bind = /srv/data:%h/x\nbind_ro = %h/x:/mnt", "tmpfs = %h/x/y"])
def test_rename_race_below_home(kind, baseline, home, bait, profile):
    """Line 2. A directory and a link change places below a home while logins run: nothing of the trap's in the box, no mount
    outside of it."""
    os.makedirs(home / "x/y")
    os.symlink(TRAP / "dir", home / "link")
    for path in (home / "x", home / "x/y", home / "link"):
        give(path)
    kind.use(profile)
    with untouched():
        # with the host's own tree the user may follow his own link to what he may see
        script = "ls /mnt; cat /proc/self/mountinfo" + ("" if kind.source == "host" else "; ls ~/x")
        answers = race(home / "x", home / "link", script)
    assert not all(answers)


def test_rename_race_of_the_home(kind, conf, baseline, bait):
    """Line 2. The same with the home itself, below a directory that everybody can write."""
    os.makedirs("/home/shared/alice")
    os.chmod("/home/shared", 0o777)
    os.symlink(TRAP / "dir", "/home/shared/link")
    give("/home/shared/alice")
    give("/home/shared/link")
    set_home(conf, "/home/shared/alice")
    kind.use()
    try:
        with untouched():
            race("/home/shared/alice", "/home/shared/link",
                 "grep -v /home/shared /proc/self/mountinfo" + ("" if kind.source == "host" else "; ls /home/shared/alice"))
    finally:
        host.run("rm", "-r", "/home/shared", check=True)


@pytest.mark.parametrize("kind", LIVE_KINDS, indirect=True)
@pytest.mark.parametrize("profile", ["bind = /srv/data:/common/x", "tmpfs = /common/x/y"])
def test_rename_race_in_the_tree(kind, baseline, bait, profile):
    """Line 2. The same below a directory of the tree that the user may write, by a process outside of any box."""
    os.makedirs(TREE / "common/x/y")
    os.symlink(TRAP / "dir", TREE / "common/link")
    for name in ("common", "common/x", "common/x/y", "common/link"):
        give(TREE / name)
    os.makedirs(TREE / "srv")
    kind.use(profile)
    # what is mounted is where it was wanted, whatever the name is by now
    answers = race(TREE / "common/x", TREE / "common/link", "ls /common/x /common/x/y; cat /proc/self/mountinfo", r" /common/(x|link)(/y)? ")
    assert not all(answers)
    assert sorted(os.listdir(TRAP / "dir")) == ["bait", "y"]


def test_the_tools_are_there():
    """A racer that dies at once would prove nothing."""
    for name in ("exchange", "powers", "escape"):
        assert re.match("/", tool(name)) and os.access(tool(name), os.X_OK)
