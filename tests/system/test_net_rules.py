# SPDX-License-Identifier: BSD-3-Clause
# build: fault
"""The rules of a box's network, without nsbox-net's links: what passes and what does not, from where, with which protocol; and that
nothing else changes. net-rules-app (net-rules-app.c) puts them in and takes them out; tests/lib/netapp.py makes the links."""
import itertools
import os
import pathlib
import re
import subprocess

import pytest

from lib import host, netapp
from lib.netapp import ADDRESSES, ask, ask_one, is_answer, record, run

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

APP = os.environ["NSBOX_BUILD"] + "/net-rules-app"
RECORDS = pathlib.Path("/run/net-rules")
FAULT = pathlib.Path("/run/nsbox-fault")
LAYOUT = "layout_2"


def app(verb, *texts, check=True, timeout=120):
    """Does it to all of the records, in one process. Result(rc, out, err)."""
    RECORDS.mkdir(exist_ok=True)
    paths = []
    for i, text in enumerate(texts):
        paths.append(RECORDS / f"{os.getpid()}-{i}")
        paths[-1].write_text(text)
    return host.run(APP, verb, *map(str, paths), check=check, timeout=timeout)


def ruleset():
    return run("nft", "list", "ruleset").stdout


def others():
    """What the administrator has: all but our tables."""
    return re.sub(r"table (inet|bridge) nsbox \{\n.*?\n\}\n?", "", ruleset(), flags=re.S)


def elements():
    """Of all sets of ours, but the mark of the table, and the addresses that no box has."""
    found = re.findall(r"\t(?:set|map) (\w+) \{[^}]*?elements = \{([^}]*)\}", ruleset())
    return {name: text for name, text in found if name not in (LAYOUT, "rest4", "rest6")}


def no_tables():
    for family in ("inet", "bridge"):
        run("nft", "delete", "table", family, "nsbox", check=False)


@pytest.fixture(scope="module")
def lab():
    made = netapp.Lab()
    try:
        made.make()
        yield made
    finally:
        made.close()


class Boxes:
    """The three boxes' rules; changed only where the next test wants others."""

    def __init__(self):
        self.now = None

    def have(self, *texts):
        if self.now == texts:
            return
        self.drop()
        app("up", *texts)
        self.now = texts

    def drop(self):
        """Their links stay, which net_rules_down() would not like: so the tables go."""
        no_tables()
        run("ip", "link", "set", "nsb1", "up")
        self.now = None


@pytest.fixture(scope="module")
def boxes(lab):
    made = Boxes()
    yield made
    made.drop()


@pytest.fixture
def clean(boxes):
    boxes.drop()
    yield boxes
    FAULT.unlink(missing_ok=True)
    boxes.drop()


# ---- what passes ----

ALL = frozenset(("tcp", "udp", "icmp"))
PORTED = frozenset(("tcp", "udp"))
TCP, UDP, ICMP = (frozenset((name,)) for name in ("tcp", "udp", "icmp"))
NONE = frozenset()
REFUSED = {("tcp", 4): "EHOSTUNREACH", ("udp", 4): "EHOSTUNREACH", ("tcp", 6): "ECONNREFUSED", ("udp", 6): "EACCES"}
DEFAULT = {"outside": ALL, "far": ALL, "host": NONE, "box2": NONE, "metadata": NONE}
OUT_NET = "192.0.2.0/24", "2001:db8::/64"
FAR_NET = "198.51.100.0/24", "2001:db8:1::/64"


def rule(word, networks, ports="", protocol=""):
    return "".join(f"{word} {f'[{net}]' if ':' in net and ports else net}{ports}{protocol}\n" for net in networks)


# name: lines of the record of box1, what differs from DEFAULT: which protocols reach port 7001 of whom
CASES = {
    "default": ("", {}),
    "allow host": ("allow host\n", {"host": ALL}),
    "allow host port tcp": ("allow host:7001/tcp\n", {"host": TCP}),
    "allow host port udp": ("allow host:7001/udp\n", {"host": UDP}),
    "allow host port": ("allow host:7001\n", {"host": PORTED}),
    "allow host range": ("allow host:7000-7010\n", {"host": PORTED}),
    "allow host other port": ("allow host:7002\n", {}),
    "allow host icmp": ("allow host/icmp\n", {"host": ICMP}),
    "allow boxes": ("allow boxes\n", {"box2": ALL}),
    "allow boxes port": ("allow boxes:7001/tcp\n", {"box2": TCP}),
    "allow any": ("allow any\n", {}),
    "allow network is not host": (rule("allow", OUT_NET), {}),
    "allow all networks is not boxes": ("allow 0.0.0.0/0\nallow ::/0\n", {}),
    "deny any": ("deny any\n", {"outside": NONE, "far": NONE}),
    "deny any tcp": ("deny any/tcp\n", {"outside": ALL - TCP, "far": ALL - TCP}),
    "deny any port": ("deny any:7001\n", {"outside": ICMP, "far": ICMP}),
    "deny any other port": ("deny any:7002\n", {}),
    "deny any icmp": ("deny any/icmp\n", {"outside": PORTED, "far": PORTED}),
    "deny network": (rule("deny", FAR_NET), {"far": NONE}),
    "deny any allow network": (rule("allow", FAR_NET) + "deny any\n", {"outside": NONE}),
    "deny any allow network port": (rule("allow", FAR_NET, ":7001", "/tcp") + "deny any\n", {"outside": NONE, "far": TCP}),
    "deny any allow network range": (rule("allow", FAR_NET, ":7000-7001") + "deny any\n", {"outside": NONE, "far": PORTED}),
    "deny any allow host": ("allow host:7001/tcp\ndeny any\n", {"outside": NONE, "far": NONE, "host": TCP}),
    "deny any allow any port": ("allow any:7001/udp\ndeny any\n", {"outside": UDP, "far": UDP}),
    "deny host and boxes": ("deny host\ndeny boxes\n", {}),
    "nested": (rule("allow", FAR_NET, ":7001-7002", "/tcp") + "allow 198.51.100.1:7000-7001/tcp\nallow 198.51.100.0/25\nallow [2001:db8:1::1]:7001-7009\ndeny any\n",
               {"outside": NONE, "far": {4: ALL, 6: PORTED}}),
    "metadata": ("allow 169.254.169.254\n", {"metadata": {4: ALL, 6: NONE}}),
    "metadata port": ("allow 169.254.0.0/16:7001/tcp\n", {"metadata": {4: TCP, 6: NONE}}),
}
ROWS = [(name, target, family) for name in CASES for target in DEFAULT for family in (4, 6)]
_seen = {}


