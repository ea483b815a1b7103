# SPDX-License-Identifier: BSD-3-Clause
# build: clang
"""Module, helper, init, monitor and nsboxctl built with AddressSanitizer and UndefinedBehaviorSanitizer. The module does not
load into stock programs then, so tests/pam/asan-app.c is the application. The sanitizers write what they find to files
(tests/pam/sanitizer-options.c).

LeakSanitizer looks at the end of each program that ends by exit(3): the application with the module, nsboxctl, the helper that
refuses, checks, cleans up. It cannot look at a helper that becomes the monitor by exec, at builder and nsbox-init, which end by
_exit(2), nor at an application that ends inside a box: the thread with which it stops its process would be in another PID
namespace than that, and waits for ever."""
import glob
import os
import pathlib
import re
import signal
import subprocess

import pytest

from lib import host, pamapp, syslog

APP = os.environ["NSBOX_BUILD"] + "/asan-app"
HELPER = "/usr/libexec/nsbox/nsbox-helper"
FOUND = "/var/log/nsbox-sanitizer"
SERVICE = "asan"
BOXED = "[profile all]\nusers = *\nnetwork = loopback\nstop_timeout = 1s\n"


# The module's children run on stacks that it maps itself, of which AddressSanitizer does not know where they end.
HARMLESS = re.compile(r"==\S+==WARNING: ASan is ignoring requested __asan_handle_no_return.*\n"
                      r"False positive error reports may follow\nFor details see .*\n")


def read_reports():
    """{file: what a sanitizer wrote}"""
    texts = {path: HARMLESS.sub("", pathlib.Path(path).read_text(errors="replace")) for path in glob.glob(f"{FOUND}*")}
    return {path: text for path, text in texts.items() if text.strip()}


@pytest.fixture(autouse=True)
def nothing_found():
    """After each test: no sanitizer has written anything. In the box /var/log is the host's."""
    for path in glob.glob(f"{FOUND}*"):
        os.unlink(path)
    yield
    reports = [f"== {path}\n{text}" for path, text in read_reports().items()]
    assert not reports, "\n".join(reports)


@pytest.fixture
def boxed(conf):
    conf.nsbox(BOXED)
    conf.pam(SERVICE, account=True)
    return conf


def app(*verbs, user="alice", tty="ssh", rc=0, leaks=True):
    """{verb: code of its last run} and the whole text."""
    done = host.run(APP, SERVICE, user, tty, *verbs, timeout=60,
                    env={**os.environ, "ASAN_OPTIONS": f"detect_leaks={int(leaks)}"})
    assert done.rc == rc, done.out + done.err
    codes = {}
    for line in done.out.splitlines():
        verb, _, code = line.partition(": ")
        if code.isdigit():
            codes[verb] = int(code)
    return codes, done.out


SUCCESS, SYSTEM_ERR, SERVICE_ERR, PERM_DENIED = 0, 4, 3, 6


def test_build_has_the_sanitizers():
    """Else nothing here could fail."""
    programs = [HELPER, "/usr/libexec/nsbox/nsbox-init", "/usr/libexec/nsbox/nsbox-monitor", "/usr/sbin/nsboxctl", APP]
    programs += glob.glob("/lib/*/security/pam_nsbox.so") + glob.glob("/usr/lib/security/pam_nsbox.so")
    assert len(programs) >= 6
    for path in programs:
        symbols = host.run("nm", "-D", path, check=True).out
        assert "__asan_init" in symbols and "__ubsan_handle" in symbols, path


def test_reports_arrive(tmp_path):
    """A fault is seen where these tests look, also without an environment and with stderr closed."""
    source = tmp_path / "fault.c"
    source.write_text("int main(int argc, char **argv) { (void)argv; static int a[2]; return a[argc + 1]; }\n")
    options = os.path.join(os.environ["NSBOX_SOURCE"], "tests/pam/sanitizer-options.c")
    program = str(tmp_path / "fault")
    host.run("clang", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-o", program, str(source), options,
             check=True)
    done = subprocess.run([program], env={}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False)
    assert done.returncode != 0
    reports = glob.glob(f"{FOUND}*")
    assert reports and "runtime error" in pathlib.Path(reports[0]).read_text()
    for path in reports:
        os.unlink(path)


