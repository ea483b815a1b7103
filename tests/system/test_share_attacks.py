# SPDX-License-Identifier: BSD-3-Clause
"""share = user: what must hold although the box that a login joins has been in its user's hands. Numbers are of ATTACKS."""
import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pexpect
import pytest

from attacks import OPEN_TO_ALL, as_user, mount_namespace, start, stop, tool
from lib import host, pamapp
from lib.ctl import BOXES
from lib.share import (JOIN, MEMBER, PROFILE, READY, WAIT, Control, cron_job, descriptors, inside, many, member_files,
                       message, monitor_of, records, ssh, su, the_box, timed_su, wait_gone, wait_members, end_what_failed)

MARKER = "/run/host-only"  # is on the host, and in no box
LIFE = f"{PROFILE}stop_timeout = 1s\n"
EVERYBODY = LIFE.replace("alice bob", "*")
SECONDS = 2


@pytest.fixture
def shared(conf, baseline, request):
    conf.pam_all()
    # for pamapp: other modules alter the application as well
    conf.pam("probe", text="session required pam_nsbox.so\nsession required pam_permit.so\n")
    conf.remove("/root/.bashrc")
    conf.nsbox(EVERYBODY)
    yield conf
    end_what_failed(request)


@pytest.fixture
def marker():
    pathlib.Path(MARKER).write_text("")
    yield MARKER
    os.unlink(MARKER)


# -- another user --


def test_another_user(shared, sshd):
    """bob neither sees nor reaches what is in alice's box: processes, /tmp, shared memory, sockets, signals, ptrace(2), from a
    box of his own or outside; by name he gets a box of his own, whatever the moment."""
    with ssh(sshd) as one, su() as two, su("bob") as other, ssh(sshd, "bob") as another:
        assert one.box == two.box != other.box == another.box
        one.ask("sleep 1234 </dev/null >/dev/null 2>&1 & echo secret >/tmp/secret; chmod 644 /tmp/secret; "
                "echo secret >/dev/shm/secret; ipcmk -M 4096 -p 0666")
        assert two.ask("cat /tmp/secret /dev/shm/secret; pgrep -c -x sleep; ipcs -m | grep -c 0x") == "secret\nsecret\n1\n1\n"
        assert other.ask("cat /tmp/secret /dev/shm/secret 2>&1 | grep -c secret$; pgrep -u alice; ipcs -m | grep -c 0x; "
                         "ls /tmp; who | grep -c alice").split() == ["0", "0", "0"]
        [sleeper] = host.find("sleep", "1234")
        script = (f"kill -9 {sleeper}; cat /proc/{sleeper}/environ /proc/{sleeper}/root/tmp/secret; ls /proc/{sleeper}/fd; "
                  f"nsenter -t {sleeper} -m cat /tmp/secret; {tool('trace')} {sleeper}")
        result = host.run("sh", "-c", script, **as_user("bob"))
        assert result.out == "no\n" and result.err.count("denied") + result.err.count("not permitted") >= 5, result
        assert host.alive(sleeper)
        assert other.ask(f"kill -9 {sleeper} 2>&1 || ps -eo user= | sort -u").split()[-2:] == ["bob", "root"]
        assert host.alive(sleeper)
    wait_gone()


def test_same_names_other_users(shared):
    """One box each for users that come at the same moment by the same profile, with the same group, one by the other's name."""
    users = ("alice", "bob", "carol", "mallory") * 2
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        makers = iter(users)
        with many(lambda: su(next(makers)), 8) as sessions:
            answers = list(pool.map(lambda session: session.ask("id -un; echo $NSBOX_ID; ps -eo user= | sort -u").split(), sessions))
    found = {name: box for name, box, *_ in answers}
    assert [name for name, *_ in answers] == list(users) and len(set(found.values())) == 4
    for name, box, *seen in answers:
        assert box == found[name] and seen == sorted([name, "root"]), answers
    wait_gone()


# -- the control socket --


