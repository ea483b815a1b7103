# SPDX-License-Identifier: BSD-3-Clause
"""Ways out by names: links, FIFOs, renames and false nodes where the builder looks or makes something."""
import os
import pathlib
import socket
import subprocess
import time

import pytest

from attacks import PLACE, as_user, make_root, mount_namespace, picture, start, stop, su, tool
from lib import host, syslog

ROOT = "/srv/box"
TRAP = "/srv/trap"  # where the links lead: nothing may arrive here
SECRET = "/srv/host-only"  # is on the host, and in no root directory
REFUSED = "Login refused: your session could not be isolated"


@pytest.fixture
def conf(conf):
    conf.pam_all()
    conf.nsbox("[profile all]\nusers = *\n")
    return conf


@pytest.fixture
def places(conf):
    """A root directory, and a trap beside it."""
    make_root(ROOT)
    os.makedirs(f"{TRAP}/dir")
    pathlib.Path(TRAP, "file").write_text("host's\n")
    pathlib.Path(SECRET).write_text("")
    yield conf
    for path in (ROOT, TRAP, SECRET):
        host.run("rm", "-rf", path, check=True)


def use_root(conf, more=""):
    conf.nsbox(f"[profile dir]\nusers = *\nroot = {ROOT}\n{more}\n")


def clean_home(*names):
    for name in names:
        host.run("rm", "-rf", f"/home/alice/{name}", check=True)


@pytest.fixture
def home():
    """A directory of alice's that she may fill with traps."""
    before = set(os.listdir("/home/alice"))
    yield pathlib.Path("/home/alice")
    clean_home(*(set(os.listdir("/home/alice")) - before))


def give(path, user=2001):
    os.lchown(path, user, user)
    return path


def harmless(result):
    """Refused with the sentence, or boxed. Never unboxed."""
    assert mount_namespace() not in result.out, result
    if "mnt:[" in result.out:
        return True
    assert result.rc != 0 and REFUSED in result.err, result
    return False


def replace(path, target):
    host.run("rm", "-rf", path, check=True)
    os.symlink(target, path)


# -- line 1: links in the root --


@pytest.mark.parametrize("target", [f"{TRAP}/dir", f"../..{TRAP}/dir", "/proc/1/root", "/"])
@pytest.mark.parametrize("name", ["proc", "dev", "sys", "run", "tmp"])
def test_mount_point_is_a_link(places, baseline, name, target):
    """Line 1. A mount point of the root that is a link ends the login with a sentence that names it; host and root stay."""
    replace(f"{ROOT}/{name}", target)
    use_root(places)
    before, start = picture(ROOT, TRAP), syslog.mark()
    assert not harmless(su("alice", "readlink /proc/self/ns/mnt"))
    syslog.wait_for(rf"refused: .*/{name} is a symbolic link", start)
    assert picture(ROOT, TRAP) == before


@pytest.mark.parametrize("name", ["dev/pts", "dev/shm", "dev/null", "dev/log", "dev/mqueue", "etc/resolv.conf", "etc/hosts",
                                  "var/log/wtmp", "var/tmp", "run/utmp", "run/user", "home", "run/host"])
@pytest.mark.parametrize("target", [f"/../../..{TRAP}/file", f"{TRAP}/dir", "../../../../etc/passwd"])
def test_other_name_is_a_link(places, baseline, name, target):
    """Line 1. A link elsewhere in the root is either refused or leads nowhere but into the root."""
    replace(f"{ROOT}/{name}", target)
    use_root(places, "hostname = other")
    before = picture(ROOT, TRAP, "/etc")
    result = su("alice", f"readlink /proc/self/ns/mnt; test -e {SECRET} && echo secret; cat /proc/self/mountinfo")
    harmless(result)
    assert "secret" not in result.out.splitlines() and TRAP not in result.out
    assert picture(ROOT, TRAP, "/etc") == before


@pytest.mark.parametrize("name", ["bin", "etc", "usr", "etc/passwd", "bin/bash", "home/alice"])
def test_link_that_a_user_owns(places, baseline, name):
    """Line 1. A link that a user owns is followed nowhere in a root, wherever it leads."""
    os.makedirs(os.path.dirname(f"{ROOT}/{name}"), exist_ok=True)
    kept = f"{ROOT}/kept"
    if os.path.lexists(f"{ROOT}/{name}"):
        os.rename(f"{ROOT}/{name}", kept)
    os.symlink("/kept", f"{ROOT}/{name}")
    give(f"{ROOT}/{name}")
    use_root(places)
    assert not harmless(su("alice", "readlink /proc/self/ns/mnt"))


