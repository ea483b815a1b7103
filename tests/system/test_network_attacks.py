# SPDX-License-Identifier: BSD-3-Clause
"""A hostile session with network = veth or bridge: other people's addresses, frames by hand, root of the box with its
capabilities, deputies, what is passed out. ATTACKS: lines 17, 19, 22."""
import contextlib
import json
import os
import pathlib
import re
import socket
import struct
import time

import pytest

from lib import host, netlab, syslog
from lib import sshd as sshd_module
from lib.netlab import (BRIDGE, BRIDGE_POOL, FAR, HOST, LOOPBACK, OUTSIDE, POOL, PORT, STATION, Box, boxes, datagram, everywhere, frame,
                        reach, seen)

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

ETHERTYPE = {4: 0x800, 6: 0x86dd}
POOLS = f"network_pool = {BRIDGE_POOL[0]} {BRIDGE_POOL[1]}"
POWER = "capabilities = all\nseccomp = off"
STRANGERS = ("192.0.2.66", "2001:db8:66::66")


@pytest.fixture
def use(lab, baseline, conf):
    """use(NETWORK, LINE, ...)"""
    conf.pam_all()
    conf.remove("/root/.bashrc")
    lab.forget()

    def write(network="veth", *lines):
        return conf.nsbox(netlab.VETH.replace("= veth", f"= {network}") + "".join(f"{line}\n" for line in lines))
    write()
    write.conf = conf
    return write


def macs(box):
    """(own, of the gateway)."""
    return box.links["eth0"]["address"], box.link["address"]


def send(box, packet, source_mac=None, target_mac=None):
    own, gateway = macs(box)
    assert box.inject("eth0", frame(source_mac or own, target_mac or gateway, ETHERTYPE[packet[0] >> 4], packet)) == ""


def settle():
    """What was sent has arrived or will not."""
    time.sleep(0.3 * host.PATIENCE)


def hits_of(prober, *sources):
    return [hit for hit in prober.get_hits() if hit[3] in sources]


# -- somebody else's address --


def sources(box, other):
    """name: addresses that are not the box's."""
    return {"another box's": other.addresses, "the host's": HOST, "the bridge's": BRIDGE, "a stranger's": STRANGERS, "outside's": FAR,
            "loopback": LOOPBACK, "unspecified": ("0.0.0.0", "::"), "free in the pool": ("10.213.250.250", "fd6e:7362:6f78::fafa"),
            "the gateway's": ("169.254.1.1", "fe80::1"), "link-local": ("169.254.9.9", "fe80::9")}


@pytest.mark.parametrize("lines", [(), ("nat = no",), ("nat = no", "allow = host boxes any")], ids=["default", "no-nat", "open"])
def test_spoofed_source(use, lab, lines):
    """Root of a box puts packets by hand on its link: with its own address they arrive, with any other nowhere: neither outside,
    nor at the host, nor at another box."""
    use("veth", *lines)
    with Box("root") as box, Box("bob") as other:
        for address in other.addresses:
            other.listen("bob", "udp", address, PORT)
        lab.forget()
        for address, own in zip(FAR, box.addresses):
            send(box, datagram(own, address, PORT, b"genuine"))
        host.wait_until(lambda: len(seen(lab.outside.prober.get_frames(), b"genuine")) >= 0 and True)
        settle()
        assert len({hit[3] for hit in lab.outside.prober.get_hits()}) == 2  # both families: injecting works
        lab.forget()
        for name, pair in sources(box, other).items():
            for i, source in enumerate(pair):
                for target in (FAR[i], OUTSIDE[i], HOST[i], BRIDGE[i], STATION[i], other.addresses[i]):
                    send(box, datagram(source, target, PORT))
        settle()
        assert seen(lab.outside.prober.get_frames()) == []
        assert lab.outside.prober.get_hits() == lab.host.get_hits() == lab.station.prober.get_hits() == []
        assert other.get_hits() == []


