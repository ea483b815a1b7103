# SPDX-License-Identifier: BSD-3-Clause
# timeout: 3600
"""seccomp = strict: the applications work as they do without a filter. The application itself is filtered from the join on, so
its own tests are run once more under that profile: shell, command, sftp, scp, forwarding, X11, su, sudo, login, cron."""
import os

import pytest

from lib import host, syslog

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

TESTS = f"{os.environ['NSBOX_SOURCE']}/tests"


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["ssh", "ssh_forwarding", "su", "sudo", "login", "cron", "who"])
def test_application(name):
    """The file's tests with `seccomp = strict` in every configuration that says nothing about it. At the end of each session
    the application finds its way back, which the user would not notice."""
    start = syslog.mark()
    result = host.run("python3", "-m", "pytest", "-q", f"system/test_{name}.py", cwd=TESTS, timeout=1100,
                      env={**os.environ, "NSBOX_SECCOMP": "strict"})
    assert result.rc == 0 and " passed" in result.out, result.out[-6000:]
    assert not syslog.matching("cannot return to the host", start)


def test_it_is_strict(conf):
    """The variable does what it is for."""
    os.environ["NSBOX_SECCOMP"] = "strict"
    try:
        conf.pam("su")
        conf.nsbox("[profile all]\nusers = *\n")
        result = host.run("su", "alice", "-c", "dmesg; grep ^Seccomp: /proc/self/status")
        assert "not permitted" in result.err and "Seccomp:\t2" in result.out
    finally:
        del os.environ["NSBOX_SECCOMP"]
