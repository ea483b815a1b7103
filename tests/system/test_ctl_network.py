# SPDX-License-Identifier: BSD-3-Clause
"""What nsboxctl list and show tell about networks. The record of a link is invented here: what makes links has tests of its
own."""
import contextlib
import json
import pathlib
import re
import subprocess

import pytest

from lib import ctl as lib
from lib import host
from lib.ctl import box, boxes, ctl, running

RECORD = """nsbox-network 1
id aaaaaaaaaa
kind veth
link lo
host_mac 02:00:00:00:00:01
box_mac 02:00:00:00:00:02
address 10.213.0.5
address fd6e:7362:6f78::5
pool 10.213.0.0/16
nat yes
forwarding check
rate 20000000
connections 8192
allow host:53
allow [2001:db8::/32]:443/tcp
deny any:25/tcp
publish 8080:80
end
"""


@pytest.fixture
def record(conf, tmp_path):
    """An entry of a box with a link: yields the file of its record."""
    conf.nsbox(lib.PROFILE)
    with lib.invented(tmp_path):
        file = pathlib.Path(lib.BOXES, "aaaaaaaaaa", "network")
        file.write_text(RECORD)
        yield file


def show(ident="aaaaaaaaaa"):
    """The lines below `network`, as {name: [values]}, and the object of --json."""
    result = ctl("show", ident)
    assert (result.rc, result.err) == (0, ""), result
    text = re.search(r"^network\n((?:  .*\n)*)", result.out, re.M)[1]
    lines = {}
    for line in text.splitlines():
        name, value = line.split(None, 1)
        lines.setdefault(name, []).append(value)
    return lines, json.loads(ctl("show", ident, "--json").out)["network"]


def counters(link):
    path = pathlib.Path("/sys/class/net", link, "statistics")
    return {name: int((path / name).read_text()) for name in ("rx_bytes", "rx_packets", "tx_bytes", "tx_packets")}


def test_link(record):
    """Mode, link, addresses, rate, rules; what the host's end receives is what the box sends."""
    lines, said = show()
    counted = counters("lo")
    assert lines == {"mode": ["veth"], "link": ["lo"], "address": ["10.213.0.5", "fd6e:7362:6f78::5"], "nat": ["yes"],
                     "rate": ["20Mbit"], "connections": ["at most 8192"], "allow": ["host:53", "[2001:db8::/32]:443/tcp"], "deny": ["any:25/tcp"],
                     "publish": ["8080:80"],
                     "sent": [f"{counted['rx_bytes']} bytes, {counted['rx_packets']} packets"],
                     "received": [f"{counted['tx_bytes']} bytes, {counted['tx_packets']} packets"]}
    assert said == {"mode": "veth", "link": "lo", "addresses": ["10.213.0.5", "fd6e:7362:6f78::5"], "nat": True,
                    "rate": 20000000, "connections": 8192, "allow": ["host:53", "[2001:db8::/32]:443/tcp"], "deny": ["any:25/tcp"],
                    "publish": ["8080:80"], "sent_bytes": counted["rx_bytes"], "sent_packets": counted["rx_packets"],
                    "received_bytes": counted["tx_bytes"], "received_packets": counted["tx_packets"]}
    (listed,) = [one for one in boxes() if one["id"] == "aaaaaaaaaa"]
    assert listed["network"] == said


@pytest.mark.parametrize("rate, words", [(0, "no limit"), (8000, "8kbit"), (1500000, "1500kbit"), (1000000000000, "1000Gbit"),
                                         (12345, "12345bit")])
def test_rates(record, rate, words):
    record.write_text(RECORD.replace("rate 20000000", f"rate {rate}"))
    lines, said = show()
    assert lines["rate"] == [words] and said["rate"] == (rate or None)


def test_bridge_whose_link_is_gone(record):
    """Counters of a link that is not there are not known."""
    record.write_text(RECORD.replace("kind veth", "kind bridge").replace("link lo\n", "link nsb-gone\nbridge br0\n"))
    lines, said = show()
    assert lines["mode"] == ["bridge:br0"] and lines["sent"] == lines["received"] == ["-"]
    assert said["mode"] == "bridge:br0" and said["sent_bytes"] is said["received_packets"] is None


@pytest.mark.parametrize("text", ["", "nsbox-network 2\n", RECORD + "end\n", RECORD.replace("link lo", "link ../../x")])
def test_damaged_record(record, text):
    """It is as if there were none."""
    record.write_text(text)
    lines, said = show()
    assert list(lines) == list(said) == ["mode"]


@pytest.mark.parametrize("mode", ["loopback", "host"])
def test_modes_without_a_link(conf, baseline, mode):
    conf.nsbox(lib.PROFILE.replace("loopback", mode))
    with running():
        lines, said = show(box(user="alice")["id"])
        assert lines == {"mode": [mode]} and said == {"mode": mode}
        assert box(user="alice")["network"] == said


@pytest.mark.parametrize("step, mode", [("build    enter-network    netns:lab", "netns:lab"),
                                        ("build    enter-network    join:bob", "join:bob"),
                                        ("spawn    network          bridge:br0", "bridge:br0"),
                                        ("build    bind             network -> /network", "loopback")])
def test_modes_of_the_plan(record, step, mode):
    """What leaves no record is told by the plan."""
    record.unlink()
    record.with_name("plan").write_text(f"namespaces uts net\nhost     register         aaaaaaaaaa\n{step}\nbox      core \"no\"\n")
    lines, said = show()
    assert lines == {"mode": [mode]} and said == {"mode": mode}
    assert host.run("nsboxctl", "list").rc == 0


def test_top(record):
    """Bits in a second by the link, and the limit of both directions; nothing where there is no link."""
    with traffic():
        (one,) = json.loads(ctl("top", "--json").out)
        (row,) = [line.split() for line in ctl("top", "--once").out.splitlines() if line.startswith("aaaaaaaaaa")]
    assert one["id"] == "aaaaaaaaaa" and one["rate"] == 20000000
    assert one["sends"] > 100000 and one["receives"] > 100000 and one["sent_bytes"] > 20000
    for cell in row[7:9]:
        assert re.fullmatch(r"[\d.]+[kMG]bit/20Mbit", cell), row
    record.unlink()
    (one,) = json.loads(ctl("top", "--json").out)
    assert all(one[name] is None for name in ("rate", "sends", "receives", "sent_bytes", "received_bytes"))
    (row,) = [line.split() for line in ctl("top", "--once").out.splitlines() if line.startswith("aaaaaaaaaa")]
    assert row[7:9] == ["-", "-"]


@contextlib.contextmanager
def traffic():
    """Packets on lo, some hundred a second, for as long as it takes."""
    script = ("import socket, time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
              "while True:\n    s.sendto(b'x' * 1000, ('127.0.0.1', 9))\n    time.sleep(0.002)\n")
    with subprocess.Popen(["python3", "-c", script]) as process:
        try:
            yield
        finally:
            process.kill()
