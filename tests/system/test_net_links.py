# SPDX-License-Identifier: BSD-3-Clause
# build: fault
"""nsbox-net: the links of a box, by records that are written here. Every test has a host's network of its own, which is a
namespace; a box is another one, without processes."""
import ipaddress
import itertools
import json
import pathlib
import subprocess

import pytest

from lib import host
from lib.refusal import LIBEXEC

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

PROGRAM = f"{LIBEXEC}/nsbox-net"
FAULT = pathlib.Path("/run/nsbox-fault")
OK, FAILED, NAME_TAKEN = 0, 1, 3
POOLS = ("10.213.0.0/16", "fd6e:7362:6f78::/64")
ADDRESSES = ("10.213.0.7", "fd6e:7362:6f78::7")
ALIAS = "nsbox "

_numbers = itertools.count(1)


class Namespace:
    """A network namespace with a name: ip-netns(8)."""

    def __init__(self, name):
        self.name = f"{name}{next(_numbers)}"
        host.run("ip", "netns", "add", self.name, check=True)
        self.ip("link", "set", "lo", "up")

    def run(self, *command, **options):
        return host.run("ip", "netns", "exec", self.name, *command, **options)

    def ip(self, *words):
        self.run("ip", *words, check=True)

    def json(self, *words):
        return json.loads(self.run("ip", "-d", "-j", *words, check=True).out or "[]")

    def links(self):
        """{name: what ip(8) says} without lo."""
        return {link["ifname"]: link for link in self.json("link", "show") if link["ifname"] != "lo"}

    def sysctl(self, name, value=None):
        path = f"/proc/sys/{name}"
        if value is None:
            return self.run("cat", path, check=True).out.strip()
        return self.run("sh", "-c", f"echo {value} >{path}", check=True)

    def addresses(self, link):
        return sorted(f"{a['local']}/{a['prefixlen']}" for a in self.json("address", "show", "dev", link)[0]["addr_info"])

    def everything(self):
        """All that a box may leave in here."""
        return [self.run(*words.split(), check=True).out for words in (
            "ip -o link show", "ip -o address show", "ip -4 route show table all", "ip -6 route show table all",
            "ip neigh show nud permanent", "tc qdisc show")]

    def down(self):
        host.run("ip", "netns", "del", self.name)


@pytest.fixture
def namespace():
    """namespace(NAME): one that goes with the test."""
    made = []

    def make(name):
        made.append(Namespace(name))
        return made[-1]
    yield make
    FAULT.unlink(missing_ok=True)
    for each in made:
        each.down()


@pytest.fixture
def here(namespace):
    """The host's network: it forwards, has a link to the outside, and there a station that knows the way back."""
    made = namespace("host")
    made.outside = namespace("outside")
    for where, group in itertools.product((made, made.outside), ("all", "default")):
        where.sysctl(f"net/ipv6/conf/{group}/accept_dad", 0)  # of this link, no second of waiting
    made.ip("link", "add", "up0", "type", "veth", "peer", "name", "out0", "netns", made.outside.name)
    for where, link, number in ((made, "up0", 1), (made.outside, "out0", 2)):
        where.ip("addr", "add", f"192.0.2.{number}/24", "dev", link)
        where.ip("addr", "add", f"2001:db8::{number}/64", "dev", link, "nodad")
        where.ip("link", "set", link, "up")
    made.outside.ip("route", "add", POOLS[0], "via", "192.0.2.1")
    made.outside.ip("route", "add", POOLS[1], "via", "2001:db8::1")
    made.sysctl("net/ipv4/ip_forward", 1)
    made.sysctl("net/ipv6/conf/all/forwarding", 1)
    return made


@pytest.fixture
def box(namespace):
    return namespace("box")


