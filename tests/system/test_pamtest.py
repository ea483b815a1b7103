# SPDX-License-Identifier: BSD-3-Clause
"""nsboxctl pamtest: a throw-away copy of this host, in which the stacks are not ours, and of which nothing remains."""
import hashlib
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import time

import pexpect
import pytest

from lib import ctl, host, syslog

CONF = "/usr/share/nsbox/pamtest.conf"
KEPT = pathlib.Path("/var/tmp")
SHOWN = "nsboxctl: written to /dev/log meanwhile:\n"


@pytest.fixture(autouse=True)
def _nothing_remains(request):
    """The host is as before, whatever a test does; and no configuration is needed for any."""
    if request.node.name != "test_syslogd_restarts":  # which makes a process anew
        request.getfixturevalue("baseline")
    assert not os.path.exists("/etc/security/nsbox.conf.d")
    yield
    assert not list(KEPT.glob("nsbox-pamtest*"))
    host.wait_until(lambda: ctl.boxes() == [], what="no box is left")


def pamtest(*words, script=None, **options):
    """Result of nsboxctl pamtest with these options and a shell script."""
    command = ["--", "sh", "-c", script] if script is not None else []
    return ctl.ctl("pamtest", *words, *command, **options)


def good(*words, script, **options):
    """The output of a script that must succeed, with nothing on standard error."""
    result = pamtest(*words, script=script, **options)
    assert (result.rc, result.err) == (0, ""), result
    return result.out


@pytest.fixture
def stack(tmp_path):
    """stack(service="lines"): the directory with these files."""
    def make(**services):
        directory = tmp_path / "stack"
        directory.mkdir(exist_ok=True)
        for service, lines in services.items():
            (directory / service).write_text(lines)
        return str(directory)
    return make


def started(*words, script="echo ready; exec sleep 300", **options):
    """A copy that waits, as a process; its script has said ready."""
    process = host.end_with_test(subprocess.Popen(["nsboxctl", "pamtest", *words, "--", "sh", "-c", script],
                                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options))
    assert process.stdout.readline() == "ready\n", process.communicate()
    return process


# -- the command --


@pytest.mark.parametrize("command, status", [
    (("true",), 0), (("sh", "-c", "exit 7"), 7), (("sh", "-c", "kill -9 $$"), 137), (("sh", "-c", "kill -TERM $$"), 143),
    (("no-such-program",), 127), (("/etc/passwd",), 126)])
def test_exit_status(command, status):
    """It is the command's; 128 + n for a signal."""
    assert ctl.ctl("pamtest", "--", *command).rc == status


def test_root_in_there(tmp_path):
    """All capabilities, no filter, no limit; environment and working directory are the caller's; PID namespace of its own."""
    os.chdir("/srv")
    look = "grep -E '^(CapEff|CapBnd|Seccomp):' /proc/self/status; bash -c 'ulimit -u; ulimit -n'; pwd"
    out = good(script=f"{look}; id -u; echo $FLAVOUR; ps -e | wc -l", env={**os.environ, "FLAVOUR": "vanilla"})
    here = host.run("sh", "-c", look, check=True).out
    assert out.startswith(here) and "Seccomp:\t0\n" in here and here.endswith("/srv\n")
    assert out[len(here):].split()[:2] == ["0", "vanilla"] and int(out.split()[-1]) < 8


def test_standard_input_goes_through():
    """What is written to nsboxctl the command reads."""
    assert good(script="cat; echo end", input="one\ntwo\n") == "one\ntwo\nend\n"


def test_shell_on_a_terminal():
    """Without a command it is a shell; Ctrl-C reaches what runs in it, and its status comes back."""
    child = host.spawn("nsboxctl", "pamtest", "--user", "zed:secret")
    child.expect("# ")
    child.sendline("id -un zed; sh -c 'echo run''ning; exec sleep 300'")
    child.expect("zed\r\n")
    child.expect("running\r\n")
    child.sendintr()
    child.sendline("echo ba''ck=$?; exit 5")
    child.expect("back=130")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 5


def test_set_user_id_works():
    """su and sudo, by a user, with the passwords of the host's own accounts."""
    out = good(script="echo bobpw | runuser -u alice -- su bob -c 'id -un' 2>/dev/null")
    assert out == "bob\n"


def test_network():
    """loopback: lo and nothing else, up, so that each copy can have a server on the same port; host: the host's."""
    assert re.findall(r"^\d+: (\w+): <(\S+)>", good(script="ip -o link"), re.M) == [("lo", "LOOPBACK,UP,LOWER_UP")]
    assert good("--network", "host", script="readlink /proc/self/ns/net") == f"net:[{host.namespaces()['net']}]\n"


