# SPDX-License-Identifier: BSD-3-Clause
"""The bounding set of a box, by every way in; set-user-ID programs and file capabilities in it; the application's own sets."""
import contextlib
import os
import re
import shutil
import signal
import struct
import subprocess

import pytest

from lib import host, privileges, syslog
from lib.ctl import ctl, running
from lib.pamapp import PAM_SYSTEM_ERR, App
from lib.privileges import BY_ALICE, KEPT, NUMBERS, WAYS, machine, mask, sets_in, sets_of
from lib.refusal import refused

PROFILE = "[profile all]\nusers = *\nnetwork = loopback\n"
STATUS = "cat /proc/self/status"
# words of the key: the set, before it is cut down to what the machine has
SETS = {
    "default": mask(*KEPT),
    "none": 0,
    "all": (1 << 64) - 1,
    "default -cap_net_raw": mask(*KEPT) & ~mask("net_raw"),
    "none +cap_setuid +cap_setgid": mask("setuid", "setgid"),
}
NEVER = mask("sys_admin", "sys_ptrace", "sys_module", "mknod", "dac_read_search", "sys_rawio", "net_admin")


@pytest.fixture
def boxed(conf, baseline):
    """boxed("none"): everybody is, with these capabilities."""
    privileges.open_ways(conf)

    def write(words="default", more=""):
        conf.nsbox(f"{PROFILE}capabilities = {words}\n{more}")
        return SETS.get(words, 0) & machine()
    write.conf = conf
    return write


# -- shells --


@pytest.mark.parametrize("words", SETS)
@pytest.mark.parametrize("way", WAYS)
def test_sets_of_shells(way, words, boxed, sshd):
    """Root's shell has exactly the set, a user's nothing of it but the bound; nothing is inheritable or ambient."""
    wanted = boxed(words)
    for user in ("alice", "root"):
        found = sets_in(WAYS[way](sshd, boxed.conf, user, STATUS))
        own = wanted if user == "root" else 0
        assert found == {"CapInh": 0, "CapPrm": own, "CapEff": own, "CapBnd": wanted, "CapAmb": 0, "NoNewPrivs": 0}, user


def test_the_default_set(boxed):
    """Without the key; and none of those that make root of the box root of the host."""
    boxed.conf.nsbox(PROFILE)
    found = sets_in(host.run("su", "root", "-c", STATUS).out)
    assert found["CapPrm"] == mask(*KEPT) & machine() and found["CapBnd"] & NEVER == 0
    assert machine() & NEVER == NEVER, "this host shows nothing"


def test_two_profiles(boxed):
    """Each profile's sessions have their own set; the host's own shells all of it."""
    boxed.conf.nsbox("[profile one]\nusers = alice\ncapabilities = none\n[profile two]\nusers = bob\ncapabilities = +cap_sys_nice\n")
    before = sets_of("self")
    assert sets_in(host.run("su", "alice", "-c", STATUS).out)["CapBnd"] == 0
    assert sets_in(host.run("su", "bob", "-c", STATUS).out)["CapBnd"] == (mask(*KEPT) | 1 << 23) & machine()
    assert sets_in(host.run("su", "carol", "-c", STATUS).out)["CapBnd"] == before["CapBnd"]
    assert sets_of("self") == before and sets_of(1)["CapBnd"] == before["CapBnd"]


def test_what_root_cannot(boxed):
    """The set is in force: what needs another capability fails, what needs one of the set does not."""
    boxed()
    for script, good in (("mount -t tmpfs none /mnt", False), ("mknod /dev/x c 1 3", False), ("ip link set lo down", False),
                         ("unshare -n true", False), ("chown alice /tmp && chmod 700 /tmp", True),
                         ("su alice -c true", True), ("chroot / true", True)):
        result = host.run("su", "root", "-c", script)
        assert (result.rc == 0) == good, (script, result)


# -- set-user-ID programs and file capabilities --