def client(box, *before, code="connection.send(FIRST); print('answer', bool(connection.recv(256)))"):
    """Something that connects to the socket and says JOIN, started by the words `before`."""
    script = ("import socket, sys\n"
              f"FIRST = {message(JOIN)!r}\n"
              "connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); connection.settimeout(5)\n"
              "try:\n"
              f"    connection.connect('{BOXES}/{box['id']}/control'); print('connected', flush=True)\n"
              f"    {code}\n"
              "except OSError as error:\n"
              "    print(type(error).__name__)\n")
    return host.run(*before, sys.executable, "-c", script).out.split()


def test_socket_is_root_s(shared):
    """The host's root is answered; a user is kept away by the directory, and one who got past that by the monitor; so is root
    of another PID namespace, of which the box's root is one."""
    with su() as one:
        box, monitor = the_box(), monitor_of(the_box())
        before = descriptors(monitor)
        assert client(box) == ["connected", "answer", "True"]
        for user in ("alice", "bob"):
            assert client(box, "setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups") == ["PermissionError"]
        past_modes = ("setpriv", "--reuid=alice", "--regid=alice", "--clear-groups", "--inh-caps=+dac_override,+dac_read_search",
                      "--ambient-caps=+dac_override,+dac_read_search")
        said = client(box, *past_modes)
        assert said in (["connected", "answer", "False"], ["connected", "ConnectionResetError"],
                        ["connected", "BrokenPipeError"]), said
        said = client(box, "unshare", "--pid", "--fork", "--mount-proc")
        assert said in (["connected", "answer", "False"], ["connected", "ConnectionResetError"],
                        ["connected", "BrokenPipeError"]), said
        assert client(box, "unshare", "--mount") == ["connected", "answer", "True"]  # it is the PID namespace that counts
        assert one.ask("echo fine") == "fine\n"
        assert len(wait_members(1)["members"]) == 1
        host.wait_until(lambda: descriptors(monitor) == before)


@pytest.mark.parametrize("user", ["alice", "root"])
def test_socket_from_inside(shared, user):
    """In the box there is no path to it, not for root either, whatever he unmounts, and no descriptor of it."""
    with su(user) as one:
        box = the_box(user)
        assert one.ask("ls -A /run/nsbox /var/run/nsbox 2>&1 | grep -v 'No such file'") == ""
        assert one.ask("find /run /tmp /var/tmp /dev -name control -o -name boxes 2>/dev/null") == ""
        if user == "root":
            said = one.ask("unshare -m sh -c 'umount -l /run; ls -A /run/nsbox/boxes' 2>/dev/null; "
                           "for pid in /proc/[0-9]*; do ls $pid/root/run/nsbox/boxes; done 2>/dev/null")
            assert said == "", said
        assert box["id"] not in one.ask("cat /proc/net/unix")
        result = one.ask(f"python3 - <<'END'\nimport socket\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
                         f"for name in ('{BOXES}/{box['id']}/control', '\\0{BOXES}/{box['id']}/control'):\n"
                         "    try:\n        s.connect(name)\n        print('connected')\n"
                         "    except OSError as error:\n        print(error.errno)\nEND")
        assert result.split() == ["2", "111"], result


def test_root_of_the_box_by_an_accomplice(shared):
    """Root in the box who has been given the socket's directory by root of the host is still none of those who may ask."""
    with su("root") as one:
        box = the_box("root")
        [shell] = [pid for pid in inside(box) if host.comm(pid) == "bash"]
        said = client(box, "nsenter", "-t", str(shell), "--pid")
        assert said and said[-1] != "True", said
        assert client(box)[-1] == "True"
        assert one.ask("echo fine") == "fine\n"