# -- nothing remains --


def test_orphans_end():
    """What is left running is gone when nsboxctl returns, also what ignores SIGTERM."""
    before = set(host.pids())
    start = time.monotonic()
    good(script="setsid sleep 4242 & setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' & sleep 0.2")
    assert time.monotonic() - start < 5 * host.PATIENCE
    assert not [pid for pid in host.find("sleep") if pid not in before], "orphans"
    assert ctl.boxes() == []


def digest(*places):
    """Of every file below, but the log: mode, owner, time, number, content."""
    found = {}
    for place in places:
        for path in pathlib.Path(place).rglob("*"):
            info = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(info.st_mode) else ""
            found[str(path)] = (info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns, info.st_ino, content)
    found.pop(syslog.CAPTURED)
    return found


def test_host_is_identical(stack):
    """Users, files, modules and stacks are put in, and what a command can destroy is destroyed: the host does not notice."""
    places = ("/etc", "/home", "/root", "/var/lib", "/var/log", "/var/spool", "/usr/sbin", "/usr/share/nsbox")
    before = digest(*places)
    result = pamtest("--pam-dir", stack(sshd="auth required pam_deny.so\n", other="auth required pam_deny.so\n"),
                     "--user", "zed:secret:wheel,fans", "--user", "alice:other:fans", "--module", "/bin/true",
                     "--file", "/etc/hostname:/usr/lib/new/place",
                     script="rm -rf /etc /home /root /var/lib /var/spool /usr/sbin 2>/dev/null; echo x >/var/log/captured; "
                            "chmod 777 /usr/share; touch /usr/share/nsbox/x; ls -A /home; exit 9")
    assert (result.rc, result.out) == (9, ""), result
    after = digest(*places)
    assert {path: (before.get(path), after.get(path)) for path in {*before, *after} if before.get(path) != after.get(path)} == {}
    assert "zed" not in pathlib.Path("/etc/passwd").read_text()


def test_hosts_log_hears_nothing():
    """Neither of what the command says nor of the users that are made."""
    since = syslog.mark()
    good("--user", "zed:secret", script="logger -t unheard-of hello; su zed -c true")
    syslog.wait_for(r"box \w+ of root .* ended", since)
    assert not syslog.matching("unheard-of|zed|useradd", since)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it(number):
    """A signal to nsboxctl ends the copy, and the status says by what."""
    process = started(script="setsid sleep 4243 & echo ready; exec sleep 300")
    process.send_signal(number)
    assert process.wait(10 * host.PATIENCE) == 128 + number
    assert not host.find("sleep", "4243")


@pytest.mark.parametrize("words", [(), ("--keep", "--user", "zed:secret")])
def test_killed(words):
    """kill -9 of nsboxctl leaves nothing: the monitor ends the copy."""
    process = started(*words, script="setsid sleep 4244 & echo ready; exec sleep 300")
    process.kill()
    process.wait()
    host.wait_until(lambda: not host.find("sleep", "4244") and ctl.boxes() == [], timeout=10, what="the copy has ended")


def test_two_at_a_time():
    """Each has its own users, files and ports."""
    script = "echo {0} >/etc/mine; echo secret-{0} | pamtester login zed authenticate >&2 || exit 3; " \
             "python3 -m http.server -b 127.0.0.1 80 >&2 & sleep 0.5; kill -0 $! || exit 4; echo ready; cat; cat /etc/mine"
    both = [started("--user", f"zed:secret-{name}", script=script.format(name), stdin=subprocess.PIPE) for name in ("a", "b")]
    assert [process.communicate("", 20 * host.PATIENCE)[0] for process in both] == ["a\n", "b\n"]
    assert [process.returncode for process in both] == [0, 0]


# -- the copy --


@pytest.fixture
def mounts(tmp_path):
    """Further file systems of the host: one with a blank in its name, a file that is a mount point, one that is covered."""
    top = pathlib.Path("/srv/pamtest")
    for name in ("disk", "a blank", "covered/below"):
        (top / name).mkdir(parents=True)
    (top / "file").write_text("under\n")
    tmp_path.joinpath("file").write_text("over\n")
    commands = [("mount", "-t", "tmpfs", "-o", "mode=0750,uid=2001,nosuid", "disk", top / "disk"),
                ("mount", "-t", "tmpfs", "blank", top / "a blank"),
                ("mount", "--bind", tmp_path / "file", top / "file"),
                ("mount", "-t", "tmpfs", "below", top / "covered/below"),
                ("mount", "-t", "tmpfs", "cover", top / "covered")]
    try:
        for command in commands:
            host.run(*map(str, command), check=True)
        (top / "disk/data").write_text("data\n")
        (top / "a blank/data").write_text("blank\n")
        yield top
    finally:
        for name in ("covered", "covered/below", "file", "a blank", "disk"):
            host.run("umount", str(top / name))
        host.run("rm", "-r", str(top))


