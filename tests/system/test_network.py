# SPDX-License-Identifier: BSD-3-Clause
"""network = veth: what a box has of its own, and what it reaches. Real logins, real packets (lib/netlab.py)."""
import json
import pathlib
import re

import pytest

from lib import host, netlab, syslog
from lib.ctl import ctl
from lib.netlab import (BRIDGE, DNS, FAR, GATEWAY, HOST, LOOPBACK, METADATA, OTHER_PORT, OUTSIDE, POOL, PORT, PRIVATE, SINK_PORT,
                        SOURCE_PORT, STATION, UNUSED_PORT, Box, boxes, everywhere, reach)
from lib.refusal import refused, su

pytestmark = pytest.mark.one_in(2)  # lib/sample.py


@pytest.fixture
def veth(lab, baseline, conf):
    """Everybody has a box with network = veth; veth(LINE, ...) adds lines to the profile."""
    conf.pam_all()
    conf.remove("/root/.bashrc")
    lab.forget()

    def write(*lines):
        return conf.nsbox(netlab.VETH + "".join(f"{line}\n" for line in lines))
    write()
    write.conf = conf
    yield write
    lab.forwarding(True)


def ip(*words):
    return json.loads(host.run("ip", "-j", *words, check=True).out)


# -- what there is --


def test_addresses(veth):
    """Beside lo there is eth0 with one address of each pool and nothing of the neighbourhood."""
    with Box() as box:
        assert set(box.links) == {"lo", "eth0"}
        eth0 = box.links["eth0"]
        assert "UP" in eth0["flags"] and "UP" in box.links["lo"]["flags"]
        told = {(row["local"], row["prefixlen"]) for row in eth0["addr_info"] if row["scope"] == "global"}
        assert told == {(box.addresses[0], 32), (box.addresses[1], 128)}
        assert not [row for row in eth0["addr_info"] if row.get("tentative") or row.get("dadfailed")]
        for address, pool in zip(box.addresses, POOL):
            assert netlab.in_pool(address, pool)


def test_routes(veth):
    """Two default routes, by gateways whose hardware address is written down and is the host's end's."""
    with Box() as box:
        mac = box.link["address"]
        for family, gateway in zip(("-4", "-6"), GATEWAY):
            routes = json.loads(box.shell(f"ip -j {family} route")[1])
            (default,) = [route for route in routes if route["dst"] == "default"]
            assert (default["gateway"], default["dev"]) == (gateway, "eth0")
            neighbours = json.loads(box.shell(f"ip -j {family} neigh")[1])
            assert [(row["lladdr"], row["state"]) for row in neighbours if row["dst"] == gateway] == [(mac, ["PERMANENT"])]


def test_hosts_end(veth, lab):
    """It bears the box's id, no address, and a name that no other can guess; routes and neighbours lead to the box."""
    before = set(netlab.links())
    with Box() as box:
        (name,) = set(netlab.links()) - before
        link = netlab.links()[name]
        assert link["ifalias"] == f"nsbox {box.id}" and "UP" in link["flags"] and "master" not in link
        (told,) = ip("addr", "show", "dev", name)
        assert told["addr_info"] == []
        for family, address in zip(("-4", "-6"), box.addresses):
            assert [route["dst"] for route in ip(family, "route", "show", "dev", name)] == [address]
            (neighbour,) = ip(family, "neigh", "show", "dev", name)
            assert (neighbour["dst"], neighbour["lladdr"], neighbour["state"]) == (address, box.links["eth0"]["address"], ["PERMANENT"])
        assert host.read(f"/proc/sys/net/ipv6/conf/{name}/accept_ra") == "0\n"
        assert box.shell("cat /proc/sys/net/ipv6/conf/eth0/accept_ra")[1] == "0\n"
        other = netlab.link_of(box.id)["ifname"]
    with Box() as box:
        assert box.link["ifname"] != other
    netlab.wait_no_boxes()
    assert set(netlab.links()) == before


def test_every_way_in(veth, sshd):
    """By ssh, su -, sudo, login, cron and nsboxctl run the box is on the network as well."""
    from lib import privileges
    privileges.open_ways(veth.conf)
    script = veth.conf.file("/srv/who-sees-me", f"#!/bin/bash\nread -t 5 -r line </dev/tcp/{FAR[0]}/{PORT}; echo \"saw: $line\"\n", mode=0o755)
    for name, way in privileges.WAYS.items():
        if name == "enter":
            continue  # has no box of its own
        assert re.search(r"^saw: outside ", way(sshd, veth.conf, "alice", script), re.M), name
    netlab.wait_no_boxes()
    pathlib.Path(script).unlink()


