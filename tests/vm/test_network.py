# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
# run: vm-1
"""network = veth on Debian 12: its kernel, its sshd, its nftables.service with an administrator's rules."""
import json

import pytest

from lib import host, netlab, nsboxvm
from lib.netlab import FAR, HOST, METADATA, OUTSIDE, PORT, everywhere
from lib.nsboxvm import boxes

RULES = """#!/usr/sbin/nft -f
flush ruleset

table inet filter {
	chain input {
		type filter hook input priority filter; policy accept;
		tcp dport 2999 drop
	}
	chain forward {
		type filter hook forward priority filter; policy accept;
		ip daddr 203.0.113.9 tcp dport 7010 drop
	}
}
"""


class Side(netlab.Prober):
    """The prober as root of the machine, in a namespace or not, by the door that is no login."""

    def __init__(self, vm, namespace=None):
        inside = f"ip netns exec {namespace} " if namespace else ""
        super().__init__(*vm._side(), f"{inside}{vm.prober_path}")
        host.forget(self.process)


class Login(netlab.Prober):
    """The prober in a session of the stock sshd."""

    def __init__(self, vm, user="alice"):
        super().__init__(*vm.command(user, vm.prober_path))

    @property
    def addresses(self):
        rows = json.loads(self.shell("ip -j addr show eth0")[1])[0]["addr_info"]
        return tuple(row["local"] for row in rows if row["scope"] == "global")


@pytest.fixture(scope="module")
def outside(vm):
    """A namespace of the machine's that is the internet; its prober and the machine's own."""
    vm.prober_path = "/usr/local/bin/netprobe"
    vm.write(vm.prober_path, "#!/bin/sh\n" + netlab.netprobe.command() + "\n", mode="755")
    addresses = "".join(f"ip -n outside addr add {address} dev lo nodad\n" for address in (*FAR, METADATA[0]))
    # emulated, the machine takes longer to load these in a login than a login may take (nsbox-helper(8))
    vm.run("modprobe -a veth nf_tables nft_ct nft_chain_nat nft_masq nft_nat nft_fib_inet nft_limit nft_connlimit nft_reject_inet nf_conntrack_netlink "
           "sch_tbf", timeout=120, check=True)
    vm.run(f"""set -e
        ip netns add outside
        ip link add uplink0 type veth peer name up0 netns outside
        ip addr add {HOST[0]}/24 dev uplink0; ip addr add {HOST[1]}/64 dev uplink0 nodad; ip link set uplink0 up
        ip -n outside link set lo up
        ip -n outside addr add {OUTSIDE[0]}/24 dev up0; ip -n outside addr add {OUTSIDE[1]}/64 dev up0 nodad
        ip -n outside link set up0 up
        {addresses}
        ip -n outside route add default via {HOST[0]}; ip -n outside -6 route add default via {HOST[1]}
        ip route add 203.0.113.0/24 via {OUTSIDE[0]}; ip -6 route add 2001:db8:f::/48 via {OUTSIDE[1]}
        ip route add {METADATA[0]} via {OUTSIDE[0]}
        sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0""", timeout=120, check=True)
    there, here = Side(vm, "outside"), Side(vm)
    host.wait_until(lambda: not vm.run("ip -6 addr show tentative; ip -n outside -6 addr show tentative").out, timeout=20)
    for prober, name, own in ((there, "outside", (*OUTSIDE, *FAR, METADATA[0])), (here, "host", HOST)):
        for address in own:
            for protocol in ("tcp", "udp"):
                for port in (PORT, 7010):
                    prober.listen(name, protocol, address, port)
    yield there, here
    there.close()
    here.close()
    vm.run("ip link del uplink0; ip netns del outside; rm /usr/local/bin/netprobe")


@pytest.fixture
def conf(vm, outside):
    yield from nsboxvm.configuration(vm)


@pytest.fixture
def forwards(vm):
    vm.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1", check=True)
    yield
    vm.run("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0", check=True)