def test_other_file_systems(mounts):
    """What is mounted on the host is there, with owner and mode, and takes nothing of what is written; nosuid stays; a file that is
    a mount point is read-only."""
    out = good(script=f"""
        cd {mounts}; cat disk/data 'a blank/data' file; stat -c '%a %u' disk; findmnt -no OPTIONS disk | grep -o nosuid
        echo new >disk/data; echo new >'a blank/more'; echo new >covered/x; cat disk/data 'a blank/more' covered/x
        (echo new >file) 2>&1 | grep -o Read-only; ls covered""")
    assert out == "data\nblank\nover\n750 2001\nnosuid\nnew\nnew\nnew\nRead-only\nx\n"
    assert (mounts / "disk/data").read_text() == "data\n" and not (mounts / "a blank/more").exists()
    assert os.listdir(mounts / "covered") == []


def test_sockets_of_the_host():
    """A service of the host that listens below /var is not reached, as the manual says."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("/var/lib/listening")
        server.listen()
        try:
            script = "import socket; socket.socket(socket.AF_UNIX).connect('/var/lib/listening')"
            host.run("python3", "-c", script, check=True)
            assert "ConnectionRefusedError" in pamtest(script=f'test -S /var/lib/listening && python3 -c "{script}"').err
        finally:
            os.unlink("/var/lib/listening")


def test_mounts_by_fuse():
    """Root's are there read-only, to those to whom the one who mounted it gives them: an overlay would ask as root. What a user has
    mounted is not asked for anything, and not there, wherever it is: whoever answers for it could let every login wait."""
    os.makedirs("/home/mallory/slow")
    os.chown("/home/mallory/slow", 2004, 2004)
    for path in ("/srv/fuse", "/srv/private"):
        os.mkdir(path)
    with open("/etc/fuse.conf", "a", encoding="ascii") as conf:
        conf.write("user_allow_other\n")
    os.chmod("/dev/fuse", 0o666)
    commands = [("bindfs", "-o", "allow_other", "/usr/share/nsbox", "/srv/fuse"),
                ("bindfs", "--no-allow-other", "/usr/share/nsbox", "/srv/private"),
                ("setpriv", "--reuid=2004", "--regid=2004", "--clear-groups", "bindfs", "-o", "allow_other", "/usr/share/nsbox",
                 "/home/mallory/slow"),
                ("setpriv", "--reuid=2004", "--regid=2004", "--clear-groups", "bindfs", "-o", "allow_other,nonempty", "/usr/share/nsbox",
                 "/home/mallory")]
    made = []
    try:
        for command in commands:
            host.run(*command, check=True)
            made.insert(0, command[-1])
        daemon = host.run("pgrep", "-n", "bindfs", check=True).out.strip()
        host.run("kill", "-STOP", daemon, check=True)
        assert good(script="""
            exec 2>/dev/null; timeout 5 ls /home/mallory/slow; ls /srv/fuse /srv/private; touch /srv/fuse/x /srv/private/x
            runuser -u alice -- ls /srv/fuse; runuser -u alice -- ls /srv/private || echo closed""") == (
            "/srv/fuse:\npamtest.conf\n\n/srv/private:\npamtest.conf\npamtest.conf\nclosed\n")
        assert os.listdir("/srv/fuse") == ["pamtest.conf"]
    finally:
        host.run("pkill", "-CONT", "-x", "bindfs")
        for path in made:
            host.run("umount", "-l", path, check=True)
        host.wait_until(lambda: host.run("pgrep", "-x", "bindfs").rc != 0, what="all of them have ended")


def test_hidden_files_stay_hidden(mounts):
    """By the null device, mounted on a file: of a devtmpfs, as /dev is on most hosts, and of another one."""
    for name in ("dev", "made"):
        (mounts / name).mkdir()
    host.run("mount", "-t", "devtmpfs", "devtmpfs", str(mounts / "dev"), check=True)
    host.run("mount", "-t", "tmpfs", "made", str(mounts / "made"), check=True)
    host.run("mknod", str(mounts / "made/null"), "c", "1", "3", check=True)
    for name, null in (("one", mounts / "dev/null"), ("two", mounts / "made/null")):
        (mounts / name).write_text("secret\n")
        host.run("mount", "--bind", str(null), str(mounts / name), check=True)
    try:
        assert good(script=f"cat {mounts}/one {mounts}/two 2>/dev/null; echo end") == "end\n"
    finally:
        host.run("umount", *(str(mounts / name) for name in ("one", "two", "dev", "made")), check=True)


def test_acls(mounts):
    """Of the directory that another file system is mounted on, too."""
    host.run("setfacl", "-m", "u:alice:---,o::rwx", str(mounts / "a blank"), check=True)
    host.run("setfacl", "-d", "-m", "u:bob:rwx", str(mounts / "a blank"), check=True)
    wanted = host.run("getfacl", "-p", str(mounts / "a blank"), check=True).out
    assert good(script=f"getfacl -p '{mounts}/a blank'") == wanted and "user:alice:---" in wanted and "default:user:bob:rwx" in wanted
    assert good(script=f"runuser -u alice -- ls '{mounts}/a blank' 2>/dev/null || echo closed") == "closed\n"


def test_set_user_id_of_others(tmp_path):
    """A file that becomes root's in the copy has not the bit of its owner; root's own keeps it, and what stays its owner's as well."""
    for name, owner in (("mine", 2004), ("roots", 0)):
        (tmp_path / name).write_text("x")
        os.chown(tmp_path / name, owner, owner)
        os.chmod(tmp_path / name, 0o6755)
    assert good("--file", f"{tmp_path}/mine:/opt/mine", "--file", f"{tmp_path}/roots:/opt/roots", "--file", f"{tmp_path}:/opt/tree", script="""
        stat -c '%a %u' /opt/mine /opt/roots /opt/tree/mine""") == "755 0\n6755 0\n6755 2004\n"


