# SPDX-License-Identifier: BSD-3-Clause
"""The module by pamtester and app.c: words, result codes, whose session it is, odd names, name services."""
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import threading

import pytest

from lib import host, pamapp, syslog
from test_libpamtest import SERVICE, boxes, code, compile_program

SOURCE = pathlib.Path(__file__).parent
BOXED = {"cgroup", "ipc", "mnt", "net", "pid", "uts"}
PROBE = "for n in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$n; done"
REFUSAL = r"Login refused: your session could not be isolated \(nsbox (\w{10})\)\. Ask the administrator\."
LIBEXEC = "/usr/libexec/nsbox"
EVERYBODY = "[profile all]\nusers = *\n"

SUCCESS, SERVICE_ERR, SYSTEM_ERR, PERM_DENIED, IGNORE = 0, 3, 4, 6, 15
# PAM_IGNORE cannot be the result of a stack: here it leads to a module that says PAM_CRED_UNAVAIL (15).
CODES = """\
account [success=1 ignore=ignore default=die] pam_nsbox.so {words}
account [default=die] pam_debug.so acct=cred_unavail
account required pam_permit.so
session [success=1 ignore=ignore default=die] pam_nsbox.so {words}
session [default=die] pam_debug.so open_session=cred_unavail close_session=cred_unavail
session required pam_permit.so
"""


@pytest.fixture
def stack(conf):
    """The module alone, with these words: `stack("debug")`."""
    conf.nsbox(EVERYBODY)

    def write(words="", service=SERVICE):
        conf.pam(service, text=CODES.format(words=words))
    write()
    return write


@pytest.fixture
def app(stack):
    """Runs app.c with commands for that user: its lines."""
    program = compile_program("app", "-lpam", "-lpthread")

    def run_app(*commands, user="alice", service=SERVICE):
        result = host.run(program, "start", service, user, *commands)
        assert result.rc == 0 and result.out.startswith("start 0\n"), result
        return result.out.splitlines()[1:]
    run_app.program = program
    return run_app


def pamtester(*operations, user="alice", service=SERVICE, items=()):
    words = [word for item in items for word in ("-I", item)]
    return host.run("pamtester", *words, service, user, *operations)


def differing(text):
    """The namespaces in the text, lines of the form "net:[4026531840]", that are not this process's."""
    mine = host.namespaces()
    found = dict(re.findall(r"(\w+):\[(\d+)\]", text))
    assert set(found) == set(mine), text
    return {kind for kind in found if int(found[kind]) != mine[kind]}


def is_boxed(lines):
    return differing("\n".join(lines)) == BOXED


# -- pamtester --


@pytest.mark.parametrize("variant", ["two", "one"])
def test_session(conf, baseline, variant):
    """account, open and close of a stack as it is recommended."""
    conf.nsbox(EVERYBODY)
    conf.pam(SERVICE, variant=variant, account=True)
    start = syslog.mark()
    result = pamtester("acct_mgmt", "open_session", "close_session")
    assert result.rc == 0 and "successfully opened a session" in result.out + result.err, result
    assert "session has successfully been closed" in result.out + result.err, result
    syslog.wait_for(r"authpriv.info pamtester\[\d+\] pam_nsbox\(nsbox-app:session\): nsbox \w+: session of alice", start)
    syslog.wait_for("ended after", start)


@pytest.mark.parametrize("operations, status", [(["open_session"], 0), (["close_session"], 1),
                                                (["open_session", "close_session"], 0), (["acct_mgmt"], 0),
                                                (["open_session", "open_session", "close_session"], 0)])
def test_calls_in_odd_order(stack, baseline, operations, status):
    """open without close, close without open, open twice: what was opened is closed at the latest with the process."""
    assert pamtester(*operations).rc == status


def test_stack_that_only_ignores(conf, baseline):
    """Nobody's profile and no second module: libpam denies. With a second module it lets in."""
    conf.nsbox("[profile bob]\nusers = bob\n")
    conf.pam(SERVICE, text="session required pam_nsbox.so\naccount required pam_nsbox.so\n")
    for operation in ("open_session", "acct_mgmt"):
        result = pamtester(operation)
        assert result.rc == 1 and "Permission denied" in result.err, result
    conf.pam(SERVICE, text="session required pam_nsbox.so\nsession required pam_permit.so\n")
    assert pamtester("open_session", "close_session").rc == 0


