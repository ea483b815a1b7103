# SPDX-License-Identifier: BSD-3-Clause
"""Sessions of the real sshd: each login is one box, and the user notices nothing else."""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import time

import pexpect
import pytest

from lib import host, syslog
from lib.sshd import Sshd

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

PROFILE = "[profile all]\nusers = *\nnetwork = loopback\n"
STOP_TIMEOUT = 2.0  # the default
LEAVE_MARGIN = 1.0  # what may be added to it
# In proportion to how fast the machine is: so what waits for stop_timeout is told from what returns at once.
STRETCHED = f"{PROFILE}stop_timeout = {STOP_TIMEOUT * host.PATIENCE:.0f}s\n"
MEGABYTES = 30
REFUSAL = re.compile(r"^Login refused: your session could not be isolated \(nsbox ([a-z0-9]{10})\)\. "
                     r"Ask the administrator\.\r?$", re.M)


@pytest.fixture(params=["two", "one"])
def boxed(request, conf):
    """Everybody who comes by ssh is boxed, with each of the two ways to write the stack."""
    start = syslog.mark()
    conf.pam("sshd", variant=request.param)
    conf.remove("/root/.bashrc")  # the machine's, whatever it does
    conf.nsbox(PROFILE)
    yield conf
    syslog.wait_for(r"pam_nsbox\(sshd:\w+\): nsbox \w+: (session|login) of ", start)  # else nothing was tested


@pytest.fixture
def boxed_two(conf):
    """As `boxed`, for what does not depend on the way the stack is written."""
    start = syslog.mark()
    conf.pam("sshd")
    conf.remove("/root/.bashrc")  # the machine's, whatever it does
    conf.nsbox(PROFILE)
    yield conf
    syslog.wait_for(r"pam_nsbox\(sshd:\w+\): nsbox \w+: (session|login) of ", start)  # else nothing was tested


@pytest.fixture
def scratch():
    """A directory that belongs to alice and is the same in her home inside and outside."""
    path = pathlib.Path("/home/alice/scratch")
    path.mkdir()
    os.chown(path, 2001, 2001)
    yield path
    shutil.rmtree(path)


@contextlib.contextmanager
def server(**options):
    """An sshd with a configuration of its own."""
    own = Sshd(**options)
    try:
        yield own
    finally:
        own.stop()


def boxes():
    """Pids of the living nsbox-inits, as the host sees them."""
    return host.find("nsbox-init")


def wait_for_boxes(number):
    """Boxes of logins before may still be ending."""
    host.wait_until(lambda: len(boxes()) == number, timeout=STOP_TIMEOUT + LEAVE_MARGIN, what=f"{number} boxes")


def wait_for(argument):
    """Until `sleep argument` runs: a session is ready a moment before its command is executed."""
    host.wait_until(lambda: host.find("sleep", argument), what="sleep runs")


def wait_gone(argument):
    """Until no `sleep argument` is left, in the time that a logout may take."""
    host.wait_until(lambda: not host.find("sleep", argument), timeout=STOP_TIMEOUT + LEAVE_MARGIN, what="sleep is gone")


def box_of(sshd, user, opts=()):
    """(NSBOX_ID, namespaces) of a session."""
    script = "echo $NSBOX_ID; readlink /proc/self/ns/*"
    result = sshd.ssh(user, script, opts=opts)
    words = result.out.split()
    assert result.rc == 0 and len(words) == 1 + len(os.listdir("/proc/self/ns")), result
    return words[0], dict(re.fullmatch(r"(\w+):\[(\d+)\]", word).groups() for word in words[1:])


def run_python(sshd, user, script, opts=()):
    """Runs Python in a session; returns what it printed, as JSON."""
    result = sshd.ssh(user, "python3", "-", input=script, opts=opts)
    assert result.rc == 0, result
    return json.loads(result.out)


def digest(data):
    return hashlib.sha256(data).hexdigest()


# -- a command --


def test_command_runs_in_a_box(boxed, sshd, baseline):
    """A command sees the namespaces of a box, and the ids, home and directory of a plain login."""
    result = sshd.ssh("alice", "echo $NSBOX_ID; id; pwd; readlink /proc/self/ns/pid")
    assert result.rc == 0 and result.err == "", result
    ident, ids, directory, namespace = result.out.splitlines()
    assert re.fullmatch("[a-z0-9]{10}", ident)
    assert ids + "\n" == host.run("id", "alice", check=True).out
    assert directory == "/home/alice"
    assert namespace != f"pid:[{host.namespaces()['pid']}]"


