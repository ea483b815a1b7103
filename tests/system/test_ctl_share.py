# SPDX-License-Identifier: BSD-3-Clause
"""nsboxctl list, show and kill, over boxes that sessions share."""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from lib import host
from lib.ctl import BOXES, box, boxes, ctl, running

SHARED = "[profile all]\nusers = alice bob carol\nnetwork = loopback\nshare = user\n"
STUBBORN = "trap '' HUP TERM; echo ready; while :; do sleep 1; done"
HEADING = "ID USER PROFILE SERVICE TTY FROM STATE MEMBERS PID STARTED".split()


@pytest.fixture
def shared(conf, baseline):
    """Everybody has one box, whichever way he comes."""
    conf.pam("sshd", "su")
    conf.remove("/root/.bashrc")
    conf.nsbox(SHARED)
    return conf


@contextlib.contextmanager
def su(user, script="echo ready; exec cat"):
    """A session of su without a terminal: yields the process. Ended by the end of its input."""
    process = subprocess.Popen(["su", user, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def members(n, **wanted):
    """The box, when that many logins are in it."""
    return host.wait_until(lambda: (lambda one: len(one["members"]) == n and one)(box(**wanted)), what=f"{n} members")


def gone():
    host.wait_until(lambda: boxes() == [], timeout=10, what="no box is left")


def end(one):
    """A box that stays by itself."""
    os.kill(one["init_pid"], signal.SIGKILL)
    gone()


def row(ident):
    """{heading: word} of a line of `list` (the time has two words)."""
    heading, *lines = ctl("list").out.splitlines()
    assert heading.split() == HEADING
    (line,) = [line for line in lines if line.startswith(ident)]
    return dict(zip(HEADING, re.split(r" {2,}", line)))


def state_file(one):
    return pathlib.Path(BOXES, one["id"], "state")


@contextlib.contextmanager
def entry(text, name="aaaaaaaaaa"):
    """A registry entry by hand, which this process answers for."""
    directory = pathlib.Path(BOXES, name)
    directory.mkdir(0o700)
    (directory / "state").write_text(text)
    with open(directory / "lock", "w", encoding="ascii") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield directory
    shutil.rmtree(directory)


def crash(one):
    """Nobody is left to clean: guard and monitor are killed."""
    monitor = int(re.search(r"^monitor (\d+)", state_file(one).read_text(), re.M)[1])
    for pid in (*host.find(argument=f"guard {one['id']}"), monitor):
        os.kill(pid, signal.SIGKILL)
        host.wait_until(lambda: not host.alive(pid), what="it is dead")


# -- list --


def test_list_members(shared, sshd):
    """All logins of a box are its members; the table has their number."""
    with sshd.session("alice"), sshd.session("alice"), su("alice") as third:
        one = members(3)
        assert one["share"] == "user" and one["state"] == "ready"
        assert sorted(one["members"]) == sorted([*sshd.monitors("alice"), third.pid])
        found = row(one["id"])
        assert (found["STATE"], found["MEMBERS"], found["PID"]) == ("ready", "3", str(one["init_pid"]))
    gone()


def test_list_row_is_of_the_oldest_who_is_there(shared, sshd):
    """su makes the box, and leaves it to ssh."""
    with su("alice"):
        one = members(1)
        assert (one["service"], one["tty"]) == ("su", "") and row(one["id"])["FROM"] == "-"
        ssh = sshd.popen("alice", "echo ready; exec cat")
        assert ssh.stdout.readline() == b"ready\n"
    after = members(1)
    assert after["id"] == one["id"] and (after["service"], after["tty"]) == ("sshd", "ssh")
    assert row(one["id"])["FROM"] == "127.0.0.1"
    ssh.communicate(b"", timeout=10)
    gone()


def test_list_not_shared(shared, sshd):
    """The box of one login, and a session without one: one member, nothing shared."""
    shared.nsbox(SHARED.replace("share = user\n", ""))
    with sshd.session("alice"):
        one = box()
        assert (one["share"], len(one["members"]), row(one["id"])["MEMBERS"]) == ("", 1, "1")
    gone()
    shared.nsbox(SHARED + "root = /srv/nowhere\non_error = allow\n")
    with sshd.session("alice"):
        one = host.wait_until(lambda: boxes() and box(), what="it is listed")
        found = row(one["id"])
        assert (one["share"], found["STATE"], found["MEMBERS"], found["PID"]) == ("", "unboxed", "1", "-")
    gone()


def test_lingering(shared, sshd):
    """Nobody is in it: told so, as the one who made it came; it can be entered and is shown by top, and whoever joins ends
    that state."""
    shared.nsbox(SHARED + "linger = 1h\n")
    assert sshd.ssh("alice", "true").rc == 0
    host.wait_until(lambda: box()["state"] == "lingering", what="it lingers")
    one = box()
    assert (one["members"], one["service"], one["tty"]) == ([], "sshd", "ssh")
    found = row(one["id"])
    assert (found["STATE"], found["MEMBERS"], found["FROM"]) == ("lingering", "0", "127.0.0.1")
    assert [each["id"] for each in json.loads(ctl("top", "--json").out)] == [one["id"]]
    assert ctl("enter", one["id"], "--", "sh", "-c", "echo $NSBOX_ID").out == f"{one['id']}\n"
    assert ctl("freeze", one["id"]).rc == 0 and box()["state"] == "frozen"
    assert ctl("thaw", one["id"]).rc == 0 and box()["state"] == "lingering"
    with sshd.session("alice"):
        assert (box()["id"], box()["state"]) == (one["id"], "ready")
    host.wait_until(lambda: box()["state"] == "lingering", what="it lingers again")
    end(one)


# -- show --


def show(one):
    """(object, {section: lines}) of a box; what is printed is printable ASCII."""
    text = host.run("nsboxctl", "show", one["id"], text=False)
    assert (text.rc, text.err) == (0, b"") and all(32 <= byte < 127 or byte == 10 for byte in text.out), text
    found, name = {}, None
    for line in text.out.decode().splitlines():
        if not line.startswith("  "):
            name = line.split(":")[0]
            found[name] = []
        else:
            found[name].append(line[2:])
    result = ctl("show", one["id"], "--json")
    assert (result.rc, result.err) == (0, "")
    return json.loads(result.out), found


def facts(lines):
    """{name: value} of lines in two columns."""
    return dict(re.split(r" +", line, maxsplit=1) for line in lines)


def test_show_shared(shared, sshd):
    """Whose box it is, who made it, who is in it, what it is made by: as text and as JSON."""
    shared.nsbox(SHARED + "linger = 90s\nstop_timeout = 1500ms\n")
    with sshd.session("alice"), su("alice") as second:
        one = members(2)
        found, text = show(one)
        assert {key: found[key] for key in one} == one
        state = state_file(one).read_text()
        monitor = int(re.search(r"^monitor (\d+)", state, re.M)[1])
        assert (found["monitor_pid"], found["terminals"], found["linger"]) == (monitor, "own", 90000)
        assert (found["stop_timeout"], found["runtime_max"]) == (1500, "infinity")
        assert found["made"] == {"service": "sshd", "tty": "ssh", "from": "127.0.0.1", "started": one["started"]}
        (master,) = sshd.monitors("alice")
        logins = {each["pid"]: each for each in found["logins"]}
        assert set(logins) == {master, second.pid} and logins[master]["session"] == one["id"]
        assert [logins[master][key] for key in ("service", "tty", "from")] == ["sshd", "ssh", "127.0.0.1"]
        assert [logins[second.pid][key] for key in ("service", "tty", "from")] == ["su", "", ""]
        assert pathlib.Path(BOXES, one["id"], "members", logins[second.pid]["session"]).exists()
        head = facts(text[f"box {one['id']}"])
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one["started"]))
        assert re.fullmatch(rf"{when}, \d+m?s ago, by sshd on ssh from 127.0.0.1", head.pop("made"))
        assert head.pop("PID").split() == ["1", str(one["init_pid"])]
        assert head == {"user": "alice (uid 2001)", "profile": "all", "state": "ready", "monitor": str(monitor),
                        "host": "name     testhost", "share": "user, for logins whose terminals are: own",
                        "linger": "1min 30s", "stop_timeout": "1s 500ms", "runtime_max": "infinity"}
        assert len(text["logins"]) == 2
        assert any(re.fullmatch(rf"\w{{10}}  process {second.pid}, since [-\d]+ [:\d]+, by su", line) for line in text["logins"])
        assert facts(text["namespaces"]) == {name: str(inode) for name, inode in one["namespaces"].items()}
        plan = pathlib.Path(BOXES, one["id"], "plan").read_text().splitlines()
        assert found["plan"] == text["plan that it was made by"] == plan and len(plan) > 20
    end(one)


