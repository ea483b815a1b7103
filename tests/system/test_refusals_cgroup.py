# SPDX-License-Identifier: BSD-3-Clause
# host: --cgroup=none
"""A host without any cgroup tree: no box without a limit."""
import pytest

from lib import host, pamapp, syslog
from lib.refusal import BOXED, SUDOERS, refused, refused_by_sudo, su, sudo, unboxed


@pytest.fixture(autouse=True)
def _stacks(conf):
    conf.pam_all()
    conf.pam("probe", text="account required pam_nsbox.so\nsession required pam_nsbox.so\n"
                           "session required pam_permit.so\n")
    conf.sudoers(SUDOERS)
    conf.nsbox(BOXED)


def test_there_is_none():
    assert not [line for line in host.read("/proc/self/mountinfo").splitlines() if " - cgroup" in line]


@pytest.mark.parametrize("limit", ["", "pids_max = infinity\n"])
def test_refused(limit, conf, baseline):
    """With a limit and without: the group is also how the box's processes are told from others."""
    conf.nsbox(BOXED + limit)
    since = syslog.mark()
    line = refused(su(), since, "no cgroup tree is mounted: mount cgroup2 on /sys/fs/cgroup")
    assert "(stage check, ENOENT)" in line
    since = syslog.mark()
    refused_by_sudo(sudo(), since, "no cgroup tree")


def test_application_is_unchanged(baseline):
    """Both hooks refuse, and the application is as before."""
    with pamapp.App() as app:
        assert app.do("account", "probe", "alice")["code"] == pamapp.PAM_PERM_DENIED
        answer = app.do("open", "probe", "alice")
        assert answer["code"] == pamapp.PAM_SYSTEM_ERR and answer["changed"] == {}


def test_tree_that_appears_is_found(baseline):
    """The administrator mounts one, as the line says: the next login works."""
    since = syslog.mark()
    refused(su(), since, "no cgroup tree")
    host.run("mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup", check=True)
    try:
        controllers = host.read("/sys/fs/cgroup/cgroup.controllers").split()
        since, result = syslog.mark(), su()
        if "pids" in controllers:
            assert result.rc == 0, result
        else:
            refused(result, since, "the pids controller is missing in /sys/fs/cgroup")
    finally:
        # the cleaner of a box is in there until it is done
        host.wait_until(lambda: host.run("umount", "/sys/fs/cgroup").rc == 0, timeout=10, what="the tree is unmounted")


def test_on_error_allow(conf, baseline):
    """Lets in with LOG_ALERT."""
    conf.nsbox(BOXED + "on_error = allow\n")
    since = syslog.mark()
    unboxed(su())
    syslog.wait_for(r"^authpriv.alert .*alice is let in WITHOUT a box \(profile all, on_error=allow\): no cgroup", since)
