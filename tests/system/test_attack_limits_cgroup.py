# SPDX-License-Identifier: BSD-3-Clause
# alone: no other host mounts control groups meanwhile
"""Line 13: ways out of the control group, and ways to change what it limits."""
import contextlib
import os
import re

import pytest

from attacks import PLACE, STOP_TIMEOUT, as_user, make_root, start, su, tool
from attacks.limits import box_of, in_group, limit_of, seconds_until_gone, trees
from lib import host

ROOT = "/srv/box"
SOCKET = f"{PLACE}/accomplice"
GROUP = "delegated"
PIDS_MAX = 40


def profile(more=""):
    """Everybody's; with a limit where the tree has one (see test_attack_limits_cgroup_v2.py)."""
    # the attacks make user namespaces: without them there is less to try
    return f"[profile all]\nusers = *\nnested_namespaces = yes\npids_max = {PIDS_MAX if has_limit() else 'infinity'}\n{more}\n"


def has_limit():
    return 1 in trees() or "pids" in host.read(f"{trees()[2]}/cgroup.controllers").split()


@pytest.fixture
def conf(conf):
    conf.pam_all()
    conf.nsbox(profile())
    return conf


def found(text):
    """The lines of cgroups that tell of something it could do; it has run to its end."""
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("tried ")], text
    assert not [line for line in lines if line.startswith("failed ")], text
    return [line for line in lines if not line.startswith(("tried ", "mounted ", "stuck "))]


def tried(text):
    """{"files": N, "directories": N, "mounts": N, "descriptors": N}, all walks together"""
    totals = {}
    for number, kind in re.findall(r"(\d+) (files|directories|mounts|descriptors)", text):
        totals[kind] = totals.get(kind, 0) + int(number)
    return totals


def mounted(text):
    return [line.split(" ", 1)[1].strip() for line in text.splitlines() if line.startswith("mounted ")]


@contextlib.contextmanager
def delegated(user, mode=None):
    """A group in each tree that belongs to the user, as an administrator delegates it: {version: path}."""
    owner = as_user(user)["user"]
    groups = {version: f"{tree}/{GROUP}" for version, tree in trees().items()}
    assert groups
    for group in groups.values():
        os.mkdir(group)
        for path in [group] + [f"{group}/{name}" for name in ("tasks", "cgroup.procs", "cgroup.threads",
                                                              "cgroup.subtree_control")]:
            if os.path.exists(path):
                os.chown(path, owner, owner)
                if mode is not None and os.path.isfile(path):
                    os.chmod(path, mode)
    try:
        yield groups
    finally:
        for group in groups.values():
            host.wait_until(lambda: not host.read(f"{group}/cgroup.procs").split(), timeout=STOP_TIMEOUT + 1,
                            what=f"{group} is empty")
            os.rmdir(group)


# -- the attack works where it may --


def test_cgroups_is_not_blind():
    """Line 13. On the host root finds files that he can write; a user none, but for the group that was delegated to him: that
    one he enters."""
    program = tool("cgroups")
    lines = found(host.run(program, "look").out)
    assert [line for line in lines if line.startswith("opened ") and line.endswith("/pids.max")] or 1 not in trees()
    assert [line for line in lines if line.endswith("/cgroup.procs")]
    assert found(host.run(program, "walk", **as_user("mallory")).out) == []
    with delegated("mallory") as groups:
        text = host.run(program, "walk", **as_user("mallory")).out
        for version, group in groups.items():
            assert f"made /proc/1/root{group}" not in text  # not his root
            assert re.search(rf"^made \S*{group}/nsbox-attack$", text, re.M), text
            assert re.search(rf"^opened \S*{group}/cgroup.procs$", text, re.M), text
            # version 2 asks for the right in the group above both as well
            assert bool(re.search(rf"^LEFT by \S*{group}/cgroup.procs: ", text, re.M)) == (version == 1), text


def test_clone3_is_not_blind():
    """Line 13. Where the group above both is the user's, clone3(2) does take a child to the other one."""
    if 2 not in trees():
        return
    with delegated("mallory") as groups:
        below = [f"{groups[2]}/{name}" for name in ("here", "there")]
        for group in below:
            os.mkdir(group)
            for path in (group, f"{group}/cgroup.procs"):
                os.chown(path, *[as_user("mallory")["user"]] * 2)
        try:
            script = f"echo 0 >{below[0]}/cgroup.procs && exec runuser -u mallory -- {tool('cgroups')} walk"
            text = host.run("sh", "-c", script).out
            assert re.search(rf"^LEFT clone3 \S*{below[1]}: ", text, re.M), text
            assert re.search(rf"^LEFT by \S*{below[1]}/cgroup.procs: ", text, re.M), text
        finally:
            for group in below:
                os.rmdir(group)


