# SPDX-License-Identifier: BSD-3-Clause
"""What root of a box, with all capabilities over its own network namespace, and an accomplice outside tried against the rules and links
of nsbox-net. Records as in test_net_links.py, but with the rules in place."""
import ipaddress
import json
import pathlib
import shutil
import subprocess
import time

import pytest

from lib import host
from lib.refusal import LIBEXEC

from test_net_links import ADDRESSES, Namespace, Record, box, here, lan, namespace, pings  # noqa: F401  pylint: disable=unused-import

ON_BRIDGE = {"addresses": ("198.51.100.70", "2001:db8:1::70"), "pools": ("198.51.100.64/26", "2001:db8:1::40/122"), "bridge": "br0"}
LLDP = "0180c200000e"  # a bridge hands frames for these to the port that they came by
STP = "0180c2000000"

# argv: LINK FRAME-IN-HEX [COUNT]
SEND = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
for frame in sys.argv[2:]:
    s.send(bytes.fromhex(frame))
"""


def up(where, record, inside):
    """What is only bridged is not the IP layer's."""
    for name in ("iptables", "ip6tables"):
        where.run("sh", "-c", f"echo 0 >/proc/sys/net/bridge/bridge-nf-call-{name}")
    result = record.run(where, "up", inside)
    assert result.rc == 0 and result.err == "", result


def checksum(data):
    total = sum(int.from_bytes(data[i:i + 2].ljust(2, b"\0"), "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def four(text):
    return bytes(map(int, text.split(".")))


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def udp(source, target, sport, dport, data=b"forged"):
    """An IPv4 packet."""
    inner = sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + (8 + len(data)).to_bytes(2, "big") + b"\0\0" + data
    head = b"\x45\0" + (20 + len(inner)).to_bytes(2, "big") + b"\0\1\0\0\x40\x11\0\0" + four(source) + four(target)
    return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + inner


def send(where, link, *frames):
    where.run("python3", "-c", SEND, link, *(frame.hex() for frame in frames), check=True)


def listen(where, port, act, kind="udp", address="0.0.0.0"):
    """What a UDP service of that namespace hears while act() is run."""
    program = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("{address}", {port}))
print("ready", flush=True)
s.settimeout(1.5)
try:
    print(s.recvfrom(100))
except TimeoutError:
    print("nothing")
"""
    process = subprocess.Popen(["ip", "netns", "exec", where.name, "python3", "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    act()
    return process.communicate(timeout=20)[0].strip()


# ---- a box on a bridge ----

@pytest.mark.parametrize("target", (LLDP, STP))
@pytest.mark.parametrize("stp", (0, 1))
def test_forged_mac_is_not_learned(here, box, lan, target, stp):
    """Frames for a link-local group do not pass the bridge's prerouting hook, but their source was learned."""
    record = Record(1, link="nsb1", **ON_BRIDGE)
    here.ip("link", "set", "br0", "type", "bridge", "stp_state", str(stp), "forward_delay", "200")
    up(here, record, box)
    time.sleep(5 if stp else 0)
    victim = lan.links()["lan0"]["address"]
    assert pings(lan, "198.51.100.1")
    send(box, "eth0", bytes.fromhex(target) + mac(victim) + b"\x88\xcc" + bytes(46))
    learned = here.run("bridge", "-j", "fdb", "show", "br", "br0", check=True).out
    assert [e["ifname"] for e in json.loads(learned) if e["mac"] == victim] == ["port0"]
    assert pings(lan, "198.51.100.70") and pings(box, "198.51.100.254")
    record.down(here)


@pytest.mark.parametrize("target", (LLDP, STP))
@pytest.mark.parametrize("stp", (0, 1))
def test_packets_do_not_come_by_the_port_itself(here, box, lan, target, stp):
    """Nor is what is in such a frame a packet for the host, from whatever address."""
    record = Record(1, link="nsb1", **ON_BRIDGE)
    here.ip("link", "set", "br0", "type", "bridge", "stp_state", str(stp), "forward_delay", "200")
    up(here, record, box)
    for rp_filter in ("all", "default", "nsb1"):
        here.sysctl(f"net/ipv4/conf/{rp_filter}/rp_filter", 0)
    time.sleep(5 if stp else 0)
    for source in ("203.0.113.5", "198.51.100.254", "198.51.100.70"):
        frame = bytes.fromhex(target) + mac(record.box_mac) + b"\x08\0" + udp(source, "198.51.100.1", 53, 7777)
        assert listen(here, 7777, lambda f=frame: send(box, "eth0", f)) == "nothing", source
    record.down(here)


# ---- a box with veth ----

@pytest.mark.parametrize("kind, target", (("veth", "ffffffffffff"), ("bridge", LLDP)))
def test_neighbours_of_the_host_are_not_filled(here, box, lan, kind, target):
    """ARP is no business of the rules: with requests from addresses of anybody a box filled the host's table of neighbours."""
    record = Record(1, link="nsb1", **(ON_BRIDGE if kind == "bridge" else {}))
    up(here, record, box)
    for name in ("all", "nsb1"):
        here.sysctl(f"net/ipv4/conf/{name}/rp_filter", 0)
    source = mac(record.box_mac)
    frames = [bytes.fromhex(target) + source + b"\x08\x06" + b"\0\1\x08\0\6\4\0\1" + source + bytes((10, 9, i, 7)) + bytes(6) +
              four("192.0.2.1") for i in range(50)]
    send(box, "eth0", *frames)
    time.sleep(0.2)
    entries = here.run("ip", "neigh", "show", "dev", "nsb1", check=True).out.splitlines()
    assert len(entries) <= 2, entries
    for address in ("192.0.2.2", "2001:db8::2") if kind == "veth" else ("198.51.100.254", "2001:db8:1::254"):
        assert pings(box, address), address
    record.down(here)


# ---- connections from before ----

# a service of the host, which answers
ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 7777))
print("ready", flush=True)
s.settimeout(6)
try:
    while True:
        data, who = s.recvfrom(100)
        print(data, who, flush=True)
        s.sendto(b"answer", who)
