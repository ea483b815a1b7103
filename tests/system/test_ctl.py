# SPDX-License-Identifier: BSD-3-Clause
"""nsboxctl: what an administrator sees and does by hand, on real boxes."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import termios
import time

import pexpect
import pytest

from lib import host, syslog
from lib.ctl import BOXES, PROFILE, box, boxes, ctl, running

CONF = "/etc/security/nsbox.conf"
LIBEXEC = "/usr/libexec/nsbox"
HEADING = "ID USER PROFILE SERVICE TTY FROM STATE MEMBERS PID STARTED".split()


def run_as_alice(script, *words, **options):
    return ctl("run", "--user", "alice", *words, "--", "sh", "-c", script, **options)


def on_terminal(*words, **options):
    return host.spawn("nsboxctl", *words, **options)


def ended(child):
    """The exit status of a command on a terminal, and all that it still said."""
    child.expect(pexpect.EOF)
    text = child.before
    child.close()
    return child.exitstatus, text


@pytest.fixture
def boxed(conf, baseline):
    """Everybody is boxed, and nothing remains."""
    conf.nsbox(PROFILE)
    return conf


# -- usage --


@pytest.mark.parametrize("words, sentence", [
    ((), "usage: nsboxctl COMMAND"),
    (("frobnicate",), 'there is no command "frobnicate"'),
    (("list", "--frobnicate"), "unrecognized option '--frobnicate'"),
    (("list", "more"), "too many arguments"),
    (("check", "a", "b"), "too many arguments"),
    (("gc", "more"), "too many arguments"),
    (("explain", "--user", "alice"), "--user and --service are needed"),
    (("explain", "--user", "alice", "--service"), "requires an argument"),
    (("explain", "--user", "alice", "--service", "sshd", "more"), "too many arguments"),
    (("run", "--", "true"), "--user is missing"),
    (("enter",), "the box's id is missing"),
    (("show",), "the box's id is missing"),
    (("show", "a", "b"), "too many arguments"),
    (("freeze",), "the box's id is missing"),
    (("thaw", "a", "b"), "too many arguments"),
    (("top", "more"), "too many arguments"),
    (("kill",), "the box's id is missing, or --user"),
    (("kill", "--now"), "the box's id is missing, or --user"),
    (("kill", "abc", "--user", "alice"), "the box's id or --user, not both"),
    (("kill", "a", "b"), "too many arguments"),
    (("kill", "--user"), "requires an argument"),
    (("mkroot",), "the directory is missing"),
])
def test_wrong_usage(words, sentence):
    """Usage and what is wrong on standard error, nothing on standard output, status 2."""
    result = ctl(*words)
    assert (result.rc, result.out) == (2, "")
    assert sentence in result.err and "usage: nsboxctl" in result.err


@pytest.mark.parametrize("words", [("--help",), ("help",), ("run", "--help"), ("list", "--help")])
def test_help(words):
    """Asked for, the usage is output; each command is in the first one."""
    result = ctl(*words)
    assert (result.rc, result.err) == (0, "") and result.out.startswith("usage: nsboxctl")
    if words[0] in ("--help", "help"):
        for command in ("check", "explain", "run", "enter", "list", "show", "top", "freeze", "thaw",
                        "kill", "gc", "mkroot"):
            assert f"  nsboxctl {command}" in result.out


def test_version():
    assert re.fullmatch(r"nsboxctl \d+\.\d+\.\d+\n", ctl("--version").out)


@pytest.mark.parametrize("words", [
    ("check",), ("explain", "--user", "alice", "--service", "sshd"), ("run", "--user", "alice", "--", "true"),
    ("enter", "abc"), ("list",), ("list", "--json"), ("gc",), ("top",), ("top", "--json"), ("freeze", "abc"),
    ("thaw", "abc"), ("show", "abc"), ("kill", "abc"), ("kill", "--user", "alice"),
])
def test_only_root(words):
    """Anybody else reads one sentence, status 1; nothing is shown."""
    result = host.run("runuser", "-u", "alice", "--", "/usr/sbin/nsboxctl", *words)
    assert (result.rc, result.out) == (1, "") and "only root may do this" in result.err


@pytest.mark.parametrize("words", [("run", "--user", "alice", "--", "true"), ("list",), ("gc",), ("enter", "abc"), ("top",),
                                   ("freeze", "abc"), ("thaw", "abc"), ("show", "abc"), ("kill", "abc"),
                                   ("kill", "--user", "root"), ("explain", "--user", "alice", "--service", "sshd")])
def test_not_in_a_box(boxed, words):
    """Root in a box sees neither boxes nor the host: said so, instead of an empty list."""
    result = ctl("run", "--user", "root", "--", "nsboxctl", *words)
    assert result.rc == 1 and "inside of a box" in result.err, result


def test_full_disk_is_noticed(boxed):
    """Output that could not be written is no success."""
    result = host.run("sh", "-c", "nsboxctl list >/dev/full")
    assert result.rc == 1 and "cannot write" in result.err


def test_started_without_standard_files(boxed):
    """Closed descriptors 0 to 2 are not filled with files of nsboxctl's own."""
    result = host.run("bash", "-c", "nsboxctl run --user alice -- sh -c '(ls -l /proc/$$/fd) >&2; cat' <&- >&- 2>/tmp/said; "
                                    "echo $?; cat /tmp/said")
    assert result.out.startswith("0\n"), result
    found = re.findall(r" (\d+) -> (\S+)", result.out)
    assert found == [("0", "/dev/null"), ("1", "/dev/null"), ("2", "/tmp/said")], result


# -- check --


def test_check_shipped_file():
    """The configuration as it is installed is right and boxes nobody."""
    result = ctl("check")
    assert result.rc == 0 and result.out == f"{CONF}: ok, 0 profiles\n", result


def test_check_counts_profiles(conf):
    conf.dropin("10-one.conf", "[profile one]\nusers = alice\nnetwork = host\n")
    conf.nsbox(PROFILE)
    assert ctl("check").out == f"{CONF}: ok, 2 profiles\n"
    conf.remove("/etc/security/nsbox.conf.d/10-one.conf")
    assert ctl("check").out == f"{CONF}: ok, 1 profile\n"


def test_check_prints_every_problem(conf):
    """All mistakes of all files at once, with file and line, in their order; status 1."""
    dropin = conf.dropin("10-one.conf", "[profile one]\nusers = alice\nfrobnicate = 1\nstop_timeout = soon\n")
    conf.nsbox("[profile one]\nusers = bob\n[profile two]\nnetwork = loopbak\n")
    result = ctl("check")
    assert (result.rc, result.out) == (1, "")
    places = [":".join(line.split(":")[:2]) for line in result.err.splitlines()]
    assert places == [f"{dropin}:3", f"{dropin}:4", f"{CONF}:1", f"{CONF}:4", f"{CONF}:3"] or \
        set(places) == {f"{dropin}:3", f"{dropin}:4", f"{CONF}:1", f"{CONF}:4", f"{CONF}:3"}, result.err
    assert all(re.match(r"\S+:\d+: \S", line) for line in result.err.splitlines())


