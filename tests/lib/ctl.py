# SPDX-License-Identifier: BSD-3-Clause
"""nsboxctl, and boxes made by it."""
import contextlib
import fcntl
import json
import pathlib
import re
import shutil
import subprocess

from . import host

PROFILE = "[profile all]\nusers = *\nnetwork = loopback\n"
BOXES = "/run/nsbox/boxes"


def ctl(*words, **options):
    """Result of nsboxctl."""
    return host.run("nsboxctl", *words, **options)


def boxes():
    """What `list --json` says."""
    result = ctl("list", "--json")
    assert (result.rc, result.err) == (0, ""), result
    return json.loads(result.out)


def box(**wanted):
    """The one box with these values."""
    (found,) = [one for one in boxes() if wanted.items() <= one.items()]
    return found


@contextlib.contextmanager
def running(*words, script="echo ready; exec cat", user="alice"):
    """A box made by nsboxctl run that waits: yields the process. Ended by the end of its input."""
    command = ["nsboxctl", "run", "--user", user, *words, "--", "sh", "-c", script]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        line = process.stdout.readline()
        assert line == b"ready\n", (line, process.stderr.read())
        yield process
    finally:
        process.stdin.close()
        try:
            process.wait(10 * host.PATIENCE)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()


@contextlib.contextmanager
def invented(group, *limits):
    """An entry `aaaaaaaaaa` like that of a box of alice's that has ended, held by this process, whose group is this directory:
    what memory looks like is told by no tree of the tests' host."""
    with running():
        text = pathlib.Path(BOXES, box(user="alice")["id"], "state").read_text()
    text = re.sub(r"^(cgroups|limits) .*\n", "", text, flags=re.M)
    text = re.sub(r"^id .*", "id aaaaaaaaaa", text, flags=re.M)
    text = text.replace("\nscope ", f"\ncgroups {group}\nscope ")
    text = text.replace("\ncapabilities ", "".join(f"\nlimits {limit}" for limit in limits) + "\ncapabilities ")
    directory = pathlib.Path(BOXES, "aaaaaaaaaa")
    directory.mkdir(0o700)
    try:
        (directory / "state").write_text(text)
        with open(directory / "lock", "w", encoding="ascii") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            yield
    finally:
        shutil.rmtree(directory)