def gone(vm):
    host.wait_until(lambda: not boxes(vm) and "nsb-" not in vm.run("ip -o link").out, timeout=30, interval=0.5, what="no link is left")


SLOW = 8  # seconds: an emulated processor


def how(prober, wanted):
    """netlab.reach(), one after the other and patiently."""
    found = {place: getattr(prober, place[0])(place[1], place[2], SLOW)["how"] for place in wanted}
    return {place: found[place] for place, ends in wanted.items() if found[place] != ends and not (ends == "rejected" and found[place] == "refused")}


def test_reach(vm, conf, forwards, outside):
    """A login by the stock sshd: outside yes, by the host's address; the host, the metadata service and another box no."""
    conf("allow = host:7010/tcp", users="alice bob", network="veth")
    with Login(vm) as box, Login(vm, "bob") as other:
        for address in other.addresses:
            other.listen("bob", "tcp", address, PORT)
        wanted = everywhere(FAR, "reached") | everywhere(HOST, "rejected") | everywhere(METADATA[:1], "rejected")
        wanted |= everywhere(other.addresses, "rejected", ("tcp",)) | everywhere(HOST, "reached", ("tcp",), 7010)
        assert how(box, wanted) == {}
        for address, masked in zip(FAR, HOST):
            assert box.tcp(address, PORT, SLOW)["saw"].split()[1] == masked
        for address in box.addresses:
            assert outside[0].tcp(address, PORT, 3)["how"] == "timeout"
    gone(vm)


def test_no_forwarding(vm, conf):
    """Debian forwards nothing by itself: refused, and the journal says how to mend it."""
    conf(network="veth")
    since = nsboxvm.seconds(vm)
    result = vm.run("echo in", user="alice")
    assert result.rc != 0 and "in" not in result.out.split(), result
    assert "forwarding = set" in vm.journal(f"--since @{since}")


def test_forwarding_set(vm, conf, outside):
    """forwarding = set: the first login makes the host forward."""
    conf("forwarding = set", network="veth")
    try:
        with Login(vm) as box:
            assert how(box, everywhere(FAR, "reached", ("tcp",))) == {}
        assert vm.read("/proc/sys/net/ipv4/ip_forward") == "1\n" == vm.read("/proc/sys/net/ipv6/conf/all/forwarding")
        gone(vm)
    finally:
        vm.run("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")


def test_publish(vm, conf, forwards, outside):
    conf("publish = 8080:7000", network="veth")
    with Login(vm) as box:
        for address in box.addresses:
            box.listen("box", "tcp", address, PORT)
        for address, own in zip(HOST, OUTSIDE):
            assert outside[0].tcp(address, 8080, SLOW)["saw"].split()[:2] == ["box", own]
    gone(vm)


def test_rules_of_the_administrator(vm, conf, forwards, outside):
    """What nftables.service has loaded stays byte for byte, and holds for boxes; `systemctl restart nftables`, which flushes
    everything, takes our rules for a moment: they come back by themselves."""
    vm.write("/etc/nftables.conf", RULES, mode="755")
    vm.run("systemctl start nftables", check=True)
    look = "nft list table inet filter"
    try:
        before = vm.run(look, check=True).out
        conf("allow = host:7010/tcp", network="veth")
        with Login(vm) as box:
            assert vm.run(look).out == before
            assert how(box, {("tcp", FAR[0], 7010): "timeout", ("tcp", FAR[0], PORT): "reached"}) == {}
            ours = vm.run("nft list table inet nsbox", check=True).out
            vm.run("systemctl restart nftables", timeout=120, check=True)
            host.wait_until(lambda: vm.run("nft list table inet nsbox").out == ours, timeout=40, interval=1, what="our rules are back")
            assert vm.run(look).out == before
            assert how(box, {("tcp", HOST[0], PORT): "rejected", ("tcp", HOST[0], 7010): "reached", ("tcp", FAR[0], PORT): "reached"}) == {}
        gone(vm)
        assert vm.run(look).out == before
    finally:
        vm.run("systemctl stop nftables; rm /etc/nftables.conf")
