# SPDX-License-Identifier: BSD-3-Clause
"""root = curated: what is in sight, what is not, and that people can work in it."""
import os
import pathlib
import re
import shutil

import pytest

from lib import host, syslog

PROFILE = "[profile all]\nusers = *\nnetwork = loopback\nroot = curated\n"
MANUAL = pathlib.Path(__file__).parents[2] / "man/nsbox.conf.5"


@pytest.fixture
def curated(conf):
    conf.pam("sshd", "su", "sudo")
    conf.remove("/root/.bashrc")  # the machine's, whatever it does
    conf.nsbox(PROFILE)
    conf.profile = lambda *lines: conf.nsbox(PROFILE + "".join(f"{line}\n" for line in lines))
    return conf


def run(sshd, script, user="alice", **options):
    start = syslog.mark()
    result = sshd.ssh(user, script, **options)
    assert result.rc == 0, (result, syslog.matching("refused|taken back", start))
    return result.out


def documented():
    """The files of /etc that the manual names."""
    text = MANUAL.read_text().split(".Ss The curated root", 1)[1].split(".It Pa /etc\n", 1)[1].split(".It Pa", 1)[0]
    names = re.findall(r"[\w./-]+", " ".join(line[3:] for line in text.splitlines() if line.startswith(".Pa")))
    return {name.strip(".") for name in names if name.strip(".")}


def test_etc_is_what_the_manual_says(curated, sshd, baseline):
    shown = run(sshd, "cd /etc; find . -mindepth 1 -maxdepth 2 2>/dev/null").split()
    allowed = documented()
    tops = {name.split("/")[0] for name in allowed} | {"mtab"}
    assert {"passwd", "group", "ssl/certs", "profile.d"} <= allowed
    for path in (name[2:] for name in shown):
        first = path.split("/")[0]
        assert first in tops, path
        if first not in allowed | {"mtab"} and "/" in path:
            assert path in allowed, path
    for secret in ("shadow", "gshadow", "sudoers", "sudoers.d", "ssh/ssh_host_ed25519_key", "ssl/private", "security", "pam.d", "cron.d",
                   "crontab", "fstab", "machine-id"):
        assert f"./{secret}" not in shown
    host_has = {name for name in allowed if os.path.exists(f"/etc/{name}")}
    assert len(host_has) > 25 and {f"./{name}" for name in host_has if name.count("/") < 2} <= set(shown)


def test_table_and_manual_agree():
    table = (MANUAL.parents[1] / "common/curated-view.c").read_text()
    rows = set(re.findall(r'(?:SETTINGS|RENEWED)\("/etc/([^"]+)"', table)) | {"resolv.conf"}
    assert rows == documented()


def test_only_the_own_home(curated, sshd, baseline):
    assert run(sshd, "ls -a /home; ls -d ~; ls -a /opt /srv /mnt /media /root 2>&1 | grep -v ':$' | sort -u").split() == [
        ".", "..", "alice", "/home/alice", ".", "..", "ls:", "cannot", "open", "directory", "'/root':", "Permission", "denied"]
    assert run(sshd, "cd; touch kept; cat /proc/self/mountinfo | grep -c ' /home/alice ' ") == "1\n"
    os.unlink("/home/alice/kept")
    assert run(sshd, "ls -a ~ | grep -c bashrc || true; ls /home", user="root").split()[-1] != "alice"


def test_opt_by_option(curated, sshd, baseline):
    path = pathlib.Path("/opt/tools")
    path.mkdir(parents=True, mode=0o755)
    try:
        (path / "tool").write_text("#!/bin/sh\necho tool\n")
        (path / "tool").chmod(0o755)
        curated.profile("bind_ro = /opt")
        assert run(sshd, "/opt/tools/tool; touch /opt/x 2>&1 || true") == (
            "tool\ntouch: cannot touch '/opt/x': Read-only file system\n")
    finally:
        shutil.rmtree(path)


def test_root_cannot_write(curated, sshd, baseline):
    script = "touch /x /etc/x /usr/x /home/x /var/lib/x /bin/x /etc/passwd; mkdir /srv/x; rm /etc/passwd; id -u"
    result = host.run("su", "-", "root", "-c", script)
    assert result.out == "0\n", result
    assert result.err.count("Read-only file system") >= 8, result


