# SPDX-License-Identifier: BSD-3-Clause
# build: fault
"""Each step of the plan is made to fail once: the login is refused with one clear line, and nothing has changed."""
import contextlib
import os
import pathlib
import re

import pytest

from lib import baseline as picture
from lib import host, pamapp, syslog
from lib.refusal import BOXED, LIBEXEC, SUDOERS, boxed, line_of, lines, reference, refused, refused_by_sudo, su, sudo

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

FAULT = pathlib.Path("/run/nsbox-fault")
ROOT = "/srv/fault-root"
MANY = 300  # more steps than any plan has

# Everything that makes steps of its own kind.
RICH = f"""{BOXED}hostname = box-of-%u
domainname = example
bind = /srv/fault-bind
bind_ro = /usr:/srv/fault-bind
bind_optional = /nowhere
tmpfs = /mnt:size=1M
mask = /etc/shadow
account_files = minimal
home = overlay
dev = /dev/fuse
bind_ro = /srv/fault-bind/stat:/proc/stat
"""
DIRECTORY = f"""{BOXED}root = {ROOT}
bind_ro = /usr /etc /bin /sbin /lib /lib64
home = tmpfs
"""
OVERLAID = f"{BOXED}overlay = ephemeral\n"
PROFILES = {"overlaid": OVERLAID + pamapp.SEVERAL_SESSIONS, "rich": RICH + pamapp.SEVERAL_SESSIONS, "directory": DIRECTORY + pamapp.SEVERAL_SESSIONS}


@pytest.fixture(scope="module", autouse=True)
def _places():
    os.makedirs("/srv/fault-bind", exist_ok=True)
    pathlib.Path("/srv/fault-bind/stat").write_text("stat\n")
    for name in ("bin", "dev", "etc", "home", "lib", "lib64", "proc", "run", "sbin", "sys", "tmp", "usr/bin", "var/tmp"):
        os.makedirs(f"{ROOT}/{name}", exist_ok=True)
    # the shell is looked for before anything is mounted
    for name in ("bash", "sh"):
        for place in ("bin", "usr/bin"):
            host.run("cp", "/bin/bash", f"{ROOT}/{place}/{name}", check=True)


@pytest.fixture(params=PROFILES)
def profile(request, conf):
    """The profile's name; everybody is boxed by it, with a Kerberos cache to be copied."""
    cache = pathlib.Path("/tmp/krb5cc-fault")
    cache.unlink(missing_ok=True)  # fs.protected_regular: not even root writes to another's file in /tmp
    cache.write_text("tickets")
    os.chown(cache, 2001, 2001)
    os.chmod(cache, 0o600)
    conf.file("/etc/security/fault-environment", f"KRB5CCNAME=FILE:{cache}\n")
    environment = "session required pam_env.so readenv=1 envfile=/etc/security/fault-environment"
    conf.pam_all(before_open=[environment])
    # for pamapp: other modules alter the application as well
    conf.pam("probe", text=f"{environment}\nsession required pam_nsbox.so\nsession required pam_permit.so\n")
    conf.sudoers(SUDOERS)
    conf.nsbox(PROFILES[request.param])
    return request.param


@contextlib.contextmanager
def failing(step):
    FAULT.write_text(f"fail {step}\n")
    try:
        yield
    finally:
        FAULT.unlink()


# What the application says. Publishing and the record come while it joins: then it may see only that the box is gone.
GONE = "the box is gone (see the lines of nsbox-helper in syslog)"
BROKEN = "(Input/output|I/O) error"  # EIO, by which C library the helper has
WHY = f"{BROKEN}|{re.escape(GONE)}"


def line_of_helper(line, since):
    """The helper says by itself what failed while the application joined."""
    ref = re.search(r"nsbox (\w+):", line).group(1)
    return syslog.wait_for(rf"^authpriv.err nsbox-helper\[\d+\] .*box {ref} of alice was taken back: ", since)


def refusal_of_su(result, since):
    """The line that says which step has failed."""
    line = refused(result, since, WHY, helper_lines=None)
    if GONE in line:
        line = line_of_helper(line, since)
    assert re.search(BROKEN, line), line
    return line


