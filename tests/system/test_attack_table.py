# SPDX-License-Identifier: BSD-3-Clause
# alone: no other host mounts control groups meanwhile
"""ATTACKS.md as a table: each attack, by alice and by root of the box, in each profile (tests/attacks/table.py)."""
import contextlib
import functools
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

import pytest

from attacks import PLACE, as_user, boxes, roots, table, tool
from lib import host, pamconf

MARKER = "/run/host-only"
SOURCES = ("calls", "files", "namespaces", "processes", "sockets")
CONTROLS = {"host": None, **table.WEAKENED}
SETTINGS = ("hostname", "domainname", "core_pattern", "core_uses_pid", "core_pipe_limit", "modprobe", "hotplug",
            "poweroff_cmd", "panic", "sysrq", "printk", "dmesg_restrict", "kptr_restrict", "yama/ptrace_scope", "usermodehelper/bset",
            "usermodehelper/inheritable", "randomize_va_space", "pid_max", "threads-max", "unprivileged_bpf_disabled")


ERRORS = {
    "ids": {"EPERM", "EACCES", "EROFS", "ENOENT", "EINVAL"},
    "box": {"ENOENT", "ESRCH", "EROFS", "EACCES", "EPERM", "ECONNREFUSED", "EAGAIN", "EINVAL", "ENOTDIR", "EBUSY"},
    "bound": {"EPERM", "EACCES", "EROFS"},
    "filter": {"EPERM", "ENOSYS", "EAFNOSUPPORT", "EPROTONOSUPPORT"},
}

# -- one run of all attempts --


class Run:
    """What each attempt gave; what the victims saw; what of the host is other than before."""

    def __init__(self, text, victims, changes):
        lines = [line.split("\t") for line in text.splitlines()]
        self.ended = bool(lines) and lines[-1] == ["done"]
        self.said = {line[0]: (line[1], line[2]) for line in lines if len(line) == 3}
        self.victims, self.changes, self.text = victims, changes, text

    def of(self, name):
        return self.said.get(name, ("NOT TRIED", self.text[-400:]))[0]


class Victim:
    """tests/attacks/victim.c, on the host or in alice's other session."""

    def __init__(self, *command, **options):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, **options)
        line = self.process.stdout.readline().split()
        host.end_with_test(self.process)
        assert line and line[0] == "ready", f"{command} did not start: {line} {self.process.stderr.read()[-500:]}"
        self.pid, self.key = line[1:]

    def end(self):
        """(signals, connections) that it got; None if it has been killed."""
        out, _ = self.process.communicate(timeout=10 * host.PATIENCE)
        found = re.search(r"signals (\d+) connections (\d+)", out)
        return found and (int(found[1]), int(found[2]))


def picture_of_host():
    """What no attempt may change."""
    settings = {name: host.read(f"/proc/sys/kernel/{name}") for name in SETTINGS}
    tops = ("/tmp", "/var/tmp", "/dev/shm", "/home/alice", "/dev", PLACE)
    left = [f"{top}/{name}" for top in tops for name in os.listdir(top)
            if name.startswith(("nsbox-node", "nsbox-setuid", "nsbox-attempt"))]
    return {**settings, "mounts": roots.mounts_of_host(), "left": left, "swaps": host.read("/proc/swaps"),
            "modules": host.read("/proc/modules"), "links": host.run("ip", "-o", "link", check=True).out,
            # who is interrupted between the two reads sees less
            "clock": max(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) for _ in range(10))}


def changed(before, after):
    return [f"{name}: {before[name]!r} -> {after[name]!r}" for name in before
            if (abs(before[name] - after[name]) > 0.2 if name == "clock" else before[name] != after[name])]


def command_of(profile, identity, program):
    """The program in a login of this profile."""
    if profile == "host":
        return program.split(), {} if identity == "root" else as_user("alice")
    if identity == "root" and profile in table.ROOT_LOGS_IN:
        return ["su", "root", "-c", program], {}
    return ["su", "alice", "-c", program if identity == "user" else f"{PLACE}/become {program}"], {}


# Who listens here acts for alice, or for all, outside of her box.
DEPUTIES = ("/run/dbus/system_bus_socket", "/run/user/2001/bus", "/run/user/2001/systemd/private", "/run/systemd/private",
            "/run/docker.sock", "/tmp/tmux-2001/default", "/run/screen/S-alice/1.host", "/run/user/2001/emacs/server",
            "/run/user/2001/gnupg/S.gpg-agent", "/tmp/ssh-nsbox/agent.1", "/tmp/.X11-unix/X77",
            "/home/alice/.ssh/control-nsbox")


