# SPDX-License-Identifier: BSD-3-Clause
"""A throw-away sshd on 127.0.0.1, and clients for it."""
import contextlib
import fcntl
import itertools
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

from . import host

PROGRAM = "/usr/sbin/sshd"
KEYS = "/cache/keys"
EXTERNAL_SFTP = "/usr/lib/openssh/sftp-server"

_numbers = itertools.count()


def _key(name):
    """A key made once for all runs; two hosts may want it at the same time."""
    os.makedirs(KEYS, exist_ok=True)
    path = f"{KEYS}/{name}"
    with open(f"{KEYS}/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(f"{path}.pub"):
            host.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path, check=True)
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def x_server(number=7):
    """An X server without a screen to look at, for `env={"DISPLAY": ...}, opts=("-Y",)`: yields ":7"."""
    path = f"/tmp/.X11-unix/X{number}"
    server = subprocess.Popen(["Xvfb", f":{number}", "-screen", "0", "640x480x8", "-nolisten", "tcp", "-ac"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        host.wait_until(lambda: os.path.exists(path), timeout=20, what="Xvfb listens")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10 * host.PATIENCE)


@contextlib.contextmanager
def agent(identity):
    """An ssh-agent that holds this key: yields the environment for ssh(opts=("-A",), env=...)."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/agent"
        process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            host.wait_until(lambda: os.path.exists(path), what="the agent listens")
            host.run("ssh-add", "-q", identity, env={**os.environ, "SSH_AUTH_SOCK": path}, check=True)
            yield {"SSH_AUTH_SOCK": path}
        finally:
            process.terminate()
            process.wait(10 * host.PATIENCE)


class Client:
    """What logs in with a client configuration, written by write_client_config()."""

    client_config = None

    def write_client_config(self, directory, identity, **ports):
        """`ports`: name of a server -> its port; logins go to "box"."""
        self.client_config = f"{directory}/client_config"
        hosts = "".join(f"Host {name}\n    Port {port}\n" for name, port in ports.items())
        pathlib.Path(self.client_config).write_text(f"""\
{hosts}
Host *
    HostName 127.0.0.1
    IdentityFile {identity}
    IdentitiesOnly yes
    BatchMode yes
    StrictHostKeyChecking no
    UserKnownHostsFile /dev/null
    GlobalKnownHostsFile /dev/null
    KexAlgorithms curve25519-sha256
    LogLevel ERROR
""")

    def command(self, user, *words, opts=(), tty=False):
        return ["ssh", "-F", self.client_config, *(["-tt"] if tty else []), *opts, f"{user}@box", *words]

    def ssh(self, user, *words, opts=(), input=None, tty=False, timeout=30, text=True, env=None):
        """Runs a command over ssh: Result(rc, out, err)."""
        options = {"input": input} if input is not None else {}
        return host.run(*self.command(user, *words, opts=opts, tty=tty), timeout=timeout, text=text,
                        env={**os.environ, **(env or {})}, **options)

    def popen(self, user, *words, opts=(), tty=False, **options):
        """A session that goes on: the caller ends and waits for it."""
        options.setdefault("stdin", subprocess.PIPE)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(self.command(user, *words, opts=opts, tty=tty), **options)

    @contextlib.contextmanager
    def session(self, user, *words, **options):
        """popen() that has printed one line ("ready") when the block begins, and is ended after it."""
        script = " ".join(words) or "cat"
        process = self.popen(user, f"echo ready; exec {script}", **options)
        try:
            line = process.stdout.readline()
            if line.strip() != b"ready":
                raise AssertionError(f"no session: {line!r} {process.stderr.read()!r}")
            yield process
        finally:
            process.stdin.close()
            process.terminate()
            process.wait(10 * host.PATIENCE)
            process.stdout.close()
            process.stderr.close()

    def spawn(self, user, *words, opts=(), timeout=20, tty=True, dimensions=(24, 160)):
        """A session on a terminal, as pexpect.spawn."""
        command = self.command(user, *words, opts=opts, tty=tty)
        return host.spawn(*command, timeout=timeout, dimensions=dimensions)

    @contextlib.contextmanager
    def master(self, user, opts=()):
        """A ControlMaster: yields the options that make ssh() use its connection."""
        path = f"{self.directory}/control-{next(_numbers)}"
        host.run("ssh", "-F", self.client_config, "-M", "-S", path, "-f", "-N", *opts, f"{user}@box", check=True,
                 # ssh -f keeps our pipes open in the background
                 preexec_fn=lambda: [os.dup2(os.open(os.devnull, os.O_WRONLY), fd) for fd in (1, 2)])
        try:
            yield ("-S", path)
        finally:
            host.run("ssh", "-F", self.client_config, "-S", path, "-O", "exit", f"{user}@box")
            host.wait_until(lambda: not os.path.exists(path), what="the master has ended")

    def sftp(self, user, batch, opts=(), timeout=30):
        """Runs sftp commands; the first that fails ends it."""
        return host.run("sftp", "-F", self.client_config, *opts, "-b", "-", f"{user}@box", input=batch,
                        timeout=timeout)

    def scp(self, source, target, opts=(), timeout=60):
        """Names on the other side are "alice@box:/path"."""
        return host.run("scp", "-F", self.client_config, *opts, source, target, timeout=timeout)


class Sshd(Client):
    """A running sshd.

    name    the PAM service, which is what sshd is called
    pam     False: `UsePAM no`
    config  lines of sshd_config, before the others: the first value wins (`Match` blocks: see `match`)
    match   lines for the end
    sftp    "internal" or "external"
    """

    def __init__(self, name="sshd", pam=True, config="", match="", sftp="internal"):
        self.directory = f"/run/test-sshd-{os.getpid()}-{next(_numbers)}"
        self.port = free_port()
        self.name = name
        os.makedirs(self.directory, 0o755)
        self._write_keys()
        self._write_server_config(pam, config, match, sftp)
        self.write_client_config(self.directory, self.identity, box=self.port)
        self.process = None
        self.start()

    def _write_keys(self):
        self.identity = f"{self.directory}/identity"
        shutil.copyfile(_key("user"), self.identity)
        os.chmod(self.identity, 0o600)
        # Whoever has the key may be anybody: sshd allows one file of root's for all users.
        shutil.copyfile(f"{_key('user')}.pub", f"{self.directory}/authorized_keys")
        shutil.copyfile(_key("hostkey"), f"{self.directory}/hostkey")
        os.chmod(f"{self.directory}/hostkey", 0o600)

    def _write_server_config(self, pam, config, match, sftp):
        subsystem = "internal-sftp" if sftp == "internal" else EXTERNAL_SFTP
        pathlib.Path(self.directory, "sshd_config").write_text(f"""\
{config}
Port {self.port}
ListenAddress 127.0.0.1
HostKey {self.directory}/hostkey
AuthorizedKeysFile {self.directory}/authorized_keys
PidFile none
UsePAM {"yes" if pam else "no"}
PermitRootLogin yes
LogLevel VERBOSE
MaxStartups 100:30:200
UseDNS no
PrintMotd no
X11Forwarding yes
PermitTunnel no
Subsystem sftp {subsystem}
# Debian's default exchange costs half of each login.
KexAlgorithms curve25519-sha256
{match}
""")

    # -- the server --

    def start(self):
        program = PROGRAM
        if self.name != "sshd":
            program = f"{self.directory}/{self.name}"
            if not os.path.lexists(program):
                os.symlink(PROGRAM, program)
        os.makedirs("/run/sshd", 0o755, exist_ok=True)
        self.process = subprocess.Popen([program, "-D", "-f", f"{self.directory}/sshd_config"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, start_new_session=True)
        host.wait_until(self._listens, timeout=10, what="sshd listens")

    def _listens(self):
        if self.process.poll() is not None:
            raise AssertionError(f"sshd ended: {self.process.stderr.read().decode()}")
        # Asked of the kernel: a connection would be a login attempt in the log.
        wanted = f"0100007F:{self.port:04X} 00000000:0000 0A"
        return wanted in pathlib.Path("/proc/net/tcp").read_text()

    def stop(self):
        """Ends the listener. Sessions live on, as they do with the real one."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10 * host.PATIENCE)
        if self.process:
            self.process.stderr.close()
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    def monitors(self, user=None):
        """Pids of the root processes of the sessions: "sshd: alice [priv]"."""
        found = []
        for child in host.children(self.process.pid):
            title = host.cmdline(child)
            if title.endswith("[priv]") and (user is None or title == f"sshd: {user} [priv]"):
                found.append(child)
        return found