def test_refusal_is_told(conf, baseline):
    """What the user reads, and the line of the log with the same reference and the reason."""
    conf.nsbox(f"{EVERYBODY}root = /srv/nowhere\n")
    conf.pam(SERVICE, account=True)
    for operation in ("acct_mgmt", "open_session"):
        start = syslog.mark()
        result = pamtester(operation)
        found = re.findall(REFUSAL, result.out + result.err)
        assert result.rc == 1 and len(found) == 1, result
        line = syslog.wait_for("login of alice refused", start)
        assert line.startswith("authpriv.err pamtester[") and f"nsbox {found[0]}: " in line and "/srv/nowhere" in line


# -- words --


def test_word_open_and_word_close(app, stack, conf, baseline):
    """Each half does its own: the other call is PAM_IGNORE. Both words are both halves."""
    stack("open")
    lines = app("open", "run", PROBE, "close")
    assert is_boxed(lines[1:-1]) and code(lines, "open") == SUCCESS
    stack("close")
    lines = app("open", "run", PROBE, "close")
    assert differing("\n".join(lines)) == set() and (code(lines, "open"), code(lines, "close")) == (IGNORE, IGNORE)
    stack("open close")
    conf.nsbox(EVERYBODY + pamapp.SEVERAL_SESSIONS)
    lines = app("snapshot", "open", "close", "compare")
    assert (code(lines, "open"), code(lines, "close"), code(lines, "compare")) == (0, 0, 0)


def test_word_debug(app, stack, baseline):
    """A line with LOG_DEBUG more, and none without the word."""
    for words, expected in (("", 0), ("debug", 1)):
        stack(words)
        start = syslog.mark()
        app("open", "close")
        syslog.wait_for("ended after", start)
        assert len(syslog.matching(r"^authpriv.debug nsbox-app.*nsbox \w{10}: ", start)) == expected


def test_word_profile(app, stack, conf, baseline):
    """profile= takes this profile for whomever; the others do not count."""
    conf.nsbox("[profile bob]\nusers = bob\nhostname = forced\n")
    assert code(app("open"), "open") == IGNORE
    stack("profile=bob")
    lines = app("acct", "open", "run", "hostname", "close")
    assert "forced" in lines and (code(lines, "acct"), code(lines, "open")) == (0, 0)


def test_word_conf(app, stack, conf, baseline):
    """conf= reads this file instead."""
    conf.nsbox("[profile nobody]\nusers = !*\n")
    conf.file("/etc/security/other.conf", "[profile all]\nusers = *\nhostname = other\n")
    assert code(app("open"), "open") == IGNORE
    stack("conf=/etc/security/other.conf")
    assert "other" in app("open", "run", "hostname", "close")


@pytest.mark.parametrize("words", ["opne", "Open", "profile=", "profile", "conf=relative", "conf=", "debug=1",
                                   "close=yes", "open,close"])
def test_unknown_word(app, stack, baseline, words):
    """A typo must not box by another profile: PAM_SERVICE_ERR, for account PAM_PERM_DENIED, and the word is named."""
    stack(words)
    start = syslog.mark()
    lines = app("snapshot", "acct", "open", "compare")
    assert (code(lines, "acct"), code(lines, "open"), code(lines, "compare")) == (PERM_DENIED, SERVICE_ERR, 0), lines
    assert f'"{words}"' in syslog.wait_for("^authpriv.err nsbox-app.*unknown word", start)


def test_root_too_is_refused_for_an_unknown_word(app, stack, baseline):
    """The stack, not nsbox.conf, is wrong: root reaches another service."""
    stack("opne")
    assert code(app("open", user="root"), "open") == SERVICE_ERR


# -- codes --


def test_no_profile(app, conf, baseline):
    """PAM_IGNORE from all three, and not a trace."""
    conf.nsbox("[profile bob]\nusers = bob\n")
    start = syslog.mark()
    lines = app("snapshot", "acct", "open", "close", "compare")
    assert [code(lines, command) for command in ("acct", "open", "close", "compare")] == [IGNORE, IGNORE, IGNORE, 0]
    assert not syslog.matching("alice", start)