def kernel_mounts(pid):
    for line in host.read(f"/proc/{pid}/mountinfo").splitlines():
        words = line.split(" ")
        dash = words.index("-")
        yield [words[4], words[dash + 1], words[dash + 2], words[3], words[5], " ".join(words[dash + 3:])]


def test_show_mounts(shared, sshd):
    """All that PID 1 sees, in the kernel's order, and what was mounted since."""
    with sshd.session("alice"):
        one = box()
        inside = ("nsenter", "-t", str(one["init_pid"]), "-m")
        host.run(*inside, "mount", "-t", "tmpfs", "-o", "size=12k", "odd\\040name with blanks", "/srv", check=True)
        host.run(*inside, "mount", "--bind", "/usr/share", "/opt", check=True)
        found, text = show(one)
        wanted = list(kernel_mounts(one["init_pid"]))
        assert text["mounts"] == [f"{point} {kind} {source}{'' if root == '/' else f'[{root}]'} {options} ({of_all})"
                                  for point, kind, source, root, options, of_all in wanted]
        keys = ("target", "type", "source", "root", "options", "super_options")
        plain = [[each[key] for key in keys] for each in found["mounts"]]
        assert len(plain) == len(wanted) > 20 and [each[1] for each in plain] == [each[1] for each in wanted]
        (odd,) = [each for each in plain if each[0] == "/srv"]
        assert odd[2] == "odd\\040name with blanks" and "size=12k" in odd[5]
        assert ["/opt", "/usr/share"] in [[each[0], each[3]] for each in plain]


