# SPDX-License-Identifier: BSD-3-Clause
# build: fault
"""network = netns: and join:, and dns: every step of such a box fails once, and each time nothing is left and nothing of the
namespace has changed."""
import pytest

from lib import baseline as picture
from lib import host, share, syslog
from lib.refusal import boxed, su
from system import test_faults as faults
from test_network_modes import LAB, lab, state_of  # noqa: F401  pylint: disable=unused-import

SERVER = "[profile servers]\nusers = bob\nnetwork = loopback\n"
PROFILES = {
    "netns": f"network = netns:{LAB}\ndns = 192.0.2.53",
    "join": "network = join:bob\ndns = none",
    "keep-id": f"network = netns:{LAB}\nuser_namespace = keep-id\nroot = host",
}


@pytest.mark.parametrize("name", PROFILES)
def test_every_step(name, conf, baseline, lab):  # noqa: F811
    conf.pam("su")
    conf.nsbox(f"{SERVER}stop_timeout = 1s\n[profile all]\nusers = * !root\nstop_timeout = 1s\n{PROFILES[name]}\n")
    with share.su("bob"):
        before, there, told, number = picture.take_settled(), state_of(LAB), [], 0
        while True:
            since = syslog.mark()
            with faults.failing(number):
                result = su()
            if result.rc == 0:
                boxed(result)
                break
            told.append(faults.refusal_of_su(result, since))
            picture.wait_equal(before, timeout=3)
            number += host.count(1, 2) if number > 20 else 1
        assert state_of(LAB) == there
    assert number > 50 and any("enter-network" in line for line in told), told
