# SPDX-License-Identifier: BSD-3-Clause
"""Lines 19 and 22: programs outside that do what a user in a box tells them, and what a box gives to somebody outside."""
import os
import pathlib
import shutil
import socket
import subprocess

import pytest

from attacks import PLACE, STOP_TIMEOUT, as_user, boxes, mount_namespace, roots, su, table
from lib import host

HOME = pathlib.Path("/home/alice")
JOB = HOME / "job"
COMMAND = "readlink /proc/self/ns/mnt >job.new; mv job.new job"
WITH_PROGRAMS = tuple(name for name in table.PROFILES if name != "keep-id")  # whose root has crontab, at and tmux
# Where set-user-ID and set-group-ID programs work, by which crontab and at reach their queues.
PRIVILEGED = ("default", "shared")


@pytest.fixture
def use(conf):
    """use(PROFILE): everybody is boxed so."""
    conf.pam_all()
    conf.pam("atd")
    os.makedirs(PLACE, exist_ok=True)  # what the profile curated binds
    yield lambda profile: conf.nsbox(f"[profile all]\nusers = *\nnetwork = loopback\n{table.PROFILES[profile]}\n")
    for name in ("job", "job.new", "tmux-socket", "accomplice"):
        (HOME / name).unlink(missing_ok=True)


def documented(sentence):
    text = pathlib.Path(os.environ["NSBOX_SOURCE"], "SECURITY.md").read_text()
    return sentence in " ".join(text.split())


def namespace_of_job():
    """The mount namespace that the job ran in, when it has."""
    host.wait_until(JOB.exists, timeout=10, what="the job has run")
    return JOB.read_text().strip()


# -- line 19 --