def test_addresses_are_stable(veth):
    """A user has the same address at each login while it is free, another user another one."""
    with Box("alice") as one, Box("bob") as other:
        mine, others = one.addresses, other.addresses
        assert not set(mine) & set(others)
        with Box("alice") as second:
            assert not set(second.addresses) & {*mine, *others}
    netlab.wait_no_boxes()
    for user, wanted in (("bob", others), ("alice", mine), ("alice", mine), ("bob", others)):
        with Box(user) as box:
            assert box.addresses == wanted
        netlab.wait_no_boxes()


def test_listed(veth):
    """nsboxctl show tells the addresses."""
    with Box() as box:
        text = ctl("show", box.id).out
        assert box.addresses[0] in text and box.addresses[1] in text, text


# -- what a box reaches --

PLACES = {"far": FAR, "near": OUTSIDE, "private": PRIVATE, "station": STATION, "host": HOST, "bridge": BRIDGE,
          "metadata": METADATA[:1]}
DEFAULT = {"far": "reached", "near": "reached", "private": "reached", "station": "reached", "host": "rejected", "bridge": "rejected",
           "box": "rejected", "metadata": "rejected"}
ICMP_AND_PORTS = [("icmp", 0), *((protocol, port) for protocol in ("tcp", "udp") for port in (PORT, OTHER_PORT))]
YES, NO = "reached", "rejected"

# name: lines, and what is different: (place, protocol, port, how), None: all
RULES = {
    "nothing": ([], []),
    "host": (["allow = host"], [("host", None, None, YES), ("bridge", None, None, YES)]),
    "host-tcp-port": (["allow = host:7000/tcp"], [("host", "tcp", PORT, YES), ("bridge", "tcp", PORT, YES)]),
    "host-port": (["allow = host:7000"], [(place, protocol, PORT, YES) for place in ("host", "bridge") for protocol in ("tcp", "udp")]),
    "host-ports-udp": (["allow = host:6990-7005/udp"], [("host", "udp", PORT, YES), ("bridge", "udp", PORT, YES)]),
    "host-icmp": (["allow = host/icmp"], [("host", "icmp", None, YES), ("bridge", "icmp", None, YES)]),
    "host-tcp": (["allow = host/tcp"], [("host", "tcp", None, YES), ("bridge", "tcp", None, YES)]),
    "boxes": (["allow = boxes"], [("box", None, None, YES)]),
    "boxes-tcp-port": (["allow = boxes:7000/tcp"], [("box", "tcp", PORT, YES)]),
    "boxes-icmp": (["allow = boxes/icmp"], [("box", "icmp", None, YES)]),
    "host-and-boxes": (["allow = host boxes"], [(place, None, None, YES) for place in ("host", "bridge", "box")]),
    "deny-any": (["deny = any"], [(place, None, None, NO) for place in ("far", "near", "private", "station")]),
    "deny-any-but": (["deny = any", "allow = 203.0.113.0/24:7000/tcp [2001:db8:f::/48]:7000/tcp"],
                     [(place, None, None, NO) for place in ("far", "near", "private", "station")] + [("far", "tcp", PORT, YES)]),
    "deny-networks": (["deny = 10.0.0.0/8 fc00::/7"], [("private", None, None, NO), ("station", None, None, NO)]),
    "deny-port": (["deny = any:7000/tcp"], [(place, "tcp", PORT, NO) for place in ("far", "near", "private", "station")]),
    "deny-ports": (["deny = any:7005-7020"],
                   [(place, protocol, OTHER_PORT, NO) for place in ("far", "near", "private", "station") for protocol in ("tcp", "udp")]),
    "deny-icmp": (["deny = any/icmp"], [(place, "icmp", None, NO) for place in ("far", "near", "private", "station")]),
    "allow-before-deny": (["allow = 203.0.113.9 2001:db8:f::9", "deny = 203.0.113.0/24 2001:db8::/32"], []),
    "networks-are-outside": (["allow = 10.0.0.0/8 fc00::/7 198.51.100.0/24 2001:db8::/32"], []),
    "any-is-outside": (["allow = any"], []),
    "own-address-is-not-outside": ([f"allow = {HOST[0]} {HOST[1]} {BRIDGE[0]} {BRIDGE[1]}"], []),
    "metadata": (["allow = 169.254.169.254:7000/tcp"], [("metadata", "tcp", PORT, YES)]),
    "both-families": (["deny = 203.0.113.0/24:7000 [2001:db8:f::/64]:7010/udp"], "below"),
}


