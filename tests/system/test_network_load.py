# SPDX-License-Identifier: BSD-3-Clause
# alone: all begin at the same moment, and none may wait longer than a login may
"""Many boxes with network = veth at once: addresses, links and rules of each by itself; a pool that is used up."""
import subprocess
import time

import pytest

from lib import host, netlab, syslog
from lib.netlab import FAR, HOST, PORT, Box, boxes, everywhere, reach
from lib.refusal import refused, su

USERS = ("alice", "bob", "carol", "mallory")


@pytest.fixture
def veth(lab, baseline, conf):
    conf.pam_all()
    conf.remove("/root/.bashrc")

    def write(*lines):
        return conf.nsbox(netlab.VETH + "".join(f"{line}\n" for line in lines))
    write()
    return write


SHOW = "echo $NSBOX_ID $(ip -4 -o addr show eth0 | grep -o 'inet [0-9.]*') $(ip -6 -o addr show eth0 scope global | grep -o 'inet6 [0-9a-f:]*'); read line"


def logins(number, script=SHOW):
    """So many at the same moment: the processes, which wait for a line."""
    return [host.end_with_test(subprocess.Popen(["su", USERS[i % len(USERS)], "-c", script], stdin=subprocess.PIPE,
                                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)) for i in range(number)]


def end(processes):
    for process in processes:
        process.communicate("\n", timeout=60)


@pytest.mark.timeout(600)
def test_parallel_logins(veth):
    """All that begin at the same moment get in, each with addresses, a link and rules of its own."""
    number, since = host.count(200, 40), syslog.mark()
    start = time.monotonic()
    processes = logins(number)
    told = [process.stdout.readline().split() for process in processes]
    took = time.monotonic() - start
    assert all(len(words) == 5 for words in told), syslog.matching("refused|nsbox-net", since)
    for column in (0, 2, 4):
        assert len({words[column] for words in told}) == number
    ours = netlab.our_links()
    assert len(ours) == number and {link["ifalias"] for link in ours.values()} == {f"nsbox {words[0]}" for words in told}
    assert took < number * 0.5 * host.PATIENCE, took
    with Box("alice") as box:
        assert reach(box, everywhere(FAR, "reached") | everywhere(HOST, "rejected")) == {}
        assert reach(box, {("tcp", told[0][2], PORT): "rejected"}) == {}
    end(processes)
    netlab.wait_no_boxes(30)


@pytest.mark.timeout(600)
def test_again_and_again(veth):
    """Logins that come and go at the same time for a while: none is refused for a race about names or addresses."""
    for _ in range(host.count(20, 3)):
        processes = logins(20, "exit 0")
        results = [(process.communicate(timeout=60), process.returncode) for process in processes]
        assert [result for result in results if result[1] != 0] == []
    netlab.wait_no_boxes(20)


def test_a_box_costs_the_same(veth):
    """The hundredth takes as long as the first, about: a box is elements, not rules."""
    def timed():
        start = time.monotonic()
        assert su(command="true").rc == 0
        return time.monotonic() - start
    timed()
    alone = host.median([timed() for _ in range(7)])
    crowd = logins(host.count(200, 40))
    for process in crowd:
        assert process.stdout.readline()
    among = host.median([timed() for _ in range(7)])
    end(crowd)
    netlab.wait_no_boxes(30)
    assert among < 3 * alone + 0.1, (alone, among)


# -- a pool that is used up --

SMALL = "network_pool = 10.213.0.0/30 fd6e:7362:6f78::/126"


def test_pool_is_used_up(veth):
    """One address too few: the login is refused with the pool's name, the others live on, and after a logout the next gets in
    with the address that is free."""
    veth(SMALL)
    held = []
    try:
        while len(held) < 5:
            since = syslog.mark()
            result = su("alice", "echo in")
            if result.rc != 0:
                break
            host.wait_until(lambda: len(netlab.our_links()) == len(held), what="that login has ended")
            held.append(Box("alice").__enter__())
        assert 2 <= len(held) <= 4
        refused(result, since, "network_pool")
        assert len({box.addresses for box in held}) == len(held)
        assert all(reach(box, {("tcp", FAR[0], PORT): "reached"}) == {} for box in held)
        free = held[0].addresses
        held.pop(0).close()
        host.wait_until(lambda: len(netlab.our_links()) == len(held), what="its link is gone")
        with Box("bob") as box:
            assert box.addresses == free
            assert reach(box, everywhere(FAR, "reached")) == {}
    finally:
        for box in held:
            box.close()


def test_no_address_of_the_networks_own(veth):
    """Neither the network's address nor the broadcast address is given away."""
    veth(SMALL)
    with boxes("alice", "bob") as both:
        assert {box.addresses[0] for box in both} == {"10.213.0.1", "10.213.0.2"}


def test_second_pool(veth):
    """When the first is full the next one is taken."""
    veth("network_pool = 10.213.0.0/30 10.214.0.0/30")
    with boxes("alice", "bob", "carol", "mallory") as all_:
        found = [box.addresses[0] for box in all_]
        assert len(set(found)) == 4
        assert {netlab.in_pool(address, "10.213.0.0/30") for address in found} == {True, False}
        for box in all_:
            assert reach(box, {("tcp", FAR[0], PORT): "reached"}) == {}
