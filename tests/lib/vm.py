# SPDX-License-Identifier: BSD-3-Clause
"""A Debian 12 with systemd in an emulated machine, inside the throw-away host (tests/host --vm; built by
hostlib/vm-image). Whatever it does to its disk is gone with it.

By hand: sudo tests/vm/by-hand"""
import itertools
import os
import pathlib
import socket
import subprocess
import sys
import time

from pexpect import fdpexpect

from . import host
from .sshd import Client, free_port

IMAGE = pathlib.Path("/vm")
SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
BOOT_TIMEOUT = 300  # 20 s on an idle machine
MODULE = "pam_nsbox.so"

_numbers = itertools.count()


class Vm(Client):
    """A running machine. ssh(), popen(), session(), scp() ... are those of the stock sshd in it, with its PAM stack;
    everybody's key is ours. run() goes by another door, which needs neither PAM nor logind.

    memory  in MB
    append  more words for the kernel
    disks   files that are its second, third ... disk: /dev/nvme1n1, ...; they are not written to
    """

    def __init__(self, memory=1024, disks=(), append=""):
        if not IMAGE.is_dir():
            raise AssertionError("no /vm: a file of tests that boots needs the line `# host: --vm`")
        self.directory = pathlib.Path(f"/run/test-vm-{os.getpid()}-{next(_numbers)}")
        self.directory.mkdir(mode=0o700)
        self.port, self.side_port = free_port(), free_port()
        self._write_client_files()
        self._master = None
        self.process = subprocess.Popen(self._command(memory, disks, append), stdin=subprocess.DEVNULL,
                                        stdout=open(self.directory / "qemu.log", "w"), stderr=subprocess.STDOUT,
                                        env={**os.environ, "TMPDIR": "/var/tmp"}, start_new_session=True)
        try:
            self._wait_for_boot()
        except BaseException:
            print(self.console_tail(), file=sys.stderr)
            self.stop()
            raise

    # -- the machine --

    def _command(self, memory, disks, append):
        command = [
            "qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,-la57,-svm", "-smp", "2",
            "-m", str(memory), "-nodefaults", "-nographic", "-no-reboot",
            "-kernel", f"{IMAGE}/vmlinuz", "-append", f"root=/dev/nvme0n1 rw console=ttyS0 net.ifnames=0 panic=-1 {append}",
            "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22,"
                       f"hostfwd=tcp:127.0.0.1:{self.side_port}-:2222",
            "-device", "virtio-net-pci,netdev=net",
            "-chardev", f"socket,id=console,path={self.directory}/console,server=on,wait=off,"
                        f"logfile={self.directory}/console.log",
            "-serial", "chardev:console",
        ]
        for number, disk in enumerate([IMAGE / "disk.img", *disks]):
            command += ["-drive", f"file={disk},format=raw,if=none,id=disk{number},snapshot=on,cache=unsafe",
                        "-device", f"nvme,drive=disk{number},serial=disk{number}"]
        return command

    def _wait_for_boot(self):
        end = time.monotonic() + BOOT_TIMEOUT
        while not self._open_side_door():
            self._assert_time(end)
        # "degraded" is for the caller to judge
        while self.run("systemctl is-system-running", timeout=60).out.strip() in ("initializing", "starting"):
            self._assert_time(end)
            time.sleep(0.3)

    def _assert_time(self, end):
        if self.process.poll() is not None:
            raise AssertionError(f"qemu ended: {(self.directory / 'qemu.log').read_text()}")
        if time.monotonic() > end:
            raise AssertionError(f"not up within {BOOT_TIMEOUT} s")

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        """Pulls the plug."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self._master:
            self._master.kill()
            self._master.wait()

    def power_off(self, timeout=120):
        """Shuts down in order."""
        self.run("systemctl --no-block poweroff")
        self.process.wait(timeout)
        self.stop()

    def console_tail(self, lines=60):
        text = host.read(self.directory / "console.log", "")
        return "\n".join(["--- console:", *text.splitlines()[-lines:], "---"])

    def console(self, timeout=60):
        """Its serial terminal, where a getty waits: a pexpect object. The caller closes it."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"{self.directory}/console")
        return fdpexpect.fdspawn(connection.detach(), timeout=timeout, encoding="utf-8", codec_errors="replace")

    # -- ways in --

    def _write_client_files(self):
        identity = self.directory / "identity"
        identity.write_bytes((IMAGE / "identity").read_bytes())
        identity.chmod(0o600)
        self.askpass = self.directory / "askpass"
        self.askpass.write_text("#!/bin/sh\necho \"$PASSWORD\"\n")
        self.askpass.chmod(0o700)
        self.write_client_config(self.directory, identity, box=self.port, side=self.side_port)

    def _side(self, *words):
        return ["ssh", "-F", self.client_config, "-S", f"{self.directory}/side", *words, "root@side"]

    def _open_side_door(self):
        """One connection for all of run(): a new one costs two seconds. Says whether it is there."""
        if self._master is None or self._master.poll() is not None:
            self._master = subprocess.Popen(self._side("-M", "-N", "-o", "ConnectTimeout=10"), stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(0.3)
        return os.path.exists(f"{self.directory}/side") and host.run(*self._side("-O", "check")).rc == 0

    def run(self, command, user=None, timeout=60, check=False, **options):
        """Runs a line of shell: Result(rc, out, err). As root it is no session, but of side-door.service; as `user` it is a
        login through the stock sshd."""
        line = self._side() + [command] if user is None else self.command(user, command)
        return host.run(*line, timeout=timeout, check=check, **options)

    def password_ssh(self, user, *words, password=None, opts=(), **options):
        """ssh() with the password instead of the key."""
        environment = {"SSH_ASKPASS": str(self.askpass), "SSH_ASKPASS_REQUIRE": "force",
                       "PASSWORD": f"{user}pw" if password is None else password}
        opts = ("-o", "BatchMode=no", "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1", *opts)
        return self.ssh(user, *words, opts=opts, env=environment, **options)

    # -- files --

    def read(self, path):
        return self.run(f"cat '{path}'", check=True).out

    def write(self, path, text, mode="644"):
        """A file of root's; directories are made."""
        self.run(f"mkdir -p \"$(dirname '{path}')\" && cat >'{path}.new' && chmod {mode} '{path}.new' && mv '{path}.new' '{path}'",
                 input=text, check=True)

    def copy_in(self, source, target="/", timeout=300):
        """The content of the directory `source` into `target`, with owners and modes. Links to directories on the way stay.
        Not by tar alone: while it works directories that are there already are closed to everybody but root."""
        pack = subprocess.Popen(["tar", "-C", source, "-cf", "-", "."], stdout=subprocess.PIPE)
        host.run(*self._side(), f"stage=$(mktemp -d /root/stage.XXXXXX) && tar -C $stage -xpf - && mkdir -p '{target}' && "
                 f"rsync -aK $stage/ '{target}/' && rm -r $stage", stdin=pack.stdout, timeout=timeout, check=True)
        pack.stdout.close()
        assert pack.wait() == 0

    def copy_out(self, path, target, timeout=300):
        """The file or tree `path` into the directory `target`."""
        pack = host.run(*self._side(), f"tar -C / -cf - '{path.lstrip('/')}'", timeout=timeout, text=False, check=True)
        host.run("tar", "-C", target, "-xpf", "-", input=pack.out, text=False, check=True)

    # -- the product --

    def install(self, build="/cache/build-gcc"):
        """`make install` of a build directory, by way of DESTDIR."""
        staged = self.directory / "product"
        host.run("flock", build, "make", "-C", build, "install", f"DESTDIR={staged}", timeout=120, check=True)
        self.copy_in(staged)

    def shipped_stacks(self):
        """/etc/pam.d gets the files of conf/pam.d."""
        for path in (SOURCE / "conf/pam.d").iterdir():
            if path.name in ("cron", "login", "sshd", "su", "sudo"):
                self.write(f"/etc/pam.d/{path.name}", path.read_text())

    def journal(self, *words):
        """The lines of the journal that this selects."""
        return self.run(" ".join(["journalctl --no-pager -o short-precise", *words]), check=True).out


def main():
    """A machine by hand: [BUILD]. Boots, prints how to get in, gives a shell of root's; ends with it."""
    machine = Vm()
    try:
        if len(sys.argv) > 1:
            machine.install(f"/cache/{sys.argv[1]}")
            machine.shipped_stacks()
        print(f"Up. In the throw-away host: ssh -F {machine.client_config} alice@box (stock sshd), root@side (no PAM);\n"
              f"console: {machine.directory}/console.log. This is root@side; the machine ends with it.")
        subprocess.call(["ssh", "-t", "-F", machine.client_config, "root@side"])
    finally:
        machine.stop()


if __name__ == "__main__":
    main()