def expectation(changes, other):
    """{(PROTOCOL, ADDRESS, PORT): HOW}"""
    wanted = {}
    for place, addresses in {**PLACES, "box": other}.items():
        for protocol, port in ICMP_AND_PORTS:
            how = DEFAULT[place]
            for where, which, number, instead in changes:
                if where == place and which in (None, protocol) and number in (None, port):
                    how = instead
            wanted |= {(protocol, address, port): how for address in addresses}
    return wanted


@pytest.mark.parametrize("name", [name for name, (_, changes) in RULES.items() if changes != "below"])
def test_reach(veth, name):
    """Each rule opens or closes what it says and nothing else: outside near and far, private networks, a neighbour of the
    host, the host by two addresses, another box, metadata; TCP and UDP at two ports, ICMP; both families."""
    lines, changes = RULES[name]
    veth(*lines)
    with boxes("alice", "bob") as (box, other):
        for address in other.addresses:
            for protocol in ("tcp", "udp"):
                for port in (PORT, OTHER_PORT):
                    other.listen("bob", protocol, address, port)
        wanted = expectation(changes, other.addresses)
        if name == "allow-before-deny":  # a prefix of each family is not the same network
            wanted = {place: how for place, how in wanted.items() if place[1] not in OUTSIDE}
        assert reach(box, wanted) == {}


def test_reach_each_family_by_itself(veth):
    """A rule for IPv4 says nothing about IPv6."""
    veth(*RULES["both-families"][0])
    with Box() as box:
        wanted = {(protocol, FAR[0], PORT): NO for protocol in ("tcp", "udp")} | {("udp", FAR[1], OTHER_PORT): NO}
        wanted |= {(protocol, FAR[0], OTHER_PORT): YES for protocol in ("tcp", "udp")} | {("tcp", FAR[1], OTHER_PORT): YES}
        wanted |= {(protocol, FAR[1], PORT): YES for protocol in ("tcp", "udp")} | {("icmp", address, 0): YES for address in FAR}
        assert reach(box, wanted) == {}


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("family", [0, 1])
def test_rejected_at_once(veth, protocol, family):
    """Who is told "no" is told at once: programs try the next address and do not hang."""
    with Box() as box:
        for target in (HOST, METADATA[:1] * 2 if family == 0 else HOST):
            result = getattr(box, protocol)(target[family], PORT)
            assert result["how"] in ("rejected", "refused") and result["took"] < 0.5 * host.PATIENCE, result


def test_refused_by_a_peer(veth):
    """Where the outside has no such service the box hears so: ICMP errors come back through the address translation."""
    with Box() as box:
        assert reach(box, everywhere(FAR, "refused", ("tcp", "udp"), UNUSED_PORT)) == {}


def test_metadata_of_ipv6(veth):
    """Amazon's service of secrets has an address that is not link-local."""
    with Box() as box:
        assert reach(box, everywhere(METADATA[1:], "rejected")) == {}


def test_gateway_is_nobody(veth):
    """Nothing of the host listens at the addresses of the gateways, nor at the host's end by its own link-local address."""
    with Box("root") as box:
        for address in (GATEWAY[0], f"{GATEWAY[1]}%eth0"):
            for protocol in ("tcp", "udp", "icmp"):
                result = getattr(box, protocol)(address, PORT)
                assert result["how"] != "reached", (address, protocol, result)


def test_loopback_is_the_boxs(veth, lab):
    """127.0.0.1 and ::1 are the box's own: what listens there on the host is not there."""
    with Box() as box:
        assert reach(box, everywhere(LOOPBACK, "refused", ("tcp", "udp"))) == {}
        assert reach(lab.host, everywhere(LOOPBACK, "reached", ("tcp", "udp"))) == {}


# -- into a box --