def test_sudo_in_the_box(boxed, sshd):
    """A user who may be root by sudo gets the bounded set in the box, and nothing with none."""
    wanted = boxed()
    found = sets_in(sshd.ssh("alice", f"sudo -n {STATUS}").out)
    assert (found["CapPrm"], found["CapEff"], found["CapBnd"]) == (wanted,) * 3
    boxed("none")
    result = sshd.ssh("alice", "sudo -n id -u")
    assert result.rc != 0 and result.out == "", result


def test_su_in_the_box(boxed):
    """Likewise su, from a user by password and from root."""
    boxed()
    child = host.spawn("su", "alice", "-c", f"su bob -c '{STATUS}'")
    child.expect("Password: ")
    child.sendline("bobpw")
    child.expect("CapBnd:\\s+([0-9a-f]+)")
    assert int(child.match[1], 16) == mask(*KEPT) & machine()
    child.wait()
    child.close(force=True)
    assert host.run("su", "root", "-c", "su bob -c 'id -un'").out == "bob\n"


@contextlib.contextmanager
def with_capability(path, number):
    """A copy of cat(1) with a file capability, permitted and effective."""
    shutil.copy("/bin/cat", path)
    os.setxattr(path, "security.capability", struct.pack("<5I", 0x02000001, 1 << number, 0, 0, 0))
    try:
        yield
    finally:
        os.unlink(path)


def test_file_capabilities(boxed):
    """Those of the set have effect; a program with another does not start."""
    for words, number, good in (("default", NUMBERS["net_raw"], True), ("default -cap_net_raw", NUMBERS["net_raw"], False),
                                ("default", NUMBERS["sys_admin"], False), ("none", NUMBERS["net_raw"], False)):
        boxed(words)
        with with_capability("/usr/local/bin/capable", number):
            result = host.run("su", "alice", "-c", "capable /proc/self/status")
            if good:
                assert sets_in(result.out)["CapEff"] == 1 << number, result
            else:
                assert result.rc == 126 and "Operation not permitted" in result.err and result.out == "", result


def test_ping(boxed):
    """ping works by default; without cap_net_raw it does not start."""
    assert os.getxattr("/bin/ping", "security.capability"), "this host's ping shows nothing"
    boxed()
    result = host.run("su", "alice", "-c", "ping -c 1 -W 2 127.0.0.1")
    assert result.rc == 0 and "1 received" in result.out, result
    boxed("default -cap_net_raw")
    result = host.run("su", "alice", "-c", "ping -c 1 127.0.0.1")
    assert result.rc == 126 and "Operation not permitted" in result.err, result


def test_root_cannot_give_itself_more(boxed):
    """By file capabilities that it writes, by a user namespace's id, by capset, by prctl."""
    boxed()
    script = ("cp /bin/cat /tmp/cat; setcap cap_sys_admin=ep /tmp/cat 2>&1; /tmp/cat /proc/self/status 2>&1; "
              "setpriv --inh-caps +sys_admin true 2>&1; setpriv --bounding-set +sys_admin true 2>&1; echo; " + STATUS)
    result = host.run("su", "root", "-c", script)
    assert "Operation not permitted" in result.out and sets_in(result.out)["CapEff"] == mask(*KEPT) & machine(), result


# -- the application --


def test_application_with_inheritable_and_ambient_sets(boxed):
    """An application that comes with them (pam_cap, a unit with AmbientCapabilities=) loses them; without a box they are handed
    down."""
    extra = ("setpriv", "--inh-caps", "+net_admin,+net_raw", "--ambient-caps", "+net_admin,+net_raw")
    wanted, before = boxed(), mask("net_admin", "net_raw")
    found = sets_in(host.run(*extra, "su", "root", "-c", STATUS).out)
    assert found == {"CapInh": 0, "CapPrm": wanted, "CapEff": wanted, "CapBnd": wanted, "CapAmb": 0, "NoNewPrivs": 0}
    assert sets_in(host.run(*extra, "su", "alice", "-c", STATUS).out)["CapInh"] == 0
    boxed.conf.nsbox("[profile bob]\nusers = bob\n")
    found = sets_in(host.run(*extra, "su", "root", "-c", STATUS).out)
    assert (found["CapInh"], found["CapAmb"]) == (before, before), "this host shows nothing"