def test_each_login_is_a_new_box(boxed_two, sshd, baseline):
    """Ids and namespaces are used once."""
    first, second = box_of(sshd, "alice"), box_of(sshd, "alice")
    assert first[0] != second[0]


def test_processes_of_the_session_are_in_the_box(boxed, sshd, baseline):
    """sshd's user child and the command are in the box's PID namespace as 2 and 3; the monitor is not."""
    with sshd.session("alice"):
        init, = boxes()
        monitor, = sshd.monitors("alice")
        inside = sorted(host.descendants(monitor))
        assert [host.inner_pids(pid)[-1] for pid in inside] == [2, 3]
        host.wait_until(lambda: [host.comm(pid) for pid in inside] == ["sshd", "cat"], what="sshd's child and cat")
        for pid in inside:
            assert host.namespaces(pid) == host.namespaces(init)
        assert host.namespaces(monitor)["pid"] == host.namespaces()["pid"]
        assert host.namespaces(monitor)["mnt"] == host.namespaces(init)["mnt"]


def test_exit_status(boxed_two, sshd, baseline):
    """Each status comes through unchanged."""
    wanted = range(256) if host.full() else [0, 1, 2, 63, 126, 127, 128, 137, 254, 255]
    with sshd.master("alice") as opts:
        assert [sshd.ssh("alice", f"exit {status}", opts=opts).rc for status in wanted] == list(wanted)


def test_exit_status_of_a_login_each(boxed, sshd, baseline):
    """The same where the end of the command is the end of the box."""
    for status in (0, 1, 42, 254):
        assert sshd.ssh("alice", f"exit {status}").rc == status


def test_exit_by_signal(boxed_two, sshd, baseline):
    """A command that dies of a signal is told to the client as such."""
    result = sshd.ssh("alice", "kill -SEGV $$", opts=("-o", "LogLevel=DEBUG"))
    assert result.rc == 255 and "rtype exit-signal" in result.err, result
    assert sshd.ssh("alice", "sh -c 'kill -KILL $$'; echo $?").out == "137\n"


def test_standard_error_is_apart(boxed_two, sshd, baseline):
    """The three streams are three streams."""
    result = sshd.ssh("alice", "cat; echo problem >&2", input="data")
    assert (result.out, result.err) == ("data", "problem\n")


def test_output_unharmed(boxed_two, sshd, baseline, scratch):
    """30 MB come out as they are."""
    data = os.urandom(MEGABYTES << 20)
    (scratch / "data").write_bytes(data)
    result = sshd.ssh("alice", "cat scratch/data; test -n \"$NSBOX_ID\"", text=False, timeout=60)
    assert result.rc == 0 and digest(result.out) == digest(data)


def test_input_unharmed(boxed_two, sshd, baseline):
    """30 MB come in as they are."""
    data = os.urandom(MEGABYTES << 20)
    result = sshd.ssh("alice", "sha256sum; test -n \"$NSBOX_ID\"", input=data, text=False, timeout=60)
    assert result.rc == 0 and result.out.split()[0].decode() == digest(data)


def test_output_of_the_last_moment_arrives(boxed_two, sshd, baseline):
    """What was written right before the end is not cut off when the box ends."""
    for _ in range(host.count(50, 5)):
        assert len(sshd.ssh("alice", "head -c 300000 /dev/zero; exit 3", text=False).out) == 300000


# -- a terminal --


def interactive(sshd, user, **options):
    """A login shell at its prompt, on a terminal that knows no tricks."""
    child = sshd.spawn(user, opts=("-o", "SetEnv=TERM=dumb"), timeout=10, **options)
    child.expect("[$#] ")
    return child