@pytest.mark.parametrize("nat", ["yes", "no"])
def test_nobody_comes_in(veth, lab, nat):
    """Outside (whose routes lead here), the station, the host's own processes and other boxes get no answer; what the box has
    begun is answered."""
    veth(f"nat = {nat}")
    with boxes("alice", "bob") as (box, other):
        for address in box.addresses:
            for protocol in ("tcp", "udp"):
                box.listen("alice", protocol, address, PORT)
        for prober in (lab.outside.prober, lab.station.prober):
            assert reach(prober, everywhere(box.addresses, "timeout")) == {}
        assert reach(lab.host, everywhere(box.addresses, ("timeout", "rejected"))) == {}  # of what is dropped here the sender hears
        assert reach(other, everywhere(box.addresses, "rejected")) == {}
        assert box.get_hits() == []
        assert reach(box, everywhere(FAR, "reached")) == {}


@pytest.mark.parametrize("rule", ["allow = host", "deny = any"])
def test_nobody_comes_in_by_a_rule(veth, lab, rule):
    """Rules are about what the box begins: `allow = host` lets the host in as little as before."""
    veth(rule)
    with Box() as box:
        for address in box.addresses:
            box.listen("alice", "tcp", address, PORT)
        for prober in (lab.outside.prober, lab.host):
            assert reach(prober, everywhere(box.addresses, ("timeout", "rejected"))) == {}
        assert box.get_hits() == []


# -- address translation --


@pytest.mark.parametrize("nat", ["yes", "no"])
def test_nat(veth, lab, nat):
    """The outside sees the host's address, or with nat = no the box's. The station at a bridge of the host is outside too."""
    veth(f"nat = {nat}")
    with Box() as box:
        for pair, masked in ((FAR, HOST), (OUTSIDE, HOST), (STATION, BRIDGE)):
            for address, own, other in zip(pair, box.addresses, masked):
                for protocol in ("tcp", "udp"):
                    saw = getattr(box, protocol)(address, PORT)["saw"].split()
                    assert saw[1] == (other if nat == "yes" else own), (address, protocol, saw)


@pytest.mark.parametrize("nat", ["yes", "no"])
def test_nat_not_among_us(veth, nat):
    """Host and other boxes see the box's own address in any case: who it was can be told."""
    veth(f"nat = {nat}", "allow = host boxes")
    with boxes("alice", "bob") as (box, other):
        for address in other.addresses:
            for protocol in ("tcp", "udp"):
                other.listen("bob", protocol, address, PORT)
        for pair in (HOST, BRIDGE, other.addresses):
            for address, own in zip(pair, box.addresses):
                for protocol in ("tcp", "udp"):
                    saw = getattr(box, protocol)(address, PORT)["saw"].split()
                    assert saw[1] == own, (address, protocol, saw)


# -- what the host must be like --


def test_no_forwarding(veth, lab):
    """A host that does not forward: the login is refused with the name of the switch and of the key, nothing is switched."""
    lab.forwarding(False)
    since = syslog.mark()
    line = refused(su(), since, "forward")
    assert "forwarding = set" in line, line
    assert host.read("/proc/sys/net/ipv4/ip_forward") == "0\n" == host.read("/proc/sys/net/ipv6/conf/all/forwarding")


def test_forwarding_set(veth, lab):
    """forwarding = set: it does afterwards, and boxes reach the outside."""
    lab.forwarding(False)
    veth("forwarding = set")
    with Box() as box:
        assert reach(box, everywhere(FAR, "reached")) == {}


@pytest.mark.parametrize("route", ["10.213.7.0/24", "10.0.0.0/8"])
def test_pool_of_somebody_else(veth, route):
    """A pool in which the host has a route already: refused, with both."""
    host.run("ip", "route", "add", route, "dev", "uplink0", check=True)
    try:
        since = syslog.mark()
        line = refused(su(), since, "10.213.0.0/16")
        assert route in line, line
    finally:
        host.run("ip", "route", "del", route, check=True)


def test_routes_of_boxes_are_no_overlap(veth):
    """The second box's login does not stumble over the routes of the first."""
    with boxes("alice", "bob", "carol", "alice") as all_:
        assert len({box.addresses for box in all_}) == 4


def test_one_family(veth):
    """A pool of IPv4 only: no IPv6 address, no route, and nothing of IPv6 leaves."""
    veth("network_pool = 10.213.0.0/24")
    with Box() as box:
        assert box.addresses[0] and box.addresses[1] is None
        assert reach(box, {("tcp", FAR[0], PORT): "reached"}) == {}
        assert box.tcp(FAR[1], PORT)["how"] == "no route"


# -- an administrator's own rules --

ADMINISTRATOR = """
table inet filter {
    chain forward { type filter hook forward priority 0; policy accept; ip daddr 203.0.113.9 tcp dport 7000 drop; }
    chain input { type filter hook input priority 0; policy accept; }
}
table ip nat {
    chain post { type nat hook postrouting priority 100; policy accept; }
}
"""