except TimeoutError:
    pass
"""


def test_connection_that_waits_for_the_box(here, box):
    """An accomplice outside sends to a service of the host from the address that the box will have. The box takes it up."""
    record = Record(1, link="nsb1")
    for name in ("all", "default", "up0"):
        here.sysctl(f"net/ipv4/conf/{name}/rp_filter", 0)
    here.ip("route", "add", "default", "via", "192.0.2.2")
    other = Record(2, link="nsb2", addresses=("10.213.0.8",), pools=("10.213.0.0/16",))
    # another box makes the table, as on a host in use
    second = Namespace("second")
    try:
        up(here, other, second)
        process = subprocess.Popen(["ip", "netns", "exec", here.name, "python3", "-c", ECHO], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        frame = mac(here.links()["up0"]["address"]) + mac(here.outside.links()["out0"]["address"]) + b"\x08\0"
        send(here.outside, "out0", frame + udp(ADDRESSES[0], "192.0.2.1", 1234, 7777))
        time.sleep(0.5)
        up(here, record, box)
        box.run("python3", "-c", "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('', 1234))\n"
                "s.sendto(b'from the box', ('192.0.2.1', 7777))", check=True)
        heard = process.communicate(timeout=20)[0]
        assert "forged" in heard and "from the box" not in heard, heard
    finally:
        record.down(here)
        other.down(here)
        second.down()


def test_connection_from_the_window(here, box, namespace):
    """`nft flush ruleset`: the first monitor makes the table again, the second finds one. What its box has begun meanwhile ends too."""
    second = namespace("second")
    first, other = Record(1, link="nsb1"), Record(2, link="nsb2", addresses=("10.213.0.8",), pools=("10.213.0.0/16",))
    up(here, first, box)
    up(here, other, second)
    say = ("import socket, sys\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('', 1234))\n"
           "s.sendto(sys.argv[1].encode(), ('192.0.2.1', 7777))\ns.settimeout(1)\n"
           "try:\n    s.recvfrom(10)\nexcept TimeoutError:\n    pass\nexcept OSError:\n    pass\n")
    process = subprocess.Popen(["ip", "netns", "exec", here.name, "python3", "-c", ECHO], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    here.run("nft", "flush ruleset; table inet filter { chain input { type filter hook input priority 0; ct state invalid drop; }; }", check=True)
    for who in (box, second):
        who.run("python3", "-c", say, "window", check=True)
    for record in (first, other):
        result = record.run(here, "rules")
        assert result.rc == 0 and result.err == "", result
    for who, record in ((box, first), (second, other)):
        who.run("python3", "-c", say, "later", check=True)
        record.run(here, "rules")
    heard = process.communicate(timeout=20)[0]
    assert heard.count("window") == 2 and "later" not in heard, heard
    for record in (first, other):
        record.down(here)


def test_renewal_keeps_connections(here, box):
    """Where nothing was missing nothing is forgotten."""
    record = Record(1, link="nsb1")
    up(here, record, box)
    assert pings(box, "192.0.2.2")
    record.run(here, "rules")
    assert ADDRESSES[0] in here.run("cat", "/proc/net/nf_conntrack").out
    record.down(here)


# ---- logins ----

def elements():
    """All elements of our tables but the mark of the layout and addresses that no box has."""
    result = host.run("nft", "-j", "list", "ruleset")
    sets = [item.get("set") or item.get("map") for item in json.loads(result.out or '{"nftables": []}')["nftables"]]
    return {s["name"]: s["elem"] for s in sets if s and s.get("elem") and not s["name"].startswith(("layout", "rest"))}


def test_renewal_behind_the_end(conf, sshd, tmp_path):
    """A renewal that is slow, because it has waited for others, comes after the box has gone: it puts in no rules for nobody."""
    conf.pam("sshd")
    conf.nsbox("[profile all]\nusers = *\nnetwork = veth\nnetwork_pool = 10.213.0.0/24\nforwarding = set\npublish = 8081:80\n")
    program = pathlib.Path(LIBEXEC, "nsbox-net")
    kept = tmp_path / "nsbox-net"
    boxes = pathlib.Path("/run/nsbox/boxes")
    shutil.copy2(program, kept)
    with sshd.session("alice") as process:
        ident, = (path.name for path in boxes.iterdir() if not path.name.startswith("."))
        assert "publish4" in elements()
        program.unlink()
        program.write_text(f'#!/bin/sh\n[ "$1" != rules ] || sleep 3\nexec {kept} "$@"\n')
        program.chmod(0o755)
        try:
            subprocess.run([f"{LIBEXEC}/nsbox-helper", "renew", ident], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=True)
            time.sleep(0.5)
            process.stdin.close()
            process.wait(timeout=10)
            host.wait_until(lambda: not (boxes / ident).exists(), timeout=20)
            time.sleep(4)
        finally:
            program.unlink()
            shutil.copy2(kept, program)
    assert elements() == {}


# ---- what hides ----

SNIFF = """
import socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind((sys.argv[1], 0))
print("ready", flush=True)
s.settimeout(0.2)
end = time.time() + 1.5
n = 0
while time.time() < end:
    try:
        n += b"forged" in s.recv(2000)
    except TimeoutError:
        pass
