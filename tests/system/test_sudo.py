# SPDX-License-Identifier: BSD-3-Clause
"""sudo(8), with and without a terminal of its own. Its session runs as whom the command runs."""
import os
import pathlib
import re

import pexpect
import pytest

from lib import host, syslog

BOXED = {"cgroup", "ipc", "mnt", "net", "pid", "uts"}
PROBE = "for n in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$n; done; cat /proc/1/comm"
PROMPT = r"[$#] $"
PTY = ("use_pty", "!use_pty")


@pytest.fixture(params=PTY)
def pty(request):
    """Whether sudo puts a terminal of its own between: Debian's default is that it does."""
    return request.param


@pytest.fixture
def rules(conf):
    """sudo puts everybody into a box; alice may run anything as anybody."""
    conf.nsbox("[profile all]\nusers = *\n")
    conf.pam("sudo", "sudo-i", "su")
    conf.sudoers("alice ALL=(ALL) NOPASSWD: SETENV: ALL\nbob ALL=(ALL) ALL\nDefaults !lecture, !mail_badpass\n")
    return conf


def with_pty(rules, pty):
    rules.sudoers(f"alice ALL=(ALL) NOPASSWD: SETENV: ALL\nbob ALL=(ALL) ALL\nDefaults !lecture, {pty}\n")


def by(user, *command):
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "env", f"HOME=/home/{user}", f"USER={user}",
            f"LOGNAME={user}", "TERM=dumb", *command]


def sudo(*words, user="alice", **options):
    return host.run(*by(user, "sudo", *words), **options)


def on_terminal(*words, user="alice"):
    return host.spawn(*by(user, "sudo", *words))


def output(child):
    """What a command on a terminal printed, after its end."""
    child.expect(pexpect.EOF)
    child.close()
    return child.before.replace("\r", "")


def differing(text):
    """The namespaces in the text, lines of the form "net:[4026531840]", that are not this process's."""
    mine = host.namespaces()
    found = dict(re.findall(r"(\w+):\[(\d+)\]", text))
    assert set(found) == set(mine), text
    return {kind for kind in found if int(found[kind]) != mine[kind]}


@pytest.mark.parametrize("variant", ["two", "one"])
def test_command_is_boxed(rules, baseline, pty, variant):
    """Without a terminal: as another user and as root, in a box of its own, with nothing handed down but 0 to 2."""
    with_pty(rules, pty)
    rules.pam("sudo", variant=variant)
    start = syslog.mark()
    for user in ("carol", "root"):
        result = sudo("-u", user, "sh", "-c", f"{PROBE}; id -un; ls /proc/self/fd | wc -w")
        assert result.rc == 0 and result.err == "", result
        assert differing(result.out) == BOXED and result.out.split()[-3:] == ["nsbox-init", user, "4"], result
        syslog.wait_for(rf"pam_nsbox\(sudo:session\): nsbox \w+: session of {user} .* opened", start)


def test_command_on_a_terminal_is_boxed(rules, baseline, pty):
    """On a terminal: boxed, the terminal has a name in the box and can be opened by it; the status is passed on."""
    with_pty(rules, pty)
    child = on_terminal("-u", "carol", "sh", "-c", f"{PROBE}; tty; stty size; id -un; exit 7")
    text = output(child)
    assert differing(text) == BOXED and child.exitstatus == 7, text
    assert re.search(r"\n/dev/pts/\d+\n24 160\ncarol\n$", text), text


def test_terminal_can_be_opened_by_its_name(rules, baseline, pty):
    """The name that tty(1) prints names the terminal in the box."""
    with_pty(rules, pty)
    child = on_terminal("sh", "-c", "t=$(tty) && echo through $t >$t && ps -o pid,tty,args")
    text = output(child)
    assert child.exitstatus == 0 and re.search(r"^through /dev/pts/\d+$", text, re.M), text