@contextlib.contextmanager
def deputies():
    """Sockets at these places of the host."""
    made, sockets = [], []
    for path in map(pathlib.Path, DEPUTIES):
        for parent in reversed(path.parents):
            if not parent.exists():
                parent.mkdir()
                parent.chmod(0o755)
                made.append(parent)
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen(1000)
        path.chmod(0o666)
        sockets.append(server)
    yield
    for server, path in zip(sockets, DEPUTIES):
        server.close()
        os.unlink(path)
    for directory in reversed(made):
        directory.rmdir()


@contextlib.contextmanager
def marked():
    pathlib.Path(MARKER).write_text("")
    yield
    os.unlink(MARKER)


@contextlib.contextmanager
def prepared():
    """Programs, PAM stacks and the tree; all of it goes again."""
    conf = pamconf.Configuration()
    conf.pam_all()
    tool("attempt", *[f"tests/attacks/attempt-{name}.c" for name in SOURCES])
    tool("victim")
    os.chmod(tool("become"), 0o4755)
    # what started us may have been exempt from the OOM killer, which is inherited as a right
    pathlib.Path("/proc/self/oom_score_adj").write_text("0")
    # the victims' numbers are in use in no box
    pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text("20000")
    try:
        with table.tree_of_keep_id() as tree, deputies(), marked():
            shutil.copytree(PLACE, f"{tree}{PLACE}", copy_function=shutil.copy)
            os.chmod(f"{tree}{PLACE}/become", 0o4755)
            yield conf
    finally:
        conf.restore()


def run_all(conf, profile, identity):
    """A Run; of a profile whose logins are refused it says so."""
    try:
        return try_all(conf, profile, identity)
    except AssertionError as error:
        host.close_terminals()  # what is left of it
        return Run(str(error), None, None)


def try_all(conf, profile, identity):
    lines = {**table.PROFILES, **CONTROLS}[profile] or ""
    # the other session of a control is in a box of its own as well
    conf.nsbox(f"[profile all]\nusers = *\nnetwork = loopback\n{lines}\n")
    before = picture_of_host()
    other = Victim("su", "alice", "-c", f"exec {PLACE}/victim victim-other")
    on_host = Victim(f"{PLACE}/victim", "victim-host", "accomplice", **as_user("alice"))
    strangers = Victim(f"{PLACE}/victim", "victim-mallory", **as_user("mallory"))  # whose key it is
    command, options = command_of(profile, identity, f"{PLACE}/attempt {'careful ' if profile == 'host' else ''}{MARKER}")
    try:
        result = host.run(*command, timeout=100, cwd="/", **options,
                          env={**os.environ, "NSBOX_ATTACK_KEY": strangers.key, "NSBOX_ATTACK_PID": on_host.pid})
    finally:
        during = picture_of_host()
        victims = {"host": on_host.end(), "other": other.end()}
        strangers.end()
    host.wait_until(lambda: not boxes(), timeout=10, what="the boxes have ended")
    return Run(result.out + ("" if result.rc == 0 else result.err), victims, changed(before, during))


@pytest.fixture(scope="module")
def runs():
    """runs(PROFILE, IDENTITY): made when they are first asked for."""
    with prepared() as conf:
        yield functools.lru_cache(None)(lambda profile, identity: run_all(conf, profile, identity))


# -- what stopped it --


def layers_of(runs, row, identity):
    """What stops the attempt in the profile default: {"absent"} where this kernel has not got what is attacked."""
    def works(profile, who=identity):
        return runs(profile, who).of(row.name) in row.works
    if not works(row.control):
        if identity == "user" and works(row.control, "root"):
            return {"ids"}
        assert runs(row.control, "root").of(row.name) in row.absent, \
            f"{row.name} works nowhere: {row.control} {runs(row.control, 'root').said.get(row.name)}"
        return {"absent"}
    if not works("open"):
        return {"box"}
    return {layer for layer, without in (("filter", "no bound"), ("bound", "no filter")) if not works(without)}


def layers_in(runs, row, profile, identity):
    """The same for a profile."""
    if ("default", identity) in row.but:
        # what stops it here and not there: the profile's system calls and capabilities, or its root and home
        if profile == "strict":
            return {"filter"} if "filter" in getattr(row, identity) else {"bound"}
        return {"box"} if row.box else {"user namespace"}
    found = layers_of(runs, row, identity)
    if profile == "keep-id" and runs("open", identity).of(row.name) in row.works and \
            runs("keep-id open", identity).of(row.name) not in row.works:
        found = found | {"user namespace"}
    return found


