# SPDX-License-Identifier: BSD-3-Clause
"""network = bridge:NAME, netns:NAME and join:USER; veth together with share, linger and keep-id."""
import contextlib
import json
import os
import pathlib

import pytest

from lib import host, netlab, share, syslog
from lib.ctl import ctl
from lib.netlab import (BRIDGE, BRIDGE_POOL, FAR, HOST, LOOPBACK, OTHER_PORT, PORT, SINK_PORT, SOURCE_PORT, STATION, Box, boxes, everywhere,
                        reach)
from lib.refusal import refused, su


@pytest.fixture
def use(lab, baseline, conf):
    """use(NETWORK, LINE, ...): what everybody's box is like."""
    conf.pam_all()
    conf.remove("/root/.bashrc")
    lab.forget()

    def write(network, *lines):
        return conf.nsbox(netlab.VETH.replace("= veth", f"= {network}") + "".join(f"{line}\n" for line in lines))
    write.conf = conf
    return write


def listen(box, name="box", addresses=None):
    for address in addresses or box.addresses:
        for protocol in ("tcp", "udp"):
            for port in (PORT, OTHER_PORT):
                box.listen(name, protocol, address, port)


# -- bridge --

POOLS = f"network_pool = {BRIDGE_POOL[0]} {BRIDGE_POOL[1]}"


def test_bridge_addresses(use):
    """One address of each pool, with the prefix length of the bridge's network; the host's end is a port of the bridge."""
    use("bridge:br0", POOLS)
    with Box() as box:
        assert set(box.links) == {"lo", "eth0"}
        for address, pool, row_family in zip(box.addresses, BRIDGE_POOL, ("inet", "inet6")):
            assert netlab.in_pool(address, pool)
            (row,) = [row for row in box.links["eth0"]["addr_info"] if row["scope"] == "global" and row["family"] == row_family]
            assert row["prefixlen"] == (24 if row_family == "inet" else 64)
        assert box.link["master"] == "br0"
        port = json.loads(host.run("ip", "-j", "-d", "link", "show", box.link["ifname"], check=True).out)[0]["linkinfo"]["info_slave_data"]
        assert port["isolated"] and port["guard"] and port["root_block"], port


def test_bridge_reach(use, lab):
    """To the bridge's stations, by the bridge's address to the outside; not the host itself, not another box."""
    use("bridge:br0", POOLS)
    with boxes("alice", "bob") as (box, other):
        listen(other)
        wanted = everywhere(STATION, "reached") | everywhere(HOST, "rejected") | everywhere(BRIDGE, "rejected")
        wanted |= everywhere(other.addresses, ("rejected", "timeout"))  # ports that are isolated say nothing
        assert reach(box, wanted) == {}
        for address, own in zip(STATION, box.addresses):
            assert box.tcp(address, PORT)["saw"].split()[1] == own
        assert other.get_hits() == []


def test_bridge_outside(use, lab):
    """Through the host, which routes for stations of the bridge: the outside sees the box's own address."""
    lab.outside.run(f"ip route replace 10.77.0.0/24 via {HOST[0]}; ip -6 route replace fd77::/64 via {HOST[1]}")
    use("bridge:br0", POOLS)
    with Box() as box:
        assert reach(box, everywhere(FAR, "reached")) == {}
        assert box.tcp(FAR[0], PORT)["saw"].split()[1] == box.addresses[0]


def test_bridge_from_the_station(use, lab):
    """A station begins nothing with a box, nor does the host."""
    use("bridge:br0", POOLS)
    with Box() as box:
        listen(box)
        assert reach(box, everywhere(STATION, "reached")) == {}
        for prober in (lab.station.prober, lab.host, lab.outside.prober):
            assert reach(prober, everywhere(box.addresses, ("timeout", "rejected"))) == {}
        assert box.get_hits() == []


def test_bridge_rules(use, lab):
    """allow = host opens the host, deny closes stations."""
    use("bridge:br0", POOLS, "allow = host:7000/tcp", "deny = 10.77.0.2:7010 [fd77::2]:7010")
    with Box() as box:
        wanted = everywhere(BRIDGE, "reached", ("tcp",)) | everywhere(BRIDGE, "rejected", ("udp",))
        wanted |= everywhere(STATION, "reached") | everywhere(STATION, ("rejected", "timeout"), ("tcp", "udp"), OTHER_PORT)
        assert reach(box, wanted) == {}


def test_bridge_rate(use):
    use("bridge:br0", POOLS, "network_rate = 8Mbit")
    with Box() as box:
        assert 0.6 * 8e6 < box.pull(STATION[0], SOURCE_PORT, 3) < 1.2 * 8e6
        assert 0.3 * 8e6 < box.push(STATION[0], SINK_PORT, 3) < 1.4 * 8e6


def test_bridge_stays(use):
    """The bridge, its addresses and its other port are as before; a box's end takes its port along."""
    before = host.run("bridge", "-d", "link", check=True).out
    mac = host.read("/sys/class/net/br0/address")
    use("bridge:br0", POOLS)
    with Box():
        assert host.read("/sys/class/net/br0/address") == mac  # a bridge takes the lowest address of its ports
        assert len(host.run("bridge", "link", check=True).out.splitlines()) == 2
    netlab.wait_no_boxes()
    assert host.run("bridge", "-d", "link", check=True).out == before