class Record:
    """A record's text, and how nsbox-net is run with it."""

    def __init__(self, number=1, link=None, addresses=ADDRESSES, pools=POOLS, bridge=None, rate=0, forwarding="check"):
        self.id = f"{number:010x}"
        self.link = link or f"nsb{number}"
        self.host_mac = f"fe:ff:ff:00:01:{number:02x}"
        self.box_mac = f"02:00:00:00:02:{number:02x}"
        kind = ["kind bridge" if bridge else "kind veth", f"link {self.link}"] + ([f"bridge {bridge}"] if bridge else [])
        lines = ["nsbox-network 1", f"id {self.id}"] + kind + [f"host_mac {self.host_mac}", f"box_mac {self.box_mac}"]
        lines += [f"address {address}" for address in addresses] + [f"pool {pool}" for pool in pools]
        self.text = "\n".join(lines + ["nat yes", f"forwarding {forwarding}", f"rate {rate}", "connections 0", "end", ""])

    def run(self, where, verb, box=None, prefix=()):
        # a shell, because descriptor 3 must be the namespace and pytest has one of that number
        redirect = f"exec 3</run/netns/{box.name}; " if box else ""
        return where.run("sh", "-c", f'{redirect}exec "$@"', "sh", *prefix, PROGRAM, verb, input=self.text)

    def up(self, where, box, prefix=()):
        """What the rules let pass is the subject of test_net_rules.py: they are taken out."""
        result = self.run(where, "up", box, prefix)
        assert result.rc == OK and result.err == "", result
        where.run("nft", "flush", "ruleset", check=True)
        return result

    def down(self, where):
        result = self.run(where, "down")
        assert result.rc == OK and result.err == "", result

    def refused(self, where, *words, verb="check", box=None, status=FAILED):
        """One sentence with all these words; nothing is made."""
        before = where.everything()
        result = self.run(where, verb, box)
        assert result.rc == status and result.err.count("\n") == 1, result
        for word in words:
            assert word in result.err, (word, result.err)
        assert where.everything() == before


def pings(where, address, **options):
    return where.run("ping", "-c", "1", "-W", "2", address, **options).rc == 0


@pytest.fixture
def lan(here, namespace):
    """A bridge of the host and a station on its network. The host has an address there."""
    made = namespace("lan")
    made.sysctl("net/ipv6/conf/all/accept_dad", 0)
    made.sysctl("net/ipv6/conf/default/accept_dad", 0)
    here.ip("link", "add", "br0", "type", "bridge")
    here.ip("link", "add", "port0", "master", "br0", "type", "veth", "peer", "name", "lan0", "netns", made.name)
    for where, link, number in ((here, "br0", 1), (made, "lan0", 254)):
        where.ip("addr", "add", f"198.51.100.{number}/24", "dev", link)
        where.ip("addr", "add", f"2001:db8:1::{number}/64", "dev", link, "nodad")
        where.ip("link", "set", link, "up")
    here.ip("link", "set", "port0", "up")
    made.ip("route", "add", "192.0.2.0/24", "via", "198.51.100.1")
    return made


def on_bridge(number=1, **words):
    """The record of a box on br0."""
    return Record(number, bridge="br0", **{
        "addresses": (f"198.51.100.{130 + number}", f"2001:db8:1::8000:{number}"),
        "pools": ("198.51.100.128/26", "2001:db8:1::8000:0/112")} | words)


# ---- veth ----

def test_what_is_made(here, box):
    """Both ends, their MACs, addresses, routes and neighbours; the host's end has no address of its own."""
    record = Record()
    record.up(here, box)
    link = here.links()[record.link]
    assert (link["ifalias"], link["address"], link["inet6_addr_gen_mode"]) == (ALIAS + record.id, record.host_mac, "none")
    assert "UP" in link["flags"] and link["linkinfo"]["info_kind"] == "veth"
    assert here.addresses(record.link) == []
    assert here.sysctl(f"net/ipv6/conf/{record.link}/accept_ra") == "0"
    for family, address, length in (("-4", ADDRESSES[0], 32), ("-6", ADDRESSES[1], 128)):
        routes = here.json(family, "route", "show", "dev", record.link)
        assert [(route["dst"], route["protocol"]) for route in routes] == [(address, "110")], routes
        neighbours = here.json(family, "neigh", "show", "dev", record.link)
        assert [(n["dst"], n["lladdr"], n["state"]) for n in neighbours] == [(address, record.box_mac, ["PERMANENT"])]

    link = box.links()["eth0"]
    assert link["address"] == record.box_mac and "UP" in link["flags"]
    assert box.addresses("eth0") == [f"{ADDRESSES[0]}/32", f"{ADDRESSES[1]}/128"]
    assert "tentative" not in box.run("ip", "addr").out
    for family, gateway in (("-4", "169.254.1.1"), ("-6", "fe80::1")):
        default = [route for route in box.json(family, "route") if route["dst"] == "default"]
        assert [(route["gateway"], route["dev"]) for route in default] == [(gateway, "eth0")]
        neighbours = box.json(family, "neigh")
        assert [(n["dst"], n["lladdr"], n["state"]) for n in neighbours] == [(gateway, record.host_mac, ["PERMANENT"])]
    assert [box.sysctl(f"net/ipv6/conf/eth0/{name}") for name in ("accept_ra", "autoconf", "disable_ipv6")] == ["0", "0", "0"]


