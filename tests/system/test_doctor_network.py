# SPDX-License-Identifier: BSD-3-Clause
"""nsboxctl doctor about networks of boxes: each thing that is set up badly is one finding, and what the remedy says takes it
away; where no profile makes a network, none of it matters."""
import contextlib
import pathlib
import re

import pytest

from lib import host, pamconf
from test_doctor import PROFILE, bound, doctor  # noqa: F401 (a fixture)

VETH = PROFILE.replace("loopback", "veth")
BRIDGE = PROFILE.replace("loopback", "bridge:br0")
FORWARD = {4: "/proc/sys/net/ipv4/ip_forward", 6: "/proc/sys/net/ipv6/conf/all/forwarding"}
PROGRAM = pathlib.Path("/usr/libexec/nsbox/nsbox-net")


@pytest.fixture
def good(doctor, conf):  # noqa: F811
    """A profile with veth on a host that is ready for it."""
    conf.file("/etc/nftables.conf", "#!/usr/sbin/nft -f\n# flush ruleset\ntable inet filter {}\ndelete table inet filter\n")
    conf.file("/etc/resolv.conf", "nameserver 192.0.2.53\n")  # those that a box reaches: test_dns.py
    conf.nsbox(VETH)
    with bound(FORWARD[4], "1\n"), bound(FORWARD[6], "1\n"), bound("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0\n"):
        assert network(doctor) == []
        yield doctor
        assert network(doctor) == []  # whatever the test did, it took back


def network(asked):
    """The findings of the subject."""
    return [one for one in asked.ask()["findings"] if one["subject"] == "network"]


def one(asked, check, severity, what, where):
    """The one finding of the subject is this."""
    (finding,) = network(asked)
    assert (finding["check"], finding["severity"]) == (check, severity), finding
    assert re.search(what, finding["what"]) and re.search(where, finding["where"]), finding
    assert len(finding["remedy"]) > 5
    return finding


@contextlib.contextmanager
def profile(conf, text):
    conf.nsbox(text)
    yield
    conf.nsbox(VETH)


def test_program(good, conf):
    """nsbox-net is missing: a problem while a profile needs it."""
    PROGRAM.rename(PROGRAM.with_name("away"))
    try:
        for text in (VETH, BRIDGE):
            with profile(conf, text):
                one(good, "nsbox-net", "problem", "is missing, and profile all wants one", str(PROGRAM))
        for word in ("loopback", "host", "netns:lab", "join:bob"):
            with profile(conf, PROFILE.replace("loopback", word)):
                assert network(good) == [], word
    finally:
        PROGRAM.with_name("away").rename(PROGRAM)


@pytest.mark.parametrize("family, pool, other", [(4, "10.213.0.0/16", "fd00:213::/64"), (6, "fd00:213::/64", "10.213.0.0/16")])
def test_forwarding(good, conf, family, pool, other):
    """A host that does not forward refuses logins with veth; the remedy's line helps, and so does a pool of the other
    family. forwarding = set is the administrator's choice. Bridges need none."""
    path = FORWARD[family]
    with bound(path, "0\n") as file:
        finding = one(good, "forwarding", "problem", f"does not forward IPv{family}, and profile all", f"^{path}$")
        name, value = re.search(r'"(net[\w.]+) = (\d)"', finding["remedy"]).groups()
        assert "/proc/sys/" + name.replace(".", "/") == path
        with profile(conf, VETH + f"network_pool = {other}\n"):
            assert network(good) == []
        with profile(conf, VETH + f"network_pool = {pool}\nforwarding = set\n"):
            one(good, "forwarding", "note", f"makes the host a router of IPv{family}", r"nsbox.conf:1$")
        with profile(conf, BRIDGE):
            assert network(good) == []
        file.write_text(f"{value}\n")


def test_ipv6(good, conf):
    """A host without IPv6 needs a pool without it."""
    with bound("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1\n"):
        for profiles in (VETH, BRIDGE):
            with profile(conf, profiles):
                one(good, "ipv6", "problem", "profile all: network_pool: it has IPv6", r"nsbox.conf:1$")
        with profile(conf, VETH + "network_pool = 10.213.0.0/16\n"):
            assert network(good) == []


