# SPDX-License-Identifier: BSD-3-Clause
"""What the attack tests share: compiled tools, a small root file system, programs run as a hostile caller."""
import os
import pathlib
import shutil
import stat
import subprocess

from lib import host

PLACE = "/opt/attacks"  # /tmp is a private one in a box
HELPER = "/usr/libexec/nsbox/nsbox-helper"
STOP_TIMEOUT = 2  # seconds: the default of stop_timeout
DEADLINE = 10  # seconds: NSB_MODULE_DEADLINE
OPEN_TO_ALL = ["auth sufficient pam_permit.so", "account sufficient pam_permit.so"]  # su without passwords

_applets = ("sh", "ls", "id", "cat", "stat", "readlink", "pwd", "ps", "mount", "hostname", "sleep", "test", "touch",
            "find", "grep", "echo", "true")


def tool(name, *sources):
    """Compiles NAME.c, statically: it runs in any root. Returns the program's path."""
    tree = os.environ["NSBOX_SOURCE"]
    program = f"{PLACE}/{name}"
    if not os.path.exists(program):
        os.makedirs(PLACE, exist_ok=True)
        host.run("gcc", "-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE", f"-I{tree}", "-static", "-o", program,
                 f"{tree}/tests/attacks/{name}.c", *[f"{tree}/{source}" for source in sources], check=True)
    return program


def shared_tool(name):
    """The same as a library for LD_PRELOAD."""
    program = f"{PLACE}/{name}.so"
    os.makedirs(PLACE, exist_ok=True)
    host.run("gcc", "-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", program,
             f"{os.environ['NSBOX_SOURCE']}/tests/attacks/{name}.c", check=True)
    return program


def make_root(path, tools=()):
    """A root directory with busybox and these tools."""
    for name in ("bin", "etc", "proc", "sys", "dev", "run", "tmp", "var/tmp", "var/log", "home", "root", "mnt", "usr/lib"):
        os.makedirs(f"{path}/{name}", 0o755)
    shutil.copy("/bin/busybox", f"{path}/bin/busybox")
    for name in _applets:
        os.symlink("busybox", f"{path}/bin/{name}")
    # an applet by that name there is not
    pathlib.Path(path, "bin/bash").write_text('#!/bin/sh\nexec /bin/sh "$@"\n')
    os.chmod(f"{path}/bin/bash", 0o755)
    for program in tools:
        shutil.copy(program, f"{path}/bin/")
    pathlib.Path(path, "etc/passwd").write_text("root:x:0:0::/:/bin/bash\nalice:x:2001:2001::/home/alice:/bin/bash\n")
    pathlib.Path(path, "etc/inside").write_text("")
    return path


def picture(*tops):
    """{path: what it is} of everything below: for "nothing was changed"."""
    found = {}
    for top in tops:
        for directory, names, files in os.walk(top):
            for path in [directory] + [f"{directory}/{name}" for name in names + files]:
                info = os.lstat(path)
                content = os.readlink(path) if stat.S_ISLNK(info.st_mode) else ""
                if stat.S_ISREG(info.st_mode) and info.st_size < 65536:
                    content = pathlib.Path(path).read_bytes()
                found[path] = (info.st_ino, info.st_mode, info.st_uid, info.st_gid, info.st_rdev, info.st_mtime_ns,
                               content)
    return found


def su(user, script, timeout=30, **options):
    """`su USER -c SCRIPT`, by root unless `user=` says otherwise."""
    return host.run("su", user, "-c", script, timeout=timeout, **options)


def mount_namespace():
    return f"mnt:[{host.namespaces()['mnt']}]"


def as_user(name):
    """Options that make host.run() or Popen() run as this user, as an unboxed login of his would."""
    import pwd
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": os.getgrouplist(name, entry.pw_gid)}


def boxes():
    """{id: state file as a dict} of the registry."""
    found = {}
    for entry in pathlib.Path("/run/nsbox/boxes").glob("[a-z0-9]*"):
        text = host.read(entry / "state", "")
        found[entry.name] = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    return found


def start(*command, ready=b"ready", **options):
    """A program that says `ready` in a line before it goes on. The caller ends it, at the latest its test."""
    process = host.end_with_test(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options))
    line = process.stdout.readline()
    if line.strip() != ready:
        process.kill()
        raise AssertionError(f"{command}: {line!r}")
    return process


def stop(process):
    process.kill()
    process.wait(10 * host.PATIENCE)
    for stream in (process.stdin, process.stdout):
        stream.close()
