# SPDX-License-Identifier: BSD-3-Clause
"""A laboratory for the network of boxes, inside the throw-away host, which by itself has lo only.

    outside ----uplink0---- the host ----br0---- station
       |                       |
    FAR, DNS, METADATA       boxes

`outside` is the internet: the host's default route leads there, and routes of its lead the addresses of the pools back to the
host, as on a net whose router knows of them. `station` is a machine at a bridge of the host. Both are network namespaces
that a process of the laboratory holds; in both, and on the host, servers say who they are and whom they see. Probes run
wherever a Prober was started: in the session of a box (Box), in a namespace, on the host."""
import contextlib
import ipaddress
import json
import pathlib
import subprocess
import time

from . import host, netprobe

# IPv4 and IPv6 of everything, in this order
HOST = ("198.51.100.1", "2001:db8:100::1")
OUTSIDE = ("198.51.100.2", "2001:db8:100::2")
FAR = ("203.0.113.9", "2001:db8:f::9")
PRIVATE = ("10.9.9.9", "fd99::9")
DNS = ("203.0.113.53", "2001:db8:f::53")
METADATA = ("169.254.169.254", "fd00:ec2::254")
BRIDGE = ("10.77.0.1", "fd77::1")
STATION = ("10.77.0.2", "fd77::2")
LOOPBACK = ("127.0.0.1", "::1")
POOL = ("10.213.0.0/16", "fd6e:7362:6f78::/64")  # of nsbox.conf(5)
GATEWAY = ("169.254.1.1", "fe80::1")
BRIDGE_POOL = ("10.77.0.128/25", "fd77::8000/113")

PORT, OTHER_PORT, SOURCE_PORT, SINK_PORT, UNUSED_PORT = 7000, 7010, 7001, 7002, 7099
PROTOCOLS = ("tcp", "udp", "icmp")
ZONE = {"www.lab.test": [*FAR], "big.lab.test": [f"203.0.113.{number}" for number in range(1, 100)]}

VETH = "[profile all]\nusers = *\nnetwork = veth\nstop_timeout = 1s\n"
ALIAS = "nsbox "
BOXES = pathlib.Path("/run/nsbox/boxes")


