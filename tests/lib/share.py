# SPDX-License-Identifier: BSD-3-Clause
"""Boxes that sessions share: sessions that answer questions, who is in a box, and the control socket of its monitor."""
import array
import contextlib
import os
import pathlib
import re
import select
import signal
import socket
import struct
import subprocess
import time

from . import baseline, host
from .ctl import BOXES, boxes

PROFILE = "[profile all]\nusers = alice bob\nnetwork = loopback\nshare = user\n"
WAIT = 5  # seconds: no login may take longer, whoever comes, goes or dies meanwhile
MEMBERS_MAX = 64


def the_box(user="alice"):
    """The user's only box, as nsboxctl lists it."""
    found = [box for box in boxes() if box["user"] == user]
    assert len(found) == 1, found
    return found[0]


def wait_members(number, user="alice", timeout=5):
    """The box, as soon as it has exactly so many members."""
    found = []

    def reached():
        found[:] = [box for box in boxes() if box["user"] == user]
        return len(found) == 1 and len(found[0]["members"]) == number and len(member_files(found[0])) == number
    try:
        host.wait_until(reached, timeout=timeout)
    except AssertionError:
        raise AssertionError(f"not {number} members: {[(box['id'], box['members'], member_files(box)) for box in found]}"
                             ) from None
    return found[0]


def wait_gone(timeout=5):
    host.wait_until(lambda: boxes() == [], timeout=timeout, what="all boxes are gone")


def member_files(box):
    """Names in the box's directory of members, half-made ones too."""
    try:
        return sorted(os.listdir(f"{BOXES}/{box['id']}/members"))
    except FileNotFoundError:
        return []


def records():
    """Live utmp records of ours."""
    return [record for record in baseline.utmp_records() if record[2].startswith("nsbox/")]


def program(pattern):
    """The pid. A child that has not become another program yet is not meant: it is gone in a moment."""
    def look():
        found = [pid for pid in host.pids() if re.match(pattern, host.cmdline(pid)) and host.alive(pid)]
        return found if len(found) == 1 else None
    return host.wait_until(look, what=f"one {pattern}")[0]


def monitor_of(box):
    return program(rf"nsbox-monitor {box['id']} ")


def guard_of(box):
    return program(rf"nsbox-monitor guard {box['id']}")


def descriptors(pid):
    """How many."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def end_what_failed(request):
    """For the end of a fixture: of a test that failed nothing is left, so that the next ones have a chance."""
    call = getattr(request.node, "report_call", None)
    if call is None or not call.failed:
        return
    for pid in host.find("nsbox-monitor") + host.find("su"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGTERM)
    with contextlib.suppress(AssertionError):
        wait_gone()


def inside(box):
    """Pids of the processes in the box's PID namespace."""
    wanted = box["namespaces"]["pid"]
    return [pid for pid in host.pids() if host.namespaces(pid).get("pid") == wanted]


@contextlib.contextmanager
def stopped(pid):
    """The process does nothing in the block."""
    os.kill(pid, signal.SIGSTOP)
    host.wait_until(lambda: host.status(pid)["State"].startswith("T"), what=f"{pid} is stopped")
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


# -- sessions --

SHELL = "echo box $NSBOX_ID; exec bash"