@pytest.mark.parametrize("text", ["flush ruleset\n", "#!/usr/sbin/nft -f\n\nflush \t ruleset\n\ntable inet filter {\n}\n",
                                  "table inet a {}; flush ruleset\n"])
def test_flush_ruleset(good, conf, text):
    """Debian's file takes the rules of boxes away; what removes its own tables alone does not."""
    kept = pathlib.Path("/etc/nftables.conf").read_text()
    conf.file("/etc/nftables.conf", text)
    for profiles in (VETH, BRIDGE):
        with profile(conf, profiles):
            finding = one(good, "flush-ruleset", "warning", "removes the rules of boxes", "^/etc/nftables.conf$")
    with profile(conf, PROFILE):
        assert network(good) == []
    lines = re.findall(r'"([^"]+)"', finding["remedy"])
    conf.file("/etc/nftables.conf", text.replace("flush ruleset", "\n".join(lines)).replace("flush \t ruleset", "\n".join(lines)))
    assert network(good) == []
    conf.file("/etc/nftables.conf", kept)


@contextlib.contextmanager
def link(name, *addresses):
    host.run("ip", "link", "add", name, "type", "bridge", check=True)
    try:
        host.run("ip", "link", "set", name, "up", check=True)
        for address in addresses:
            host.run("ip", "address", "add", address, "dev", name, "nodad", check=True)
        yield
    finally:
        host.run("ip", "link", "del", name, check=True)


@pytest.mark.parametrize("address, route, pool", [
    ("10.213.7.1/24", "10.213.7.0/24", "10.213.0.0/16"),
    ("10.1.2.3/8", "10.0.0.0/8", "10.213.0.0/16"),
    ("fd6e:7362:6f78::1/80", "fd6e:7362:6f78::/80", "fd6e:7362:6f78::/64"),
])
def test_pool(good, conf, address, route, pool):
    """A pool that somebody else has. Another pool helps, and a route to a box is none of somebody else."""
    with link("uplink", address):
        one(good, "network-pool", "problem", rf"{re.escape(pool)} overlaps {re.escape(route)}, .* route by uplink",
            r"nsbox.conf:1$")
        with profile(conf, VETH + "network_pool = 10.213.0.0/16 fd6e:7362:6f78::/64\n"):
            one(good, "network-pool", "problem", "overlaps", r"nsbox.conf:6$")
        with profile(conf, VETH + "network_pool = 172.20.0.0/16 fd00:1::/64\n"):
            assert network(good) == []
        with profile(conf, BRIDGE):
            assert network(good) == []
    with link("nsb-a", address):
        assert network(good) == []


def test_pool_and_default_route(good, conf):
    """The default route is in nobody's way."""
    with link("uplink", "192.0.2.2/24", "2001:db8::2/64"):
        host.run("ip", "route", "add", "default", "via", "192.0.2.1", check=True)
        host.run("ip", "-6", "route", "add", "default", "via", "2001:db8::1", "dev", "uplink", check=True)
        assert network(good) == []
        for kind in ("blackhole", "unreachable"):  # nor one that leads nowhere
            for nowhere in ("10.213.0.0/20", "fd6e:7362:6f78::/72"):
                host.run("ip", "route", "add", kind, nowhere, check=True)
                assert network(good) == []
                host.run("ip", "route", "del", kind, nowhere, check=True)
        host.run("ip", "route", "add", "10.213.0.0/20", "via", "192.0.2.1", check=True)
        one(good, "network-pool", "problem", r"overlaps 10\.213\.0\.0/20, .* by uplink", "nsbox.conf:1$")
        host.run("ip", "route", "del", "10.213.0.0/20", check=True)


def test_without_such_profiles(doctor):  # noqa: F811
    """Without such a profile there is nothing to be found."""
    assert network(doctor) == []
    assert "veth" not in pathlib.Path(pamconf.NSBOX_CONF).read_text()