def test_check_one_file(conf, tmp_path):
    """A file that is named is the only one that is read; its name is in the answer, as it was given."""
    conf.nsbox("frobnicate\n")
    good = conf.file("/srv/new.conf", PROFILE)
    assert ctl("check", good).out == "/srv/new.conf: ok, 1 profile\n"
    assert ctl("check", "new.conf", cwd="/srv").out == "new.conf: ok, 1 profile\n"
    assert ctl("check").rc == 1


@pytest.mark.parametrize("prepare, sentence", [
    (lambda path: path.unlink(), "there is no such file"),
    (lambda path: os.chown(path, 2001, 2001), "belongs to uid 2001"),
    (lambda path: path.chmod(0o666), "may write it"),
])
def test_check_file_that_cannot_be_trusted(prepare, sentence):
    path = pathlib.Path("/srv/odd.conf")
    path.write_text(PROFILE)
    prepare(path)
    result = ctl("check", str(path))
    path.unlink(missing_ok=True)
    assert result.rc == 1 and re.match(rf"{path}: .*{sentence}", result.err), result


def warnings(result):
    """The warnings of a configuration that is right."""
    assert result.rc == 0 and ": ok, " in result.out, result
    return [line for line in result.err.splitlines() if "warning" in line]


def check_text(conf, text):
    """Warnings about one file, of which nothing but this text is known."""
    return warnings(ctl("check", conf.file("/srv/check.conf", text)))


def test_check_warns_of_no_network(conf):
    """Only where neither the profile nor what it inherits names the key; [defaults] does not count."""
    text = ("[defaults]\nnetwork = loopback\n[profile base]\nusers =\nnetwork = host\n"
            "[profile a]\nusers = alice\ninherits = base\n[profile b]\nusers = bob\n")
    assert check_text(conf, text) == [
        "/srv/check.conf:9: warning: profile b does not name network: sessions will have no network"]


def test_check_does_not_warn_of_a_base(conf):
    """A profile that is only inherited opens no sessions."""
    text = "[profile base]\nusers =\npids_max = 9\n[profile a]\nusers = alice\ninherits = base\nnetwork = host\n"
    assert check_text(conf, text) == []


def test_check_warns_of_unknown_names(conf):
    """Names that nobody has, with their line; not of patterns and numbers."""
    text = "[profile a]\nnetwork = host\nusers = alice alcie * 70000 @students\nusers = @studnets !@nobodies @x*\n"
    found = check_text(conf, text)
    assert [re.sub(r".*check.conf", "", line) for line in found] == [
        ":3: warning: users: there is no user alcie on this host",
        ":4: warning: users: there is no group studnets on this host",
        ":4: warning: users: there is no group nobodies on this host"]


