# SPDX-License-Identifier: BSD-3-Clause
"""A program that tries the network from where it runs: in the session of a box, in a namespace of the laboratory, on the host.
It reads one JSON list a line, [NAME, ARGUMENTS...], and answers each with a line of JSON. Its other side is
netlab.Prober. Only Python's standard library, and it is sent as text: whatever tree the box has, nothing has to lie there.

What a probe says is in HOW: "reached" (somebody answered), "refused" (the peer has no such service), "rejected" (a rule said no,
at once), "no route", "timeout" (nobody said anything)."""
import base64
import errno
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import threading
import time

HOW = {errno.ECONNREFUSED: "refused", errno.ECONNRESET: "refused", errno.EHOSTUNREACH: "rejected", errno.EACCES: "rejected",
       errno.EPERM: "rejected", errno.ENETUNREACH: "no route", errno.EADDRNOTAVAIL: "no route"}

hits, frames, kept = [], [], []


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def outcome(start, how, saw=""):
    return {"how": how, "took": round(time.monotonic() - start, 3), "saw": saw}


def failed(start, error):
    if isinstance(error, (socket.timeout, TimeoutError)):
        return outcome(start, "timeout")
    return outcome(start, HOW.get(error.errno, errno.errorcode.get(error.errno, str(error))))


def tcp(address, port, wait=1.5, source=None):
    """saw: what the server said when it was connected to, which is the peer that it sees."""
    start = time.monotonic()
    with socket.socket(family_of(address), socket.SOCK_STREAM) as client:
        client.settimeout(wait)
        try:
            if source:
                client.bind((source, 0))
            client.connect((address, port))
            return outcome(start, "reached", client.recv(200).decode().strip())
        except OSError as error:
            return failed(start, error)


def udp(address, port, wait=1.5, source=None, source_port=0):
    """source_port: always the same one, as if it were one conversation."""
    start = time.monotonic()
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as client:
        client.settimeout(wait)
        try:
            if source or source_port:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                client.bind((source or ("::" if ":" in address else "0.0.0.0"), source_port))
            client.connect((address, port))
            client.send(b"probe")
            return outcome(start, "reached", client.recv(200).decode().strip())
        except OSError as error:
            return failed(start, error)


def icmp(address, _port=0, wait=1.5):
    """ping(8), which has the right to."""
    start = time.monotonic()
    done = subprocess.run(["ping", "-n", "-c", "1", "-W", str(wait), address], capture_output=True, text=True, check=False)
    text = done.stdout + done.stderr
    if re.search(r" 1 received", text):
        return outcome(start, "reached")
    if re.search("filtered|prohibited|No route|permitted", text):
        return outcome(start, "rejected")
    return outcome(start, "timeout" if "0 received" in text else text)


def exchange(address, port, text, wait=1.5):
    """What a server has answered to this by TCP, up to the end."""
    with socket.socket(family_of(address), socket.SOCK_STREAM) as client:
        client.settimeout(wait)
        client.connect((address, port))
        client.sendall(text.encode())
        data = b""
        while True:
            more = client.recv(65536)
            if not more:
                return data.decode()
            data += more


# -- servers --


def told(name, protocol, port, peer):
    hits.append([name, protocol, port, peer[0], peer[1]])
    return f"{name} {peer[0]} {peer[1]}\n".encode()


def serve_client(client, greeting):
    with client:
        try:
            client.sendall(greeting)
            client.settimeout(20)
            while True:
                data = client.recv(65536)
                if not data:
                    return
                client.sendall(data)
        except OSError:
            return


def source_client(client, _greeting):
    with client:
        try:
            while True:
                client.sendall(bytes(16384))
        except OSError:
            return


def sink_client(client, _greeting):
    """Tells at the end how many bytes came."""
    number = 0
    with client:
        try:
            while True:
                data = client.recv(65536)
                if not data:
                    break
                number += len(data)
            client.sendall(f"{number}\n".encode())
        except OSError:
            return


def serve_tcp(listener, name, port, client_of):
    while True:
        try:
            client, peer = listener.accept()
        except OSError:
            return
        threading.Thread(target=client_of, args=(client, told(name, "tcp", port, peer)), daemon=True).start()