def test_close_without_open(app, baseline):
    """PAM_IGNORE: nothing was opened here."""
    assert code(app("close"), "close") == IGNORE


@pytest.fixture
def away():
    """Moves files away for the test."""
    moved = []

    def move(path):
        os.rename(path, f"{path}.away")
        moved.append(path)
    yield move
    for path in moved:
        os.rename(f"{path}.away", path)


@pytest.mark.parametrize("program", ["helper", "monitor", "init"])
def test_missing_program(app, away, baseline, program):
    """PAM_SYSTEM_ERR and PAM_PERM_DENIED; the line names the file."""
    away(f"{LIBEXEC}/nsbox-{program}")
    start = syslog.mark()
    lines = app("snapshot", "acct", "open", "no-child", "compare")
    assert (code(lines, "acct"), code(lines, "open"), code(lines, "compare")) == (PERM_DENIED, SYSTEM_ERR, 0), lines
    assert "no-child yes" in lines and len(re.findall(REFUSAL, "\n".join(lines))) == 2
    syslog.wait_for(rf"^authpriv.err nsbox-app.*login of alice refused: .*{LIBEXEC}/nsbox-{program}", start)


@pytest.mark.parametrize("program", ["monitor", "init"])
def test_program_that_others_can_write(app, baseline, program):
    """It would run as root."""
    path = f"{LIBEXEC}/nsbox-{program}"
    os.chmod(path, 0o777)
    try:
        lines = app("acct", "open")
        assert (code(lines, "acct"), code(lines, "open")) == (PERM_DENIED, SYSTEM_ERR)
    finally:
        os.chmod(path, 0o755)


@pytest.mark.parametrize("broken", ["#!/bin/sh\nexit 0\n", "#!/bin/sh\nexec sleep 0.2\n", "not a program\n",
                                    "#!/bin/sh\necho hello >&3\n"])
def test_helper_that_is_none(app, away, baseline, broken):
    """A helper that ends without an answer, says nonsense or does not run: PAM_SYSTEM_ERR, nothing changed."""
    away(f"{LIBEXEC}/nsbox-helper")
    fake = pathlib.Path(LIBEXEC, "nsbox-helper")
    fake.write_text(broken)
    fake.chmod(0o755)
    lines = app("snapshot", "acct", "open", "no-child", "compare")
    fake.unlink()
    assert (code(lines, "acct"), code(lines, "open"), code(lines, "compare")) == (PERM_DENIED, SYSTEM_ERR, 0), lines


FAILURES = {
    "missing root": "root = /srv/nowhere",
    "missing bind": "bind = /srv/nowhere",
    "root of a user": "root = /home/alice",
    "root without mount points": "root = /srv",
}


@pytest.mark.parametrize("failure", sorted(FAILURES))
def test_failure(app, conf, baseline, failure):
    """What the box cannot be made for: PAM_SYSTEM_ERR and PAM_PERM_DENIED, for root too."""
    conf.nsbox(f"{EVERYBODY}{FAILURES[failure]}\n")
    for user in ("alice", "root"):
        lines = app("snapshot", "acct", "open", "compare", user=user)
        assert code(lines, "acct") == PERM_DENIED and code(lines, "open") in (SYSTEM_ERR, SERVICE_ERR), lines
        assert code(lines, "compare") == 0 and boxes() == []


def test_unknown_user(app, baseline):
    """Nobody has this name: PAM_SYSTEM_ERR, and the line says so."""
    start = syslog.mark()
    lines = app("acct", "open", user="nobody-has-this-name")
    assert (code(lines, "acct"), code(lines, "open")) == (PERM_DENIED, SYSTEM_ERR)
    syslog.wait_for("the name service does not know the user nobody-has-this-name", start)


BROKEN = {
    "unknown key": (f"{EVERYBODY}colour = red\n", {}, ":3: .*colour"),
    "no section": ("users = *\n", {}, ":1: "),
    "bad value": (f"{EVERYBODY}pids_max = many\n", {}, ":3: .*many"),
    "others may write": (EVERYBODY, {"mode": 0o666}, "nsbox.conf"),
    "of a user": (EVERYBODY, {"uid": 2001}, "nsbox.conf"),
    "NUL": ("[profile all]\0\nusers = *\n", {}, "nsbox.conf"),
}