def test_written(tmp_path):
    """/run/host/written shows root, and nobody else, what was changed, and cannot be written to."""
    out = good(script="""
        echo new >/etc/fresh; cd /run/host/written; for d in *; do [ $(readlink $d/on) != / ] || cat $d/upper/etc/fresh; done
        touch x 2>/dev/null || echo refused; runuser -u alice -- ls /run/host/written 2>/dev/null || echo closed""")
    assert out == "new\nrefused\nclosed\n"


def test_run_tmp_and_dev_are_fresh(tmp_path):
    """As in any box: nothing of the host's /tmp and /run, and the standard devices only."""
    probe = pathlib.Path("/tmp/of-the-host")
    probe.touch()
    try:
        out = good(script="ls -A /tmp /var/tmp; ls /dev; ls /run/nsbox 2>&1; echo x >/dev/null; mount -t tmpfs none /mnt && echo can")
    finally:
        probe.unlink()
    assert "of-the-host" not in out and "loop0" not in out and "null" in out and out.endswith("can\n")


def test_profile_of_a_user(conf):
    """The key overlay = ephemeral with root = host is for every profile: what a user writes at home is gone with the session."""
    conf.nsbox("[profile all]\nusers = alice\nnetwork = loopback\noverlay = ephemeral\n")
    assert host.run("nsboxctl", "check").rc == 0
    script = "echo mine >~/kept; cat ~/kept; touch /etc/x 2>/dev/null || echo no; ls /run/host/written 2>/dev/null || echo closed"
    result = ctl.ctl("run", "--user", "alice", "--", "sh", "-c", script)
    assert (result.rc, result.out) == (0, "mine\nno\nclosed\n"), result
    assert not os.path.exists("/home/alice/kept")


def test_shipped_profiles():
    """The file that is installed is good, and its profiles take nobody by themselves."""
    result = ctl.ctl("check", CONF)
    assert result.rc == 0 and result.err == "", result
    result = ctl.ctl("explain", "--conf", CONF, "--user", "alice", "--service", "sshd")
    assert "not boxed" in result.out or "no profile" in result.out, result


# -- what is put in --


def test_pam_dir_lies_over_the_hosts(stack):
    """Files of the directory replace and add; other services, and what is included, are the host's. Hidden files and
    directories are passed over."""
    directory = stack(login="auth required pam_permit.so\n", door="auth include common-auth\n", **{".hidden": "x\n"})
    os.makedirs(f"{directory}/backup")
    os.symlink("door", f"{directory}/gate")
    out = good("--pam-dir", directory, "--user", "zed:secret", script="""
        cd /etc/pam.d; stat -c '%n %a %u %F' login door gate; ls -A | grep -cE '^(.hidden|backup)$'; test -s sshd && cat login
        for s in login door gate; do echo secret | pamtester $s zed authenticate >/dev/null 2>&1 && echo $s; done
        echo wrong | pamtester door zed authenticate 2>/dev/null || echo refused""")
    assert out == ("login 644 0 regular file\ndoor 644 0 regular file\ngate 644 0 regular file\n0\nauth required pam_permit.so\n"
                   "login\ndoor\ngate\nrefused\n")


