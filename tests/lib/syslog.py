# SPDX-License-Identifier: BSD-3-Clause
"""What the host's syslogd caught. A line: "authpriv.notice sshd[1234] text", the pid as the kernel knows it."""
import os
import re
import signal
import subprocess

from . import host

CAPTURED = "/var/log/captured"
PID_FILE = "/run/host-syslog.pid"


def mark():
    """Where the log ends now; for lines_since() and wait_for()."""
    return os.path.getsize(CAPTURED)


def lines_since(start=0):
    with open(CAPTURED, errors="replace") as file:
        file.seek(start)
        text = file.read()
    # The last line may be half-written.
    return text[:text.rfind("\n") + 1].splitlines()


def matching(pattern, since=0):
    return [line for line in lines_since(since) if re.search(pattern, line)]


def wait_for(pattern, since=0, timeout=5.0):
    """The first line since `since` that has the pattern."""
    try:
        return host.wait_until(lambda: matching(pattern, since), timeout)[0]
    except AssertionError:
        text = "\n  ".join(lines_since(since))
        raise AssertionError(f"no line with {pattern!r} within {timeout} s in:\n  {text}") from None


def pid():
    text = host.read(PID_FILE)
    return int(text) if text else None


_program = None


def stop():
    """Ends the syslogd; its socket goes with it."""
    global _program
    running = pid()
    _program = os.readlink(f"/proc/{running}/exe")
    os.kill(running, signal.SIGTERM)
    host.wait_until(lambda: not host.alive(running), what="syslogd has ended")


def start():
    """Starts it again: a new socket under the old name."""
    subprocess.run([_program], check=True, stdin=subprocess.DEVNULL)
    host.wait_until(pid, what="syslogd listens")


def restart():
    stop()
    start()
