# SPDX-License-Identifier: BSD-3-Clause
"""A fixture that gives each test a copy of this host with a stack of its own, and tests that use it.

As root; needs pytest and pamtester (Debian: python3-pytest pamtester):

    python3 -m pytest test_service.py
"""
import subprocess

import pytest


@pytest.fixture
def copy(tmp_path):
    """copy(script, users=["NAME:PASSWORD:GROUP"], service="the lines of its stack", ...): what the script, run by sh as root in a
    copy, came to: returncode, stdout, stderr. `copy.log` is what was written to syslog meanwhile."""
    def run(script, users=(), files=(), **stacks):
        directory = tmp_path / "pam.d"
        directory.mkdir(exist_ok=True)
        for service, lines in stacks.items():
            (directory / service).write_text(lines)
        command = ["nsboxctl", "pamtest", "--log", str(tmp_path / "log")]
        command += ["--pam-dir", str(directory)] if stacks else []
        command += [word for user in users for word in ("--user", user)]
        command += [word for file in files for word in ("--file", file)]
        done = subprocess.run([*command, "--", "sh", "-c", script], capture_output=True, text=True, check=False)
        run.log = (tmp_path / "log").read_text() if (tmp_path / "log").exists() else ""
        return done
    return run


def test_password(copy):
    """The right password opens, a wrong one does not, and the log says so."""
    stack = "auth required pam_unix.so\n"
    assert copy("echo secret | pamtester door test authenticate", ["test:secret"], door=stack).returncode == 0
    assert copy("echo wrong | pamtester door test authenticate", ["test:secret"], door=stack).returncode != 0
    assert "authentication failure" in copy.log


@pytest.mark.parametrize("user, status", [("ann:x:staff", 0), ("ben:x", 1)])
def test_group(copy, user, status):
    """Members of a group get in, others do not."""
    stack = "account required pam_succeed_if.so user ingroup staff\n"
    name = user.split(":")[0]
    assert copy(f"pamtester door {name} acct_mgmt", [user], door=stack).returncode == status


def test_nothing_stays(copy):
    """What a test breaks is whole again for the next one."""
    assert copy("rm -r /etc/pam.d /etc/passwd; ! id test", ["test:secret"]).returncode == 0
    assert copy("id test && test -e /etc/pam.d/other", ["test:secret"]).returncode == 0
