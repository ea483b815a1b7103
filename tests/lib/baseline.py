# SPDX-License-Identifier: BSD-3-Clause
"""What a login must leave behind: nothing.

take() is the one picture of the host that all tests compare; wait_equal() is the one way to
compare it. A thing that the product keeps on purpose is named in KEPT_*, with the reason.
"""
import collections
import contextlib
import errno
import fcntl
import os
import pathlib
import re
import socket
import struct
import tempfile
import time

from . import host, netlab

# Directories that are made once and stay, as long as they are empty: parents of all boxes.
KEPT_CGROUPS = {"nsbox", "nsbox/monitors"}
KEPT_RUN_DIRECTORIES = {"users", ".", "boxes", "leases", "seccomp"}

RUN_DIRECTORY = "/run/nsbox"
UTMP = "/run/utmp"
LOOP_GET_STATUS64 = 0x4C05  # loop(4)
UTMP_RECORD = struct.Struct("<hxxi32s4s32s256shhiii4i20x")
UTMP_LIVE = {6, 7}  # LOGIN_PROCESS, USER_PROCESS

# netlink(7), rtnetlink(7), <linux/netfilter/nfnetlink.h>: protocol, groups of its messages
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NETLINK_NETFILTER = 270, 1, 12
ROUTE_GROUPS = (1, 5, 7, 9, 11)  # RTNLGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE
NETFILTER_GROUPS = (7,)  # NFNLGRP_NFTABLES


def _mounts():
    """Mounts of PID 1 without the ids, which count upwards; how often each is there matters."""
    lines = []
    for line in pathlib.Path("/proc/1/mountinfo").read_text().splitlines():
        fields = line.split()
        dash = fields.index("-")
        propagation = " ".join(sorted(re.sub(r":\d+", "", word) for word in fields[6:dash]))
        lines.append(f"{fields[4]} root={fields[3]} {' '.join(fields[dash + 1:])} {fields[5]} {propagation}")
    return lines


def _namespaces():
    """Every namespace that a process is in or holds a descriptor of, or that a mount pins."""
    found = set()
    for pid in host.pids():
        for kind, inode in host.namespaces(pid).items():
            found.add(f"{kind}:[{inode}]")
        for target in host.descriptors(pid).values():
            if re.fullmatch(r"\w+:\[\d+\]", target) and target.split(":")[0] in host.NAMESPACES:
                found.add(target)
    for line in pathlib.Path("/proc/1/mountinfo").read_text().splitlines():
        if " - nsfs " in line:
            found.add(line.split()[3])
    return sorted(found)


def _cgroup_trees():
    for line in pathlib.Path("/proc/1/mountinfo").read_text().splitlines():
        if re.search(r" - cgroup2? ", line):
            yield line.split()[4]


def _cgroups():
    found = []
    for tree in _cgroup_trees():
        for directory, _, _ in os.walk(tree):
            name = os.path.relpath(directory, tree)
            if name not in KEPT_CGROUPS and name != ".":
                found.append(f"{tree}/{name}")
    return sorted(found)


class _Watched:
    """What a program prints of the network: asked again when the kernel has told of a change, and as long as it holds something
    that goes without a word (`passes`)."""

    def __init__(self, protocol, groups, question, passes=False):
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        self._socket.bind((0, 0))  # who has no address hears nothing
        for group in groups:
            self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        self._question, self._passes, self._answer = question, passes, None

    def __call__(self):
        if self._heard() or self._answer is None or (self._passes and self._answer):
            self._answer = self._question()
        return self._answer

    def _heard(self):
        heard = False
        while True:
            try:
                self._socket.recv(1 << 16)
            except BlockingIOError:
                return heard
            except OSError as error:  # more than it could keep
                if error.errno != errno.ENOBUFS:
                    raise
            heard = True


def _links():
    return host.run("ip", "-o", "link", check=True).out.splitlines()


def _routes():
    """Of all tables; what the kernel remembers of destinations is not one."""
    found = []
    for family in ("-4", "-6"):
        found += host.run("ip", family, "-o", "route", "show", "table", "all", check=True).out.splitlines()
    return [re.sub(r" (expires \S+|linkdown)", "", line).strip() for line in found]


def _rules():
    """What boxes have in tables of ours, and all that others have. Our empty tables stay."""
    return netlab.rows_of_ruleset(host.run("nft", "-j", "list", "ruleset", check=True).out)


def _run_files():
    found = []
    for directory, names, files in os.walk(RUN_DIRECTORY):
        name = os.path.relpath(directory, RUN_DIRECTORY)
        if names or files or name not in KEPT_RUN_DIRECTORIES:
            found.append(f"{name}/")
        found += [os.path.normpath(f"{name}/{file}") for file in files]
    # A kept directory with something in it is told by what is in it. Finished filters of system calls stay for the next login.
    return sorted(entry for entry in found if entry.rstrip("/") not in KEPT_RUN_DIRECTORIES and
                  not re.fullmatch(r"seccomp/(default|strict)[a-z+]*@[-.0-9a-f]+", entry))


def _sshd_descriptors():
    """Descriptors of every listening sshd: the one that outlives all logins."""
    found = []
    for pid in host.find("sshd", "[listener]"):
        found += [f"{pid}: {target}" for target in host.descriptors(pid).values()]
    return sorted(found)