GARBAGE = {
    "nothing": (b"", 0), "a byte": (b"x", 0), "short": (message(JOIN)[:-1], 0), "long": (message(JOIN) + b"\0", 0),
    "very long": (bytes(60000), 0), "noise": (os.urandom(32), 0), "noise with descriptors": (os.urandom(32), 2),
    "another magic": (message(JOIN, magic=0x6e736279), 0), "version 0": (message(JOIN, version=0), 0),
    "version 2": (message(JOIN, version=2), 0), "another type": (message(JOIN, kind=1), 0),
    "another size": (message(JOIN, size=33), 0), "reserved": (message(JOIN, reserved=1), 0),
    "no word": (message(0), 0), "unknown word": (message(4), 0), "largest word": (message(0xffffffff), 0),
    "READY": (message(READY), 1), "MEMBER without JOIN": (message(MEMBER), 2), "MEMBER without descriptors": (message(MEMBER), 0),
    "MEMBER with one": (message(MEMBER), 1), "MEMBER with three": (message(MEMBER), 3), "MEMBER with many": (message(MEMBER), 200),
    "JOIN with a descriptor": (message(JOIN), 1), "JOIN with many": (message(JOIN), 200), "READY with two": (message(READY), 2),
    "empty name": (message(JOIN, b""), 0), "short name": (message(JOIN, b"aaaaaaaaa"), 0),
    "long name": (message(JOIN, b"aaaaaaaaaaaa"), 0), "name without end": (message(JOIN, b"aaaaaaaaaaab"), 0),
}


def test_garbage(shared):
    """Root of the host who says anything but what helpers say is dropped, with all descriptors that he sent; the monitor and
    its members stay; a login joins meanwhile and afterwards."""
    with su() as one, contextlib.ExitStack() as stack:
        box, monitor = the_box(), monitor_of(the_box())
        before = descriptors(monitor)
        null = stack.enter_context(open(os.devnull))
        for name, (data, number) in GARBAGE.items():
            for after_join in (False, True):
                with Control(box) as connection:
                    if after_join:
                        connection.join()
                    connection.send(data, [null.fileno()] * number)
                    assert connection.dropped(), (name, after_join)
            host.wait_until(lambda: descriptors(monitor) == before, what=f"nothing is left of {name}")
            assert host.alive(monitor)
        assert timed_su()[0] == box["id"]
        assert one.ask("echo fine") == "fine\n" and wait_members(1)["id"] == box["id"]


def test_order_of_words(shared):
    """JOIN twice, MEMBER of another login, of what is no application, and words after MEMBER."""
    with su() as one, contextlib.ExitStack() as stack:
        box, monitor = the_box(), monitor_of(the_box())
        before = descriptors(monitor)
        null = stack.enter_context(open(os.devnull))
        with Control(box) as connection:
            connection.join().send(message(JOIN))
            assert connection.dropped()
        with Control(box) as connection:
            connection.join().send(message(MEMBER, b"bbbbbbbbbb"), [null.fileno()] * 2)
            assert connection.dropped()
        with Control(box) as connection:
            connection.join().send(message(MEMBER), [null.fileno()] * 2)  # no socket that could hear COMMITTED
            assert connection.dropped()
        for name in (b"../../../x", b"..........", b"AAAAAAAAAA", b"a/b/c/d/e/"):
            with Control(box) as connection:
                connection.send(message(JOIN, name))
                connection.answer()
        with Control(box) as connection:  # one that waits and says nothing is in nobody's way
            connection.join()
            assert timed_su()[0] == box["id"] and connection.open()
        host.wait_until(lambda: descriptors(monitor) == before)
        assert one.ask("echo fine") == "fine\n"


def test_fd_bomb_in_a_message(shared):
    """Descriptors that hang when they are closed or read harm nobody: a FIFO, a socket with sockets in flight, a directory."""
    import socket
    with su() as one, contextlib.ExitStack() as stack:
        box, monitor = the_box(), monitor_of(the_box())
        before = descriptors(monitor)
        left, right = socket.socketpair()
        stack.callback(left.close)
        stack.callback(right.close)
        directory = os.open("/", os.O_PATH)
        stack.callback(os.close, directory)
        for fds in ([left.fileno(), right.fileno()], [directory, directory], [left.fileno(), directory]):
            for _ in range(20):
                with Control(box) as connection:
                    connection.join().send(message(MEMBER), fds)
        host.wait_until(lambda: descriptors(monitor) == before)
        assert timed_su()[0] == box["id"] and one.ask("echo fine") == "fine\n"