def test_reaches_the_outside_at_once(here, box):
    """No waiting after `up`: the first packet of either family arrives, and the outside reaches the box."""
    Record().up(here, box)
    assert pings(box, "192.0.2.2") and pings(box, "2001:db8::2")
    assert pings(here.outside, ADDRESSES[0]) and pings(here.outside, ADDRESSES[1])
    assert pings(here, ADDRESSES[0]) and pings(here, ADDRESSES[1])


@pytest.mark.parametrize("family", (0, 1), ids=("IPv4", "IPv6"))
def test_one_family(here, box, family):
    """Of the other one there is nothing, not even a link-local address."""
    record = Record(addresses=ADDRESSES[family:family + 1], pools=POOLS[family:family + 1])
    record.up(here, box)
    assert box.addresses("eth0") == [f"{ADDRESSES[family]}/{(32, 128)[family]}"]
    assert pings(box, ("192.0.2.2", "2001:db8::2")[family])
    assert not pings(box, ("2001:db8::2", "192.0.2.2")[family])
    assert here.addresses(record.link) == []
    other = here.json(("-6", "-4")[family], "route", "show", "table", "all", "dev", record.link)
    assert [route for route in other if route.get("type") != "multicast"] == []


def test_two_boxes(here, box, namespace):
    """A second box of the same pool is no obstacle to itself, nor are the routes of the first."""
    second = Record(2, addresses=("10.213.0.8", "fd6e:7362:6f78::8"))
    other = namespace("box")
    Record().up(here, box)
    second.up(here, other)
    assert pings(other, "192.0.2.2") and pings(box, "10.213.0.8")
    second.down(here)
    assert pings(box, "2001:db8::2") and "nsb2" not in here.links()


def test_a_box_without_ipv6_of_its_host(here, box):
    """IPv6 that is switched off, or not there at all, is said; IPv4 works all the same."""
    here.sysctl("net/ipv6/conf/all/disable_ipv6", 1)
    here.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
    Record().refused(here, "IPv6", "net.ipv6.conf.default.disable_ipv6", "network_pool")
    Record(addresses=ADDRESSES[:1], pools=POOLS[:1]).up(here, box)
    assert pings(box, "192.0.2.2")


def test_no_ipv6_at_all(here, box):
    """A kernel with ipv6.disable=1 has no /proc/sys/net/ipv6."""
    hidden = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc/sys/net && mkdir /proc/sys/net/ipv4 && '
              'echo 1 >/proc/sys/net/ipv4/ip_forward && exec "$@"', "sh")
    result = Record().run(here, "check", box, hidden)
    assert result.rc == FAILED and "this host has no IPv6" in result.err, result
    Record(addresses=ADDRESSES[:1], pools=POOLS[:1]).up(here, box, hidden)
    assert pings(box, "192.0.2.2")


# ---- taking away ----

def test_nothing_stays(here, box):
    """down, and down again."""
    before = here.everything()
    record = Record(rate=8000000)
    record.up(here, box)
    assert here.everything() != before
    record.down(here)
    assert here.everything() == before and box.links() == {}
    record.down(here)
    assert here.everything() == before


def test_down_of_a_pinned_box(here, box):
    """Somebody outside holds a descriptor of the box's namespace: its link goes all the same."""
    record = Record()
    record.up(here, box)
    with open(f"/run/netns/{box.name}", "rb"):
        record.down(here)
        assert box.links() == {} and record.link not in here.links()