HOSTILE = [b"esc\x1b]0;pwned\x07\x1b[31m", b"c1\xc2\x9b31m\xff\x9b31m", b"line\nbox aaaaaaaaaa", b"back\x08\r\x7fslash\\x41"]


@pytest.mark.parametrize("name", HOSTILE)
def test_show_hostile_names(shared, sshd, name):
    """Directories are the user's to name, and a FUSE file system's source is: no byte of them is a control sequence, and
    no line of them looks like ours."""
    target = b"/home/alice/" + name
    with sshd.session("alice"):
        one = box()
        before, _ = show(one)
        os.mkdir(target)
        os.chown(target, 2001, 2001)
        inside = ("nsenter", "-t", str(one["init_pid"]), "-m")
        try:
            host.run(*inside, "mount", "-n", "-i", "-t", "tmpfs", b"source" + name, target, check=True)
            host.run(*inside, "mount", "-n", "-i", "--bind", target, "/opt", check=True)
            found, text = show(one)
            raw = host.run("nsboxctl", "show", one["id"], "--json", text=False).out
        finally:
            host.run(*inside, "umount", "/opt")
            host.run(*inside, "umount", target)
            os.rmdir(target)
        assert all(byte >= 32 or byte == 10 for byte in raw)
        assert len(text["mounts"]) == len(found["mounts"]) == len(before["mounts"]) + 2
        wanted = re.sub(r"[\udc80-\udcff]", lambda m: f"\\x{ord(m[0]) & 0xff:02x}", target.decode(errors="surrogateescape"))
        assert [each["target"] for each in found["mounts"][-2:]] == [wanted, "/opt"]
        assert all(each["source"] == wanted.replace("/home/alice/", "source") for each in found["mounts"][-2:])


def test_show_hostile_logins(shared, sshd):
    """What does not get into the registry by a login, but by who knows whom."""
    odd = "\x9b31mül"
    with sshd.session("alice"):
        one = box()
        text = state_file(one).read_text().replace(one["id"], "aaaaaaaaaa")
        (member,) = pathlib.Path(BOXES, one["id"], "members").iterdir()
        member = member.read_text().replace(one["id"], "aaaaaaaaaa").replace("\ntty ssh\n", f"\ntty {odd}\n")
        with entry(re.sub("^(rhost|hostname) .*", rf"\1 {odd}", text, flags=re.M)) as directory:
            (directory / "members").mkdir(0o700)
            (directory / "members/aaaaaaaaaa").write_text(member)
            (directory / "plan").write_text(f"box      linger           \"{odd}\"\n{odd}\n")
            found, shown = show({"id": "aaaaaaaaaa"})
            assert found["logins"][0]["tty"] == found["plan"][1] == found["hostname"] == odd
            assert shown["plan that it was made by"][1] == "\\xc2\\x9b31m\\xc3\\xbcl"
            assert "by sshd on \\xc2\\x9b31m\\xc3\\xbcl from 127.0.0.1" in shown["logins"][0]