def test_terminal_is_the_boxs_own(boxed, sshd, baseline):
    """The terminal is /dev/pts/0 of a devpts that the host does not share."""
    before = sorted(os.listdir("/dev/pts"))
    with sshd.session("alice", "sh -c 'tty; stat -c %d:%t:%T:%G /dev/pts/0; ls -1 /dev/pts; cat'", tty=True) as process:
        lines = [process.stdout.readline().decode().strip() for _ in range(4)]
        assert lines[0] == "/dev/pts/0"
        device, _, minor, group = lines[1].split(":")
        assert minor == "0" and group == "tty"
        assert int(device) != os.stat("/dev/pts").st_dev
        assert set(lines[2:]) == {"0", "ptmx"}
        assert sorted(os.listdir("/dev/pts")) == before  # the client has no terminal: -tt


def test_terminal_window_size(boxed_two, sshd, baseline):
    """The size at the start and a later change both arrive."""
    child = interactive(sshd, "alice", dimensions=(31, 117))
    child.sendline("stty size")
    child.expect("31 117\r\n")
    child.sendline("trap 'echo changed; stty size' WINCH; echo set")
    child.expect("\nset\r\n")
    child.setwinsize(40, 99)
    child.sendline("")
    child.expect("changed\r\n40 99\r\n")
    child.sendline("exit 5")
    assert finish(child) == 5


def test_terminal_keys(boxed, sshd, baseline):
    """Ctrl-C interrupts, Ctrl-Z stops, Ctrl-D ends: the session leads a session with a controlling terminal."""
    child = interactive(sshd, "alice")
    assert "no job control" not in child.before
    child.sendline("sleep 1000")
    wait_for("1000")
    child.sendcontrol("c")
    child.expect(r"\^C")
    child.expect(r"\$ ")
    child.sendline("echo status $?")
    child.expect("status 130\r\n")
    child.sendline("sleep 1001")
    wait_for("1001")
    child.sendcontrol("z")
    child.expect("Stopped +sleep 1001")
    child.sendline("kill -KILL %1; ps -o tty= $$; echo to the terminal >/dev/tty")
    child.expect("pts/0 *\r\n")
    child.expect("\nto the terminal\r\n")
    child.expect(r"\$ ")
    child.sendline("")
    child.expect(r"\$ ")
    child.sendcontrol("d")
    assert finish(child) == 0


def test_terminal_settings(boxed_two, sshd, baseline):
    """stty sets and shows, and echo can be switched off."""
    child = interactive(sshd, "alice")
    child.sendline("stty -echo; stty -a | tr ' ' '\\n' | grep -x -e -echo; echo told")
    child.expect("\n-echo\r\n")
    child.expect("told\r\n")
    child.sendline("echo $((6 * 7))")
    assert child.expect(["echo \\$", "42\r\n"]) == 1
    child.sendline("exit")
    finish(child)


def test_two_terminals_of_one_connection(boxed_two, sshd, baseline):
    """The second terminal of a box is /dev/pts/1."""
    with sshd.master("alice") as opts:
        first = sshd.spawn("alice", "tty; read x", opts=opts)
        first.expect("/dev/pts/0\r\n")
        assert sshd.ssh("alice", "tty", opts=opts, tty=True).out == "/dev/pts/1\n"
        first.sendline("")
        finish(first)


def test_two_logins_have_the_same_terminal_name(boxed_two, sshd, baseline):
    """Each box counts its terminals from 0, and neither sees the other's."""
    children = [sshd.spawn(user, "tty; ls -1 /dev/pts; read x") for user in ("alice", "bob")]
    for child in children:
        child.expect("/dev/pts/0\r\n")
        assert child.expect(["\n1\r", "ptmx\r\n"]) == 1
    for child in children:
        child.sendline("")
        finish(child)


# -- files --


def end(process):
    """Ends a client that popen() started."""
    process.stdin.close()
    process.terminate()
    process.wait(10 * host.PATIENCE)
    process.stdout.close()
    process.stderr.close()


@contextlib.contextmanager
def client(sshd, user, *words, opts=()):
    """A session that goes on, and is ended after the block."""
    process = sshd.popen(user, *words, opts=opts)
    try:
        yield process
    finally:
        end(process)


def boxed_processes(name):
    """[(pid, number in the box)] of the processes of this name in any box."""
    inside = {host.namespaces(init).get("pid") for init in boxes()}
    return [(pid, host.inner_pids(pid)[-1]) for pid in host.find(name) if host.namespaces(pid).get("pid") in inside]