@pytest.mark.parametrize("name, pattern", [("nobridge9", "nobridge9"), ("uplink0", "uplink0.*bridge|bridge.*uplink0")])
def test_bridge_that_is_none(use, name, pattern):
    """A bridge that is not there, or a link that is none: refused with its name. None is made."""
    use(f"bridge:{name}", POOLS)
    since, before = syslog.mark(), set(netlab.links())
    refused(su(), since, pattern)
    assert set(netlab.links()) == before


def test_bridge_pool_elsewhere(use):
    """A pool that is in no network of the bridge."""
    use("bridge:br0", "network_pool = 10.213.0.0/16")
    since = syslog.mark()
    refused(su(), since, "br0")


def test_bridge_pool_with_the_bridges_own_address(use):
    """A pool that has the host's address in it: refused with both."""
    use("bridge:br0", "network_pool = 10.77.0.0/29")
    since = syslog.mark()
    line = refused(su(), since, "10.77.0.0/29")
    assert BRIDGE[0] in line, line


def test_bridge_publishes_nothing(use):
    use("bridge:br0", POOLS, "publish = 8080:80")
    since = syslog.mark()
    assert su().rc != 0
    syslog.wait_for("login of alice refused: .*publish", since)


def test_bridge_and_veth_together(use, lab):
    """Boxes of both kinds do not reach each other, and both reach the station."""
    use.conf.nsbox(netlab.VETH.replace("users = *", "users = alice") +
                   netlab.VETH.replace("users = *", "users = bob").replace("all]", "other]").replace("= veth", "= bridge:br0") + POOLS + "\n")
    with boxes("alice", "bob") as (box, other):
        for one in (box, other):
            listen(one)
        assert reach(box, everywhere(other.addresses, ("rejected", "timeout")) | everywhere(STATION, "reached")) == {}
        assert reach(other, everywhere(box.addresses, ("rejected", "timeout")) | everywhere(STATION, "reached")) == {}
        assert box.get_hits() == other.get_hits() == []


# -- netns --


@contextlib.contextmanager
def named(name="lab"):
    """A namespace of ip-netns(8) with a link to the host."""
    host.run("sh", "-ec", f"""ip netns add {name}
        ip link add n0 type veth peer name eth7 netns {name}
        ip addr add 192.0.2.1/24 dev n0; ip link set n0 up
        ip -n {name} link set lo up; ip -n {name} addr add 192.0.2.2/24 dev eth7; ip -n {name} link set eth7 up
        ip -n {name} route add default via 192.0.2.1""", check=True)
    try:
        yield os.stat(f"/run/netns/{name}").st_ino
    finally:
        host.run("sh", "-c", f"ip link del n0; ip netns del {name}; umount /run/netns; rmdir /run/netns")


def test_netns(use, lab):
    """The session is in the namespace that the administrator made, with its links, and nothing of it is altered or ended."""
    with named() as inode:
        before = host.run("ip", "-n", "lab", "addr", check=True).out
        use("netns:lab")
        with boxes("alice", "bob") as (box, other):
            assert box.namespace() == other.namespace() == f"net:[{inode}]"
            assert "eth7" in box.links
            assert netlab.our_links() == {} and not (netlab.BOXES / box.id / "network").exists()
            assert box.tcp("192.0.2.1", 1)["how"] == "refused"
        netlab.wait_no_boxes()
        assert host.run("ip", "-n", "lab", "addr", check=True).out == before


def test_netns_that_is_none(use):
    """No namespace of that name, or a file that is none: refused with the name."""
    use("netns:nowhere")
    since = syslog.mark()
    refused(su(), since, "nowhere")
    os.makedirs("/run/netns", exist_ok=True)
    pathlib.Path("/run/netns/nowhere").write_text("")
    try:
        since = syslog.mark()
        refused(su(), since, "nowhere")
        pathlib.Path("/run/netns/nowhere").unlink()
        os.symlink("/proc/1/ns/mnt", "/run/netns/nowhere")
        since = syslog.mark()
        refused(su(), since, "nowhere")
    finally:
        pathlib.Path("/run/netns/nowhere").unlink()
        os.rmdir("/run/netns")


def test_netns_sysctls_and_sys(use):
    """What /proc/sys/net shows is that of the namespace, and is not for the user to write."""
    with named():
        use("netns:lab")
        with Box() as box:
            assert "eth7" in box.shell("ls /proc/sys/net/ipv4/conf")[1].split()
            assert box.shell("echo 1 >/proc/sys/net/ipv4/ip_forward")[0] != 0


# -- join --


def joined(conf, *lines):
    """alice has veth, bob is in alice's network."""
    rest = "".join(f"{line}\n" for line in lines)
    conf.nsbox(netlab.VETH.replace("users = *", "users = alice") + rest +
               netlab.VETH.replace("users = *", "users = bob").replace("all]", "other]").replace("= veth", "= join:alice"))