@pytest.mark.parametrize("profile", WITH_PROGRAMS)
def test_crontab(use, baseline, profile):
    """The job runs in a box, by cron's own PAM stack; where set-group-ID programs have no effect there is none."""
    use(profile)
    spool = pathlib.Path("/var/spool/cron/crontabs/alice")
    result = su("alice", f"readlink /proc/self/ns/mnt; echo '@reboot {COMMAND}' | crontab -", cwd="/")
    assert (result.rc == 0) == spool.exists() == (profile in PRIVILEGED), result
    if not spool.exists():
        return
    pathlib.Path("/run/crond.reboot").unlink(missing_ok=True)
    cron = subprocess.Popen(["cron", "-f"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert namespace_of_job() not in (mount_namespace(), "")
    finally:
        cron.terminate()
        cron.wait(10 * host.PATIENCE)
        spool.unlink()


@pytest.mark.parametrize("profile", WITH_PROGRAMS)
def test_at(use, baseline, profile):
    """As with cron: what is queued runs in a box, by atd's PAM stack."""
    use(profile)
    daemon = subprocess.Popen(["atd", "-f"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        host.wait_until(lambda: host.read("/run/atd.pid"), what="atd runs")
        result = su("alice", f"cd; echo '{COMMAND}' | at now", cwd="/")
        queued = host.run("atq", check=True).out.splitlines()
        assert len(queued) == (profile in PRIVILEGED), result
        if queued:
            os.kill(daemon.pid, 1)
            assert namespace_of_job() not in (mount_namespace(), "")
            host.wait_until(lambda: not host.run("atq").out, what="the queue is empty")
    finally:
        daemon.terminate()
        daemon.wait(10 * host.PATIENCE)
        for job in host.run("atq").out.splitlines():
            host.run("atrm", job.split()[0])
        pathlib.Path("/run/atd.pid").unlink(missing_ok=True)


@pytest.mark.parametrize("profile", WITH_PROGRAMS)
def test_tmux_server(use, baseline, profile):
    """A tmux server that runs outside: at its usual place nobody finds it; at a socket in the home it does what it is
    told, outside, as SECURITY.md says."""
    use(profile)
    outside = {**as_user("alice"), "cwd": HOME, "env": {**os.environ, "HOME": str(HOME)}}
    places = {"usual": [], "home": ["-S", f"{HOME}/tmux-socket"]}
    for words in places.values():
        host.run("tmux", "-f", "/dev/null", *words, "new-session", "-d", "sleep 1000", check=True, **outside)
    try:
        assert host.run("tmux", "ls", **outside).rc == 0
        result = su("alice", "tmux ls", cwd="/")
        assert result.rc != 0 and ("no server running" in result.err or "error connecting" in result.err), result
        result = su("alice", f"tmux -S {HOME}/tmux-socket new-window 'cd; {COMMAND}'", cwd="/")
        assert result.rc == 0 and namespace_of_job() == mount_namespace(), result
        assert documented("sockets in the home behind which one of his programs runs outside")
    finally:
        for words in places.values():
            host.run("tmux", *words, "kill-server", **outside)
        shutil.rmtree("/tmp/tmux-2001", ignore_errors=True)


@pytest.mark.parametrize("profile", WITH_PROGRAMS)
def test_ssh_rc(use, sshd, baseline, profile):
    """sshd runs ~/.ssh/rc of the next login: in the box of that login."""
    use(profile)
    try:
        result = su("alice", f"mkdir -p {HOME}/.ssh && echo 'cd; {COMMAND}' >{HOME}/.ssh/rc", cwd="/")
        assert result.rc == 0, result
        login = sshd.ssh("alice", "readlink /proc/self/ns/mnt").out.strip()
        assert namespace_of_job() == login != mount_namespace()
    finally:
        shutil.rmtree(HOME / ".ssh", ignore_errors=True)


FILES = {
    ".forward": "~/.forward",
    ".config/systemd/user/x.service": "~/.config/systemd/user",
    ".ssh/authorized_keys": "~/.ssh/authorized_keys",
    ".ssh/rc": "~/.ssh/rc",
}


@pytest.mark.parametrize("profile", table.PROFILES)
@pytest.mark.parametrize("name", FILES)
def test_files_of_deputies(use, baseline, profile, name):
    """What tells mail servers, systemd's user manager and sshd what to do: with the host's home it is written from inside,
    and SECURITY.md names it; with a home of its own nothing arrives."""
    with table.tree_of_keep_id():
        use(profile)
        path = HOME / name
        top = HOME / name.split("/", maxsplit=1)[0]
        assert not top.exists()
        try:
            result = su("alice", f"mkdir -p {path.parent} && echo word-of-the-box >{path} && cat {path}", cwd="/")
            assert result.out == "word-of-the-box\n", result
            assert path.exists() == (profile != "keep-id")
            if path.exists():
                assert path.read_text() == "word-of-the-box\n" and path.stat().st_uid == 2001
                assert documented(f"`{FILES[name]}")
            host.wait_until(lambda: not boxes(), what="the box has ended")
        finally:
            shutil.rmtree(top, ignore_errors=True)
            top.unlink(missing_ok=True)


# -- line 22 --

PASS_OUT = """
import os, socket, sys
kinds = ("net", "mnt", "ipc", "uts", "pid", "cgroup")
with socket.socket(socket.AF_UNIX) as there:
    there.connect(sys.argv[1])
    fds = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in kinds]
    fds += [os.open(path, os.O_PATH) for path in ("/", "/tmp")]
    socket.send_fds(there, [b"x"], fds)
"""


@pytest.mark.parametrize("profile", ["default", "curated", "strict", "shared"])
def test_namespace_passed_out(use, baseline, profile):
    """Somebody outside holds the namespaces and directories of a box that ends: its processes, control group, record and
    entry go all the same, and the host has nothing of its mounts and links."""
    use(profile)
    mounts, links = roots.mounts_of_host(), host.run("ip", "-o", "link", check=True).out
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{HOME}/accomplice")
        os.chmod(f"{HOME}/accomplice", 0o666)
        server.listen()
        server.settimeout(10 * host.PATIENCE)
        session = subprocess.Popen(["su", "alice", "-c", f'python3 -c "$0" {HOME}/accomplice; cat', PASS_OUT], cwd="/",
                                   stdin=subprocess.PIPE)
        host.end_with_test(session)
        with server.accept()[0] as there:
            _, held, _, _ = socket.recv_fds(there, 1, 16)
    try:
        assert len(held) == 8
        [box] = boxes().values()
        assert os.stat(f"/proc/self/fd/{held[0]}").st_ino != host.namespaces()["net"]
        session.stdin.close()
        session.wait(10 * host.PATIENCE)
        host.wait_until(lambda: not boxes(), timeout=STOP_TIMEOUT + 1, what="the registry is empty")
        assert not host.alive(int(box["init"].split()[0]))
        inside = os.fstat(held[4]).st_ino
        assert not [pid for pid in host.pids() if host.namespaces(pid).get("pid") == inside and host.alive(pid)]
        assert roots.mounts_of_host() == mounts and host.run("ip", "-o", "link", check=True).out == links
        groups = [path.name for path in pathlib.Path("/sys/fs/cgroup").glob("**/nsbox/*") if path.is_dir()]
        assert set(groups) <= {"monitors"}
    finally:
        for fd in held:
            os.close(fd)
