# SPDX-License-Identifier: BSD-3-Clause
"""Run as root: tries what a helper of a login has no business to do, and prints {name: "" or the name of the error}. It
changes nothing that matters where it succeeds."""
import errno
import os


def _syscalls():
    import ctypes

    libc = ctypes.CDLL("libc.so.6", use_errno=True)

    def call(name, *arguments):
        ctypes.set_errno(0)
        if getattr(libc, name)(*arguments) < 0:
            raise OSError(ctypes.get_errno(), name)
    return call


CALL = _syscalls()
INIT_MODULE, PTRACE_SEIZE = 175, 0x4206


def opens(path, flags):
    return lambda: os.close(os.open(path, flags, 0o600))


def trace():
    """Of another profile: PID 1 of the machine. It goes on when this process ends."""
    CALL("ptrace", PTRACE_SEIZE, 1, 0, 0)


def module():
    try:
        CALL("syscall", INIT_MODULE, b"", 0, b"")
    except OSError as error:
        if error.errno != errno.ENOEXEC:  # it was looked at: there is nothing in it
            raise


def mount():
    CALL("mount", b"tmpfs", b"/mnt", b"tmpfs", 0, None)
    CALL("umount2", b"/mnt", 0)


def run(path):
    def call():
        os.posix_spawn(path, [path, "-c", "exit 0"], {})
        os.wait()
    return call


def clock():
    import time
    time.clock_settime(time.CLOCK_REALTIME, time.time())


def socket_of(family, kind, protocol=0):
    def call():
        import _socket
        _socket.socket(family, kind, protocol).close()
    return call


WRITE, READ = os.O_WRONLY | os.O_APPEND, os.O_RDONLY
ACTIONS = {
    "write /etc/shadow": opens("/etc/shadow", WRITE),
    "write authorized_keys": opens("/root/.ssh/authorized_keys", WRITE | os.O_CREAT),
    "write a job of cron": opens("/etc/cron.d/probe", WRITE | os.O_CREAT),
    "write to /boot": opens("/boot/probe", WRITE | os.O_CREAT),
    "write nsboxctl": opens("/usr/sbin/nsboxctl", WRITE),
    "write core_pattern": opens("/proc/sys/kernel/core_pattern", WRITE),
    "write sysrq-trigger": opens("/proc/sysrq-trigger", WRITE),
    "read a host key": opens("/etc/ssh/ssh_host_ed25519_key", READ),
    "read a key of root": opens("/root/.ssh/id_probe", READ),
    "read the disk": opens("/dev/nvme0n1", READ),
    "load a module": module,
    "trace PID 1": trace,
    "open a raw socket": socket_of(2, 3, 1),
    "open a packet socket": socket_of(17, 3),
    "start a shell": run("/bin/sh"),
    "mount": mount,
    "set the clock": clock,
}


def main():
    found = {}
    for name, action in ACTIONS.items():
        try:
            action()
            found[name] = ""
        except OSError as error:
            found[name] = errno.errorcode[error.errno]
    print("{" + ", ".join(f'"{name}": "{word}"' for name, word in found.items()) + "}")


main()
