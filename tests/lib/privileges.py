# SPDX-License-Identifier: BSD-3-Clause
"""What a process may do, and every way to a shell."""
import os
import pathlib
import re
import subprocess

from . import ctl as boxes
from . import host

NUMBERS = {"chown": 0, "dac_override": 1, "dac_read_search": 2, "fowner": 3, "fsetid": 4, "kill": 5, "setgid": 6, "setuid": 7,
           "setpcap": 8, "net_bind_service": 10, "net_admin": 12, "net_raw": 13, "sys_module": 16, "sys_rawio": 17,
           "sys_chroot": 18, "sys_ptrace": 19, "sys_admin": 21, "sys_resource": 24, "mknod": 27, "audit_write": 29, "setfcap": 31}
KEPT = ("chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "net_bind_service", "net_raw",
        "sys_chroot", "audit_write", "setfcap")
SUDOERS = "alice ALL=(ALL) NOPASSWD: ALL\nDefaults !lecture\n"
BY_ALICE = ("setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "env", "HOME=/home/alice", "USER=alice", "TERM=dumb")

SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def open_ways(conf):
    """The stacks and rights that WAYS need, for everybody who comes by them."""
    conf.pam_all()
    conf.pam("sudo-i")
    conf.remove("/root/.bashrc")
    conf.sudoers(SUDOERS)


def mask(*names):
    return sum(1 << NUMBERS[name] for name in names)


def machine():
    """What root has here: no box has more."""
    return int(host.status("self")["CapBnd"], 16)


def sets_in(text):
    """{"CapBnd": number, ..., "NoNewPrivs": number} from what a shell has printed of a /proc/PID/status."""
    found = {name: int(value, 16) for name, value in re.findall(r"^(Cap\w+):\s+([0-9a-f]+)\s*$", text, re.M)}
    assert set(found) == set(SETS), text
    found["NoNewPrivs"] = int(re.search(r"^NoNewPrivs:\s+(\d)", text, re.M)[1])
    return found


def sets_of(pid):
    return sets_in(host.read(f"/proc/{pid}/status", ""))


# -- the ways: a command of plain words, whatever it prints --


def by_ssh(sshd, conf, user, command):
    return sshd.ssh(user, command).out


def by_su(sshd, conf, user, command):
    return host.run("su", user, "-c", command).out


def by_su_login(sshd, conf, user, command):
    return host.run("su", "-", user, "-c", command).out


def by_sudo(sshd, conf, user, command):
    return host.run(*BY_ALICE, "sudo", "-n", "-u", user, *command.split()).out


def by_sudo_login(sshd, conf, user, command):
    return host.run(*BY_ALICE, "sudo", "-n", "-i", "-u", user, *command.split()).out


def by_login(sshd, conf, user, command):
    child = host.spawn("login", "-f", user, env={**os.environ, "TERM": "dumb"})
    child.expect(r"[$#] $")
    child.sendline(f"{command}; echo end'-'of")
    child.expect("end-of\r\n")
    text = child.before.replace("\r", "")
    child.sendline("exit")
    child.wait()
    child.close(force=True)
    return text


def by_cron(sshd, conf, user, command):
    """As a @reboot job of a cron that starts now; its output is mailed."""
    pathlib.Path("/run/crond.reboot").unlink(missing_ok=True)
    mail = pathlib.Path("/var/mail/captured")
    before = mail.stat().st_size
    conf.file("/etc/cron.d/nsbox-test", f"@reboot {user} {command}; echo end-of\n")
    cron = subprocess.Popen(["cron", "-f"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def letter():
            with open(mail, "rb") as file:
                file.seek(before)
                text = file.read().decode()
            return text if "end-of\n" in text and not host.children(cron.pid) else None
        return host.wait_until(letter, timeout=10, what="a letter of the job")
    finally:
        cron.terminate()
        cron.wait(10 * host.PATIENCE)


def by_run(sshd, conf, user, command):
    return boxes.ctl("run", "--user", user, "--", *command.split()).out


def by_enter(sshd, conf, user, command):
    with boxes.running(user="alice"):
        # one that has just ended may still be listed
        (box,) = host.wait_until(lambda: [one for one in [boxes.boxes()] if len(one) == 1], what="one box")[0]
        identifier = box["id"]
        root = ["--root"] if user == "root" else []
        return boxes.ctl("enter", *root, identifier, "--", *command.split()).out


WAYS = {"ssh": by_ssh, "su": by_su, "su -": by_su_login, "sudo": by_sudo, "sudo -i": by_sudo_login, "login": by_login,
        "cron": by_cron, "run": by_run, "enter": by_enter}
