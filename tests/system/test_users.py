# SPDX-License-Identifier: BSD-3-Clause
"""README's table *What changes for your users*: each row whose program can be had is a test here."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess

import pexpect
import pytest

from lib import host
from lib.sshd import Sshd, free_port

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

PROFILE = "[profile all]\nusers = alice bob carol\n"
PROMPT = "BOX> "


@pytest.fixture
def boxed(conf):
    """Every service boxes alice, bob and carol. boxed("key = value\\n") adds lines to the profile."""
    conf.pam_all()

    def configure(lines=""):
        conf.nsbox(PROFILE + ("" if "network" in lines else "network = loopback\n") + lines)
        return conf

    configure()
    return configure


@contextlib.contextmanager
def terminal(sshd, user):
    """A shell over ssh, on a terminal, that waits at PROMPT."""
    child = sshd.spawn(user, "TERM=dumb", "bash", "--norc", "--noprofile")
    child.expect(r"\$ ")
    # what is typed is echoed: the prompt is put together so that only the shell can print it
    child.sendline("PS1='BOX''> '")
    child.expect_exact(PROMPT)
    yield child
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()


def ask(child, command):
    """What a command prints on the terminal."""
    child.sendline(command)
    child.expect_exact(PROMPT)
    return child.before.split("\r\n", 1)[1]


def namespace(sshd, user, **options):
    return sshd.ssh(user, "readlink /proc/self/ns/mnt", **options).out.strip()


def own_namespace():
    return f"mnt:[{host.namespaces()['mnt']}]"


# -- what is left running --


@pytest.mark.parametrize("start, alive", [
    ("tmux new-session -d -s work", "tmux has-session -t work"),
    ("screen -dmS work", "screen -ls | grep -F .work"),
    ("nohup setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo $! >job", "kill -0 $(cat job)"),
], ids=["tmux", "screen", "nohup"])
def test_background_work_ends_with_the_login(boxed, sshd, baseline, start, alive):
    """tmux, screen and nohup work as long as the login lasts. At logout they are ended (the baseline looks), and the
    next login of the same user finds nothing to come back to."""
    with sshd.master("alice") as opts:
        assert sshd.ssh("alice", start, opts=opts).rc == 0
        assert sshd.ssh("alice", alive, opts=opts).rc == 0
        assert sshd.ssh("alice", alive).rc != 0, "another login must not see it"
    assert sshd.ssh("alice", alive).rc != 0
    pathlib.Path("/home/alice/job").unlink(missing_ok=True)


@pytest.mark.parametrize("variant, stays", [("two", False), ("none", True)])
def test_mosh(boxed, conf, sshd, baseline, variant, stays):
    """mosh logs out of ssh as soon as its server runs: in a box the server ends with that login. Without a box it stays,
    which shows that this test would notice."""
    boxed("network = host\n")
    conf.pam("sshd", variant=variant)
    result = sshd.ssh("alice", "mosh-server new -l LANG=C.UTF-8 -- cat")
    assert re.search(r"MOSH CONNECT \d+ \S+", result.out), result
    if stays:
        host.wait_until(lambda: host.find("mosh-server"), what="mosh-server serves")

        def killed():
            left = host.find("mosh-server")
            for pid in left:
                with contextlib.suppress(ProcessLookupError):  # the one that has only started the other
                    os.kill(pid, signal.SIGKILL)
            return not left
        host.wait_until(killed, what="mosh-server is killed")
    else:
        host.wait_until(lambda: not host.find("mosh-server"), what="mosh-server is ended")


def test_server_of_an_editor(boxed, sshd, baseline):
    """VS Code and its like start a server in the background and speak to it over the same connection: that works. A second
    login, with a connection of its own, does not reach it."""
    port = free_port()
    forward, look = free_port(), "import urllib.request as u; print(u.urlopen('http://127.0.0.1:%d/').status)"
    with sshd.master("alice") as opts:
        sshd.ssh("alice", f"nohup python3 -m http.server -b 127.0.0.1 {port} >/dev/null 2>&1 </dev/null &", opts=opts)
        inside = f"python3 -c \"{look % port}\""
        host.wait_until(lambda: sshd.ssh("alice", inside, opts=opts).out == "200\n", what="the server answers inside")
        command = sshd.command("alice", opts=(*opts, "-O", "forward", "-L", f"{forward}:127.0.0.1:{port}"))
        assert host.run(*command).rc == 0
        assert host.run("python3", "-c", look % forward).out == "200\n", "through ssh -L"
        assert "Connection refused" in sshd.ssh("alice", inside).err
        assert "Connection refused" in host.run("python3", "-c", look % port).err, "nor does the host"


# -- files --


@pytest.mark.parametrize("setting, shared", [("session", False), ("no", True)])
def test_tmp(boxed, sshd, baseline, setting, shared):
    """/tmp is empty at login and gone at logout, also between two logins of one user; with private_tmp = no it is the
    host's."""
    boxed(f"private_tmp = {setting}\n")
    path = pathlib.Path("/tmp/of-the-host")
    path.write_text("x")
    with sshd.master("alice") as opts:
        assert sshd.ssh("alice", "touch /tmp/mine; ls /tmp", opts=opts).out.split() == \
            (sorted(os.listdir("/tmp")) if shared else ["mine"])
        assert (sshd.ssh("alice", "test -e /tmp/mine").rc == 0) == shared
    path.unlink()
    pathlib.Path("/tmp/mine").unlink(missing_ok=True)


