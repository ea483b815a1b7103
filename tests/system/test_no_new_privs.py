# SPDX-License-Identifier: BSD-3-Clause
"""no_new_privs = yes: what fails and with which words, and that nothing else does."""
import re

import pytest

from lib import ctl as boxes
from lib import host, privileges
from lib.privileges import BY_ALICE, KEPT, WAYS, machine, mask, sets_in, sets_of

PROFILE = "[profile all]\nusers = *\nnetwork = loopback\n"
STATUS = "cat /proc/self/status"
# What a user of the box reads; nsbox.conf(5) tells of each of them.
FAILING = {
    "sudo -n true": r'The "no new privileges" flag is set, which prevents sudo from running as root',
    "su bob -c true": r"su: Authentication service cannot retrieve authentication info",
    "passwd": r"Current password: passwd: Authentication token manipulation error",
    "crontab -l": r"Permission denied",
    "ping -c 1 127.0.0.1": r"missing cap_net_raw\+p capability or setuid",
}
PASSWORDS = {"su bob -c true": "bobpw\n", "passwd": "alicepw\n"}


@pytest.fixture
def boxed(conf, baseline):
    """boxed(): everybody is, with the key; boxed("no"): without."""
    privileges.open_ways(conf)

    def write(value="yes", more=""):
        conf.nsbox(f"{PROFILE}no_new_privs = {value}\n{more}")
    write.conf = conf
    return write


@pytest.mark.parametrize("way", WAYS)
def test_shells(way, boxed, sshd):
    """Every way in works, and is without; root's set is as before."""
    boxed()
    for user in ("alice", "root"):
        found = sets_in(WAYS[way](sshd, boxed.conf, user, STATUS))
        assert found["NoNewPrivs"] == 1 and found["CapBnd"] == mask(*KEPT) & machine(), user
        assert found["CapPrm"] == (found["CapBnd"] if user == "root" else 0)


@pytest.mark.parametrize("command", FAILING)
def test_what_fails(command, boxed):
    """Set-user-ID, set-group-ID and file capabilities: as the manual says, and only with the key."""
    boxed()
    result = host.run("su", "alice", "-c", command, input=PASSWORDS.get(command, ""))
    assert result.rc != 0 and re.search(FAILING[command], result.out + result.err), result
    boxed("no")
    result = host.run("su", "alice", "-c", command, input=PASSWORDS.get(command, ""))
    assert not re.search(FAILING[command], result.out + result.err), result
    assert result.rc == 0 or command in ("passwd", "crontab -l"), result  # those ask for more, or there is no table


def test_manual_tells(boxed):
    """nsbox.conf(5) names each program above."""
    text = host.run("man", "-P", "cat", "nsbox.conf", check=True).out
    entry = re.search(r"\n\s*no_new_privs(.*?)\n\s*seccomp\n", text, re.S)[1]
    for command in FAILING:
        assert f"{command.split()[0]}(" in entry, command


@pytest.mark.parametrize("group_range, good", [("1 0", False), ("0 2147483647", True)])
def test_ping_group_range(group_range, good, boxed):
    """ping needs no capability where the user's group may: which is a setting of each network namespace, so of the box's."""
    boxed()
    # root of the host may set it in the box's network namespace
    with boxes.running(user="alice"):
        identifier, init = (boxes.box(user="alice")[key] for key in ("id", "init_pid"))
        host.run("nsenter", f"--net=/proc/{init}/ns/net", "sh", "-c", f"echo '{group_range}' >/proc/sys/net/ipv4/ping_group_range",
                 check=True)
        result = boxes.ctl("enter", identifier, "--", "ping", "-c", "1", "-W", "2", "127.0.0.1")
        assert (result.rc == 0) == good, result


def test_ssh_sftp_and_scp(boxed, sshd, tmp_path):
    """A login, a terminal, files both ways."""
    boxed()
    assert sshd.ssh("alice", "id -un").out == "alice\n"
    assert "alice" in sshd.ssh("alice", "tty && id -un", tty=True).out
    source = tmp_path / "file"
    source.write_text("text\n")
    assert sshd.sftp("alice", f"put {source} /home/alice/nnp\nget /home/alice/nnp {tmp_path}/back\nrm /home/alice/nnp\n").rc == 0
    assert (tmp_path / "back").read_text() == "text\n"
    assert sshd.scp(str(source), "alice@box:/home/alice/nnp").rc == 0
    assert sshd.ssh("alice", "cat nnp; rm nnp").out == "text\n"


def test_sudo_into_the_box(boxed):
    """sudo and su outside are what they are: the key is about what they start."""
    boxed()
    for words in (["sudo", "-n", "-u", "carol"], ["sudo", "-n"]):
        found = sets_in(host.run(*BY_ALICE, *words, "cat", "/proc/self/status").out)
        assert found["NoNewPrivs"] == 1
    child = host.spawn(*BY_ALICE, "su", "bob", "-c", "id -un")
    child.expect("Password: ")
    child.sendline("bobpw")
    child.expect("bob\r\n")
    child.wait()
    child.close(force=True)


def test_root_of_the_box(boxed):
    """root needs no set-user-ID bit: su and sudo from root's shell work."""
    boxed()
    result = host.run("su", "root", "-c", "su alice -c 'id -un'; sudo -n -u bob id -un; grep NoNewPrivs /proc/self/status")
    assert result.out.split() == ["alice", "bob", "NoNewPrivs:", "1"], result


def test_nothing_else_changes(boxed, sshd):
    """The same session with and without: ids, limits, mounts, descriptors, what /proc says of it."""
    look = ("id; pwd; umask; ulimit -a; env | grep -v -e NSBOX -e SSH_ -e ' ' | sort; cut -d' ' -f5- /proc/self/mountinfo | sed 's/master:[0-9]*//'; "
            "ls /proc/self/fd; grep -v -e Pid -e PPid -e ctxt -e NS -e Vm -e Rss -e Ngid -e Cpus -e Mems -e Sig -e Seccomp -e NoNewPrivs "
            "-e Speculation /proc/self/status")
    pictures = []
    for value in ("yes", "no"):
        boxed(value)
        result = sshd.ssh("alice", look)
        assert result.rc == 0
        pictures.append(result.out.splitlines())
    assert pictures[0] == pictures[1]


def test_host_is_as_before(boxed, sshd):
    """Neither sshd nor the next login by it has the flag."""
    boxed()
    assert sets_in(sshd.ssh("alice", STATUS).out)["NoNewPrivs"] == 1
    boxed("no")
    assert sets_in(sshd.ssh("alice", STATUS).out)["NoNewPrivs"] == 0
    assert sets_of(sshd.process.pid)["NoNewPrivs"] == sets_of("self")["NoNewPrivs"] == 0
    assert host.run(*BY_ALICE, "sudo", "-n", "id", "-u").out == "0\n"