def test_down_after_the_box(here, namespace):
    """The namespace went first, and the pair with it, or is just going."""
    before = here.everything()
    for number in range(1, host.count(50, 8)):
        gone = namespace("gone")
        record = Record(number)
        record.up(here, gone)
        gone.down()
        record.down(here)
        assert record.link not in here.links()
    host.wait_until(lambda: here.everything() == before)


def test_down_leaves_what_is_not_ours(here):
    """A link of that name without the alias, with another's alias, and one whose alias only begins like ours."""
    record = Record()
    for alias in (None, "nsbox 00000000ff", f"nsbox {record.id}0", "nsbox", "my own"):
        here.ip("link", "add", record.link, "type", "veth", "peer", "name", "foreign")
        if alias:
            here.ip("link", "set", record.link, "alias", alias)
        record.down(here)
        assert record.link in here.links(), alias
        here.ip("link", "del", record.link)
    here.ip("link", "add", record.link, "type", "bridge")
    here.ip("link", "set", record.link, "alias", f"nsbox {record.id}")
    record.down(here)
    assert record.link in here.links()


def test_down_of_a_renamed_link(here, box):
    """Also where another link has taken the name."""
    record = Record()
    for foreign in (False, True):
        record.up(here, box)
        here.ip("link", "set", record.link, "down")
        here.ip("link", "set", record.link, "name", "mine")
        if foreign:
            here.ip("link", "add", record.link, "type", "veth", "peer", "name", "foreign")
        record.down(here)
        assert "mine" not in here.links() and (record.link in here.links()) == foreign


def test_name_taken(here, box):
    """Status 3: nothing was made, the other's link is as it was."""
    record = Record(link="taken0")
    here.ip("link", "add", "taken0", "type", "veth", "peer", "name", "foreign")
    record.refused(here, "taken0", verb="up", box=box, status=NAME_TAKEN)
    assert box.links() == {}
    Record(2, link="taken0").refused(here, verb="up", box=box, status=NAME_TAKEN)


def test_a_box_that_has_an_eth0(here, box):
    """That is no reason to try another name."""
    box.ip("link", "add", "eth0", "type", "veth", "peer", "name", "other")
    Record().refused(here, Record().id, verb="up", box=box)


# ---- faults ----

def faults(here, box, record, verb):
    """Makes request 0, 1, ... fail until nothing fails; yields after each with its number."""
    for number in range(60):
        FAULT.write_text(f"request {number}\n")
        result = record.run(here, verb, box)
        FAULT.unlink()
        if result.rc == OK:
            return
        assert result.rc == FAILED and result.err.count("\n") == 1 and "Input/output error" in result.err, (number, result)
        yield number
    raise AssertionError("it never ends")


@pytest.mark.parametrize("kind", ("veth", "bridge"))
def test_every_request_of_up_fails(here, lan, box, kind):
    """One after the other: nothing stays in the host nor in the box."""
    before = here.everything()
    record = on_bridge(rate=8000000) if kind == "bridge" else Record(rate=8000000)
    numbers = [number for number in faults(here, box, record, "up") if (here.everything(), box.links()) == (before, {})]
    assert numbers == list(range(len(numbers))), numbers
    assert len(numbers) == (21 if kind == "bridge" else 18), numbers  # two of them are the rules'
    record.down(here)
    assert here.everything() == before


def test_every_request_of_down_fails(here, box):
    """Status 1 and a sentence; the next one takes it away."""
    before = here.everything()
    record = Record()
    record.up(here, box)
    numbers = list(faults(here, box, record, "down"))
    assert numbers == [0, 1] and here.everything() == before


def test_rules_stay_with_a_link_that_stays(here, box):
    """`down` that cannot remove the link leaves the rules that its packets need."""
    record = Record()
    assert record.run(here, "up", box).rc == OK
    FAULT.write_text("request 0\n")
    failed = record.run(here, "down")
    FAULT.unlink()
    assert failed.rc == FAILED and record.link in here.links()
    assert record.link in here.run("nft", "list", "set", "inet", "nsbox", "own4", check=True).out
    record.down(here)
    assert record.link not in here.run("nft", "list", "ruleset", check=True).out