def test_join(use, lab):
    """bob's box is another box, in alice's network: the same address, and each reaches the other by loopback."""
    joined(use.conf)
    with Box("alice") as first, Box("bob") as second:
        assert first.id != second.id and first.namespace() == second.namespace()
        assert first.addresses == second.addresses
        assert reach(second, everywhere(FAR, "reached") | everywhere(HOST, "rejected")) == {}
        listen(first, "alice", LOOPBACK)
        assert second.tcp(LOOPBACK[0], PORT)["saw"].startswith("alice ")
        assert len(netlab.our_links()) == 1


def test_join_nobody(use):
    """There is no box of alice's: refused with a sentence that says so."""
    joined(use.conf)
    since = syslog.mark()
    refused(su("bob"), since, "alice", user="bob")


def test_join_outlives_nothing(use, lab):
    """When alice's box ends its link goes, whoever joined: bob's box is without network then, and ends as any other."""
    joined(use.conf)
    first = Box("alice").__enter__()
    with Box("bob") as second:
        first.close()
        host.wait_until(lambda: not netlab.our_links(), timeout=6, what="the link has gone")
        assert second.tcp(FAR[0], PORT)["how"] == "no route"
        with Box("alice") as again:
            assert again.namespace() != second.namespace()
            assert reach(again, everywhere(FAR, "reached")) == {}


def test_join_the_oldest(use):
    """Of several boxes of alice's it is the oldest."""
    joined(use.conf)
    with Box("alice") as first, Box("alice") as later, Box("bob") as second:
        assert second.namespace() == first.namespace() != later.namespace()


def test_join_has_no_own_rules(use):
    """publish, allow, deny in a profile that makes no network of its own are told by `check`."""
    use("join:alice", "allow = host")
    result = ctl("check")
    assert "allow" in result.out + result.err, result


# -- together with other keys --


def test_share(use, lab):
    """share = user: one box, one address for all sessions; it goes with the last."""
    use("veth", "share = user")
    with Box() as one:
        with Box() as two:
            assert one.id == two.id and one.namespace() == two.namespace() and one.addresses == two.addresses
            assert len(netlab.our_links()) == 1
            one.listen("one", "tcp", "127.0.0.1", PORT)
            assert two.tcp("127.0.0.1", PORT)["saw"].startswith("one ")
        share.wait_members(1)
        assert len(netlab.our_links()) == 1
        assert reach(one, everywhere(FAR, "reached")) == {}
    netlab.wait_no_boxes()
    assert netlab.elements() == []


def test_linger(use):
    """linger: the box keeps its address between two sessions, then all goes."""
    use("veth", "share = user", "linger = 3s")
    with Box() as one:
        first = (one.id, one.addresses)
    host.wait_until(lambda: len(netlab.our_links()) == 1, what="the link stays")
    with Box() as two:
        assert (two.id, two.addresses) == first
        assert reach(two, everywhere(FAR, "reached")) == {}
    netlab.wait_no_boxes(10)
    assert netlab.elements() == []


def test_keep_id(use, lab):
    """With a user namespace: the same network; root of the box may not alter it, for its namespace belongs to the box, but what it
    does there reaches nobody else."""
    use.conf.nsbox(netlab.VETH.replace("users = *", "users = * !root") + "user_namespace = keep-id\n")
    with boxes("alice", "bob") as (box, other):
        assert set(box.links) == {"lo", "eth0"}
        assert reach(box, everywhere(FAR, "reached", ("tcp", "udp")) | everywhere(HOST, "rejected", ("tcp", "udp"))) == {}
        assert reach(box, {("tcp", other.addresses[0], PORT): "rejected"}) == {}
    netlab.wait_no_boxes()


@pytest.mark.parametrize("root", ["host", "curated"])
@pytest.mark.parametrize("network", ["veth", "bridge:br0"])
def test_whatever_the_root(use, root, network):
    use(network, f"root = {root}", *([POOLS] if network != "veth" else []))
    with Box() as box:
        assert reach(box, everywhere(STATION, "reached", ("tcp", "udp")) | everywhere(HOST, "rejected", ("tcp", "udp"))) == {}
        assert sorted(box.shell("ls /sys/class/net 2>/dev/null")[1].split()) in (["eth0", "lo"], [])


def test_two_profiles_one_host(use):
    """Rules are each box's own: what one profile allows, another does not."""
    use.conf.nsbox(netlab.VETH.replace("users = *", "users = alice") + "allow = host\n" +
                   netlab.VETH.replace("users = *", "users = bob").replace("all]", "other]") + "deny = any\n" +
                   netlab.VETH.replace("users = *", "users = carol").replace("all]", "third]"))
    with boxes("alice", "bob", "carol") as (open_, closed, default):
        assert reach(open_, everywhere(HOST, "reached") | everywhere(FAR, "reached")) == {}
        assert reach(closed, everywhere(HOST, "rejected") | everywhere(FAR, "rejected")) == {}
        assert reach(default, everywhere(HOST, "rejected") | everywhere(FAR, "reached")) == {}