# -- in a box --

WAYS = ["walk", "mount walk", "nested mount walk", "nested nested mount walk"]


@pytest.mark.parametrize("more", ["", f"root = {ROOT}", "namespaces = mount pid"], ids=["host", "tree", "few namespaces"])
def test_user_tries_everything(conf, baseline, more):
    """Line 13. An ordinary user in a box: no control group file is in sight, and those of the hierarchies that he can mount in
    a user namespace of his own are none that he can write, version 1 or 2, release_agent or notify_on_release or any other. No
    group can be made, no descriptor be used, no child be cloned into another group. Afterwards the limit is the same and
    holds."""
    cgroups, flood = tool("cgroups"), tool("flood")
    if "root" in more:
        make_root(ROOT, [cgroups, flood])
        cgroups, flood = "/bin/cgroups", "/bin/flood"
    conf.nsbox(profile(more))
    other = start("su", "bob", "-c", "echo ready; exec cat")
    try:
        script = "; ".join(f"{cgroups} {way}; echo end" for way in WAYS)
        script += f"; exec {flood} zombies" if has_limit() else ""
        process = start("su", "alice", "-c", f"echo ready; {script}")
        box = box_of("alice")
        for way in WAYS:
            text = "".join(iter(lambda: process.stdout.readline().decode() or pytest.fail("the attack has died"), "end\n"))
            assert found(text) == [], (way, text)
            assert tried(text)["descriptors"] >= 3
            if "nested" in way and "root" not in more:
                names = mounted(text)
                assert "cgroup2" in names and ("cgroup pids" in names or 1 not in trees()), names  # the kernel allows that
                assert tried(text)["files"] > 10
            elif "nested" not in way:
                assert mounted(text) == [] and tried(text)["files"] == 0, (way, text)
        if has_limit():
            word, number, errno = process.stdout.readline().split()
            assert (word, errno) == (b"full", b"EAGAIN") and int(number) < PIDS_MAX
            assert limit_of(box) == str(PIDS_MAX) and in_group(box) <= PIDS_MAX
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    finally:
        other.stdin.close()
        other.wait(10)
        other.stdout.close()
        if "root" in more:
            host.run("rm", "-r", ROOT, check=True)


def test_root_sees_no_group(conf, baseline):
    """Line 13. Root in a box: without a mount of his own there is no control group file in sight, in /proc and among all
    descriptors neither."""
    text = su("root", f"{tool('cgroups')} look").out
    assert found(text) == [] and tried(text)["files"] == tried(text)["mounts"] == 0, text
    assert tried(text)["descriptors"] > 3


def test_root_is_held(conf, baseline):
    """Line 13. Root in a box mounts no hierarchy, and so finds no release_agent and no limit to raise."""
    text = su("root", f"{tool('cgroups')} mount look").out
    assert mounted(text) == found(text) == [] and tried(text)["files"] == 0, text
    result = su("root", "mount -t cgroup2 none /mnt; mount -t cgroup -o pids none /mnt")
    assert result.rc != 0 and result.err.count("permission denied") == 2, result


def test_root_with_all_capabilities_is_not_held(conf, baseline):
    """Line 13. SECURITY.md: then root in a box is root on the host. He mounts a hierarchy, and finds release_agent where the
    hierarchy's root is in sight, and raises the limit of his box. So the test above is not blind."""
    conf.nsbox(profile("capabilities = all\nseccomp = off\n"))
    text = su("root", f"{tool('cgroups')} mount look").out
    assert mounted(text)
    if 1 in trees():
        assert [line for line in found(text) if line.endswith("/release_agent")], text
    if has_limit():
        kind = "-t cgroup -o pids" if 1 in trees() else "-t cgroup2"
        process = start("su", "root", "-c", f"mount {kind} none /mnt && echo 77 >/mnt/pids.max; echo ready; exec cat")
        assert limit_of(box_of("root")) == "77"
        assert not os.path.exists("/mnt/pids.max")  # the mount is the box's own at least
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


# -- accomplices outside --


