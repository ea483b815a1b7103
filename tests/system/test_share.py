# SPDX-License-Identifier: BSD-3-Clause
"""share = user: one box for all sessions of a user under one profile. Who shares with whom, and what they share."""
import os
import pathlib
import re
import stat

import pexpect
import pytest

from lib import host, syslog
from lib.ctl import boxes
from lib.share import (PROFILE, cron_job, descriptors, many, member_files, monitor_of, records, ssh, su, the_box, wait_gone,
                       wait_members, end_what_failed)

CACHE = "/tmp/krb5cc-share"


@pytest.fixture
def shared(conf, baseline, request):
    """alice and bob have a shared box each, whichever way they come."""
    conf.pam_all()
    conf.remove("/root/.bashrc")
    conf.nsbox(PROFILE)
    yield conf
    end_what_failed(request)


def test_two_sessions_share(shared, sshd):
    """scp to /tmp, then ssh: the file is there; each sees the other's processes."""
    with sshd.session("alice") as one:
        first = the_box()
        assert sshd.scp("/etc/hostname", "alice@box:/tmp/sent").rc == 0
        assert sshd.ssh("alice", "cat /tmp/sent").out == pathlib.Path("/etc/hostname").read_text()
        assert sshd.ssh("alice", "echo $NSBOX_ID").out == f"{first['id']}\n"
        assert int(sshd.ssh("alice", "pgrep -u alice -c -x cat").out) == 1
        assert the_box()["id"] == first["id"]
        assert one.poll() is None


def test_ends_with_the_last_member(shared, sshd):
    """Each logout takes its member, its file and its record along; the last one the box. Also in the order of arrival."""
    with ssh(sshd) as one:
        with ssh(sshd) as two:
            first = wait_members(2)
            assert len(records()) == 2
            one.close()
            wait_members(1)
            assert len(records()) == 1
            assert two.ask("echo still here") == "still here\n"
            assert the_box()["id"] == first["id"] == one.box == two.box
    wait_gone()
    assert records() == []


@pytest.mark.parametrize("number", [2, 10, 50])
def test_many_sessions(shared, sshd, number):
    """So many that begin at the same moment are in one box, each with a file, a record and two descriptors of the monitor;
    all see all; half of them leave, the rest stays."""
    with ssh(sshd) as first:
        monitor = monitor_of(the_box())
        before = descriptors(monitor)
        with many(lambda: ssh(sshd), number) as sessions:
            assert {session.box for session in sessions} == {first.box}
            box = wait_members(number + 1)
            assert len(set(box["members"])) == number + 1 == len(member_files(box))
            assert len({record[3] for record in records()}) == number + 1
            assert int(first.ask("pgrep -c -u alice -x bash")) == number + 1
            host.wait_until(lambda: descriptors(monitor) == before + 2 * number)
            for session in sessions[::2]:
                session.hang_up()
            for session in sessions[::2]:
                assert session.close() == 0
            left = number - len(sessions[::2])
            wait_members(left + 1)
            assert len(records()) == left + 1
            assert [session.ask("echo $NSBOX_ID") for session in sessions[1::2]] == [f"{first.box}\n"] * left
        wait_members(1)
        host.wait_until(lambda: descriptors(monitor) == before, what="the monitor has let go of what was theirs")
    wait_gone()


def test_ssh_su_sudo_cron(shared, sshd):
    """They come by different programs, without a terminal of the host: one box. A cron job beside an ssh shell sees its
    processes; ssh sees what su has started."""
    shared.sudoers("bob ALL=(alice) NOPASSWD: ALL\n")
    with ssh(sshd) as one, su() as two:
        assert one.box == two.box
        two.ask("sleep 1000 </dev/null >/dev/null 2>&1 &")
        assert one.ask("pgrep -u alice -a -x sleep").endswith(" sleep 1000\n")
        one.ask("touch /tmp/of-ssh; mkdir /dev/shm/of-ssh")
        said = cron_job(shared, "alice", "echo $NSBOX_ID; pgrep -c -x bash; ls /tmp /dev/shm; kill -0 $(pgrep -x sleep) && echo mine")
        lines = said.split("\n")
        assert lines[0] == one.box and int(lines[1]) >= 2 and "mine" in lines and lines.count("of-ssh") == 2, said
        result = host.run("sudo", "-n", "-u", "alice", "pgrep", "-x", "sleep", user="bob", group="bob", extra_groups=[],
                          cwd="/", check=True)
        assert result.out == one.ask("pgrep -x sleep")
        box = wait_members(2)
        assert len(records()) == 1, "of ssh alone: su makes none"
        assert len(member_files(box)) == 2