PROBE = """
#include <syslog.h>
#include <security/pam_modules.h>
#include <security/pam_ext.h>
int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	pam_syslog(pamh, LOG_NOTICE, "probe %s %d", argc > 0 ? argv[0] : "", flags);
	return PAM_SUCCESS;
}
"""


def test_module(stack, tmp_path):
    """A module that the host does not have is found by its name."""
    (tmp_path / "probe.c").write_text(PROBE)
    host.run("gcc", "-shared", "-fPIC", "-o", str(tmp_path / "pam_probe.so"), str(tmp_path / "probe.c"), "-lpam", check=True)
    directory = stack(door="auth required pam_probe.so word\n")
    log = tmp_path / "log"
    good("--pam-dir", directory, "--module", str(tmp_path / "pam_probe.so"), "--log", str(log),
         script="pamtester door alice authenticate >/dev/null 2>&1")
    assert "authpriv.notice pamtester: pam_probe(door:auth): probe word 0\n" in log.read_text()
    assert pamtest("--pam-dir", directory, script="pamtester door alice authenticate").rc != 0


def test_users():
    """New ones with home, password, groups; those of the host with another password and more groups; one without a password is
    locked; a group that is there is taken; passwords are hashed."""
    out = good("--user", "zed:se$c%ret:fans,students", "--user", "ann::fans", "--user", "ben", "--user", "alice:new:fans",
               "--user", "mail2", script="""
        id -Gn zed; id -Gn ann; id -Gn ben; id -Gn alice; stat -c %U /home/zed
        grep -c 'se.c%ret' /etc/shadow; awk -F: '$1=="ann"{print $2}' /etc/shadow; stat -c '%a %G' /etc/shadow
        for try in 'zed:se$c%ret' alice:new alice:alicepw ann:; do
            echo "${try#*:}" | pamtester login ${try%%:*} authenticate >/dev/null 2>&1 && echo yes || echo no
        done""")
    shadow = os.stat("/etc/shadow")
    assert out.split("\n")[:-1] == ["zed students fans", "ann fans", "ben", "alice students fans", "zed", "0", "!",
                                    f"{stat.S_IMODE(shadow.st_mode):o} shadow", "yes", "yes", "no", "no"]


def test_password_from_standard_input():
    """"-": one line for each such user, and what follows is the command's."""
    out = good("--user", "zed:-", "--user", "ann:-:fans", input="first\nsecond\nrest\n", script="""
        cat; echo first | pamtester login zed authenticate >/dev/null 2>&1 && echo zed
        echo second | pamtester login ann authenticate >/dev/null 2>&1 && echo ann""")
    assert out == "rest\nzed\nann\n"


def test_password_is_out_of_sight():
    """Neither nsboxctl's command line nor that of a process in the copy has it while the command runs; nor its hash."""
    process = started("--user", "zed:secret-word:fans")
    lines = [host.cmdline(pid) for pid in host.pids()]
    assert any("pamtest --user zed:xxxxxxxxxxx:fans" in line for line in lines), lines
    assert not [line for line in lines if "secret-word" in line or "$6$" in line]
    process.terminate()
    process.wait(10 * host.PATIENCE)


def test_files(tmp_path):
    """Files, root's, with their modes, and directories as they are; directories above are made; what is there is replaced, links as well."""
    tree = tmp_path / "tree/sub"
    tree.mkdir(parents=True)
    (tree / "data").write_text("data\n")
    (tmp_path / "program").write_text("#!/bin/sh\necho run\n")
    os.chown(tmp_path / "program", 2001, 2001)
    os.chmod(tmp_path / "program", 0o4755)
    out = good("--file", f"{tmp_path}/program:/opt/new/program", "--file", f"{tmp_path}/tree:/opt/tree",
               "--file", f"{tree}/data:/etc/hostname", "--file", f"{tree}/data:/bin/sh.distrib",
               script="cd /opt; new/program; stat -c '%a %u' new/program; cat tree/sub/data /etc/hostname; stat -c %u tree/sub/data")
    assert out == "run\n755 0\ndata\ndata\n0\n"


# -- the log --