def root_of(pid):
    """Where the process's root is; None if it has ended meanwhile."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/root")


def finish(child):
    """Waits for the end of a session on a terminal; its exit status."""
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


@pytest.mark.parametrize("kind, name", [("internal", "sshd"), ("external", "sftp-server")])
def test_sftp(boxed, baseline, scratch, tmp_path, kind, name):
    """Files go both ways unharmed, /tmp is the box's, and the program that serves them is in the box."""
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(os.urandom(1 << 20))
    with server(sftp=kind) as sshd:
        batch = (f"put {source} scratch/file\nget scratch/file {back}\nput {source} /tmp/in-the-box\n"
                 "ls -1 /tmp\nrename scratch/file scratch/renamed\n")
        result = sshd.sftp("alice", batch)
        assert result.rc == 0, result
        assert back.read_bytes() == source.read_bytes() == (scratch / "renamed").read_bytes()
        assert re.search(r"^(/tmp/)?in-the-box *$", result.out, re.M)
        assert not os.path.exists("/tmp/in-the-box")
        with client(sshd, "alice", "sftp", opts=("-s",)):
            host.wait_until(lambda: 3 in dict(boxed_processes(name)).values(), what="the server is in the box")


@pytest.fixture
def jail():
    """A tree for ChrootDirectory with a place where bob may write."""
    top = pathlib.Path("/srv/jail")
    (top / "in").mkdir(parents=True)
    os.chown(top / "in", 2002, 2002)
    yield top
    shutil.rmtree(top)


def test_sftp_with_chroot(boxed, baseline, jail, tmp_path):
    """ChrootDirectory holds in the box as outside: "/" is the jail, and the file arrives in it."""
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(os.urandom(1 << 20))
    with server(match=f"Match User bob\n  ChrootDirectory {jail}\n  ForceCommand internal-sftp\n") as sshd:
        result = sshd.sftp("bob", f"ls -1 /\nput {source} in/file\nget in/file {back}\n-ls /etc\n")
        assert result.rc == 0 and back.read_bytes() == source.read_bytes(), result
        assert re.search(r"^/?in *$", result.out, re.M) and "/etc" in result.err
        assert (jail / "in/file").read_bytes() == source.read_bytes()
        with client(sshd, "bob", "sftp", opts=("-s",)):
            host.wait_until(lambda: [pid for pid, _ in boxed_processes("sshd")
                                     if root_of(pid) == str(jail)],
                            what="the server is chrooted in the box")


@pytest.mark.parametrize("protocol", [(), ("-O",)], ids=["sftp", "rcp"])
def test_scp(boxed_two, sshd, baseline, scratch, tmp_path, protocol):
    """scp works both ways, with either protocol."""
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(os.urandom(1 << 20))
    assert sshd.scp(str(source), f"alice@box:{scratch}/copy", opts=protocol).rc == 0
    assert (scratch / "copy").read_bytes() == source.read_bytes()
    assert os.stat(scratch / "copy").st_uid == 2001
    assert sshd.scp(f"alice@box:{scratch}/copy", str(back), opts=protocol).rc == 0
    assert back.read_bytes() == source.read_bytes()
    assert sshd.scp(str(source), "alice@box:/tmp/gone-at-logout", opts=protocol).rc == 0
    assert not os.path.exists("/tmp/gone-at-logout")


# -- several channels --


@pytest.mark.parametrize("user", ["alice", "root"])
def test_channels_of_one_connection_share_the_box(boxed, sshd, baseline, user):
    """Three commands one after the other are in one box: the first one's end ends nothing, its files stay. The end of
    the connection ends the box."""
    with sshd.master(user) as opts:
        seen = []
        for number in range(3):
            seen.append(box_of(sshd, user, opts))
            listed = sshd.ssh(user, f"touch /tmp/file-{number}; ls /tmp", opts=opts).out.split()
            assert {name for name in listed if name.startswith("file-")} == {f"file-{n}" for n in range(number + 1)}
        assert seen[0] == seen[1] == seen[2]
        wait_for_boxes(1)
    wait_for_boxes(0)