def test_show_limits(shared, sshd):
    """Each limit with what is used of it; what is counted without a limit."""
    shared.nsbox(SHARED + "pids_max = 33\n")
    with sshd.session("alice"):
        one = box()
        found, text = show(one)
        assert found["limits"] == [{"key": "pids_max", "value": "33"}]
        assert found["usage"]["processes"] == int(host.read(f"{one['cgroup']}/pids.current"))
        assert found["usage"]["process_hits"] == 0
        counted = os.path.exists(f"{one['cgroup']}/memory.current")  # the tree of the home group has that controller, too
        assert (found["usage"]["memory"] is not None) == counted
        shown = facts(text["limits and what is used of them"])
        assert re.fullmatch(r"33, used \d+(, peak \d+)?, hits 0", shown["pids_max"])
        assert re.fullmatch(r"no limit, used \d+\.\d\ds", shown["cpu_max"]) and ("memory_max" in shown) == counted


def test_show_unique_beginning(shared, sshd):
    with sshd.session("alice"):
        one = box()
        assert json.loads(ctl("show", one["id"][:3], "--json").out)["id"] == one["id"]
        result = ctl("show", "0")
        assert (result.rc, result.out) == (1, "") and 'there is no box "0"' in result.err
    gone()
    result = ctl("show", one["id"])
    assert (result.rc, result.out) == (1, "")


def test_show_unboxed(shared, sshd):
    """What there is: a login, and nothing of its own."""
    shared.nsbox(SHARED + "root = /srv/nowhere\non_error = allow\n")
    with sshd.session("alice"):
        one = host.wait_until(lambda: boxes() and box(), what="it is listed")
        found, text = show(one)
        assert facts(text[f"session without a box {one['id']}"])["state"] == "unboxed"
        assert [each["pid"] for each in found["logins"]] == sshd.monitors("alice") and len(text["logins"]) == 1
        assert found["mounts"] is found["plan"] is found["linger"] is None
        assert text["mounts"] == ["there is no PID 1 that has any"]
        assert text["namespaces"] == ["none of its own"] and text["plan that it was made by"] == ["none"]
        assert text["limits and what is used of them"] == ["none"]
    gone()


def test_show_crashed(shared):
    """PID 1 ends with the life pipe; the plan is still there."""
    with su("alice"):
        one = box()
        crash(one)
        host.wait_until(lambda: not host.alive(one["init_pid"]), what="PID 1 is gone")
        found, text = show(one)
        assert found["state"] == "crashed" and found["mounts"] is None and found["plan"]
        assert text["mounts"] == ["PID 1 is gone"] and len(text["plan that it was made by"]) == len(found["plan"])
        assert ctl("gc").out == "1 box cleaned\n"


def test_show_version_1(shared):
    """An entry that an earlier version made has its only login in itself, and no plan."""
    with su("alice") as process:
        one = box()
        text = state_file(one).read_text().replace(one["id"], "aaaaaaaaaa").replace("nsbox 3\n", "nsbox 1\n")
        text = re.sub(r"^(share|terminals|capabilities|confine|seccomp|subids) .*\n", "", text, flags=re.M)
        start = host.read(f"/proc/{process.pid}/stat").rsplit(")", 1)[1].split()[19]
        text = re.sub(r"^(started .*\n)", r"ut_id \n\1", text, flags=re.M)
        text = re.sub(r"^(monitor .*\n)", rf"\1members {process.pid} {start}\n", text, flags=re.M)
        with entry(text):
            found, shown = show({"id": "aaaaaaaaaa"})
            assert found["members"] == [process.pid] and found["logins"][0]["session"] == "aaaaaaaaaa"
            assert found["plan"] is None and found["share"] == "" and len(found["mounts"]) > 20
            assert shown["plan that it was made by"] == ["not known: the box was made by an earlier version of nsbox"]
            assert facts(shown["box aaaaaaaaaa"])["share"] == "no: the box of one login"


def test_show_while_boxes_come_and_go(shared):
    """A box that ends meanwhile is shown by halves, or is not there."""
    maker = subprocess.Popen(["sh", "-c", "while :; do su alice -c true || exit; done"])
    try:
        for _ in range(host.count(500, 60)):
            for one in boxes():
                result = ctl("show", one["id"])
                assert result.rc == 0 or "there is no box" in result.err, result
    finally:
        maker.kill()
        maker.wait()
    gone()