@pytest.fixture
def administrator():
    """A ruleset beside ours; afterwards it is gone."""
    host.run("nft", "-f", "-", input=ADMINISTRATOR, check=True)
    yield lambda: host.run("nft", "list", "table", "inet", "filter", check=True).out + host.run("nft", "list", "table", "ip", "nat").out
    for table in (("inet", "filter"), ("ip", "nat")):
        host.run("nft", "delete", "table", *table, check=True)


def test_rules_of_others(lab, administrator, veth):
    """They are byte for byte as before, and what they drop is dropped."""
    before = administrator()
    with Box() as box:
        assert administrator() == before
        assert reach(box, {("tcp", FAR[0], PORT): "timeout", ("tcp", FAR[0], OTHER_PORT): "reached"}) == {}
    netlab.wait_no_boxes()
    assert administrator() == before


def test_policy_of_others_wins(veth):
    """A firewall that forwards nothing by default is not opened by us."""
    host.run("nft", "add table inet fw; add chain inet fw f { type filter hook forward priority 0; policy drop; }", check=True)
    try:
        with Box() as box:
            assert reach(box, everywhere(FAR, "timeout")) == {}
    finally:
        host.run("nft", "delete", "table", "inet", "fw", check=True)


def test_others_traffic_is_untouched(veth, lab):
    """What is no box's passes as before: the station through the host, the host itself."""
    with Box():
        assert reach(lab.station.prober, everywhere((*FAR, *HOST, *BRIDGE), "reached")) == {}
        assert reach(lab.host, everywhere((*FAR, *STATION), "reached")) == {}
        assert reach(lab.outside.prober, everywhere((*HOST, *STATION), "reached")) == {}
        assert lab.station.prober.tcp(FAR[0], PORT)["saw"].split()[1] == STATION[0]


@pytest.mark.parametrize("flush", ["flush ruleset", "delete table inet nsbox"])
def test_rules_come_back(veth, lab, flush):
    """`nft flush ruleset`, with which Debian's nftables.conf begins, takes our rules too: they are back within 15 s, those of
    every box, and with them all that they say."""
    veth("allow = host:7000/tcp", "deny = 203.0.113.0/24:7010/tcp")
    with boxes("alice", "bob") as (box, other):
        before = sorted(netlab.elements())
        assert before
        host.run("nft", flush, check=True)
        assert netlab.elements() == []
        host.wait_until(lambda: sorted(netlab.elements()) == before, timeout=15, interval=0.2,
                        what=f"the rules are back: {before}")
        assert reach(box, {("tcp", HOST[0], PORT): YES, ("tcp", HOST[0], OTHER_PORT): NO, ("tcp", FAR[0], OTHER_PORT): NO,
                           ("tcp", FAR[0], PORT): YES, ("tcp", other.addresses[0], PORT): NO}) == {}
    netlab.wait_no_boxes()
    assert netlab.elements() == []


def test_conversations_of_the_gap(veth, lab):
    """What boxes began while there were no rules does not go on when they are back, whichever box was first to put them in."""
    with boxes("alice", "bob", "carol") as all_:
        before = sorted(netlab.elements())
        host.run("nft", "flush", "ruleset", check=True)
        for box in all_:
            assert box.udp(HOST[0], PORT, 1.5, None, 5555)["how"] == "reached"
        host.wait_until(lambda: sorted(netlab.elements()) == before, timeout=30, interval=0.2, what="the rules are back")
        assert [box.udp(HOST[0], PORT, 1, None, 5555)["how"] for box in all_] == ["rejected"] * 3


# -- connections --


def test_connections(veth):
    """network_connections: so many at once for each address of each box, and the next ones are refused at once."""
    veth("network_connections = 5")
    with boxes("alice", "bob") as both:
        for box in both:
            for address in FAR:
                found = [result["how"] for result in box.many(*[["udp", address, PORT]] * 12)]
                assert (found.count("reached"), found.count("rejected")) == (5, 7), found


# -- rate --


RATE = 8e6