def test_killed_in_the_middle(here, box):
    """`up` dies at any of its system calls that say something to the kernel: `down` finds what there is, without an alias too."""
    before = here.everything()
    for number in range(1, 60):
        record = Record(number, rate=8000000)
        killed = record.run(here, "up", box, ("strace", "-f", "-o", "/dev/null", "-e",
                                              f"inject=sendmsg:signal=KILL:when={number}"))
        record.down(here)
        assert here.everything() == before and box.links() == {}, number
        if killed.rc == OK:
            break
    assert 16 < number < 30


# ---- pools and routes ----

@pytest.mark.parametrize("route, pool", (
    ("10.213.4.0/24", POOLS[0]), ("10.213.0.0/16", POOLS[0]), ("10.0.0.0/8", POOLS[0]), ("10.213.0.99", POOLS[0]),
    ("fd6e:7362:6f78::/48", POOLS[1]), ("fd6e:7362:6f78::4000:0/112", POOLS[1])))
def test_a_route_in_the_way(here, box, route, pool):
    """The sentence names pool, route, link and remedy. `up` says the same if the box itself would be in the way."""
    here.ip("route", "add", route, "dev", "up0")
    said = f"network_pool {pool} ", f" {route} ", "up0", "name another network_pool"
    Record().refused(here, *said, box=box)
    if any(ipaddress.ip_address(address) in ipaddress.ip_network(route, strict=False) for address in ADDRESSES):
        Record().refused(here, *said, verb="up", box=box)
    else:
        Record().up(here, box)


def test_an_address_of_the_host_in_the_way(here, box):
    here.ip("addr", "add", "10.213.77.1/32", "dev", "lo")
    Record().refused(here, "10.213.0.0/16", "10.213.77.1", "lo", "host's own", "network_pool", box=box)
    here.ip("addr", "add", ADDRESSES[0], "dev", "lo")
    Record().refused(here, "10.213.0.0/16", ADDRESSES[0], "lo", "host's own", "network_pool", verb="up", box=box)


def routes_read(here, box, record):
    """How many routes `up` reads (of each answer of the kernel at least the first 32 are counted)."""
    trace = pathlib.Path("/tmp/routes-read")
    assert record.run(here, "up", box, ("strace", "-f", "-o", str(trace), "-e", "trace=recvfrom,recvmsg")).rc == OK
    text = trace.read_text()
    trace.unlink()
    return text.count("rtm_family=")


def test_other_routes_cost_nothing(here, box, namespace):
    """`up` asks for its own routes: it reads as much beside a thousand others as beside none."""
    here.ip("route", "add", "default", "via", "192.0.2.2")
    here.ip("-6", "route", "add", "default", "via", "2001:db8::2")
    assert routes_read(here, box, Record()) == 2
    Record().down(here)
    here.run("ip", "-batch", "-", input="".join(f"route add 10.{100 + i // 250}.{i % 250}.0/24 dev up0\n" for i in range(1000)), check=True)
    assert routes_read(here, box, Record()) == 2


def test_routes_that_are_not_in_the_way(here, box):
    """Default routes, other tables, routes that lead nowhere, and whatever goes through links of boxes."""
    here.ip("route", "add", "default", "via", "192.0.2.2")
    here.ip("-6", "route", "add", "default", "via", "2001:db8::2")
    here.ip("route", "add", "10.213.5.0/24", "dev", "up0", "table", "100")
    here.ip("route", "add", "blackhole", "10.213.0.0/16")
    here.ip("-6", "route", "add", "unreachable", POOLS[1])
    record = Record()
    record.up(here, box)
    here.ip("route", "add", "10.213.6.0/24", "dev", record.link)
    assert record.run(here, "check").rc == OK
    assert pings(box, "192.0.2.2") and pings(box, "2001:db8::2")


# ---- forwarding ----