def test_session(boxed, baseline):
    """Account, open, a command as the user, close: boxed, and back."""
    codes, text = app("acct", "open", "run", "close")
    assert codes == {"acct": SUCCESS, "open": SUCCESS, "close": SUCCESS}
    words = next(line for line in text.splitlines() if line.startswith("run: ")).split()
    assert words[1] == "alice" and words[3] == "nsbox-init" and len(words[5]) == 10
    assert 1 < int(words[2]) < 100  # a PID of the box


def test_many_sessions_in_one_process(boxed, baseline):
    """What each leaves behind adds up: handles, memberships, descriptors."""
    n = host.count(30, 6)
    boxed.nsbox(BOXED + pamapp.SEVERAL_SESSIONS)
    codes, text = app(*["open", "run", "close", "again"] * n)
    assert codes == {"open": SUCCESS, "close": SUCCESS}
    assert text.count("nsbox-init") == n


# verbs, and whether the application is on the host again at its end, where LeakSanitizer can look
ODD = [
    (("open", "close", "close"), True),
    (("open", "open", "close"), True),
    (("close",), True),
    (("open", "child-end", "run", "close"), True),
    (("open", "child-close", "run", "close"), True),
    (("acct", "acct", "again", "acct"), True),
    (("open",), False),
    (("open", "again", "open", "close"), False),
    (("open", "drop-fds", "close"), False),
]


@pytest.mark.parametrize("verbs, outside", ODD, ids=["-".join(verbs) for verbs, _ in ODD])
def test_odd_applications(verbs, outside, boxed, baseline):
    """Open without close, close without open, twice, in a child, with the module's descriptors closed: no fault in the
    module, and nothing of the box stays."""
    app(*verbs, leaks=outside)


def test_terminal(boxed, baseline):
    """A terminal of the host's, as su has it: other steps of the plan."""
    leader, follower = os.openpty()
    codes, text = app("open", "run", "close", tty=os.ttyname(follower))
    os.close(leader)
    os.close(follower)
    assert codes["open"] == SUCCESS and "nsbox-init" in text


KEYS = """[profile all]
users = *
network = host
hostname = "Box of %u"
domainname = asan
bind = /srv:/mnt
bind_ro = /usr/share:/srv
bind_optional = /no/such/directory
tmpfs = /opt:size=1m,noexec
mask = /etc/shadow /root
private_tmp = no
devpts = private
home = {home}
home_size = 16M
tmp_size = 5%
shm_size = 16M
run_size = 16M
sys = ro
proc_subset = all
dev = /dev/fuse /dev/f*
bind_ro = /etc/hostname:/proc/loadavg
pids_max = 100
"""


@pytest.mark.parametrize("home", ["bind", "tmpfs", "overlay", "none"])
def test_every_key(boxed, baseline, home):
    """A profile that names every key of the view."""
    boxed.nsbox(KEYS.format(home=home))
    codes, text = app("acct", "open", "run", "close")
    assert codes == {"acct": SUCCESS, "open": SUCCESS, "close": SUCCESS}
    assert " box-of-alice " in text


def test_no_profile(boxed, baseline):
    """The helper that has nothing to do ends by exit(3): LeakSanitizer looks at it."""
    boxed.nsbox("[profile other]\nusers = root\nnetwork = loopback\n")
    codes, text = app("acct", "open", "run", "close")
    assert codes["open"] == SUCCESS and "nsbox-init" not in text