def shadow_of(user, file="/etc/shadow"):
    lines = pathlib.Path(file).read_text().splitlines()
    return next(line for line in lines if line.startswith(f"{user}:")).split(":")[1]


def change_password(sshd, old, new):
    return sshd.ssh("alice", "LC_ALL=C passwd", input=f"{old}\n{new}\n{new}\n")


def test_passwd_changes_the_hosts_file(boxed, sshd, baseline):
    """With root = host /etc is the host's own, no mount lies on its files, and the rename with which passwd(1) ends
    works: the new password holds on the host."""
    info, text = os.stat("/etc/shadow"), pathlib.Path("/etc/shadow").read_text()
    boxed().file("/etc/shadow", text, mode=0o640, gid=info.st_gid)
    before = shadow_of("alice")
    result = change_password(sshd, "alicepw", "quite-Another-7")
    assert result.rc == 0 and "updated successfully" in result.err, result
    assert shadow_of("alice") != before
    child = host.spawn("runuser", "-u", "bob", "--", "su", "alice", "-c", "id -un")
    child.expect("Password: ")
    child.sendline("quite-Another-7")
    child.expect("alice")
    child.close()


@pytest.fixture
def tree():
    """A root of its own: /etc is a copy, /usr the host's."""
    top = pathlib.Path("/srv/tree")
    for name in ("usr", "proc", "sys", "dev", "run", "tmp", "var/tmp", "var/log", "home"):
        (top / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (top / name).symlink_to(f"usr/{name}")
    host.run("cp", "-a", "/etc", str(top / "etc"), check=True)
    host.run("mount", "--bind", "/usr", str(top / "usr"), check=True)
    yield top
    host.run("umount", str(top / "usr"), check=True)
    shutil.rmtree(top)


def test_passwd_in_another_root_changes_that_one(boxed, sshd, baseline, tree):
    """With root = DIRECTORY passwd(1) changes DIRECTORY/etc/shadow, and the host, which checks the password at the next
    login, does not hear of it."""
    boxed(f"root = {tree}\n")
    before, file = shadow_of("alice"), f"{tree}/etc/shadow"
    result = change_password(sshd, "alicepw", "quite-Another-7")
    assert result.rc == 0, result
    assert shadow_of("alice") == before and shadow_of("alice", file) != before


def test_kerberos_cache(boxed, conf, sshd, baseline):
    """A FILE: cache that the login names in KRB5CCNAME is copied into the box; what is done to it inside stays there."""
    cache = pathlib.Path("/tmp/krb5cc_2001")
    cache.write_bytes(b"\5\4ticket")
    os.chown(cache, 2001, 2001)
    conf.file("/etc/security/krb5.env", f"KRB5CCNAME DEFAULT=FILE:{cache}\n")
    conf.pam("sshd", before_open=["session required pam_env.so conffile=/etc/security/krb5.env"])
    result = sshd.ssh("alice", 'f=${KRB5CCNAME#FILE:}; stat -c "%U %a" $f; cat $f; echo >>$f')
    assert result.out == "alice 600\n\5\4ticket", result
    assert cache.read_bytes() == b"\5\4ticket"
    cache.unlink()


def test_mounts_made_later_arrive(boxed, sshd, baseline):
    """What the host mounts while the session runs (NFS, a stick) is seen in the box, and goes when the host unmounts
    it."""
    place = pathlib.Path("/srv/late")
    place.mkdir()
    with sshd.master("alice") as opts:
        assert sshd.ssh("alice", "ls /srv/late", opts=opts).out == ""
        host.run("mount", "-t", "tmpfs", "late", str(place), check=True)
        (place / "here").write_text("")
        assert sshd.ssh("alice", "ls /srv/late", opts=opts).out == "here\n"
        host.run("umount", str(place), check=True)
        assert sshd.ssh("alice", "ls /srv/late", opts=opts).out == ""
    place.rmdir()


def test_autofs(boxed, conf, sshd, baseline):
    """A directory of automount(8) is mounted when somebody in the box looks at it."""
    source = pathlib.Path("/srv/export/alice")
    source.mkdir(parents=True)
    (source / "thesis").write_text("text\n")
    if not os.path.exists("/dev/autofs"):
        os.mknod("/dev/autofs", 0o600 | stat.S_IFCHR, os.makedev(10, 235))
    conf.file("/etc/auto.probe", "* -fstype=bind :/srv/export/&\n")
    conf.file("/etc/auto.master", "/net/homes /etc/auto.probe --timeout=60\n")
    # a session of its own: the kernel wants a process group that has a number in this PID namespace
    daemon = subprocess.Popen(["automount", "-f"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        host.wait_until(lambda: " - autofs " in host.read("/proc/self/mountinfo"), what="automount has mounted")
        result = sshd.ssh("alice", "cat /net/homes/alice/thesis")
        assert result.out == "text\n", result
    finally:
        daemon.terminate()
        daemon.wait(20 * host.PATIENCE)
    shutil.rmtree("/srv/export")
    host.run("rmdir", "-p", "/net/homes")


# -- jobs --


@pytest.mark.parametrize("variant", ["two", "none"])
def test_crontab(boxed, conf, sshd, baseline, variant):
    """crontab(1) in a box edits the host's spool. The job is boxed if the stack of cron says so, in a box of its own; if
    not, it runs outside, whatever the login was."""
    conf.pam("cron", variant=variant)
    found = pathlib.Path("/home/alice/job")
    spool = pathlib.Path("/var/spool/cron/crontabs/alice")
    with sshd.master("alice") as opts:  # held open: the kernel uses the number of a namespace again
        box = namespace(sshd, "alice", opts=opts)
        line = "@reboot readlink /proc/self/ns/mnt >job.new; mv job.new job"
        assert sshd.ssh("alice", "crontab -", opts=opts, input=f"{line}\n").rc == 0 and line in spool.read_text()
        pathlib.Path("/run/crond.reboot").unlink(missing_ok=True)  # cron's mark that it ran since boot
        cron = subprocess.Popen(["cron", "-f"])
        try:
            host.wait_until(found.exists, what="the job has run")
            job = found.read_text().strip()
            assert (job == own_namespace()) == (variant == "none") and job != box
        finally:
            cron.terminate()
            cron.wait(10 * host.PATIENCE)
            found.unlink(missing_ok=True)
            assert sshd.ssh("alice", "crontab -r", opts=opts).rc == 0 and not spool.exists()


@pytest.mark.parametrize("variant", ["two", "none"])
def test_at(boxed, conf, sshd, baseline, variant):
    """at(1) in a box queues on the host, but cannot wake atd, which has another /run and other PIDs: the job runs when
    atd next looks (once an hour, or at its next job). Where it runs is decided by the stack of atd."""
    conf.pam("atd", variant=variant)
    found = pathlib.Path("/home/alice/job")
    daemon = subprocess.Popen(["atd", "-f"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        host.wait_until(lambda: host.read("/run/atd.pid"), what="atd runs")
        result = sshd.ssh("alice", "cd; echo 'readlink /proc/self/ns/mnt >job.new; mv job.new job' | at now")
        assert "Can't open /run/atd.pid to signal atd" in result.err, result
        assert len(host.run("atq").out.splitlines()) == 1 and not found.exists()
        os.kill(daemon.pid, 1)
        host.wait_until(found.exists, what="the job has run")
        assert (found.read_text().strip() == own_namespace()) == (variant == "none")
        host.wait_until(lambda: not host.run("atq").out, what="the queue is empty")
    finally:
        daemon.terminate()
        daemon.wait(10 * host.PATIENCE)
        found.unlink(missing_ok=True)
        for job in host.run("atq").out.splitlines():
            host.run("atrm", job.split()[0])
        pathlib.Path("/run/atd.pid").unlink(missing_ok=True)


# -- other people --


def test_wall_write_who(boxed, sshd, baseline):
    """wall(1) and write(1) reach terminals of the own box only, in both directions: root's wall on the host (and with it
    shutdown's warning) is not seen in boxes. who(1) on the host shows all logins. In the box last(1) shows the own one;
    who(1) and w(1) show nobody, because sshd's record there names a PID of the host, which they look for in vain."""
    # wall also writes to terminals of records that login(1) left: one of them may be the client's here
    os.truncate("/run/utmp", 0)
    with terminal(sshd, "alice") as alice, terminal(sshd, "bob") as bob:
        assert ask(alice, "who; w -h") == ""
        assert re.fullmatch(r"alice +pts/0 .*still logged in\r\n", ask(alice, "last | head -1"))
        assert "word-of-alice-42" in ask(alice, "echo word-of-alice-$((6*7)) | wall")
        assert ask(alice, "echo hi | write bob 2>/dev/null; echo $?") == "1\r\n"
        assert sorted(line.split()[0] for line in host.run("who").out.splitlines()) == ["alice", "bob"]
        assert host.run("wall", "word-of-root").rc == 0
        assert host.run("write", "bob", input="word-of-root\n").rc != 0
        for child in alice, bob:
            assert ask(child, "echo a") == "a\r\n"


@pytest.mark.parametrize("command, opening", [("su bob", "Password: "), ("sudo -k -u bob bash", r"password for alice: ")],
                         ids=["su", "sudo"])
def test_su_and_sudo_stay_in_the_box(boxed, conf, sshd, baseline, command, opening):
    """In a box su(1) and sudo(8) ask for a second one, and stay where they are."""
    conf.sudoers("alice ALL=(ALL) ALL\n")
    with terminal(sshd, "alice") as child:
        before = ask(child, "readlink /proc/self/ns/{mnt,pid}; echo $NSBOX_ID")
        child.sendline(command)
        child.expect(opening)
        child.sendline("bobpw" if command.startswith("su ") else "alicepw")
        child.expect(r"\$ ")
        child.sendline("PS1='BOX''> '")
        child.expect_exact(PROMPT)
        assert ask(child, "id -un") == "bob\r\n"
        assert ask(child, "readlink /proc/self/ns/{mnt,pid}").split() == before.split()[:2]
        child.sendline("exit")
        child.expect_exact(PROMPT)


# -- tools --


def test_gdb_attaches_to_the_users_own_process(boxed, sshd, baseline):
    """gdb -p works on the user's own processes in the same box."""
    result = sshd.ssh("alice", "sleep 1000 & gdb -q -p $! -batch -ex 'info proc'; kill $!")
    assert "cmdline = 'sleep 1000'" in result.out, result


def test_rsync(boxed, sshd, baseline, tmp_path):
    """rsync over ssh, both ways."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(os.urandom(300000))
    shell = ("rsync", "-a", "-e", f"ssh -F {sshd.client_config}")
    host.run(*shell, f"{source}/", "alice@box:copied", check=True)
    host.run(*shell, "alice@box:copied/", f"{tmp_path}/back", check=True)
    assert (tmp_path / "back/file").read_bytes() == (source / "file").read_bytes()
    shutil.rmtree("/home/alice/copied")


def test_git(boxed, sshd, baseline, tmp_path):
    """git clone and git push over ssh."""
    remote = "alice@box:project.git"
    environment = {**os.environ, "GIT_SSH_COMMAND": f"ssh -F {sshd.client_config}", "HOME": str(tmp_path)}
    assert sshd.ssh("alice", "git init -q --bare project.git").rc == 0
    host.run("git", "clone", "-q", remote, f"{tmp_path}/work", env=environment, check=True)
    name = ("-c", "user.name=x", "-c", "user.email=x@y")
    host.run("git", "-C", f"{tmp_path}/work", *name, "commit", "-q", "--allow-empty", "-m", "one", env=environment,
             check=True)
    host.run("git", "-C", f"{tmp_path}/work", "push", "-q", "origin", "HEAD:main", env=environment, check=True)
    assert sshd.ssh("alice", "git -C project.git log --format=%s main").out == "one\n"
    shutil.rmtree("/home/alice/project.git")


def test_chroot_directory(boxed, baseline):
    """sshd's ChrootDirectory is entered inside the box: sftp and a shell work, and see the jail only."""
    jail = pathlib.Path("/srv/jail")
    (jail / "bin").mkdir(parents=True)
    (jail / "in").mkdir()
    shutil.copy("/bin/bash", jail / "bin/bash")
    for library in re.findall(r"(/\S+) \(", host.run("ldd", "/bin/bash", check=True).out):
        os.makedirs(f"{jail}{os.path.dirname(library)}", exist_ok=True)
        shutil.copy(library, f"{jail}{library}")
    server = Sshd(match="Match User bob\n  ChrootDirectory /srv/jail\n", sftp="internal")
    try:
        assert {"/bin", "/in"} < set(server.sftp("bob", "ls -1 /\n").out.split())
        assert sorted(server.ssh("bob", "echo /*").out.split()) == sorted(f"/{name}" for name in os.listdir(jail))
    finally:
        server.stop()
        shutil.rmtree(jail)


def test_ping(boxed, sshd, baseline):
    """ping(8) works, and with the default network there is nobody but the box itself."""
    assert sshd.ssh("alice", "ping -c 1 -W 2 127.0.0.1").rc == 0
    outside = sshd.ssh("alice", "ping -c 1 -W 1 192.0.2.1")
    assert outside.rc != 0 and "unreachable" in outside.err
    boxed("network = host\n")
    assert sshd.ssh("alice", "ping -c 1 -W 2 127.0.0.1").rc == 0


@pytest.mark.parametrize("network", ["loopback", "host"])
def test_ssh_to_the_same_host(boxed, sshd, baseline, network):
    """`ssh localhost`: nobody listens on the box's own lo; with network = host it is a new login, and a new box."""
    boxed(f"network = {network}\n")
    key = pathlib.Path("/home/alice/key")
    shutil.copy(sshd.identity, key)
    os.chown(key, 2001, 2001)
    again = (f"ssh -i key -p {sshd.port} -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
             "127.0.0.1 readlink /proc/self/ns/mnt")
    result = sshd.ssh("alice", f"readlink /proc/self/ns/mnt; {again}")
    if network == "loopback":
        assert "Connection refused" in result.err, result
    else:
        assert len({own_namespace(), *result.out.split()}) == 3, result
    key.unlink()


# -- what needs something of the host --


@pytest.mark.parametrize("path, keyed", [
    ("/run/docker.sock", True), ("/run/mysqld/mysqld.sock", True), ("/run/dbus/system_bus_socket", True),
    ("/run/user/2001/bus", False),
])
def test_sockets_of_services(boxed, sshd, baseline, path, keyed):
    """Sockets of the host's services are not there (docker, databases, the buses of systemctl); `bind` brings one in."""
    top = pathlib.Path(path)
    made = [parent for parent in top.parents if not parent.exists()]
    top.parent.mkdir(parents=True, exist_ok=True)
    connect = f"python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"{path}\")'"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        os.chmod(path, 0o666)
        assert host.run("runuser", "-u", "alice", "--", "sh", "-c", connect).rc == 0
        assert "FileNotFoundError" in sshd.ssh("alice", connect).err
        if keyed:
            boxed(f"bind = {path}\n")
            assert sshd.ssh("alice", connect).rc == 0
    top.unlink()
    for directory in made:
        directory.rmdir()


def test_user_services(boxed, sshd, baseline):
    """systemctl --user and systemd-run --user find no bus, which would lead out of the box: they fail."""
    for command in ("systemctl --user list-units", "systemd-run --user true"):
        result = sshd.ssh("alice", f"export DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/2001/bus; {command}")
        assert result.rc != 0 and "Failed to connect" in result.err, result


def test_devices(boxed, sshd, baseline):
    """/dev has no device beside the standard ones, so sshfs, sound cards and GPUs do not work; `bind` puts the node there,
    but nobody may open it, because every bind is nodev; with the key dev it works."""
    look = "python3 -c 'import os; os.open(\"/dev/fuse\", os.O_RDWR)'"
    assert host.run("runuser", "-u", "alice", "--", "sh", "-c", look).rc == 0
    assert "FileNotFoundError" in sshd.ssh("alice", look).err
    boxed("bind = /dev/fuse\n")
    assert "PermissionError" in sshd.ssh("alice", look).err
    boxed("dev = /dev/fuse\n")
    assert sshd.ssh("alice", look).rc == 0


def test_user_namespaces(boxed, sshd, baseline):
    """Rootless containers, bwrap and whatever else makes user namespaces do not work in a box; with nested_namespaces = yes
    they do. Without the filter of system calls they can be made, but no /proc mounted in them, because parts of the box's own
    are covered (mount_namespaces(7))."""
    sandbox = "bwrap --ro-bind / / --unshare-pid"
    plain = ["unshare -Ur true", "unshare -Urm mount -t tmpfs none /mnt", f"{sandbox} true"]
    with_proc = ["unshare -Urpf --mount-proc true", f"{sandbox} --proc /proc true"]
    for lines, working in (("", []), ("nested_namespaces = yes\n", plain + with_proc), ("seccomp = off\n", plain)):
        boxed(lines)
        for command in plain + with_proc:
            assert host.run("runuser", "-u", "alice", "--", "sh", "-c", command).rc == 0
            result = sshd.ssh("alice", command)
            assert (result.rc == 0) == (command in working), (lines, command, result)