def serve_udp(listener, name, port, answer):
    while True:
        try:
            data, peer = listener.recvfrom(65536)
        except OSError:
            return
        said = told(name, "udp", port, peer)
        try:
            listener.sendto(answer(data, True) if answer else said, peer)
        except OSError:
            pass


def bound(kind, address, port):
    listener = socket.socket(family_of(address), kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if ":" in address:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((address, port))
    if kind == socket.SOCK_STREAM:
        listener.listen(1000)
    kept.append(listener)
    return listener


def listen(name, protocol, address, port, kind="echo"):
    """A server that says its NAME and whom it sees. kind: echo, source (sends for ever), sink (counts)."""
    if protocol == "tcp":
        client_of = {"echo": serve_client, "source": source_client, "sink": sink_client}[kind]
        work = (serve_tcp, (bound(socket.SOCK_STREAM, address, port), name, port, client_of))
    else:
        work = (serve_udp, (bound(socket.SOCK_DGRAM, address, port), name, port, None))
    threading.Thread(target=work[0], args=work[1], daemon=True).start()


def get_hits():
    """Who has come to the servers since the last time: [[server, protocol, port, address, port], ...]"""
    found = hits[:]
    del hits[:len(found)]
    return found


# -- a name server: {name: [addresses]}; what does not fit into 512 bytes is only told by TCP --


def question(data):
    labels, at = [], 12
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode())
        at += 1 + data[at]
    kind, = struct.unpack_from(">H", data, at + 1)
    return ".".join(labels).lower(), kind, data[12:at + 5]


def answer_of(zone):
    def answer(data, small):
        name, kind, asked = question(data)
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        rows = [address for address in zone.get(name, ()) if family_of(address) == family]
        body = b"".join(struct.pack(">HHHIH", 0xc00c, kind, 1, 60, 4 if kind == 1 else 16) + socket.inet_pton(family, address)
                        for address in rows)
        cut = small and len(body) > 440
        flags = 0x8180 | (0x0200 if cut else 0) | (0 if name in zone else 3)
        return data[:2] + struct.pack(">HHHHH", flags, 1, 0 if cut else len(rows), 0, 0) + asked + (b"" if cut else body)
    return answer


def dns(name, address, zone, port=53):
    answer = answer_of(zone)

    def client_of(client, _greeting):
        with client:
            try:
                while True:
                    head = client.recv(2, socket.MSG_WAITALL)
                    if len(head) < 2:
                        return
                    reply = answer(client.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL), False)
                    client.sendall(struct.pack(">H", len(reply)) + reply)
            except OSError:
                return
    for target, args in ((serve_tcp, (bound(socket.SOCK_STREAM, address, port), name, port, client_of)),
                         (serve_udp, (bound(socket.SOCK_DGRAM, address, port), name, port, answer))):
        threading.Thread(target=target, args=args, daemon=True).start()


# -- how fast --


def pull(address, port, seconds):
    """Bits per second that arrive, after a quarter of the time: what a bucket holds is over then."""
    with socket.socket(family_of(address), socket.SOCK_STREAM) as client:
        client.settimeout(5)
        client.connect((address, port))
        begin, number, from_ = time.monotonic(), 0, None
        while time.monotonic() < begin + seconds:
            data = client.recv(65536)
            now = time.monotonic()
            if now > begin + seconds / 4:
                from_ = from_ or now
                number += len(data)
        return 8 * number / max(time.monotonic() - from_, 0.001)


def push(address, port, seconds):
    """Bits per second that the sink at the other end has got, by its own count."""
    with socket.socket(family_of(address), socket.SOCK_STREAM) as client:
        client.settimeout(20)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        client.connect((address, port))
        begin = time.monotonic()
        while time.monotonic() < begin + seconds:
            client.send(bytes(4096))
        client.shutdown(socket.SHUT_WR)
        number = int(client.recv(100))
        return 8 * number / (time.monotonic() - begin)


def flood(address, port, seconds, size=1000):
    """Datagrams as fast as it goes: how many were sent."""
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect((address, port))
        end, number = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            try:
                client.send(bytes(size))
                number += 1
            except OSError:
                select.select([], [client], [], 0.01)
        return number