@pytest.mark.parametrize("broken", sorted(BROKEN))
def test_broken_configuration(app, conf, baseline, broken):
    """root gets in without a box and with an alert; everybody else is refused: PAM_SERVICE_ERR, PAM_PERM_DENIED."""
    text, options, expected = BROKEN[broken]
    conf.nsbox(text, **options)
    start = syslog.mark()
    lines = app("snapshot", "acct", "open", "compare")
    assert (code(lines, "acct"), code(lines, "open"), code(lines, "compare")) == (PERM_DENIED, SERVICE_ERR, 0), lines
    assert len(re.findall(REFUSAL, "\n".join(lines))) == 2
    assert re.search(expected, syslog.wait_for("login of alice refused", start))
    lines = app("acct", "open", "run", PROBE, "close", user="root")
    assert (code(lines, "acct"), code(lines, "open")) == (SUCCESS, SUCCESS) and differing("\n".join(lines)) == set(), lines
    syslog.wait_for(r"^authpriv.alert nsbox-app.*root is let in WITHOUT a box: ", start)
    assert len(syslog.matching("WITHOUT", start)) == 1


@pytest.mark.parametrize("words", ["conf=/etc/security/nowhere.conf", "profile=nowhere"])
def test_words_that_name_nothing(app, stack, baseline, words):
    """A file or profile that is not there is a bad configuration; for root too it is no reason to lock out."""
    stack(words)
    start = syslog.mark()
    lines = app("acct", "open")
    assert (code(lines, "acct"), code(lines, "open")) == (PERM_DENIED, SERVICE_ERR), lines
    syslog.wait_for("login of alice refused: .*nowhere", start)
    lines = app("acct", "open", user="root")
    assert (code(lines, "acct"), code(lines, "open")) == (SUCCESS, SUCCESS), lines
    syslog.wait_for("root is let in WITHOUT a box: .*nowhere", start)


def state(identifier, file="state"):
    """A file of the registry's entry: {word: rest of the line}."""
    text = host.read(f"/run/nsbox/boxes/{identifier}/{file}", "")
    return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)