def test_log(tmp_path):
    """--log has every line as it came, 0600, with names for facility and priority; standard error only where the command fails."""
    log = tmp_path / "log"
    script = "logger -p local3.warning -t one two; printf '<11>plain \\033[2J' | python3 -c \"$SEND\"; exit {}"
    send = "import socket,sys; s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.connect('/dev/log'); s.send(sys.stdin.buffer.read())"
    good("--log", str(log), script=script.format(0), env={**os.environ, "SEND": send})
    assert re.fullmatch(r"\w{3} [ \d]\d \d\d:\d\d:\d\d local3\.warning one: two\nuser\.err plain \\x1b\[2J\n", log.read_text())
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    result = pamtest(script=script.format(4), env={**os.environ, "SEND": send})
    assert result.rc == 4 and result.err.startswith(SHOWN) and result.err.endswith("user.err plain \\x1b[2J\n")
    assert pamtest(script="exit 3").err == "nsboxctl: nothing was written to /dev/log meanwhile\n"


def test_log_of_many_lines(tmp_path):
    """Nobody waits for the log, and none is lost."""
    out = good("--log", str(tmp_path / "log"), script="i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done | logger; echo end")
    assert out == "end\n"
    assert len((tmp_path / "log").read_text().splitlines()) == 500


def test_flood_of_the_log():
    """A stack that writes without end takes no memory without end, and keeps no signal waiting."""
    process = started(script="yes flood | logger & sleep 1; echo ready; exec sleep 300")
    process.terminate()
    assert process.wait(10 * host.PATIENCE) == 143
    result = pamtest(script="yes $(head -c 1000 /dev/zero | tr '\\0' x) | head -n 5000 | logger; exit 1")
    assert result.rc == 1 and result.err.endswith("nsboxctl: and more, which --log has\n") and len(result.err) < 5 << 20


def test_syslogd_restarts():
    """The copy's own /dev/log stays while the host's is replaced."""
    process = started(script="echo ready; cat; logger still here; exit 1", stdin=subprocess.PIPE)
    syslog.restart()
    time.sleep(11)  # the monitor looks every ten seconds
    assert "still here" in process.communicate("", 20)[1]


# -- --keep --


def test_keep(mounts):
    """What was changed is there, by its path, for root alone; what was removed is a device 0:0; it is said how to be rid of it."""
    result = pamtest("--keep", "--user", "zed:secret",
                     script=f"echo new >/etc/fresh; rm /etc/hostname; echo new >'{mounts}/a blank/x'; echo new >/tmp/not-this")
    place, command = re.fullmatch(r"nsboxctl: what was changed is in (\S+)/upper; remove it by: (rm -r \S+)\n", result.err).groups()
    try:
        upper = pathlib.Path(place, "upper")
        assert place.startswith("/var/tmp/nsbox-pamtest.") and stat.S_IMODE(os.stat(place).st_mode) == 0o700
        assert (upper / "etc/fresh").read_text() == "new\n" and "zed" in (upper / "etc/passwd").read_text()
        assert (upper / f"{str(mounts)[1:]}/a blank/x").read_text() == "new\n"
        removed = (upper / "etc/hostname").lstat()
        assert stat.S_ISCHR(removed.st_mode) and removed.st_rdev == 0
        assert not (upper / "tmp").exists() and not (upper / "usr").exists()
    finally:
        host.run(*command.split(), check=True)


def test_keep_of_a_failure():
    """What a command that fails has changed is kept as well, and its status comes back."""
    result = pamtest("--keep", script="echo new >/etc/fresh; exit 6")
    host.run("rm", "-r", re.search(r"rm -r (\S+)", result.err)[1], check=True)
    assert result.rc == 6


# -- stacks that are not ours --


def test_faillock(stack, tmp_path):
    """pam_faillock locks after three attempts, tells so, and unlocks."""
    directory = stack(door="""\
auth required pam_faillock.so preauth deny=3 dir=/var/lib/tally audit
auth sufficient pam_unix.so
auth [default=die] pam_faillock.so authfail deny=3 dir=/var/lib/tally audit
account required pam_faillock.so
""")
    log = tmp_path / "log"
    out = good("--pam-dir", directory, "--user", "zed:secret", "--log", str(log), script="""
        try() { echo $1 | pamtester door zed authenticate >/dev/null 2>&1 && echo in || echo out; }
        try secret; try wrong; try wrong; try wrong; try secret
        faillock --dir /var/lib/tally --user zed | grep -c ' V$'
        faillock --dir /var/lib/tally --user zed --reset; try secret""")
    assert out.split() == ["in", "out", "out", "out", "out", "3", "in"]
    assert "Consecutive login failures for user zed account temporarily locked" in log.read_text()
    assert not os.path.exists("/var/lib/tally")


