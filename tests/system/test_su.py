# SPDX-License-Identifier: BSD-3-Clause
"""su(1): root to alice, alice to bob; directories, terminals, status, environment, nested boxes."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pexpect
import pytest

from lib import host, syslog

BOXED = {"cgroup", "ipc", "mnt", "net", "pid", "uts"}
PROBE = "for n in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$n; done; cat /proc/1/comm"
REFUSAL = r"Login refused: your session could not be isolated \(nsbox (\w{10})\)\. Ask the administrator\."
PROMPT = r"[$#] $"


@pytest.fixture
def everybody(conf):
    """su puts everybody into a box."""
    conf.nsbox("[profile all]\nusers = *\n")
    conf.pam("su", "su-l")
    return conf


@pytest.fixture
def unboxed(conf):
    """su as it is without the product: `with unboxed(): ...`"""
    @contextlib.contextmanager
    def without():
        conf.pam("su", "su-l", variant="none")
        yield
        conf.pam("su", "su-l")
    return without


def differing(text):
    """The namespaces in the text, lines of the form "net:[4026531840]", that are not this process's."""
    mine = host.namespaces()
    found = dict(re.findall(r"(\w+):\[(\d+)\]", text))
    assert set(found) == set(mine), text
    return {kind for kind in found if int(found[kind]) != mine[kind]}


def inodes(text):
    return re.findall(r"\w+:\[\d+\]", text)


def su(*words, **options):
    return host.run("su", *words, **options)


def shell(*command, **options):
    """A shell on a terminal, at its prompt."""
    child = host.spawn(*command, env={**os.environ, "TERM": "dumb", "HISTFILE": ""}, **options)
    child.expect(PROMPT)
    return child


def as_alice(*command, **options):
    """A command of alice's own, by a terminal of hers."""
    return host.spawn("setpriv", "--reuid=alice", "--regid=alice", "--init-groups", *command, **options)


def ask(child, command):
    """Runs a command in the shell; what it printed."""
    child.sendline(f"{command}; echo end'-'of")
    child.expect("end-of\r\n")
    text = child.before.split("\n", 1)[1]
    child.expect(PROMPT)
    return text.replace("\r", "")


def finish(child, *, status=0):
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == status, child


# -- boxes --


@pytest.mark.parametrize("variant", ["two", "one"])
def test_command_is_boxed(everybody, baseline, variant):
    """su -c runs in a box of its own, with the recommended stack and with one line."""
    everybody.pam("su", variant=variant)
    start = syslog.mark()
    result = su("alice", "-c", f"{PROBE}; id -un; ls -l /proc/self/fd | wc -l")
    assert result.rc == 0 and result.err == "", result
    assert differing(result.out) == BOXED
    assert result.out.split()[-3:] == ["nsbox-init", "alice", "5"], "0 to 2 and ls's own"
    line = syslog.wait_for(r"pam_nsbox\(su:session\): nsbox \w{10}: session of alice \(profile all\) opened", start)
    identifier = re.search(r"nsbox (\w{10}):", line)[1]
    syslog.wait_for(rf"box {identifier} of alice \(su, profile all\) ended after \d s", start)


def test_login_shell(everybody, baseline):
    """su - on a terminal: alice's home, the same terminal inside as outside, no trace of root's environment."""
    child = shell("su", "-", "alice")
    outside = host.descriptors(child.pid)[0]
    assert ask(child, "tty").strip() == outside
    assert ask(child, "pwd; id -un").split() == ["/home/alice", "alice"]
    assert differing(ask(child, PROBE)) == BOXED
    numbers = ask(child, "stat -c '%d %r' $(tty)").split()
    info = os.stat(outside)
    assert [int(number) for number in numbers] == [info.st_dev, info.st_rdev], "the same device under the same path"
    child.sendline("exit 5")
    finish(child, status=5)