@pytest.fixture
def tree():
    """A directory that does as a root: programs are the host's, bound where a test needs them."""
    path = pathlib.Path("/srv/ctl-root")
    for name in ("proc", "sys", "dev", "run", "tmp", "var/tmp", "etc", "bin", "home/alice", "root", "usr/lib/openssh"):
        (path / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", path / "bin/busybox")
    for name in ("sh", "ash", "bash", "cat", "env", "id", "echo", "stat", "sleep"):
        (path / "bin" / name).symlink_to("busybox")
    (path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nalice:x:2001:2001::/home/alice:/bin/sh\n")
    for name in ("etc/group", "etc/nsswitch.conf", "usr/lib/openssh/sftp-server"):  # what check misses otherwise
        (path / name).touch()
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("spoil, sentence", [
    (lambda path: None, None),
    (lambda path: (path / "sys").rmdir(), r"root /srv/ctl-root has no /sys: mkdir"),
    (lambda path: (path / "bin/bash").unlink(), r"the user's shell /bin/bash is not in the root"),
    (lambda path: path.chmod(0o777), r"/srv/ctl-root"),
    (lambda path: path.rename("/srv/away"), r"/srv/ctl-root"),
])
def test_check_warns_of_the_root(conf, tree, spoil, sentence):
    """What is wrong with the root tree of a profile is tried on a user it is for; a right one gives no warning."""
    spoil(tree)
    found = check_text(conf, f"[profile jail]\nusers = alice\nnetwork = host\nroot = {tree}\n")
    if os.path.exists("/srv/away"):
        os.rename("/srv/away", tree)
    if sentence is None:
        assert found == []
    else:
        (line,) = found
        assert re.search(rf"check.conf:1: warning: profile jail: a login of alice would be refused: .*{sentence}", line)


def test_check_warns_of_the_root_without_users(conf, tree):
    """Nobody to try it on: the tree is looked at all the same."""
    (tree / "sys").rmdir()
    shutil.rmtree(tree / "etc")
    tree.chmod(0o777)
    found = check_text(conf, f"[profile jail]\nusers = 70001\nnetwork = host\nroot = {tree}\n")
    assert len(found) == 1 and "profile jail: logins would be refused: " in found[0], found


def test_check_warns_of_the_stacks(conf):
    """The account line is missing where it belongs, or stands where it asks about the wrong user; half a pair of lines."""
    conf.nsbox(PROFILE)
    conf.pam_all()
    conf.pam("cron", variant="one")
    assert warnings(ctl("check")) == []
    conf.pam("sshd", account=False)
    conf.pam("sudo", account=True)
    conf.pam("su", variant="none", last=["session required pam_nsbox.so open debug"])
    conf.pam("login", variant="none", account=True)
    found = "\n".join(warnings(ctl("check")))
    assert re.search(r"/etc/pam.d/sshd: warning: the account line is missing", found)
    assert re.search(r"/etc/pam.d/sudo: warning: the account line asks about the caller", found)
    assert re.search(r"/etc/pam.d/su: warning: no session line leaves the box", found)
    assert re.search(r"/etc/pam.d/login: warning: the session line is missing", found)
    assert found.count("\n") == 3


def test_check_follows_includes(conf):
    """Lines that are included count, those that are comments do not."""
    conf.nsbox(PROFILE)
    conf.pam_all(variant="none")
    found = warnings(ctl("check"))
    assert len(found) == 1 and "no service names pam_nsbox.so" in found[0]
    conf.file("/etc/pam.d/common-box", "account required pam_nsbox.so\nsession required pam_nsbox.so\n")
    conf.pam("sshd", variant="none", last=["@include common-box"])
    conf.pam("login", variant="none", last=["session include common-box", "# account required pam_nsbox.so"])
    found = warnings(ctl("check"))
    assert len(found) == 1 and found[0].startswith("/etc/pam.d/login: warning: the account line is missing")


# -- explain --


def explain(*words, user="alice", service="sshd"):
    return ctl("explain", "--user", user, "--service", service, *words)


def plan(result):
    """The steps: [(number, stage, operation, rest, why)]."""
    pattern = r"^ *(\d+)  (\w+) +([\w-]+) +(.*?) *# (.*)$"
    return [(int(m[1]), *m.groups()[1:]) for m in re.finditer(pattern, result.out, re.M)]


def test_explain_passes_over_with_reasons(conf):
    """Each profile before the right one is named with its line and why not; those behind it are not looked at."""
    conf.dropin("10-first.conf", "[profile admins]\nusers = @sudo root\n[profile here]\nusers = alice\nservices = login\n")
    conf.nsbox("[profile lab]\nusers = alice\nfrom = 10.0.0.0/8\n[profile others]\nusers = * !bob\n[profile last]\n"
               "users = *\n")
    result = explain("--from", "192.0.2.7")
    assert result.rc == 0, result
    lines = result.out.splitlines()
    assert lines[0] == "login of alice (uid 2001, gid 2001; groups alice students) by the service sshd on ssh from 192.0.2.7"
    dropin = "/etc/security/nsbox.conf.d/10-first.conf"
    assert lines[1].startswith(f"passed over admins ({dropin}:1): users: none of @sudo root")
    assert lines[2].startswith(f"passed over here ({dropin}:3): services: none of login") and "sshd" in lines[2]
    assert lines[3].startswith(f"passed over lab ({CONF}:1): from: none of 10.0.0.0/8") and "192.0.2.7" in lines[3]
    assert lines[4].startswith(f"profile others ({CONF}:4): users: * ")
    assert "last" not in "\n".join(lines[5:8])


def test_explain_no_profile(conf):
    """The login is left alone; status 1."""
    conf.nsbox("[profile a]\nusers = bob\n")
    result = explain()
    assert result.rc == 1 and "no profile matches" in result.out and "plan" not in result.out


def test_explain_forced_profile(conf):
    conf.nsbox("[profile a]\nusers = bob\n")
    result = explain("--profile", "a")
    assert result.rc == 0 and "forced by profile=a" in result.out
    result = explain("--profile", "b")
    assert result.rc == 1 and 'there is no profile "b"' in result.err


def test_explain_other_file(conf):
    conf.nsbox("nonsense\n")
    conf.file("/srv/new.conf", PROFILE)
    assert "profile all (/srv/new.conf:1)" in explain("--conf", "/srv/new.conf").out
    result = ctl("explain", "--user", "alice", "--service", "sshd", "--conf", "new.conf", cwd="/srv")
    assert result.rc == 0 and "would be boxed" in result.out, result


def test_explain_broken_configuration(conf):
    """The problems, and what that means for logins."""
    conf.nsbox("[profile a]\nfrob = 1\n")
    result = explain()
    assert result.rc == 1 and f"{CONF}:2: " in result.err and "only root can log in" in result.err


def test_explain_unknown_user(conf):
    conf.nsbox(PROFILE)
    result = explain(user="nosuch")
    assert result.rc == 1 and "does not know the user nosuch" in result.err


@pytest.mark.parametrize("service, words", [("systemd-user", ()), ("gdm-password", ()), ("sshd", ("--tty", ":0"))])
def test_explain_out_of_scope(conf, service, words):
    conf.nsbox(PROFILE)
    result = explain(*words, service=service)
    assert result.rc == 1 and "never boxed" in result.out and "would be boxed" not in result.out


def test_explain_names_lines_of_the_configuration(conf):
    """A step that somebody asked for is told with the line that asks; a default one with its reason."""
    conf.nsbox(PROFILE + "bind_ro = /usr/share/doc:/opt\nmask = /srv\n")
    steps = {(operation, rest.split(" [")[0]): why for _, _, operation, rest, why in plan(explain())}
    assert steps[("bind", "/usr/share/doc -> /opt")] == f"bind_ro ({CONF}:4)"
    assert steps[("mask", "/srv")] == f"mask ({CONF}:5)"
    assert steps[("pivot", "")] == "the old root is detached: no path leads back"


def test_explain_refusal(conf):
    """What the helper would refuse is told, with the line that is to blame; status 1."""
    conf.nsbox(PROFILE + "bind = /nowhere\n")
    result = explain()
    assert result.rc == 1
    assert re.search(rf"^a login now would be refused: {CONF}:4: cannot bind /nowhere: .*\(stage check, ENOENT\)$",
                     result.out, re.M), result.out
    conf.nsbox(PROFILE + "bind = /nowhere\non_error = allow\n")
    result = explain()
    assert result.rc == 1 and "a login now would be let in WITHOUT a box" in result.out


def test_explain_value_that_does_not_fit(conf):
    """A template that gives no path for this user: refused when planned."""
    conf.nsbox(PROFILE + "bind_ro = %h/x:/opt/%u\n")
    conf.file("/srv/dots.conf", PROFILE + "bind_ro = /usr:/opt/%s\n")
    assert explain().rc == 1
    result = ctl("explain", "--user", "alice", "--service", "..", "--conf", "/srv/dots.conf")
    assert result.rc == 1 and re.search(r"^a login now would be refused: .*\(stage plan, EINVAL\)$", result.out, re.M)


def test_explain_without_helper(conf):
    conf.nsbox(PROFILE)
    os.rename(f"{LIBEXEC}/nsbox-helper", f"{LIBEXEC}/away")
    try:
        result = explain()
    finally:
        os.rename(f"{LIBEXEC}/away", f"{LIBEXEC}/nsbox-helper")
    assert result.rc == 1 and "would be refused: cannot run" in result.out


def test_explain_terminal(conf, baseline):
    """Where the login brings a terminal the box gets that one, and what is not protected then is told."""
    conf.nsbox(PROFILE)
    ours = explain()
    assert ("mount", "devpts -> /dev/pts") in [(op, rest.split(' "')[0]) for _, _, op, rest, _ in plan(ours)]
    assert "TIOCSTI" not in ours.out
    child = on_terminal("explain", "--user", "alice", "--service", "su")
    status, text = ended(child)
    assert status == 0, text
    assert re.search(r"by the service su on /dev/pts/\d+", text)
    assert "/dev/pts -> /dev/pts" in text and "TIOCSTI" not in text
    conf.nsbox(PROFILE + "seccomp = off\n")
    child = on_terminal("explain", "--user", "alice", "--service", "su")
    status, text = ended(child)
    assert status == 0 and "TIOCSTI" in text and "no system call is filtered" in text, text
    given = explain("--tty", "/dev/pts/999", service="su")
    assert given.rc == 1 and "the terminal /dev/pts/999" in given.out


def test_explain_changes_nothing(conf, baseline):
    """Not even an entry in the registry, nor a line in syslog."""
    conf.nsbox(PROFILE)
    start = syslog.mark()
    assert explain().rc == 0
    assert syslog.lines_since(start) == []


def mounts(text):
    """{mount point: options} of a mountinfo; of several at one place the last."""
    return {line.split()[4]: line.split()[5].split(",") for line in text.splitlines()}


def planned_mounts(steps):
    """{mount point: (flags, must be there)}."""
    found = {}
    for _, _, operation, rest, _ in steps:
        match = re.fullmatch(r'(?:(\S+) -> )?(\S+)(?: "(.*?)")?(?: \[(.*)\])?', rest)
        if operation in ("mount", "bind", "proc", "mask") and match:
            flags = (match[4] or "").split()
            found[match[2]] = (flags, "if-there" not in flags)
    return found


def assert_as_planned(steps, seen):
    for point, (flags, certain) in planned_mounts(steps).items():
        if point not in seen:
            assert not certain, f"{point} is planned and not there"
            continue
        for flag in ("ro", "nosuid", "nodev", "noexec"):
            assert flag not in flags or flag in seen[point], f"{point} is not {flag}: {seen[point]}"


@pytest.mark.parametrize("root", ["host", "directory"])
def test_plan_is_what_is_run(conf, baseline, tree, root):
    """Every mount that explain names is in the box with its flags, and there is none that it does not name; the
    environment, the host name and the limit are as told."""
    lines = f"root = {tree}\n" if root == "directory" else ""
    conf.nsbox(PROFILE + lines + "hostname = box-%u\npids_max = 77\nbind_ro = /usr/share:/run/share\n"
               "tmpfs = /run/scratch:size=1m,noexec\nmask = /run/share/doc\n")
    told = explain(service="nsboxctl")
    assert told.rc == 0, told
    steps = plan(told)
    assert [number for number, *_ in steps] == list(range(len(steps)))
    with running(script="echo ready; cat /proc/self/mountinfo; echo; env; echo; cat /etc/hostname; read line") as process:
        seen = mounts("".join(iter(lambda: process.stdout.readline().decode(), "\n")))
        environment = list(iter(lambda: process.stdout.readline().decode().rstrip("\n"), ""))
        one = box(user="alice")
        assert host.read(f"{one['cgroup']}/pids.max") == "77\n"
    assert_as_planned(steps, seen)
    outside = mounts(host.read("/proc/self/mountinfo")) if root == "host" else {}
    home = "/home/alice"
    assert {point for point in seen if point not in outside and point != home} - {"/"} <= set(planned_mounts(steps))
    assert one["hostname"] == "box-alice" and ("hostname", '"box-alice"') in [(op, rest) for _, _, op, rest, _ in steps]
    assert {("cgroup", "nsbox -> xxxxxxxxxx"), ("limit", 'pids_max -> xxxxxxxxxx "77"')} <= \
        {(op, rest) for _, _, op, rest, _ in steps}
    for line in re.findall(r"^  set   (.*)$", told.out, re.M):
        assert line.replace("xxxxxxxxxx", one["id"]) in environment
    for name in re.findall(r"^  unset (.*)$", told.out, re.M):
        assert not [line for line in environment if line.startswith(f"{name}=")]


# -- run --


@pytest.mark.parametrize("script, status", [
    ("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137), ("kill -INT $$", 130),
])
def test_run_passes_the_status_on(boxed, script, status):
    assert run_as_alice(script).rc == status


@pytest.mark.parametrize("command, status, sentence", [
    ("no-such-program", 127, "no-such-program: No such file"),
    ("/etc/passwd", 126, "/etc/passwd: Permission denied"),
    ("/etc", 126, "/etc: Permission denied"),
])
def test_run_what_cannot_be_run(boxed, command, status, sentence):
    result = ctl("run", "--user", "alice", "--", command)
    assert result.rc == status and sentence in result.err, result


def test_run_is_a_box(boxed):
    """PID 1 is nsbox-init, all namespaces are new, ps shows the box."""
    result = run_as_alice("ps -A -o comm=; for n in uts ipc mnt pid net cgroup; do readlink /proc/self/ns/$n; done")
    words = result.out.split()
    assert words[:4] == ["nsbox-init", "sh", "ps", words[3]] and len(words) == 9, result
    outside = host.namespaces()
    for link in words[3:]:
        kind, inode = re.fullmatch(r"(\w+):\[(\d+)\]", link).groups()
        assert int(inode) != outside[kind]


@pytest.mark.parametrize("user", ["alice", "root"])
def test_run_is_the_user(boxed, user):
    """id says the same as on the host; all four ids of each kind; in the home directory; the usual umask."""
    def fields(pid):
        return {name: value.split() for name, value in host.status(pid).items() if name in ("Uid", "Gid")}

    result = ctl("run", "--user", user, "--", "sh", "-c", "id; pwd; umask; grep -E '^(Uid|Gid):' /proc/self/status",
                 cwd="/usr", preexec_fn=lambda: os.umask(0o777))
    lines = result.out.splitlines()
    uid, home = (2001, "/home/alice") if user == "alice" else (0, "/root")
    assert lines[0] == host.run("id", user).out.strip(), result
    assert lines[1:3] == [home, "0022"]
    assert lines[3].split()[1:] == [str(uid)] * 4 and lines[4].split()[1:] == [str(uid)] * 4
    assert fields("self")["Uid"] == ["0"] * 4


def test_run_cannot_become_root_again(boxed):
    """No capability is left, in no set."""
    result = run_as_alice("grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status")
    assert [int(line.split()[1], 16) for line in result.out.splitlines()] == [0] * 4, result


def test_run_environment(boxed):
    """Clean: nothing of the caller's but TERM and LANG."""
    foreign = {"FOO": "bar", "LD_LIBRARY_PATH": "/x", "SSH_AUTH_SOCK": "/x", "DBUS_SESSION_BUS_ADDRESS": "x", "LC_ALL": "C"}
    result = ctl("run", "--user", "alice", "--", "/usr/bin/env",
                 env={**foreign, "PATH": os.environ["PATH"], "TERM": "vt220", "LANG": "C.UTF-8", "HOME": "/root"})
    found = dict(line.split("=", 1) for line in result.out.splitlines())
    assert re.fullmatch("[a-z0-9]{10}", found.pop("NSBOX_ID"))
    assert found == {"HOME": "/home/alice", "USER": "alice", "LOGNAME": "alice", "SHELL": "/bin/bash", "TERM": "vt220",
                     "LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    result = ctl("run", "--user", "root", "--", "/usr/bin/env", env={"PATH": os.environ["PATH"]})
    assert "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" in result.out.splitlines()
    assert "TERM=" not in result.out and "LANG=" not in result.out


def test_run_login_shell(boxed):
    """Without a command: the login shell, as one."""
    result = ctl("run", "--user", "alice", input="echo $0; shopt -q login_shell && echo login; exit 5\n")
    assert (result.rc, result.out.split()) == (5, ["-bash", "login"]), result


def test_run_home_that_is_not_there_in_a_directory(boxed, tree):
    boxed.nsbox(PROFILE + f"root = {tree}\nmask = /home\n")
    assert run_as_alice("pwd").out == "/\n"


def test_run_pipes(boxed):
    """Without a terminal input, output and errors are what they were, byte by byte."""
    data = os.urandom(host.count(30, 5) * 1000000)
    result = run_as_alice("cat; echo wrong >&2", input=data, text=False, timeout=60)
    assert result.out == data and result.err == b"wrong\n" and result.rc == 0


def test_run_files(boxed, tmp_path):
    """Files are handed on as they are."""
    path = tmp_path / "out"
    with open(path, "w") as file:
        subprocess.run(["nsboxctl", "run", "--user", "alice", "--", "sh", "-c", "echo to-file; echo too >&2"], stdout=file,
                       stderr=file, stdin=subprocess.DEVNULL, check=True)
    assert path.read_text() == "to-file\ntoo\n"


def test_run_leaks_no_descriptor(boxed):
    """Whatever nsboxctl was started with and opens itself: the command has 0 to 2."""
    extra = [os.open("/", os.O_RDONLY), os.open("/etc/shadow", os.O_RDONLY), os.open("/proc/self/ns/mnt", os.O_RDONLY)]
    result = run_as_alice("ls -l /proc/$$/fd", pass_fds=extra)
    for number in extra:
        os.close(number)
    found = re.findall(r" (\d+) -> ", result.out)
    assert found == ["0", "1", "2"], result


def test_run_leaks_no_key(boxed):
    """Root's session keyring would let the user read what root may."""
    code = ("import ctypes, sys; c = ctypes.CDLL(None); c.syscall.restype = ctypes.c_long\n"
            "print(c.syscall(250, 10, -3, b'user', b'nsbox-test', 0) > 0)\n")
    outer = ("import ctypes, subprocess, sys; c = ctypes.CDLL(None)\n"
             "assert c.syscall(250, 1, None) > 0 and c.syscall(248, b'user', b'nsbox-test', b'x', 1, -3) > 0\n"
             "subprocess.run([sys.executable, '-c', sys.argv[1]])\n"
             "subprocess.run(['nsboxctl', 'run', '--user', 'alice', '--', 'python3', '-c', sys.argv[1]])\n")
    result = host.run("python3", "-u", "-c", outer, code)
    assert result.out == "True\nFalse\n", result


@pytest.mark.parametrize("path", ["/dev/tty", "/proc/self/fd/0"])
def test_run_without_terminal_has_none(boxed, path):
    """Started on a terminal with all three descriptors turned elsewhere, the command has no way to that terminal."""
    child = host.spawn("bash", "-c", "nsboxctl run --user alice -- sh -c 'tty; echo x >" + path +
                       "' </dev/null >/cache/ctl-out 2>&1; echo status $?")
    child.expect(r"status (\d+)\r")
    ended(child)
    text = host.read("/cache/ctl-out")
    os.unlink("/cache/ctl-out")
    assert "not a tty" in text
    assert path != "/dev/tty" or "No such device or address" in text


def test_run_terminal(boxed):
    """A terminal of the box's own, the user's, in front; the size and modes are the outer one's."""
    child = on_terminal("run", "--user", "alice", "--", "bash", "-c",
                        "tty; stat -c '%U %G %a' $(tty); stty size; stty -a; ps -o pid=,tpgid=,sid=,tty= -p $$; "
                        "readlink /proc/$$/fd/*; exit 9", dimensions=(31, 97))
    status, text = ended(child)
    text = text.replace("\r\n", "\n")
    lines = text.splitlines()
    assert status == 9
    assert lines[0:3] == ["/dev/pts/0", "alice tty 620", "31 97"], text
    assert "\nisig icanon iexten echo " in text and "\nopost " in text
    assert re.search(r"^ *(\d+) +\1 +\1 pts/0$", "\n".join(lines), re.M), text
    assert lines[-3:] == ["/dev/pts/0"] * 3


def test_run_terminal_is_restored(boxed):
    """Also after the command left its own in a mess, and after a signal to nsboxctl."""
    child = host.spawn("bash", "-c", "stty -g; nsboxctl run --user alice -- stty raw -echo; stty -g; "
                                     "(sleep 0.5; pkill -TERM -f '^nsboxctl run') & nsboxctl run --user alice -- sleep 30; "
                                     "echo $?; stty -g")
    status, text = ended(child)
    before, after, signalled, last = text.split()
    assert before == after == last and signalled == "143", text


def test_run_stopped_and_continued(boxed):
    """An interactive shell that stops nsboxctl changes the terminal: it is raw again when nsboxctl goes on."""
    child = on_terminal("run", "--user", "alice", "--", "sh", "-c", "echo ready; read line; echo got $line; exit 2")
    child.expect("ready\r")
    os.kill(child.pid, signal.SIGSTOP)
    host.wait_until(lambda: host.status(child.pid)["State"].startswith("T"), what="it is stopped")
    modes = termios.tcgetattr(child.child_fd)
    assert not modes[3] & termios.ICANON
    modes[3] |= termios.ICANON | termios.ECHO
    termios.tcsetattr(child.child_fd, termios.TCSANOW, modes)
    os.kill(child.pid, signal.SIGCONT)
    host.wait_until(lambda: not termios.tcgetattr(child.child_fd)[3] & termios.ICANON, what="the terminal is raw")
    child.sendline("this")
    child.expect("got this\r")
    assert ended(child)[0] == 2


def test_run_window_size(boxed):
    """A change of the outer window reaches the command as SIGWINCH."""
    child = on_terminal("run", "--user", "alice", "--", "bash", "-c",
                        "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.1; done", dimensions=(24, 80))
    child.expect("ready")
    child.setwinsize(50, 120)
    child.expect("50 120\r")
    assert ended(child)[0] == 0


def test_run_ctrl_c_and_ctrl_d(boxed):
    """Typed on the terminal they are the command's, not nsboxctl's."""
    child = on_terminal("run", "--user", "alice", "--", "bash", "-c",
                        "trap 'echo interrupted' INT; echo ready; read line; echo \"got $line\"; cat; echo over; exit 4")
    child.expect("ready\r")
    child.sendintr()
    child.expect("interrupted\r")
    child.sendline("hello")
    child.expect("got hello\r")
    child.sendeof()
    child.expect("over\r")
    assert ended(child)[0] == 4


def test_run_ctrl_c_kills_the_command(boxed):
    child = on_terminal("run", "--user", "alice", "--", "sh", "-c", "echo ready; exec cat")
    child.expect("ready\r")
    child.sendintr()
    assert ended(child)[0] == 130


def test_run_interactive_shell(boxed):
    """Job control works: the shell has a terminal of its own."""
    child = on_terminal("run", "--user", "alice")
    child.expect(r"\$ ")
    child.sendline("sleep 100")
    host.wait_until(lambda: host.find("sleep", "sleep 100"), what="sleep runs")
    child.send("\x1a")
    child.expect(r"Stopped.*\$ ")
    child.sendline("fg")
    child.expect("sleep 100\r")
    (job,) = host.find("sleep", "sleep 100")
    host.wait_until(lambda: host.in_foreground(job), what="the shell has given sleep the terminal")
    child.sendintr()
    child.expect(r"\$ ")
    child.sendline("exit 6")
    assert ended(child)[0] == 6


@pytest.mark.parametrize("turned, inner", [("</dev/null", "12"), (">/cache/ctl-out", "02"), ("2>/cache/ctl-out", "01"),
                                           ("</dev/null >/cache/ctl-out", "2")])
def test_run_never_hands_the_terminal_on(boxed, turned, inner):
    """Whichever descriptors are the administrator's terminal: the command gets its own in their place, and only there.
    (By one that was handed on it could read what is typed later.)"""
    script = "(for n in 0 1 2; do readlink /proc/$$/fd/$n; stat -L -c %d /proc/$$/fd/$n; done) >$HOME/report; " \
             "stat -c %d /dev/pts >>$HOME/report; echo said; echo said too >&2"
    child = host.spawn("bash", "-c", f"nsboxctl run --user alice -- sh -c '{script}' {turned}; echo status $?")
    child.expect(r"status 0\r")
    text = child.before
    ended(child)
    words = pathlib.Path("/home/alice/report").read_text().split()
    links, devices, own = words[0:6:2], words[1:6:2], words[6]
    for number in range(3):
        if str(number) in inner:
            assert links[number] == "/dev/pts/0" and devices[number] == own
        else:
            assert not links[number].startswith("/dev/pts")
    assert int(own) != os.stat("/dev/pts").st_dev
    assert ("said\r\n" in text) == ("1" in inner) and ("said too\r\n" in text) == ("2" in inner)
    os.unlink("/home/alice/report")
    pathlib.Path("/cache/ctl-out").unlink(missing_ok=True)


def test_run_input_of_a_terminal_into_a_file(boxed):
    """Input typed, output elsewhere: the outer terminal echoes and edits, its end of file is the command's."""
    child = host.spawn("bash", "-c", "nsboxctl run --user alice -- cat >/cache/ctl-out; echo status $?")
    host.wait_until(lambda: host.find("cat"), what="cat runs")
    child.sendline("typed")
    child.sendeof()
    child.expect(r"status 0\r")
    assert child.before.replace("\r\n", "\n").strip() == "typed"
    assert host.read("/cache/ctl-out") == "typed\n"
    os.unlink("/cache/ctl-out")
    ended(child)


def test_run_big_output_on_a_terminal(boxed):
    """Nothing is lost at the end, and output does not wait for what was left running."""
    child = on_terminal("run", "--user", "alice", "--", "sh", "-c", "sleep 60 & seq 1 20000", timeout=30)
    status, text = ended(child)
    assert status == 0 and text.split() == [str(n) for n in range(1, 20001)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_run_signal_ends_the_box(boxed, number):
    """The box ends in order, and nsboxctl tells by which signal."""
    with running() as process:
        (one,) = boxes()
        process.send_signal(number)
        assert process.wait(5 * host.PATIENCE) == 128 + number
    host.wait_until(lambda: not host.alive(one["init_pid"]), what="PID 1 has ended")


def test_run_signal_and_a_command_that_will_not_end(boxed):
    """What ignores the hangup is killed after stop_timeout."""
    boxed.nsbox(PROFILE + "stop_timeout = 500ms\n")
    with running(script="trap '' HUP TERM; echo ready; while :; do sleep 1; done") as process:
        start = time.monotonic()
        process.terminate()
        assert process.wait(5 * host.PATIENCE) == 143
        assert 0.4 < time.monotonic() - start < 0.5 + host.PATIENCE


def test_run_ignored_signals_stay_ignored(boxed):
    """nohup means it."""
    command = ["nohup", "nsboxctl", "run", "--user", "alice", "--", "sh", "-c", "echo ready; read line; exit 3"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    process.stdin.write(b"\n")
    process.stdin.close()
    assert process.wait(5 * host.PATIENCE) == 3
    process.stdout.close()


def test_run_command_has_default_signals(boxed):
    """Neither ignored nor blocked ones are inherited."""
    def spoil():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1])

    result = ctl("run", "--user", "alice", "--", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", preexec_fn=spoil)
    assert [int(line.split()[1], 16) for line in result.out.splitlines()] == [0, 0] and result.rc == 0, result


def test_run_killed(boxed):
    """kill -9 of nsboxctl: the monitor ends the box (the baseline tells)."""
    with running() as process:
        (one,) = boxes()
        process.kill()
        process.wait()
    host.wait_until(lambda: not host.alive(one["init_pid"]), what="PID 1 has ended")


def test_run_terminal_goes_away(boxed):
    """A closed window is a hangup: the box ends."""
    child = on_terminal("run", "--user", "alice", "--", "sh", "-c", "echo ready; exec sleep 100")
    child.expect("ready")
    child.close(force=False)
    host.wait_until(lambda: boxes() == [], what="the box has ended")


def test_run_pid_1_killed(boxed):
    """The command dies with its box; nsboxctl tells."""
    with running() as process:
        os.kill(boxes()[0]["init_pid"], signal.SIGKILL)
        assert process.wait(5 * host.PATIENCE) == 137


def test_run_background_job_ends(boxed):
    """What the command leaves running ends with the box."""
    assert run_as_alice("setsid sleep 77 </dev/null >/dev/null 2>&1 & echo").rc == 0
    host.wait_until(lambda: not host.find("sleep", "sleep 77"), what="the background job has ended")


def test_run_at_the_limit(boxed):
    """A limit of one leaves room for PID 1 and nobody else: a sentence, and nothing remains."""
    boxed.nsbox(PROFILE + "pids_max = 1\n")
    result = run_as_alice("echo here")
    assert result.rc == 1 and "here" not in result.out and "Resource temporarily unavailable" in result.err, result


def test_run_chooses_a_profile(boxed):
    """As a login by the service nsboxctl would; --profile takes another one; none is an error, not a bare command."""
    boxed.nsbox("[profile ssh]\nusers = *\nservices = sshd\nhostname = one\n"
                "[profile ctl]\nusers = bob\nservices = nsboxctl\nhostname = two\n")
    assert ctl("run", "--user", "bob", "--", "uname", "-n").out == "two\n"
    assert ctl("run", "--user", "bob", "--profile", "ssh", "--", "uname", "-n").out == "one\n"
    result = ctl("run", "--user", "alice", "--", "echo", "here")
    assert (result.rc, result.out) == (1, "") and "no profile is for alice" in result.err
    result = ctl("run", "--user", "alice", "--profile", "nosuch", "--", "echo", "here")
    assert (result.rc, result.out) == (1, "") and 'no profile "nosuch"' in result.err


def test_run_other_file(boxed):
    boxed.nsbox("nonsense\n")
    boxed.file("/srv/new.conf", PROFILE + "hostname = from-new\n")
    assert ctl("run", "--user", "alice", "--conf", "new.conf", "--", "uname", "-n", cwd="/srv").out == "from-new\n"
    result = ctl("run", "--user", "root", "--", "echo", "here")
    assert (result.rc, result.out) == (1, "") and f"{CONF}:1" in result.err  # no such mercy as for root's logins


@pytest.mark.parametrize("lines", ["root = /srv/nowhere\n", "root = /srv/nowhere\non_error = allow\n"])
def test_run_refused(boxed, lines):
    """Never without a box, whatever on_error says."""
    boxed.nsbox(PROFILE + lines)
    result = run_as_alice("echo here")
    assert (result.rc, result.out) == (1, "") and "/srv/nowhere" in result.err, result


def test_run_unknown_user(boxed):
    result = ctl("run", "--user", "nosuch", "--", "true")
    assert result.rc == 1 and "does not know the user nosuch" in result.err


@pytest.mark.parametrize("program", ["nsbox-helper", "nsbox-init", "nsbox-monitor"])
def test_run_without_a_program(boxed, program):
    os.rename(f"{LIBEXEC}/{program}", f"{LIBEXEC}/away")
    try:
        result = run_as_alice("echo here")
    finally:
        os.rename(f"{LIBEXEC}/away", f"{LIBEXEC}/{program}")
    assert (result.rc, result.out) == (1, "") and f"{LIBEXEC}/{program}" in result.err, result


def test_run_many(boxed):
    """One after the other and four at a time."""
    for _ in range(host.count(25, 4)):
        some = [subprocess.Popen(["nsboxctl", "run", "--user", "alice", "--", "sh", "-c", f"exit {n}"]) for n in range(4)]
        assert [one.wait(20 * host.PATIENCE) for one in some] == [0, 1, 2, 3]


# -- enter --


@pytest.fixture
def ssh_session(boxed, sshd):
    """alice's ssh session in a box: yields (client, box)."""
    boxed.pam("sshd")
    with sshd.session("alice") as process:
        yield process, box(user="alice", service="sshd")


@pytest.fixture
def session(boxed):
    """A box of alice's that waits: yields (what ends it with its input, box)."""
    with running() as process:
        yield process, box(user="alice")


def enter(one, *words, **options):
    return ctl("enter", one["id"], *words, **options)


def test_enter_is_the_ssh_sessions_box(ssh_session):
    """The same namespaces, the session's processes, the box's group."""
    _, one = ssh_session
    result = enter(one, "--", "sh", "-c", "for n in uts ipc mnt pid net cgroup user; do readlink /proc/self/ns/$n; done; "
                                          "ps -A -o args=; cat /proc/self/cgroup; echo $NSBOX_ID")
    found = dict(re.findall(r"^(\w+):\[(\d+)\]$", result.out, re.M))
    assert {kind: int(inode) for kind, inode in found.items()} == one["namespaces"], result
    assert re.search("^nsbox-init$", result.out, re.M) and re.search("^cat$", result.out, re.M)
    assert host.cgroup_in(result.out) == "/"
    assert result.out.endswith(f"{one['id']}\n")


def test_enter_counts_against_the_limit(session):
    """The command is in the group, nsboxctl is not."""
    _, one = session
    process = subprocess.Popen(["nsboxctl", "enter", one["id"], "--", "sh", "-c", "echo ready; exec sleep 66"],
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    (command,) = host.wait_until(lambda: host.find("sleep", "sleep 66"), what="sleep runs")
    members = {int(word) for word in host.read(f"{one['cgroup']}/cgroup.procs").split()}
    assert command in members and process.pid not in members
    process.terminate()
    assert process.wait(5 * host.PATIENCE) == 143
    process.stdout.close()


@pytest.mark.parametrize("script, status", [("exit 0", 0), ("exit 9", 9), ("kill -TERM $$", 143), ("exec nosuch", 127)])
def test_enter_passes_the_status_on(session, script, status):
    assert enter(session[1], "--", "sh", "-c", script).rc == status


def test_enter_as_whom(session):
    """The box's user, or root; with that one's environment and home."""
    _, one = session
    script = "id; echo $HOME $USER; pwd"
    assert enter(one, "--", "sh", "-c", script).out == f"{host.run('id', 'alice').out}/home/alice alice\n/home/alice\n"
    for words in (("enter", one["id"], "--root"), ("enter", "--root", one["id"])):
        assert ctl(*words, "--", "sh", "-c", script).out == f"{host.run('id').out}/root root\n/root\n"


def test_enter_login_shell(session):
    result = enter(session[1], input="echo $0 $PWD; exit 3\n")
    assert (result.rc, result.out) == (3, "-bash /home/alice\n"), result


def test_enter_terminal(session):
    """A new terminal of the box, not the administrator's."""
    _, one = session
    child = on_terminal("enter", one["id"], "--", "sh", "-c",
                        "tty; stat -L -c %d /proc/$$/fd/0 /dev/pts; stty size; echo ready; exec cat", dimensions=(20, 70))
    child.expect(r"(/dev/pts/\d+)\r\n(\d+)\r\n(\d+)\r\n20 70\r\nready\r\n")
    assert child.match[2] == child.match[3] != str(os.stat("/dev/pts").st_dev)
    child.sendintr()
    assert ended(child)[0] == 130
    assert boxes()[0]["state"] == "ready"


def test_enter_leaks_no_descriptor(session):
    """Neither of nsboxctl's own (pidfd, group, registry) nor of whoever started it."""
    extra = os.open("/", os.O_RDONLY)
    result = enter(session[1], "--", "sh", "-c", "ls -l /proc/$$/fd", pass_fds=[extra])
    os.close(extra)
    assert re.findall(r" (\d+) -> ", result.out) == ["0", "1", "2"], result


@pytest.mark.parametrize("length", [9, 6, 3])
def test_enter_unique_prefix(session, length):
    assert ctl("enter", session[1]["id"][:length], "--", "echo", "in").out == "in\n"


def test_enter_ambiguous_prefix(boxed):
    """Several boxes of that beginning: none is taken."""
    with contextlib.ExitStack() as stack:
        firsts = []
        while len(set(firsts)) == len(firsts):  # 36 letters: at the 37th box at last
            stack.enter_context(running())
            firsts = [one["id"][0] for one in boxes()]
        twice = next(letter for letter in firsts if firsts.count(letter) > 1)
        result = ctl("enter", twice, "--", "echo", "in")
        assert result.rc == 1 and result.out == "" and f'several boxes begin with "{twice}"' in result.err
        assert ctl("enter", "", "--", "echo", "in").rc == 1


@pytest.mark.parametrize("name", ["zzzzzzzzzz", "../boxes", ".", "/", "*"])
def test_enter_no_such_box(session, name):
    result = ctl("enter", name, "--", "echo", "in")
    assert result.rc == 1 and result.out == "" and "there is no box" in result.err


def test_enter_ends_with_the_ssh_sessions_box(ssh_session):
    """The logout does not wait for the administrator: the command dies, and nothing of the box stays."""
    client, one = ssh_session
    process = subprocess.Popen(["nsboxctl", "enter", one["id"], "--root", "--", "sh", "-c",
                                "trap '' HUP TERM; echo ready; while :; do sleep 1; done"], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    client.stdin.close()
    assert process.wait(5 * host.PATIENCE) == 137
    process.stdout.close()
    host.wait_until(lambda: not os.path.exists(one["cgroup"]), what="the group is gone")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_enter_signal(session, number):
    """A signal to nsboxctl is the command's; the box lives on."""
    _, one = session
    process = subprocess.Popen(["nsboxctl", "enter", one["id"], "--", "sh", "-c", "echo ready; exec sleep 65"],
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert process.wait(5 * host.PATIENCE) == 128 + number
    process.stdout.close()
    assert boxes() == [one]


def test_enter_killed(session):
    """kill -9 of nsboxctl: its command gets a hangup; the box lives on."""
    _, one = session
    process = subprocess.Popen(["nsboxctl", "enter", one["id"], "--", "sh", "-c", "echo ready; exec sleep 64"],
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.kill()
    process.wait()
    process.stdout.close()
    host.wait_until(lambda: not host.find("sleep", "sleep 64"), what="the command has ended")
    assert boxes() == [one]


def test_enter_an_unboxed_su_session(boxed):
    """There is nothing to enter: said so."""
    boxed.nsbox(PROFILE + "root = /srv/nowhere\non_error = allow\n")
    boxed.pam("su")
    child = host.spawn("su", "alice", "-c", "echo in; read line")
    child.expect("in\r")
    one = host.wait_until(lambda: boxes(), what="the session is listed")[0]
    result = enter(one, "--", "echo", "here")
    child.sendline()
    ended(child)
    assert result.rc == 1 and result.out == "" and "is unboxed" in result.err, result


# -- list --


def test_list_nothing(boxed):
    """A heading; an empty array."""
    assert ctl("list").out.split() == HEADING
    assert boxes() == []


def test_list_never_boxed():
    """Without any registry too."""
    result = host.run("unshare", "-m", "sh", "-c", "mount -t tmpfs none /run && nsboxctl list --json && nsboxctl list")
    assert result.rc == 0 and result.out.split() == ["[", "]", *HEADING], result


def test_list_fields_of_ssh_session(ssh_session, sshd):
    """Exactly the promised fields, each as the kernel has it."""
    _, one = ssh_session
    (monitor,) = sshd.monitors("alice")
    init = one["init_pid"]
    assert list(one) == ["id", "user", "uid", "profile", "share", "service", "tty", "state", "init_pid", "members",
                         "started", "cgroup", "hostname", "namespaces", "network"]
    assert (one["user"], one["uid"], one["profile"], one["service"], one["tty"]) == ("alice", 2001, "all", "sshd", "ssh")
    assert one["state"] == "ready" and one["members"] == [monitor] and one["hostname"] == "testhost"
    assert host.comm(init) == "nsbox-init" and host.inner_pids(init)[-1] == 1
    assert abs(one["started"] - time.time()) < 30
    kernel = host.namespaces(init)
    assert one["namespaces"] == {kind: kernel[kind] for kind in ("uts", "ipc", "mnt", "pid", "net", "cgroup", "user")}
    assert str(init) in host.read(f"{one['cgroup']}/cgroup.procs").split()
    assert one["cgroup"].endswith(f"/nsbox/{one['id']}")


def test_list_table_of_ssh_session(ssh_session):
    """One line a box under the heading, columns apart."""
    _, one = ssh_session
    heading, line = ctl("list").out.splitlines()
    assert heading.split() == HEADING
    words = line.split()
    assert words[:5] == [one["id"], "alice", "all", "sshd", "ssh"] and words[6:9] == ["ready", "1", str(one["init_pid"])]
    assert words[5] == "127.0.0.1"
    assert [heading.index(name) for name in ("USER", "STATE")] == [line.index(" alice") + 1, line.index(" ready") + 1]
    when = time.strptime(" ".join(words[9:]), "%Y-%m-%d %H:%M:%S")
    assert time.mktime(when) == one["started"]


def test_list_oldest_first(boxed):
    with contextlib.ExitStack() as stack:
        started = []
        for user in ("alice", "bob", "carol"):
            stack.enter_context(running(user=user))
            started.append(user)
        found = boxes()
        assert [one["started"] for one in found] == sorted(one["started"] for one in found)
        assert sorted(one["user"] for one in found) == started
        assert len({one["namespaces"]["pid"] for one in found}) == 3
        assert len(ctl("list").out.splitlines()) == 4


def test_list_unboxed_ssh_session(boxed, sshd):
    """A session that was let in without a box is listed as such, as long as it lives."""
    boxed.nsbox(PROFILE + "root = /srv/nowhere\non_error = allow\n")
    boxed.pam("sshd")
    with sshd.session("alice"):
        one = host.wait_until(lambda: boxes(), what="the session is listed")[0]
        assert (one["state"], one["user"], one["profile"], one["init_pid"]) == ("unboxed", "alice", "all", 0)
        assert one["cgroup"] == "" and set(one["namespaces"].values()) == {0}
        assert one["members"] == sshd.monitors("alice")
    host.wait_until(lambda: boxes() == [], what="it is no more")


def crash(one):
    """Nobody is left to clean: guard and monitor are killed."""
    guard = host.find(argument=f"guard {one['id']}")
    monitor = int(re.search(r"^monitor (\d+)", host.read(f"{BOXES}/{one['id']}/state"), re.M)[1])
    for pid in (*guard, monitor):
        os.kill(pid, signal.SIGKILL)
        host.wait_until(lambda: not host.alive(pid), what="it is dead")


def test_list_crashed_and_gc(boxed):
    """A box that nobody looks after says so; gc cleans it and counts."""
    with running() as process:
        crash(box(user="alice"))
        assert process.wait(5 * host.PATIENCE) == 137
        assert [one["state"] for one in boxes()] == ["crashed"]
        assert ctl("list").out.splitlines()[1].split()[6] == "crashed"
        assert ctl("gc").out == "1 box cleaned\n"
        assert boxes() == []
        assert ctl("gc").out == "nothing to clean\n"


def test_gc_spares_the_living(boxed):
    with running():
        before = boxes()
        assert ctl("gc").out == "nothing to clean\n"
        assert boxes() == before


def test_gc_without_helper(boxed):
    os.rename(f"{LIBEXEC}/nsbox-helper", f"{LIBEXEC}/away")
    try:
        result = ctl("gc")
    finally:
        os.rename(f"{LIBEXEC}/away", f"{LIBEXEC}/nsbox-helper")
    assert result.rc == 1 and result.out == "" and f"cannot run {LIBEXEC}/nsbox-helper" in result.err


@contextlib.contextmanager
def entry(text, name="aaaaaaaaaa"):
    """A registry entry by hand, which nobody holds."""
    directory = pathlib.Path(BOXES, name)
    directory.mkdir(0o700)
    (directory / "lock").touch(0o600)
    (directory / "state").write_bytes(text)
    yield
    shutil.rmtree(directory)


def live_state():
    (one,) = boxes()
    return pathlib.Path(BOXES, one["id"], "state").read_bytes().replace(one["id"].encode(), b"aaaaaaaaaa")


def test_list_keeps_control_sequences_from_the_terminal(boxed):
    """What is not printable ASCII is shown as \\xNN in the table; JSON holds valid UTF-8 as it is. C1 control characters
    act on terminals as escape sequences do."""
    with running():
        odd = "\x9b31mül".encode() + b"\x9b\xff"
        state = live_state().replace(b"\ntty \n", b"\ntty " + odd + b"\n").replace(b"\nrhost \n", b"\nrhost " + b"x" * 250 + b"\n")
        with entry(state):
            raw = host.run("nsboxctl", "list", text=False).out
            assert all(32 <= byte < 127 or byte == 10 for byte in raw)
            assert b"\\xc2\\x9b31m\\xc3\\xbcl\\x9b\\xff" in raw and b"xxx..." in raw
            assert max(len(line) for line in raw.splitlines()) < 220
            assert box(id="aaaaaaaaaa")["tty"] == "\x9b31mül\\x9b\\xff"


def test_list_damaged_entry(boxed):
    """Told, with the others listed all the same; status 1."""
    with running(), entry(b"nonsense\n"):
        result = ctl("list", "--json")
        assert result.rc == 1 and "the registry entry aaaaaaaaaa cannot be read" in result.err
        assert [one["user"] for one in json.loads(result.out)] == ["alice"]


def test_list_while_boxes_come_and_go(boxed):
    """A box that vanishes meanwhile is no error."""
    maker = subprocess.Popen(["sh", "-c", "while :; do nsboxctl run --user alice -- true || exit; done"])
    try:
        for _ in range(host.count(500, 60)):
            boxes()
    finally:
        maker.kill()
        maker.wait()
    host.wait_until(lambda: not host.find("nsboxctl"), what="the last box has ended")


def test_list_of_a_finished_member(boxed):
    """`members` are the live ones: a pid that was used again is nobody's."""
    with running() as process:
        assert box(user="alice")["members"] == [process.pid]
        (one,) = boxes()
        (member,) = pathlib.Path(BOXES, one["id"], "members").iterdir()
        spoilt, n = re.subn(rb"\nprocess (\d+) \d+", rb"\nprocess \1 1", member.read_bytes())
        assert n == 1
        with entry(live_state()):
            directory = pathlib.Path(BOXES, "aaaaaaaaaa/members")
            directory.mkdir(0o700)
            (directory / member.name).write_bytes(member.read_bytes())
            assert box(id="aaaaaaaaaa")["members"] == [process.pid]
            (directory / member.name).write_bytes(spoilt)
            assert box(id="aaaaaaaaaa")["members"] == []