print(n)
"""


def heard(where, link, act):
    """How many frames with "forged" in them come there meanwhile."""
    process = subprocess.Popen(["ip", "netns", "exec", where.name, "python3", "-c", SNIFF, link], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    act()
    return int(process.communicate(timeout=20)[0])


def six(source, target, kind, data):
    """An IPv6 packet."""
    ends = b"".join(ipaddress.ip_address(address).packed for address in (source, target))
    return b"\x60\0\0\0" + len(data).to_bytes(2, "big") + bytes((kind, 255)) + ends + data


RA = bytes((134, 0, 0, 0)) + bytes(12) + b"forged"
OPTIONS = bytes((58, 0, 1, 4, 0, 0, 0, 0))  # next header ICMPv6
RAS = {"plain": [(58, RA)],
       "hop by hop": [(0, OPTIONS + RA)],
       "destination": [(60, OPTIONS + RA)],
       "one fragment": [(44, bytes((58, 0, 0, 0, 0, 0, 0, 1)) + RA)],
       "two fragments": [(44, bytes((60, 0, 0, 1, 0, 0, 0, 1)) + OPTIONS), (44, bytes((60, 0, 0, 8, 0, 0, 0, 1)) + RA)]}


@pytest.mark.parametrize("name", RAS)
def test_router_advertisement_does_not_hide(here, box, lan, name):
    record = Record(1, link="nsb1", **ON_BRIDGE)
    up(here, record, box)
    source, = (address.split("/")[0] for address in box.addresses("eth0") if address.startswith("fe80"))
    frames = [mac("33:33:00:00:00:01") + mac(record.box_mac) + b"\x86\xdd" + six(source, "ff02::1", *packet) for packet in RAS[name]]
    assert heard(lan, "lan0", lambda: send(box, "eth0", *frames)) == 0
    assert box.run("ping", "-c", "1", "-W", "2", "-s", "4000", "2001:db8:1::254").rc == 0  # fragments of others pass
    record.down(here)


def test_router_does_not_send_back(here, box, lan, namespace):
    """Boxes on one bridge do not reach each other by way of a router that is a station."""
    second = namespace("second")
    first = Record(1, link="nsb1", **ON_BRIDGE)
    other = Record(2, link="nsb2", **{**ON_BRIDGE, "addresses": ("198.51.100.71", "2001:db8:1::71")})
    up(here, first, box)
    up(here, other, second)
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        lan.sysctl(f"net/{name}", 1)
    ends = mac(lan.links()["lan0"]["address"]) + mac(first.box_mac)
    packets = [b"\x08\0" + udp("198.51.100.70", "198.51.100.71", 5, 7),
               b"\x86\xdd" + six("2001:db8:1::70", "2001:db8:1::71", 17, bytes((0, 5, 0, 7, 0, 14, 1, 1)) + b"forged")]
    for address in ("198.51.100.254", "2001:db8:1::254"):
        assert pings(second, address) and pings(box, address)
    assert heard(lan, "lan0", lambda: send(box, "eth0", *(ends + packet for packet in packets))) == 0
    for record in (first, other):
        record.down(here)
