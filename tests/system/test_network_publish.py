# SPDX-License-Identifier: BSD-3-Clause
"""publish: ports of the host that lead into a box."""
import pytest

from lib import host, netlab, syslog
from lib.ctl import ctl
from lib.netlab import (BRIDGE, FAR, HOST, LOOPBACK, OTHER_PORT, OUTSIDE, PORT, STATION, Box, boxes, everywhere, in_pool, reach)
from lib.refusal import refused, su

SEEN = 8080  # the published port


@pytest.fixture
def published(lab, baseline, conf):
    """alice's box has ports of the host, bob's has none; published(LINE, ...) adds lines to both profiles."""
    conf.pam_all()
    conf.remove("/root/.bashrc")
    lab.forget()

    def write(*lines, publish=f"{SEEN}:{PORT} 8053:{OTHER_PORT}/udp"):
        rest = "".join(f"{line}\n" for line in lines)
        text = netlab.VETH.replace("users = *", "users = alice").replace("all]", "one]") + f"publish = {publish}\n{rest}"
        return conf.nsbox(text + netlab.VETH.replace("users = *", "users = bob carol") + rest)
    write()
    write.conf = conf
    return write


def serve(box):
    """Everything that a box can listen at."""
    for address in box.addresses:
        for protocol in ("tcp", "udp"):
            for port in (PORT, OTHER_PORT):
                box.listen("box", protocol, address, port)


def from_outside(how="reached"):
    """What the two published ports are like, by addresses of the host."""
    return everywhere(HOST, how, ("tcp",), SEEN) | everywhere(HOST, how, ("udp",), 8053)


def test_from_outside(published, lab):
    """Whoever comes to the host's port comes to the box, with the address that he has."""
    with Box() as box:
        serve(box)
        assert reach(lab.outside.prober, from_outside()) == {}
        assert reach(lab.station.prober, everywhere(BRIDGE, "reached", ("tcp",), SEEN)) == {}
        for address, own in zip(HOST, OUTSIDE):
            assert lab.outside.prober.tcp(address, SEEN)["saw"].split()[:2] == ["box", own]
            assert lab.outside.prober.udp(address, 8053)["saw"].split()[:2] == ["box", own]


def test_a_program_that_listens_everywhere(published, lab):
    """As servers do: at 0.0.0.0 and ::."""
    with Box() as box:
        box.listen("box", "tcp", "0.0.0.0", PORT)
        box.listen("box", "tcp", "::", PORT)
        assert reach(lab.outside.prober, everywhere(HOST, "reached", ("tcp",), SEEN)) == {}


def test_nothing_else(published, lab):
    """The other protocol at the published port, the box's port at the host's address (a service of the host's), the box's own
    address: as without."""
    with Box() as box:
        serve(box)
        outside = lab.outside.prober
        assert reach(outside, everywhere(HOST, "refused", ("udp",), SEEN) | everywhere(HOST, "refused", ("tcp",), 8053)) == {}
        assert reach(outside, everywhere(box.addresses, "timeout")) == {}
        assert reach(outside, everywhere(box.addresses, "timeout", ("tcp", "udp"), SEEN)) == {}
        assert outside.tcp(HOST[0], PORT)["saw"].startswith("host ")


def test_from_the_host(published, lab):
    """The host's own programs come to it by the host's addresses; its loopback is not one of those."""
    with Box() as box:
        serve(box)
        assert reach(lab.host, from_outside()) == {}
        assert reach(lab.host, everywhere(BRIDGE, "reached", ("tcp",), SEEN)) == {}
        assert lab.host.tcp(LOOPBACK[0], SEEN)["how"] == "refused"


def test_traffic_that_passes_is_not_taken(published, lab):
    """A port of the host is published, not that of others for whom the host is only a router."""
    port = 7040  # not one of the host's own
    for address in FAR:
        lab.outside.prober.listen("outside", "tcp", address, port)
    lab.station.prober.listen("station", "tcp", STATION[0], port)
    published(publish=f"{port}:{PORT}")
    with Box() as box:
        serve(box)
        assert lab.station.prober.tcp(FAR[0], port)["saw"].startswith("outside ")
        assert lab.station.prober.tcp(FAR[1], port)["saw"].startswith("outside ")
        assert lab.outside.prober.tcp(STATION[0], port)["saw"].startswith("station ")
        assert lab.host.tcp(FAR[0], port)["saw"].startswith("outside ")
        assert lab.outside.prober.tcp(HOST[0], port)["saw"].startswith("box ")