def test_on_error_allow(app, conf, baseline):
    """The session runs without a box, with an alert; it is listed as unboxed while it lives."""
    conf.nsbox(f"{EVERYBODY}on_error = allow\nroot = /srv/nowhere\n")
    start = syslog.mark()
    process = subprocess.Popen([app.program, "start", SERVICE, "alice", "acct", "open", "run", PROBE, "ready"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lines = []
    while not lines or lines[-1] != "ready":
        lines.append(process.stdout.readline().rstrip("\n"))
        assert lines[-1], lines
    assert (code(lines, "acct"), code(lines, "open")) == (SUCCESS, SUCCESS) and differing("\n".join(lines)) == set()
    assert not re.search(REFUSAL, "\n".join(lines))
    line = syslog.wait_for("WITHOUT a box", start)
    assert re.match(r"authpriv.alert nsbox-app.* alice is let in WITHOUT a box \(profile all, on_error=allow\): ", line)
    assert "/srv/nowhere" in line
    identifier = re.search(r"nsbox (\w{10}): ", line)[1]
    assert boxes() == [identifier]
    entry = state(identifier)
    assert (entry["state"], entry["user"], entry["profile"], entry["service"]) == ("unboxed", "alice", "all", SERVICE)
    assert state(identifier, f"members/{identifier}")["process"].split()[0] == str(process.pid)
    process.communicate("\n")
    host.wait_until(lambda: not boxes(), what="the entry is gone")


def test_on_error_allow_is_the_profiles(app, conf, baseline):
    """Another profile's sessions are refused; a broken configuration is refused whatever it says."""
    conf.nsbox("[profile one]\nusers = alice\non_error = allow\nroot = /srv/nowhere\n"
               "[profile two]\nusers = bob\nroot = /srv/nowhere\n")
    assert code(app("open", user="bob"), "open") == SYSTEM_ERR
    assert code(app("open"), "open") == SUCCESS
    conf.nsbox("[profile one]\nusers = alice\non_error = allow\ncolour = red\n")
    assert code(app("open"), "open") == SERVICE_ERR


# -- sessions that are none of ours --


@pytest.mark.parametrize("tty, service", [(":0", SERVICE), (":1.0", SERVICE), ("", "systemd-user"), ("tty7", "gdm-password"),
                                          ("", "sddm"), ("", "lightdm")])
def test_out_of_scope(app, stack, baseline, tty, service):
    """Graphical logins and the user's service manager: PAM_IGNORE and one line for each session."""
    stack(service=service)
    start = syslog.mark()
    lines = app("item", "tty", tty, "open", "run", PROBE, "close", service=service)
    assert (code(lines, "open"), code(lines, "close")) == (IGNORE, IGNORE) and differing("\n".join(lines)) == set()
    found = syslog.matching(r"pam_nsbox\(", start)
    assert len(found) == 1 and re.match(rf"authpriv.info nsbox-app.*{service}: .*not boxed", found[0]), found


@pytest.mark.parametrize("tty", ["ssh", "cron", ""])
def test_words_that_are_no_display(app, baseline, tty):
    """Other values of PAM_TTY that are no path of a terminal: boxed."""
    lines = app("item", "tty", tty, "open", "run", PROBE, "close")
    assert is_boxed(lines[1:])


@pytest.mark.parametrize("tty", ["/dev/pts/4000", "pts/4000", "/dev/null/x", "/etc/passwd", "/dev/../etc/passwd"])
def test_terminal_that_is_none(app, baseline, tty):
    """A terminal that is not there, or is no terminal: refused, with its name."""
    start = syslog.mark()
    lines = app("item", "tty", tty, "open")
    assert code(lines, "open") == SYSTEM_ERR, lines
    line = syslog.wait_for("login of alice refused", start)
    assert "terminal" in line or f"cannot bind {tty}" in line, line


# -- user names --

LONGEST = "x" * 255


def short(value):
    """For the names of the tests."""
    return f"{value[:20]}-{len(value)}" if isinstance(value, str) and len(value) > 40 else None


NAMES = ["0", "7", "a/b", "../x", "..", "DOM\\user", "user@dom", "a b", "%u%h%%", "$(id)", "x-", "жук", "a'b\"c", "!alice",
         "*", "[a-z]", "UPPER", "a,b", "@students", LONGEST]


@pytest.fixture
def accounts(conf):
    """Adds lines to /etc/passwd: accounts(name, ...) with uids from 2100."""
    def add(*names, gid=2001):
        old = pathlib.Path("/etc/passwd").read_text()
        lines = [f"{name}:x:{2100 + number}:{gid}::/home/alice:/bin/bash\n" for number, name in enumerate(names)]
        conf.file("/etc/passwd", old + "".join(lines))
    return add


@pytest.mark.parametrize("name", NAMES, ids=short)
def test_user_name(app, conf, accounts, baseline, name):
    """Whatever the name service calls a user: boxed as this user; the host's name made of it is a valid one."""
    accounts(name)
    conf.nsbox("[profile all]\nusers = 2100\nhostname = %u\n")
    lines = app("acct", "open", "run", f"{PROBE}; echo name=$(cat /proc/sys/kernel/hostname)", "close", user=name)
    assert (code(lines, "acct"), code(lines, "open"), code(lines, "close")) == (0, 0, 0), lines
    assert is_boxed(lines[2:-1])
    hostname = next(line for line in lines if line.startswith("name=")).removeprefix("name=")
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?|[a-z0-9]", hostname) and len(hostname) <= 63, hostname


@pytest.mark.parametrize("name", ["+1", "-1", "y" * 256, "z" * 5000, "a\nb", "a\tb", "\x1b[2Ja", "a\x7fb", ""], ids=short)
def test_user_name_that_is_refused(app, accounts, baseline, name):
    """Refused, with one clear line that holds none of the control characters."""
    if "\n" not in name and name:
        accounts(name)
    start = syslog.mark()
    lines = app("snapshot", "acct", "open", "compare", user=name)
    assert (code(lines, "acct"), code(lines, "open"), code(lines, "compare")) == (PERM_DENIED, SYSTEM_ERR, 0), lines
    line = syslog.wait_for(r"^authpriv.err nsbox-app.*pam_nsbox\(nsbox-app:session\): ", start)
    assert re.search(r"does not know the user|user name has \d+ characters; 1 to 255|control character|no user name", line), line
    # host-syslog writes "#012" for a newline that reaches it
    assert not re.search(r"[\x00-\x1f\x7f]|#\d{3}", "".join(syslog.lines_since(start))) and len(line) < 1000, line


@pytest.mark.parametrize("name", ["a/b", "../x", "..", "."])
def test_user_name_in_a_path(app, conf, accounts, baseline, name):
    """%u in a path must not climb: refused, and the specifier is named."""
    accounts(name)
    conf.nsbox("[profile all]\nusers = 2100\nbind_optional = /srv/%u/data\n")
    start = syslog.mark()
    lines = app("acct", "open", user=name)
    assert (code(lines, "acct"), code(lines, "open")) == (PERM_DENIED, SYSTEM_ERR), lines
    assert "cannot stand in a path (%u in " in syslog.wait_for("login of .* refused", start)


@pytest.mark.parametrize("name, word", [("DOM\\user", "DOM\\user"), ("DOM\\user", '"DOM\\\\user"'), ("user@dom", "user@dom"),
                                        ("user@dom", "*@dom"), ("a b", '"a b"'), ("жук", "жук"), ("a/b", "a/b"),
                                        ("[a-z]", "[a-z]")])
def test_user_name_in_the_configuration(app, conf, accounts, baseline, name, word):
    """The name as the configuration writes it is for this user, and for nobody else."""
    accounts(name)
    conf.nsbox(f"[profile one]\nusers = {word}\n")
    assert code(app("open", "close", user=name), "open") == SUCCESS
    assert code(app("open", "close", user="alice"), "open") == IGNORE


def test_numbers_are_ids(app, conf, accounts, baseline):
    """A number in users is an id: the user called "0" is not root."""
    accounts("0")
    conf.nsbox("[profile root]\nusers = 0\n")
    assert code(app("open", user="0"), "open") == IGNORE
    assert code(app("open", user="root"), "open") == SUCCESS


@pytest.mark.parametrize("name", ["DOM\\user", "user@dom", "a b", "жук", "a/b", "..", LONGEST], ids=short)
def test_user_name_with_su(conf, accounts, baseline, name):
    """The same through the real su: the command runs boxed, as this user."""
    accounts(name)
    conf.nsbox(EVERYBODY)
    conf.pam("su")
    result = host.run("su", name, "-c", f"{PROBE}; id -u; echo $NSBOX_ID")
    assert result.rc == 0 and differing(result.out) == BOXED and result.out.split()[-2] == "2100", result


# -- group names --

GROUPS = [("a b", '"@a b"'), ("DOM\\domain users", '"@DOM\\\\domain users"'), ("grp/x", "@grp/x"), ("../g", "@../g"),
          ("жуки", "@жуки"), ("user@dom", "@user@dom"), ("g" * 300, f"@{'g' * 300}"), ("@wheel", "@@wheel")]


@pytest.mark.parametrize("name, word", GROUPS, ids=short)
def test_group_name(app, conf, baseline, name, word):
    """@GROUP with odd names: its members are boxed, others are not, and !@GROUP is the opposite."""
    old = pathlib.Path("/etc/group").read_text()
    conf.file("/etc/group", f"{old}{name}:x:3100:alice\n")
    conf.nsbox(f"[profile group]\nusers = {word}\n")
    assert code(app("open", "close"), "open") == SUCCESS
    assert code(app("open", "close", user="bob"), "open") == IGNORE
    excluded = f'"!{word[1:]}' if word.startswith('"') else f"!{word}"
    conf.nsbox(f"[profile group]\nusers = * {excluded}\n")
    assert code(app("open", "close"), "open") == IGNORE
    assert code(app("open", "close", user="bob"), "open") == SUCCESS


def test_group_numbers_are_ids(app, conf, baseline):
    """@0 is the gid, not the group called "0"."""
    old = pathlib.Path("/etc/group").read_text()
    conf.file("/etc/group", f"{old}0:x:3100:alice\n")
    conf.nsbox("[profile group]\nusers = @0\n")
    assert code(app("open"), "open") == IGNORE
    assert code(app("open", user="root"), "open") == SUCCESS
    conf.nsbox("[profile group]\nusers = @3100\n")
    assert code(app("open"), "open") == SUCCESS


def test_group_name_in_a_path(app, conf, accounts, baseline):
    """%g in a path must not climb."""
    old = pathlib.Path("/etc/group").read_text()
    conf.file("/etc/group", f"{old}../g:x:3100:\n")
    accounts("climber", gid=3100)
    conf.nsbox(f"{EVERYBODY}bind_optional = /srv/%g/data\n")
    start = syslog.mark()
    assert code(app("open", user="climber"), "open") == SYSTEM_ERR
    syslog.wait_for(r"cannot stand in a path \(%g in ", start)


def test_many_groups(app, conf, baseline):
    """A user in 500 groups, the last of which counts."""
    old = pathlib.Path("/etc/group").read_text()
    conf.file("/etc/group", old + "".join(f"many{number}:x:{10000 + number}:alice\n" for number in range(500)))
    conf.nsbox("[profile group]\nusers = @many499\n")
    lines = app("acct", "open", "close")
    assert (code(lines, "acct"), code(lines, "open")) == (SUCCESS, SUCCESS), lines


# -- name services behind a socket --


class NameService:
    """The daemon of libnss_nsbtest.c: knows dave (5001) in the groups 5001 and 5100."""
    DAVE = "dave:*:5001:5001::/home/dave:/bin/bash"
    ANSWERS = {"passwd dave": DAVE, "uid 5001": DAVE, "group dave": "dave:x:5001:", "gid 5001": "dave:x:5001:",
               "group directory": "directory:x:5100:", "gid 5100": "directory:x:5100:", "initgroups dave": "5001 5100"}

    def __init__(self):
        os.makedirs("/run/nslcd", 0o755)
        self.asked = []  # (question, PID namespace of who asked)
        self.asked_by_account = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind("/run/nslcd/socket")
        os.chmod("/run/nslcd/socket", 0o666)
        self.socket.listen(64)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                question = connection.recv(1000).decode().strip()
                pid, *_ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                self.asked.append((question, host.namespaces(pid).get("pid")))
                if host.comm(pid) == "nsbox-account":
                    self.asked_by_account.append(question)
                connection.sendall(self.ANSWERS.get(question, "").encode())

    def stop(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(5)
        shutil.rmtree("/run/nslcd")


@pytest.fixture
def name_service(conf):
    library = compile_program("libnss_nsbtest", "-shared", "-fPIC")
    conf.file("/lib/x86_64-linux-gnu/libnss_nsbtest.so.2", pathlib.Path(library).read_bytes(), mode=0o755)
    conf.file("/etc/nsswitch.conf", "passwd: files nsbtest\ngroup: files nsbtest\nshadow: files\nhosts: files\n")
    conf.nsbox(EVERYBODY)
    conf.pam("su")
    service = NameService()
    yield service
    service.stop()


def test_name_service_behind_a_socket(name_service, conf, baseline):
    """A user whom only a daemon knows: id in the box is id on the host, asked from inside through the bound directory."""
    script = "id; id dave; id alice; getent passwd dave 5001; getent group directory"
    conf.pam("su", variant="none")
    before = host.run("su", "dave", "-c", script)
    assert "uid=5001(dave) gid=5001(dave) groups=5001(dave),5100(directory)" in before.out, before
    conf.pam("su")
    name_service.asked.clear()
    after = host.run("su", "dave", "-c", f"{PROBE}; {script}")
    assert differing(after.out) == BOXED and "".join(after.out.splitlines(keepends=True)[7:]) == before.out, after
    inside = {question for question, namespace in name_service.asked if namespace != host.namespaces()["pid"]}
    assert inside >= {"passwd dave", "initgroups dave", "gid 5100"}, name_service.asked


def test_looked_up_once(name_service, conf, baseline):
    """However many profiles are compared, and whether a box is made or joined: the user, his groups and the name of each are
    asked for once in a run of the helper."""
    others = "".join(f"[profile p{number}]\nusers = @other{number} u{number} !@directory 7000-7100\n" for number in range(20))
    conf.nsbox(f"{others}[profile directory]\nusers = @directory\nshare = user\nlinger = 10s\n")
    boxes = set()
    for _ in range(2):
        name_service.asked_by_account.clear()
        boxes.add(host.run("su", "dave", "-c", "echo $NSBOX_ID", check=True).out)
        assert sorted(name_service.asked_by_account) == ["gid 5001", "gid 5100", "initgroups dave", "passwd dave"]
    assert len(boxes) == 1
    assert host.run("nsboxctl", "kill", "--user", "dave").rc == 0


@pytest.mark.parametrize("changed", [False, True])
def test_looked_up_once_in_a_login(name_service, conf, app, baseline, changed):
    """What the account phase has looked up the session does not ask for again, unless it is about another user."""
    conf.nsbox("[profile directory]\nusers = @directory alice\n")
    lines = app("acct", *(["item", "user", "alice"] if changed else []), "open", "close", user="dave")
    assert (code(lines, "acct"), code(lines, "open"), code(lines, "close")) == (SUCCESS, SUCCESS, SUCCESS), lines
    of_alice = ["initgroups alice"] if changed else []
    assert sorted(name_service.asked_by_account) == sorted(
        ["gid 5001", "gid 5100", "initgroups dave", "passwd dave", *of_alice])


def test_looked_up_once_by_sshd(name_service, conf, sshd, baseline):
    conf.pam("sshd")
    conf.nsbox("[profile directory]\nusers = @directory\n")
    for _ in range(2):
        name_service.asked.clear()
        result = sshd.ssh("dave", f"{PROBE}; id -Gn")
        assert result.rc == 0, result
        assert differing(result.out) == BOXED and result.out.endswith("\ndave directory\n"), result
        # by the module in sshd, for account and session; sshd itself asks for no group by its number (id in the box does)
        assert name_service.asked.count(("gid 5100", host.namespaces()["pid"])) == 1, name_service.asked
        assert name_service.asked_by_account == []


def test_name_services_group_in_the_configuration(name_service, conf, baseline):
    """A group that only the daemon knows, in users."""
    conf.nsbox("[profile directory]\nusers = @directory\n")
    assert differing(host.run("su", "dave", "-c", PROBE).out) == BOXED
    assert differing(host.run("su", "alice", "-c", PROBE).out) == set()


def test_name_service_that_is_down(name_service, app, baseline):
    """Local users are boxed; the daemon's are refused: nobody knows them."""
    name_service.socket.shutdown(socket.SHUT_RDWR)
    os.unlink("/run/nslcd/socket")
    assert code(app("open", "close"), "open") == SUCCESS
    assert code(app("open", user="dave"), "open") == SYSTEM_ERR


HIDDEN = [
    ("passwd: files sss", "/var/lib/sss/pipes", "mask = /var/lib/sss", '"sss" for passwd'),
    ("group: files [NOTFOUND=continue] sss", "/var/lib/sss/pipes", "tmpfs = /var/lib/sss/pipes", '"sss" for group'),
    ("passwd:\tfiles ldap", "/run/nslcd", "mask = /run/nslcd", '"ldap" for passwd'),
    ("passwd: winbind files", "/run/samba/winbindd", "tmpfs = /run/samba", '"winbind" for passwd'),
    ("passwd: files nis", None, "network = loopback", '"nis" for passwd, which asks the network'),
    ("group: files hesiod", None, "", '"hesiod" for group, which asks the network'),
]


@pytest.mark.parametrize("line, directory, setting, expected", HIDDEN)
def test_profile_that_hides_a_name_service(app, conf, baseline, line, directory, setting, expected):
    """The account hook refuses a profile that hides a source which nsswitch.conf names, and says which; without that
    setting it lets in."""
    if directory:
        os.makedirs(directory)
    conf.file("/etc/nsswitch.conf", f"# passwd: files nothing\n{line}\nnetgroup: nis\n")
    try:
        for text, account, session in ((f"{EVERYBODY}{setting}\n", PERM_DENIED, SYSTEM_ERR),
                                       (f"{EVERYBODY}{'' if directory else 'network = host'}\n", SUCCESS, SUCCESS)):
            conf.nsbox(text)
            start = syslog.mark()
            lines = app("acct", "open", "close") if session == SUCCESS else app("acct", "open")
            assert (code(lines, "acct"), code(lines, "open")) == (account, session), lines
            if session != SUCCESS:
                assert expected in syslog.wait_for("login of alice refused", start)
    finally:
        if directory:
            shutil.rmtree(directory)
            host.run("rmdir", "/run/samba", "/var/lib/sss")