def test_kinds_of_terminals(shared, sshd):
    """su on a terminal brings one of the host's: it has another box than ssh, in which it is not alone for long."""
    def on_terminal():
        child = host.spawn("su", "alice", "-c", "echo box=$NSBOX_ID tty=$(tty); exec cat")
        child.expect(r"box=(\w+) tty=(\S+)\r")
        return child, child.match.group(1), child.match.group(2)
    with ssh(sshd) as one:
        first, box, tty = on_terminal()
        second, same, other_tty = on_terminal()
        assert box == same != one.box and tty != other_tty
        found = {entry["id"]: len(entry["members"]) for entry in boxes()}
        assert found == {one.box: 1, box: 2}
        with su() as third:
            assert third.box == one.box
        first.sendeof()
        first.expect(pexpect.EOF)
        first.close()
        second.sendline("alive")
        second.expect("alive\r\nalive")
        second.sendeof()
        second.expect(pexpect.EOF)
        second.close()
        host.wait_until(lambda: [entry["id"] for entry in boxes()] == [one.box], what="the su box is gone")


def test_ssh_with_a_terminal(shared, sshd):
    """Terminals that sshd makes are the box's own, and those who share it see each other's: one box with and without."""
    with ssh(sshd) as one:
        two = sshd.spawn("alice", "echo box=$NSBOX_ID tty=$(tty); exec cat")
        two.expect(r"box=(\w+) tty=/dev/pts/(\d+)\r")
        assert two.match.group(1) == one.box
        assert two.match.group(2) in one.ask("ls /dev/pts").split()
        two.sendeof()
        two.expect(pexpect.EOF)
        two.close()


def test_profiles_do_not_mix(shared, sshd):
    """The same user by another profile has another box."""
    shared.nsbox(PROFILE.replace("[profile all]\n", "[profile ssh]\nservices = sshd\n") +
                 PROFILE.replace("[profile all]", "[profile rest]"))
    with ssh(sshd) as one, su() as two, ssh(sshd) as three:
        assert one.box == three.box != two.box
        assert {box["profile"]: len(box["members"]) for box in boxes()} == {"ssh": 2, "rest": 1}


def test_session_is_the_default(shared, sshd):
    """Without the key each session has a box of its own, as before, and no socket."""
    shared.nsbox(PROFILE.replace("share = user\n", ""))
    with su() as one, su() as two:
        assert one.box != two.box
        assert [path.name for path in pathlib.Path("/run/nsbox/boxes").glob("*/control")] == []
    shared.nsbox(PROFILE)
    with su() as one:
        assert os.path.exists(f"/run/nsbox/boxes/{one.box}/control")


def test_background_process(shared, sshd):
    """What the first session leaves running lives on with the second, and ends with that, its last one."""
    with ssh(sshd) as two_first:
        with ssh(sshd) as one:
            one.ask("setsid sleep 1234 </dev/null >/dev/null 2>&1 &")
            host.wait_until(lambda: host.find("sleep", "1234"))
        wait_members(1)
        assert two_first.ask("pgrep -c -x sleep") == "1\n"
    host.wait_until(lambda: not host.find("sleep", "1234"), what="it ended with the box")


def test_maker_leaves_first(shared, sshd):
    """The session that made the box is none that matters: its background process too lives on with the others."""
    one = ssh(sshd)
    one.ask("setsid sleep 1234 </dev/null >/dev/null 2>&1 &")
    with ssh(sshd) as two:
        assert one.close() == 0
        box = wait_members(1)
        assert box["id"] == one.box and two.ask("pgrep -c -x sleep") == "1\n"
        with ssh(sshd) as three:
            assert three.box == one.box


def test_tmux(shared, sshd):
    """Started in one session, attached to in another, and lives as long as anybody of the user is there."""
    with ssh(sshd) as one:
        assert one.ask("tmux new-session -d -s work 'sleep 1234'; tmux ls").startswith("work: ")
        with ssh(sshd) as two:
            assert two.ask("tmux ls").startswith("work: ")
            one.close()
            wait_members(1)
            child = sshd.spawn("alice", "tmux attach -t work", opts=("-o", "SetEnv=TERM=xterm"))
            child.expect(r"\[work\]")
            child.close(force=True)
            assert two.ask("tmux ls").startswith("work: ")
    host.wait_until(lambda: not host.find("tmux: server"), what="it ended with the box")