@pytest.mark.parametrize("what", ["owner", "others", "group", "acl"])
@pytest.mark.parametrize("name", ["", "etc", "bin", "usr/lib"])
def test_root_that_a_user_can_write(places, baseline, name, what):
    """Line 1. A root, or a directory of it from which root's programs load code, that a user can write is refused."""
    path = f"{ROOT}/{name}"
    if what == "owner":
        os.chown(path, 2001, 0)
    elif what == "acl":
        # seen from stat(2) it is root's group that may write
        host.run("setfacl", "-m", "u:alice:rwx", path)
        if host.run("runuser", "-u", "alice", "--", "touch", f"{path}/hers").rc != 0:
            os.chmod(path, 0o775)  # a file system without access lists: what one looks like
    else:
        os.chmod(path, 0o777 if what == "others" else 0o775)
        os.chown(path, 0, 3001 if what == "group" else 0)
    use_root(places)
    assert not harmless(su("alice", "readlink /proc/self/ns/mnt"))


# -- line 3: nodes and /proc of the root --


def make_file(path):
    pathlib.Path(path).write_text("not null\n")


@pytest.mark.parametrize("make", [
    make_file,
    lambda path: os.symlink("/etc/secret", path),
    lambda path: os.symlink(f"{TRAP}/file", path),
    lambda path: os.mknod(path, 0o020666, os.makedev(1, 5)),
    lambda path: os.mknod(path, 0o060666, os.makedev(7, 0)),
    os.mkfifo,
    os.mkdir,
], ids=["file", "link", "link-out", "zero", "disk", "fifo", "directory"])
def test_false_null(places, baseline, make):
    """Line 3. A masked file is empty whatever stands at /dev/null of the root: the box's own node is used."""
    make(f"{ROOT}/dev/null")
    pathlib.Path(ROOT, "etc/secret").write_text("secret")
    use_root(places, "mask = /etc/secret /mnt")
    before = picture(ROOT)
    result = su("alice", "stat -c %t:%T /dev/null; cat /etc/secret; stat -c %t:%T /etc/secret; ls /mnt", timeout=5)
    assert result.out.split() == ["1:3", "1:3"], result
    assert picture(ROOT) == before


def test_null_replaced_inside(places, baseline):
    """Line 3. The user of a box cannot replace its nodes, and what he does ends with the box."""
    use_root(places)
    result = su("alice", "rm -f /dev/null; mv /dev/zero /dev/null; ln -sf /etc/passwd /dev/full; stat -c %t:%T /dev/null "
                         "/dev/full")
    assert result.out.split() == ["1:3", "1:7"], result


@pytest.mark.parametrize("private", ["private", "host"])
def test_false_terminals(places, baseline, private):
    """Line 3. Nodes in dev/pts of the root are out of sight: terminals are those of a devpts file system."""
    os.makedirs(f"{ROOT}/dev/pts")
    for number in range(3):
        pathlib.Path(f"{ROOT}/dev/pts/{number}").write_text("false")
    os.mknod(f"{ROOT}/dev/ptmx", 0o020666, os.makedev(1, 3))
    use_root(places, f"devpts = {private}")
    result = su("alice", "grep -c ' /dev/pts .* devpts ' /proc/self/mountinfo; grep -l false /dev/pts/[0-9]* 2>/dev/null; "
                         "stat -c %t:%T /dev/ptmx")
    assert result.out.split() == ["1", "5:2"], result


def test_false_proc_of_files(places, baseline):
    """Line 3. A directory that looks like /proc is covered by a true one, and its files are read by nobody."""
    for name in ("self/ns", "1", "sys/kernel"):
        os.makedirs(f"{ROOT}/proc/{name}")
    for name in ("1/comm", "version", "self/cgroup", "mounts", "self/mountinfo"):
        pathlib.Path(ROOT, "proc", name).write_text("false")
    os.symlink(f"{TRAP}/file", f"{ROOT}/proc/self/ns/mnt")
    use_root(places)
    result = su("alice", "cat /proc/1/comm; grep -c false /proc/version; readlink /proc/self/ns/mnt")
    assert harmless(result) and result.out.splitlines()[:2] == ["nsbox-init", "0"], result