class Prober:
    """lib/netprobe.py, running somewhere: prober.tcp(address, port) and all its other calls."""

    def __init__(self, *command, **options):
        options.setdefault("stderr", subprocess.PIPE)
        self.process = subprocess.Popen([*command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
        host.end_with_test(self.process)
        self._ready = None

    def ready(self):
        """Waits until it is there; [word, id of its box]."""
        if self._ready is None:
            line = self.process.stdout.readline()
            for _ in range(20):  # what sshd or the machine has to say first
                if not line or line.startswith(b'["ready"'):
                    break
                line = self.process.stdout.readline()
            if not line.startswith(b'["ready"'):
                self.process.stdin.close()
                raise AssertionError(f"no session: {line!r} {self.process.stderr.read()!r}")
            self._ready = json.loads(line)
        return self._ready

    def send(self, *words):
        self.ready()
        self.process.stdin.write(json.dumps(words).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the prober has ended: {self.process.stderr.read()!r}")
        result = json.loads(line)
        if isinstance(result, dict) and "failed" in result:
            raise AssertionError(result["failed"])
        return result

    def __getattr__(self, name):
        if name not in netprobe.CALLS:
            raise AttributeError(name)

        def call(*words):
            self.send(name, *words)
            return self.receive()
        return call

    def many(self, *calls):
        """Calls [[NAME, ARGUMENT...], ...] at the same time: their results."""
        self.send("many", *calls)
        return self.receive()

    def how(self, protocol, address, port=PORT, **_):
        """How one probe ended."""
        return getattr(self, protocol)(address, port)["how"]

    def hang_up(self):
        if not self.process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()

    def close(self, timeout=15):
        self.hang_up()
        try:
            return self.process.wait(timeout * host.PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process.stderr.close()

    def __enter__(self):
        self.ready()
        return self

    def __exit__(self, *_):
        self.close()


class Box(Prober):
    """A session whose program is the prober, by su or by ssh."""

    def __init__(self, user="alice", server=None, command=None):
        script = netprobe.command()
        self.user = user
        words = command or (server.command(user, script) if server else ["su", user, "-c", script])
        super().__init__(*words, start_new_session=True, cwd="/")
        self._addresses = None

    @property
    def id(self):
        return self.ready()[1]

    @property
    def links(self):
        """Its own, by name."""
        return {link["ifname"]: link for link in json.loads(self.shell("ip -j -d addr")[1])}

    @property
    def addresses(self):
        """(IPv4, IPv6) of its eth0."""
        if self._addresses is None:
            rows = [row for row in self.links["eth0"]["addr_info"] if row["scope"] == "global"]
            by_family = {row["family"]: row["local"] for row in rows}
            assert len(rows) == len(by_family), rows
            self._addresses = (by_family.get("inet"), by_family.get("inet6"))
        return self._addresses

    @property
    def link(self):
        """The host's end."""
        return link_of(self.id)


def links():
    """Of the host, by name, as ip(8) tells them."""
    return {link["ifname"]: link for link in json.loads(host.run("ip", "-j", "-d", "link", check=True).out)}


def our_links():
    return {name: link for name, link in links().items() if link.get("ifalias", "").startswith(ALIAS)}


def link_of(box):
    """The host's end of the link of this box."""
    (found,) = [link for link in links().values() if link.get("ifalias") == f"{ALIAS}{box}"]
    return found


def elements():
    """All that is in sets and maps of our tables, as text."""
    result = host.run("nft", "-j", "list", "ruleset", check=True)
    return [row for row in rows_of_ruleset(result.out) if row.startswith("element")]


def rows_of_ruleset(text):
    """A ruleset as nft -j prints it, as lines: elements and named objects of our tables, and all of others' tables."""
    found = []
    for entry in json.loads(text)["nftables"]:
        ((kind, body),) = entry.items()
        if kind == "metainfo":
            continue
        ours = (body["name"] if kind == "table" else body["table"]) == "nsbox"
        if ours and body.get("name", "").startswith(("layout", "rest")):
            continue  # says how the table is made; addresses that boxes had
        if kind in ("set", "map"):
            place = f"{body['family']} {body['table']} {body['name']}"
            found += [f"element of {place}: {json.dumps(element)}" for element in body.pop("elem", [])]
        if not ours or kind not in ("table", "chain", "rule", "set", "map"):
            body = {key: value for key, value in body.items() if key not in ("handle", "bytes", "packets")}
            found.append(f"{kind} {json.dumps(body)}")
    return found


def record(box):
    """The record of a box's network: its lines, words split."""
    return [line.split() for line in (BOXES / box / "network").read_text().splitlines()]


class Namespace:
    """A network namespace that a process holds."""

    def __init__(self):
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        own = host.namespaces()["net"]
        host.wait_until(lambda: host.namespaces(self.pid).get("net", own) != own and host.comm(self.pid) == "sleep",
                        what="the namespace is there")
        self.run("ip link set lo up")
        self.prober = None

    @property
    def pid(self):
        return self._holder.pid

    def run(self, line):
        """A line of shell in it."""
        return host.run(*self.enter("sh", "-ec", line), check=True).out

    def enter(self, *command):
        return ["nsenter", "-t", str(self.pid), "-n", *command]

    def start_prober(self):
        self.prober = Prober(*self.enter("sh", "-c", netprobe.command()))
        host.forget(self.prober.process)
        self.prober.ready()
        return self.prober

    def close(self):
        if self.prober:
            self.prober.close()
        self._holder.kill()
        self._holder.wait()


def _sysctl(name, value=None):
    path = pathlib.Path("/proc/sys/net", name)
    before = path.read_text().strip()
    if value is not None:
        path.write_text(f"{value}\n")
    return before


FORWARDING = ("ipv4/ip_forward", "ipv6/conf/all/forwarding")
# The kernel tells a box no more than six times at a time, then once a second, that a packet was rejected: too few for tests.
UNLIMITED = ("ipv4/icmp_ratelimit", "ipv4/icmp_msgs_per_sec", "ipv6/icmp/ratelimit")


class Lab:
    """The laboratory. It takes away what it made, and only that."""

    def __init__(self):
        self._sysctls = {name: _sysctl(name) for name in (*FORWARDING, *UNLIMITED)}
        for name in UNLIMITED:
            _sysctl(name, 100000 if name.endswith("sec") else 0)
        self._before = set(links())
        self.outside, self.station = Namespace(), Namespace()
        self.host = None
        try:
            self._make_uplink()
            self._make_bridge()
            host.wait_until(self._settled, what="no address is tentative")
            self._start_servers()
            self.forwarding(True)
        except BaseException:
            self.close()
            raise

    # -- links --

    def _make_uplink(self):
        host.run("sh", "-ec", f"""
            ip link add uplink0 type veth peer name up0 netns {self.outside.pid}
            ip addr add {HOST[0]}/24 dev uplink0
            ip addr add {HOST[1]}/64 dev uplink0 nodad
            ip link set uplink0 up""", check=True)
        addresses = "\n".join(f"ip addr add {address} dev lo nodad" for pair in (FAR, PRIVATE, DNS, METADATA) for address in pair)
        self.outside.run(f"""
            ip addr add {OUTSIDE[0]}/24 dev up0
            ip addr add {OUTSIDE[1]}/64 dev up0 nodad
            ip link set up0 up
            {addresses}
            ip route add default via {HOST[0]}
            ip -6 route add default via {HOST[1]}
            echo 1 >/proc/sys/net/ipv4/ip_forward""")
        host.run("sh", "-ec", f"ip route add default via {OUTSIDE[0]}; ip -6 route add default via {OUTSIDE[1]}", check=True)

    def _make_bridge(self):
        host.run("sh", "-ec", f"""
            ip link add br0 type bridge
            ip addr add {BRIDGE[0]}/24 dev br0
            ip addr add {BRIDGE[1]}/64 dev br0 nodad
            ip link add lan0 address f2:77:00:00:00:01 master br0 type veth peer name eth0 netns {self.station.pid}
            ip link set br0 up
            ip link set lan0 up""", check=True)
        self.station.run(f"""
            ip addr add {STATION[0]}/24 dev eth0
            ip addr add {STATION[1]}/64 dev eth0 nodad
            ip link set eth0 up
            ip route add default via {BRIDGE[0]}
            ip -6 route add default via {BRIDGE[1]}""")

    def _settled(self):
        look = "ip -6 addr show tentative"
        return not (host.run(*look.split()).out + self.outside.run(look) + self.station.run(look))

    # -- servers --

    def _start_servers(self):
        self.host = Prober("sh", "-c", netprobe.command())
        host.forget(self.host.process)
        for prober, name, addresses in ((self.outside.start_prober(), "outside", (*OUTSIDE, *FAR, *PRIVATE, *METADATA)),
                                        (self.station.start_prober(), "station", STATION),
                                        (self.host, "host", (*HOST, *BRIDGE, *LOOPBACK))):
            for address in addresses:
                for protocol in ("tcp", "udp"):
                    for port in (PORT, OTHER_PORT):
                        _listen(prober, name, protocol, address, port)
                _listen(prober, "source", "tcp", address, SOURCE_PORT, "source")
                _listen(prober, "sink", "tcp", address, SINK_PORT, "sink")
        for address in DNS:
            self.outside.prober.dns("dns", address, ZONE)
        self.outside.prober.sniff("up0")

    def forwarding(self, value):
        """Whether the host forwards packets."""
        for name in FORWARDING:
            _sysctl(name, int(value))

    def forget(self):
        """What the servers and the sniffer have noted until now."""
        for prober in (self.outside.prober, self.station.prober, self.host):
            prober.get_hits()
        self.outside.prober.get_frames()

    def close(self):
        if self.host:
            self.host.close()
        for link in ("uplink0", "br0", "lan0"):
            host.run("ip", "link", "del", link)
        self.outside.close()
        self.station.close()
        for name, value in self._sysctls.items():
            _sysctl(name, value)
        host.wait_until(lambda: set(links()) == self._before, what=f"the laboratory has gone: {self._before}")


def _listen(prober, *words):
    """An address that has just been added may not be bound to yet."""
    end = time.monotonic() + 5
    while True:
        try:
            return prober.listen(*words)
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


# -- boxes --


@contextlib.contextmanager
def boxes(*users, server=None):
    """Sessions of these users at the same time, as a list."""
    made = [Box(user, server) for user in users]
    try:
        for box in made:
            box.ready()
        yield made
    finally:
        for box in made:
            box.hang_up()
        for box in made:
            box.close()


def in_pool(address, pool):
    return ipaddress.ip_address(address) in ipaddress.ip_network(pool)


def wait_no_boxes(timeout=6):
    """All have ended: entries, links, elements."""
    host.wait_until(lambda: not BOXES.is_dir() or not list(BOXES.iterdir()), timeout=timeout, what="no entry is left")
    host.wait_until(lambda: not our_links(), timeout=timeout, what="no link of ours is left")


def reach(prober, wanted):
    """Probes at the same time what `wanted` names, {(PROTOCOL, ADDRESS, PORT): HOW or (HOW, ...)}, and returns what was
    different. A connection that is reset by a rule looks as if there were no server; there is one wherever tests look."""
    places = list(wanted)
    different = {}
    for place, result in zip(places, prober.many(*[[protocol, address, port] for protocol, address, port in places])):
        allowed = wanted[place] if isinstance(wanted[place], tuple) else (wanted[place],)
        if "rejected" in allowed and place[0] == "tcp":
            allowed += ("refused",)
        if result["how"] not in allowed:
            different[place] = f"{result['how']} instead of {' or '.join(allowed)}"
    return different


def everywhere(pair, how, protocols=PROTOCOLS, port=PORT):
    """{(PROTOCOL, ADDRESS, PORT): HOW} for reach(): both families of a place."""
    return {(protocol, address, port): how for protocol in protocols for address in pair}


# -- frames --


def checksum(data):
    """Of IP and what is in it."""
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def _mac(text):
    return bytes.fromhex(text.replace(":", ""))


def _packed(address):
    return ipaddress.ip_address(address).packed


def frame(source_mac, target_mac, kind, payload):
    """Hexadecimal digits for netprobe.inject."""
    return (_mac(target_mac) + _mac(source_mac) + kind.to_bytes(2, "big") + payload).hex()


def ipv4(source, target, protocol, payload):
    head = bytes([0x45, 0, *(20 + len(payload)).to_bytes(2, "big"), 0, 1, 0, 0, 64, protocol, 0, 0]) + _packed(source) + _packed(target)
    check = checksum(head).to_bytes(2, "big")
    return head[:10] + check + head[12:] + payload


def ipv6(source, target, protocol, payload, hops=64):
    return bytes([0x60, 0, 0, 0, *len(payload).to_bytes(2, "big"), protocol, hops]) + _packed(source) + _packed(target) + payload


def _pseudo(source, target, protocol, payload):
    source, target = _packed(source), _packed(target)
    if len(source) == 4:
        return source + target + bytes([0, protocol]) + len(payload).to_bytes(2, "big")
    return source + target + len(payload).to_bytes(4, "big") + bytes([0, 0, 0, protocol])


def datagram(source, target, port, text=b"spoofed"):
    """An IP packet with a UDP datagram of these addresses."""
    payload = (4444).to_bytes(2, "big") + port.to_bytes(2, "big") + (8 + len(text)).to_bytes(2, "big") + b"\0\0" + text
    check = checksum(_pseudo(source, target, 17, payload) + payload) or 0xffff
    payload = payload[:6] + check.to_bytes(2, "big") + payload[8:]
    return ipv6(source, target, 17, payload) if ":" in source else ipv4(source, target, 17, payload)


def icmpv6(source, target, kind, body, hops=255):
    payload = bytes([kind, 0, 0, 0]) + body
    check = checksum(_pseudo(source, target, 58, payload) + payload).to_bytes(2, "big")
    return ipv6(source, target, 58, payload[:2] + check + payload[4:], hops)


def router_advertisement(source, mac, prefix="2001:db8:bad::"):
    """"I am your router", and an address for everybody."""
    body = bytes([64, 0]) + (1800).to_bytes(2, "big") + bytes(8) + bytes([1, 1]) + _mac(mac)
    body += bytes([3, 4, 64, 0xc0]) + (3600).to_bytes(4, "big") * 2 + bytes(4) + _packed(prefix)
    return icmpv6(source, "ff02::1", 134, body)


def neighbour_advertisement(address, mac, source=None, target="ff02::1"):
    """"This address is mine"."""
    return icmpv6(source or address, target, 136, bytes([0x20, 0, 0, 0]) + _packed(address) + bytes([2, 1]) + _mac(mac))


def arp(kind, sender_mac, sender, target_mac, target):
    """kind 1: who has, 2: is at."""
    return bytes([0, 1, 8, 0, 6, 4, 0, kind]) + _mac(sender_mac) + _packed(sender) + _mac(target_mac) + _packed(target)


def seen(frames, text=b"spoofed"):
    """The frames with this in them."""
    return [digits for _, digits in frames if text.hex() in digits]