def test_control_master_sftp_scp(shared, sshd, tmp_path):
    """Channels of one connection, and sftp and scp beside it, are in the one box; the master's end leaves it to the others."""
    with ssh(sshd) as one:
        with sshd.master("alice") as opts:
            wait_members(2)
            for _ in range(3):
                assert sshd.ssh("alice", "echo $NSBOX_ID", opts=opts).out == f"{one.box}\n"
            assert sshd.ssh("alice", "touch /tmp/by-master", opts=opts).rc == 0
            assert sshd.sftp("alice", "rename /tmp/by-master /tmp/by-sftp\n").rc == 0
            assert sshd.sftp("alice", "rename /tmp/by-sftp /tmp/by-both\n", opts=("-o", f"ControlPath={opts[1]}")).rc == 0
        wait_members(1)
        assert sshd.scp("alice@box:/tmp/by-both", str(tmp_path)).rc == 0 and (tmp_path / "by-both").exists()
        assert one.ask("ls /tmp") == "by-both\n"


def test_references(shared, sshd):
    """The login's reference in syslog is its own, NSBOX_ID and the line at the end are the box's; each login has a file
    that says who it is."""
    start = syslog.mark()
    with ssh(sshd) as one, su() as two:
        opened = [re.search(r"\((\w+):session\): nsbox (\w+):", line).groups() for line in
                  syslog.matching("session of alice .* opened", start)]
        assert [service for service, _ in opened] == ["sshd", "su"]
        assert opened[0][1] == one.box == two.box != opened[1][1]
        box = the_box()
        assert member_files(box) == sorted(ref for _, ref in opened)
        text = pathlib.Path(f"/run/nsbox/boxes/{box['id']}/members/{opened[1][1]}").read_text()
        assert "su" in text.split() and str(two.process.pid) in text.split(), text
    wait_gone()
    assert len(syslog.matching("box .* ended after", start)) == 1


def test_utmp_records(shared, sshd):
    """One for each login that has one, with its own line; last(1) sees each closed when its session is over."""
    with ssh(sshd) as one:
        with many(lambda: ssh(sshd), 3):
            assert len({record[2] for record in records()}) == len({record[1] for record in records()}) == 4
        wait_members(1)
        assert [record[2] for record in records()] == [f"nsbox/{one.box}"]
        lines = [line for line in host.run("last", "-w", check=True).out.splitlines() if " nsbox/" in line]
        assert len([line for line in lines if "still logged in" in line]) == 1, lines
    wait_gone()
    lines = [line for line in host.run("last", "-w", check=True).out.splitlines() if " nsbox/" in line]
    assert not [line for line in lines if "still logged in" in line or "gone" in line], lines


# -- Kerberos --


@pytest.fixture
def ticket(shared):
    """Logins have KRB5CCNAME and a cache in the host's /tmp, with this text."""
    cache = pathlib.Path(CACHE)

    def write(text):
        cache.unlink(missing_ok=True)
        cache.write_bytes(text)
        os.chown(cache, 2001, 2001)
        cache.chmod(0o600)
    shared.file("/etc/security/share-environment", f"KRB5CCNAME=FILE:{CACHE}\n")
    shared.pam_all(before_open=["session required pam_env.so readenv=1 envfile=/etc/security/share-environment"])
    write(b"first ticket\n")
    yield write
    cache.unlink()


def test_kerberos_cache_of_a_joining_login(shared, sshd, ticket):
    """Each login brings its cache, with the user's rights, into the /tmp that is there already; a later one replaces the
    earlier; what is not text arrives as it is."""
    with su() as one:
        assert one.ask(f"cat {CACHE}; rm {CACHE}") == "first ticket\n"
        ticket(b"second ticket\n")
        with su() as two:
            assert one.box == two.box
            assert one.ask(f"stat -c '%F %U %G %a' {CACHE}; cat {CACHE}") == "regular file alice alice 600\nsecond ticket\n"
            ticket(b"\x05\x04\0\xff third\n")
            with ssh(sshd) as three:
                assert three.box == one.box
                assert two.ask(f"od -An -tx1 {CACHE}").split() == [f"{byte:02x}" for byte in b"\x05\x04\0\xff third\n"]


@pytest.mark.parametrize("trap", ["ln -s /etc/passwd {}", "ln -s /tmp/elsewhere {}", "mkfifo {}", "mkdir -p {}/full",
                                  "ln /tmp/mine {}", "touch {}; exec 3<{}; chmod 666 {}"],
                         ids=["link out", "dangling link", "fifo", "directory", "hard link", "held open"])