def _shown(kind, pid, line):
    """login(1) leaves its record to init, and a killed sshd to nobody: such a record of a dead
    process counts as little as it does for who(1). The product's must be closed all the same."""
    return kind in UTMP_LIVE and (line.startswith(b"nsbox/") or host.alive(pid))


def utmp_records(path=UTMP):
    """Live records: [(type, pid, line, id, user, host)]."""
    data = pathlib.Path(path).read_bytes() if os.path.exists(path) else b""
    records = []
    for offset in range(0, len(data) - UTMP_RECORD.size + 1, UTMP_RECORD.size):
        kind, pid, line, ident, user, origin, *_ = UTMP_RECORD.unpack_from(data, offset)
        if _shown(kind, pid, line):
            texts = [word.split(b"\0")[0].decode(errors="replace") for word in (line, ident, user, origin)]
            records.append((kind, pid, *texts))
    return records


def _own_devices():
    """Device numbers of the files of this throw-away host: what it mounts, and what a file of its root has."""
    with tempfile.NamedTemporaryFile(dir="/srv") as probe:
        found = {os.fstat(probe.fileno()).st_dev, os.stat("/srv").st_dev}
    for line in pathlib.Path("/proc/1/mountinfo").read_text().splitlines():
        major, minor = line.split()[2].split(":")
        found.add(os.makedev(int(major), int(minor)))
    return found


def loop_devices():
    """{name: backing file} of the loop devices that show files of this throw-away host. They are the machine's: other hosts
    that run meanwhile have theirs."""
    found, own = {}, _own_devices()
    for backing in pathlib.Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            file = (host.read(backing, "") or "").strip()
        except OSError:
            continue  # gone between the name and the look
        if not file or re.search(r"/(layer-[0-9a-f]+\.img(\.new)?|\.test-cache/.*)( \(deleted\))?$", file):
            continue
        with contextlib.suppress(OSError), open(f"/dev/{backing.parts[3]}", "rb", buffering=0) as device:
            status = fcntl.ioctl(device, LOOP_GET_STATUS64, bytes(232))
            if struct.unpack_from("=Q", status)[0] in own:
                found[backing.parts[3]] = file
    return found


def _loops():
    return sorted(f"{name} {file}" for name, file in loop_devices().items())


def _own():
    """This process and those that started it."""
    pid = os.getpid()
    while pid > 1:
        yield pid
        pid = host.parent(pid)


def _processes():
    """Zombies too: nobody reaped them. sshd counts its startups in its title."""
    own = set(_own())
    lines = []
    for pid in host.pids():
        if pid in own:
            continue
        state = host.status(pid).get("State")
        if state is None:
            continue
        title = re.sub(r"\d+ of (\d+-\d+) startups", r"N of \1 startups", host.cmdline(pid))
        lines.append(f"{pid} {host.comm(pid)}{' zombie' if state.startswith('Z') else ''} {title}".rstrip())
    return lines


SUBJECTS = {
    "mount": _mounts,
    "namespace": _namespaces,
    "cgroup": _cgroups,
    "link": _Watched(socket.NETLINK_ROUTE, ROUTE_GROUPS, _links),
    "route": _Watched(socket.NETLINK_ROUTE, ROUTE_GROUPS, _routes),
    "rule": _Watched(NETLINK_NETFILTER, NETFILTER_GROUPS, _rules, passes=True),  # elements with a timeout
    "runtime file": _run_files,
    "sshd descriptor": _sshd_descriptors,
    "utmp record": lambda: [str(record) for record in utmp_records()],
    "loop device": _loops,
    "pty": lambda: sorted(os.listdir("/dev/pts")),
    "process": _processes,
}


def take():
    """A picture of the host; compare with diff()."""
    return {subject: collections.Counter(look()) for subject, look in SUBJECTS.items()}


def diff(before, after):
    """Readable differences, [] if equal."""
    lines = []
    for subject in SUBJECTS:
        lines += [f"new {subject}: {item}" for item in (after[subject] - before[subject]).elements()]
        lines += [f"lost {subject}: {item}" for item in (before[subject] - after[subject]).elements()]
    return lines


_last_good = None  # what wait_equal() has seen last


def wait_equal(before, timeout=5.0):
    """Returns the seconds it took until the host was as in `before`; AssertionError with the differences."""
    global _last_good
    timeout *= host.PATIENCE
    start = time.monotonic()
    while True:
        now = take()
        differences = diff(before, now)
        if not differences:
            _last_good = now
            return time.monotonic() - start
        if time.monotonic() - start > timeout:
            raise AssertionError(f"left behind after {timeout} s:\n  " + "\n  ".join(differences))
        time.sleep(0.05)


def take_settled(timeout=5.0):
    """A picture that did not change for 0.1 s, or is the one to which the last test has come back: what that left is dead by then."""
    end = time.monotonic() + timeout
    before = take()
    if _last_good and not diff(_last_good, before):
        return before
    while True:
        time.sleep(0.1)
        after = take()
        if not diff(before, after) or time.monotonic() > end:
            return after
        before = after