class Session:
    """A shell that reads commands from a pipe."""

    def __init__(self, process):
        self.process = process
        self._box = None

    @property
    def box(self):
        """NSBOX_ID; waits until the session is there."""
        if self._box is None:
            line = self.process.stdout.readline().decode()
            if not line.startswith("box "):
                raise AssertionError(f"no session: {line!r} {self.process.stderr.read()!r}")
            self._box = line.split()[1] if len(line.split()) > 1 else ""
        return self._box

    def ask(self, command):
        """What the command prints."""
        assert self.box is not None
        self.process.stdin.write(f"{command}\necho end-of\n".encode())
        self.process.stdin.flush()
        text = ""
        for line in iter(self.process.stdout.readline, b""):
            if line == b"end-of\n":
                return text
            text += line.decode()
        raise AssertionError(f"the session has ended: {text!r}")

    def hang_up(self):
        """The end of its input, nothing is waited for."""
        if not self.process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()

    def close(self, timeout=10):
        """Logs out: the status."""
        self.hang_up()
        try:
            return self.process.wait(timeout * host.PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process.stderr.close()

    def __enter__(self):
        assert self.box is not None
        return self

    def __exit__(self, *_):
        self.close()


def ssh(sshd, user="alice", **options):
    return Session(sshd.popen(user, SHELL, **options))


def su(user="alice", **options):
    """Root becomes the user, without a terminal: as ssh, it has none of the host's."""
    return Session(subprocess.Popen(["su", user, "-c", SHELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, start_new_session=True, **options))


@contextlib.contextmanager
def many(make, number):
    """So many sessions, begun at the same moment; yields them when all are there."""
    sessions = [make() for _ in range(number)]
    try:
        for session in sessions:
            assert session.box is not None
        yield sessions
    finally:
        for session in sessions:
            session.hang_up()
        for session in sessions:
            session.close()


def timed_su(user="alice", command="echo $NSBOX_ID", timeout=30):
    """A login by su: (box, seconds). It must be let in, within WAIT."""
    start = time.monotonic()
    result = host.run("su", user, "-c", command, timeout=timeout)
    seconds = time.monotonic() - start
    assert result.rc == 0 and re.fullmatch(r"[a-z0-9]{10}\n", result.out), result
    assert seconds < WAIT * host.PATIENCE, seconds
    return result.out.strip(), seconds


def cron_job(conf, user, command):
    """Runs the command once, as a job of the user: what cron mails."""
    conf.file("/etc/cron.d/share", f"@reboot {user} {command}; echo the end\n")
    pathlib.Path("/run/crond.reboot").unlink(missing_ok=True)
    pathlib.Path("/var/mail/captured").write_text("")
    cron = subprocess.Popen(["cron", "-f"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    try:
        host.wait_until(lambda: "the end\n" in host.read("/var/mail/captured"), timeout=10, what="the job's mail")
        host.wait_until(lambda: not host.children(cron.pid), what="cron has no child left")
    finally:
        cron.terminate()
        cron.wait(10)
        conf.remove("/etc/cron.d/share")
    return host.read("/var/mail/captured").partition("\n\n")[2].replace("the end\n", "")


# -- the control socket --

JOIN, READY, MEMBER = 1, 2, 3
LOGIN = b"aaaaaaaaaa"


def message(word, session=LOGIN, magic=0x6e736278, version=1, kind=4, size=None, reserved=0):
    """common/protocol-words.c, control_message."""
    body = struct.pack("<I12s", word, session)
    return struct.pack("<IHHII", magic, version, kind, 16 + len(body) if size is None else size, reserved) + body


class Control:
    """A connection to the monitor of a box."""

    def __init__(self, box):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(WAIT * host.PATIENCE)
        self.socket.connect(f"{BOXES}/{box['id']}/control")

    def send(self, data, fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([data], rights)

    def answer(self):
        """(word, descriptors): None where the monitor has closed the connection."""
        try:
            data, rights, _, _ = self.socket.recvmsg(256, socket.CMSG_SPACE(64))
        except ConnectionResetError:
            return None
        fds = array.array("i")
        for _, _, content in rights:
            fds.frombytes(content[:len(content) - len(content) % fds.itemsize])
        if not data:
            return None
        return struct.unpack_from("<I", data, 16)[0], list(fds)

    def join(self):
        """JOIN and its READY."""
        self.send(message(JOIN))
        word, fds = self.answer()
        assert word == READY and len(fds) == 1
        for fd in fds:
            os.close(fd)
        return self

    def dropped(self):
        """Whether the monitor closes the connection."""
        return self.answer() is None

    def open(self):
        """Whether it still is open, and silent."""
        return not select.select([self.socket], [], [], 0.1)[0]

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