def test_channels_at_the_same_time(boxed_two, sshd, baseline):
    """Commands that run at once see each other, and the second one's end leaves the first alone."""
    with sshd.master("alice") as opts:
        with sshd.session("alice", "sleep 777", opts=opts) as first:
            wait_for("777")
            assert "sleep 777" in sshd.ssh("alice", "ps ax", opts=opts).out
            assert first.poll() is None
            assert host.find("sleep", "777")


# -- the environment --


PAM_ENVIRONMENT = "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/2001/bus\nKEPT=yes\n"


def environment_of(sshd, user="alice"):
    text = sshd.ssh(user, "cat /proc/self/environ").out
    return dict(item.split("=", 1) for item in text.split("\0") if item)


@pytest.fixture
def with_bus(conf):
    """A stack that sets the address of the user's bus, as pam_systemd does."""
    conf.file("/etc/security/bus-environment", PAM_ENVIRONMENT)
    line = "session required pam_env.so conffile=/dev/null envfile=/etc/security/bus-environment"

    def write(variant):
        conf.nsbox(PROFILE)
        conf.pam("sshd", variant=variant, before_open=[line])
    return write


def test_environment(with_bus, sshd, baseline):
    """A box adds NSBOX_ID and its place for X cookies, takes the bus address away and changes nothing else."""
    changing = {"SSH_CLIENT", "SSH_CONNECTION"}
    with_bus("none")
    plain = environment_of(sshd)
    assert plain["DBUS_SESSION_BUS_ADDRESS"] == "unix:path=/run/user/2001/bus" and "NSBOX_ID" not in plain
    for variant in ("one", "two"):
        with_bus(variant)
        inside = environment_of(sshd)
        assert re.fullmatch("[a-z0-9]{10}", inside.pop("NSBOX_ID"))
        assert inside.pop("XAUTHORITY") == "/run/user/2001/Xauthority"
        expected = {name: value for name, value in plain.items() if name != "DBUS_SESSION_BUS_ADDRESS"}
        for name in changing:
            inside.pop(name), expected.pop(name, None)
        assert inside == expected and inside["KEPT"] == "yes"


def test_force_command(boxed, baseline):
    """ForceCommand runs instead of what was asked for, in the box."""
    match = "Match User alice\n  ForceCommand echo forced $NSBOX_ID instead of $SSH_ORIGINAL_COMMAND\n"
    with server(match=match) as sshd:
        result = sshd.ssh("alice", "id")
        assert re.fullmatch("forced [a-z0-9]{10} instead of id\n", result.out), result
        assert sshd.ssh("bob", "id -un").out == "bob\n"


# -- root --


def test_root_is_boxed_too(boxed_two, sshd, baseline):
    """For root sshd has no separate process: the session is boxed all the same, with a terminal or without."""
    result = sshd.ssh("root", "id -u; echo $NSBOX_ID; cat /run/host/container-manager; readlink /proc/self/ns/pid")
    assert result.rc == 0 and result.err == "", result
    lines = result.out.split()
    assert lines[0] == "0" and len(lines[1]) == 10 and lines[2] == "nsbox"
    assert lines[3] != f"pid:[{host.namespaces()['pid']}]"
    assert sshd.ssh("root", "exit 42").rc == 42
    child = interactive(sshd, "root")
    child.sendline("tty; echo $((6 * 7))")
    child.expect("/dev/pts/0\r\n42\r\n")
    child.sendline("exit 6")
    assert finish(child) == 6


def test_root_output_input_and_files(boxed_two, sshd, baseline, tmp_path):
    """30 MB both ways, sftp and scp, as root."""
    data = os.urandom(MEGABYTES << 20)
    result = sshd.ssh("root", "cat; test -n \"$NSBOX_ID\"", input=data, text=False, timeout=60)
    assert result.rc == 0 and digest(result.out) == digest(data)
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(data[:1 << 20])
    assert sshd.sftp("root", f"put {source} /tmp/file\nget /tmp/file {back}\n").rc == 0
    assert back.read_bytes() == source.read_bytes() and not os.path.exists("/tmp/file")
    assert sshd.scp(str(source), "root@box:/tmp/file").rc == 0
    assert not os.path.exists("/tmp/file")


