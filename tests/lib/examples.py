# SPDX-License-Identifier: BSD-3-Clause
"""conf/examples, as files: the blocks of commands in their heads, their settings."""
import os
import pathlib
import re

SOURCE = pathlib.Path(os.environ["NSBOX_SOURCE"], "conf/examples")
NAMES = ["bastion", "teaching-lab", "hpc-login", "sftp-only", "ci-shell", "busybox"]
# who logs in
USERS = {"bastion": "alice", "teaching-lab": "alice", "hpc-login": "alice", "sftp-only": "partner", "ci-shell": "runner",
         "busybox": "guest"}


def conf(name):
    return (SOURCE / name / "nsbox.conf").read_text()


def head(name):
    return conf(name).split("\n\n", 1)[0]


def block(name, heading):
    """The indented lines that follow the sentence with this beginning, as a script; "" if there are none."""
    found = re.search(rf"^# {re.escape(heading)}\b[^\n]*\n(?:# ?\S[^\n]*\n)*#\n((?:#     [^\n]*\n)+)", head(name) + "\n", re.M)
    return re.sub(r"(?m)^#     ", "", found[1]) if found else ""


def settings(name):
    """{key: value} of its one profile; lines of a list that is given several times are joined."""
    found = {}
    for key, value in re.findall(r"^(\w+) += (.*)$", conf(name), re.M):
        found[key] = f"{found[key]} {value}" if key in found else value
    return found


def services(name):
    """What it has PAM files for."""
    return sorted(set(os.listdir(SOURCE / name)) - {"nsbox.conf"})