def test_mkhomedir(stack, tmp_path):
    """pam_mkhomedir makes a home from a skeleton that the test brings."""
    (tmp_path / "skel").mkdir()
    (tmp_path / "skel/welcome").write_text("hello\n")
    out = good("--pam-dir", stack(door="session required pam_mkhomedir.so skel=/opt/skel umask=0077\n"), "--user", "zed:secret",
               "--file", f"{tmp_path}/skel:/opt/skel",
               script="rm -r /home/zed; pamtester door zed open_session >/dev/null; cat /home/zed/welcome; stat -c '%a %U' /home/zed")
    assert out == "hello\n700 zed\n"


def test_limits(stack, tmp_path):
    """pam_limits, in a session of su: for a group, and its number of logins."""
    (tmp_path / "limits").write_text("@fans hard nofile 77\n@fans hard nproc 33\nben hard maxlogins 0\n")
    words = ["--pam-dir", stack(su="auth sufficient pam_rootok.so\naccount required pam_permit.so\nsession required pam_limits.so\n"),
             "--file", f"{tmp_path}/limits:/etc/security/limits.conf", "--user", "zed:x:fans", "--user", "ann:x", "--user", "ben:x"]
    out = good(*words, script="su -s /bin/bash zed -c 'ulimit -Hn; ulimit -Hu'; su ann -c 'ulimit -Hn'")
    assert out.split()[:2] == ["77", "33"] and out.split()[2] != "77"
    result = pamtest(*words, script="su ben -c 'echo in'")
    assert result.rc != 0 and result.out == "" and "There were too many logins for 'ben'" in result.err, result


def test_namespace(stack, tmp_path):
    """pam_namespace makes /tmp and a directory of their own for each user."""
    (tmp_path / "namespace.conf").write_text("/tmp /tmp-inst/ user root\n/opt/shared /opt/inst/ user root\n")
    out = good("--pam-dir", stack(su="auth sufficient pam_rootok.so\naccount required pam_permit.so\nsession required pam_namespace.so\n"),
               "--file", f"{tmp_path}/namespace.conf:/etc/security/namespace.conf", "--user", "zed:x", "--user", "ann:x", script="""
        mkdir -m 000 /tmp-inst /opt/inst; mkdir -m 1777 /opt/shared; touch /tmp/of-root
        su zed -c 'echo zed >/tmp/file; touch /opt/shared/z; ls -A /tmp /opt/shared'
        su ann -c 'ls -A /tmp /opt/shared'; ls -A /tmp""")
    assert out == "/opt/shared:\nz\n\n/tmp:\nfile\n/opt/shared:\n\n/tmp:\nof-root\n"


def test_access(stack, tmp_path):
    """pam_access: members of a group may, others may not; the log names who and from where."""
    (tmp_path / "access.conf").write_text("+:(fans):ALL\n-:ALL:ALL\n")
    log = tmp_path / "log"
    out = good("--pam-dir", stack(door="account required pam_access.so\n"), "--user", "zed:x:fans", "--user", "ann:x", "--log", str(log),
               "--file", f"{tmp_path}/access.conf:/etc/security/access.conf",
               script="for u in zed ann; do pamtester -I rhost=192.0.2.1 door $u acct_mgmt >/dev/null 2>&1 && echo yes || echo no; done")
    assert out == "yes\nno\n"
    assert "access denied for user `ann' from `192.0.2.1'" in log.read_text()


def test_missing_module(stack):
    """A stack with a module that is not there: refused, and what the log has of it is printed."""
    result = pamtest("--pam-dir", stack(door="auth required pam_mien.so\nauth required pam_permit.so\n"),
                     script="pamtester door alice authenticate")
    assert result.rc == 1 and "Module is unknown" in result.err
    shown = result.err.split(SHOWN)[1].splitlines()
    assert re.search(r" authpriv\.err pamtester: PAM unable to dlopen\(pam_mien\.so\): .*No such file", shown[0]), shown
    assert shown[1].endswith("authpriv.err pamtester: PAM adding faulty module: pam_mien.so")


def test_own_module_is_boxed_already(stack):
    """pam_nsbox in the copy finds itself in a box: the stack around it works."""
    out = good("--pam-dir", stack(su="auth sufficient pam_rootok.so\naccount required pam_nsbox.so\naccount required pam_permit.so\n"
                                     "session required pam_nsbox.so\nsession required pam_permit.so\n"),
               script="su alice -c 'readlink /proc/self/ns/mnt'; readlink /proc/self/ns/mnt")
    assert len(set(out.split())) == 1


# -- refusals: one line, and nothing is left --


def line(*words, **options):
    """The one line of a refusal, whose status is 1."""
    result = ctl.ctl("pamtest", *words, "--", "echo", "in", **options)
    assert result.rc == 1 and result.out == "" and re.fullmatch(r"nsboxctl: [^\n]+\n", result.err), result
    return result.err