def send_from(address, port, target, target_port, text="late"):
    """One datagram from a port at which a server of ours listens already: as that server would send it."""
    for listener in kept:
        if listener.type == socket.SOCK_DGRAM and listener.family == family_of(address) and listener.getsockname()[:2] == (address, port):
            listener.sendto(text.encode(), (target, target_port))
            return
    raise OSError(f"nobody listens at {address} {port}")


# -- frames --


def sniff(link=""):
    """Keeps every frame that comes in from here on, of one link or of all."""
    receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    if link:
        receiver.bind((link, 3))

    def work():
        while True:
            data, where = receiver.recvfrom(2000)
            if where[2] != 4:  # PACKET_OUTGOING
                frames.append([where[0], data.hex()])
    kept.append(receiver)
    threading.Thread(target=work, daemon=True).start()


def get_frames():
    """[[link, hexadecimal digits], ...] since the last time."""
    found = frames[:]
    del frames[:len(found)]
    return found


def inject(link, digits):
    """Puts a frame, with its Ethernet header, on a link: needs CAP_NET_RAW. The name of the error, or ""."""
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
            sender.bind((link, 0))
            sender.send(bytes.fromhex(digits))
        return ""
    except OSError as error:
        return errno.errorcode[error.errno]


# -- other things --


def shell(command, wait=10):
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=wait, check=False,
                          stdin=subprocess.DEVNULL)
    return [done.returncode, done.stdout, done.stderr]


def resolve(name):
    """Addresses, by the resolver of the C library as it is configured here."""
    done = subprocess.run(["getent", "ahosts", name], capture_output=True, text=True, timeout=30, check=False)
    return sorted({line.split()[0] for line in done.stdout.splitlines()})


def abstract(name, serve=False):
    """Connects to (or is) an abstract socket: "reached", or the name of the error."""
    sock = socket.socket(socket.AF_UNIX)
    if serve:
        sock.bind("\0" + name)
        sock.listen()
        kept.append(sock)
        return "listens"
    try:
        sock.connect("\0" + name)
        return "reached"
    except OSError as error:
        return errno.errorcode[error.errno]
    finally:
        sock.close()


def pass_out(path):
    """Sends the own network namespace to who listens at the path."""
    with socket.socket(socket.AF_UNIX) as there:
        there.connect(path)
        socket.send_fds(there, [b"x"], [os.open("/proc/self/ns/net", os.O_RDONLY)])


def del_link(name, nsid):
    """Removes a link in the namespace that this number stands for here (IFLA_TARGET_NETNSID): the name of the error, or ""."""
    label = name.encode() + b"\0"
    body = struct.pack("=BxHiII", 0, 0, 0, 0, 0)
    for kind, data in ((3, label), (46, struct.pack("=i", nsid))):
        body += struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.send(struct.pack("=IHHII", 16 + len(body), 17, 5, 1, 0) + body)  # RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK
        code, = struct.unpack_from("=i", kernel.recv(4096), 16)
    return errno.errorcode.get(-code, "") if code else ""


def namespace():
    return os.readlink("/proc/self/ns/net")


CALLS = {call.__name__: call for call in (tcp, udp, icmp, exchange, send_from, listen, get_hits, dns, pull, push, flood, sniff, get_frames,
                                          inject, shell, resolve, abstract, pass_out, del_link, namespace)}


def main():
    print(json.dumps(["ready", os.environ.get("NSBOX_ID", "")]), flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        if name == "many":  # at the same time
            results, threads = [None] * len(arguments), []
            for i, (one, *rest) in enumerate(arguments):
                threads.append(threading.Thread(target=lambda i=i, one=one, rest=rest: results.__setitem__(i, CALLS[one](*rest))))
                threads[-1].start()
            for thread in threads:
                thread.join()
            print(json.dumps(results), flush=True)
            continue
        try:
            result = CALLS[name](*arguments)
        except Exception as error:  # the other side raises it
            result = {"failed": repr(error)}
        print(json.dumps(result), flush=True)


def command():
    """Words for a shell that start this program."""
    with open(__file__, encoding="utf-8") as file:
        text = base64.b64encode(file.read().encode()).decode()
    return f"exec python3 -ISu -c 'import base64; __name__ = \"probe\"; exec(base64.b64decode(\"{text}\")); main()'"


if __name__ == "__main__":
    main()