def test_root_is_not_boxed_where_no_profile_names_root(conf, sshd, baseline):
    """Whom no profile names stays on the host."""
    conf.pam("sshd")
    conf.nsbox("[profile people]\nusers = * !root\nnetwork = loopback\n")
    result = sshd.ssh("root", "readlink /proc/self/ns/pid; echo id=$NSBOX_ID")
    assert result.out == f"pid:[{host.namespaces()['pid']}]\nid=\n"
    assert sshd.ssh("alice", "readlink /proc/self/ns/pid").out.strip() != f"pid:[{host.namespaces()['pid']}]"


# -- the beginning and the end --


@pytest.mark.parametrize("how", ["terminate", "kill"])
@pytest.mark.parametrize("user", ["alice", "root"])
def test_connection_without_a_command(boxed, sshd, baseline, user, how):
    """`ssh -N` has a box, which ends with the client, however that ends."""
    with client(sshd, user, opts=("-N",)) as process:
        host.wait_until(boxes, what="there is a box")
        getattr(process, how)()
    wait_for_boxes(0)


def test_killed_client_takes_its_command_along(boxed_two, sshd, baseline):
    """A command that still runs when the client is killed does not survive."""
    with sshd.session("alice", "sleep 778") as process:
        wait_for("778")
        process.kill()
        process.wait()
        wait_gone("778")


def stubborn(argument, trap="trap '' HUP TERM"):
    """Shell that starts `sleep argument` so that it ignores HUP and TERM, and waits until it does."""
    return (f"({trap}; exec setsid sleep {argument}) </dev/null >/dev/null 2>&1 & "
            f"while ! pgrep -fx 'sleep {argument}' >/dev/null; do sleep 0.01; done; ")


@pytest.mark.parametrize("user", ["alice", "root"])
def test_logout_returns_at_once_and_ends_stubborn_jobs(boxed_two, sshd, baseline, user):
    """A background job that ignores HUP and TERM does not hold up the logout, and is gone soon after it."""
    boxed_two.nsbox(STRETCHED)
    usual = min(timed(lambda: sshd.ssh(user, stubborn("778", trap=":") + "echo started"))[0] for _ in range(3))
    took, result = timed(lambda: sshd.ssh(user, stubborn("779") + "echo started"))
    assert result.out == "started\n" and result.rc == 0, result
    assert took < usual + 0.7 * host.PATIENCE, (took, usual)
    assert host.find("sleep", "779")  # else nothing was shown
    wait_gone("779")
    wait_for_boxes(0)


def timed(function):
    start = time.monotonic()
    result = function()
    return time.monotonic() - start, result


def test_logout_from_a_terminal_with_a_stubborn_job(boxed_two, sshd, baseline):
    """The same from an interactive shell."""
    boxed_two.nsbox(STRETCHED)
    child = interactive(sshd, "alice")
    child.sendline(stubborn("780") + "disown; exit 0")
    took, _ = timed(lambda: finish(child))
    assert took < 1 * host.PATIENCE, took
    wait_gone("780")


def test_jobs_are_told_before_they_are_killed(boxed_two, sshd, baseline, scratch):
    """A job that needs a second to put its things in order has it, and nothing waits longer than it needs."""
    script = ("trap 'sleep 1; echo in order >scratch/job; exit' TERM; trap '' HUP; "
              "echo trapped >scratch/ready; while :; do sleep 0.1; done")
    assert sshd.ssh("alice", f"(sh -c \"{script}\") </dev/null >/dev/null 2>&1 & "
                    "while ! test -s scratch/ready; do sleep 0.05; done").rc == 0
    wait_for_boxes(0)
    assert host.read(scratch / "job") == "in order\n"


def test_stopped_job_is_ended(boxed_two, sshd, baseline):
    """A job that is stopped hears of the end too."""
    boxed_two.nsbox(STRETCHED)
    assert sshd.ssh("alice", "sleep 781 </dev/null >/dev/null 2>&1 & "
                    # a shell that is stopped before its redirections would keep sshd waiting
                    "while ! ps -o comm= $! | grep -q sleep; do sleep 0.02; done; kill -STOP $!").rc == 0
    took, _ = timed(lambda: wait_for_boxes(0))
    assert took < (STOP_TIMEOUT - 0.5) * host.PATIENCE, took