# name: profile, codes of account (which does not look for targets) and session
REFUSALS = {
    "configuration": ("[profile all]\nusers = *\nmistake = 1\n" * 3, PERM_DENIED, SERVICE_ERR),
    "root missing": ("[profile all]\nusers = *\nroot = /no/such\nnetwork = loopback\n", PERM_DENIED, SYSTEM_ERR),
    "bind missing": ("[profile all]\nusers = *\nbind = /no/such\nnetwork = loopback\n", PERM_DENIED, SYSTEM_ERR),
    "target missing": ("[profile all]\nusers = *\nbind = /srv:/no/such/target\nnetwork = loopback\n", PERM_DENIED, SYSTEM_ERR),
    "seen by the builder only": ("[profile all]\nusers = *\nbind = /srv:/mnt\nbind = /etc:/mnt/no\nnetwork = loopback\n", SUCCESS,
                                 SYSTEM_ERR),
    "specifier": ("[profile all]\nusers = *\nbind = %h/../x\nnetwork = loopback\n", PERM_DENIED, SERVICE_ERR),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name, boxed, baseline):
    """Failures before and after the first effect: the undo, the words, the answers."""
    text, account, session = REFUSALS[name]
    boxed.nsbox(text)
    codes, said = app("acct", "open")
    assert codes == {"acct": account, "open": session}
    assert said.count("Login refused") == 1 + (account != SUCCESS)


def test_unknown_user_and_words(boxed, baseline):
    """A user that the name service does not know; a word that the module does not know."""
    assert app("open", user="no-such-user")[0]["open"] == SYSTEM_ERR
    boxed.pam(SERVICE, words="opne")
    assert app("open", "close")[0]["open"] == SERVICE_ERR


def test_unboxed(boxed, baseline):
    """on_error = allow: the session is watched although it has no box."""
    boxed.nsbox("[profile all]\nusers = *\nroot = /no/such\non_error = allow\nnetwork = loopback\n")
    codes, text = app("open", "run", "close")
    assert codes["open"] == SUCCESS and "nsbox-init" not in text


def test_threads(boxed, baseline):
    """A process with two threads is refused. (LeakSanitizer stops the second one by itself.)"""
    assert app("thread", "open")[0]["open"] == SYSTEM_ERR


@pytest.mark.parametrize("victim", ["nsbox-init", "nsbox-monitor", "nsbox-guard"])
def test_killed(victim, boxed, baseline):
    """One of the resident programs is killed in the middle: the other ones clean without a fault."""
    session = subprocess.Popen([APP, SERVICE, "alice", "ssh", "open", "wait", "close"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert session.stdout.readline() == "open: 0\n"
    pids = host.wait_until(lambda: [pid for pid in host.pids() if host.comm(pid) == victim and host.alive(pid)], what=victim)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    session.communicate("\n", timeout=30)
    assert session.returncode == 0


def test_nsboxctl(boxed, baseline):
    """Every subcommand that prints, over a live box; run with a command; gc."""
    session = subprocess.Popen([APP, SERVICE, "alice", "ssh", "open", "wait", "close"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert session.stdout.readline() == "open: 0\n"
    (ident,) = os.listdir("/run/nsbox/boxes")
    for words in (["check"], ["explain", "--user", "alice", "--service", SERVICE], ["list"], ["list", "--json"], ["gc"],
                  ["show", ident], ["show", ident[:2], "--json"], ["show", "0"], ["run", "--user", "bob", "--", "true"],
                  ["kill", "--user", "bob"], ["kill", "0"], ["--help"], ["no-such-subcommand"], []):
        done = host.run("nsboxctl", *words, timeout=60)
        assert done.rc in (0, 1, 2), f"{words}: {done}"
        assert "Sanitizer" not in done.err
    done = host.run("nsboxctl", "kill", "--user", "alice", timeout=60)
    assert (done.rc, done.out, done.err) == (0, f"ended box {ident} of alice\n", "")
    session.communicate("\n", timeout=30)
    assert session.returncode == 0


def test_helper_by_hand(boxed, baseline):
    """What the helper does with arguments that are none."""
    mark = syslog.mark()
    for words in ([], ["end"], ["end", "../x"], ["end", "aaaaaaaaaa"], ["gc"], ["gc", "x"], ["end", "a", "b", "c"], ["\xff"]):
        done = host.run(HELPER, *words, timeout=30)
        assert done.rc in (0, 1, 2), f"{words}: {done}"
    assert not syslog.matching("Sanitizer", mark)
