# SPDX-License-Identifier: BSD-3-Clause
"""network = netns:NAME and join:USER: sessions in a network namespace that is there already."""
import contextlib
import os
import pathlib
import re
import signal
import subprocess

import pytest

from lib import ctl, host, refusal, share, syslog

LAB = "nsboxlab"
NET = "readlink /proc/self/ns/net"
LINKS = "ls /sys/class/net"


def ip(*words):
    return host.run("ip", *words, check=True).out


@pytest.fixture
def lab():
    """A namespace of ip-netns(8) with lo and a link of its own, which has 192.0.2.1."""
    ip("netns", "add", LAB)
    ip("-n", LAB, "link", "add", "lab0", "type", "veth", "peer", "name", "lab1")
    ip("-n", LAB, "address", "add", "192.0.2.1/24", "dev", "lab0")
    for name in ("lab0", "lab1"):
        ip("-n", LAB, "link", "set", name, "addrgenmode", "none")  # no address that changes by itself
    for name in ("lo", "lab0", "lab1"):
        ip("-n", LAB, "link", "set", name, "up")
    yield LAB
    host.run("ip", "netns", "delete", LAB)
    # what the first name leaves
    host.run("umount", "/run/netns")
    os.rmdir("/run/netns")


@pytest.fixture
def boxed(conf):
    """boxed("lines of [profile all]", "more profiles"): everybody is boxed so, by ssh and su."""
    conf.pam("sshd", "su")
    conf.remove("/root/.bashrc")  # the machine's, whatever it does

    def configure(lines, before=""):
        conf.nsbox(f"{before}\n[profile all]\nusers = *\n{lines}\n")
        return conf
    yield configure


def net_of(netns):
    return ip("netns", "exec", netns, "readlink", "/proc/self/ns/net").strip()


def own_net():
    return f"net:[{host.namespaces()['net']}]"


def sh(sshd, user, script):
    result = sshd.ssh(user, f"[ -e /run/host/container-manager ] || exit 99; {script}")
    assert result.rc == 0, (script, result)
    return result.out.split()


@contextlib.contextmanager
def listening(sshd, user, address):
    """A session that says "hello" at port 2000 of this address."""
    script = f"import socket; s = socket.create_server((\"{address}\", 2000)); print(\"there\", flush=True); " \
        "c, _ = s.accept(); c.sendall(b\"hello\"); c.close(); input()"
    with sshd.session(user, f"python3 -c '{script}'") as process:
        assert process.stdout.readline() == b"there\n"
        yield


def ask(session, command):
    return session.ask(command).strip()


def state_of(netns):
    """What is set up in there."""
    return ip("-n", netns, "-d", "-o", "address"), ip("-n", netns, "route", "show", "table", "all"), ip("-n", netns, "-o", "link")


# -- netns:NAME --


@pytest.mark.parametrize("extra", ["", "user_namespace = keep-id", "root = curated"])
def test_netns(boxed, baseline, lab, sshd, extra):
    """Sessions by ssh and su are in the namespace, see its links, and reach what listens in it; nothing of it changes."""
    boxed(f"network = netns:{LAB}\n{extra}")
    before = state_of(LAB)
    assert sh(sshd, "alice", f"{NET}; {LINKS}") == [net_of(LAB), "lab0", "lab1", "lo"]
    result = refusal.su(command=f"{NET}; {LINKS}")
    assert (result.rc, result.out.split()) == (0, [net_of(LAB), "lab0", "lab1", "lo"]), result
    assert state_of(LAB) == before
    assert net_of(LAB) != own_net()


def test_netns_lo_is_not_touched(boxed, baseline, lab, sshd):
    """lo of a namespace is the administrator's: one that is down stays down."""
    boxed(f"network = netns:{LAB}")
    ip("-n", LAB, "link", "set", "lo", "down")
    assert sh(sshd, "alice", "cat /sys/class/net/lo/flags") == ["0x8"]


def test_netns_is_shared(boxed, baseline, lab, sshd):
    """Two users in one namespace share ports: what one listens on the other reaches."""
    boxed(f"network = netns:{LAB}")
    with listening(sshd, "alice", "192.0.2.1"):
        assert sh(sshd, "bob", "exec 3<>/dev/tcp/192.0.2.1/2000; cat <&3") == ["hello"]