@pytest.mark.parametrize("where", ["proc", "mnt", "home/proc", "sys"])
def test_false_proc_mounted(places, where):
    """Line 3. A /proc of the host mounted anywhere in the root shows nothing in the box: neither there nor at /proc."""
    os.makedirs(f"{ROOT}/{where}", exist_ok=True)
    host.run("mount", "-t", "proc", "proc", f"{ROOT}/{where}", check=True)
    try:
        use_root(places)
        result = su("alice", f"cat /proc/1/comm; ls -d /{where}/{os.getpid()} /proc/{os.getpid()}; ls -d /proc/[0-9]*")
        if result.rc == 0 or REFUSED not in result.err:
            assert result.out.splitlines()[0] == "nsbox-init" and f"/{os.getpid()}" not in result.out, result
            assert len(result.out.splitlines()) < 12
    finally:
        host.run("umount", f"{ROOT}/{where}", check=True)


# -- line 4: FIFOs --


@pytest.mark.parametrize("profile, path", [
    ("bind = %h/a", "a"),
    ("bind = %h/a/b:/mnt", "a"),
    ("bind_optional = %h/a/b:/mnt", "a"),
    ("bind = /usr:%h/a", "a"),
    ("bind_ro = %h/a:%h/b", "b"),
    ("tmpfs = %h/a", "a"),
    ("tmpfs = %h/a/b", "a"),
    ("mask = %h/a", "a"),
    ("mask = %h/a/b", "a"),
])
def test_fifo_below_home(conf, baseline, home, profile, path):
    """Line 4. A FIFO at a name that the profile uses below a home: the login ends within 2 s, in or refused."""
    os.mkfifo(give(home) / path)
    conf.nsbox(f"[profile all]\nusers = *\n{profile}\n")
    began = time.monotonic()
    harmless(su("alice", "readlink /proc/self/ns/mnt", timeout=10))
    assert time.monotonic() - began < 2 * host.PATIENCE


@pytest.mark.parametrize("root", ["host", ROOT])
def test_fifo_as_home(places, baseline, root):
    """Line 4. So where the home itself, or a part of its path, is a FIFO."""
    os.makedirs("/home/shared")
    os.mkfifo("/home/shared/fifo")
    try:
        for home in ("/home/shared/fifo", "/home/shared/fifo/alice"):
            set_home(places, home)
            places.nsbox(f"[profile all]\nusers = *\nroot = {root}\n")
            for words in (["alice"], ["-", "alice"]):
                began = time.monotonic()
                harmless(host.run("su", *words, "-c", "readlink /proc/self/ns/mnt", timeout=10))
                assert time.monotonic() - began < 2 * host.PATIENCE
    finally:
        host.run("rm", "-r", "/home/shared", check=True)


def tickets(conf, name):
    """su with KRB5CCNAME in the PAM environment."""
    conf.file("/etc/tickets", f"KRB5CCNAME=FILE:{name}\n")
    conf.pam("su", before_open=["session required pam_env.so envfile=/etc/tickets"])


def leave_socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)


@pytest.mark.parametrize("make, taken", [
    (make_file, True),
    (os.mkfifo, False),
    (leave_socket, False),
    (os.mkdir, False),
    (lambda path: os.mknod(path, 0o020666, os.makedev(5, 0)), False),
    (lambda path: os.symlink("/etc/shadow", path), False),
    (lambda path: os.symlink("/home/alice/cache", path), False),
], ids=["file", "fifo", "socket", "directory", "terminal", "link-to-shadow", "link-to-own"])
def test_credential_cache(conf, baseline, home, make, taken):
    """Line 4. Of all that can stand at KRB5CCNAME only a plain file of the user's is copied; nothing holds the login up."""
    make_file(home / "cache")
    path = "/tmp/krb5cc_attack"
    make(path)
    give(path)
    tickets(conf, path)
    try:
        began = time.monotonic()
        result = su("alice", f"readlink /proc/self/ns/mnt; cat {path} 2>/dev/null; id -u >/tmp/works", timeout=10)
        assert harmless(result) and time.monotonic() - began < 2 * host.PATIENCE
        assert ("not null" in result.out) == taken and "root:" not in result.out
    finally:
        host.run("rm", "-rf", path, check=True)


def test_credential_cache_of_root(conf, baseline):
    """Line 4. A file in /tmp that is not the user's is not copied into his box, where he could read it."""
    path = "/tmp/krb5cc_attack"
    pathlib.Path(path).write_text("secret")
    os.chmod(path, 0o600)
    tickets(conf, path)
    try:
        result = su("alice", f"readlink /proc/self/ns/mnt; cat {path}")
        assert "secret" not in result.out and "mnt:[" in result.out, result
    finally:
        os.unlink(path)