def seen(boxes, name):
    """What box1 gets in this case from everybody: asked once, all at a time."""
    if name not in _seen:
        boxes.have(record(1, CASES[name][0], nat="yes"), record(2), record(3))
        keys = [(target, family, protocol) for target in DEFAULT for family in (4, 6) for protocol in sorted(ALL)]
        answers = ask("box1", [(protocol, ADDRESSES[target][family == 6], 7001) for target, family, protocol in keys])
        _seen[name] = dict(zip(keys, answers))
    return _seen[name]


@pytest.mark.parametrize("name,target,family", ROWS, ids=lambda value: str(value).replace(" ", "-"))
def test_from_a_box(boxes, name, target, family):
    wanted = CASES[name][1].get(target, DEFAULT[target])
    wanted = wanted[family] if isinstance(wanted, dict) else wanted
    answers = {protocol: seen(boxes, name)[target, family, protocol] for protocol in ALL}
    assert {protocol for protocol in ALL if is_answer(answers[protocol])} == set(wanted), answers
    for protocol in ALL - wanted - {"icmp"}:  # it is told at once
        if (target, family) != ("metadata", 6):
            assert answers[protocol] == REFUSED[protocol, family], answers


@pytest.mark.parametrize("nat", ("yes", "no"))
@pytest.mark.parametrize("family", (4, 6))
def test_nat(boxes, nat, family):
    boxes.have(record(1, "allow boxes\n", nat=nat), record(2), record(3))
    six = family == 6
    sees = ADDRESSES["host" if nat == "yes" else "box1"][six]
    for protocol in ("tcp", "udp"):
        assert ask_one("box1", protocol, ADDRESSES["outside"][six]) == f"from outside 7001 to {sees}"
        assert ask_one("box1", protocol, ADDRESSES["box2"][six]) == f"from box2 7001 to {ADDRESSES['box1'][six]}"


# ---- what comes in ----

PUBLISH = "publish 8001:7001\npublish 8002:7002/udp\n"


@pytest.fixture
def published(boxes):
    boxes.have(record(1, PUBLISH, nat="yes"), record(2, "allow boxes\n"), record(3))


@pytest.mark.parametrize("family", (4, 6))
@pytest.mark.parametrize("who", ("outside", None))
def test_published(published, who, family):
    six = family == 6
    here = ADDRESSES["host"][six]
    got = ask(who, [("tcp", here, 8001), ("udp", here, 8002), ("udp", here, 8001), ("tcp", here, 8002), ("tcp", here, 7001)])
    source = ADDRESSES[who or "host"][six]
    assert got[:2] == [f"from box1 7001 to {source}", f"from box1 7002 to {source}"]
    assert not is_answer(got[2]) and not is_answer(got[3])
    assert is_answer(got[4], "host")  # the host's own port as ever


@pytest.mark.parametrize("family", (4, 6))
@pytest.mark.parametrize("who", ("outside", None, "box3"))
def test_nothing_else_comes_in(published, who, family):
    address = ADDRESSES["box1"][family == 6]
    got = ask(who, [(protocol, address, port) for protocol in sorted(ALL) for port in netapp.PORTS])
    assert not any(map(is_answer, got)), got


@pytest.mark.parametrize("family", (4, 6))
def test_published_and_boxes(published, family):
    """From a box the port of another box is that of a box: allow = boxes."""
    here = ADDRESSES["host"][family == 6]
    assert ask_one("box2", "tcp", here, 8001) == f"from box1 7001 to {ADDRESSES['box2'][family == 6]}"
    assert ask_one("box3", "tcp", here, 8001) == REFUSED["tcp", family]


def test_published_not_on_loopback(published):
    assert ask(None, [("tcp", "127.0.0.1", 8001), ("tcp", "::1", 8001)]) == ["ECONNREFUSED"] * 2


# ---- forged packets ----

FORGE = r"""
import socket, struct, sys
link, frames = sys.argv[1], sys.argv[2:]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((link, 0))
for f in frames:
    s.send(bytes.fromhex(f))
"""


def ether(to, source, kind, payload):
    return bytes.fromhex(to.replace(":", "") + source.replace(":", "") + kind) + payload


def udp(source, to, payload=b"forged", ports=(9, 9)):
    """A UDP packet with its IP header, or with (source, 0) as `ports` an ICMPv6 message."""
    import ipaddress
    import struct
    a, b = (ipaddress.ip_address(x).packed for x in (source, to))
    length = 8 + len(payload)
    body = struct.pack("!HHHH", *ports, length, 0) + payload
    pseudo = a + b + (struct.pack("!BBH", 0, 17, length) if len(a) == 4 else struct.pack("!IHBB", length, 0, 0, 17))
    checksum = netapp._checksum(pseudo + body + b"\0" * (len(body) % 2)) or 0xffff
    body = struct.pack("!HHHH", *ports, length, checksum) + payload
    return ip_header(a, b, 17, len(body)) + body


def ip_header(a, b, protocol, length):
    import struct
    if len(a) == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 1, 0, 64, protocol, 0) + a + b
        return head[:10] + struct.pack("!H", netapp._checksum(head)) + head[12:]
    return struct.pack("!IHBB", 6 << 28, length, protocol, 255) + a + b


def icmp6(source, to, message):
    import ipaddress
    import struct
    a, b = (ipaddress.ip_address(x).packed for x in (source, to))
    pseudo = a + b + struct.pack("!IHBB", len(message), 0, 0, 58)
    message = message[:2] + struct.pack("!H", netapp._checksum(pseudo + message)) + message[4:]
    return ip_header(a, b, 58, len(message)) + message