def test_password(everybody, baseline):
    """alice becomes bob by bob's password; a wrong one makes no box."""
    start = syslog.mark()
    for password, status in (("wrong", 1), ("bobpw", 0)):
        child = as_alice("su", "bob", "-c", f"{PROBE}; id -un")
        child.expect("Password: ")
        child.sendline(password)
        child.expect(pexpect.EOF)
        text = child.before
        child.close()
        assert child.exitstatus == status, text
    assert differing(text) == BOXED and text.split()[-1] == "bob"
    assert len(syslog.matching("session of bob .* opened", start)) == 1


@pytest.mark.parametrize("options", [["-"], [], ["-p"]])
def test_environment(everybody, baseline, options):
    """Sockets of the caller's agent and bus lead out of the box: they are not handed down."""
    environment = {**os.environ, "SSH_AUTH_SOCK": "/tmp/agent", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/bus", "KEEP": "1"}
    result = su(*options, "alice", "-c", "env", env=environment)
    names = dict(line.split("=", 1) for line in result.out.splitlines())
    assert "SSH_AUTH_SOCK" not in names and "DBUS_SESSION_BUS_ADDRESS" not in names
    assert re.fullmatch(r"\w{10}", names["NSBOX_ID"])
    assert ("KEEP" in names) == (options != ["-"])


def test_id_is_the_same(everybody, baseline):
    """User, group and supplementary groups as on the host."""
    for user in ("alice", "bob"):
        assert su(user, "-c", "id; id alice; id bob; id root").out == host.run(
            "setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "sh", "-c",
            "id; id alice; id bob; id root").out


# -- status --


@pytest.mark.parametrize("command", ["exit 0", "exit 7", "kill -TERM $$", "kill -KILL $$", "no-such-command", "exec false"])
def test_status(everybody, baseline, unboxed, command):
    """Exit status, death by a signal and what su prints about it are those of su without a box."""
    with unboxed():
        before = su("alice", "-c", command)
    boxed = su("alice", "-c", command)
    assert (boxed.rc, boxed.out, boxed.err) == (before.rc, before.out, before.err)
    assert before.rc != 0 or command == "exit 0"


@pytest.mark.parametrize("script", ["sleep 1000 & echo $!", "trap '' TERM HUP; sleep 1000 & echo $!",
                                    "setsid -f sleep 1000; setsid sh -c 'trap \"\" TERM HUP INT; sleep 1000' & echo $!"])
def test_background_jobs_die(everybody, baseline, script):
    """su returns at once; what stays behind dies within stop_timeout + 1 s, also where it ignores TERM and HUP."""
    result = su("alice", "-c", f"exec >/tmp/out 2>&1 </dev/null; {script}", timeout=2)
    assert result.rc == 0, result
    host.wait_until(lambda: not host.find("sleep", "1000"), timeout=3, what="the jobs are dead")


def test_terminated_su(everybody, baseline):
    """SIGTERM to su ends its session and its box."""
    process = subprocess.Popen(["su", "alice", "-c", "echo up; exec sleep 1000"], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(10 * host.PATIENCE) != 0
    process.stdout.close()
    host.wait_until(lambda: not host.find("sleep", "1000"), timeout=3)


def test_terminal_hung_up(everybody, baseline):
    """The window is closed: nothing stays."""
    child = shell("su", "alice")
    child.sendline("sleep 1000 &")
    child.expect(PROMPT)
    child.close(force=True)


def test_output_unharmed(everybody, baseline):
    """30 MB arrive as they were sent."""
    text = su("alice", "-c", "head -c 30000000 /dev/zero | tr '\\0' x; echo end").out
    assert len(text) == 30000004 and text.endswith("xend\n") and set(text[:-4]) == {"x"}


# -- the terminal --


def test_job_control(everybody, baseline):
    """Ctrl-C, Ctrl-Z, fg and bg in the box's shell."""
    child = shell("su", "alice")
    child.sendline("sleep 1000")
    host.wait_until(lambda: host.find("sleep", "1000"))
    child.sendintr()
    child.expect(PROMPT)
    assert ask(child, "echo $?").strip() == "130"
    host.wait_until(lambda: not host.find("sleep", "1000"), what="Ctrl-C ended it")
    child.sendline("cat")
    host.wait_until(lambda: host.find("cat"))
    child.sendcontrol("z")
    child.expect(r"Stopped\s+cat")
    child.expect(PROMPT)
    child.sendline("fg")
    child.expect("cat\r\n")
    child.sendline("hello")
    child.expect("hello\r\nhello\r\n")
    child.sendcontrol("d")
    child.expect(PROMPT)
    assert ask(child, "sleep 0.1 & wait; jobs; echo $?").split()[-1] == "0"
    child.sendline("exit")
    finish(child)


def test_job_control_of_the_outer_shell(everybody, baseline):
    """The terminal is shared: the outer shell stops su and goes on with it."""
    child = shell("bash", "--norc", "-i")
    child.sendline("su alice")
    child.expect(PROMPT)
    inner = ask(child, PROBE)
    assert differing(inner) == BOXED
    child.sendline("suspend -f")
    child.expect(r"Stopped\s+su alice")
    child.expect(PROMPT)
    assert differing(ask(child, PROBE.replace("; cat /proc/1/comm", ""))) == set()
    child.sendline("fg")
    child.expect("su alice\r\n")
    child.sendline("")
    child.expect(PROMPT)
    assert inodes(ask(child, PROBE)) == inodes(inner)
    child.sendline("exit 3")
    child.expect(PROMPT)
    assert ask(child, "echo status $?").split() == ["status", "3"]
    assert ask(child, "echo the terminal is mine; stty -a | head -n 1").startswith("the terminal is mine\nspeed")
    child.sendline("exit")
    finish(child)


def test_interrupt_of_a_command(everybody, baseline, unboxed):
    """Ctrl-C with su -c: the same end as without a box."""
    def interrupted():
        child = host.spawn("su", "alice", "-c", "echo up; exec sleep 1000")
        child.expect("up\r\n")
        child.sendintr()
        child.expect(pexpect.EOF)
        child.close()
        return child.before, child.exitstatus, child.signalstatus
    with unboxed():
        before = interrupted()
    assert interrupted() == before


def test_own_terminal(everybody, baseline):
    """su --pty makes a terminal of its own, inside: it has a name there and works."""
    child = shell("su", "--pty", "alice")
    outside = host.descriptors(child.pid)[0]
    inside = ask(child, "tty").strip()
    assert re.fullmatch(r"/dev/pts/\d+", inside) and inside != outside
    assert differing(ask(child, PROBE)) == BOXED
    child.sendline("cat")
    host.wait_until(lambda: host.find("cat"))  # before it runs the shell would have the signal
    child.sendcontrol("c")
    child.expect(PROMPT)
    assert ask(child, "echo works >$(tty)").strip() == "works"
    child.sendline("exit 6")
    finish(child, status=6)


# -- directories --


@pytest.fixture
def root(everybody):
    """A directory with bash and a few other programs, for `root =`."""
    path = pathlib.Path("/srv/su-root")
    for name in ("bin", "lib64", "proc", "sys", "dev", "run", "tmp", "var/tmp", "etc", "home/alice", "srv"):
        (path / name).mkdir(parents=True)
    libraries = re.findall(r"(/\S+) \(0x", host.run("ldd", "/bin/bash", check=True).out)
    for library in libraries:
        (path / library[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, path / library[1:])
    shutil.copy("/bin/bash", path / "bin/bash")
    shutil.copy("/bin/busybox", path / "bin/busybox")
    for name in ("cat", "ls", "pwd", "readlink", "id", "stat"):
        (path / "bin" / name).symlink_to("busybox")
    for name in ("passwd", "group", "nsswitch.conf"):
        shutil.copy(f"/etc/{name}", path / "etc" / name)
    everybody.nsbox(f"[profile all]\nusers = *\nroot = {path}\n")
    yield path
    shutil.rmtree(path)


WHERE = "/bin/pwd; stat -c '%d %i' .; stat -c '%d %i' /; stat -c '%d %i' ../../../../../..; echo $PWD"


def test_directory_that_exists(everybody, baseline):
    """su without "-" stays where it was."""
    result = su("alice", "-c", WHERE, cwd="/usr/share")
    lines = result.out.splitlines()
    assert lines[0] == lines[4] == "/usr/share" and lines[3] == lines[2], result
    info = os.stat("/usr/share")
    assert lines[1] == f"{info.st_dev} {info.st_ino}"


@pytest.mark.parametrize("directory", ["/tmp/only-outside", "/run/only-outside"])
def test_directory_that_is_outside_only(everybody, baseline, directory):
    """It goes to "/" of the box; from there ".." leads nowhere else."""
    os.makedirs(directory)
    pathlib.Path(directory, "secret").write_text("x")
    result = su("alice", "-c", f"{WHERE}; ls", cwd=directory)
    shutil.rmtree(directory)
    lines = result.out.splitlines()
    assert result.rc == 0 and lines[0] == lines[4] == "/" and lines[1] == lines[2] == lines[3], result
    assert "secret" not in lines[5:] and "usr" in lines[5:]


def test_directory_of_another_root(root, baseline):
    """With root = DIRECTORY: the directory of that name in it, else its "/"."""
    os.makedirs("/srv/outside", exist_ok=True)
    for directory, expected in (("/srv/outside", "/"), ("/home/alice", "/home/alice"), ("/etc", "/etc")):
        result = su("alice", "-c", f"{WHERE}; ls /", cwd=directory)
        lines = result.out.splitlines()
        assert result.rc == 0 and lines[0] == expected and lines[2] == lines[3], result
        assert "usr" in lines[5:] or "lib64" in lines[5:]
        assert "cache" not in lines, "the root is the profile's"
    os.rmdir("/srv/outside")


def test_directory_of_another_root_that_is_closed(root, baseline):
    """A directory of that name which the user may not enter there: "/"."""
    os.makedirs("/srv/closed", exist_ok=True)
    (root / "srv/closed").mkdir(mode=0o700)
    result = su("alice", "-c", "/bin/pwd; ls .", cwd="/srv/closed")
    os.rmdir("/srv/closed")
    assert result.out.splitlines()[0] == "/" and result.err == "", result


def test_directory_through_a_link_of_the_other_root(root, baseline):
    """A symbolic link of that name in the other root is not followed."""
    os.makedirs("/srv/linked", exist_ok=True)
    (root / "srv/linked").symlink_to("/etc")
    result = su("alice", "-c", "/bin/pwd", cwd="/srv/linked")
    os.rmdir("/srv/linked")
    assert result.out == "/\n", result


def test_private_directory_of_the_caller(everybody, baseline, unboxed):
    """alice, in a directory that only she may enter, becomes bob: as without a box he is there and may not look."""
    os.makedirs("/home/alice/private", mode=0o700, exist_ok=True)
    shutil.chown("/home/alice/private", "alice", "alice")

    def look():
        child = as_alice("sh", "-c", "cd ~alice/private && exec su bob -c 'readlink /proc/self/cwd; ls .; id -un'")
        child.expect("Password: ")
        child.sendline("bobpw")
        finish(child)
        return child.before
    with unboxed():
        before = look()
    after = look()
    shutil.rmtree("/home/alice/private")
    assert after == before and "Permission denied" in before and "bob" in before


def test_deleted_directory(everybody, baseline):
    """A directory without a name: "/"."""
    os.makedirs("/srv/deleted")
    result = host.run("sh", "-c", "cd /srv/deleted && rmdir /srv/deleted && su alice -c '/bin/pwd; readlink /proc/self/cwd'")
    assert result.out.split() == ["/", "/"], result


# -- su in a box --


def test_su_in_a_box_stays_in_it(everybody, baseline):
    """The inner su finds itself boxed: success, the same box, and it ends without ending the outer one."""
    start = syslog.mark()
    child = shell("su", "alice")
    outer = ask(child, PROBE)
    for number in range(2):
        child.sendline("su bob")
        child.expect("Password: ")
        child.sendline("bobpw")
        child.expect(PROMPT)
        assert inodes(ask(child, PROBE)) == inodes(outer) and ask(child, "id -un").strip() == "bob"
        assert len(os.listdir("/run/nsbox/boxes")) == 1
        child.sendline(f"exit {number}")
        child.expect(PROMPT)
        assert ask(child, "echo $?; id -un").split() == [str(number), "alice"]
    child.sendline("exit")
    finish(child)
    assert len(syslog.matching("session of .* opened", start)) == 1
    assert not syslog.matching("refused", start)


def test_root_in_a_box_stays_in_it(everybody, baseline):
    """The same for root, who could make namespaces: a box does not breed boxes."""
    result = su("root", "-c", f"{PROBE}; su alice -c '{PROBE}; id -un'")
    lines = result.out.split()
    assert result.rc == 0 and lines[:8] == lines[8:16] and lines[16] == "alice", result
    assert differing("\n".join(lines[:7])) == BOXED


def test_false_sign_of_a_box(everybody, baseline):
    """What tells the module that it is boxed cannot be made by a user: /run/host is root's on the host."""
    result = host.run("setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "sh", "-c",
                      "mkdir /run/host && echo nsbox >/run/host/container-manager")
    assert result.rc != 0 and not os.path.exists("/run/host")
    os.makedirs("/run/host")
    path = pathlib.Path("/run/host/container-manager")
    path.write_text("nsbox\n")
    shutil.chown(path, "alice")
    try:
        assert differing(su("alice", "-c", PROBE).out) == BOXED
    finally:
        shutil.rmtree("/run/host")


# -- refusals --


@pytest.mark.parametrize("options", [["alice", "-c"], ["-", "alice", "-c"], ["--pty", "alice", "-c"]])
def test_refused(everybody, baseline, options):
    """The box cannot be made: nothing runs, the user and the log read one clear line with the same reference; the
    next good login works."""
    everybody.nsbox("[profile all]\nusers = *\nroot = /srv/nowhere\n")
    marker = pathlib.Path("/srv/su-ran")
    start = syslog.mark()
    result = host.run("script", "-qec", f"su {' '.join(options)} 'touch {marker}; id'", "/dev/null")
    assert result.rc != 0 and "uid=" not in result.out and not marker.exists(), result
    reference = re.search(REFUSAL, result.out)
    assert reference and len(re.findall(REFUSAL, result.out)) == 1, result
    line = syslog.wait_for("login of alice refused", start)
    assert f"nsbox {reference[1]}: " in line and "/srv/nowhere" in line and line.startswith("authpriv.err su[")
    everybody.nsbox("[profile all]\nusers = *\n")
    assert differing(su("alice", "-c", PROBE).out) == BOXED


def test_without_a_profile(everybody, baseline):
    """Nobody's profile: su works as ever, on the host."""
    everybody.nsbox("[profile bob]\nusers = bob\n")
    assert differing(su("alice", "-c", PROBE).out) == set()
    assert differing(su("bob", "-c", PROBE).out) == BOXED


def test_profile_is_the_targets(everybody, baseline):
    """users means who one becomes, not who one is."""
    everybody.nsbox("[profile bob]\nusers = bob\n")
    child = as_alice("su", "bob", "-c", PROBE)
    child.expect("Password: ")
    child.sendline("bobpw")
    finish(child)
    assert differing(child.before) == BOXED


def test_many_at_once(everybody, baseline):
    """Several boxes at a time, all different. All live until the last one is there: the kernel gives the number of a
    namespace that is gone to a new one."""
    number = host.count(40, 8)
    go = pathlib.Path("/home/alice/go")
    wait = f"readlink /proc/self/ns/pid; while [ ! -e {go} ]; do sleep 0.05; done"
    processes = [subprocess.Popen(["su", "alice", "-c", wait], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
                 for _ in range(number)]
    try:
        first = [process.stdout.readline() for process in processes]
        go.touch()
        assert [process.communicate(timeout=60)[0] for process in processes] == [""] * number
        assert all(process.returncode == 0 for process in processes)
        assert len(set(first)) == number and "" not in first
    finally:
        go.unlink(missing_ok=True)
        for process in processes:
            process.kill()