@pytest.mark.parametrize("name", [".ssh", ".ssh/environment", ".pam_environment", ".hushlogin", ".k5login", ".Xauthority"])
def test_fifo_in_home_over_ssh(conf, baseline, sshd, home, name):
    """Line 4. FIFOs in a home at the names that logins read: ssh ends within 2 s."""
    if "/" in name:
        (home / name).parent.mkdir()
    os.mkfifo(home / name)
    give(home / name)
    began = time.monotonic()
    harmless(sshd.ssh("alice", "readlink /proc/self/ns/mnt", timeout=10))
    assert time.monotonic() - began < 2 * host.PATIENCE


# -- line 5: names made in advance --


def break_owner(path):
    os.chown(path, 2001, 0)


def break_mode(path):
    os.chmod(path, 0o777)


def break_link(path):
    os.rename(path, path + ".real")
    os.symlink(path + ".real", path)


def break_file(path):
    os.rename(path, path + ".real")
    pathlib.Path(path).write_text("")


@pytest.mark.parametrize("attack", [break_owner, break_mode, break_link, break_file])
@pytest.mark.parametrize("path", ["/run/nsbox", "/run/nsbox/boxes"])
def test_runtime_directory_made_in_advance(conf, baseline, path, attack):
    """Line 5. A runtime directory that somebody else could have made is refused, with its name, and not mended."""
    su("alice", "true")
    host.wait_until(lambda: not os.listdir("/run/nsbox/boxes"))
    attack(path)
    try:
        before, start = picture("/run/nsbox"), syslog.mark()
        assert not harmless(su("alice", "readlink /proc/self/ns/mnt"))
        syslog.wait_for(rf"refused: .*{os.path.basename(path)}", start)
        assert picture("/run/nsbox") == before
    finally:
        if os.path.lexists(path + ".real"):
            os.unlink(path)
            os.rename(path + ".real", path)
        os.chown(path, 0, 0)
        os.chmod(path, 0o700)
    assert harmless(su("alice", "readlink /proc/self/ns/mnt"))


@pytest.mark.parametrize("target", [f"{TRAP}/dir", f"{TRAP}/none", "/etc", "/proc/self/root", "."])
@pytest.mark.parametrize("profile", ["bind = /usr:%h/x", "tmpfs = %h/x", "mask = %h/x", "bind = %h/x:/mnt", "bind = /usr:%h/x/y"])
def test_link_waits_in_home(places, baseline, home, profile, target):
    """Line 5. A link of the user's at a source or target is not followed: refused, and nothing happens where it leads."""
    os.symlink(target, home / "x")
    give(home / "x")
    places.nsbox(f"[profile all]\nusers = *\n{profile}\n")
    before = picture(TRAP)
    assert not harmless(su("alice", "readlink /proc/self/ns/mnt"))
    assert picture(TRAP) == before


def test_links_wait_in_tmp(places, baseline):
    """Line 5. Links in the host's /tmp and /var/tmp at names that the builder makes do not matter: the box has its own."""
    links = ["/tmp/desk", "/var/tmp/desk", "/tmp/krb5cc_attack"]
    for link in links:
        os.symlink(f"{TRAP}/dir", link)
        give(link)
    try:
        places.nsbox("[profile all]\nusers = *\ntmpfs = /tmp/desk\nbind = /usr:/var/tmp/desk\n")
        before = picture(TRAP)
        result = su("alice", "readlink /proc/self/ns/mnt; grep -c ' /tmp/desk ' /proc/self/mountinfo; ls /var/tmp/desk/bin/env")
        assert harmless(result) and result.out.split()[1:] == ["1", "/var/tmp/desk/bin/env"], result
        assert picture(TRAP) == before
    finally:
        for link in links:
            os.unlink(link)


# -- line 6: home directories, working directories --


def set_home(conf, home):
    lines = host.read("/etc/passwd").splitlines()
    conf.file("/etc/passwd", "".join(
        ":".join([*line.split(":")[:5], home, line.split(":")[6]]) + "\n" if line.startswith("alice:") else line + "\n"
        for line in lines))


@pytest.mark.parametrize("home", ["/proc/self/fd/7", "/proc/self/fd/7/srv", "/proc/1/root", "/proc/self/cwd", "/dev/fd/7",
                                  "/dev/shm", "/run", "/sys", "relative", "/", "..", "/home/../etc", "//", "/home/alice/"])
