# SPDX-License-Identifier: BSD-3-Clause
# build: none
"""The laboratory of networks itself: without rules of ours everything reaches everything, so that what a box does not
reach is not reached because of its rules."""
import json

import pytest

from lib import baseline as picture
from lib import host, netlab
from lib.netlab import (BRIDGE, DNS, FAR, HOST, METADATA, OTHER_PORT, OUTSIDE, PORT, PRIVATE, SINK_PORT, SOURCE_PORT, STATION,
                        UNUSED_PORT, everywhere, reach)

ADDRESSES = ("10.213.0.9", "fd6e:7362:6f78::9")


def test_nothing_stays():
    """Of a laboratory that is closed. (The first of this file: the others' lives as long as the file.)"""
    before = picture.take_settled()
    netlab.Lab().close()
    picture.wait_equal(before, timeout=5)


@pytest.fixture(scope="module")
def plain(lab):
    """A namespace that is connected to the host as a box would be, by hand and without any rules: its prober."""
    place = netlab.Namespace()
    host.run("sh", "-ec", f"""
        ip link add plain0 type veth peer name eth0 netns {place.pid}
        ip addr add 169.254.1.1/32 dev plain0
        ip addr add fe80::1/64 dev plain0 nodad
        ip link set plain0 up
        ip route add {ADDRESSES[0]} dev plain0
        ip -6 route add {ADDRESSES[1]} dev plain0""", check=True)
    place.run(f"""
        ip addr add {ADDRESSES[0]}/32 dev eth0
        ip addr add {ADDRESSES[1]}/128 dev eth0 nodad
        ip link set eth0 up
        ip route add 169.254.1.1 dev eth0
        ip route add default via 169.254.1.1
        ip -6 route add default via fe80::1 dev eth0""")
    place.start_prober()
    host.wait_until(lambda: not place.run("ip -6 addr show tentative"), what="no address is tentative")
    yield place.prober
    host.run("ip", "link", "del", "plain0")
    place.close()


def test_all_is_reached(plain):
    """From a namespace that is not a box: outside, far away, private networks, metadata, the host by each of its addresses, the
    station behind it. A port without a server is refused."""
    wanted = {}
    for pair in (OUTSIDE, FAR, PRIVATE, METADATA, HOST, BRIDGE, STATION):
        wanted |= everywhere(pair, "reached")
    wanted |= everywhere(FAR, "refused", ("tcp", "udp"), UNUSED_PORT)
    wanted |= everywhere(FAR, "reached", ("tcp", "udp"), OTHER_PORT)
    assert reach(plain, wanted) == {}


def test_servers_say_whom_they_see(lab, plain):
    for address, own in zip(FAR, ADDRESSES):
        for protocol in ("tcp", "udp"):
            assert getattr(plain, protocol)(address, PORT)["saw"].split()[:2] == ["outside", own]
    assert ["outside", "tcp", PORT, ADDRESSES[0]] in [hit[:4] for hit in lab.outside.prober.get_hits()]


def test_from_outside(lab, plain):
    """Outside, the station and the host reach it too."""
    for address in ADDRESSES:
        for protocol in ("tcp", "udp"):
            plain.listen("plain", protocol, address, PORT)
    for prober in (lab.outside.prober, lab.station.prober, lab.host):
        assert reach(prober, everywhere(ADDRESSES, "reached")) == {}


def test_no_forwarding(lab, plain):
    """forwarding() turns it off and on."""
    lab.forwarding(False)
    assert plain.tcp(FAR[0], PORT, 0.5)["how"] != "reached" != plain.tcp(FAR[1], PORT, 0.5)["how"]
    lab.forwarding(True)
    assert plain.tcp(FAR[0], PORT)["how"] == "reached" == plain.tcp(FAR[1], PORT)["how"]


def test_names(lab, conf):
    """The name server answers, by UDP and where an answer is long by TCP."""
    for address in DNS:
        conf.file("/etc/resolv.conf", f"nameserver {address}\n")
        assert lab.host.resolve("www.lab.test") == sorted(FAR)
        assert len(lab.host.resolve("big.lab.test")) == 99
        assert lab.host.resolve("nowhere.lab.test") == []


def test_speed(lab, plain):
    """Without a limit it is fast, or a limit could not be measured."""
    assert plain.pull(FAR[0], SOURCE_PORT, 1) > 100e6 and plain.push(FAR[0], SINK_PORT, 1) > 100e6


def test_frames(lab, plain):
    """A frame with somebody else's address arrives outside, v4 and v6, and the sniffer sees it."""
    link = json.loads(host.run("ip", "-j", "link", "show", "plain0", check=True).out)[0]
    own = json.loads(plain.shell("ip -j link show eth0")[1])[0]["address"]
    lab.forget()
    for source, target, kind in (("198.51.100.77", FAR[0], 0x800), ("2001:db8:100::77", FAR[1], 0x86dd)):
        packet = netlab.datagram(source, target, PORT)
        assert plain.inject("eth0", netlab.frame(own, link["address"], kind, packet)) == ""
        host.wait_until(lambda source=source: source in [hit[3] for hit in lab.outside.prober.get_hits()], timeout=2)
    assert len(netlab.seen(lab.outside.prober.get_frames())) == 2


def test_rejected(lab, plain):
    """A rejection by nftables is told from a drop. (By ICMPv6 it comes too early for a connection by TCP, while the socket is
    still busy sending: it is seen after the next SYN, a second later.)"""
    host.run("nft", """table inet control { chain c { type filter hook forward priority 0;
        tcp dport 7000 reject with icmpx admin-prohibited
        udp dport 7000 reject with icmpx admin-prohibited
        meta l4proto { icmp, ipv6-icmp } reject with icmpx admin-prohibited; }; }""", check=True)
    try:
        assert reach(plain, everywhere(FAR, "rejected")) == {}
        assert reach(plain, everywhere(FAR, "reached", ("tcp", "udp"), OTHER_PORT)) == {}
    finally:
        host.run("nft", "delete", "table", "inet", "control", check=True)
