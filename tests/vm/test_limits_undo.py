# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
# run: vm-2
# also: fault
"""On a host with systemd: a login that fails half-way takes nothing away from the user's other boxes."""
import pytest

from lib import host, nsboxvm
from lib.nsboxvm import lines, started

SLICE = "/sys/fs/cgroup/user.slice/user-2001.slice"


@pytest.fixture
def conf(vm):
    yield from nsboxvm.configuration(vm)


def test_limits_of_the_user_survive_a_failed_login(vm, conf):
    """The first login is held behind its limits until a second one is in, then fails: the second keeps the user's limit."""
    vm.install("/cache/build-fault")
    conf("user_pids_max = 60")
    vm.write("/run/nsbox-fault", "pause spawn\n")
    first = vm.popen("alice", "true")
    try:
        host.wait_until(lambda: vm.run("test -s /run/nsbox-fault.reached").rc == 0, timeout=60, what="it has set its limits")
        helper = vm.run("cut -d' ' -f2 /run/nsbox-fault.reached").out.strip()
        vm.run(f"kill -STOP {helper}; rm /run/nsbox-fault", check=True)
        with started(vm, "alice", "echo in") as session:
            assert lines(session, 1) == ["in"]
            vm.write("/run/nsbox-fault", "fail 5\n")  # spawn
            vm.run(f"kill -CONT {helper}", check=True)
            host.wait_until(lambda: vm.run(f"test -d /proc/{helper}").rc != 0, timeout=60, what="it has failed")
            assert vm.read(f"{SLICE}/pids.max") == "60\n"
    finally:
        vm.run("rm -f /run/nsbox-fault /run/nsbox-fault.reached")
        first.kill()
        first.communicate()