@pytest.mark.parametrize("root", ["host", ROOT])
def test_home_field(places, baseline, home, root):
    """Line 6. Whatever the account says is the home: refused, or boxed without a way to the host's tree."""
    set_home(places, home)
    places.nsbox(f"[profile all]\nusers = *\nroot = {root}\n")
    before = picture(ROOT, TRAP)
    script = f"readlink /proc/self/ns/mnt; pwd; test -e {SECRET} && echo secret; test -e .{SECRET} && echo secret"
    for words in (["alice"], ["-", "alice"]):
        result = host.run("su", *words, "-c", script, cwd="/", timeout=10)
        if harmless(result) and root != "host":
            assert "secret" not in result.out.split(), result
    assert picture(ROOT, TRAP) == before


@pytest.mark.parametrize("profile", ["bind = %h:/mnt", "bind = /usr:%h", "tmpfs = %h", "mask = %h", "bind_optional = %h/x"])
@pytest.mark.parametrize("home", ["/proc/self/fd/7", "/proc/1/root/etc", "/dev/fd/7", "relative", "/home/../etc"])
def test_home_field_in_paths(places, baseline, home, profile):
    """Line 6. The same where the profile uses %h: never something of the host's at the place that the link means."""
    set_home(places, home)
    places.nsbox(f"[profile all]\nusers = *\nroot = {ROOT}\n{profile}\n")
    result = su("alice", f"readlink /proc/self/ns/mnt; ls /mnt; test -e /mnt{SECRET} && echo secret")
    assert not harmless(result) or not {"secret", "passwd", "shadow"} & set(result.out.split()), result


@pytest.mark.parametrize("profile", ["", f"root = {ROOT}", "bind = %h:/mnt"])
def test_empty_home_field(places, baseline, sshd, profile):
    """Line 6. The same for an account without a home, which su itself refuses and sshd does not."""
    set_home(places, "")
    places.nsbox(f"[profile all]\nusers = *\n{profile}\n")
    result = sshd.ssh("alice", f"readlink /proc/self/ns/mnt; ls /mnt; test -e .{SECRET} && echo secret")
    assert mount_namespace() not in result.out and (result.rc != 0 or "mnt:[" in result.out), result
    if ROOT in profile:
        assert "secret" not in result.out, result


@pytest.fixture
def leaving():
    """Descriptors 47 to 49, on directories of the host, that are handed down."""
    opened = []
    for number, path in ((47, "/"), (48, "/srv"), (49, "/proc")):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        os.dup2(fd, number, inheritable=True)
        os.close(fd)
        opened.append(number)
    yield tuple(opened)
    for number in opened:
        os.close(number)


def test_home_behind_a_leaked_descriptor(places, leaving):
    """Line 6. With descriptors on host directories open in the application, a home of /proc/self/fd/N binds none of them."""
    for number in leaving:
        set_home(places, f"/proc/self/fd/{number}")
        for root in ("host", ROOT):
            places.nsbox(f"[profile all]\nusers = *\nroot = {root}\nbind_optional = %h:/mnt\n")
            result = su("alice", f"readlink /proc/self/ns/mnt; ls /mnt; test -e /mnt{SECRET} && echo secret",
                        pass_fds=leaving)
            assert not harmless(result) or "secret" not in result.out and "host-only" not in result.out, result


def old_trees():
    """Working directories that exist on the host and not in the root, or not under this name."""
    os.makedirs("/srv/outside/a/b")
    os.makedirs("/srv/gone")
    os.makedirs("/srv/private", 0o700)
    os.symlink("/srv/outside/a", "/srv/link")
    return ["/srv/outside/a/b", "/srv/link/b", "/srv/private", "/srv/gone", "/", "/proc", "/proc/1", "/sys/kernel",
            "/run/nsbox", "/dev/pts", "/sys/fs/cgroup", "/etc", "/home/alice"]