def test_spoofed_by_an_address_of_ones_own_making(use, lab):
    """The same with the kernel's help: the address is added to eth0, or is that of another box, and is used as the source."""
    use("veth", "nat = no", "allow = host boxes", POWER)
    with Box("root") as box, Box("bob") as other:
        own = box.addresses
        for i, family in enumerate(("-4", "-6")):
            width = (32, 128)[i]
            for source in (STRANGERS[i], other.addresses[i]):
                assert box.shell(f"ip {family} addr add {source}/{width} dev eth0 {'nodad' if i else ''}")[0] == 0
                for target in (FAR[i], HOST[i]):
                    for protocol in ("tcp", "udp"):
                        assert getattr(box, protocol)(target, PORT, 1, source)["how"] != "reached", (source, target)
            for target in (FAR[i], HOST[i]):
                assert box.tcp(target, PORT, 1, own[i])["how"] == "reached"
        assert {hit[3] for hit in lab.outside.prober.get_hits() + lab.host.get_hits()} <= set(own)
        # and the other's packets still come to the other
        for address in FAR:
            assert other.udp(address, PORT)["how"] == "reached"


def test_loops_and_broadcasts(use, lab):
    """Nothing of the host that listens everywhere hears a box's broadcasts and multicasts."""
    lab.host.listen("host", "udp", "0.0.0.0", 7021)
    lab.host.listen("host", "udp", "::", 7021)
    with Box("root") as box:
        own, gateway = macs(box)
        for target, mac in (("255.255.255.255", "ff:ff:ff:ff:ff:ff"), ("224.0.0.251", "01:00:5e:00:00:fb"), ("224.0.0.1", "01:00:5e:00:00:01"),
                            ("10.213.255.255", "ff:ff:ff:ff:ff:ff"), ("127.0.0.1", gateway), ("0.0.0.0", gateway)):
            send(box, datagram(box.addresses[0], target, 7021), target_mac=mac)
        for target, mac in (("ff02::1", "33:33:00:00:00:01"), ("ff02::fb", "33:33:00:00:00:fb"), ("ff05::1", "33:33:00:00:00:01"), ("::1", gateway)):
            send(box, datagram(box.addresses[1], target, 7021), target_mac=mac)
        settle()
        assert lab.host.get_hits() == []


def test_router_advertisement(use, lab):
    """A box that says "I am your router" to the host: no address, no route."""
    before = host.run("ip", "-6", "route", check=True).out, host.run("ip", "-6", "addr", check=True).out
    with Box("root") as box:
        own, gateway = macs(box)
        during = host.run("ip", "-6", "route", check=True).out, host.run("ip", "-6", "addr", check=True).out
        for source in ("fe80::66", "fe80::1", box.addresses[1]):
            for target in ("33:33:00:00:00:01", gateway):
                send(box, netlab.router_advertisement(source, own), target_mac=target)
        settle()
        assert (host.run("ip", "-6", "route", check=True).out, host.run("ip", "-6", "addr", check=True).out) == during
    netlab.wait_no_boxes()
    assert (host.run("ip", "-6", "route", check=True).out, host.run("ip", "-6", "addr", check=True).out) == before


def neighbours():
    rows = json.loads(host.run("ip", "-j", "neigh", check=True).out)
    return sorted((row["dst"], row["dev"], row.get("lladdr", "")) for row in rows if "PERMANENT" in row["state"] or row.get("lladdr"))


def test_arp_and_neighbour_discovery(use, lab):
    """Claims about addresses of others alter nothing that the host knows, and nothing is added: its table of neighbours has room for
    1024, and a full one cuts the host off. (The hosts outside make themselves known whenever they like.)"""
    lab.host.udp(OUTSIDE[0], PORT)
    lab.host.udp(OUTSIDE[1], PORT)
    with Box("root") as box, Box("bob") as other:
        own, gateway = macs(box)
        before = host.wait_until(lambda: (lambda rows: {OUTSIDE[0], OUTSIDE[1]} <= {row[0] for row in rows} and rows)(neighbours()),
                                 what="the host knows its neighbours outside")
        for claimed in (OUTSIDE[0], HOST[0], other.addresses[0], "169.254.1.1"):
            for kind in (1, 2):
                for mac in ("ff:ff:ff:ff:ff:ff", gateway):
                    box.inject("eth0", frame(own, mac, 0x806, netlab.arp(kind, own, claimed, gateway, HOST[0])))
        for claimed in (OUTSIDE[1], HOST[1], other.addresses[1], "fe80::1"):
            for mac in ("33:33:00:00:00:01", gateway):
                send(box, netlab.neighbour_advertisement(claimed, own), target_mac=mac)
                send(box, netlab.neighbour_advertisement(claimed, own, box.addresses[1], HOST[1]), target_mac=mac)
        settle()
        after = neighbours()
        assert set(before) <= set(after), (before, after)
        assert not [row for row in after if row not in before and (row[1].startswith("nsb-") or row[2] == own)], (before, after)
        assert reach(other, everywhere(FAR, "reached")) == {}