@pytest.mark.parametrize("family, sysctl", ((0, "net/ipv4/ip_forward"), (1, "net/ipv6/conf/all/forwarding")))
def test_forwarding(here, box, family, sysctl):
    """check: refused, by families that are used. set: `up` sets it, `check` does not."""
    here.sysctl(sysctl, 0)
    words = {"addresses": ADDRESSES[family:family + 1], "pools": POOLS[family:family + 1]}
    Record(**words).refused(here, ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")[family], "forwarding = set",
                            verb="up", box=box)
    other = {"addresses": ADDRESSES[1 - family:2 - family], "pools": POOLS[1 - family:2 - family]}
    assert Record(**other).run(here, "check").rc == OK
    record = Record(forwarding="set", **words)
    assert record.run(here, "check").rc == OK and here.sysctl(sysctl) == "0"
    record.up(here, box)
    assert here.sysctl(sysctl) == "1" and pings(box, ("192.0.2.2", "2001:db8::2")[family])
    record.down(here)
    assert here.sysctl(sysctl) == "1"


def test_forwarding_would_lose_the_router(here, box):
    """A host that has learned its IPv6 router from advertisements, as the kernel forgets it when it forwards."""
    here.sysctl("net/ipv6/conf/all/forwarding", 0)
    here.sysctl("net/ipv6/conf/up0/accept_ra", 1)
    here.ip("-6", "route", "add", "default", "via", "fe80::9", "dev", "up0", "proto", "ra")
    Record(forwarding="set").refused(here, "up0", "net.ipv6.conf.up0.accept_ra = 2", verb="up", box=box)
    here.sysctl("net/ipv6/conf/up0/accept_ra", 2)
    Record(forwarding="set").up(here, box)


# ---- bridge ----

def test_on_a_bridge(here, lan, box):
    """A port that is isolated and guarded, an address with the length of the bridge's network, the host as the gateway."""
    mtu, mac = here.links()["br0"]["mtu"], here.links()["br0"]["address"]
    record = on_bridge()
    record.up(here, box)
    link = here.links()[record.link]
    port = link["linkinfo"]["info_slave_data"]
    assert (link["master"], link["ifalias"], link["address"]) == ("br0", ALIAS + record.id, record.host_mac)
    assert (port["isolated"], port["guard"], port["root_block"]) == (True, True, True), port
    assert here.sysctl(f"net/ipv6/conf/{record.link}/disable_ipv6") == "1" and here.addresses(record.link) == []
    assert (here.links()["br0"]["mtu"], here.links()["br0"]["address"]) == (mtu, mac)

    addresses = box.json("address", "show", "dev", "eth0")[0]["addr_info"]
    assert [(a["local"], a["prefixlen"], a.get("broadcast")) for a in addresses if a["scope"] == "global"] == [
        ("198.51.100.131", 24, "198.51.100.255"), ("2001:db8:1::8000:1", 64, None)]
    defaults = [box.json(family, "route", "show", "default")[0]["gateway"] for family in ("-4", "-6")]
    assert defaults == ["198.51.100.1", "2001:db8:1::1"]
    assert pings(box, "198.51.100.254") and pings(box, "2001:db8:1::254") and pings(box, "192.0.2.1")
    assert pings(lan, "198.51.100.131") and pings(lan, "2001:db8:1::8000:1")
    record.down(here)
    assert record.link not in here.links()


def test_boxes_on_a_bridge_are_isolated(here, lan, box, namespace):
    other = namespace("box")
    on_bridge(1).up(here, box)
    on_bridge(2).up(here, other)
    assert pings(other, "198.51.100.254") and not pings(other, "198.51.100.131")


def test_the_router_on_the_bridge_is_the_gateway(here, lan, box):
    """And then the host need not forward."""
    here.ip("route", "add", "default", "via", "198.51.100.254", "metric", "50")
    here.ip("route", "add", "default", "via", "198.51.100.253", "metric", "60")
    here.ip("-6", "route", "add", "default", "via", "fe80::254", "dev", "br0")
    here.sysctl("net/ipv4/ip_forward", 0)
    here.sysctl("net/ipv6/conf/all/forwarding", 0)
    on_bridge(forwarding="set").up(here, box)
    defaults = [box.json(family, "route", "show", "default")[0]["gateway"] for family in ("-4", "-6")]
    assert defaults == ["198.51.100.254", "fe80::254"]
    assert here.sysctl("net/ipv4/ip_forward") == "0"
    on_bridge(2, addresses=("198.51.100.253",), pools=("198.51.100.252/30",)).refused(
        here, "198.51.100.252/30", "198.51.100.254", "br0", "network_pool")