def boxed_cat():
    found = [pid for pid in host.find("cat") if host.namespaces(pid).get("mnt") != host.namespaces()["mnt"]]
    return found[0] if found else None


def live_applications(sshd):
    """Sessions that wait, each with the way to its application's pid."""
    def child_of(process, name):
        return host.wait_until(lambda: [pid for pid in [process.pid, *host.descendants(process.pid)] if host.comm(pid) == name])[0]
    wait = "echo ready; exec cat"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    yield "su", ["su", "alice", "-c", wait], pipes, lambda process: child_of(process, "su")
    yield "su root", ["su", "root", "-c", wait], pipes, lambda process: child_of(process, "su")
    yield "sudo", [*BY_ALICE, "sudo", "-n", "-u", "root", "sh", "-c", wait], pipes, lambda process: child_of(process, "sudo")
    yield "run", ["nsboxctl", "run", "--user", "alice", "--", "sh", "-c", wait], pipes, lambda process: child_of(process, "nsboxctl")
    yield "ssh", sshd.command("alice", wait), pipes, lambda process: sshd.monitors("alice")[0]
    yield "ssh root", sshd.command("root", wait), pipes, lambda process: sshd.monitors("root")[0] if sshd.monitors("root") \
        else host.children(sshd.process.pid)[0]


@pytest.mark.parametrize("words", ["default", "none"])
def test_application_seen_from_outside(words, boxed, sshd):
    """It is bounded, and keeps what it can do now: so it gets out again. Whatever it starts has no more than the set."""
    wanted = boxed(words)
    for name, command, pipes, application in live_applications(sshd):
        process = subprocess.Popen(command, **pipes)
        try:
            assert process.stdout.readline() == b"ready\n", name
            pid = application(process)
            found = sets_of(pid)
            assert found == {"CapInh": 0, "CapPrm": machine(), "CapEff": machine(), "CapBnd": wanted, "CapAmb": 0,
                             "NoNewPrivs": 0}, name
            cat = host.wait_until(boxed_cat, what="cat in the box")
            assert sets_of(cat)["CapPrm"] == (wanted if "root" in name or name == "sudo" else 0), name
            assert sets_of(cat)["CapBnd"] == wanted, name
        finally:
            process.stdin.close()
            process.wait(10)
            process.stdout.close()
        assert process.returncode == 0, name
        host.wait_until(lambda: not os.listdir("/run/nsbox/boxes"), what="the box has ended")


def test_init_has_no_more_than_kill(boxed):
    """PID 1 of the box and the monitor are not the session's: whatever the key says, nothing is added to them."""
    boxed("all")
    with running():
        (init,) = host.find("nsbox-init")
        assert sets_of(init)["CapPrm"] == mask("kill") and sets_of(init)["CapBnd"] == mask("kill")


# -- the application without what it needs --


def test_application_without_setpcap(boxed):
    """Its service has no CAP_SETPCAP: refused by the helper, before anything is made."""
    boxed()
    since = syslog.mark()
    line = refused(host.run("setpriv", "--bounding-set", "-setpcap", "su", "alice", "-c", "echo in"), since, "cap_setpcap")
    assert re.search(r"without cap_setpcap: give its service these capabilities .*\(stage (lock_down|check), EPERM\)$", line), line


def test_application_that_has_dropped_setpcap(boxed):
    """It could have it back by exec only: the helper has it, the application does not. Refused before the join, nothing changed."""
    since = syslog.mark()
    boxed()
    boxed.conf.pam("nsbox-app", text="session required pam_nsbox.so\n")
    with App() as app:
        app.do("drop", str(NUMBERS["setpcap"]))
        answer = app.do("open", "nsbox-app", "alice")
        assert (answer["code"], answer["changed"]) == (PAM_SYSTEM_ERR, {}), answer
        line = syslog.wait_for("login of alice refused: ", since)
        assert re.search(r"the application needs CAP_SETPCAP to take cap_\w+ out of the bounding set \(stage join, EPERM\)$",
                         line), line
    # which is not needed for a set that takes nothing away
    boxed("all", "seccomp = off\n")
    with App() as app:
        app.do("drop", str(NUMBERS["setpcap"]))
        assert app.do("open", "nsbox-app", "alice")["code"] == 0