def test_box_without_stubborn_jobs_ends_at_once(boxed_two, sshd, baseline):
    """stop_timeout is how long may be waited, not how long is waited."""
    boxed_two.nsbox(STRETCHED)
    assert sshd.ssh("alice", "sleep 782 </dev/null >/dev/null 2>&1 &").rc == 0
    took, _ = timed(lambda: wait_for_boxes(0))
    assert took < 1 * host.PATIENCE, took


def test_stop_timeout_is_obeyed(boxed_two, sshd, baseline):
    """A longer stop_timeout lets a stubborn job live longer, a shorter one less."""
    for seconds in (0.5, 3):
        boxed_two.nsbox(PROFILE + f"stop_timeout = {int(seconds * 1000 * host.PATIENCE)}ms\n")
        assert sshd.ssh("alice", stubborn("783")).rc == 0
        took, _ = timed(lambda: host.wait_until(lambda: not host.find("sleep", "783"), what="the job is gone"))
        assert seconds - 0.3 < took / host.PATIENCE < seconds + LEAVE_MARGIN, (took, seconds)
        wait_for_boxes(0)


# -- in the box --


ORPHANS = """
import glob, json, os, time
gate, key = os.pipe()
for _ in range(60):
    if os.fork() == 0:
        if os.fork() == 0:
            os.close(key)
            os.read(gate, 1)
            os._exit(0)
        os._exit(0)
    os.wait()
read_end, write_end = os.pipe()
if os.fork() == 0:
    child = os.fork()
    if child == 0:
        while os.getppid() not in (0, 1):
            time.sleep(0.01)
        os.write(write_end, str(os.getppid()).encode())
    os._exit(0)
os.wait()
parent = int(os.read(read_end, 10))

def states():
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            text = open(path).read()
        except OSError:
            continue
        found.append(text.rsplit(")", 1)[1].split()[0])
    return found

most = len(states())
os.close(key)
for _ in range(100):
    if len(states()) <= 5 and "Z" not in states():
        break
    time.sleep(0.05)
print(json.dumps({"parent": parent, "states": states(), "most": most}))
"""


@pytest.mark.parametrize("user", ["alice", "root"])
def test_orphans_are_reaped(boxed_two, sshd, baseline, user):
    """Sixty orphans become children of the box's PID 1 and none of them stays as a zombie."""
    seen = run_python(sshd, user, ORPHANS)
    assert seen["parent"] == 1
    assert seen["most"] > 60
    assert "Z" not in seen["states"] and len(seen["states"]) <= 5, seen


def test_two_boxes_of_one_user_are_separate(boxed_two, sshd, baseline):
    """Two logins of a user share the home and nothing else: not /tmp, processes, host name, shared memory."""
    with sshd.master("alice") as one, sshd.master("alice") as other:
        first, second = box_of(sshd, "alice", one), box_of(sshd, "alice", other)
        assert first[0] != second[0]
        same = {kind for kind in first[1] if first[1][kind] == second[1][kind]}
        assert same <= {"user", "time"}, same
        for place in ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/run/user/2001"):
            assert sshd.ssh("alice", f"echo mine >{place}/separate", opts=one).rc == 0, place
            assert sshd.ssh("alice", f"test -e {place}", opts=other).rc == 0, place
            assert sshd.ssh("alice", f"test -e {place}/separate", opts=other).rc == 1, place
        with sshd.session("alice", "sleep 784", opts=one):
            wait_for("784")
            assert "sleep 784" in sshd.ssh("alice", "ps ax", opts=one).out
            assert "sleep 784" not in sshd.ssh("alice", "ps ax", opts=other).out
        init = min(boxes(), key=lambda pid: str(host.namespaces(pid)["uts"]) != first[1]["uts"])
        host.run("nsenter", "-t", str(init), "-u", "hostname", "renamed", check=True)
        assert sshd.ssh("alice", "uname -n", opts=one).out == "renamed\n"
        assert sshd.ssh("alice", "uname -n", opts=other).out == "testhost\n"
        assert os.uname().nodename == "testhost"


# -- syslog --