def refusal_of(app, step):
    """What happens to a login of alice whose step fails: the line of syslog; None if there is no such step."""
    since = syslog.mark()
    with failing(step):
        answer = app.do("open", "probe", "alice")
    assert answer["changed"] == {}, (step, answer)
    if answer["code"] == pamapp.PAM_SUCCESS:
        assert not answer["said"]
        return None
    assert answer["code"] == pamapp.PAM_SYSTEM_ERR, (step, answer)
    line = line_of(reference("\n".join(answer["said"])), since, helper_lines=None)
    if GONE in line:
        line = line_of_helper(line, since)
    assert re.search(r": step [a-z_-]+( /?\S+)?: (Input/output|I/O) error \(stage [a-z]+, EIO\)$", line), line
    return line


def steps_of(app):
    """All lines, one a step: as many as there are until a login works."""
    told = []
    for step in range(MANY):
        line = refusal_of(app, step)
        if line is None:
            return told
        told.append(line)
    raise AssertionError("no login works")


def words_of(told):
    return [re.search(r": step ([a-z_-]+)", line).group(1) for line in told]


def test_every_step(profile, baseline):
    """Every step fails once, in a plan of either root: user and syslog are told with one reference, host and application
    are as before, and a step further on a login works."""
    with pamapp.App() as app:
        told = steps_of(app)
        operations = words_of(told)
        stages = re.findall(r"stage ([a-z]+)", "\n".join(told))
        assert len(told) > 60
        for stage in ("host", "spawn", "build", "enclose", "prove", "exec", "publish"):
            assert stage in stages
        assert {"bind", "mount", "mkdir", "file", "symlink", "node"} <= set(operations), operations
        if profile == "rich":
            assert {"hostname", "domainname", "mask", "hosts", "credentials", "detach", "lines", "names"} <= set(operations), operations
            assert {"home-overlay", "device"} <= set(operations), operations
        elif profile == "overlaid":
            assert {"overlay-host", "written"} <= set(operations), operations
        else:
            assert "home-tmpfs" in operations, operations


def test_each_step_leaves_the_host_as_it_was(profile, baseline):
    """As above, but looked at after every single step: nothing may be left that a later login would clean. And the
    next login works every time."""
    number = 0
    while True:
        since = syslog.mark()
        with failing(number):
            result = su()
        if result.rc == 0:
            boxed(result)
            break
        refusal_of_su(result, since)
        try:
            picture.wait_equal(baseline, timeout=2)
        except AssertionError as error:
            raise AssertionError(f"step {number} ({syslog.lines_since(since)}): {error}") from None
        boxed(su())
        number += 1
    assert number > 60


def test_sudo_refuses(profile, baseline):
    """sudo takes PAM_SESSION_ERR as harmless: no failed step may become that. The command does not run."""
    with pamapp.App() as app:
        last = len(steps_of(app)) - 2  # sudo makes no record
    assert sudo().rc == 0
    for step in (*range(host.count(last, 4)), last // 3, last // 2, last - 2, last - 1, last):
        since = syslog.mark()
        with failing(step):
            refused_by_sudo(sudo(), since, WHY, helper_lines=None)
    assert sudo().out == "in\n"


def test_ssh_refuses(profile, sshd, baseline):
    """sshd keeps the connection when open_session fails, but no command may run, no shell, no sftp, no forwarding."""
    for step in (0, 1, 2, 5, 30, 60):
        since = syslog.mark()
        with failing(step):
            for tty in (False, True):
                assert "in" not in sshd.ssh("alice", "echo in", tty=tty).out.split()
            assert sshd.sftp("alice", "ls /etc/passwd\n").rc != 0
        lines(r"sshd\[\d+\] .*nsbox \w+: login of alice refused: step ", since, 3)
        picture.wait_equal(baseline)
        boxed(sshd.ssh("alice", "echo in $NSBOX_ID"))


def test_on_error_allow_with_every_step(profile, conf, baseline):
    """on_error=allow: whatever fails, the user is let in, unboxed, with one LOG_ALERT line; nothing is left of the
    half-built box, and the entry of the unboxed session goes with it. (The step after the join is no such failure.)"""
    conf.nsbox(PROFILES[profile] + "on_error = allow\n")
    number = 0
    while True:
        since = syslog.mark()
        with failing(number):
            result = su()
        words = result.out.split()
        assert result.rc == 0 and words[0] == "in", (number, result)
        if len(words) == 2:
            break
        lines(r"^authpriv.alert .*alice is let in WITHOUT a box", since, 1)
        picture.wait_equal(baseline, timeout=2)
        number += host.count(1, 5)
    assert number > 60


def test_this_build_holds_the_injection():
    """test_refusals.py looks for this text in the installed programs of the ordinary build: here it must be found."""
    assert b"nsbox-fault" in pathlib.Path(LIBEXEC, "nsbox-helper").read_bytes()
