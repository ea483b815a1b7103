# SPDX-License-Identifier: BSD-3-Clause
"""from: which profile, and so which box, by where a login comes from."""
import pytest

from lib import host
from lib.ctl import boxes

PROFILES = """\
[profile near]
users = alice
from = 127.0.0.2
hostname = near
network = loopback
[profile lan]
users = alice
from = 127.0.0.0/28 !127.0.0.3
hostname = lan
network = loopback
share = user
[profile here]
users = alice
from = local
hostname = here
network = loopback
"""


@pytest.fixture(autouse=True)
def boxed(conf, baseline):
    conf.pam("sshd", "su")
    conf.remove("/root/.bashrc")
    conf.nsbox(PROFILES)


@pytest.mark.parametrize("address, name", [("127.0.0.2", "near"), ("127.0.0.1", "lan"), ("127.0.0.15", "lan")])
def test_by_ssh(sshd, address, name):
    result = sshd.ssh("alice", "hostname; test -n \"$NSBOX_ID\" && echo boxed", opts=("-b", address))
    assert result.out == f"{name}\nboxed\n", result


@pytest.mark.parametrize("address", ["127.0.0.3", "127.0.0.16"])
def test_from_elsewhere_nobody_is_boxed(sshd, address):
    """Excluded, or outside of the prefix."""
    assert sshd.ssh("alice", "echo box=$NSBOX_ID", opts=("-b", address)).out == "box=\n"


def test_without_a_remote_host():
    assert host.run("su", "alice", "-c", "hostname").out == "here\n"


def test_the_same_user_from_two_places(sshd):
    """Two profiles are two boxes, whoever shares one of them."""
    with sshd.session("alice", opts=("-b", "127.0.0.1")), sshd.session("alice", opts=("-b", "127.0.0.2")), \
            sshd.session("alice", opts=("-b", "127.0.0.4")):
        assert sorted((box["profile"], len(box["members"])) for box in boxes()) == [("lan", 2), ("near", 1)]