# -- the end --


@pytest.mark.parametrize("end", ["logout", "killed"])
def test_host_is_as_before(end, boxed, sshd):
    """The application goes back or dies; the next login, by the same sshd, has a set of its own, and the host all of it."""
    wanted, before = boxed(), sets_of("self")
    listener = sets_of(sshd.process.pid)
    with sshd.session("root", "cat") as process:
        if end == "killed":
            for pid in sshd.monitors("root") or host.children(sshd.process.pid):
                os.kill(pid, signal.SIGKILL)
            process.wait(10)
    boxed("all")
    assert sets_in(sshd.ssh("root", STATUS).out)["CapBnd"] == machine()
    boxed()
    assert sets_in(sshd.ssh("root", STATUS).out)["CapBnd"] == wanted
    assert (sets_of("self"), sets_of(sshd.process.pid)) == (before, listener)


# -- explain; sharing --


def test_explain(boxed):
    """What a session may do is told, in words that the configuration has."""
    rows = {
        "capabilities = none": 'box      capabilities     "none"',
        "capabilities = all": 'box      capabilities     "all"',
        "capabilities = none +cap_kill +cap_chown": 'box      capabilities     "cap_chown cap_kill"',
        "no_new_privs = yes": 'box      no_new_privs     "yes"',
        "core = yes": 'box      core             "yes"',
        "seccomp = strict": 'box      seccomp          "strict"',
    }
    for line, told in rows.items():
        boxed.conf.nsbox(f"{PROFILE}{line}\n")
        result = ctl("explain", "--user", "alice", "--service", "sshd")
        block = re.search(r"\nwhat its processes may do:\n(.*?)\n\n", result.out, re.S)
        assert block and told in block[1].splitlines(), (line, result)
    boxed.conf.nsbox(PROFILE)
    block = re.search(r"\nwhat its processes may do:\n(.*?)\n\n", ctl("explain", "--user", "alice", "--service", "sshd").out, re.S)[1]
    assert re.search(r'capabilities +"(.*)"', block)[1].split() == [f"cap_{name}" for name in sorted(KEPT, key=NUMBERS.get)]
    assert re.search(r'no_new_privs +"no"', block) and re.search(r'core +"no"', block)


@pytest.mark.parametrize("line", ["capabilities = none", "no_new_privs = yes", "seccomp = off", "core = yes"])
def test_boxes_of_other_privileges_are_not_shared(line, boxed):
    """A login joins the user's box as long as it would be made alike. Another set in other words is the same set."""
    boxed.conf.nsbox(f"{PROFILE}share = user\n")
    with running():
        first = ctl("list").out.splitlines()[1].split()[0]
        boxed.conf.nsbox(f"{PROFILE}share = user\n{line}\n")
        assert host.run("su", "alice", "-c", "echo $NSBOX_ID").out.strip() not in ("", first)
        boxed.conf.nsbox(f"{PROFILE}share = user\ncapabilities = none {' '.join(f'+CAP_{name.upper()}' for name in KEPT)}\n")
        assert host.run("su", "alice", "-c", "echo $NSBOX_ID").out.strip() == first


def test_joined_logins_are_bounded(boxed, sshd):
    """Who joins a box takes upon itself what the first did."""
    wanted = boxed(more="share = user\n")
    with sshd.session("root", "cat"):
        assert sets_in(sshd.ssh("root", STATUS).out)["CapPrm"] == wanted
        assert sets_in(host.run("su", "root", "-c", STATUS).out)["CapPrm"] == wanted