def test_login_shell(rules, baseline, pty):
    """sudo -i: root's home, job control, the terminal's Ctrl-C and Ctrl-Z."""
    with_pty(rules, pty)
    child = on_terminal("-i")
    child.expect(PROMPT)
    assert "job control" not in child.before
    child.sendline(f"pwd; {PROBE}; echo end'-'of")
    child.expect("end-of\r\n")
    assert differing(child.before) == BOXED and "/root\r\n" in child.before
    child.expect(PROMPT)
    child.sendline("sleep 1000")
    host.wait_until(lambda: host.find("sleep", "1000"))
    child.sendcontrol("z")
    child.expect(r"Stopped\s+sleep 1000")
    child.expect(PROMPT)
    child.sendline("fg")
    host.wait_until(lambda: host.status(host.find("sleep", "1000")[0])["State"].startswith("S"))
    child.sendintr()
    child.expect(PROMPT)
    child.sendline("exit 4")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 4


@pytest.mark.parametrize("command, status", [("exit 42", 42), ("kill -TERM $$", -15), ("true", 0)])
def test_status(rules, baseline, pty, command, status):
    """Exit status and death by a signal are those of the command."""
    with_pty(rules, pty)
    assert sudo("-u", "carol", "sh", "-c", command).rc == status


def test_input_and_output(rules, baseline, pty):
    """Pipes are the caller's, and unharmed."""
    with_pty(rules, pty)
    text = "line\n" * 200000
    assert sudo("-u", "carol", "cat", input=text).out == text


def test_password(rules, baseline):
    """bob gives his own password; a wrong one makes no box."""
    start = syslog.mark()
    child = host.spawn(*by("bob", "sudo", "-k", "-p", "Password: ", "id", "-un"))
    child.expect("Password: ")
    child.sendline("wrong")
    child.expect("Sorry, try again")
    assert not syslog.matching("nsbox", start)
    child.expect("Password: ")
    child.sendline("bobpw")
    assert output(child).strip() == "root"
    assert len(syslog.matching("pam_nsbox.* opened", start)) == 1


def test_environment(rules, baseline):
    """Sockets of the caller's agent and bus lead out: not handed down, even where sudoers keeps them."""
    result = host.run(*by("alice", "SSH_AUTH_SOCK=/tmp/agent", "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/bus", "KEEP=1",
                          "sudo", "-E", "env"))
    names = dict(line.split("=", 1) for line in result.out.splitlines())
    assert names["KEEP"] == "1" and re.fullmatch(r"\w{10}", names["NSBOX_ID"]), result
    assert "SSH_AUTH_SOCK" not in names and "DBUS_SESSION_BUS_ADDRESS" not in names


def test_background_jobs_die(rules, baseline, pty):
    """sudo returns at once; what stays behind dies, also what ignores TERM and HUP."""
    with_pty(rules, pty)
    result = sudo("sh", "-c", "trap '' TERM HUP; setsid sleep 1000 >/dev/null 2>&1 </dev/null & true", timeout=2)
    assert result.rc == 0
    host.wait_until(lambda: not host.find("sleep", "1000"), timeout=3)


def test_interrupt(rules, baseline, pty):
    """Ctrl-C on the terminal ends the command in the box, and sudo by the same signal."""
    with_pty(rules, pty)
    child = on_terminal("sh", "-c", "echo up; exec sleep 1000")
    child.expect("up\r\n")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.signalstatus == 2 or child.exitstatus == 130, child
    host.wait_until(lambda: not host.find("sleep", "1000"))