def test_mounts(curated, sshd, baseline):
    """Everything is nosuid and nodev (but /dev); what is the host's is read-only but for the home and /dev/log."""
    for line in run(sshd, "cat /proc/self/mountinfo").splitlines():
        fields = line.split()
        point, options = fields[4], set(fields[5].split(","))
        assert "nosuid" in options, line
        assert "nodev" in options or point.startswith("/dev") or fields[3] == "/null", line
        fresh = fields[fields.index("-") + 1] in ("tmpfs", "devpts", "mqueue", "proc")
        assert "ro" in options or fresh or point in ("/home/alice", "/dev/log", "/var/log/wtmp"), line
    assert "ro" in run(sshd, "grep ' / / ' /proc/self/mountinfo").split()[5].split(",")


WORK = [
    ("python3 -c 'import ssl, json, sqlite3; print(ssl.OPENSSL_VERSION[:7])'", "OpenSSL"),
    ("cd ~ && printf 'int main(void) { return 7; }' > t.c && gcc -o t t.c; ./t; echo $?; rm -f t t.c", "7"),
    ("cd ~ && rm -rf r && git init -q r && cd r && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && "
     "git log --format=%s; cd; rm -rf r", "x"),
    ("man -P cat nsboxctl | head -5", "NSBOXCTL(8)"),
    ("LC_ALL=C.UTF-8 locale charmap", "UTF-8"),
    ("ssh -V 2>&1", "OpenSSH"),
    ("ssh-keygen -q -t ed25519 -N '' -f ~/k && rm ~/k ~/k.pub && echo key", "key"),
    ("date +%Z", ""),
    ("id", "uid=2001(alice) gid=2001(alice)"),
    ("ls -ld ~", "alice alice"),
    ("getent hosts localhost", "localhost"),
    ("sort --version | less | head -1", "sort"),
    ("perl -e 'use POSIX; print 6*7'", "42"),
    ("df -h / /tmp ~ > /dev/null && ps -e -o comm= | grep ps", "ps"),
    ("mktemp", "/tmp/"),
    ("strace -V | head -1; gdb --version | head -1", "gdb"),
]


@pytest.mark.parametrize("script, expected", WORK)
def test_work(curated, sshd, baseline, script, expected):
    assert expected in run(sshd, script)


@pytest.mark.parametrize("program", ["passwd", "chsh", "chfn", "chage", "gpasswd"])
def test_account_tools_say_what_to_do(curated, sshd, baseline, program):
    result = sshd.ssh("alice", program)
    assert result.rc == 1 and re.fullmatch(
        rf"{program}: this session is in a box \(nsbox\) and the host's accounts are outside: .*administrator\n", result.err), result


def test_editor_tmux_screen_in_a_terminal(curated, sshd, baseline):
    child = host.spawn(*sshd.command("alice", tty=True))
    child.sendline("PS1='$ '; export TERM=xterm; cd; nano written")
    child.expect("Justify")
    child.send("text\x0f\r\x18")
    child.expect(r"\$ ")
    child.sendline("tmux new-session -d 'cat written > copied; sleep 1' && tmux ls && echo 'started' tmux")
    child.expect("started tmux")
    child.sendline("TERM=xterm screen -d -m sh -c 'echo x > screened' && echo 'started' screen")
    child.expect("started screen")
    host.wait_until(lambda: os.path.exists("/home/alice/copied") and os.path.exists("/home/alice/screened"), what="both ran")
    child.sendline("cat copied; rm -f written copied screened; less /etc/passwd")
    child.expect("text")
    child.expect("root:x:0:0")
    child.send("q")
    child.sendline("exit")
    child.expect("logout")
    child.close()


def test_not_merged(curated, sshd, baseline):
    """A host whose /lib32 is a directory of its own shows it; a link stays a link."""
    assert run(sshd, "readlink /bin /lib").split() == [os.readlink("/bin"), os.readlink("/lib")]
    os.mkdir("/libx32", 0o755)
    try:
        pathlib.Path("/libx32/mark").write_text("here\n")
        assert run(sshd, "cat /libx32/mark; touch /libx32/x 2>&1 || true") == (
            "here\ntouch: cannot touch '/libx32/x': Read-only file system\n")
    finally:
        shutil.rmtree("/libx32")