class Accomplice:
    """Somebody outside who sends what he has open to whoever connects."""

    def __init__(self, user, paths):
        script = ("import os, socket, sys\n"
                  "fds = [os.open(p, os.O_RDONLY if os.path.isdir(p) else os.O_WRONLY) for p in sys.argv[2:]]\n"
                  "os.umask(0); s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()\n"
                  "print('ready', flush=True)\n"
                  "c = s.accept()[0]; socket.send_fds(c, [b'x'], fds); sys.stdin.read()\n")
        self.process = start("python3", "-c", script, SOCKET, *paths, **(as_user(user) if user != "root" else {}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
        os.unlink(SOCKET)


@pytest.fixture
def place():
    """Where an accomplice can make a socket that boxes see."""
    os.makedirs(PLACE, exist_ok=True)
    os.chmod(PLACE, 0o1777)
    yield
    os.chmod(PLACE, 0o755)


# Whose group, its mode, who sends; and which versions let the process in.
DEALS = {
    "stranger": ("mallory", None, "mallory", set()),
    "stranger, open to all": ("mallory", 0o666, "mallory", {1}),
    "oneself": ("alice", None, "alice", {1}),
    "root": ("mallory", None, "root", {1, 2}),
}


def versions_left(line):
    """Which hierarchies a LEFT line tells of."""
    before, after = line.split(": ", 1)[1].split("-> ")
    return {1 if word.split(":")[1] else 2 for word in set(before.split()) ^ set(after.split())}


@pytest.mark.parametrize("deal", DEALS)
def test_descriptors_from_outside(conf, baseline, place, deal):
    """Line 13. An accomplice outside sends descriptors of a group that an administrator has delegated: the directory, tasks
    and cgroup.procs. Version 2 asks whether who opened the file may write that of the group above both: it lets out by root's
    descriptors alone, and nobody by clone3(2). Version 1 asks only for the right to write the file and for the same user, so
    it lets out more (SECURITY.md): from the limit, not from the box, which ends with all that is in it."""
    owner, mode, sender, expected = DEALS[deal]
    with delegated(owner, mode) as groups:
        paths = [path for group in groups.values() for path in (group, f"{group}/cgroup.procs", f"{group}/tasks")
                 if os.path.exists(path)]
        with Accomplice(sender, paths):
            text = su("alice", f"{tool('cgroups')} receive {SOCKET} walk").out
        outs = re.findall(r"^LEFT .*", text, re.M)
        assert tried(text)["descriptors"] >= len(paths) and tried(text)["directories"] >= len(groups), text
        assert not [line for line in outs if line.startswith("LEFT clone3")], text
        assert {version for line in outs for version in versions_left(line)} == expected & set(groups), text


@pytest.mark.parametrize("mover", ["alice", "mallory"])
def test_moved_from_outside(conf, baseline, mover):
    """Line 13. An accomplice outside with a group of his own writes the number of a boxed process there. Of another user's he
    cannot; of the same user's he can in version 1 (SECURITY.md), and in version 2 he cannot. What was moved ends with the
    box."""
    with delegated(mover) as groups:
        process = start("su", "alice", "-c", "echo ready; sleep 1000 & exec cat")
        box = box_of("alice")
        [sleeper] = host.wait_until(lambda: [pid for pid in host.find("sleep", "1000") if host.inner_pids(pid)[1:]])
        for version, group in groups.items():
            result = host.run("sh", "-c", f"echo {sleeper} >{group}/cgroup.procs", **as_user(mover))
            assert (result.rc == 0) == (version == 1 and mover == "alice"), (version, result)
            assert host.read(f"{group}/cgroup.procs").split() == ([str(sleeper)] if result.rc == 0 else [])
        process.stdin.close()
        process.wait(10)
        process.stdout.close()
        assert seconds_until_gone(box) <= STOP_TIMEOUT + 1 and not host.alive(sleeper)


def test_descriptor_of_a_box_passed_out_and_in(conf, baseline, place):
    """Line 13. One box sends another its directories of the hierarchies mounted in a user namespace of its own: neither can
    be entered."""
    script = ("import os, socket, subprocess, sys\n"
              "os.umask(0); s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()\n"
              "place = '/tmp/x'; os.mkdir(place); fds = []\n"
              "for words in (['-t', 'cgroup2'], ['-t', 'cgroup', '-o', 'pids']):\n"
              "    if subprocess.run(['mount', *words, 'none', place]).returncode == 0:\n"
              "        fds.append(os.open(place, os.O_PATH))\n"
              "print('ready', flush=True); c = s.accept()[0]; socket.send_fds(c, [b'x'], fds); sys.stdin.read()\n")
    process = start("su", "alice", "-c", f'exec unshare -UrmC python3 -c "$0" {SOCKET}', script)
    try:
        text = su("alice", f"{tool('cgroups')} receive {SOCKET} walk").out
        assert tried(text)["directories"] >= len(trees()) and found(text) == [], text
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()
        os.unlink(SOCKET)
