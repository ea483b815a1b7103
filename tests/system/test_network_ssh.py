# SPDX-License-Identifier: BSD-3-Clause
"""sshd's forwarding with network = veth: whatever it opens is in the box, and no way past its rules."""
import contextlib
import socket

import pytest

from lib import host, netlab
from lib import sshd as sshd_module
from lib.netlab import FAR, HOST, PORT, Box, everywhere, reach
from lib.sshd import free_port


@pytest.fixture
def veth(lab, baseline, conf):
    conf.pam("sshd", "su")
    conf.remove("/root/.bashrc")
    lab.forget()

    def write(*lines):
        return conf.nsbox(netlab.VETH + "".join(f"{line}\n" for line in lines))
    write()
    return write


def say(address, port, wait=3):
    """What a server says at once, "" if it hangs up."""
    with socket.create_connection((address, port), wait) as client:
        client.settimeout(wait)
        with contextlib.suppress(OSError):
            return client.recv(200).decode().strip()
    return ""


def forwarded(port):
    """Waits until the client listens there."""
    def try_it():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False
    host.wait_until(try_it, what="the client listens")


def test_a_box_by_ssh(veth, sshd):
    """The session, and a second one of the same connection, are in the box of the connection."""
    with Box("alice", sshd) as box:
        assert reach(box, everywhere(FAR, "reached", ("tcp", "udp")) | everywhere(HOST, "rejected", ("tcp", "udp"))) == {}
    with sshd.master("alice") as opts:
        one = sshd.ssh("alice", "readlink /proc/self/ns/net; ip -o addr show eth0 | grep -c inet", opts=opts)
        two = sshd.ssh("alice", "readlink /proc/self/ns/net; ip -o addr show eth0 | grep -c inet", opts=opts)
        assert one.out == two.out and one.rc == 0, (one, two)


def test_local_forwarding(veth, sshd, lab):
    """-L connects from the box: the outside sees what it sees of boxes, and the host's services are as closed as in the session."""
    outside, closed, loopback = free_port(), free_port(), free_port()
    opts = ("-L", f"{outside}:{FAR[0]}:{PORT}", "-L", f"{closed}:{HOST[0]}:{PORT}", "-L", f"{loopback}:127.0.0.1:{PORT}")
    with sshd.session("alice", opts=opts):
        forwarded(outside)
        assert say("127.0.0.1", outside).split()[:2] == ["outside", HOST[0]]
        assert say("127.0.0.1", closed) == ""
        assert say("127.0.0.1", loopback) == ""
        assert not [hit for hit in lab.host.get_hits() if hit[2] == PORT]


def test_local_forwarding_without_nat(veth, sshd):
    """The address that the outside sees is the box's: it is the box that connects."""
    veth("nat = no")
    port = free_port()
    with sshd.session("alice", opts=("-L", f"{port}:{FAR[0]}:{PORT}")):
        forwarded(port)
        assert netlab.in_pool(say("127.0.0.1", port).split()[1], netlab.POOL[0])


def test_dynamic_forwarding(veth, sshd, lab):
    """-D: as -L."""
    port = free_port()
    with sshd.session("alice", opts=("-D", str(port))):
        forwarded(port)
        for address, answer in ((FAR[0], "outside"), (HOST[0], ""), ("127.0.0.1", "")):
            with socket.create_connection(("127.0.0.1", port), 3) as client:
                client.settimeout(3)
                client.sendall(b"\x05\x01\x00")
                assert client.recv(2) == b"\x05\x00"
                client.sendall(b"\x05\x01\x00\x01" + socket.inet_aton(address) + PORT.to_bytes(2, "big"))
                reply = client.recv(10)
                said = ""
                if len(reply) > 1 and reply[1] == 0:
                    with contextlib.suppress(OSError):
                        said = client.recv(200).decode()
                assert said.startswith(answer) and bool(said) == bool(answer), (address, reply, said)
        assert not [hit for hit in lab.host.get_hits() if hit[2] == PORT]


@pytest.mark.parametrize("gateway", ["no", "yes", "clientspecified"])
def test_remote_forwarding(veth, lab, gateway):
    """-R listens in the box: programs in it come to the client's side; outside and host reach it by no address, even where sshd
    would bind to all."""
    server = sshd_module.Sshd(config=f"GatewayPorts {gateway}")
    port = 7444
    try:
        with Box("alice", server, command=server.command("alice", netlab.netprobe.command(),
                                                         opts=("-R", f"*:{port}:127.0.0.1:{PORT}"))) as box:
            host.wait_until(lambda: box.tcp("127.0.0.1", port)["how"] == "reached", what="sshd listens in the box")
            assert box.tcp("127.0.0.1", port)["saw"].startswith("host 127.0.0.1")  # the client is on this host
            assert lab.host.tcp("127.0.0.1", port)["how"] == "refused"
            for prober in (lab.outside.prober, lab.host):
                assert reach(prober, everywhere(HOST, "refused", ("tcp",), port) | everywhere(box.addresses, ("timeout", "rejected"), ("tcp",), port)) == {}
    finally:
        server.stop()


def test_remote_forwarding_that_is_published(lab, conf, baseline):
    """What the administrator publishes leads to what the user forwards there, if sshd may bind to all."""
    conf.pam("sshd")
    conf.nsbox(netlab.VETH + "publish = 8080:7444\n")
    server = sshd_module.Sshd(config="GatewayPorts yes")
    try:
        with server.session("alice", opts=("-R", f"*:7444:127.0.0.1:{PORT}")):
            host.wait_until(lambda: lab.outside.prober.tcp(HOST[0], 8080)["how"] == "reached", what="outside comes in")
            assert lab.outside.prober.tcp(HOST[0], 8080)["saw"].startswith("host 127.0.0.1")
    finally:
        server.stop()


def test_x11_and_agent_work(veth, sshd):
    """Both are served on the box's loopback and in its /tmp."""
    with sshd_module.x_server() as display:
        import os
        result = sshd.ssh("alice", "xdpyinfo | head -1", opts=("-Y",), env={**os.environ, "DISPLAY": display})
        assert result.out.startswith("name of display:"), result


def test_peer_of_the_login(veth, lab):
    """A client that comes from outside to the host's sshd is served as ever: the connection is the host's, the session the box's."""
    server = sshd_module.Sshd(config=f"ListenAddress {HOST[0]}\nListenAddress {HOST[1]}")
    try:
        for address in HOST:
            result = host.run(*lab.outside.enter(*server.command("alice", "echo $SSH_CONNECTION; ip -o addr show eth0",
                                                                 opts=("-o", f"HostName={address}"))))
            assert result.rc == 0 and "eth0" in result.out, result
    finally:
        server.stop()
