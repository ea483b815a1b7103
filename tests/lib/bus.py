# SPDX-License-Identifier: BSD-3-Clause
"""The system bus and systemd of a throw-away host that was started with --systemd."""
import contextlib
import os
import signal
import socket
import subprocess
import threading
import time

from . import host

SOCKET = "/run/dbus/system_bus_socket"


def show(unit, *properties):
    """{property: what `systemctl show` says}"""
    out = host.run("systemctl", "show", "-p", ",".join(properties), unit, check=True).out
    return dict(line.split("=", 1) for line in out.splitlines())


def main_pid(service):
    return int(show(service, "MainPID")["MainPID"])


@contextlib.contextmanager
def scope(name, *command):
    """A command (default: one that waits) in a scope of this name: yields its process."""
    process = subprocess.Popen(["systemd-run", "--scope", "--quiet", "--collect", f"--unit={name}",
                                *(command or ("sleep", "1000"))], stdin=subprocess.DEVNULL)
    try:
        host.wait_until(lambda: show(name, "ActiveState")["ActiveState"] == "active" and
                        host.comm(process.pid) != "systemd-run", what=f"{name} runs")
        yield process
    finally:
        process.kill()
        process.wait(10)
        host.wait_until(lambda: show(name, "ActiveState")["ActiveState"] == "inactive", what=f"{name} has ended")


@contextlib.contextmanager
def stopped(pid):
    """The process stands still in the block: there, but it does not answer."""
    os.kill(pid, signal.SIGSTOP)
    host.wait_until(lambda: host.status(pid)["State"].startswith("T"), what="it stands")
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _pass_on(source, target, delay):
    try:
        while data := source.recv(65536):
            time.sleep(delay)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side has gone


@contextlib.contextmanager
def slow(delay):
    """Every answer of the bus comes `delay` seconds late in the block."""
    real = f"{SOCKET}.real"
    os.rename(SOCKET, real)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(SOCKET)
    listener.listen()

    def serve():
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                bus = socket.socket(socket.AF_UNIX)
                bus.connect(real)
                for source, target, wait in ((client, bus, 0), (bus, client, delay)):
                    threading.Thread(target=_pass_on, args=(source, target, wait), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        os.rename(real, SOCKET)
