# SPDX-License-Identifier: BSD-3-Clause
"""login(1) on a terminal, as getty and telnetd start it."""
import os
import pathlib
import re
import shutil
import sys

import pexpect
import pytest

from lib import baseline as picture
from lib import host, syslog

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "pam"))
from test_pamtester import compile_program  # noqa: E402  pylint: disable=wrong-import-position

BOXED = {"cgroup", "ipc", "mnt", "net", "pid", "uts"}
PROBE = "for n in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$n; done; cat /proc/1/comm"
REFUSAL = r"Login refused: your session could not be isolated \(nsbox (\w{10})\)\. Ask the administrator\."
PROMPT = r"[$#] $"
REOPEN = """
import os, sys
name = os.ttyname(0)
opened = os.open(name, os.O_RDWR | os.O_NOCTTY)
os.write(opened, b"reopened " + name.encode() + b"\\n")
print(os.path.sameopenfile(0, opened), os.isatty(opened), os.ctermid())
"""


@pytest.fixture
def everybody(conf):
    """login puts everybody into a box. (Its terminal is a dumb one: no escape sequences between the lines.)"""
    conf.nsbox("[profile all]\nusers = *\n")
    conf.pam("login")
    return conf


def login(*words, **options):
    return host.spawn("login", *words, env={**os.environ, "TERM": "dumb"}, **options)


def at_prompt(*words):
    child = login(*words)
    child.expect(PROMPT)
    return child


def ask(child, command):
    """Runs a command in the shell; what it printed."""
    child.sendline(f"{command}; echo end'-'of")
    child.expect("end-of\r\n")
    text = child.before.split("\n", 1)[1]
    child.expect(PROMPT)
    return text.replace("\r", "")


def finish(child, command="exit"):
    child.sendline(command)
    child.expect(pexpect.EOF)
    child.close()


def differing(text):
    """The namespaces in the text, lines of the form "net:[4026531840]", that are not this process's."""
    mine = host.namespaces()
    found = dict(re.findall(r"(\w+):\[(\d+)\]", text))
    assert set(found) == set(mine), text
    return {kind for kind in found if int(found[kind]) != mine[kind]}


def nsbox_records():
    return [record for record in picture.utmp_records() if record[2].startswith("nsbox/")]


@pytest.mark.parametrize("variant", ["two", "one"])
def test_login_f(everybody, baseline, variant):
    """login -f: a shell in a box, in the home directory, with a session leader and a terminal of the same name inside
    and outside; one opened and one ended line in the log."""
    everybody.pam("login", variant=variant)
    start = syslog.mark()
    child = at_prompt("-f", "alice")
    outside = host.descriptors(child.pid)[0]
    assert ask(child, "tty").strip() == outside
    assert differing(ask(child, PROBE)) == BOXED
    assert ask(child, "pwd; id -un; echo $0").split() == ["/home/alice", "alice", "-bash"]
    assert ask(child, "ls /proc/$$/fd").split() == ["0", "1", "2", "255"]
    finish(child)
    line = syslog.wait_for(r"pam_nsbox\(login:session\): nsbox \w{10}: session of alice \(profile all\) opened", start)
    syslog.wait_for(rf"box {re.search(r'nsbox (.{10}):', line)[1]} of alice \(login, profile all\) ended", start)
    assert not syslog.matching("refused|cannot|failed", start)


def test_password_login(everybody, baseline):
    """The whole conversation: name, a wrong password, the right one."""
    child = login()
    child.expect("login: ")
    child.sendline("bob")
    child.expect("Password: ")
    child.sendline("wrong")
    child.expect("Login incorrect")
    assert not os.listdir("/run/nsbox/boxes")
    child.expect("login: ")
    child.sendline("bob")
    child.expect("Password: ")
    child.sendline("bobpw")
    child.expect(PROMPT)
    assert differing(ask(child, PROBE)) == BOXED and ask(child, "id -un").strip() == "bob"
    finish(child)


def test_terminal_can_be_opened_again(everybody, baseline):
    """util-linux's login and many programs open the terminal once more by its name: the same device."""
    child = at_prompt("-f", "alice")
    outside = host.descriptors(child.pid)[0]
    pathlib.Path("/home/alice/reopen.py").write_text(REOPEN)
    lines = ask(child, "python3 reopen.py").splitlines()
    os.unlink("/home/alice/reopen.py")
    assert lines == [f"reopened {outside}", "True True /dev/tty"]
    info = os.stat(outside)
    inside = [int(word) for word in ask(child, f"stat -c '%d %r %u' {outside}").split()]
    assert inside == [info.st_dev, info.st_rdev, info.st_uid] and info.st_uid == 2001
    assert ask(child, "mesg n; mesg; echo hello >/dev/tty").splitlines() == ["is n", "hello"]
    finish(child)


