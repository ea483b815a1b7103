# SPDX-License-Identifier: BSD-3-Clause
"""A small network in the throw-away host, made by ip(8): namespaces `outside` and box1 to box3, as nsbox-net would link them, without
nsbox-net's links. Run as a program it is what answers and what asks in there."""
import errno
import ipaddress
import json
import os
import pathlib
import select
import socket
import struct
import subprocess
import sys
import threading
import time

ADDRESSES = {
    "outside": ("192.0.2.2", "2001:db8::2"),
    "far": ("198.51.100.1", "2001:db8:1::1"),  # of `outside` as well, in another network
    "metadata": ("169.254.169.254", "fe80::a9fe:a9fe"),
    "host": ("192.0.2.1", "2001:db8::1"),
    "box1": ("10.9.0.2", "fd00:9::2"),
    "box2": ("10.9.0.3", "fd00:9::3"),
    "box3": ("10.9.0.4", "fd00:9::4"),
}
PORTS = (7001, 7002, 7003)
BOXES = ("box1", "box2", "box3")
WAIT = 0.5  # for an answer that comes at once, or never


def run(*command, check=True, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def ip(*arguments, ns=None):
    return run("ip", *(("-n", ns) if ns else ()), *arguments)


def write_sysctl(name, value):
    pathlib.Path("/proc/sys", name).write_text(f"{value}\n")


def mac(number, end):
    return f"02:00:00:00:{number:02x}:{end:02x}"


def record(number, lines="", nat="no", rate=0, connections=0, kind="veth", addresses=None):
    """The text of the record of box `number` (from 1). `lines`: allow, deny, publish, in that order."""
    four, six = addresses or ADDRESSES[f"box{number}"]
    bridge = "bridge br0\n" if kind == "bridge" else ""
    return (f"nsbox-network 1\nid aaaaaaa{number:03d}\nkind {kind}\nlink nsb{number}\n{bridge}host_mac {mac(number, 1)}\n"
            f"box_mac {mac(number, 2)}\naddress {four}\naddress {six}\nnat {nat}\nforwarding check\nrate {rate}\nconnections {connections}\n{lines}end\n")


class Lab:
    """`answers`: start what answers in each namespace and on the host."""

    def __init__(self):
        self.processes = []

    def make(self):
        ip("link", "set", "lo", "up")
        self.make_outside()
        for number, name in enumerate(BOXES, 1):
            self.make_box(number, name)
        for name in (None, "outside", *BOXES):
            self.answer(name)
        for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            write_sysctl("net/" + name, 1)
        for name in ("ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"):  # a test is told each time
            write_sysctl("net/" + name, 0)
        for name in ("icmp_msgs_per_sec", "icmp_msgs_burst"):
            write_sysctl("net/ipv4/" + name, 100000)
        for name in BOXES:  # IPv6 takes a second until duplicate addresses have been looked for
            end = time.monotonic() + 20
            while not all(map(is_answer, ask(name, [("tcp", address, 7001) for address in ADDRESSES["outside"]]))):
                assert time.monotonic() < end

    @staticmethod
    def make_outside():
        ip("netns", "add", "outside")
        ip("link", "add", "out0", "type", "veth", "peer", "name", "eth0", "netns", "outside")
        for ns, link, name in ((None, "out0", "host"), ("outside", "eth0", "outside")):
            four, six = ADDRESSES[name]
            ip("addr", "add", f"{four}/24", "dev", link, ns=ns)
            ip("addr", "add", f"{six}/64", "dev", link, "nodad", ns=ns)
            ip("link", "set", link, "up", ns=ns)
        ip("link", "set", "lo", "up", ns="outside")
        ip("addr", "add", "198.51.100.1/32", "dev", "lo", ns="outside")
        ip("addr", "add", "169.254.169.254/32", "dev", "lo", ns="outside")
        ip("addr", "add", "2001:db8:1::1/128", "dev", "lo", "nodad", ns="outside")
        ip("route", "add", "default", "via", "192.0.2.2")
        ip("-6", "route", "add", "default", "via", "2001:db8::2")
        ip("route", "add", "10.9.0.0/24", "via", "192.0.2.1", ns="outside")
        ip("-6", "route", "add", "fd00:9::/64", "via", "2001:db8::1", ns="outside")

    @staticmethod
    def make_box(number, name):
        ip("netns", "add", name)
        Lab.link_box(number, name)

    @staticmethod
    def link_box(number, name):
        four, six = ADDRESSES[name]
        link = f"nsb{number}"
        ip("link", "add", link, "address", mac(number, 1), "type", "veth", "peer", "name", "eth0", "address", mac(number, 2), "netns",
           name)
        write_sysctl(f"net/ipv6/conf/{link}/accept_ra", 0)
        ip("link", "set", link, "addrgenmode", "none", "alias", f"nsbox aaaaaaa{number:03d}")
        ip("link", "set", link, "up")
        ip("link", "set", "lo", "up", ns=name)
        ip("link", "set", "eth0", "up", ns=name)
        ip("addr", "add", f"{four}/32", "dev", "eth0", ns=name)
        ip("addr", "add", f"{six}/128", "dev", "eth0", "nodad", ns=name)
        for gateway in ("169.254.1.1", "fe80::1"):
            family = "-6" if ":" in gateway else "-4"
            ip(family, "neigh", "add", gateway, "lladdr", mac(number, 1), "dev", "eth0", "nud", "permanent", ns=name)
            ip(family, "route", "add", gateway, "dev", "eth0", ns=name)
            ip(family, "route", "add", "default", "via", gateway, "dev", "eth0", "onlink", ns=name)
        for address in (four, six):
            family = "-6" if ":" in address else "-4"
            ip(family, "route", "add", address, "dev", link)
            ip(family, "neigh", "add", address, "lladdr", mac(number, 2), "dev", link, "nud", "permanent")

    def answer(self, name):
        command = [sys.executable, __file__, "answer", name or "host"]
        if name:
            command = ["ip", "netns", "exec", name, *command]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.processes.append(process)
        assert process.stdout.readline() == b"ready\n"

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
        for name in ("outside", *BOXES):
            run("ip", "netns", "del", name, check=False)
        for link in ("out0", "nsb1", "nsb2", "nsb3"):
            run("ip", "link", "del", link, check=False)


def inside(name, *command, **options):
    return run(*(("ip", "netns", "exec", name) if name else ()), *command, **options)


def ask(name, questions):
    """Asks from namespace `name` (None: the host) all of [(protocol, address, port)], at once. What each got: the answer, or
    the name of the error; ICMP "yes"."""
    out = inside(name, sys.executable, __file__, "ask", json.dumps(questions)).stdout
    return [tuple(answer) if isinstance(answer, list) else answer for answer in json.loads(out)]


def ask_one(name, protocol, address, port=7001):
    return ask(name, [(protocol, address, port)])[0]


def is_answer(answer, name=None):
    return answer == "yes" or (answer.startswith("from ") and (name is None or answer.split()[1] == name))


# ---- in the namespaces ----

def plain(address):
    return str(ipaddress.ip_address(address.split("%")[0]).ipv4_mapped or address.split("%")[0]) if ":" in address else address


def _answer(name):
    poll = select.poll()
    sockets = {}
    for port in PORTS:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            sock = socket.socket(socket.AF_INET6, kind)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if kind == socket.SOCK_DGRAM:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            sock.bind(("::", port))
            if kind == socket.SOCK_STREAM:
                sock.listen(64)
            sockets[sock.fileno()] = (sock, port)
            poll.register(sock, select.POLLIN)
    print("ready", flush=True)
    while True:
        for fd, _ in poll.poll():
            sock, port = sockets[fd]
            try:
                if sock.type == socket.SOCK_STREAM:
                    client, peer = sock.accept()
                    threading.Thread(target=_serve, args=(client, f"from {name} {port} to {plain(peer[0])}\n"), daemon=True).start()
                else:
                    _, control, _, peer = sock.recvmsg(2048, 256)
                    sock.sendmsg([f"from {name} {port} to {plain(peer[0])}\n".encode()],
                                 [(level, kind, data[:16] + b"\0\0\0\0") for level, kind, data in control], 0, peer)
            except OSError:
                pass


def _serve(client, line):
    """A line first; then what comes goes nowhere, or comes back after "echo"."""
    try:
        client.sendall(line.encode())
        while True:
            data = client.recv(65536)
            if not data:
                return
            if data.startswith(b"echo"):
                client.sendall(data)
    except OSError:
        pass
    finally:
        client.close()


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def _ping(address, number):
    six = ":" in address
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
    identifier = (os.getpid() + number) & 0xffff
    body = struct.pack("!BBHHH", 128 if six else 8, 0, 0, identifier, 1)
    if not six:
        body = body[:2] + struct.pack("!H", _checksum(body)) + body[4:]
    sock.sendto(body, (address, 0))
    end = time.monotonic() + WAIT
    while (left := end - time.monotonic()) > 0:
        sock.settimeout(left)
        data, peer = sock.recvfrom(2048)
        data = data if six else data[20:]
        if data[0] == (129 if six else 0) and struct.unpack("!H", data[4:6])[0] == identifier and plain(peer[0]) == plain(address):
            return "yes"
    raise TimeoutError


def _ask(protocol, address, port, number=0):
    try:
        if protocol == "icmp":
            return _ping(address, number)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as sock:
            sock.settimeout(WAIT)
            sock.connect((address, port))
            if protocol == "udp":
                sock.send(b"question")
            return sock.recv(2048).decode().strip() or "closed"
    except TimeoutError:
        return "TIMEOUT"
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))


def _ask_all(questions):
    answers = [None] * len(questions)

    def one(i):
        answers[i] = _ask(*questions[i], number=i)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(questions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(answers))


if __name__ == "__main__":
    if sys.argv[1] == "answer":
        _answer(sys.argv[2])
    else:
        _ask_all(json.loads(sys.argv[2]))
