# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
# run: vm-1
"""The virtual machine is what the other tests take it for; and one login there is boxed."""
from lib import host

BOXED = "[profile students]\nusers = @students\nnetwork = host\n"


def test_system_runs(bare_vm):
    """Every unit that Debian starts has started."""
    state = bare_vm.run("systemctl is-system-running").out.strip()
    assert state == "running", bare_vm.run("systemctl --failed --no-legend").out
    assert bare_vm.run("cat /proc/1/comm").out == "systemd\n"
    assert bare_vm.run("uname -r").out.startswith("6.1.")


def test_cgroup_v2(bare_vm):
    assert bare_vm.run("stat -fc %T /sys/fs/cgroup").out == "cgroup2fs\n"
    controllers = bare_vm.run("cat /sys/fs/cgroup/cgroup.controllers").out.split()
    assert {"pids", "memory", "cpu", "io", "cpuset"} <= set(controllers)


def test_side_door_is_no_session(bare_vm):
    assert bare_vm.run("cat /proc/self/cgroup").out == "0::/system.slice/side-door.service\n"
    assert bare_vm.run("loginctl --no-legend list-sessions").out == ""


def test_login_by_key(bare_vm):
    with bare_vm.session("alice"):
        (line,) = bare_vm.run("loginctl --no-legend list-sessions").out.splitlines()
        number, uid, user = line.split()[:3]
        assert (uid, user) == ("2001", "alice")
        scope = bare_vm.run(f"loginctl show-session -P Scope {number}").out.strip()
        assert scope == f"session-{number}.scope"
        assert bare_vm.run(f"cat /sys/fs/cgroup/user.slice/user-2001.slice/{scope}/cgroup.procs").out
    assert bare_vm.run("true", user="bob").rc == 0


def test_login_by_password(bare_vm):
    assert bare_vm.password_ssh("alice", "id -un", timeout=60).out == "alice\n"
    assert bare_vm.password_ssh("alice", "id -un", password="wrong", timeout=60).rc == 255


def test_login_on_the_console(bare_vm):
    console = bare_vm.console()
    console.send("\r")
    console.expect("vm login: ")
    console.send("carol\r")
    console.expect("Password: ")
    console.send("carolpw\r")
    console.expect(r"carol@vm:~\$ ")
    console.send("tty; exit\r")
    console.expect("/dev/ttyS0")
    console.expect("vm login: ")
    console.close()


def test_network_is_ours_alone(bare_vm):
    """No route to anywhere but the throw-away host, which listens to nothing."""
    assert bare_vm.run("ip -4 route").out.split("\n")[0].startswith("10.0.2.0/24 dev eth0")
    assert "default" not in bare_vm.run("ip route").out


def test_files_in_and_out(bare_vm, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("words\n")
    (source / "file").chmod(0o4711)
    bare_vm.copy_in(source, "/root/copied")
    assert bare_vm.run("stat -c %a /root/copied/file").out == "4711\n"
    bare_vm.copy_out("/root/copied", tmp_path)
    assert (tmp_path / "root/copied/file").read_text() == "words\n"


def test_unboxed_logins_with_the_shipped_stacks(vm):
    """The configuration that is installed boxes nobody."""
    assert vm.run("echo in $NSBOX_ID", user="alice").out.strip() == "in"


def test_boxed_login(vm):
    vm.write("/etc/security/nsbox.conf", BOXED)
    try:
        result = vm.run("echo in $NSBOX_ID; cat /proc/1/comm; ls /proc | grep -c ^[0-9]", user="alice")
        assert result.rc == 0, result
        words, comm, processes = result.out.splitlines()
        assert len(words) > len("in "), result
        assert comm == "nsbox-init" and int(processes) < 10
        assert vm.run("echo in $NSBOX_ID", user="bob").out.strip() == "in"
        host.wait_until(lambda: vm.run("nsboxctl list | grep -c alice").out == "0\n", timeout=20, what="no box left")
    finally:
        vm.run("rm /etc/security/nsbox.conf")
    assert vm.run("systemctl is-system-running").out == "running\n"