def test_other_boxes(published):
    """Another box comes to a published port as it comes to boxes: not, unless it may."""
    with boxes("alice", "bob") as (box, other):
        serve(box)
        assert reach(other, {("tcp", HOST[0], SEEN): "rejected", ("tcp", HOST[1], SEEN): "rejected", ("udp", HOST[0], 8053): "rejected"}) == {}
        assert box.get_hits() == []
    netlab.wait_no_boxes()
    published("allow = boxes")
    with boxes("alice", "bob") as (box, other):
        serve(box)
        assert reach(other, from_outside()) == {}


def test_allow_host_does_not_open_published_ports_of_boxes(published):
    """`allow = host` is the host's own services: behind a published port there is none of those."""
    published("allow = host")
    with boxes("alice", "bob") as (box, other):
        serve(box)
        assert reach(other, everywhere(HOST, "rejected", ("tcp",), SEEN) | everywhere(HOST, "reached", ("tcp",), PORT)) == {}
        assert box.get_hits() == []


@pytest.mark.parametrize("nat", ["yes", "no"])
def test_with_and_without_nat(published, lab, nat):
    """Publishing does not depend on what hides the box's address."""
    published(f"nat = {nat}")
    with Box() as box:
        serve(box)
        assert reach(lab.outside.prober, from_outside()) == {}
        saw = box.tcp(FAR[0], PORT)["saw"].split()[1]
        assert in_pool(saw, netlab.POOL[0]) == (nat == "no")


def test_deny_is_about_what_the_box_begins(published, lab):
    """Answers of a published service leave whatever `deny` says."""
    published("deny = any")
    with Box() as box:
        serve(box)
        assert reach(lab.outside.prober, from_outside()) == {}
        assert reach(box, everywhere(OUTSIDE, "rejected")) == {}


def test_taken(published, lab):
    """A port leads to one box. The second login that wants it is refused with the port and no more; after the first one's logout
    it gets in."""
    with Box() as box:
        serve(box)
        since = syslog.mark()
        line = refused(su(), since, str(SEEN))
        assert "publish" in line, line
        assert reach(lab.outside.prober, from_outside()) == {}
        assert set(netlab.our_links()) == {box.link["ifname"]}
    netlab.wait_no_boxes()
    with Box() as box:
        serve(box)
        assert reach(lab.outside.prober, from_outside()) == {}


def test_same_number_other_protocol(published, lab):
    """Port numbers of TCP and UDP are two things."""
    published(publish=f"{SEEN}:{PORT}/tcp {SEEN}:{OTHER_PORT}/udp")
    with Box() as box:
        serve(box)
        assert reach(lab.outside.prober, everywhere(HOST, "reached", ("tcp", "udp"), SEEN)) == {}


def test_connection_ends_with_the_box(published, lab):
    """After the logout nothing leads anywhere: neither new packets nor the old connection's. The next box with this address
    gets none of it."""
    with Box() as box:
        serve(box)
        mine = box.addresses
        assert reach(lab.outside.prober, from_outside()) == {}
    netlab.wait_no_boxes()
    assert reach(lab.outside.prober, everywhere(HOST, "refused", ("tcp",), SEEN)) == {}
    published(publish="9999:9999")
    with Box() as box:
        serve(box)
        assert box.addresses == mine
        assert reach(lab.outside.prober, everywhere(HOST, "refused", ("tcp",), SEEN) | everywhere(HOST, "refused", ("udp",), 8053)) == {}
        assert box.get_hits() == []


def test_only_with_veth(published):
    """publish with another network is a mistake that `check` tells with the line."""
    published.conf.nsbox("[profile all]\nusers = *\nnetwork = loopback\npublish = 8080:80\n")
    result = ctl("check")
    assert "publish" in result.out + result.err, result


def test_the_hosts_own_service(published, lab):
    """A port at which the host listens itself is not taken from it: refused with the port."""
    published(publish=f"{OTHER_PORT}:{PORT}")
    since = syslog.mark()
    refused(su(), since, str(OTHER_PORT))
    assert lab.outside.prober.tcp(HOST[0], OTHER_PORT)["saw"].startswith("host ")


def test_back_at_once(published):
    """Whoever comes back at once finds the port with a box that is ending: he waits for it."""
    published()
    for number in range(host.count(100, 20)):
        result = su("alice", "true")
        assert result.rc == 0, (number, result)