def test_netns_outlives_the_box(boxed, baseline, lab, sshd):
    """A name that goes while a box lives takes nothing from the box; the next login is refused."""
    boxed(f"network = netns:{LAB}")
    with share.ssh(sshd) as session:
        inside = net_of(LAB)
        ip("netns", "delete", LAB)
        assert ask(session, NET) == inside
        start = syslog.mark()
        refusal.refused(refusal.su("bob"), start, f"network = netns:{LAB}: .*: ip netns add {LAB}", user="bob")


def test_netns_shared_box(boxed, baseline, lab, sshd):
    """share = user: the second login is in the same box, also when the name is gone meanwhile."""
    boxed(f"network = netns:{LAB}\nshare = user")
    with share.ssh(sshd) as first:
        inside = net_of(LAB)
        assert sh(sshd, "alice", f"echo $NSBOX_ID; {NET}") == [ask(first, "echo $NSBOX_ID"), inside]
        ip("netns", "delete", LAB)
        assert sh(sshd, "alice", f"echo $NSBOX_ID; {NET}") == [ask(first, "echo $NSBOX_ID"), inside]


def test_netns_missing(boxed, sshd, baseline):
    """No such name: refused by the account hook already, with what to do; no box is left."""
    boxed("network = netns:nowhere")
    start = syslog.mark()
    result = sshd.ssh("alice", "echo ran")
    assert result.rc != 0 and "ran" not in result.out, result
    line = syslog.wait_for(r"nsbox \w+: login of alice refused: ", start)
    assert re.search(r"network = netns:nowhere: there is no network namespace of that name: ip netns add nowhere", line), line
    assert re.search(r"\(stage check, ENOENT\)$", line), line
    assert ctl.boxes() == []


@contextlib.contextmanager
def planted(make):
    """Something in the place of a name below /run/netns."""
    place = pathlib.Path("/run/netns/planted")
    made = not place.parent.exists()
    place.parent.mkdir(mode=0o755, exist_ok=True)
    make(place)
    try:
        yield place
    finally:
        host.run("umount", str(place))
        place.unlink(missing_ok=True)
        if made:
            place.parent.rmdir()


def _bind(source):
    def make(place):
        place.touch()
        host.run("mount", "--bind", source, str(place), check=True)
    return make


@pytest.mark.parametrize("name, make, words", [
    ("file", lambda place: place.write_text("x"), "is no network namespace"),
    ("fifo", os.mkfifo, "is no network namespace"),
    ("directory", lambda place: host.run("mkdir", str(place)), "is no network namespace"),
    ("link", lambda place: place.symlink_to("/proc/1/ns/net"), "cannot open /run/netns/planted"),
    ("uts", _bind("/proc/self/ns/uts"), "is no network namespace"),
    ("host", _bind("/proc/self/ns/net"), "host's own network namespace: write network = host"),
])
def test_netns_is_something_else(boxed, baseline, name, make, words):
    """What is no network namespace, or is the host's own, is refused with its name."""
    boxed("network = netns:planted")
    with planted(make) as place:
        start = syslog.mark()
        refusal.refused(refusal.su(), start, words)
        if name == "directory":
            place.rmdir()


def test_netns_directory_of_others(boxed, baseline, lab):
    """Names that others than root could make are not looked at."""
    boxed(f"network = netns:{LAB}")
    with refusal.changed("/run/netns", mode=0o777):
        start = syslog.mark()
        refusal.refused(refusal.su(), start, "/run/netns can be changed by others than root")


# -- join:USER --

SERVER = "[profile servers]\nusers = bob\nnetwork = loopback\n"


def test_join(boxed, sshd, baseline):
    """A session in the network of another user's box: what that one listens on is reached, by no one else."""
    boxed("network = join:bob", before=SERVER)
    with listening(sshd, "bob", "127.0.0.1"):
        theirs = host.namespaces(host.find("nsbox-init")[0])["net"]
        assert sh(sshd, "alice", f"{NET}; exec 3<>/dev/tcp/127.0.0.1/2000; cat <&3") == [f"net:[{theirs}]", "hello"]
        assert theirs != host.namespaces()["net"]


@pytest.mark.parametrize("maker, joiner", [("", "user_namespace = keep-id"), ("user_namespace = keep-id", ""),
                                           ("user_namespace = keep-id", "user_namespace = keep-id"),
                                           ("share = user", "share = user")])