def test_job_control(everybody, baseline):
    """Ctrl-C, Ctrl-Z, fg; no complaint of the shell about job control."""
    child = login("-f", "alice")
    child.expect(PROMPT)
    assert "job control" not in child.before
    child.sendline("sleep 1000")
    host.wait_until(lambda: host.find("sleep", "1000"))
    child.sendcontrol("z")
    child.expect(r"Stopped\s+sleep 1000")
    child.expect(PROMPT)
    child.sendline("fg")
    child.expect("sleep 1000\r\n")
    host.wait_until(lambda: host.status(host.find("sleep", "1000")[0])["State"].startswith("S"))
    child.sendintr()
    child.expect(PROMPT)
    assert ask(child, "echo $?; jobs").split() == ["130"]
    finish(child)


def test_terminal_size(everybody, baseline):
    """A new window size arrives."""
    child = at_prompt("-f", "alice")
    child.setwinsize(40, 111)
    assert ask(child, "stty size").split() == ["40", "111"]
    finish(child)


def test_logout_ends_background_jobs(everybody, baseline):
    """What ignores TERM and HUP too."""
    child = at_prompt("-f", "alice")
    child.sendline("trap '' TERM HUP; setsid sleep 1000 & disown -a")
    host.wait_until(lambda: host.find("sleep", "1000"))
    finish(child)
    host.wait_until(lambda: not host.find("sleep", "1000"), timeout=3)


def test_hangup(everybody, baseline):
    """The line drops: everything ends."""
    child = at_prompt("-f", "alice")
    child.sendline("sleep 1000")
    host.wait_until(lambda: host.find("sleep", "1000"))
    child.close(force=True)


def test_record(everybody, baseline):
    """who(1) on the host knows the login by its box, with the remote host; in the box who(1) knows itself only."""
    with_host = at_prompt("-h", "far.example", "-f", "alice")
    local = at_prompt("-f", "bob")
    records = nsbox_records()
    assert sorted(record[4:] for record in records) == [("alice", "far.example"), ("bob", "")]
    assert {record[1] for record in records} == {with_host.pid, local.pid}
    tty = ask(with_host, "tty").strip().removeprefix("/dev/")
    inside = ask(with_host, "who").splitlines()
    assert len(inside) == 1 and inside[0].split()[:2] == ["alice", tty] and "(far.example)" in inside[0]
    finish(with_host)
    host.wait_until(lambda: [record[4] for record in nsbox_records()] == ["bob"])
    finish(local)


def test_root_login(everybody, baseline):
    """root, where a profile names root."""
    everybody.nsbox("[profile root]\nusers = root\n")
    child = at_prompt("-f", "root")
    assert differing(ask(child, PROBE)) == BOXED and ask(child, "id -u").strip() == "0"
    assert "nsbox-init" in ask(child, "ps ax")
    finish(child)


def test_without_a_profile(everybody, baseline):
    """Nobody's profile: login as ever."""
    everybody.nsbox("[profile bob]\nusers = bob\n")
    child = at_prompt("-f", "alice")
    assert differing(ask(child, PROBE)) == set()
    finish(child)


def test_directory_as_root(everybody, baseline):
    """root = DIRECTORY: the same terminal name there; without the shell the refusal says which is missing."""
    path = pathlib.Path("/srv/login-root")
    for name in ("bin", "proc", "sys", "dev", "run", "tmp", "etc", "home/alice"):
        (path / name).mkdir(parents=True, exist_ok=True)
    host.run("cp", "/bin/busybox", f"{path}/bin/busybox", check=True)
    for name in ("passwd", "group"):
        host.run("cp", f"/etc/{name}", f"{path}/etc/{name}", check=True)
    everybody.nsbox(f"[profile all]\nusers = *\nroot = {path}\n")
    start = syslog.mark()
    child = login("-f", "alice")
    child.expect(REFUSAL)
    child.expect(pexpect.EOF)
    child.close()
    syslog.wait_for(f"the user's shell /bin/bash is not in the root {path}", start)
    for file in ["/bin/bash", *re.findall(r"(/\S+) \(0x", host.run("ldd", "/bin/bash", check=True).out)]:
        os.makedirs(os.path.dirname(f"{path}{file}"), exist_ok=True)
        host.run("cp", "-L", file, f"{path}{file}", check=True)
    for name in ("tty", "ls"):
        (path / "bin" / name).symlink_to("busybox")
    child = at_prompt("-f", "alice")
    assert ask(child, "tty").strip() == host.descriptors(child.pid)[0]
    assert set(ask(child, "ls /").split()) >= {"bin", "dev", "etc", "home"} and "usr" not in ask(child, "ls /").split()
    finish(child)
    host.run("rm", "-r", str(path), check=True)


