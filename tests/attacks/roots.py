# SPDX-License-Identifier: BSD-3-Clause
"""Every kind of root, made of one tree that a test has filled with traps."""
import contextlib
import os
import pathlib
import re
import shutil
import time

from lib import host
from lib.baseline import loop_devices

from . import make_root, mount_namespace, picture, su

TOP = pathlib.Path("/srv/roots")
TREE = TOP / "tree"  # what a test fills: the directory, what an image is made of, or the uppermost layer
BASE = TOP / "base"  # below that in a stack
IMAGE = TOP / "image"
KEPT = pathlib.Path("/srv/kept")
TRAP = pathlib.Path("/srv/trap")  # where links lead: nothing may arrive here
SECRET = "/srv/host-only"  # on the host, and in no tree
REFUSED = "Login refused: your session could not be isolated"

_more_applets = ("mknod", "ln", "chmod", "mkdir", "rm", "mv", "dd", "umount", "sort")
_overlays = {"": "no", "memory": "ephemeral", "kept": f"{KEPT}/%u"}

ALL_TREE_KINDS = ("directory", "directory+memory", "directory+kept", "read-only", "squashfs", "squashfs+kept", "erofs", "erofs+memory",
                  "layers", "layers+memory", "layers+kept")
TREE_KINDS = ALL_TREE_KINDS
if not host.full():  # each part of each kind still is in one of them
    TREE_KINDS = ("directory", "directory+kept", "read-only", "squashfs", "erofs+memory", "layers+kept")
KINDS = ("host", "host+memory", "curated", *TREE_KINDS)
KEPT_KINDS = tuple(name for name in TREE_KINDS if name.endswith("kept"))
IMAGE_KINDS = tuple(name for name in TREE_KINDS if re.match("squashfs|erofs", name))
LIVE_KINDS = tuple(name for name in TREE_KINDS if name not in IMAGE_KINDS)  # the tree itself is seen, not a copy of it


class Kind:
    def __init__(self, name, conf):
        self.name, self._conf = name, conf
        self.source, _, self._overlay = name.partition("+")
        self.has_tree = name in ALL_TREE_KINDS
        self.image = self.source in ("squashfs", "erofs")

    def use(self, *lines):
        """The tree as it is now becomes the root; `lines` of nsbox.conf beside it."""
        if self.source == "squashfs":
            host.run("mksquashfs", str(TREE), f"{IMAGE}.new", "-quiet", "-no-progress", "-noI", "-noD", "-noF", "-noX", check=True)
        elif self.source == "erofs":
            host.run("mkfs.erofs", "--quiet", f"{IMAGE}.new", str(TREE), check=True)
        if self.image:
            os.rename(f"{IMAGE}.new", IMAGE)
        root = {"layers": f"layers = {TREE}:{BASE}", "directory": f"root = {TREE}",
                "read-only": f"root = {TREE}\nroot_readonly = yes"}.get(self.source,
                                                                       f"root = {IMAGE if self.image else self.source}")
        self._conf.nsbox("\n".join(["[profile all]", "users = *", "network = loopback", root,
                                    f"overlay = {_overlays[self._overlay]}", *lines]) + "\n")

    def make(self):
        TOP.mkdir(mode=0o755)
        if self.has_tree:
            for tree in (TREE, BASE):
                make_root(str(tree))
                for name in _more_applets:
                    os.symlink("busybox", tree / "bin" / name)
        KEPT.mkdir(mode=0o755)
        host.run("mount", "-t", "tmpfs", "-o", "size=16m,mode=0755", "kept", str(KEPT), check=True)
        (TRAP / "dir").mkdir(parents=True)
        (TRAP / "file").write_text("host's\n")
        pathlib.Path(SECRET).write_text("")

    def remove(self):
        # a box that ends keeps it busy for a moment
        host.wait_until(lambda: host.run("umount", str(KEPT)).rc == 0, what=f"{KEPT} is unmounted")
        KEPT.rmdir()
        for path in (TOP, TRAP, SECRET):
            host.run("rm", "-rf", str(path), check=True)


@contextlib.contextmanager
def every(name, conf):
    """The body of the fixture `kind`: everybody is boxed in this kind of root."""
    conf.pam_all()
    conf.remove("/root/.bashrc")
    kind = Kind(name, conf)
    kind.make()
    try:
        kind.use()
        yield kind
    finally:
        kind.remove()


def harmless(result):
    """Refused with the sentence, or boxed: True. Never unboxed."""
    assert mount_namespace() not in result.out, result
    if "mnt:[" in result.out:
        return True
    assert result.rc != 0 and REFUSED in result.err, result
    return False


def login(user="alice", script="true", **options):
    """su that begins with the mount namespace; ends within two seconds, or the test fails. (With a kept overlay it may wait for
    the box of the login before, as long as stop_timeout says and a second: then that is not counted.)"""
    began = time.monotonic()
    result = su(user, f"readlink /proc/self/ns/mnt; {script}", timeout=10, **options)
    waited = 3 if f"overlay = {KEPT}" in pathlib.Path("/etc/security/nsbox.conf").read_text() else 0
    assert time.monotonic() - began < (2 + waited) * host.PATIENCE, result
    return result


def mounts_of_host():
    return [line.split(" ", 2)[2] for line in host.read("/proc/1/mountinfo").splitlines()]


@contextlib.contextmanager
def untouched(*tops):
    """Nothing on the host is other than before: no mount, no file below the trap, the trees and these."""
    tops = [str(top) for top in (TRAP, TREE, BASE, *tops)]
    before, mounts = picture(*tops), mounts_of_host()
    yield
    assert mounts_of_host() == mounts
    after = picture(*tops)
    assert after == before, {path for path in {*before, *after} if before.get(path) != after.get(path)}


@contextlib.contextmanager
def in_place_of(path, make):
    """`make(path)` puts something where a file or directory of the tree is, which comes back afterwards."""
    path, aside = pathlib.Path(path), TOP / "aside"
    there = os.path.lexists(path)
    if there:
        os.rename(path, aside)
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    try:
        yield path
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif os.path.lexists(path):
            path.unlink()
        if there:
            os.rename(aside, path)


def give(path, user=2001):
    os.lchown(path, user, user)
    return path


def loops():
    """{device: backing file} of the loop devices that show IMAGE, deleted ones too."""
    return {name: file for name, file in loop_devices().items() if file.startswith(str(IMAGE))}
