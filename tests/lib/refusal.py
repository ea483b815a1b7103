# SPDX-License-Identifier: BSD-3-Clause
"""What a refused login looks like: to the user, in syslog, to the application."""
import contextlib
import os
import re
import shutil

from . import host, syslog

LIBEXEC = "/usr/libexec/nsbox"
BOXED = "[profile all]\nusers = *\nnetwork = loopback\n"
PROGRAM_LINES = r"^\S+ (nsbox-\w+|pam_nsbox)\["

_MESSAGE = re.compile(r"Login refused: your session could not be isolated \(nsbox ([a-z0-9]+|-)\)\. "
                      r"Ask the administrator\.")


def su(user="alice", command="echo in $NSBOX_ID", **options):
    """Root becomes `user`: the quickest login there is. Result; "in" on its output: it was let in."""
    return host.run("su", user, "-c", command, **options)


def sudo(caller="alice", user="carol", command=("echo", "in"), **options):
    """With SUDOERS in force."""
    return host.run("sudo", "-n", "-u", user, *command, user=caller, group=caller, extra_groups=[], cwd="/", **options)


SUDOERS = "alice ALL=(ALL) NOPASSWD: ALL\n"


def lines(pattern, since, number):
    """The lines of syslog with the pattern: exactly so many, as soon as they have arrived."""
    host.wait_until(lambda: len(syslog.matching(pattern, since)) >= number, what=f"{number} lines with {pattern!r}")
    found = syslog.matching(pattern, since)
    assert len(found) == number, found
    return found


def reference(text):
    """The REF that the user reads. Exactly one message."""
    found = _MESSAGE.findall(text)
    assert len(found) == 1, f"not one refusal in {text!r}"
    return found[0]


def line_of(ref, since, user="alice", helper_lines=0):
    """The module's one line with this REF. No line of a helper beside it, unless told how many (None: any)."""
    line = syslog.wait_for(rf"nsbox {ref}: login of {user} refused: ", since)
    assert len(syslog.matching(rf"nsbox {ref}: ", since)) == 1, syslog.lines_since(since)
    assert line.startswith("authpriv.err "), line
    assert re.search(r"refused: \S.* \(stage [a-z_]+, E[A-Z0-9]+\)$", line), line
    # the end of an earlier session may be told late
    others = [text for text in syslog.matching(PROGRAM_LINES, since)
              if ref in text or not re.search(r" box \w+ of .* ended after ", text)]
    assert helper_lines is None or len(others) == helper_lines, others
    return line


def refused(result, since, pattern, user="alice", helper_lines=0):
    """Asserts that this login was refused: status, message, one line of syslog with `pattern`. Returns the line."""
    assert result.rc != 0, result
    assert "in" not in result.out.split(), result
    line = line_of(reference(result.out + result.err), since, user, helper_lines)
    assert re.search(pattern, line), line
    return line


def refused_by_sudo(result, since, pattern, user="carol", helper_lines=0):
    """As refused(). sudo shows what a module says in its session phase to nobody, so only syslog has the reference."""
    assert result.rc != 0 and "in" not in result.out.split(), result
    line = syslog.wait_for(rf"sudo\[\d+\] .*nsbox \w+: login of {user} refused: ", since)
    ref = re.search(r"nsbox (\w+): ", line).group(1)
    assert re.search(pattern, line_of(ref, since, user, helper_lines)), line


def boxed(result):
    """Asserts that this login of su() got in, in a box."""
    words = result.out.split()
    assert result.rc == 0 and len(words) == 2 and words[0] == "in", result
    return words[1]


def unboxed(result):
    """Asserts that this login of su() got in, without a box."""
    assert result.rc == 0 and result.out.split() == ["in"], result


@contextlib.contextmanager
def moved_away(path):
    """The file does not exist in the block."""
    aside = f"{path}.aside"
    os.rename(path, aside)
    try:
        yield
    finally:
        if os.path.lexists(path):
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        os.rename(aside, path)


@contextlib.contextmanager
def replaced(path, data, mode=0o755):
    """The file holds something else in the block."""
    with moved_away(path):
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        yield


@contextlib.contextmanager
def changed(path, mode=None, uid=None, gid=None):
    """Mode and owner are different in the block."""
    before = os.stat(path)
    os.chown(path, -1 if uid is None else uid, -1 if gid is None else gid)
    if mode is not None:
        os.chmod(path, mode)
    try:
        yield
    finally:
        os.chown(path, before.st_uid, before.st_gid)
        os.chmod(path, before.st_mode & 0o7777)