def fragments(source, target, port, text):
    """The datagram of IPv4 in two: the first has the header of UDP only."""
    whole = datagram(source, target, port, text)[20:]
    made = []
    for offset, part, more in ((0, whole[:8], 0x2000), (8, whole[8:], 0)):
        packet = bytearray(netlab.ipv4(source, target, 17, part))
        packet[4:6] = b"\x77\x01"
        packet[6:8] = struct.pack(">H", more | offset // 8)
        packet[10:12] = b"\0\0"
        packet[10:12] = netlab.checksum(bytes(packet[:20])).to_bytes(2, "big")
        made.append(bytes(packet))
    return made


def test_fragments(use, lab):
    """Rules about ports are not got round by packets in pieces."""
    use("veth", "deny = any:7000/udp")
    with Box("root") as box:
        lab.forget()
        for port in (PORT, 7010):
            for packet in fragments(box.addresses[0], FAR[0], port, b"in pieces"):
                send(box, packet)
        settle()
        assert {hit[2] for hit in lab.outside.prober.get_hits()} == {7010}


# -- on a bridge --


@pytest.fixture
def bridged(use, lab):
    use("bridge:br0", POOLS, "allow = any")
    lab.station.prober.sniff("eth0")
    lab.station.prober.get_frames()
    return lab.station


def mac_of_station(station):
    return json.loads(station.run("ip -j link show eth0"))[0]["address"]


def test_bridge_spoofed(bridged, lab):
    """Frames with somebody else's IP or hardware address do not come off the port; genuine ones do."""
    with Box("root") as box:
        own = box.links["eth0"]["address"]
        there = mac_of_station(bridged)
        for i in (0, 1):
            send(box, datagram(box.addresses[i], STATION[i], PORT, b"genuine"), target_mac=there)
        settle()
        assert len(seen(bridged.prober.get_frames(), b"genuine")) == 2
        bridged.prober.get_hits()
        for i in (0, 1):
            for source in (BRIDGE[i], STRANGERS[i], HOST[i], ("10.77.0.250", "fd77::fafa")[i]):
                for mac in (there, "ff:ff:ff:ff:ff:ff"):
                    send(box, datagram(source, STATION[i], PORT), target_mac=mac)
            for mac in ("02:00:00:00:00:01", there, host.read("/sys/class/net/br0/address").strip()):
                send(box, datagram(box.addresses[i], STATION[i], PORT), source_mac=mac, target_mac=there)
        settle()
        assert seen(bridged.prober.get_frames()) == [] and bridged.prober.get_hits() == []
        # frames as if they were the station's moved nothing
        assert re.search(rf"^{there} dev lan0", host.run("bridge", "fdb", check=True).out, re.M)
        assert own != there


def test_bridge_poison(bridged, lab):
    """ARP, neighbour and router advertisements and answers of a DHCP server: the station does not hear them."""
    lab.station.prober.udp(BRIDGE[0], PORT)
    lab.station.prober.udp(BRIDGE[1], PORT)

    def known():
        rows = json.loads(bridged.run("ip -j neigh"))
        return sorted((row["dst"], row.get("lladdr")) for row in rows if row["dst"] in BRIDGE)
    before = known()
    assert [row[1] for row in before] == [host.read("/sys/class/net/br0/address").strip()] * 2
    addresses = bridged.run("ip -6 addr; ip -6 route")
    with Box("root") as box:
        own, everybody, there = box.links["eth0"]["address"], "ff:ff:ff:ff:ff:ff", mac_of_station(bridged)
        bridged.prober.get_frames()
        for kind in (1, 2):
            for mac in (everybody, there):
                box.inject("eth0", frame(own, mac, 0x806, netlab.arp(kind, own, BRIDGE[0], there, STATION[0])))
        for source in (None, box.addresses[1]):
            send(box, netlab.neighbour_advertisement(BRIDGE[1], own, source), target_mac="33:33:00:00:00:01")
            send(box, netlab.neighbour_advertisement(BRIDGE[1], own, source, STATION[1]), target_mac=there)
        link_local = next(row["local"] for row in box.links["eth0"]["addr_info"] if row["scope"] == "link") if any(
            row["scope"] == "link" for row in box.links["eth0"]["addr_info"]) else "fe80::66"
        send(box, netlab.router_advertisement(link_local, own), target_mac="33:33:00:00:00:01")
        offer = bytearray(datagram(box.addresses[0], "255.255.255.255", 68, b"\x02offer"))
        offer[20:22] = (67).to_bytes(2, "big")
        offer[26:28] = b"\0\0"
        send(box, bytes(offer), target_mac=everybody)
        settle()
        assert known() == before
        assert bridged.run("ip -6 addr; ip -6 route") == addresses
        assert seen(bridged.prober.get_frames(), b"\x02offer") == []


def test_bridge_hears_nothing(bridged, lab):
    """What the station and the host say to each other a box does not hear."""
    with Box("root") as box:
        box.sniff("eth0")
        for address in BRIDGE:
            bridged.prober.udp(address, PORT)
            bridged.prober.tcp(address, PORT)
        settle()
        assert seen(box.get_frames(), b"probe") == []


# -- root with power over its links --


@pytest.fixture
def admin(use):
    use("veth", "allow = host:7000/tcp", POWER)
    return use


DEEDS = {
    "renamed": "ip link set eth0 down; ip link set eth0 name other0; ip link set other0 up",
    "deleted": "ip link del eth0",
    "down": "ip link set eth0 down",
    "other hardware address": "ip link set eth0 down; ip link set eth0 address 02:00:00:00:00:09; ip link set eth0 up",
    "in a bridge": "ip link add b0 type bridge; ip link set eth0 master b0; ip link set b0 up",
    "a vlan": "ip link add link eth0 name v9 type vlan id 9; ip link set v9 up; true",
    "macvlan": "ip link add link eth0 name m9 type macvlan; ip addr add 10.213.9.9/16 dev m9; ip link set m9 up; true",
    "moved": "unshare -n sh -c 'sleep 100' >/dev/null 2>&1 & sleep 0.3; ip link set eth0 netns $!",
    "rules": "nft add table inet nsbox; nft flush ruleset",
    "many links": "for i in $(seq 50); do ip link add x$i type veth peer name y$i; done",
    "forwards": "echo 1 >/proc/sys/net/ipv4/ip_forward",
}


@pytest.mark.parametrize("name", DEEDS)
def test_whatever_root_does_to_its_links(admin, lab, name):
    """Another box does not notice, nothing of the host is altered, and the logout takes all of it."""
    with Box("bob") as other:
        before = sorted(netlab.elements())
        links = set(netlab.links())
        with Box("root") as box:
            box.shell(DEEDS[name])
            ours = netlab.our_links()
            assert len(ours) in (1, 2) and set(netlab.links()) - links <= set(ours)
            for address in (*FAR, *HOST):
                box.tcp(address, PORT, 0.2)
            assert {hit[3] for hit in lab.host.get_hits()} <= {*box_addresses(box)}
            assert reach(other, everywhere(FAR, "reached") | everywhere(HOST, "rejected", ("udp",))) == {}
        host.wait_until(lambda: sorted(netlab.elements()) == before and set(netlab.links()) == links, timeout=6, what="all of it has gone")


def box_addresses(box):
    """Of a box whose links may be anything by now: from the record."""
    text = (netlab.BOXES / box.id / "network").read_text()
    return re.findall(r"(?:10\.213\.\d+\.\d+|fd6e:7362:6f78:[0-9a-f:]+)", text)


def test_namespace_of_the_host_by_its_number(use, lab):
    """A box's eth0 names the namespace of its other end by a number. Root with CAP_NET_ADMIN may not use it to remove links of
    the host."""
    use("veth", "capabilities = default +cap_net_admin", "seccomp = off")
    host.run("ip", "link", "add", "victim0", "type", "veth", "peer", "name", "victim1", check=True)
    try:
        with Box("root") as box:
            number = box.links["eth0"].get("link_netnsid")
            error = box.del_link("victim0", number) if number is not None else "EPERM"
            text = " ".join(pathlib.Path(os.environ["NSBOX_SOURCE"], "SECURITY.md").read_text().split())
            assert ("victim0" in netlab.links() and error) or "cap_net_admin" in text.lower(), (number, error)
    finally:
        host.run("ip", "link", "del", "victim0")


def test_user_alters_nothing(use):
    """A user may alter nothing of it, in namespaces of his own neither."""
    with Box() as box:
        for deed in (*DEEDS.values(), "ip addr add 10.213.9.9/32 dev eth0", "ip route del default", "ip neigh flush dev eth0"):
            box.shell(f"{deed}; true")
        assert reach(box, everywhere(FAR, "reached") | everywhere(HOST, "rejected")) == {}
        assert set(box.links) == {"lo", "eth0"}


# -- line 17: sockets without a file --


def test_abstract_sockets(use, lab):
    """Names of abstract sockets are each box's own."""
    with boxes("alice", "alice", "bob") as (one, two, three):
        assert one.abstract("meet", True) == "listens"
        assert one.abstract("meet") == "reached"
        for other in (two, three, lab.host):
            assert other.abstract("meet") == "ECONNREFUSED"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("\0of-the-host")
            server.listen()
            assert one.abstract("of-the-host") == "ECONNREFUSED"


# -- line 19: deputies --


def test_ssh_to_the_host(use, lab, sshd):
    """sshd of the host is a deputy: its loopback is not the box's, its address is closed unless `allow` says otherwise; and then
    what it gives is another box."""
    server = sshd_module.Sshd(config=f"ListenAddress {HOST[0]}")
    key = pathlib.Path("/home/alice/key")
    try:
        key.write_bytes(pathlib.Path(server.identity).read_bytes())
        os.chown(key, 2001, 2001)
        key.chmod(0o600)

        def ssh(address):
            return (f"ssh -p {server.port} -i {key} -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
                    f"-o ConnectTimeout=3 {address} 'echo in $NSBOX_ID; readlink /proc/self/ns/net'")
        with Box() as box:
            for address in ("localhost", "127.0.0.1", HOST[0]):
                status, out, _ = box.shell(ssh(address))
                assert status == 255 and out == "", (address, out)
        use("veth", f"allow = host:{server.port}/tcp")
        with Box() as box:
            assert box.shell(ssh("127.0.0.1"))[0] == 255
            status, out, err = box.shell(ssh(HOST[0]))
            word, other, namespace = out.split()
            assert (status, word) == (0, "in") and other != box.id, (out, err)
            assert namespace not in (box.namespace(), os.readlink("/proc/self/ns/net"))
    finally:
        key.unlink(missing_ok=True)
        server.stop()


# -- line 22: what is passed out --


@pytest.mark.parametrize("network", ["veth", "bridge:br0"])
def test_namespace_passed_out(use, lab, network):
    """Somebody outside holds the network namespace of a box that ends: link, rules and lease go all the same, within 5 s, and the
    next box has the address and the network."""
    use(network, *([POOLS] if network != "veth" else []))
    path = "/home/alice/accomplice"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        os.chmod(path, 0o666)
        server.listen()
        server.settimeout(10)
        with Box() as box:
            mine = box.addresses
            box.pass_out(path)
            with server.accept()[0] as there:
                _, (held,), _, _ = socket.recv_fds(there, 1, 1)
    os.unlink(path)
    try:
        host.wait_until(lambda: not netlab.our_links() and not netlab.elements() and not list(netlab.BOXES.iterdir()), timeout=5,
                        what="link, rules and lease are gone")
        with Box() as box:
            assert box.addresses == mine
            assert reach(box, everywhere(STATION, "reached")) == {}
        # and who holds the namespace has nothing of it
        left = json.loads(host.run("nsenter", f"--net=/proc/{os.getpid()}/fd/{held}", "ip", "-j", "link", check=True, pass_fds=(held,)).out)
        assert [link["ifname"] for link in left] == ["lo"]
    finally:
        os.close(held)


def test_socket_passed_out(use, lab):
    """A socket holds its namespace too. A program outside that has it reaches nothing after the logout."""
    path = "/home/alice/accomplice"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        os.chmod(path, 0o666)
        server.listen()
        server.settimeout(10)
        with Box() as box:
            code = f"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((\"{FAR[0]}\", {PORT})); " \
                   f"t = socket.socket(socket.AF_UNIX); t.connect(\"{path}\"); socket.send_fds(t, [b\"x\"], [s.fileno()])"
            assert box.shell(f"python3 -c '{code}'")[0] == 0
            with server.accept()[0] as there:
                _, (held,), _, _ = socket.recv_fds(there, 1, 1)
    os.unlink(path)
    netlab.wait_no_boxes()
    lab.forget()
    with socket.socket(fileno=held) as outside, contextlib.suppress(OSError):
        outside.send(b"after the logout")
    settle()
    assert lab.outside.prober.get_hits() == []


# -- what a box leaves behind --


SMALL = "network_pool = 10.213.0.0/30 fd6e:7362:6f78::/126"


@pytest.mark.parametrize("nat", ["yes", "no"])
def test_conversation_of_the_last_box(use, lab, nat):
    """The kernel remembers a conversation for a while. The next box with that address, another user's, does not hear its rest."""
    use("veth", SMALL, f"nat = {nat}")
    with Box("alice") as box:
        mine = box.addresses
        for address in FAR:
            assert box.udp(address, PORT, 1.5, None, 5555)["how"] == "reached"
        seen_as = [hit[3:] for hit in lab.outside.prober.get_hits()]
    netlab.wait_no_boxes()
    with contextlib.ExitStack() as stack:
        for user in ("bob", "carol"):  # two addresses: one of them is alice's
            box = stack.enter_context(Box(user))
            if box.addresses == mine:
                break
        assert box.addresses == mine
        for address in box.addresses:
            box.listen("next", "udp", address, 5555)
        for address, (target, port) in zip(FAR, seen_as):
            lab.outside.prober.send_from(address, PORT, target, port)
        settle()
        assert box.get_hits() == []


def test_conversation_with_a_published_port(use, lab):
    """Nor does somebody who talked to a published port come to the next box that has the address."""
    use("veth", SMALL, "publish = 8080:5555/udp")
    with Box("alice") as box:
        mine = box.addresses
        box.listen("first", "udp", mine[0], 5555)
        assert lab.outside.prober.udp(HOST[0], 8080, 1.5, None, 5556)["how"] == "reached"
    netlab.wait_no_boxes()
    use("veth", SMALL)
    with contextlib.ExitStack() as stack:
        for user in ("bob", "carol"):
            box = stack.enter_context(Box(user))
            if box.addresses == mine:
                break
        assert box.addresses == mine
        box.listen("next", "udp", mine[0], 5555)
        assert lab.outside.prober.udp(HOST[0], 8080, 0.5, None, 5556)["how"] != "reached"
        assert box.get_hits() == []


# -- links of others --


def test_links_of_others_stay(use):
    """A link that an administrator has made in the place of a box's, under its name, is not removed at the logout; nor is one
    whose alias only looks like ours."""
    host.run("sh", "-ec", "ip link add like0 type veth peer name like1; ip link set like0 alias 'nsbox aaaaaaaaaa'", check=True)
    try:
        with Box() as box:
            name = box.link["ifname"]
            host.run("sh", "-ec", f"ip link del {name}; ip link add {name} type veth peer name like2", check=True)
        host.wait_until(lambda: not list(netlab.BOXES.iterdir()), what="the box has ended")
        assert {name, "like0"} <= set(netlab.links())
        host.run("nsboxctl", "gc", check=True)
        assert {name, "like0"} <= set(netlab.links())
    finally:
        for link in ("like0", "like2"):
            host.run("ip", "link", "del", link)


def test_renamed_by_the_administrator(use):
    """A host's end with another name goes with its box."""
    with Box() as box:
        name = box.link["ifname"]
        host.run("sh", "-ec", f"ip link set {name} down; ip link set {name} name other7; ip link set other7 up", check=True)
    netlab.wait_no_boxes()
    assert "other7" not in netlab.links()


def test_many_elements_of_one_box(use):
    """64 rules are the most; with one more the profile is a mistake, and the user hears of no crash."""
    use("veth", *[f"allow = host:{port}/tcp" for port in range(8000, 8064)])
    with Box() as box:
        assert reach(box, everywhere(FAR, "reached")) == {}
    netlab.wait_no_boxes()
    since = syslog.mark()
    use("veth", *[f"allow = host:{port}/tcp" for port in range(8000, 8065)])
    result = host.run("su", "alice", "-c", "echo in")
    assert result.rc != 0 and "in" not in result.out.split()
    syslog.wait_for("login of alice refused: .*(allow|rules)", since)
