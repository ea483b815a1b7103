# SPDX-License-Identifier: BSD-3-Clause
"""Others that make something like a box, beside a default one: on the same root, with namespaces of the same kinds where they can."""
import json
import os
import pathlib
import re
import shutil

import boxes
import turns
from lib import host

KINDS = ("mnt", "net")
SERVICE = "bench-peer-"
MOUNTS = (
    ("proc", "proc", "/proc", ()),
    ("tmpfs", "tmpfs", "/dev", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("devpts", "devpts", "/dev/pts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    ("tmpfs", "shm", "/dev/shm", ("nosuid", "nodev", "mode=1777")),
    ("mqueue", "mqueue", "/dev/mqueue", ("nosuid", "noexec", "nodev")),
    ("sysfs", "sysfs", "/sys", ("nosuid", "noexec", "nodev", "ro")),
    *(("tmpfs", "tmpfs", place, ("nosuid", "nodev", "mode=1777")) for place in ("/tmp", "/var/tmp")),
    ("tmpfs", "tmpfs", "/run", ("nosuid", "nodev", "mode=755")),
)


def _bundle(places, words):
    """A directory with the config.json of the OCI runtimes, for a box like ours."""
    root = places["slash"]
    path = boxes.Places.TOP / f"bundle-{words[0]}"
    path.mkdir(exist_ok=True)
    config = {
        "ociVersion": "1.0.2", "hostname": "bench",
        "root": {"path": str(root)},
        "process": {"args": list(words), "cwd": "/", "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "user": {"uid": 0, "gid": 0},
                    "noNewPrivileges": False},
        "mounts": [{"type": kind, "source": source, "destination": place, "options": list(options)} for kind, source, place, options in MOUNTS],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network", "cgroup")],
                  "resources": {"pids": {"limit": 2048}}, "cgroupsPath": "/nsbox-bench",
                  "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
                  "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"]},
    }
    (path / "config.json").write_text(json.dumps(config), encoding="ascii")
    return str(path)


def _oci(runtime):
    return lambda places, words: (runtime, "run", "--bundle", _bundle(places, words), "bench")


# name: (program, the command that runs `words`)
COMMANDS = {
    "unshare(1)": ("unshare", lambda places, words: ("unshare", "--uts", "--ipc", "--mount", "--pid", "--net", "--cgroup", "--fork",
                                                     "--mount-proc", *words)),
    "bwrap --unshare-all": ("bwrap", lambda places, words: ("bwrap", "--unshare-all", "--dev-bind", "/", "/", "--proc", "/proc", "--dev", "/dev",
                                                            "--tmpfs", "/tmp", *words)),
    "firejail": ("firejail", lambda places, words: ("firejail", "--quiet", "--noprofile", "--net=none", "--ipc-namespace", "--private-dev",
                                                    "--private-tmp", "--", *words)),
    "crun": ("crun", _oci("crun")),
    "runc": ("runc", _oci("runc")),
}


def _polyinstantiate(arena):
    """A /tmp of the user's own, as the examples of namespace.conf(5)."""
    places = arena.places
    instances = places["top"].make("instances", bare=True)
    instances.chmod(0)
    arena.conf.file("/etc/security/namespace.conf", f"/tmp {instances}/ user root\n")


def _into_group(arena):
    """Whom pam_newnet gives a network namespace."""
    text = pathlib.Path("/etc/group").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("newnet:")]
    arena.conf.file("/etc/group", "".join(f"{line}\n" for line in (*lines, f"newnet:x:3999:{boxes.USER}")))


def _pretend_kernel(arena):
    """firejail does nothing where it sees no thread of the kernel among the first processes, as in every PID namespace."""
    program = arena.places["top"].make("kernel", bare=True) / "kthreadd"
    program.symlink_to(shutil.which("sleep"))
    with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as last:
        last.write(str(next(pid for pid in range(2, 10) if not os.path.exists(f"/proc/{pid}")) - 1))
    arena.child(str(program), "infinity")


# name: what it needs; beside each is a module that says yes where it has nothing to say
MODULES = {"pam_namespace": _polyinstantiate, "pam_newnet": _into_group}


def _module(name):
    """Whether Linux-PAM has it, wherever this distribution keeps its modules."""
    return any(path for where in ("lib/security", "lib64/security", "lib/*/security") for path in pathlib.Path("/").glob(f"{where}/{name}.so"))


def isolates(name, command):
    """What it runs is in namespaces of its own: what refuses, or runs the program outside, would be the fastest."""
    result = host.run(*command)
    own = [f"{kind}:[{host.namespaces()[kind]}]" for kind in KINDS]
    if result.rc == 0 and len(result.out.split()) == len(KINDS) and not set(result.out.split()) & set(own):
        return None
    return f"{name}: does not work here: {(result.err or result.out).strip()[-200:] or result.rc}"


def _find(arena, only):
    """({name: arguments of a contestant}, [why one is not there])"""
    found, missing = {}, []
    links = tuple(f"/proc/self/ns/{kind}" for kind in KINDS)
    for name, (program, command) in COMMANDS.items():
        if not re.search(only, name):
            continue
        if program == "firejail":
            _pretend_kernel(arena)
        why = f"{name}: not installed" if shutil.which(program) is None else isolates(name, command(arena.places, ("readlink", *links)))
        if why:
            missing.append(why)
        else:
            found[name] = ("command", *command(arena.places, ("true",)))
    for name, prepare in MODULES.items():
        if not re.search(only, name):
            continue
        if not _module(name):
            missing.append(f"{name}: not installed")
            continue
        prepare(arena)
        arena.pam(f"{SERVICE}{name}", f"session required {name}.so", "session optional pam_permit.so")
        try:
            with turns.Contestant("session", f"{SERVICE}{name}", boxes.USER) as contestant:
                contestant.round()  # which ends the contestant where the session is in no namespace of its own
            found[name] = ("session", f"{SERVICE}{name}", boxes.USER)
        except SystemExit:
            missing.append(f"{name}: does not work here")
    return found, missing


def run(arguments):
    found = {}
    with boxes.Arena([boxes.DEFAULT]) as arena:
        others, found["missing"] = _find(arena, arguments.only)
        print("\npeers" + "".join(f"\n  {why}" for why in found["missing"]))
        wanted = {turns.FLOOR: turns.floor(), boxes.DEFAULT.name: arena.arguments(boxes.DEFAULT), "no box: true(1)": ("command", "true"), **others}
        for way, pause in turns.WAYS.items():
            found[way] = turns.measure(f"peers, {way}", wanted, arguments.rounds, pause)
    return found
