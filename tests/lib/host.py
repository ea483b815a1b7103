# SPDX-License-Identifier: BSD-3-Clause
"""Small things about processes and time."""
import collections
import math
import os
import pathlib
import re
import subprocess
import time

import pexpect

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")

# How much longer to wait for something than on a machine of flesh: set where the processor is emulated (tests/vm).
PATIENCE = float(os.environ.get("NSBOX_PATIENCE", "1"))

_terminals = []
_processes = []

Result = collections.namedtuple("Result", "rc out err")


def full():
    """True in `tests/run --full`: loops run as often as the issue asks for."""
    return os.environ.get("NSBOX_FULL") == "1"


def count(full_count, reduced):
    """How often to do something: `full_count` with --full, else `reduced`."""
    return full_count if full() else reduced


def wait_until(condition, timeout=5.0, what=None, interval=0.02):
    """Polls until condition() is true and returns what it returned; AssertionError after `timeout` seconds."""
    timeout *= PATIENCE
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what or condition}")
        time.sleep(interval)


def run(*command, timeout=30, check=False, text=True, **options):
    """Runs a command to its end: Result(rc, out, err); rc is negative for a signal."""
    options.setdefault("stdin", subprocess.DEVNULL)
    if "input" in options:
        del options["stdin"]
    done = subprocess.run(command, capture_output=True, timeout=timeout * PATIENCE, text=text, check=False, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return Result(done.returncode, done.stdout, done.stderr)


def spawn(*command, timeout=20, dimensions=(24, 160), **options):
    """A command on a terminal of its own: pexpect.spawn. The caller closes it."""
    child = pexpect.spawn(command[0], list(command[1:]), timeout=timeout * PATIENCE, encoding="utf-8", codec_errors="replace",
                          dimensions=dimensions, **options)
    _terminals.append(child)
    return child


def end_with_test(process):
    """Returns the Popen; a test that fails before it has ended it leaves no fork bomb to the next."""
    _processes.append(process)
    return process


def forget(process):
    """What end_with_test() was told of and lives longer than the test."""
    _processes.remove(process)


def close_terminals():
    """Ends what spawn() made, or end_with_test() was told of, and a failed test left."""
    while _terminals:
        _terminals.pop().close(force=True)
    while _processes:
        process = _processes.pop()
        if process.poll() is None:
            process.kill()
            process.wait(10 * PATIENCE)


def read(path, default=None):
    """The text of a file of /proc or /sys; `default` where it has gone (a process that ended)."""
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        return default


def namespaces(pid="self"):
    """{type: inode} of a process. A process that has ended has none: {}."""
    found = {}
    for kind in NAMESPACES:
        try:
            link = os.readlink(f"/proc/{pid}/ns/{kind}")
        except OSError:
            continue
        found[kind] = int(link.split("[")[1].rstrip("]"))
    return found


def machine_namespaces():
    """{type: inode} of the machine that runs the throw-away host, as tests/host saw it."""
    words = os.environ["NSBOX_MACHINE_NS"].split()
    return {word.split(":")[0]: int(word.split("[")[1].rstrip("]")) for word in words}


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def status(pid):
    """/proc/PID/status as a dict; {} if there is no such process."""
    text = read(f"/proc/{pid}/status", "")
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def in_foreground(pid):
    """Runs, and has the terminal: its process group is that of the terminal."""
    state, _, group, _, _, foreground = read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:6]
    return state != "T" and group == foreground


def parent(pid):
    return int(status(pid).get("PPid", 0))


def children(pid):
    return [other for other in pids() if parent(other) == pid]


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child] + descendants(child)
    return found


def alive(pid):
    """Exists and is no zombie."""
    state = status(pid).get("State", "Z")
    return not state.startswith(("Z", "X"))


def comm(pid):
    return (read(f"/proc/{pid}/comm", "") or "").rstrip("\n")


def cmdline(pid):
    return (read(f"/proc/{pid}/cmdline", "") or "").replace("\0", " ").strip()


def find(name=None, argument=None):
    """Pids of the live processes with this comm and, if given, this text in the command line."""
    return [
        pid for pid in pids()
        if alive(pid) and (name is None or comm(pid) == name) and (argument is None or argument in cmdline(pid))
    ]


def inner_pids(pid):
    """The process's numbers, from here inwards; the last is the one it sees itself."""
    return [int(word) for word in status(pid).get("NSpid", "").split()]


def descriptors(pid):
    """{fd: target} of a process."""
    found = {}
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return found
    for name in names:
        try:
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
    return found


def cgroup(pid, controller="pids"):
    """The path of the process in the tree that has the controller: a v1 tree if there is one, else (and for '') the
    unified one."""
    return cgroup_in(read(f"/proc/{pid}/cgroup", "") or "", controller)


def cgroup_in(text, controller="pids"):
    """The same from what a process has printed of its /proc/self/cgroup, other lines around it."""
    unified = None
    for number, names, path in re.findall(r"^(\d+):([^:\n]*):(.*)$", text, re.M):
        if controller in names.split(","):
            return path
        if number == "0":
            unified = path
    return unified


def cgroup_tree(controller="pids"):
    """Where that tree is mounted; '' is the unified one."""
    trees = pathlib.Path("/sys/fs/cgroup")
    for path in (trees / (controller or "unified"), trees):
        if path.is_dir():
            return path
    return None


def median(values):
    ordered = sorted(values)
    middle = len(ordered) / 2
    return (ordered[math.ceil(middle) - 1] + ordered[math.floor(middle)]) / 2