def test_connect_and_drop(shared):
    """Line 23. A thousand connections that end, with and without a word, while others log in: as before."""
    with su() as one:
        box, monitor = the_box(), monitor_of(the_box())
        before, memory = descriptors(monitor), host.status(monitor)["VmRSS"]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            logins = pool.submit(lambda: [timed_su()[0] for _ in range(10)])
            for number in range(1000):
                with Control(box) as connection:
                    if number % 3:
                        connection.send(message(JOIN))
                    if number % 3 == 2:
                        connection.answer()
            assert set(logins.result()) == {box["id"]}
        host.wait_until(lambda: descriptors(monitor) == before, timeout=10)
        assert int(host.status(monitor)["VmRSS"].split()[0]) <= int(memory.split()[0]) + 64
        host.wait_until(lambda: not host.find("nsbox-helper"))
        assert one.ask("echo fine") == "fine\n" and member_files(wait_members(1)) == [box["id"]]


def test_connections_that_stay(shared):
    """As many as the monitor takes, and as many again that wait: whoever logs in is let in elsewhere, in time."""
    with su() as one, contextlib.ExitStack() as stack:
        box, monitor = the_box(), monitor_of(the_box())
        before = descriptors(monitor)
        for _ in range(180):
            stack.enter_context(Control(box))
            time.sleep(0.001)
        assert timed_su()[0] != one.box
        assert one.ask("echo fine") == "fine\n"
        stack.close()
        host.wait_until(lambda: descriptors(monitor) == before)


def test_forged_leave(shared):
    """A session cannot say LEAVE for another one, nor for itself: the user's processes have no socket of the monitor's."""
    with su() as one, su() as two:
        box = wait_members(2)
        said = one.ask("for pid in /proc/[0-9]*; do ls -l $pid/fd 2>/dev/null; done | grep -c socket:")
        assert int(said) == 0, "su's shells have none at all"
        os.kill(two.process.pid, signal.SIGKILL)
        wait_members(1)
        assert one.ask("echo fine") == "fine\n" and the_box()["id"] == box["id"]


# -- line 9 --


def prey(lines):
    """What peek should not have got."""
    return [line for line in lines if line.startswith("foreign") or line.split()[1].startswith("nsbox") or
            line.split()[0] == "own" and line.split()[1] in ("sshd", "su", "sudo", "cron", "CRON")]


@pytest.mark.parametrize("user", ["alice", "mallory"])
def test_peek_while_others_join(shared, sshd, marker, user):
    """Line 9. A loop over every file of /proc and PTRACE_SEIZE in the box (alice) or outside by another user, while logins join
    by ssh, su and sudo: own processes that run what the user started, nothing else; the joining ones are whole."""
    shared.sudoers("ALL ALL=(ALL) NOPASSWD: ALL\n")
    peek = f"{tool('peek')} {int(SECONDS * host.PATIENCE)}"
    with ssh(sshd) as one:
        one.ask("sleep 1234 </dev/null >/dev/null 2>&1 &")
        if user == "alice":
            process = start(*sshd.command("alice", f"exec {peek}"))
        else:
            process = start(*peek.split(), **as_user(user))
        logins = 0
        command = f"echo $NSBOX_ID $(readlink /proc/self/ns/mnt); ls {marker} 2>&1 | grep -c 'No such'"
        while process.poll() is None:
            for result in (sshd.ssh("alice", command), host.run("su", "alice", "-c", command),
                           host.run("sudo", "-n", "-u", "alice", "sh", "-c", command)):
                # sudo cleans the environment
                assert re.fullmatch(rf"({one.box} )?mnt:\[\d+\]\n1\n", result.out), result
                assert mount_namespace() not in result.out
                logins += 1
        lines = process.stdout.read().decode().splitlines()
        stop(process)
        assert logins >= 6
    if user == "alice":
        assert "own sleep PTRACE_SEIZE" in lines and "own sleep root/." in lines  # the attack works where it may
    assert prey(lines) == []


