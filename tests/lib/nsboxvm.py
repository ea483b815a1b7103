# SPDX-License-Identifier: BSD-3-Clause
"""The product in the virtual machine (lib/vm.py): configuration, boxes, sessions."""
import json
import time

from . import host

GROUPS = "/sys/fs/cgroup/nsbox.slice/nsbox.service"


def configuration(vm):
    """For a fixture: yields conf("KEY = VALUE", ..., users="alice"). Afterwards nobody is boxed and nothing is left."""
    def write(*lines_, users="alice", network="host", stop="1s"):
        vm.write("/etc/security/nsbox.conf",
                 "\n".join(["[profile all]", f"users = {users}", f"network = {network}", f"stop_timeout = {stop}", *lines_, ""]))
    yield write
    vm.write("/etc/security/nsbox.conf", "")
    host.wait_until(lambda: not boxes(vm), timeout=30, interval=0.3, what="no box left")
    assert vm.run(f"find {GROUPS} -mindepth 1 -type d -printf '%P\\n'").out.split() == ["monitors"]
    assert vm.run("systemctl is-system-running").out == "running\n", vm.run("systemctl --failed --no-legend").out


def boxes(vm):
    return json.loads(vm.run("nsboxctl list --json", check=True).out)


def started(vm, user, script):
    """A session that runs a script, then waits until its input ends (a context manager). lines() reads what it prints."""
    vm.write("/home/alice/script", script + "\ncat\n")
    return vm.session(user, "sh /home/alice/script")


def lines(session, number):
    return [session.stdout.readline().decode().strip() for _ in range(number)]


def seconds(vm):
    return vm.run("date +%s").out.strip()


def ending(vm, since):
    """What nsbox-helper said until the box ended."""
    return host.wait_until(lambda: (text := vm.journal(f"--since @{since} -t nsbox-helper")) and "ended after" in text and text,
                           timeout=30, interval=0.5)


def scope_of(vm, user="alice"):
    """The scope of the user's one session."""
    (line,) = [line for line in vm.run("loginctl --no-legend list-sessions").out.splitlines() if f" {user} " in line]
    return vm.run(f"loginctl show-session -P Scope {line.split()[0]}").out.strip()


def properties(vm, unit, *names):
    text = vm.run(f"systemctl show {unit} " + " ".join(f"-p {name}" for name in names)).out
    return dict(line.split("=", 1) for line in text.splitlines())


def timed(call):
    """Seconds that it took. It must succeed."""
    begin = time.monotonic()
    result = call()
    assert result.rc == 0, result
    return time.monotonic() - begin