# -- kill --


def ended(one):
    return f"ended box {one['id']} of {one['user']}\n"


def test_kill_shared(shared, sshd):
    """All logins end with it; when it is said, it is so."""
    with sshd.session("alice") as first, su("alice") as second, sshd.session("bob") as other:
        one, bystander = members(2, user="alice"), box(user="bob")
        start = time.monotonic()
        assert ctl("kill", one["id"][:6]) == (0, ended(one), "")
        assert time.monotonic() - start < 2 * host.PATIENCE
        assert boxes() == [bystander] and not state_file(one).parent.exists()
        assert first.wait(10) != 0 and second.wait(10) != 0 and other.poll() is None


@pytest.mark.parametrize("words, least, most", [((), 2.5, 2.5 + 2.5 * host.PATIENCE), (("--now",), 0, 7.5)])
def test_kill_what_will_not_end(shared, words, least, most):
    """Processes that ignore what they are told have stop_timeout; with --now they have nothing."""
    shared.nsbox(SHARED + f"stop_timeout = {8000 if words else 2500}ms\n")
    with su("alice", STUBBORN):
        one = box()
        start = time.monotonic()
        assert ctl("kill", *words, one["id"]) == (0, ended(one), "")
        assert least < time.monotonic() - start < most and boxes() == []


def test_kill_ends_in_order(shared):
    """Whoever listens is told, and has the time to clean up; the box ends with the last of them."""
    shared.nsbox(SHARED + "stop_timeout = 10s\n")
    said = pathlib.Path("/home/alice/bye")
    with su("alice", f"trap 'sleep 0.5; echo bye >{said}; exit' HUP TERM; echo ready; while :; do sleep 0.1; done"):
        one = box()
        start = time.monotonic()
        assert ctl("kill", one["id"]) == (0, ended(one), "")
        assert time.monotonic() - start < 9 and said.read_text() == "bye\n"
    said.unlink()


@pytest.mark.parametrize("words", [(), ("--now",)])
def test_kill_frozen(shared, sshd, words):
    """It is thawed first, or as much as it takes to die."""
    with sshd.session("alice") as process:
        one = box()
        assert ctl("freeze", one["id"]).rc == 0 and box()["state"] == "frozen"
        assert ctl("kill", one["id"], *words, timeout=20) == (0, ended(one), "")
        assert boxes() == [] and process.wait(10) != 0


@pytest.mark.parametrize("words", [(), ("--now",)])
def test_kill_user(shared, words):
    """All boxes of one user, together; those of others stay."""
    shared.nsbox("[profile su]\nusers = *\nservices = su\nnetwork = loopback\nshare = user\nstop_timeout = 4s\n"
                 "[profile ctl]\nusers = *\nservices = nsboxctl\nnetwork = loopback\nstop_timeout = 4s\n")
    with su("alice", STUBBORN), running(user="alice", script=STUBBORN), su("bob"):
        mine, bystander = [one for one in boxes() if one["user"] == "alice"], box(user="bob")
        assert sorted(one["profile"] for one in mine) == ["ctl", "su"]
        start = time.monotonic()
        result = ctl("kill", "--user", "alice", *words)
        assert time.monotonic() - start < (3.9 if words else 7.9)  # not one after the other
        assert (result.rc, result.err) == (0, "")
        assert sorted(result.out.splitlines(True)) == sorted(map(ended, mine))
        assert boxes() == [bystander]


def passwd(conf, change):
    conf.file("/etc/passwd", change(pathlib.Path("/etc/passwd").read_text()))


def test_kill_lingering(shared, sshd):
    """Nobody is in it, and it ends as others do."""
    shared.nsbox(SHARED + "linger = yes\n")
    assert sshd.ssh("alice", "true").rc == 0
    host.wait_until(lambda: box()["state"] == "lingering", what="it lingers")
    one = box()
    assert ctl("kill", "--user", "alice") == (0, ended(one), "") and boxes() == []


def test_kill_user_by_another_name(shared):
    """Two names of one uid are one user."""
    with su("alice"):
        one = box()
        passwd(shared, lambda text: text + "alicia:x:2001:2001::/home/alice:/bin/bash\n")
        assert ctl("kill", "--user", "alicia") == (0, ended(one), "")