def test_root_peeks_while_others_join(shared, marker):
    """Line 9. Root in a shared box of root's: he may trace what joins (SECURITY.md), but PID 1's and the joining processes' roots
    and directories are the box's, and no descriptor leads out."""
    script = ("import os, time\nend = time.monotonic() + 2\nfound = set()\nwhile time.monotonic() < end:\n"
              "    for pid in os.listdir('/proc'):\n        if not pid.isdigit():\n            continue\n"
              "        for name in ('root', 'cwd', 'root/proc/1/root'):\n"
              f"            if os.path.exists(f'/proc/{{pid}}/{{name}}{marker}') or os.path.exists(f'/proc/{{pid}}/{{name}}/../../../..{marker}'):\n"
              "                found.add(name)\n"
              "        try:\n            fds = os.listdir(f'/proc/{pid}/fd')\n        except OSError:\n            continue\n"
              "        for fd in fds:\n"
              f"            if os.path.exists(f'/proc/{{pid}}/fd/{{fd}}/..{marker}') or os.path.exists(f'/proc/{{pid}}/fd/{{fd}}{marker}'):\n"
              "                found.add('fd')\n"
              "print(sorted(found), flush=True)\n")
    shared.file("/opt/look", script)
    with su("root") as one, concurrent.futures.ThreadPoolExecutor(1) as pool:
        looking = pool.submit(one.ask, "python3 /opt/look")
        while not looking.done():
            assert host.run("su", "root", "-c", "echo $NSBOX_ID").out == f"{one.box}\n"
            assert host.run("su", "-", "root", "-c", "pwd").out == "/root\n"
        assert looking.result() == "[]\n"


# -- line 21 --


def test_everything_stopped(shared):
    """Line 21. SIGSTOP to all in the box, over and over, and to PID 1, while logins join: let in, in time."""
    shared.nsbox(EVERYBODY + pamapp.SEVERAL_SESSIONS)
    with su() as one:
        one.ask("sleep 1234 </dev/null >/dev/null 2>&1 &")
        [sleeper] = host.wait_until(lambda: host.find("sleep", "1234"))
        one.process.stdin.write(b"while :; do kill -STOP 1 $(pgrep -x sleep); kill -STOP -1; done 2>/dev/null\n")
        one.process.stdin.flush()
        host.wait_until(lambda: host.status(sleeper)["State"].startswith("T"))
        with pamapp.App() as app:
            for _ in range(10):
                began = time.monotonic()
                assert app.do("open", "probe", "alice") == {"code": pamapp.PAM_SUCCESS, "said": [], "changed": {}, "confined": {}}
                assert time.monotonic() - began < WAIT
        assert host.status(the_box()["init_pid"])["State"].startswith("S")
        one.process.kill()
    wait_gone()


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_pid_1_while_logins_join(shared, number):
    """Line 21. PID 1 stopped or killed while logins join, from the host: each is let in or refused within its time, and is
    outside again."""
    shared.nsbox(EVERYBODY + pamapp.SEVERAL_SESSIONS)
    with pamapp.App() as app, concurrent.futures.ThreadPoolExecutor(1) as pool:
        for number_of_round in range(host.count(50, 4)):
            one = su()
            init = one.box and the_box()["init_pid"]
            result = pool.submit(lambda: [app.do("open", "probe", "alice") for _ in range(3)])
            time.sleep(0.004 * number_of_round)
            os.kill(init, number)
            began = time.monotonic()
            answers = result.result(timeout=20)
            assert time.monotonic() - began < 3 * WAIT
            assert {answer["code"] for answer in answers} <= {pamapp.PAM_SUCCESS, pamapp.PAM_SYSTEM_ERR}
            assert [answer["changed"] for answer in answers] == [{}] * 3
            if number == signal.SIGSTOP:
                assert [answer["code"] for answer in answers] == [pamapp.PAM_SUCCESS] * 3
            one.close()
            wait_gone()
        assert app.do("open", "probe", "alice")["code"] == pamapp.PAM_SUCCESS


def test_root_holds_pid_1(shared):
    """Line 21. Root in the box, if he has the capability for it, holds PID 1 by ptrace(2): logins join, and the box ends all the
    same."""
    shared.nsbox(EVERYBODY + "capabilities = default +cap_sys_ptrace\n")
    with su("root") as one:
        one.ask(f"{tool('trace')} 1 stop >/tmp/said </dev/null & until grep -q ready /tmp/said; do sleep 0.02; done")
        host.wait_until(lambda: host.status(the_box("root")["init_pid"])["State"].startswith("t"))
        assert timed_su("root")[0] == one.box
    wait_gone()