def test_join_with_ids_and_shares(boxed, sshd, baseline, maker, joiner):
    """Whichever of the two has ids of its own, or is shared."""
    boxed(f"network = join:bob\n{joiner}", before=f"{SERVER}{maker}\n")
    with share.ssh(sshd, "bob") as bob, share.ssh(sshd) as alice:
        assert ask(bob, NET) == ask(alice, NET) != own_net()
        assert ask(bob, "readlink /proc/self/ns/pid") != ask(alice, "readlink /proc/self/ns/pid")
        assert ask(bob, "readlink /proc/self/ns/mnt") != ask(alice, "readlink /proc/self/ns/mnt")
        assert sh(sshd, "alice", NET) == [ask(bob, NET)]
        assert ask(alice, LINKS) == "lo"


def test_join_nobody(boxed, sshd, baseline):
    """Without a box of that user the login is refused, and says who must log in first."""
    boxed("network = join:bob", before=SERVER)
    start = syslog.mark()
    refusal.refused(refusal.su(), start, r"network = join:bob: bob has no box with a network of its own: bob must log in first")
    assert ctl.boxes() == []


def test_join_needs_a_network_of_its_own(boxed, baseline, lab, sshd):
    """A box in the host's network, in a named namespace or in a joined one has none to give."""
    for lines in ("network = host", f"network = netns:{LAB}"):
        boxed("network = join:bob", before=f"[profile servers]\nusers = bob\n{lines}\n")
        with share.ssh(sshd, "bob"):
            start = syslog.mark()
            refusal.refused(refusal.su(), start, "bob has no box with a network of its own")
    # and a chain: carol joins alice, who has joined bob
    boxed("network = join:alice", before=f"{SERVER}\n[profile a]\nusers = alice\nnetwork = join:bob\n")
    with share.ssh(sshd, "bob"), share.ssh(sshd):
        start = syslog.mark()
        refusal.refused(refusal.su("carol"), start, "alice has no box with a network of its own", user="carol")


def test_join_the_oldest(boxed, sshd, baseline):
    """Of several boxes it is the oldest, for all who come later."""
    boxed("network = join:bob", before=SERVER)
    with share.ssh(sshd, "bob") as first:
        with share.ssh(sshd, "bob") as second:
            assert sh(sshd, "alice", NET) == [ask(first, NET)] != [ask(second, NET)]
            first.close()
            host.wait_until(lambda: len(ctl.boxes()) == 1, what="the first box is gone")
            assert sh(sshd, "alice", NET) == [ask(second, NET)]


def test_joined_box_ends(boxed, sshd, baseline):
    """The joiner stays, with what is left of the network: its namespace and lo."""
    boxed("network = join:bob", before=SERVER)
    with share.ssh(sshd, "bob") as bob:
        inside = ask(bob, NET)
        with share.ssh(sshd) as alice:
            bob.close()
            host.wait_until(lambda: [box["user"] for box in ctl.boxes()] == ["alice"], what="bob's box is gone")
            assert (ask(alice, NET), ask(alice, LINKS)) == (inside, "lo")
            start = syslog.mark()
            refusal.refused(refusal.su(), start, "bob has no box with a network of its own")


def test_join_while_it_dies(boxed, sshd, baseline):
    """Logins that race with the end of the box are in its network or are refused; never in the host's."""
    boxed("network = join:bob", before=f"{SERVER}stop_timeout = 1s\n")
    for _ in range(host.count(20, 5)):
        with share.ssh(sshd, "bob") as bob:
            inside = ask(bob, NET)
            init = host.find("nsbox-init")[0]
            process = subprocess.Popen(["su", "alice", "-c", NET], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            os.kill(init, signal.SIGKILL)
            out = process.communicate(timeout=30)[0].strip()
            assert out in ("", inside), out
        share.wait_gone()


def test_told(boxed, baseline, lab):
    """explain and doctor tell that the network is shared."""
    boxed(f"network = netns:{LAB}")
    out = ctl.ctl("explain", "--user", "alice", "--service", "sshd").out
    assert f"enter-network    netns:{LAB}" in out and "loopback   " not in out, out
    assert "the network is that of a namespace of the host" in out and "a login now would be boxed" in out, out
    boxed("network = join:bob", before=SERVER)
    out = ctl.ctl("explain", "--user", "alice", "--service", "sshd").out
    assert "the network is that of another box" in out and "bob must log in first" in out, out
