# SPDX-License-Identifier: BSD-3-Clause
"""Small roots for boxes: directories and images of them."""
import os
import pathlib
import shutil

from . import host

APPLETS = ("sh", "ls", "cat", "id", "mount", "touch", "rm", "mkdir", "dd", "find", "sleep", "mknod", "stat", "df", "true",
           "readlink", "grep", "mv", "ln", "chmod", "chown", "sort")


class Trees:
    """make("name", file="text"), below the directory `top`: a root that is nothing but busybox, a few files and these."""

    def __init__(self, top):
        self._top = top

    def make(self, name, bare=False, top=None, **files):
        path = (top or self._top) / name
        path.mkdir(mode=0o755)
        if not bare:
            for directory in ("bin", "proc", "sys", "dev", "run", "home", "root", "etc", "var", "var/log"):
                (path / directory).mkdir(mode=0o755)
            for directory in ("tmp", "var/tmp"):
                (path / directory).mkdir()
                (path / directory).chmod(0o1777)
            shutil.copy("/bin/busybox", path / "bin/busybox")
            for applet in APPLETS:
                os.symlink("busybox", path / "bin" / applet)
            (path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nalice:x:2001:2001::/home/alice:/bin/sh\n"
                                             "bob:x:2002:2002::/home/bob:/bin/sh\n")
            (path / "etc/group").write_text("root:x:0:\nalice:x:2001:\nbob:x:2002:\n")
        for file, text in files.items():
            (path / file.replace("__", "/")).write_text(text)
        return path

    def squashfs(self, tree):
        image = f"{tree}.squashfs"
        host.run("mksquashfs", str(tree), image, "-quiet", "-no-progress", check=True)
        return pathlib.Path(image)

    def erofs(self, tree):
        image = f"{tree}.erofs"
        host.run("mkfs.erofs", "--quiet", image, str(tree), check=True)
        return pathlib.Path(image)