class Sniffer:
    """Counts packets that carry b"forged", on a link of a namespace."""

    def __init__(self, ns, link, mark=b"forged"):
        code = ("import socket, sys, time\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))\n"
                f"s.bind(({link!r}, 0))\nprint('ready', flush=True)\nn = 0\ns.settimeout(0.1)\nend = None\n"
                "import select\nwhile True:\n"
                " r, _, _ = select.select([s, sys.stdin], [], [])\n"
                " if s in r:\n  d, a = s.recvfrom(4096)\n"
                f"  n += a[2] != 4 and {mark!r} in d\n"
                " elif sys.stdin in r:\n  print(n); break\n")
        command = ["python3", "-c", code]
        self.process = subprocess.Popen((["ip", "netns", "exec", ns] if ns else []) + command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"

    def count(self):
        self.process.stdin.close()
        n = int(self.process.stdout.readline())
        self.process.wait()
        return n


def forge(ns, link, *frames):
    netapp.inside(ns, "python3", "-c", FORGE, link, *(frame.hex() for frame in frames))


SPOOFED = {
    "own": (ADDRESSES["box1"], 1),  # the control: so a packet that is in order gets there
    "box2": (ADDRESSES["box2"], 0),
    "host": (ADDRESSES["host"], 0),
    "strange": (("203.0.113.9", "2001:db8:99::9"), 0),
    "link-local": (("169.254.1.7", "fe80::7"), 0),
    "unspecified": (("0.0.0.0", "::"), 0),
}


@pytest.mark.parametrize("family", (4, 6))
@pytest.mark.parametrize("what", SPOOFED)
def test_spoofed_source(boxes, what, family):
    boxes.have(record(1), record(2), record(3))
    sources, wanted = SPOOFED[what]
    for path in pathlib.Path("/proc/sys/net/ipv4/conf").glob("*/rp_filter"):
        path.write_text("0\n")  # it is not this that saves us
    sniffer = Sniffer("outside", "eth0")
    packet = udp(sources[family == 6], ADDRESSES["outside"][family == 6])
    forge("box1", "eth0", ether(netapp.mac(1, 1), netapp.mac(1, 2), "0800" if family == 4 else "86dd", packet))
    ask_one("box1", "tcp", ADDRESSES["outside"][0])  # what was sent before has come
    assert sniffer.count() == wanted


@pytest.mark.parametrize("family", (4, 6))
def test_a_box_address_from_elsewhere(boxes, family):
    """Who is outside does not send as a box, and neither does another box."""
    boxes.have(record(1), record(2), record(3, "allow boxes\nallow host\n"))
    six = family == 6
    kind = "86dd" if six else "0800"
    out_mac = netapp.run("cat", "/sys/class/net/out0/address").stdout.strip()
    sniffer = Sniffer("box2", "eth0")
    packet = udp(ADDRESSES["box3"][six], ADDRESSES["box2"][six])
    forge("outside", "eth0", ether(out_mac, "02:00:00:00:99:99", kind, packet))
    forge("box1", "eth0", ether(netapp.mac(1, 1), netapp.mac(1, 2), kind, packet))
    ask_one("box3", "tcp", ADDRESSES["box2"][six])
    assert sniffer.count() == 0
    sniffer = Sniffer("box2", "eth0")
    forge("box3", "eth0", ether(netapp.mac(3, 1), netapp.mac(3, 2), kind, packet))
    ask_one("box3", "tcp", ADDRESSES["box2"][six])
    assert sniffer.count() == 1


def test_router_advertisement(boxes):
    """Neither does the host take a route from it, even where it would accept any."""
    boxes.have(record(1), record(2), record(3))
    netapp.write_sysctl("net/ipv6/conf/nsb1/accept_ra", 2)
    before = run("ip", "-6", "route", "show").stdout
    prefix = bytes((3, 4, 64, 0xc0)) + b"\0\0\x10\0" * 2 + b"\0" * 4 + bytes.fromhex("20010db8dead0000") + b"\0" * 8
    message = bytes((134, 0, 0, 0, 64, 0, 0x10, 0)) + b"\0" * 8 + prefix
    frame = ether("33:33:00:00:00:01", netapp.mac(1, 2), "86dd", icmp6("fe80::ff:fe00:102", "ff02::1", message))
    forge("box1", "eth0", frame)
    ask_one("box1", "tcp", ADDRESSES["outside"][1])
    assert run("ip", "-6", "route", "show").stdout == before
    # the control
    boxes.drop()
    run("ip", "addr", "add", "fe80::1/64", "dev", "nsb1", "nodad")
    forge("box1", "eth0", frame)
    host.wait_until(lambda: "2001:db8:dead" in run("ip", "-6", "route", "show").stdout)
    run("ip", "addr", "flush", "dev", "nsb1")
    netapp.write_sysctl("net/ipv6/conf/nsb1/accept_ra", 0)
    run("ip", "-6", "route", "flush", "proto", "ra")
    run("ip", "-6", "route", "flush", "proto", "kernel", "dev", "nsb1")


# ---- neighbours, ICMP errors, the rate ----

def test_no_neighbour_discovery(boxes):
    """Permanent neighbours: neither side asks, so the rules need not let anything of that through."""
    boxes.have(record(1), record(2, "allow boxes\n"), record(3))
    sniffer = Sniffer("box1", "eth0", netapp.BOXES[0].encode())  # carries an answer of box1: the control
    asked = Sniffer("box1", "eth0", bytes.fromhex("fd000009000000000000000000000002ff02"))
    for family in (0, 1):
        assert is_answer(ask_one("box1", "tcp", ADDRESSES["outside"][family]), "outside")
        assert is_answer(ask_one("box2", "tcp", ADDRESSES["box1"][family]), "box1")
    assert asked.count() == 0
    sniffer.count()
    for family, ns in (("-4", None), ("-6", None), ("-4", "box1"), ("-6", "box1")):
        link = "eth0" if ns else "nsb1"
        lines = netapp.ip(family, "neigh", "show", "dev", link, ns=ns).stdout.splitlines()
        # from the time without rules, and of other tests: link-local ones
        lines = [line for line in lines if not line.startswith("fe80::") or line.startswith("fe80::1 ")]
        assert lines and all("PERMANENT" in line or "NOARP" in line for line in lines), lines


BIG = r"""
import socket, sys, time
where, port = sys.argv[1], int(sys.argv[2])
six = ":" in where
s = socket.create_connection((where, port), 5)
s.recv(100)
data = b"echo" * 50000
s.settimeout(8)
got = 0
import threading
threading.Thread(target=s.sendall, args=(data,), daemon=True).start()
while got < len(data):
    n = len(s.recv(65536))
    if not n: break
    got += n
print(got == len(data), s.getsockopt(socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP, 24 if six else 14))
"""


@pytest.mark.parametrize("family", (4, 6))
def test_packet_too_big(boxes, family):
    """A router with a small MTU behind the host: its errors reach the box; and the host's own, for what comes in to a box."""
    six = family == 6
    boxes.have(record(1, "publish 8001:7001\n", nat="yes"), record(2), record(3))
    flag = ("-6",) if six else ()
    try:
        # far: a route of the host with a small MTU. The error is the host's own.
        far = ADDRESSES["far"][six]
        netapp.ip(*flag, "route", "add", far, "via", ADDRESSES["outside"][six], "mtu", "1300")
        done = netapp.inside("box1", "python3", "-c", BIG, far, "7001")
        assert done.stdout.split() == ["True", "1300"]
        # the other direction: from outside by way of a published port, the route to the box being small
        netapp.ip(*flag, "route", "change", ADDRESSES["box1"][six], "dev", "nsb1", "mtu", "1300")
        done = netapp.inside("outside", "python3", "-c", BIG, ADDRESSES["host"][six], "8001")
        assert done.stdout.split() == ["True", "1300"]
    finally:
        run("ip", *flag, "route", "del", ADDRESSES["far"][six], check=False)
        netapp.ip(*flag, "route", "change", ADDRESSES["box1"][six], "dev", "nsb1")
        for ns in ("box1", "outside"):
            netapp.ip(*flag, "route", "flush", "cache", ns=ns)


@pytest.mark.parametrize("family", (4, 6))
def test_time_exceeded_comes_back(boxes, family):
    """Related errors get in: traceroute from a box works."""
    six = family == 6
    boxes.have(record(1, nat="yes"), record(2), record(3))
    code = r"""
import socket, sys, select
six = ":" in sys.argv[1]
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(*((socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 1) if six else (socket.IPPROTO_IP, socket.IP_TTL, 1)))
s.setsockopt(*((socket.IPPROTO_IPV6, 25, 1) if six else (socket.IPPROTO_IP, 11, 1)))
s.connect((sys.argv[1], 7001))
s.send(b"x")
p = select.poll(); p.register(s, 0)
print(bool(p.poll(2000)), s.recvmsg(100, 1000, socket.MSG_ERRQUEUE)[1][0][2][5])
"""
    assert netapp.inside("box1", "python3", "-c", code, ADDRESSES["outside"][six]).stdout.split() == ["True", "3" if six else "11"]


PUSH = r"""
import socket, sys, time
s = socket.create_connection((sys.argv[1], 7001), 5)
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 262144)
begin, n, data = time.monotonic(), 0, b"x" * 16384
seconds = float(sys.argv[2])
mark = None
s.settimeout(20)
while time.monotonic() - begin < seconds:
    n += s.send(data)
    if mark is None and time.monotonic() - begin > 2.5:
        mark = time.monotonic(), n
print((n - mark[1]) * 8 / (time.monotonic() - mark[0]))
"""


@pytest.mark.parametrize("mbit", (2, 8, 100))
def test_rate(clean, request, mbit):
    """TCP from the box gets its rate; a pause before may have saved a second's worth and the burst, and the socket holds some."""
    app("up", record(1, rate=mbit * 1000000), record(2))
    rate = float(netapp.inside("box1", "python3", "-c", PUSH, ADDRESSES["outside"][0], "8").stdout) / 1e6
    request.config.nsbox_summary = [*getattr(request.config, "nsbox_summary", ()), f"rate {mbit} Mbit: TCP gets {rate:.2f} Mbit"]
    saved = mbit + 8 * (131072 + 262144) / 1e6
    assert 0.6 * mbit < rate < 1.05 * mbit + saved / 5.5


# Begins some to each address one after the other and keeps them: how many of them are answered, and how many of all once more.
BEGIN = r"""
import socket, sys
protocol, port, kept = sys.argv[1], int(sys.argv[2]), []
def asked(s):
    try:
        s.send(b"echo")
        return s.recv(100) != b""
    except OSError:
        return False
for address, number in zip(sys.argv[3::2], map(int, sys.argv[4::2])):
    before = len(kept)
    for i in range(number):
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
        s.settimeout(1)
        s.bind(("", port))
        port += 1
        try:
            s.connect((address, 7001))
        except OSError:
            continue
        if asked(s):
            kept.append(s)
    print(len(kept) - before)
print(sum(map(asked, kept)))
"""


BEGIN_PORTS = itertools.count(10000, 100)


def begun(name, protocol, *wanted):
    """Each socket has a port that none had before: by chance it would now and then be one whose datagrams are an old connection's, which
    goes on."""
    arguments = map(str, (protocol, next(BEGIN_PORTS), *wanted))
    *each, again = map(int, netapp.inside(name, "python3", "-c", BEGIN, *arguments).stdout.split())
    assert again == sum(each)
    return each


@pytest.mark.parametrize("family", (0, 1))
@pytest.mark.parametrize("protocol", ("tcp", "udp"))
def test_connections(clean, family, protocol):
    """So many and no more, to the outside and to the host together; those that are there go on. The other family and another box have
    their own, and the next one with the address begins at none."""
    lines = "allow host:7001\n"
    here, outside = ADDRESSES["host"], ADDRESSES["outside"]
    app("up", record(1, lines, connections=20), record(2, lines))
    assert begun("box1", protocol, here[family], 8, outside[family], 20, here[family], 4, outside[1 - family], 4) == [8, 12, 0, 4]
    # of TCP those that have ended do not count; when a datagram was the last one nobody knows
    assert begun("box1", protocol, outside[family], 20) == [20 if protocol == "tcp" else 0]
    assert begun("box2", protocol, outside[family], 40) == [40]
    app("down", record(1, lines, connections=20))
    app("up", record(1, lines, connections=20))
    assert begun("box1", protocol, outside[family], 30) == [20]


def test_refused_connections_do_not_count(clean):
    app("up", record(1, connections=20))
    assert begun("box1", "udp", ADDRESSES["host"][0], 40, ADDRESSES["outside"][0], 20) == [0, 20]


# ---- who has the address next ----

def flows(address):
    return [line for line in pathlib.Path("/proc/net/nf_conntrack").read_text().splitlines() if f"={expanded(address)} " in line]


def expanded(address):
    import ipaddress
    return ipaddress.ip_address(address).exploded


TALK = r"""
import socket, sys
kind, where, port, local = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
s = socket.socket(socket.AF_INET6 if ":" in where else socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
s.settimeout(1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", local))
s.connect((where, port))
for line in iter(sys.stdin.readline, ""):
    try:
        s.send(b"question")
        print(s.recv(200).decode().strip(), flush=True)
    except OSError as e:
        print(type(e).__name__, flush=True)
"""


class Talk:
    """A UDP socket that stays, and asks when it is told to."""

    def __init__(self, ns, where, port, local=5555):
        self.process = host.end_with_test(subprocess.Popen(
            (["ip", "netns", "exec", ns] if ns else []) + ["python3", "-c", TALK, "udp", where, str(port), str(local)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))

    def ask(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.mark.parametrize("family", (4, 6))
def test_connections_are_not_inherited(clean, family):
    """Neither what the dead box might do, nor who had connected to it, is the next one's with the same address."""
    six = family == 6
    app("up", record(1, "publish 8002:7002/udp\n", nat="yes"))
    out = Talk("box1", ADDRESSES["outside"][six], 7001)
    into = Talk("outside", ADDRESSES["host"][six], 8002)
    assert is_answer(out.ask(), "outside") and is_answer(into.ask(), "box1")
    assert len(flows(ADDRESSES["box1"][six])) >= 2
    # the record was lost, or down was killed: a new box with the same address, which may do nothing
    no_tables()
    app("up", record(1, "deny any\n"))
    assert not is_answer(out.ask()) and not is_answer(into.ask())
    assert flows(ADDRESSES["box1"][six]) == [] or not any("ASSURED" in line for line in flows(ADDRESSES["box1"][six]))
    # the same in order
    no_tables()
    app("up", record(1, "publish 8002:7002/udp\n", nat="yes"))
    out.end()
    into.end()  # from another port, because to the host the port was not published when it asked last
    out = Talk("box1", ADDRESSES["outside"][six], 7001, 5556)
    into = Talk("outside", ADDRESSES["host"][six], 8002, 5556)
    assert is_answer(out.ask(), "outside") and is_answer(into.ask(), "box1")
    run("ip", "link", "set", "nsb1", "name", "gone1")
    try:
        app("down", record(1, "publish 8002:7002/udp\n", nat="yes"))
    finally:
        run("ip", "link", "set", "gone1", "name", "nsb1")
    assert flows(ADDRESSES["box1"][six]) == []
    out.end()
    into.end()


def test_other_connections_stay(clean):
    """Those of other boxes, and of the host."""
    app("up", record(1), record(2))
    two, here = Talk("box2", ADDRESSES["outside"][0], 7001), Talk(None, ADDRESSES["outside"][0], 7001)
    assert is_answer(two.ask()) and is_answer(here.ask())
    before = len(flows(ADDRESSES["box2"][0])), len(flows(ADDRESSES["host"][0]))
    no_tables()
    app("up", record(1))
    assert before == (len(flows(ADDRESSES["box2"][0])), len(flows(ADDRESSES["host"][0])))
    two.end()
    here.end()


def resting():
    return set(re.findall(r"[\da-f:.]+(?= expires)", " ".join(re.findall(r"set rest[46] \{[^}]*?elements = \{([^}]*)\}", ruleset()))))


def requests_of_up(text):
    """How many `up` makes: the first one that need not succeed. It is up afterwards."""
    for number in range(10):
        FAULT.write_text(f"request {number}\n")
        result = app("up", text, check=False)
        FAULT.unlink()
        if result.rc == 0:
            return number
    raise AssertionError("it never succeeds")


def test_an_address_rests(clean):
    """After a logout in order nobody connects to the address, or in its name; so the next one who has it need not look at all
    connections. From the link of box1, which is still there, comes whoever sends in its name."""
    both = set(ADDRESSES["box1"])
    app("up", record(2, "allow boxes\nallow any\n"))
    assert requests_of_up(record(1)) == 3
    app("down", record(1))
    assert resting() == both
    questions = [(protocol, address, 7001) for address in both for protocol in ("tcp", "udp", "icmp")]
    for name in (None, "outside", "box2"):
        assert not any(map(is_answer, netapp.ask(name, questions))), name
    assert not any(map(is_answer, netapp.ask("box1", [(protocol, address, 7001) for protocol, address in itertools.product(
        ("tcp", "udp", "icmp"), (*ADDRESSES["outside"], *ADDRESSES["host"], *ADDRESSES["box2"]))])))
    assert flows(ADDRESSES["box1"][0]) == [] and flows(ADDRESSES["box1"][1]) == []
    assert requests_of_up(record(1)) == 2
    assert is_answer(netapp.ask_one("box1", "udp", ADDRESSES["outside"][0])) and is_answer(netapp.ask_one("box1", "tcp", ADDRESSES["outside"][1]))


FREEBIND = r"""
import socket, sys
six = ":" in sys.argv[1]
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP, 78 if six else 15, 1)
s.settimeout(0.5)
try:
    s.bind((sys.argv[1], 7001))
    s.sendto(b"in its name", (sys.argv[2], 7001))
    print("sent")
except OSError as e:
    print(type(e).__name__)
"""


@pytest.mark.parametrize("state", ("alive", "resting"))
@pytest.mark.parametrize("family", (0, 1))
def test_a_user_of_the_host_sends_in_its_name(clean, family, state):
    """With IPv6 anybody may choose a source that is not there (IPV6_FREEBIND): what outside answers would be the box's connection."""
    app("up", record(1, "deny any\n"))
    if state == "resting":
        app("down", record(1, "deny any\n"))
    box, outside = ADDRESSES["box1"][family], ADDRESSES["outside"][family]
    result = host.run("setpriv", "--reuid=2001", "--clear-groups", "python3", "-c", FREEBIND, box, outside)
    assert result.out in ("PermissionError\n", "OSError\n"), result
    assert flows(box) == []


@pytest.mark.parametrize("family", (4, 6))
def test_an_address_that_does_not_rest_any_more(clean, family):
    """Its time is over: who has connected since is forgotten."""
    six = family == 6
    app("up", record(1))
    app("down", record(1))
    run("nft", "delete", "element", "inet", "nsbox", f"rest{family}", f"{{ {ADDRESSES['box1'][six]} }}")
    into = Talk("outside", ADDRESSES["box1"][six], 7001)
    assert is_answer(into.ask(), "box1") and flows(ADDRESSES["box1"][six])
    app("up", record(1))
    assert flows(ADDRESSES["box1"][six]) == []
    assert not is_answer(into.ask())
    into.end()


def rest_for(address, words):
    name = "rest6" if ":" in address else "rest4"
    run("nft", "-f", "-", text=f"delete element inet nsbox {name} {{ {address} }}\nadd element inet nsbox {name} {{ {address} timeout {words} }}\n")


@pytest.mark.parametrize("words, requests", (("59s", 3), ("900ms", 3), ("62s", 2), ("1h", 2), ("2d", 2)))
def test_time_that_is_left(clean, words, requests):
    """What would end meanwhile does not count; with a logout it begins anew."""
    app("up", record(2), record(1))
    app("down", record(1))
    rest_for(ADDRESSES["box1"][1], words)
    assert requests_of_up(record(1)) == requests
    app("down", record(1))
    assert resting() == set(ADDRESSES["box1"]) and len(re.findall(r"expires (?:59m|1h)", ruleset())) == 2


def test_a_dead_box_does_not_rest(clean):
    """Its record was lost, and what it had is found by the next one, which looks at the connections; also if that one fails somewhere."""
    for number in range(60):
        app("down", record(1, "deny any\n"))
        app("up", record(2), record(1))
        out = Talk("box1", ADDRESSES["outside"][0], 7001, 6000 + number)
        assert is_answer(out.ask())
        FAULT.write_text(f"request {number}\n")
        failed = app("up", record(1, "deny any\n"), check=False).rc != 0
        FAULT.unlink()
        if failed:
            app("up", record(1, "deny any\n"))
        assert not is_answer(out.ask()) and not any("ASSURED" in line for line in flows(ADDRESSES["box1"][0]))
        out.end()
        app("down", record(2))
        if not failed:
            break
    assert number > 30  # all sets are looked at


@pytest.mark.parametrize("what", ("box4", "links", "table"))
def test_what_was_open_does_not_rest(clean, what):
    """Where an element by which the box is known was missing, its addresses were open."""
    app("up", record(2), record(1))
    app("down", record(1))
    app("up", record(1))
    assert resting()
    if what == "table":
        no_tables()
        app("up", record(2))
        assert resting() == set()
    else:
        run("nft", "delete", "element", "inet", "nsbox", what, "{ %s }" % (ADDRESSES["box1"][0] if what == "box4" else '"nsb1"'))
    app("down", record(1))
    assert resting() == set()


def test_who_is_refused_for_a_port_goes_on_resting(clean):
    app("up", record(2, "publish 8002:7002\n"), record(1))
    app("down", record(1))
    assert app("up", record(1, "publish 8002:7002\n"), check=False).out == "EADDRINUSE\n"
    assert resting() == set(ADDRESSES["box1"])


# ---- what an administrator has ----

OWN = """
table inet filter {
	set blocked {
		type ipv4_addr
		elements = { 203.0.113.7 }
	}

	chain forward {
		type filter hook forward priority filter + 10; policy drop;
		ct state established,related accept
		ip daddr 192.0.2.2 tcp dport 7002 drop
		ip saddr 10.9.0.0/24 accept
	}
}
table ip nat {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 172.16.0.0/12 masquerade
	}
}
"""


def test_an_administrators_rules(clean):
    """They stay as they are, byte for byte, and what they drop is dropped."""
    run("nft", "-f", "-", text=OWN)
    before = ruleset()
    try:
        app("up", record(1, "allow any\n", nat="yes"), record(2))
        assert others() == before
        assert is_answer(ask_one("box1", "tcp", ADDRESSES["outside"][0], 7001))
        assert ask_one("box1", "tcp", ADDRESSES["outside"][0], 7002) == "TIMEOUT"
        assert ask_one("box1", "tcp", ADDRESSES["outside"][1], 7001) == "TIMEOUT"  # their policy, which knows no IPv6
        app("rules", record(1, "allow any\n", nat="yes"), record(2))
        assert others() == before
        no_tables()
        assert ruleset() == before
    finally:
        run("nft", "flush", "ruleset")


def test_others_packets(clean, lab):
    """Who is no box is forwarded, or not, as before: box3 stands for one without rules."""
    for up in (False, True):
        if up:
            app("up", record(1), record(2))
        for family in (0, 1):
            assert is_answer(ask_one("box3", "tcp", ADDRESSES["outside"][family]))
            assert is_answer(ask_one("box3", "tcp", ADDRESSES["host"][family]))
            assert is_answer(ask_one("outside", "tcp", ADDRESSES["box3"][family]))
        assert is_answer(ask_one("box3", "tcp", ADDRESSES["box2"][0])) is not up


# ---- life ----

RICH = "allow host:22/tcp\nallow boxes\nallow 10.0.0.0/8:80-90\nallow [fd00::/8]:443/tcp\ndeny any:25\ndeny any/icmp\npublish 9001:80\npublish 9001:53/udp\n"


def strange(number, lines="", **options):
    """The record of a box that has no link here."""
    return record(number + 100, lines, addresses=(f"10.8.{number // 250}.{number % 250 + 2}", f"fd00:8::{number + 2:x}"), **options)


def test_down_leaves_nothing(clean):
    app("up", strange(1, RICH, nat="yes", rate=8000000))
    assert len(elements()) > 12 and "limit rate over 1000000 bytes/second" in elements()["rates"]
    app("down", strange(1, RICH, nat="yes", rate=8000000))
    assert elements() == {}
    app("down", strange(1, RICH, nat="yes", rate=8000000))  # idempotent
    no_tables()
    app("down", strange(1, RICH, nat="yes", rate=8000000))


def test_down_of_a_half(clean):
    """Whatever part is there: each element is removed by hand once, the rest by down."""
    text = strange(1, RICH, nat="yes", rate=8000000)
    app("up", text, strange(2))
    before = elements()
    for name, content in before.items():
        for element in content.split(","):
            if "10.8.0.4" in element or "fd00:8::4" in element or "nsb102" in element:
                continue
            run("nft", "delete", "element", "inet", "nsbox", name, "{", element.strip(), "}")
            app("down", text)
            assert elements() == elements_of_two(), (name, element)
            app("up", text)
    app("down", text, strange(2))
    assert elements() == {}


def elements_of_two():
    return {name: text for name, text in elements().items()
            if name in ("links", "own4", "own6", "box4", "box6") and "10.8.0.3" not in text and "nsb101" not in text}


def test_renew(clean):
    text = strange(1, RICH, nat="yes", rate=8000000)
    app("up", text, strange(2))
    before = ruleset()
    app("rules", text)
    assert ruleset() == before
    run("nft", "flush", "ruleset")
    app("rules", text, strange(2))
    assert sorted(ruleset().split()) == sorted(before.split())
    run("nft", "delete", "element", "inet", "nsbox", "box4", "{ 10.8.0.3 }")
    run("nft", "delete", "element", "inet", "nsbox", "publish4", "{ tcp . 9001 }")
    app("rules", text)
    assert sorted(ruleset().split()) == sorted(before.split())


def test_connections_of_the_time_without_rules(clean):
    """Who connected to a box while its rules had been flushed is cut off when they are there again."""
    app("up", record(1))
    run("nft", "flush", "ruleset")
    run("nft", "add", "table", "inet", "other")
    run("nft", "-f", "-", text="table inet other { chain c { type filter hook forward priority 0; ct state new accept; }; }")
    into = Talk("outside", ADDRESSES["box1"][0], 7002)
    assert is_answer(into.ask(), "box1")
    app("rules", record(1))
    assert not is_answer(into.ask())
    into.end()
    run("nft", "delete", "table", "inet", "other")


@pytest.mark.parametrize("port,protocol", ((9001, "tcp"), (9002, "udp")))
def test_a_port_is_taken(clean, port, protocol):
    app("up", strange(1, "publish 9001:80\npublish 9002:80/udp\n"))
    before = ruleset()
    result = app("up", strange(2, f"publish {port}:81/{protocol}\n"), check=False)
    assert result.out == "EADDRINUSE\n"
    assert f"port {port}/{protocol} " in result.err and result.err.count("\n") == 1
    assert ruleset() == before
    app("up", strange(2, f"publish {port}:81/{'udp' if protocol == 'tcp' else 'tcp'}\n"))


def test_a_strange_table(clean):
    run("nft", "-f", "-", text="table inet nsbox { set box4 { type ipv4_addr; }; chain forward { }; }")
    before = ruleset()
    for verb in ("up", "rules"):
        result = app(verb, strange(1), check=False)
        assert result.out == "ESTALE\n" and "nft delete table" in result.err and result.err.count("\n") == 1
    assert ruleset() == before
    no_tables()
    # the names of the sets, with other types
    run("nft", "-f", "-", text="table inet nsbox { set layout_2 { type mark; }; set links { type inet_service; }; }")
    result = app("up", strange(1), check=False)
    assert result.out == "ESTALE\n", result


def test_leftovers_of_a_dead_box(clean):
    """Its `allow` is not the new box's."""
    app("up", strange(1, RICH, nat="yes", rate=1000000), strange(2, RICH.replace("9001", "9002")))
    app("up", strange(1))
    left = elements()
    assert all("10.8.0.3" not in text and "fd00:8::3" not in text for name, text in left.items() if name not in ("own4", "own6", "box4", "box6"))
    assert left["nat4"] if "nat4" in left else True
    assert "10.8.0.4" in left["allow4"] and "10.8.0.4" in left["publish4"] and "nsb101" not in left.get("rates", "")
    app("down", strange(1), strange(2, RICH.replace("9001", "9002")))
    assert elements() == {}


def test_each_request_fails_once(clean):
    """Before the table is there, and when it is; up leaves nothing of the box, whichever fails."""
    text = strange(1, RICH, nat="yes", rate=8000000)
    for table in (False, True):
        failed = 0
        for number in range(40):
            no_tables()
            if table:
                app("up", strange(2))
            before = elements()
            FAULT.write_text(f"request {number}\n")
            result = app("up", text, check=False)
            FAULT.unlink()
            if result.rc == 0:
                break
            assert result.out == "EIO\n" and result.err.count("\n") == 1, result
            assert elements() == before
            failed += 1
        assert failed == (3 if table else 5)  # does it rest, a try, a look at the tables, both in one, connections


def test_down_with_a_failed_request(clean):
    """It goes on with the rest, and the next time removes that too."""
    text = strange(1, RICH, nat="yes", rate=8000000)
    for number in range(4):
        app("up", text)
        FAULT.write_text(f"request {number}\n")
        app("down", text, check=False)
        FAULT.unlink()
        app("down", text)
        assert elements() == {}


def test_prints_nothing(clean):
    """The library has no word on standard output or error but ours."""
    text = strange(1, RICH)
    result = app("up", text)
    assert re.fullmatch(r"\d+\n", result.out) and result.err == ""
    result = app("rules", text)
    assert re.fullmatch(r"\d+\n", result.out) and result.err == ""
    no_tables()
    result = app("down", text)
    assert re.fullmatch(r"\d+\n", result.out) and result.err == ""


def test_without_privileges(clean):
    RECORDS.mkdir(exist_ok=True)
    RECORDS.chmod(0o755)
    path = RECORDS / "plain"
    path.write_text(strange(1))
    result = host.run("setpriv", "--reuid=2001", "--clear-groups", APP, "up", str(path))
    assert result.out == "EPERM\n" and "Operation not permitted" in result.err.splitlines()[-1]


def test_first_boxes_at_once(clean):
    """Twenty find no table, and make one."""
    RECORDS.mkdir(exist_ok=True)
    for turn in range(host.count(20, 3)):
        no_tables()
        processes = []
        for i in range(20):
            path = RECORDS / f"first-{i}"
            path.write_text(strange(i, "deny any:25\npublish %d:80\n" % (9000 + i)))
            processes.append(subprocess.Popen([APP, "up", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        for process in processes:
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, (turn, out, err)
        assert all(f"10.8.0.{i + 2}" in elements()["box4"] for i in range(20))
        # and twenty last ones
        processes = [subprocess.Popen([APP, "down", str(RECORDS / f"first-{i}")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                     for i in range(20)]
        for process in processes:
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, (turn, out, err)
        assert elements() == {}


@pytest.mark.timeout(900)
def test_a_thousand_boxes(clean, request):
    """The last costs what the first costs, with rules, ports and a rate. (A logout is not waited for, and the kernel copies what the sets
    of allow and deny hold whenever one is removed.)"""
    texts = [strange(i, f"allow host:22/tcp\nallow 10.0.0.0/8:80-90\ndeny any:25\npublish {10000 + i}:80\n", nat="yes", rate=8000000).replace(
        f"id aaaaaaa{i + 100:03d}", f"id aaaaaa{i + 100:04d}").replace(f"link nsb{i + 100}", f"link nsb{i + 100}").replace(
        f"{i + 100:02x}:01\n", "01:01\n").replace(f"{i + 100:02x}:02\n", "01:02\n") for i in range(host.count(1000, 250))]
    lines = []

    def middle(values):
        return sorted(values)[len(values) // 2] / 1000

    for verb, order in (("up", texts), ("rules", texts[:10] + texts[-10:]), ("down", texts[::-1])):
        times = [int(word) for word in app(verb, *order, timeout=400).out.split()]
        first, last = middle(times[:10]), middle(times[-10:])
        lines.append(f"{verb}: {first:.1f} ms for each of the first 10, {last:.1f} ms for each of the last 10 of {len(times)}")
        if verb == "up":
            assert last < 2 * first + 10 * host.PATIENCE
    request.config.nsbox_summary = [*getattr(request.config, "nsbox_summary", ()), *lines]
    assert elements() == {}


# ---- bridges ----

BRIDGED = {"station": ("172.20.0.9", "fd00:20::9"), "host": ("172.20.0.1", "fd00:20::1"), "box1": ("172.20.0.2", "fd00:20::2")}


@pytest.fixture(scope="module")
def bridge(lab):
    """br0 of the host, with a station and a box as ports; IP's hooks do not see what is only bridged."""
    for name in ("iptables", "ip6tables", "arptables"):
        path = pathlib.Path(f"/proc/sys/net/bridge/bridge-nf-call-{name}")
        if path.exists():
            path.write_text("0\n")
    run("ip", "link", "add", "br0", "type", "bridge")
    for number, (ns, link) in enumerate((("station", "st0"), ("bbox", "nsb51")), 1):
        run("ip", "netns", "add", ns)
        run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "address", netapp.mac(50, number), "netns", ns)
        run("ip", "link", "set", link, "master", "br0", "up")
        netapp.ip("link", "set", "eth0", "up", ns=ns)
        four, six = BRIDGED["station" if ns == "station" else "box1"]
        netapp.ip("addr", "add", f"{four}/24", "dev", "eth0", ns=ns)
        netapp.ip("addr", "add", f"{six}/64", "dev", "eth0", "nodad", ns=ns)
    run("ip", "addr", "add", "172.20.0.1/24", "dev", "br0")
    run("ip", "addr", "add", "fd00:20::1/64", "dev", "br0", "nodad")
    run("ip", "link", "set", "br0", "up")
    lab.answer("station")
    lab.answer("bbox")
    for family in (0, 1):
        host.wait_until(lambda: is_answer(ask_one("bbox", "tcp", BRIDGED["station"][family])), timeout=20)
    yield "bbox"
    for ns in ("station", "bbox"):
        run("ip", "netns", "del", ns)
    run("ip", "link", "del", "br0")


def bridged(lines="", rate=0):
    return record(51, lines, rate=rate, kind="bridge", addresses=BRIDGED["box1"]).replace("box_mac 02:00:00:00:33:02", f"box_mac {netapp.mac(50, 2)}")


STATION_NET = "172.20.0.0/24", "fd00:20::/64"
BRIDGE_CASES = {
    "default": ("", ALL, NONE),
    "allow host": ("allow host:7001/tcp\n", ALL, TCP),
    "deny any": ("deny any\n", NONE, NONE),
    "deny port": ("deny any:7001/tcp\n", ALL - TCP, NONE),
    "allow network": (rule("allow", STATION_NET, ":7001", "/udp") + "deny any\n", UDP, NONE),
}


@pytest.mark.parametrize("family", (4, 6))
@pytest.mark.parametrize("name", BRIDGE_CASES)
def test_from_a_box_on_a_bridge(clean, bridge, name, family):
    lines, station, here = BRIDGE_CASES[name]
    app("up", bridged(lines))
    six = family == 6
    for target, wanted in (("station", station), ("host", here)):
        protocols = sorted(ALL)
        got = dict(zip(protocols, ask("bbox", [(p, BRIDGED[target][six], 7001) for p in protocols])))
        assert {p for p in protocols if is_answer(got[p])} == set(wanted), (target, got)
    assert not is_answer(ask_one(None, "tcp", BRIDGED["box1"][six]))  # the host's own processes


def arp(mac, address, of=1):
    import ipaddress
    return (bytes.fromhex("00010800060400") + bytes((of,)) + bytes.fromhex(mac.replace(":", "")) + ipaddress.ip_address(address).packed +
            b"\0" * 6 + ipaddress.ip_address(BRIDGED["station"][0]).packed + b"forged")


OWN_MAC, ALL_MACS, OTHER_MAC = netapp.mac(50, 2), "ff:ff:ff:ff:ff:ff", "02:00:00:00:77:77"


def advertisement(target):
    import ipaddress
    return icmp6(BRIDGED["box1"][1], BRIDGED["station"][1], bytes((136, 0, 0, 0, 0x20, 0, 0, 0)) + ipaddress.ip_address(target).packed + b"\2\1forged")


def bridge_frames():
    """name: (frame, whether it passes)"""
    four, six = BRIDGED["box1"]
    to4, to6 = BRIDGED["station"]
    return {
        "own": (ether(ALL_MACS, OWN_MAC, "0800", udp(four, to4)), 1),
        "own ipv6": (ether(ALL_MACS, OWN_MAC, "86dd", udp(six, to6)), 1),
        "mac": (ether(ALL_MACS, OTHER_MAC, "0800", udp(four, to4)), 0),
        "ip": (ether(ALL_MACS, OWN_MAC, "0800", udp("172.20.0.7", to4)), 0),
        "ipv6": (ether(ALL_MACS, OWN_MAC, "86dd", udp("fd00:20::7", to6)), 0),
        "arp own": (ether(ALL_MACS, OWN_MAC, "0806", arp(OWN_MAC, four)), 1),
        "arp ip": (ether(ALL_MACS, OWN_MAC, "0806", arp(OWN_MAC, "172.20.0.1", 2)), 0),
        "arp mac": (ether(ALL_MACS, OWN_MAC, "0806", arp(OTHER_MAC, four, 2)), 0),
        "na own": (ether(ALL_MACS, OWN_MAC, "86dd", advertisement(six)), 1),
        "na other": (ether(ALL_MACS, OWN_MAC, "86dd", advertisement("fd00:20::1")), 0),
        "ra": (ether(ALL_MACS, OWN_MAC, "86dd", icmp6(six, "ff02::1", bytes((134, 0, 0, 0)) + b"\0" * 12 + b"forged")), 0),
        "dhcp": (ether(ALL_MACS, OWN_MAC, "0800", udp(four, to4, ports=(67, 68))), 0),
        "dhcp6": (ether(ALL_MACS, OWN_MAC, "86dd", udp(six, to6, ports=(547, 546))), 0),
        "vlan": (ether(ALL_MACS, OWN_MAC, "8100", bytes.fromhex("00050800") + udp(four, to4)), 0),
        "other type": (ether(ALL_MACS, OWN_MAC, "88b5", b"forged" + b"\0" * 50), 0),
    }


@pytest.mark.parametrize("name", bridge_frames())
def test_forged_on_a_bridge(clean, bridge, name):
    frame, wanted = bridge_frames()[name]
    app("up", bridged())
    sniffer = Sniffer("station", "eth0")
    forge("bbox", "eth0", frame)
    ask_one("bbox", "tcp", BRIDGED["station"][0])
    assert sniffer.count() == wanted


def test_rate_on_a_bridge(clean, bridge):
    app("up", bridged(rate=8000000))
    rate = float(netapp.inside("bbox", "python3", "-c", PUSH, BRIDGED["station"][0], "8").stdout) / 1e6
    assert 0.6 * 8 < rate < 1.3 * 8  # a part of the first second's burst is in it


def test_bridge_after_veth(clean, bridge):
    """The second table is made when the first one has been there for long."""
    app("up", strange(1))
    assert "table bridge nsbox" not in ruleset()
    app("up", bridged("deny any\n"))
    assert "table bridge nsbox" in ruleset()
    run("ip", "link", "set", "nsb51", "name", "gone51")
    try:
        app("down", bridged("deny any\n"), strange(1))
    finally:
        run("ip", "link", "set", "gone51", "name", "nsb51")
    assert elements() == {}