def test_syslog_lines(boxed, sshd, baseline):
    """The lines of the module, of the helper, of sshd, of its child in the box and of programs in the box all
    arrive, with one id."""
    start = syslog.mark()
    ident = sshd.ssh("alice", "logger -t probe from the box; echo $NSBOX_ID").out.strip()
    syslog.wait_for(r"^auth.info sshd\[\d+\] Accepted publickey for alice", start)
    opened = syslog.wait_for(rf"^authpriv.info sshd\[\d+\] pam_nsbox\(sshd:session\): nsbox {ident}: session of alice "
                             r"\(profile all\) opened", start)
    monitor = int(re.search(r"sshd\[(\d+)\]", opened)[1])
    child = syslog.wait_for(r"^auth.info sshd\[\d+\] \(says pid 2\) Starting session: command for alice", start)
    assert f"sshd[{monitor}]" not in child
    syslog.wait_for(r"^user.notice probe\[\d+\] .*from the box", start)
    syslog.wait_for(rf"sshd\[{monitor}\] pam_unix\(sshd:session\): session closed for user alice", start)
    syslog.wait_for(rf"^authpriv.info nsbox-helper\[\d+\] box {ident} of alice \(sshd, profile all\) ended", start)
    assert not syslog.matching(r"^\w+\.(warning|err|crit|alert|emerg) ", start)


# -- refusals --


@pytest.mark.parametrize("user", ["alice", "root"])
@pytest.mark.parametrize("command", [("id",), ()], ids=["command", "no command"])
def test_account_hook_refuses(boxed, sshd, baseline, user, command):
    """A session that cannot be boxed is not even begun: sshd closes the connection (with -N as well), the user reads
    why and a reference, and the administrator finds the reference and the reason in the log."""
    boxed.nsbox("[profile all]\nusers = *\nnetwork = loopback\nroot = /srv/missing\n")
    start = syslog.mark()
    opts = ("-o", "LogLevel=INFO", *(() if command else ("-N",)))
    result = sshd.ssh(user, *command, opts=opts)
    assert result.rc == 255 and result.out == "", result
    reference = REFUSAL.search(result.err)
    assert reference, result.err
    assert "Connection closed" in result.err or "Connection reset" in result.err
    line = syslog.wait_for(rf"pam_nsbox\(sshd:account\): nsbox {reference[1]}: login of {user} refused: ", start)
    assert line.startswith("authpriv.err sshd[") and "/srv/missing" in line, line
    syslog.wait_for(f"Access denied for user {user} by PAM account configuration", start)
    assert not syslog.matching("session opened", start)
    assert not boxes()


def test_good_login_after_a_refused_one(boxed, sshd, baseline):
    """A refusal leaves nothing that would hinder the next login."""
    boxed.nsbox("[profile all]\nusers = *\nnetwork = loopback\nroot = /srv/missing\n")
    assert sshd.ssh("alice", "id").rc == 255
    boxed.nsbox(PROFILE)
    assert sshd.ssh("alice", "test -n \"$NSBOX_ID\"").rc == 0


def test_refusal_by_a_later_module_leaves_nothing(conf, sshd, baseline):
    """Where a module behind ours fails, sshd refuses the command, and the box that was opened is closed."""
    conf.nsbox(PROFILE)
    text = "\n".join(["auth required pam_unix.so", "account required pam_unix.so", "session required pam_unix.so",
                      "session required pam_nsbox.so", "session required pam_deny.so", ""])
    conf.pam("sshd", text=text)
    result = sshd.ssh("alice", "echo ran")
    assert "ran" not in result.out and result.rc != 0, result


def test_sshd_under_another_name(conf, baseline):
    """The README's way to try it: a second sshd with a service of its own, whose sessions alone are boxed."""
    conf.nsbox("[profile try]\nusers = *\nservices = sshd-try\nnetwork = loopback\n")
    conf.pam("sshd", "sshd-try")
    with server() as plain, server(name="sshd-try") as boxing:
        assert plain.ssh("alice", "echo id=$NSBOX_ID").out == "id=\n"
        assert re.fullmatch("id=[a-z0-9]{10}\n", boxing.ssh("alice", "echo id=$NSBOX_ID").out)


def test_listener_can_be_restarted_under_a_live_box(boxed_two, baseline):
    """A restart of sshd leaves sessions and their boxes alone."""
    with server() as sshd:
        with sshd.session("alice", "cat") as process:
            sshd.restart()
            process.stdin.write(b"still here\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"still here\n"
            assert sshd.ssh("bob", "test -n \"$NSBOX_ID\"").rc == 0