@pytest.mark.parametrize("how", ["ignore", "bomb"])
def test_who_does_not_want_to_end(shared, sshd, how):
    """Line 21. Deaf processes and a fork bomb of one session: the others log out at once, and the last logout ends all."""
    shared.nsbox(EVERYBODY + "pids_max = 150\n")
    with ssh(sshd) as one:
        two = su()
        two.process.stdin.write(f"echo box; {tool('stay')} {how}\n".encode())
        two.process.stdin.flush()
        host.wait_until(lambda: host.find("stay"))
        began = time.monotonic()
        two.hang_up()
        two.close()
        wait_members(1)
        assert time.monotonic() - began < 3
        box = the_box()
        assert box["id"] == one.box and host.find("stay")
        began = time.monotonic()
        result = host.run("su", "alice", "-c", "exec true", timeout=15)  # full, perhaps, but not for ever
        assert time.monotonic() - began < 2 * WAIT and (how == "bomb" or result.rc == 0)
        with su("bob"):
            pass
    wait_gone()
    assert not host.find("stay") and not os.path.exists(box["cgroup"])


# -- line 23 --


def test_clients_that_vanish(shared, sshd):
    """Line 23. Connections that break at any moment of a login that joins leave nothing in the box of those who stay."""
    with ssh(sshd) as one:
        box, monitor = the_box(), monitor_of(the_box())
        before = descriptors(monitor)
        for number in range(host.count(300, 16)):
            client_ = sshd.popen("alice", "echo in; exec cat")
            time.sleep(0.05 + 0.012 * (number % 16))
            client_.kill()
            client_.communicate()
        host.wait_until(lambda: not sshd.monitors("alice")[1:], timeout=10)
        assert wait_members(1)["id"] == box["id"] and len(records()) == 1
        host.wait_until(lambda: descriptors(monitor) == before)
        assert one.ask("echo fine; pgrep -c -x cat") == "fine\n0\n"