def test_rate(veth, lab):
    """network_rate holds in both directions, for each box by itself."""
    veth("network_rate = 8Mbit")
    with boxes("alice", "bob") as (box, other):
        for one in (box, other):
            one.send("pull", FAR[0], SOURCE_PORT, 3)
        speeds = [one.receive() for one in (box, other)]
        assert all(0.6 * RATE < speed < 1.2 * RATE for speed in speeds), speeds
        for one in (box, other):
            one.send("push", FAR[0], SINK_PORT, 3)
        speeds = [one.receive() for one in (box, other)]
        assert all(0.3 * RATE < speed < 1.4 * RATE for speed in speeds), speeds


@pytest.mark.parametrize("family", [0, 1])
def test_rate_of_datagrams(veth, lab, family):
    """Whoever floods gets no more through than who waits."""
    veth("network_rate = 8Mbit")
    with Box() as box:
        seconds = 2
        sent = box.flood(FAR[family], PORT, seconds)
        host.wait_until(lambda: True)
        arrived = len([hit for hit in lab.outside.prober.get_hits() if hit[1] == "udp"])
        bits = arrived * 8 * 1000 / seconds
        assert sent > arrived and 0.4 * RATE < bits < 1.6 * RATE, (sent, arrived, bits)


def test_rate_when_the_rules_came_back(veth):
    veth("network_rate = 8Mbit")
    with Box() as box:
        before = sorted(netlab.elements())
        host.run("nft", "flush", "ruleset", check=True)
        host.wait_until(lambda: sorted(netlab.elements()) == before, timeout=15, interval=0.2, what="the rules are back")
        assert box.push(FAR[0], SINK_PORT, 3) < 1.4 * RATE


def test_no_rate(veth):
    with Box() as box:
        assert box.pull(FAR[0], SOURCE_PORT, 1) > 50e6 and box.push(FAR[0], SINK_PORT, 1) > 50e6


# -- names --


def test_names_by_the_hosts_resolver(veth, lab):
    """dns = host: what is in the host's resolv.conf, over UDP and (an answer too long for it) TCP, IPv4 and IPv6."""
    for address in DNS:
        veth.conf.file("/etc/resolv.conf", f"nameserver {address}\noptions timeout:2\n")
        with Box() as box:
            assert box.resolve("www.lab.test") == sorted(FAR)
            assert len(box.resolve("big.lab.test")) == 99


def test_names_behind_a_stub(veth, lab):
    """The stub of systemd-resolved listens on the host's loopback, which is not the box's: the servers behind it are asked."""
    veth.conf.file("/etc/resolv.conf", "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lab.test\n")
    veth.conf.file("/run/systemd/resolve/resolv.conf", f"nameserver {DNS[0]}\nsearch lab.test\n")
    with Box() as box:
        assert box.resolve("www.lab.test") == sorted(FAR)
        assert box.resolve("www") == sorted(FAR)


@pytest.mark.parametrize("family", [0, 1])
def test_names_by_an_address(veth, family):
    """dns = ADDRESS: whatever the host asks."""
    veth.conf.file("/etc/resolv.conf", "nameserver 192.0.2.1\n")
    veth(f"dns = {DNS[family]}")
    with Box() as box:
        assert box.resolve("www.lab.test") == sorted(FAR)
        assert len(box.resolve("big.lab.test")) == 99
        assert [line for line in box.shell("cat /etc/resolv.conf")[1].splitlines() if line.startswith("nameserver")] == [
            f"nameserver {DNS[family]}"]


def test_no_names(veth):
    """dns = none: no server is asked, not even the default of the C library, 127.0.0.1."""
    veth.conf.file("/etc/resolv.conf", f"nameserver {DNS[0]}\n")
    veth("dns = none")
    with Box() as box:
        assert box.resolve("www.lab.test") == []
        assert "nameserver" not in "".join(line for line in box.shell("cat /etc/resolv.conf")[1].splitlines() if line[:1] != "#")
        assert reach(box, everywhere(FAR, "reached")) == {}


@pytest.mark.parametrize("root", ["host", "curated"])
def test_names_whatever_the_root(veth, root):
    veth(f"root = {root}", f"dns = {DNS[0]}")
    with Box() as box:
        assert box.resolve("www.lab.test") == sorted(FAR)


def test_hosts_resolver_is_untouched(veth):
    """/etc/resolv.conf of the host is as it was while boxes have others."""
    veth.conf.file("/etc/resolv.conf", "nameserver 192.0.2.1\n")
    veth(f"dns = {DNS[0]}")
    with Box():
        assert host.read("/etc/resolv.conf") == "nameserver 192.0.2.1\n"
    assert host.read("/etc/resolv.conf") == "nameserver 192.0.2.1\n"