@pytest.mark.parametrize("root", ["host", ROOT])
def test_working_directory_in_the_old_tree(places, baseline, root):
    """Line 6. su from a directory of the host: in the box the working directory is the box's, and so is what is above it."""
    places.nsbox(f"[profile all]\nusers = *\nroot = {root}\n")
    pathlib.Path("/run/host-only").write_text("")
    script = (f"readlink /proc/self/ns/mnt; pwd -P; for up in . .. ../.. ../../../.. ../../../../../../..; do "
              f"test -e $up{SECRET} && echo secret-srv; test -e $up/run/host-only && echo secret-run; "
              f"test -e /proc/self/cwd/$up/run/host-only && echo secret-cwd; done; ls -id . / >/dev/null; "
              f"test -e /proc/self/cwd/{os.getpid()} && echo secret-proc; cat /proc/self/cwd/boxes 2>/dev/null; true")
    try:
        for directory in old_trees():
            shell = f"cd {directory} && {'rmdir /srv/gone && ' if directory == '/srv/gone' else ''}exec su alice -c \"$0\""
            result = host.run("bash", "-c", shell, script, timeout=10)
            assert harmless(result), (directory, result)
            allowed = {"secret-srv"} if root == "host" else set()
            found = {word for word in result.out.split() if word.startswith("secret")}
            assert found <= allowed, (directory, result)
            assert result.out.split()[1].startswith("/") and "unreachable" not in result.out, (directory, result)
    finally:
        host.run("rm", "-rf", "/srv/outside", "/srv/gone", "/srv/private", "/srv/link", "/run/host-only", check=True)


def test_working_directory_of_another(places, baseline):
    """Line 6. A directory that only the caller may enter becomes no working directory under the same name of another one."""
    os.makedirs("/srv/same", 0o755)
    os.makedirs(f"{ROOT}/srv/same", 0o700)
    try:
        use_root(places)
        result = host.run("su", "alice", "-c", "pwd -P", cwd="/srv/same")
        assert result.out == "/\n", result
        os.chmod(f"{ROOT}/srv/same", 0o755)
        assert host.run("su", "alice", "-c", "pwd -P", cwd="/srv/same").out == "/srv/same\n"
    finally:
        host.run("rm", "-r", "/srv/same", check=True)


# -- line 2, reduced: renames while logins run --


@pytest.mark.parametrize("profile", ["bind = /srv/data:%h/x\nbind_ro = %h/x:/mnt", "tmpfs = %h/x/y", "bind = %h/x/y:/mnt",
                                     "mask = %h/x"])
def test_rename_race(places, baseline, home, profile):
    """Line 2. A directory and a link change places while logins run: no mount outside of the home, nothing of the trap's in
    the box, each login boxed or refused."""
    os.makedirs("/srv/data")
    os.makedirs(f"{TRAP}/dir/y")
    pathlib.Path(TRAP, "dir/y/bait").write_text("")
    pathlib.Path(TRAP, "dir/bait").write_text("")
    os.makedirs(home / "x/y")
    os.symlink(f"{TRAP}/dir", home / "link")
    for path in (home / "x", home / "x/y", home / "link"):
        give(path)
    places.nsbox(f"[profile all]\nusers = *\n{profile}\n")
    before = picture(TRAP)
    racer = start(tool("exchange"), str(home / "x"), str(home / "link"), **as_user("alice"))
    boxed = refused = 0
    try:
        for _ in range(host.count(200, 20)):
            result = su("alice", "readlink /proc/self/ns/mnt; ls /mnt; cat /proc/self/mountinfo")
            assert "bait" not in result.out and TRAP not in result.out, result
            if harmless(result):
                boxed += 1
            else:
                refused += 1
    finally:
        stop(racer)
        host.run("rm", "-r", "/srv/data", check=True)
    assert picture(TRAP) == before
    assert boxed + refused == host.count(200, 20) and refused > 0, (boxed, refused)


def test_rename_race_of_the_home(places, baseline):
    """Line 2. The same with the home itself, where a user can rename it: below a directory that students share."""
    os.makedirs("/home/shared/alice")
    os.chmod("/home/shared", 0o777)
    os.symlink(f"{TRAP}/dir", "/home/shared/link")
    give("/home/shared/alice")
    give("/home/shared/link")
    pathlib.Path(TRAP, "dir/bait").write_text("")
    set_home(places, "/home/shared/alice")
    use_root(places)
    racer = start(tool("exchange"), "/home/shared/alice", "/home/shared/link", **as_user("alice"))
    try:
        for _ in range(host.count(200, 20)):
            result = su("alice", "readlink /proc/self/ns/mnt; ls /home/shared/alice; cat /proc/self/mountinfo")
            assert "bait" not in result.out and TRAP not in result.out, result
            harmless(result)
    finally:
        stop(racer)
        host.run("rm", "-r", "/home/shared", check=True)


def test_tools_are_there():
    """The tools run: a racer that dies at once would prove nothing."""
    assert os.access(tool("exchange"), os.X_OK) and PLACE
    assert subprocess.run([tool("exchange"), "/none", "/none"], check=False, stderr=subprocess.DEVNULL).returncode == 1