def test_kill_user_whose_account_was_removed(shared):
    """The registry knows the name."""
    with su("carol"):
        one = box()
        passwd(shared, lambda text: re.sub(r"^carol:.*\n", "", text, flags=re.M))
        assert ctl("kill", "--user", "carol") == (0, ended(one), "")


def test_kill_who_has_no_box(shared):
    for words, sentence in ((("--user", "alice"), "alice has no box"), (("--user", "no\x1b[31mbody"), "has no box"),
                            (("abcdefghij",), "there is no box")):
        result = ctl("kill", *words)
        assert (result.rc, result.out) == (1, "") and sentence in result.err and "\x1b" not in result.err
    with su("bob"):
        result = ctl("kill", "--user", "alice")
        assert (result.rc, result.out) == (1, "") and "alice has no box" in result.err and len(boxes()) == 1
        assert 'there is no box "0"' in ctl("kill", "0").err


def test_kill_unboxed(shared, sshd):
    """There is nothing to end but a process, which is named; the user's box beside it is ended all the same."""
    shared.nsbox("[profile ssh]\nusers = *\nservices = sshd\nnetwork = loopback\nroot = /srv/nowhere\non_error = allow\n"
                 "[profile su]\nusers = *\nservices = su\nnetwork = loopback\n")
    with sshd.session("alice") as process, su("alice"):
        one = host.wait_until(lambda: [one for one in boxes() if one["state"] == "unboxed"], what="it is listed")[0]
        boxed = box(state="ready")
        (master,) = sshd.monitors("alice")
        sentence = f"nsboxctl: the session {one['id']} of alice has no box; end process {master}\n"
        assert ctl("kill", one["id"]) == (1, "", sentence)
        assert ctl("kill", "--user", "alice", "--now") == (1, ended(boxed), sentence)
        assert boxes() == [one] and process.poll() is None
    gone()


def test_kill_crashed(shared):
    with su("alice"):
        one = box()
        crash(one)
        assert ctl("kill", one["id"]) == (1, "", f"nsboxctl: the box {one['id']} of alice has crashed: nsboxctl gc cleans it\n")
        assert ctl("gc").out == "1 box cleaned\n"


def test_kill_dying(shared):
    """What only the application keeps has ended, and that is said."""
    with su("alice") as process:
        one = box()
        os.kill(process.pid, signal.SIGSTOP)
        host.wait_until(lambda: host.status(process.pid)["State"].startswith("T"), what="it is stopped")
        result = ctl("kill", one["id"], "--now", timeout=20)
        assert result.rc == 0 and re.fullmatch(rf"ended box {one['id']} of alice, which is cleaned but for its PID 1: .*\n",
                                               result.out), result
        assert box()["state"] == "dying"
        assert ctl("kill", "--user", "alice") == result
        os.kill(process.pid, signal.SIGCONT)
    gone()


def test_kill_while_it_ends(shared):
    """Told twice at once: both wait, and both say so."""
    shared.nsbox(SHARED + "stop_timeout = 1s\n")
    with su("alice", STUBBORN):
        one = box()
        both = [subprocess.Popen(["nsboxctl", "kill", one["id"]], stdout=subprocess.PIPE, text=True)]
        host.wait_until(lambda: box()["state"] == "ending", what="it ends")
        both.append(subprocess.Popen(["nsboxctl", "kill", one["id"]], stdout=subprocess.PIPE, text=True))
        assert [each.communicate(timeout=10)[0] for each in both] == [ended(one)] * 2


def test_kill_with_a_damaged_entry(shared):
    """It might have been his: told, status 1."""
    directory = pathlib.Path(BOXES, "aaaaaaaaaa")
    with su("alice"):
        one = box()
        directory.mkdir(0o700)
        (directory / "lock").touch(0o600)
        (directory / "state").write_text("nonsense\n")
        result = ctl("kill", "--user", "alice")
        shutil.rmtree(directory)
        assert (result.rc, result.out) == (1, ended(one)) and "aaaaaaaaaa cannot be read" in result.err


def test_kill_what_nsboxctl_made(shared):
    """A box of nsboxctl run is one as well."""
    with running(user="alice") as process:
        one = box()
        assert ctl("kill", "--user", "alice") == (0, ended(one), "")
        assert process.wait(10) >= 128


def test_the_next_login_makes_another(shared, sshd):
    """A box that is killed is not joined."""
    with sshd.session("alice"):
        one = box()
        assert ctl("kill", one["id"], "--now").rc == 0
    with sshd.session("alice"):
        assert box()["id"] != one["id"]