def test_a_large_mtu_stays(here, lan, box):
    """A port with a smaller one would shrink the bridge."""
    lan.ip("link", "set", "lan0", "mtu", "9000")
    here.ip("link", "set", "port0", "mtu", "9000")
    assert here.links()["br0"]["mtu"] == 9000
    on_bridge(rate=8000000).up(here, box)
    assert (here.links()["br0"]["mtu"], box.links()["eth0"]["mtu"]) == (9000, 9000)
    assert pings(box, "198.51.100.254") and box.run("ping", "-c1", "-W2", "-s8000", "-Mdo", "198.51.100.254").rc == 0


def test_bridges_that_will_not_do(here, lan, box):
    """None of that name, a link that is none, a pool outside its networks, one that holds its own address."""
    lan.ip("link", "set", "lan0", "up")
    record = {"bridge": "none0", "addresses": ("198.51.100.131",), "pools": ("198.51.100.128/26",)}
    for verb in ("check", "up"):
        Record(**record).refused(here, "no bridge none0", "ip link add none0 type bridge", verb=verb, box=box)
        Record(**record | {"bridge": "up0"}).refused(here, "up0 is no bridge", verb=verb, box=box)
        Record(**record | {"bridge": "br0", "pools": POOLS[:1]}).refused(
            here, f"network_pool {POOLS[0]}", "bridge br0", "198.51.100.0/24, 2001:db8:1::/64", verb=verb, box=box)
        Record(**record | {"bridge": "br0", "pools": ("198.51.100.0/24",)}).refused(
            here, "198.51.100.0/24", "198.51.100.1,", "host's own", verb=verb, box=box)
    on_bridge(addresses=("198.51.100.255",), pools=("198.51.100.192/26",)).refused(here, "198.51.100.255", "br0", box=box)
    here.ip("route", "add", "198.51.100.160/28", "dev", "up0")
    on_bridge().refused(here, "198.51.100.128/26", "198.51.100.160/28", "up0", "network_pool", box=box)


# ---- rate ----

def received(box, where, address, size):
    """Seconds that a stream of so many bytes to the box takes, from its first byte to its last."""
    code = ("import socket,sys,time\n"
            "s=socket.create_server(('', 5001))\nprint('ready', flush=True)\nc=s.accept()[0]\nn=len(c.recv(1))\nt=time.monotonic()\n"
            "while True:\n d=c.recv(65536)\n n+=len(d)\n if not d: break\nprint(n, time.monotonic()-t)\n")
    server = host.end_with_test(subprocess.Popen(["ip", "netns", "exec", box.name, "python3", "-c", code],
                                                 stdout=subprocess.PIPE, text=True))
    assert server.stdout.readline() == "ready\n"
    where.run("python3", "-c", f"import socket; s=socket.create_connection(('{address}', 5001)); s.sendall(bytes({size})); s.close()",
              check=True)
    count, seconds = server.stdout.readline().split()
    server.wait(10)
    assert int(count) == size
    return float(seconds)


@pytest.mark.parametrize("mbit, size", ((1, 125000), (8, 1000000), (80, 10000000)))
def test_rate(here, box, mbit, size):
    """So much that it takes a second to the box."""
    Record(rate=mbit * 1000000).up(here, box)
    seconds = received(box, here.outside, ADDRESSES[0], size)
    assert 0.8 < seconds < 1.5 * host.PATIENCE, seconds


@pytest.mark.parametrize("rate", (8000, 64000, 10 ** 10, 10 ** 12))
def test_extreme_rates(here, box, rate):
    """The kernel takes them, as they are, and a whole frame passes."""
    record = Record(rate=rate)
    record.up(here, box)
    tbf = json.loads(here.run("tc", "-j", "qdisc", "show", "dev", record.link).out)[0]
    assert tbf["kind"] == "tbf" and tbf["options"]["rate"] == rate // 8, tbf
    assert here.run("ping", "-c1", "-W3", "-s1472", "-Mdo", ADDRESSES[0]).rc == 0
