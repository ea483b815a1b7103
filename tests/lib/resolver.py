# SPDX-License-Identifier: BSD-3-Clause
"""A name server of the tests' own, in a network namespace (ip-netns(8)), by UDP and TCP.

It knows *.box.test: A 192.0.2.99. A name that begins with "large" is answered by TCP only, as a long answer would be.
"""
import contextlib
import socket
import struct
import subprocess
import sys
import threading

from . import host

ADDRESS = "192.0.2.99"


def _reply(query, tcp):
    end = query.index(b"\0", 12) + 5
    question = query[12:end]
    name = question[:-4].lower()
    kind = struct.unpack(">H", question[-4:-2])[0]
    known = name.endswith(b"\x03box\x04test\0")
    cut = known and name[1:].startswith(b"large") and not tcp
    answers = int(known and kind == 1 and not cut)
    flags = 0x8180 | (0x0200 if cut else 0) | (0 if known else 3)
    record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(ADDRESS)
    return query[:2] + struct.pack(">HHHHH", flags, 1, answers, 0, 0) + question + record * answers


def _serve_tcp(listener):
    while True:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError, struct.error, ValueError):
            connection.settimeout(5)
            length, = struct.unpack(">H", connection.recv(2, socket.MSG_WAITALL))
            reply = _reply(connection.recv(length, socket.MSG_WAITALL), True)
            connection.sendall(struct.pack(">H", len(reply)) + reply)


def _main(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, 53), family=family)
    datagrams = socket.socket(family, socket.SOCK_DGRAM)
    datagrams.bind((address, 53))
    threading.Thread(target=_serve_tcp, args=(listener,), daemon=True).start()
    print("ready", flush=True)
    while True:
        query, client = datagrams.recvfrom(4096)
        with contextlib.suppress(OSError, ValueError, struct.error):
            datagrams.sendto(_reply(query, False), client)


@contextlib.contextmanager
def serving(netns, address):
    """The server at that address of the namespace."""
    command = ["ip", "netns", "exec", netns, sys.executable, "-m", "lib.resolver", address]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=__file__.rsplit("/", 2)[0])
    try:
        assert process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.kill()
        process.wait(10 * host.PATIENCE)
        process.stdout.close()


if __name__ == "__main__":
    _main(sys.argv[1])