@pytest.mark.parametrize("account", [True, False])
def test_refused(everybody, baseline, account):
    """The box cannot be made: one clear line, no shell, whether the account hook or the session hook says it; the
    next good login works."""
    everybody.pam("login", account=account)
    everybody.nsbox("[profile all]\nusers = *\nbind = /srv/nowhere\n")
    marker, profile = pathlib.Path("/srv/login-ran"), pathlib.Path("/home/alice/.bash_login")
    profile.write_text(f"touch {marker} /tmp/login-ran\n")
    start = syslog.mark()
    child = login("-f", "alice")
    child.expect(pexpect.EOF)
    child.close()
    profile.unlink()
    assert child.exitstatus != 0 and not marker.exists() and not os.path.exists("/tmp/login-ran")
    found = re.findall(REFUSAL, child.before)
    assert len(found) == 1, child.before
    line = syslog.wait_for("login of alice refused", start)
    assert f"nsbox {found[0]}: " in line and "cannot bind /srv/nowhere: it does not exist" in line
    everybody.nsbox("[profile all]\nusers = *\n")
    child = at_prompt("-f", "alice")
    assert differing(ask(child, PROBE)) == BOXED
    finish(child)


def test_other_terminals_are_not_reached(everybody, baseline):
    """The host's terminals are in sight by number, but a user reaches only the own one."""
    other = at_prompt("-f", "bob")
    foreign = host.descriptors(other.pid)[0]
    child = at_prompt("-f", "alice")
    assert "Permission denied" in ask(child, f"echo spoilt >{foreign}")
    assert "spoilt" not in ask(other, "true")
    finish(child)
    finish(other)


def test_killed_login(everybody, baseline):
    """SIGKILL to login: the record is closed and the box ends."""
    child = at_prompt("-f", "alice")
    assert len(nsbox_records()) == 1
    os.kill(child.pid, 9)
    host.wait_until(lambda: not nsbox_records(), timeout=3)
    child.close(force=True)


@pytest.fixture
def trojan(everybody):
    """A tree whose library of a name service is an attacker's; the host has the real one, and names it. The tree's /etc/group
    is so short that login(1), which looks for the group of terminals in the box, asks that service."""
    top = pathlib.Path("/srv/trojan")
    for name in ("usr", "proc", "sys", "dev", "run", "tmp", "var/tmp", "var/log", "home", "root"):
        (top / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (top / name).symlink_to(f"usr/{name}")
    host.run("cp", "-a", "/etc", str(top / "etc"), check=True)
    (top / "etc/group").write_text("root:x:0:\nalice:x:2001:\n")
    (top / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\n")
    upper = pathlib.Path("/srv/trojan-upper")
    upper.mkdir()
    host.run("mount", "-t", "tmpfs", "tmpfs", str(upper), check=True)
    (upper / "upper").mkdir()
    (upper / "work").mkdir()
    host.run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/usr,upperdir={upper}/upper,workdir={upper}/work",
             str(top / "usr"), check=True)
    library = "lib/x86_64-linux-gnu/libnss_nsbtest.so.2"
    everybody.file(f"/usr/{library}", pathlib.Path(compile_program("libnss_nsbtest", "-shared", "-fPIC")).read_bytes(), mode=0o755)
    (top / "usr" / library).unlink(missing_ok=True)
    shutil.copy(compile_program("libnss_trojan", "-shared", "-fPIC"), top / "usr" / library)
    os.chmod(top / "usr" / library, 0o755)
    everybody.file("/etc/nsswitch.conf", "passwd: files # as it was\nshadow: files\nhosts: files\ngroup: files [!UNAVAIL=continue] nsbtest\n")
    everybody.nsbox(f"[profile all]\nusers = *\nroot = {top}\n")
    yield top
    host.run("umount", str(top / "usr"), str(upper), check=True)
    shutil.rmtree(top)
    upper.rmdir()


def test_name_service_of_the_tree(trojan, everybody, baseline):
    """What a user may have left in a tree as root of a box, no program of the host's root runs: login(1) has loaded the library
    of the host before it joins. (In the box the attacker's runs, where its configuration says so.)"""
    child = at_prompt("-f", "alice")
    assert ask(child, "cat /tmp/trojan 2>&1 || true") == "cat: /tmp/trojan: No such file or directory\n"
    finish(child)
    (trojan / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files nsbtest\n")
    child = at_prompt("-f", "alice")
    ask(child, "getent group nobody-knows")
    ran = ask(child, "cat /tmp/trojan").splitlines()
    assert "getent 2001" in ran and not [line for line in ran if line.startswith("login") or line.endswith(" 0")], ran
    finish(child)