def test_trap_for_the_kerberos_cache(shared, ticket, trap):
    """What the user puts in the way of his own cache harms nobody: the host's files are as before, nothing is written into
    what was there, and the login is let in or refused at once."""
    passwd = pathlib.Path("/etc/passwd").read_bytes()
    with su() as one:
        one.ask(f"rm -f {CACHE}; echo mine > /tmp/mine; {trap.format(CACHE, CACHE, CACHE)}")
        ticket(b"second ticket\n")
        result = host.run("su", "alice", "-c", f"cat {CACHE}", timeout=4)
        assert "mkdir" in trap and result.rc != 0 or result.out == "second ticket\n", result
        assert one.ask("cat /tmp/mine; ls /tmp") == f"mine\n{os.path.basename(CACHE)}\nmine\n"
        if "exec 3" in trap:
            assert one.ask("cat <&3") == ""
        else:
            kind = "directory" if "mkdir" in trap else "regular file"
            assert one.ask(f"stat -c %F {CACHE}") == f"{kind}\n"
    assert pathlib.Path("/etc/passwd").read_bytes() == passwd
    assert stat.S_ISREG(os.lstat(CACHE).st_mode) and pathlib.Path(CACHE).read_bytes() == b"second ticket\n"


def test_hosts_cache_is_read_as_the_user(shared, ticket):
    """A name in the host's /tmp that leads to what is not the user's is not taken along, in a joining login either."""
    with su() as one:
        one.ask(f"rm {CACHE}")
        os.unlink(CACHE)
        os.symlink("/etc/shadow", CACHE)
        with su() as two:
            assert one.box == two.box and two.ask(f"ls {CACHE} 2>&1").endswith("No such file or directory\n")
        os.unlink(CACHE)
        pathlib.Path(CACHE).write_text("root's\n")
        with su() as two:
            assert one.box == two.box and two.ask(f"ls {CACHE} 2>&1").endswith("No such file or directory\n")


# -- control groups --


FILL = """import os, signal
made = []
try:
    while len(made) < 100:
        pid = os.fork()
        if pid == 0:
            signal.pause()
        made.append(pid)
except BlockingIOError:
    pass
print(len(made))
for pid in made:
    os.kill(pid, signal.SIGKILL)
    os.wait()
"""


def test_limit_is_the_box_s(shared):
    """pids_max counts the processes of all sessions together; one that leaves makes room."""
    shared.nsbox(PROFILE + "pids_max = 40\n")
    shared.file("/opt/fill", FILL)
    with su() as one:
        box = the_box()
        assert host.read(f"{box['cgroup']}/pids.max") == "40\n"
        alone = int(one.ask("python3 /opt/fill"))
        assert 30 < alone < 40
        with su() as two:
            group = host.cgroup(one.process.pid)
            assert group == host.cgroup(two.process.pid) and group.endswith(f"/{box['id']}")
            assert {host.cgroup(child) for child in host.children(two.process.pid)} == {group}
            assert int(one.ask("python3 /opt/fill")) == alone - 2, "su and its shell"
            two.ask("for i in $(seq 15); do sleep 1000 </dev/null >/dev/null 2>&1 & done")
            assert int(one.ask("python3 /opt/fill")) == alone - 17
            assert int(two.ask("python3 /opt/fill")) == alone - 17
            two.ask("kill $(jobs -p); wait")
        wait_members(1)
        host.wait_until(lambda: int(one.ask("python3 /opt/fill")) == alone, what="all the room is there again")


def test_way_back(shared, tmp_path):
    """After close the application is in the group it came from, although the box lives on."""
    script = tmp_path / "probe"
    script.write_text("#!/bin/sh\n[ $PAM_TYPE = close_session ] || exit 0\n"
                      f"cat /proc/$PPID/cgroup >{tmp_path}/after-close\n")
    script.chmod(0o755)
    with su() as one:
        shared.pam("su", text="\n".join(["auth sufficient pam_rootok.so", "account sufficient pam_rootok.so",
                                         "session required pam_nsbox.so close", f"session required pam_exec.so {script}",
                                         "session required pam_permit.so", "session required pam_nsbox.so open", ""]))
        with su() as two:
            assert one.box == two.box
            assert host.cgroup(two.process.pid).endswith(f"/{one.box}")
        assert (tmp_path / "after-close").read_text() == host.read("/proc/self/cgroup")
        wait_members(1)