def test_shell_out_of_sight(curated, sshd, baseline):
    shutil.copy("/bin/bash", "/srv/shell")
    try:
        curated.file("/etc/passwd", re.sub(r"^(alice:.*:)[^:\n]*$", r"\1/srv/shell", pathlib.Path("/etc/passwd").read_text(),
                                           flags=re.M))
        start = syslog.mark()
        assert sshd.ssh("alice", "echo in").rc != 0
        assert "shell /srv/shell is not in sight with root = curated" in syslog.wait_for("login of alice refused", start)
        curated.profile("bind_ro = /srv")
        assert run(sshd, "echo $0") == "shell\n"
    finally:
        os.unlink("/srv/shell")


def test_shell_that_is_a_link_out_of_sight(curated, sshd, baseline):
    os.makedirs("/opt/shells", exist_ok=True)
    shutil.copy("/bin/bash", "/opt/shells/bash")
    os.symlink("/opt/shells/bash", "/usr/local/bin/shell")
    try:
        curated.file("/etc/passwd", re.sub(r"^(alice:.*:)[^:\n]*$", r"\1/usr/local/bin/shell",
                                           pathlib.Path("/etc/passwd").read_text(), flags=re.M))
        start = syslog.mark()
        assert sshd.ssh("alice", "echo in").rc != 0
        assert "is not in sight with root = curated" in syslog.wait_for("login of alice refused", start)
        curated.profile("bind_ro = /opt/shells")
        assert run(sshd, "echo in") == "in\n"
    finally:
        os.unlink("/usr/local/bin/shell")
        shutil.rmtree("/opt/shells")


@pytest.mark.parametrize("target, made", [("/run/resolver/conf", "link"), ("/usr/local/resolver/conf", "link"), ("/etc/resolver/conf", "bind"),
                                          ("/srv/resolver/conf", "bind"), ("/nowhere/conf", "link")])
def test_resolv_conf_that_is_a_link(curated, sshd, baseline, target, made):
    """Its text is there wherever it is kept on the host."""
    directory = pathlib.Path(target).parent
    curated.remove("/etc/resolv.conf")
    os.symlink(target, "/etc/resolv.conf")
    try:
        if directory != pathlib.Path("/nowhere"):
            directory.mkdir(parents=True)
            pathlib.Path(target).write_text("nameserver 192.0.2.53\n")
        out = run(sshd, "cat /etc/resolv.conf 2>/dev/null; test -L /etc/resolv.conf && echo link || echo bind")
        assert out == ("nameserver 192.0.2.53\n" if directory != pathlib.Path("/nowhere") else "") + f"{made}\n"
    finally:
        os.unlink("/etc/resolv.conf")
        shutil.rmtree(directory, ignore_errors=True)


def test_account_changes_reach_a_box(curated, sshd, baseline):
    """passwd replaced on the host, as useradd(8) does."""
    with sshd.session("alice", "sh") as session:
        host.run("useradd", "-u", "2099", "newcomer", check=True)
        try:
            def seen():
                session.stdin.write(b"getent passwd newcomer > /dev/null && echo yes || echo no\n")
                session.stdin.flush()
                return session.stdout.readline() == b"yes\n"
            host.wait_until(seen, timeout=12, what="the newcomer is seen", interval=0.5)
        finally:
            host.run("userdel", "newcomer", check=True)


def test_su_and_sudo(curated, sshd, baseline):
    """Sessions of su and sudo are boxed in the same way; in the box neither has more rights than the user."""
    assert host.run("su", "-", "alice", "-c", "ls /home; pwd").out == "alice\n/home/alice\n"
    result = sshd.ssh("alice", "sudo -n true; su -c true root < /dev/null; find /usr/bin -perm -4000 | head -1 | grep -c /")
    assert "1\n" in result.out and result.rc == 0, result
    assert re.search("sudo: .*(nosuid|setuid)", result.err), result


@pytest.mark.parametrize("user", ["bin", "sync", "proxy", "daemon", "games"])
def test_homes_of_system_accounts(curated, baseline, user):
    """Accounts whose home is a directory of programs get in, and these stay read-only and nosuid."""
    result = host.run("su", "-s", "/bin/sh", user, "-c", "id -un; grep -E ' /(usr|bin|sbin|lib)[^ ]* ' /proc/self/mountinfo")
    first, *mounts = result.out.splitlines()
    assert first == user and mounts, result
    for line in mounts:
        assert {"ro", "nosuid", "nodev"} <= set(line.split()[5].split(",")), line