def test_applications_that_vanish(shared):
    """Line 23. kill -9 of su at any moment of a login that joins, many at once."""
    with su() as one:
        box, monitor = the_box(), monitor_of(the_box())
        before = descriptors(monitor)
        for number in range(host.count(100, 12)):
            victims = [subprocess.Popen(["su", "alice", "-c", "sleep 1000"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                       for _ in range(4)]
            for position, victim in enumerate(victims):
                time.sleep(0.0015 * (number % 12) + 0.001 * position)
                victim.kill()
            for victim in victims:
                victim.wait()
        host.wait_until(lambda: not host.find("nsbox-helper"), timeout=10)
        assert wait_members(1)["id"] == box["id"]
        host.wait_until(lambda: descriptors(monitor) == before)
        assert one.ask("echo fine") == "fine\n"


# -- line 25 --


def led_out(text):
    """What walk-fds reports; it must have looked at some."""
    assert re.search(r"^looked at [1-9]", text, re.M), text
    return re.findall(r"^OUT .*", text, re.M)


def test_descriptors_of_joined_sessions(shared, sshd, marker):
    """Line 25. What a joined session's processes hold, by ssh with and without a terminal, in channels, by su, sudo and cron: no
    way out. The box is one that lived before."""
    walk = f"{tool('walk-fds')} {marker}"
    shared.sudoers("ALL ALL=(ALL) NOPASSWD: ALL\n")
    with ssh(sshd) as one, su("root") as roots:
        assert led_out(sshd.ssh("alice", walk).out) == []
        assert led_out(sshd.ssh("alice", walk, tty=True).out.replace("\r", "")) == []
        with sshd.master("alice") as opts:
            for _ in range(2):
                assert led_out(sshd.ssh("alice", walk, opts=opts).out) == []
        assert led_out(host.run("su", "alice", "-c", f"echo {walk}; {walk}", cwd="/srv").out) == []
        assert led_out(host.run("su", "-", "alice", "-c", walk, cwd="/srv").out) == []
        assert led_out(host.run("sudo", "-n", "-u", "alice", *walk.split(), cwd="/srv").out) == []
        assert led_out(cron_job(shared, "alice", walk)) == []
        assert led_out(host.run("su", "root", "-c", walk, cwd="/srv").out) == []
        assert led_out(sshd.ssh("root", walk).out) == []
        assert the_box("alice")["id"] == one.box and the_box("root")["id"] == roots.box


def test_descriptors_of_a_hostile_caller(shared, marker):
    """Line 25. Directories, namespaces and groups that su's caller had open lead nowhere from a joined session either."""
    shared.pam("su", first=OPEN_TO_ALL)
    script = ("import os, sys; fds = [os.open(p, f) for p, f in (('/', 0), ('/srv', 0), ('/proc', 0), ('/proc/self/ns/mnt', 0), "
              f"('/proc/self/ns/pid', 0), ('/', os.O_PATH), ('{host.cgroup_tree()}', 0))]; "
              "[os.set_inheritable(fd, True) for fd in fds]; os.chdir('/srv'); os.execvp(sys.argv[1], sys.argv[1:])")
    with su("bob") as one:
        walk = f"echo box $NSBOX_ID; {tool('walk-fds')} {marker}"
        result = host.run(sys.executable, "-c", script, "su", "bob", "-c", walk, **as_user("alice"))
        assert f"box {one.box}\n" in result.out and led_out(result.out) == []


def test_descriptors_of_who_runs_the_box(shared, sshd):
    """Line 25. PID 1 of a shared box holds no socket; sshd's child, which never execs, holds in a joined session what it holds
    without the module; sshd's root process has nothing that an exec would hand down."""
    def child_holds():
        [child] = host.children(sorted(sshd.monitors("alice"))[-1])
        return sorted(re.sub(r"\d+", "N", target) for target in host.descriptors(child).values())
    shared.pam("sshd", variant="none")
    with sshd.session("alice"):
        without = child_holds()
    shared.pam("sshd")
    with ssh(sshd) as one, sshd.session("alice"):
        box = wait_members(2)
        assert box["id"] == one.box and child_holds() == without
        held = sorted(re.sub(r"\d+", "N", target) for target in host.descriptors(box["init_pid"]).values())
        assert held == ["/dev/null", "/dev/null", "/dev/null", "anon_inode:[signalfd]", "pipe:[N]"]
        for application in box["members"]:
            for fd, target in host.descriptors(application).items():
                assert "/sys/fs/cgroup" not in target and "nsbox" not in target
                if re.search(r"pidfd|^(mnt|pid|net|uts|ipc|cgroup):\[", target):
                    flags = host.read(f"/proc/{application}/fdinfo/{fd}")
                    assert int(re.search(r"flags:\s+(\d+)", flags).group(1), 8) & os.O_CLOEXEC, target


def test_terminal_of_a_joined_session(shared, marker):
    """Line 16 and 25. su on the host's terminal: a joined one, too, has a box of its kind, and nothing on it leads out."""
    children = []
    for _ in range(2):
        child = host.spawn("su", "alice", "-c", f"echo box=$NSBOX_ID; {tool('walk-fds')} {marker}; cat")
        child.expect(r"box=(\w+)\r")
        box = child.match.group(1)
        child.expect(r"looked at \d+\r")
        assert led_out((child.before + child.after).replace("\r", "")) == []
        children.append((child, box))
    assert children[0][1] == children[1][1]
    for child, _ in children:
        child.sendeof()
        child.expect(pexpect.EOF)
        child.close()


# -- traps in a box that is there --


def test_traps_for_root_s_work_in_the_box(shared, sshd):
    """What the user prepares in the places that root's programs use while they log him in (agent, X11, motd, mail, locale) does
    nothing to the host, and the next session starts."""
    names = ("/etc/passwd", "/etc/shadow", "/run/utmp", "/var/log/wtmp")
    before = [pathlib.Path(name).stat().st_mode for name in names]
    with ssh(sshd) as one:
        one.ask("umask 0; mkdir -p /tmp/.X11-unix; ln -s /etc/shadow /tmp/.X11-unix/X10; ln -s /etc/passwd /run/user/$UID/Xauthority; "
                "mkfifo /tmp/ssh-fifo; ln -s / /tmp/root; exec 2>/dev/null")
        began = time.monotonic()
        result = sshd.ssh("alice", "echo $NSBOX_ID", tty=True)
        assert result.out.strip() == one.box and time.monotonic() - began < WAIT
    assert [pathlib.Path(name).stat().st_mode for name in names] == before
