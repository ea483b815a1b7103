# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
# run: vm-2
"""Attacks that need a machine of their own: on its memory and its terminals (ATTACKS 20, 24), and on all that Debian's kernel has in
/proc (15)."""
import contextlib
import pathlib
import shlex

import pytest

import attacks
from attacks import limits
from lib import host, nsboxvm
from lib.nsboxvm import GROUPS, boxes, seconds


@pytest.fixture
def conf(vm):
    vm.run(f"mkdir -p {attacks.PLACE}", check=True)
    for name in ("hog", "exhaust", "flood"):
        vm.copy_in(pathlib.Path(attacks.tool(name)).parent, attacks.PLACE)
    yield from nsboxvm.configuration(vm)


WRITABLE = """
import os, stat
found, looked = [], 0
for top, directories, files in os.walk("/proc"):
    directories[:] = [name for name in directories if top != "/proc" or not (name.isdigit() or name in ("self", "thread-self", "sys"))]
    for path in (os.path.join(top, name) for name in files):
        try:
            mode = os.stat(path, follow_symlinks=False).st_mode
            if not stat.S_ISREG(mode) or not mode & 0o222:
                continue  # what is masked is a device
            looked += 1
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            found.append(path)
        except OSError:
            pass
print(os.path.exists("/run/host/container-manager"), looked > 3, sorted(set(found) - {"/proc/mounts"}))
"""


def test_files_of_proc_that_root_writes(vm, conf):
    """Root in a box opens no file of /proc for writing that is the machine's; /proc/pressure takes what watches, not what sets."""
    program = f"python3 -c {shlex.quote(WRITABLE)}"
    conf(users="root")
    result = vm.run(program, user="root", timeout=60)
    words = result.out.replace("'/proc/pressure/cpu'", "").replace("'/proc/pressure/io'", "").replace("'/proc/pressure/memory'", "")
    assert words.replace(",", "").replace(" ", "") == "TrueTrue[]\n", result
    unboxed = vm.run(program, timeout=60)
    assert "/proc/sysrq-trigger" in unboxed.out and unboxed.out.startswith("False True"), unboxed


def test_memory(vm, conf):
    """Every way to take memory ends at the limit; another user logs in meanwhile."""
    conf("memory_max = 64M", "swap_max = 0", "nested_namespaces = yes", users="mallory bob")
    since = seconds(vm)
    ways = limits.HOGS if host.full() else limits.HOGS[:1]
    outcome = limits.memory_hog(lambda command: vm.run(command, user="mallory", timeout=180),
                                lambda command: vm.run(command, user="bob", timeout=120), 64, ways=ways)
    print("\n".join(f"{way}: {said}, slowest login elsewhere {slowest:.1f} s" for way, (said, slowest) in outcome.items()))
    assert "memory limit 64M reached" in vm.journal(f"--since @{since} -t nsbox-helper")
    # whom the kernel killed was mallory's, each time
    killed = [line for line in vm.journal(f"--since @{since} -k").splitlines() if "oom-kill:" in line]
    assert killed and all("task_memcg=/user.slice/user-2004.slice/" in line for line in killed), killed


def test_user_memory(vm, conf):
    """The limit of all boxes of a user holds two of them together."""
    conf("user_memory_max = 80M", "swap_max = 0", users="mallory")
    hog = f"su mallory -c '{attacks.PLACE}/hog {limits.HOGS[0]} 60'"
    since = seconds(vm)
    # each holds what it has until its input ends
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            process = stack.enter_context(vm.popen("root", hog))
            stack.callback(process.stdin.close)
        host.wait_until(lambda: "oom-kill:" in vm.journal(f"--since @{since} -k"), timeout=60, interval=0.5)
    said = vm.journal(f"--since @{since} -t nsbox-helper")
    assert "memory limit 80M of all your sessions reached, a process was killed" in said, said
    host.wait_until(lambda: not boxes(vm), timeout=30, interval=0.5)
    assert vm.run(f"ls -d {GROUPS}/user-* 2>/dev/null").out == ""


def test_terminals(vm, conf):
    """One user takes all terminals of the machine: others' logins without a terminal go on."""
    conf("pids_max = 100", users="mallory bob")
    program = f"{attacks.PLACE}/exhaust"
    assert vm.run(f"test -x {program}").rc == 0

    @contextlib.contextmanager
    def hold(command):
        process = vm.popen("mallory", command)
        try:
            yield process.stdout.readline().decode()
        finally:
            process.stdin.close()
            process.terminate()
            process.wait(30)

    def elsewhere(command):
        assert "PTY allocation request failed" in vm.ssh("bob", "true", tty=True, timeout=120).err
        return vm.run(command, user="bob", timeout=120)

    limits.all_terminals(hold, elsewhere, boxes=4)
    host.wait_until(lambda: not boxes(vm), timeout=60, interval=0.5)
    assert vm.ssh("bob", "tty", tty=True, timeout=60).out.startswith("/dev/pts/")


def test_fork_bomb_of_sessions(vm, conf):
    """Processes that each begin a session share what is the box's: another user's login stays usable."""
    conf("pids_max = 300", users="mallory bob")
    def login():
        return nsboxvm.timed(lambda: vm.run("echo in", user="bob", timeout=120))
    idle = login()
    attack = vm.popen("mallory", f"{attacks.PLACE}/flood sessions 300 </dev/null")
    try:
        host.wait_until(lambda: any(int(vm.run(f"cat {box['cgroup']}/pids.current").out or 0) > 250 for box in boxes(vm)),
                        timeout=90, interval=1)
        busy = login()
    finally:
        attack.terminate()
        attack.wait(60)
    print(f"login of another user: {idle:.1f} s idle, {busy:.1f} s under attack, ratio {busy / idle:.1f}")
    assert busy / idle < 12