def words_of(row, layers):
    names = {**table.LAYERS, "box": row.box, "absent": "not in this kernel"}
    return " and ".join(names[layer] for layer in (*table.LAYERS, "box", "absent") if layer in layers)


@functools.lru_cache(None)
def security():
    return " ".join(pathlib.Path(os.environ["NSBOX_SOURCE"], "SECURITY.md").read_text().split())


def judge(runs, row, profile, identity):
    """What the table says of a cell; AssertionError where it is not as it has to be."""
    run = runs(profile, identity)
    got = run.of(row.name)
    sentence = row.but.get((profile, identity))
    if sentence:
        assert got in row.works, f"{got}: it is stopped, and SECURITY.md need not say that it works"
        assert sentence in security(), f"SECURITY.md does not say: {sentence}"
        return f"documented: {sentence}"
    assert got not in row.works, f"IT WORKS: {run.said[row.name]}"
    layers = layers_in(runs, row, profile, identity)
    may = set().union(*(ERRORS.get(layer, set()) for layer in (*getattr(row, identity), "filter")))
    assert got in may | set(row.absent), \
        f"stopped by {got}, which is none of {sorted(may)}: {run.said.get(row.name, run.text[-500:])}"
    return f"stopped: {words_of(row, layers)} ({got})"


# -- the tests --


@pytest.mark.parametrize("row", table.ATTEMPTS, ids=lambda row: row.name)
@pytest.mark.parametrize("identity", table.IDENTITIES)
@pytest.mark.parametrize("profile", table.PROFILES)
def test_attempt(runs, profile, identity, row):
    """It is stopped, or SECURITY.md says that it is not."""
    judge(runs, row, profile, identity)


@pytest.mark.parametrize("row", table.ATTEMPTS, ids=lambda row: row.name)
@pytest.mark.parametrize("identity", table.IDENTITIES)
def test_stopped_by(runs, identity, row):
    """The attack works where nothing stops it, so it is not blind; and what stops it in a box is what the table says."""
    layers = layers_of(runs, row, identity)
    if layers != {"absent"} and ("default", identity) not in row.but:
        assert layers and layers <= set(getattr(row, identity)), layers


@pytest.mark.parametrize("identity", table.IDENTITIES)
@pytest.mark.parametrize("profile", [*table.PROFILES, *CONTROLS])
def test_seen_from_outside(runs, profile, identity):
    """All was tried; the host is as before, and nobody of another session or of the host felt anything."""
    run = runs(profile, identity)
    assert run.ended and set(run.said) == {row.name for row in table.ATTEMPTS}, run.text
    assert run.changes == []
    if profile == "host":
        assert run.victims["host"] != (0, 0)  # who looks is not blind
    elif profile == "shared":
        assert run.victims["host"] == (0, 0) and run.victims["other"] != (0, 0)
    else:
        assert run.victims == {"host": (0, 0), "other": (0, 0)}


def test_every_line_is_there():
    """Each line of ATTACKS.md has a row."""
    assert {row.line for row in (*table.ATTEMPTS, *table.ELSEWHERE)} == set(table.LINES)


def test_the_others_exist():
    """What the table says is tried elsewhere is a test that pytest collects."""
    top = pathlib.Path(os.environ["NSBOX_SOURCE"], "tests")
    wanted = {node for row in table.ELSEWHERE for node in row.tests}
    files = sorted({node.split("::")[0] for node in wanted})
    every_test = {name: value for name, value in os.environ.items() if name != "NSBOX_SAMPLE"}
    result = host.run("python3", "-m", "pytest", "--collect-only", "-q", *files, cwd=top, timeout=100, env=every_test)
    found = {line.split("[")[0].removeprefix("tests/") for line in result.out.splitlines() if "::" in line}
    assert found, result
    assert sorted(wanted - found) == []


def test_table(runs, pytestconfig):
    """Prints the table at the end of the run."""
    lines = []
    for row in sorted(table.ATTEMPTS, key=lambda row: int(row.line)):
        for identity in table.IDENTITIES:
            said = {}
            for profile in table.PROFILES:
                try:
                    word = judge(runs, row, profile, identity)
                except AssertionError as error:
                    word = f"FAILED: {str(error).splitlines()[0][:100]}"
                said.setdefault(word, []).append(profile)
            lines += [f"{row.line:>3} {row.name:22} {identity:4} "
                      f"{'all' if len(who) == len(table.PROFILES) else ' '.join(who)}: {word}" for word, who in said.items()]
    lines += [f"{row.line:>3} {row.name}: {' '.join(row.tests)}" for row in table.ELSEWHERE]
    pytestconfig.nsbox_summary = ["attack, who, profiles: stopped by what, or documented as not preventable", *lines]