def test_refused(rules, baseline, pty):
    """sudo REALLY refuses: the command has not run, on a terminal and without; the log says why; the next good one
    runs. (sudo shows no message of a session module, pam_echo's neither: the user reads sudo's own line.)"""
    with_pty(rules, pty)
    rules.nsbox("[profile all]\nusers = *\nroot = /srv/nowhere\n")
    marker = pathlib.Path("/srv/sudo-ran")
    start = syslog.mark()
    plain = sudo("touch", str(marker))
    child = on_terminal("sh", "-c", f"touch {marker}; id")
    texts = [plain.out + plain.err, output(child)]
    assert plain.rc != 0 and child.exitstatus != 0 and not marker.exists()
    assert not pathlib.Path("/tmp/sudo-ran").exists() and "uid=" not in texts[1]
    assert all("sudo: pam_open_session: " in text for text in texts), texts
    lines = host.wait_until(lambda: syslog.matching("login of root refused", start)[1:] and
                            syslog.matching("login of root refused", start))
    for line in lines:
        assert re.match(r"authpriv.err sudo\[\d+\] .*nsbox \w{10}: .*/srv/nowhere", line), line
    rules.nsbox("[profile all]\nusers = *\n")
    assert sudo("touch", str(marker)).rc == 0 and marker.exists()
    marker.unlink()


@pytest.mark.parametrize("break_it", ["helper", "monitor", "init", "word", "conf"])
def test_refused_whatever_is_broken(rules, baseline, break_it):
    """Programs missing, a wrong word, a broken nsbox.conf (the target is not root): nothing runs."""
    marker = pathlib.Path("/home/carol/ran")
    program = f"/usr/libexec/nsbox/nsbox-{break_it}"
    if break_it == "word":
        rules.pam("sudo", words="profil=all")
    elif break_it == "conf":
        rules.nsbox("[profile all]\nusers = *\ncolour = red\n")
    else:
        os.rename(program, f"{program}.away")
    try:
        start = syslog.mark()
        assert sudo("-u", "carol", "touch", str(marker)).rc != 0
        syslog.wait_for(r"^authpriv.err sudo\[\d+\] pam_nsbox\(sudo:session\): ", start)
    finally:
        if os.path.exists(f"{program}.away"):
            os.rename(f"{program}.away", program)
    assert not marker.exists()


def test_root_gets_in_with_a_broken_configuration(rules, baseline):
    """A typo in nsbox.conf must not keep administrators from mending it: root unboxed, with an alert."""
    rules.nsbox("[profile all]\nusers = *\ncolour = red\n")
    start = syslog.mark()
    result = sudo("sh", "-c", PROBE)
    assert result.rc == 0 and differing(result.out) == set(), result
    syslog.wait_for(r"^authpriv.alert sudo\[\d+\] .*root is let in WITHOUT a box: .*nsbox.conf:3: .*colour", start)


def test_sudo_in_su(rules, baseline, pty):
    """sudo in a box: already boxed, the same box, and it works."""
    with_pty(rules, pty)
    start = syslog.mark()
    script = f"{PROBE}; echo --; sudo sh -c '{PROBE}; id -un; exit 3'; echo $?"
    result = host.run("su", "alice", "-c", script)
    outer, inner = result.out.split("--\n")
    assert differing(outer) == BOXED and inner == f"{outer}root\n3\n", result
    assert len(syslog.matching("pam_nsbox.* opened", start)) == 1


def test_profile_is_the_targets(rules, baseline):
    """users means as whom the command runs, in the session; whom it is not for runs it on the host."""
    rules.nsbox("[profile carol]\nusers = carol\n")
    assert differing(sudo("-u", "carol", "sh", "-c", PROBE).out) == BOXED
    assert differing(sudo("-u", "bob", "sh", "-c", PROBE).out) == set()


def test_directory(rules, baseline):
    """The working directory is kept where the box has it, else "/"."""
    os.makedirs("/tmp/only-outside", exist_ok=True)
    found = [sudo("sh", "-c", "/bin/pwd", cwd=directory).out.strip() for directory in ("/usr/share", "/tmp/only-outside")]
    os.rmdir("/tmp/only-outside")
    assert found == ["/usr/share", "/"]


def test_change_of_directory(rules, baseline):
    """sudo -D goes there in the box: /tmp is the box's own."""
    rules.sudoers("alice ALL=(ALL) CWD=* NOPASSWD: ALL\n")
    pathlib.Path("/tmp/outside").write_text("")
    result = sudo("-D", "/tmp", "sh", "-c", "/bin/pwd; ls")
    os.unlink("/tmp/outside")
    assert result.out.split() == ["/tmp"], result