@pytest.mark.parametrize("words, sentence", [
    (("--pam-dir", "/nowhere"), "--pam-dir: /nowhere: No such file or directory"),
    (("--pam-dir", "/etc/passwd"), "--pam-dir: /etc/passwd: Not a directory"),
    (("--pam-dir", "/mnt"), "--pam-dir: /mnt: there is no file in it, and a PAM service is a file"),
    (("--module", "/nowhere.so"), "--module: /nowhere.so: No such file or directory"),
    (("--module", "/etc/passwd"), "--module: /etc/passwd is no shared object (ELF), as modules are"),
    (("--module", "/etc"), "--module: /etc is no shared object (ELF), as modules are"),
    (("--user", ""), '--user: "" is no name of a user'),
    (("--user", "a b:x"), '--user: "a b" is no name of a user'),
    (("--user", "-x:y"), '--user: "-x" is no name of a user'),
    (("--user", "17:y"), '--user: "17" is no name of a user'),
    (("--user", "zed:x:fans:more"), '--user zed: write NAME[:PASSWORD][:GROUP,...], without another ":"'),
    (("--user", "zed:x:fa ns"), '--user: "fa ns" is no name of a group'),
    (("--user", "zed:-"), "--user zed:-: the next line of standard input is to be the password, of 1 to 255 characters"),
    (("--file", "/etc/passwd"), '--file /etc/passwd: write SOURCE:TARGET, and TARGET as an absolute path without ".."'),
    (("--file", "/etc/passwd:here"), "write SOURCE:TARGET, and TARGET as an absolute path"),
    (("--file", "/etc/passwd:/a/../b"), "write SOURCE:TARGET, and TARGET as an absolute path"),
    (("--file", "/etc/passwd://"), "write SOURCE:TARGET, and TARGET as an absolute path"),
    (("--file", "/nowhere:/opt/x"), "--file: /nowhere: No such file or directory"),
    (("--file", "/dev/null:/opt/x"), "--file: /dev/null is neither a file nor a directory"),
    (("--file", "/etc/passwd:/etc"), "cannot put /etc into the copy: Is a directory"),
    (("--file", "/etc/passwd:/etc/passwd/x"), "cannot put /etc/passwd/x into the copy: Not a directory"),
    (("--log", "/nowhere/log"), "--log: /nowhere/log: No such file or directory"),
    (("--log", "/dev/null"), "--log: /dev/null is no plain file of root's: name another one"),
])
def test_bad_input(words, sentence):
    """What, where, how to mend."""
    assert sentence in line(*words)


@pytest.mark.parametrize("words, sentence", [
    (("--network", "veth"), "--network is loopback or host"), (("--frobnicate",), "unrecognized option"),
    (("--user",), "requires an argument")])
def test_usage(words, sentence):
    """Wrong usage has status 2 and the usage line."""
    result = ctl.ctl("pamtest", *words)
    assert result.rc == 2 and sentence in result.err and "usage: nsboxctl pamtest" in result.err and result.out == ""


def test_not_root():
    """One line."""
    result = host.run("runuser", "-u", "alice", "--", "/usr/sbin/nsboxctl", "pamtest", "--user", "zed:x", "--", "true")
    assert result.rc == 1 and re.fullmatch(r"nsboxctl: only root may do this: [^\n]*\n", result.err), result


def test_no_capability():
    """Root of a container without CAP_SYS_ADMIN: one line that names it."""
    poor = ("setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", "--")
    result = host.run(*poor, "nsboxctl", "pamtest", "--", "echo", "in")
    assert result.rc == 1 and re.fullmatch(r"nsboxctl: [^\n]*CAP_SYS_ADMIN[^\n]*\n", result.err), result


# A root that is an overlay upon this host's, which is one as well: the kernel takes two.
DEEP = """
mount --make-rprivate / && mount -t tmpfs none /mnt && mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay none -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
for d in dev proc sys run tmp; do mount --rbind /$d /mnt/root/$d; done
cd /mnt/root && pivot_root . mnt && exec nsboxctl pamtest -- echo in
"""


def test_no_overlay():
    """A container whose root takes no overlay: one line."""
    result = host.run("unshare", "-m", "sh", "-c", DEEP)
    assert result.rc == 1 and result.out == "", result
    assert re.fullmatch(r"nsboxctl: overlay = ephemeral: the kernel takes no overlay on the file system of / [^\n]*\n", result.err), result


def test_in_a_box():
    """From the inside of a copy there is no other."""
    result = pamtest(script="nsboxctl pamtest -- echo in")
    assert result.rc == 1 and "this is the inside of a box or container" in result.err and "in\n" not in result.out.splitlines()
