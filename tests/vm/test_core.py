# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
# also: fault clang trap
# timeout: 10800
# alone: it takes both processors for minutes
# full: twenty minutes, of files that run in tests/system
"""The core suite once more, where it is to run: on Debian 12's own kernel (6.1), with one cgroup2 tree that has the pids
controller. tests/host runs in the virtual machine as it does here; nothing of systemd's is in it.

By default the files that are about the kernel and the applications, in a few minutes; with NSBOX_FULL=1 all of them. Not
here: test_build.py and test_docs.py, which ask the compiler and the manuals."""
import pathlib
import re
import shutil
import subprocess

import pytest

from lib import host
from lib.vm import SOURCE, Vm

PATIENCE = 4  # an emulated processor takes its time: see host.PATIENCE

# One row is one run: what stands in it wants the same build and the same host.
QUICK = [
    "system/test_cgroup_v2.py",
]
ALL = [
    *QUICK,
    "system/test_roots.py system/test_curated.py system/test_account_files.py",
    "system/test_refusals_cgroup.py",
    "system/test_monitor.py system/test_cron.py system/test_login.py",
    "system/test_host.py",
    "system/test_faults.py",
    "system/test_crash.py",
    "system/test_trap.py",
    "system/test_asan.py",
    "system/test_old_kernel.py system/test_su.py system/test_sudo.py system/test_users.py system/test_who.py",
    "system/test_attack_kernel.py system/test_attack_life.py",
    "system/test_attack_paths.py",
    "system/test_attack_roots.py system/test_attack_uppers.py",
    "system/test_attack_roots_faults.py",
    "system/test_attack_helper.py",
    "system/test_attack_table.py",
    "system/test_attack_deputies.py system/test_attack_terminals.py",
    "system/test_box_view.py",
    "system/test_home.py system/test_view_keys.py",
    "system/test_ctl.py",
    "system/test_refusals.py",
    "system/test_ssh.py system/test_ssh_forwarding.py",
    "system/test_load.py",
    "system/test_privileges.py system/test_no_new_privs.py system/test_keyrings.py system/test_confine_faults.py",
    "system/test_share.py system/test_share_life.py",
    "system/test_share_v2.py",
    "system/test_share_attacks.py system/test_long_lived.py system/test_upgrade.py system/test_from.py system/test_ctl_share.py",
    "system/test_share_faults.py system/test_crash_share.py system/test_attack_share.py",
    "system/test_attack_calls.py system/test_filter.py",
    "pam/test_pamtester.py pam/test_libpamtest.py",
]


def make_disk(directory):
    """The source tree as src, the cache as cache: an ext4 image that the machine mounts."""
    tree, image = directory / "tree", directory / "core.img"
    cache = tree / "cache" / "cache"
    cache.mkdir(parents=True)
    shutil.copytree(SOURCE, tree / "src", symlinks=True, ignore=shutil.ignore_patterns(".test-cache", ".git"))
    # With times and modes: nothing is to be made again.
    host.run("cp", "-a", *map(str, pathlib.Path("/cache").glob("build-*")), "/cache/src", str(cache), check=True)
    host.run("truncate", "-s", "6G", str(image), check=True)
    host.run("mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", str(tree), str(image), timeout=120, check=True)
    shutil.rmtree(tree)
    return image


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    """A machine in which tests/host has run once: its layer is there."""
    machine = Vm(memory=3072, disks=[make_disk(tmp_path_factory.mktemp("core"))])
    machine.run("mkdir /core && mount /dev/nvme1n1 /core", check=True)
    # As Delegate= of nsbox.service does: the tree gets the CPU controller, without which a fork bomb takes the machine.
    machine.run("systemctl set-property --runtime system.slice CPUWeight=100", check=True)
    inner(machine, "true", timeout=300, check=True)
    yield machine
    machine.stop()


def inner(machine, command, timeout, check=False):
    """Runs a command in the throw-away host in the machine; `command` may begin with options of tests/host."""
    return machine.run(f"NSBOX_TEST_CACHE=/core/cache NSBOX_PATIENCE={PATIENCE} timeout {timeout} /core/src/tests/host {command}",
                       timeout=timeout + 20, check=check)


def setting(path, key, default):
    """As tests/run reads the head of a file."""
    head = path.read_text().splitlines()[:12]
    found = [line.split(":", 1)[1].strip() for line in head if line.startswith(f"# {key}:")]
    return found[0] if found else default


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("files", ALL if host.full() else QUICK, ids=lambda files: pathlib.Path(files.split()[0]).stem)
def test_files(core, files):
    """They pass there, too. (The start of a run takes 10 s.)"""
    paths = [pathlib.Path("tests", name) for name in files.split()]
    build = setting(SOURCE / paths[0], "build", "gcc")
    options = [setting(SOURCE / paths[0], "host", ""), "" if build == "none" else f"--install build-{build}"]
    result = inner(core, " ".join([*options, "python3 -m pytest -q --timeout=300", *(f"/core/src/{path}" for path in paths)]),
                   timeout=3400)
    print(result.out[-20000:], result.err[-2000:])
    assert result.rc == 0
    assert re.search(r"\d+ passed", result.out)
