# SPDX-License-Identifier: BSD-3-Clause
"""A tree of root's that is enough for a box: empty directories, and the host's programs by bind_ro = /usr /etc."""
import os
import shutil

from . import host

LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}


def enough_of_a_tree(top):
    """Makes the tree; the shell is looked for before anything is mounted, so there is one in it."""
    for name in ("dev", "etc", "home", "proc", "run", "sys", "tmp", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "var/tmp"):
        os.makedirs(f"{top}/{name}", mode=0o755, exist_ok=True)
    for name, target in LINKS.items():
        if not os.path.lexists(f"{top}/{name}"):
            os.symlink(target, f"{top}/{name}")
    for name in ("bash", "sh"):
        host.run("cp", "/bin/bash", f"{top}/usr/bin/{name}", check=True)


def remove_tree(top):
    shutil.rmtree(top)
