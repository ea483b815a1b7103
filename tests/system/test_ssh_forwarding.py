# SPDX-License-Identifier: BSD-3-Clause
"""What sshd forwards lives in the box: ports, sockets, the agent, X11."""
import contextlib
import os
import pathlib
import re
import socket
import struct
import subprocess
import threading

import pytest

from lib import host, syslog
from lib.sshd import agent, free_port, x_server

PROFILE = "[profile all]\nusers = *\nnetwork = loopback\n"


@pytest.fixture
def boxed(conf):
    """Everybody who comes by ssh is boxed."""
    start = syslog.mark()
    conf.pam("sshd")
    conf.remove("/root/.bashrc")  # the machine's, whatever it does
    conf.nsbox(PROFILE)
    yield conf
    syslog.wait_for(r"pam_nsbox\(sshd:\w+\): nsbox \w+: (session|login) of ", start)  # else nothing was tested


def serve(listener, greeting):
    """Says `greeting` and then what it hears, to one client after the other, until the socket is shut down."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client:
            client.settimeout(5)
            client.sendall(greeting)
            with contextlib.suppress(OSError):
                client.sendall(client.recv(100))


@contextlib.contextmanager
def host_server(greeting=b"host:", path=None):
    """A server on the host's 127.0.0.1 (or at a path): yields its port."""
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listener.bind(path or ("127.0.0.1", 0))
    listener.listen()
    thread = threading.Thread(target=serve, args=(listener, greeting))
    thread.start()
    try:
        yield path or listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        listener.close()


# The same in a box; its first argument is a port or a path.
BOX_SERVER = """
import os, socket, sys
where = sys.argv[1]
listener = socket.socket(socket.AF_UNIX if "/" in where else socket.AF_INET)
listener.bind(where if "/" in where else ("127.0.0.1", int(where)))
listener.listen()
print("ready", flush=True)
while True:
    client, _ = listener.accept()
    client.sendall(("box %s:" % os.environ["NSBOX_ID"]).encode())
    client.sendall(client.recv(100))
    client.close()
"""
# A client in a box: prints what it hears, or the name of the error.
BOX_CLIENT = """
import errno, socket, sys
where = sys.argv[1]
client = socket.socket(socket.AF_UNIX if "/" in where else socket.AF_INET)
client.settimeout(5)
try:
    client.connect(where if "/" in where else ("127.0.0.1", int(where)))
    client.sendall(b"hello")
    data = b""
    while True:
        more = client.recv(100)
        if not more:
            break
        data += more
    print(data.decode())
except OSError as error:
    print(errno.errorcode.get(error.errno, str(error)))
"""


def talk(address, family=socket.AF_INET):
    """What a server that says what it hears answers to "hello"; "" if it hangs up."""
    with socket.socket(family) as client:
        client.settimeout(5)
        client.connect(address)
        with contextlib.suppress(OSError):
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
        return read_all(client)


def read_all(client):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while True:
            more = client.recv(1000)
            if not more:
                break
            data += more
    return data.decode()


@contextlib.contextmanager
def box_server(sshd, user, where, opts):
    """BOX_SERVER in the box of the connection."""
    process = sshd.popen(user, "python3", "-c", quote(BOX_SERVER), str(where), opts=opts)
    try:
        assert process.stdout.readline() == b"ready\n", process.stderr.read()
        yield
    finally:
        process.terminate()
        close(process)


def close(process):
    """Ends a client that popen() started, in order."""
    process.stdin.close()
    process.wait(10 * host.PATIENCE)
    process.stdout.close()
    process.stderr.close()


def quote(text):
    return "'" + text.replace("'", "'\\''") + "'"


def box_client(sshd, user, where, opts):
    return sshd.ssh(user, "python3", "-", str(where), input=BOX_CLIENT, opts=opts).out.strip()


def listening(port):
    """Whether anybody listens on this port on the host."""
    return f":{port:04X} 00000000:0000 0A" in pathlib.Path("/proc/net/tcp").read_text()


def box_id(sshd, user, opts):
    return sshd.ssh(user, "echo $NSBOX_ID", opts=opts).out.strip()


both_users = pytest.mark.parametrize("user", ["alice", "root"])


# -- ports --


@both_users
def test_local_forwarding_leads_into_the_box(boxed, sshd, baseline, user):
    """-L reaches a server in the box, also where the host has one of its own on the same port."""
    local, inside = free_port(), free_port()
    with socket.socket() as trap:
        trap.bind(("127.0.0.1", inside))
        trap.listen()
        with sshd.master(user, opts=("-L", f"{local}:127.0.0.1:{inside}")) as opts:
            assert talk(("127.0.0.1", local)) == ""  # refused in the box; the host's would have waited
            with box_server(sshd, user, inside, opts):
                assert talk(("127.0.0.1", local)) == f"box {box_id(sshd, user, opts)}:hello"


def test_local_forwarding_does_not_reach_the_host(boxed, sshd, baseline):
    """A server of the host is not reached by -L from a box, and is from a session with the host's network."""
    local = free_port()
    with host_server() as port:
        with sshd.master("alice", opts=("-L", f"{local}:127.0.0.1:{port}")):
            assert talk(("127.0.0.1", local)) == ""
        boxed.nsbox("[profile all]\nusers = *\nnetwork = host\n")
        with sshd.master("alice", opts=("-L", f"{local}:127.0.0.1:{port}")):
            assert talk(("127.0.0.1", local)) == "host:hello"


@both_users
def test_remote_forwarding_opens_in_the_box(boxed, sshd, baseline, user):
    """-R listens in the box and nowhere else; what is said there arrives at the client's side."""
    remote = free_port()
    with host_server(b"client side:") as port:
        with sshd.master(user, opts=("-R", f"{remote}:127.0.0.1:{port}")) as opts:
            assert not listening(remote)
            assert box_client(sshd, user, remote, opts) == "client side:hello"
            with sshd.master(user) as other:
                assert box_client(sshd, user, remote, other) == "ECONNREFUSED"


def test_two_boxes_forward_the_same_remote_port(boxed, sshd, baseline):
    """-R of one port by two sessions: each has its own."""
    remote = free_port()
    with host_server(b"one:") as first, host_server(b"two:") as second:
        strict = ("-o", "ExitOnForwardFailure=yes", "-R")
        with sshd.master("alice", opts=(*strict, f"{remote}:127.0.0.1:{first}")) as one, \
             sshd.master("bob", opts=(*strict, f"{remote}:127.0.0.1:{second}")) as two:
            assert box_client(sshd, "alice", remote, one) == "one:hello"
            assert box_client(sshd, "bob", remote, two) == "two:hello"


def socks_connect(proxy, port):
    """Asks a SOCKS 5 proxy for 127.0.0.1:port; the answer's code and what is heard after "hello"."""
    with socket.create_connection(("127.0.0.1", proxy), timeout=5) as client:
        client.sendall(b"\5\1\0")
        assert client.recv(2) == b"\5\0"
        client.sendall(b"\5\1\0\1" + socket.inet_aton("127.0.0.1") + struct.pack(">H", port))
        answer = client.recv(10)
        if len(answer) < 2 or answer[1] != 0:
            return answer[1] if len(answer) > 1 else None, ""
        with contextlib.suppress(OSError):
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
        return 0, read_all(client)


@both_users
def test_dynamic_forwarding_leads_into_the_box(boxed, sshd, baseline, user):
    """-D reaches servers in the box, and none of the host."""
    proxy, inside = free_port(), free_port()
    with host_server() as port, sshd.master(user, opts=("-D", f"{proxy}")) as opts:
        with box_server(sshd, user, inside, opts):
            assert socks_connect(proxy, inside) == (0, f"box {box_id(sshd, user, opts)}:hello")
        assert socks_connect(proxy, port)[1] == ""


def test_connection_to_standard_input_leads_into_the_box(boxed, sshd, baseline):
    """-W, the jump host's way, ends in the box, where nobody listens."""
    with host_server() as port:
        result = sshd.ssh("alice", opts=("-W", f"127.0.0.1:{port}"), input="hello")
        assert (result.rc, result.out, result.err) == (255, "", "stdio forwarding failed\n"), result
        boxed.nsbox("[profile all]\nusers = *\nnetwork = host\n")
        assert sshd.ssh("alice", opts=("-W", f"127.0.0.1:{port}"), input="hello").out == "host:hello"


def test_socket_forwarding(boxed, sshd, baseline, tmp_path):
    """Forwarded Unix sockets: -R makes one in the box's /tmp, -L reaches one there."""
    path, local = tmp_path / "socket", tmp_path / "local"
    with host_server(b"client side:", str(path)):
        with sshd.master("alice", opts=("-R", f"/tmp/remote:{path}", "-L", f"{local}:/tmp/inside")) as opts:
            assert not os.path.lexists("/tmp/remote")
            assert box_client(sshd, "alice", "/tmp/remote", opts) == "client side:hello"
            with box_server(sshd, "alice", "/tmp/inside", opts):
                assert talk(str(local), socket.AF_UNIX) == f"box {box_id(sshd, 'alice', opts)}:hello"


@both_users
def test_forwarding_without_a_command(boxed, sshd, baseline, user):
    """`ssh -N -R`: no command, yet the listener is in a box, and both are gone with the client."""
    remote = free_port()
    process = sshd.popen(user, opts=("-N", "-o", "ExitOnForwardFailure=yes", "-R", f"{remote}:127.0.0.1:9"))
    try:
        init = host.wait_until(lambda: host.find("nsbox-init"), what="there is a box")[0]
        host.wait_until(lambda: f":{remote:04X} " in (host.read(f"/proc/{init}/net/tcp") or ""), what="the box listens")
        assert not listening(remote)
    finally:
        process.kill()
        close(process)
    host.wait_until(lambda: not host.find("nsbox-init"), what="the box has ended")


# -- the agent --


@both_users
def test_agent(boxed, sshd, baseline, user):
    """The forwarded agent answers in the box. Its socket is the user's, in the box's /tmp: the host never has it."""
    script = "ssh-add -l; stat -c '%F %U' $SSH_AUTH_SOCK; echo $SSH_AUTH_SOCK; ls /tmp; cat"
    with agent(sshd.identity) as environment:
        before = sorted(os.listdir("/tmp"))
        process = sshd.popen(user, script, opts=("-A",), env={**os.environ, **environment})
        try:
            assert process.stdout.readline().endswith(b" user (ED25519)\n")
            assert process.stdout.readline().decode() == f"socket {user}\n"
            path = process.stdout.readline().decode().strip()
            assert re.fullmatch(r"/tmp/ssh-\w+/agent\.\d+", path)
            assert process.stdout.readline().decode().strip() == path.split("/")[2]
            assert sorted(os.listdir("/tmp")) == before and not os.path.lexists(path)
        finally:
            close(process)
        host.wait_until(lambda: not host.find("nsbox-init"), what="the box has ended")
        assert sorted(os.listdir("/tmp")) == before


def test_agents_of_two_sessions(boxed, sshd, baseline):
    """A session does not find the agent of another one of the same user, even if it knows the path."""
    with agent(sshd.identity) as environment:
        process = sshd.popen("alice", "echo $SSH_AUTH_SOCK; cat", opts=("-A",), env={**os.environ, **environment})
        try:
            path = process.stdout.readline().decode().strip()
            assert path.startswith("/tmp/ssh-")
            result = sshd.ssh("alice", f"SSH_AUTH_SOCK={path} ssh-add -l")
            assert result.rc == 2 and "No such file or directory" in result.err, result
        finally:
            close(process)


# -- X11 --


def name_of_display(number):
    return f"display {number}"


def connections(display):
    """Accepted connections to the server: sockets of its name in the state "connected"."""
    path = f"@/tmp/.X11-unix/X{display[1:]}"
    rows = [line.split() for line in pathlib.Path("/proc/net/unix").read_text().splitlines()]
    return len([row for row in rows if len(row) == 8 and row[7] in (path, path[1:]) and row[5] == "03"])


@contextlib.contextmanager
def one_client(display):
    """A server forgets everything when its last client goes: this one stays."""
    process = subprocess.Popen(["xprop", "-display", display, "-root", "-spy"], stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        host.wait_until(lambda: connections(display) > 0, what="the client is connected")
        yield
    finally:
        process.terminate()
        process.wait(10 * host.PATIENCE)
        process.stdin.close()


@contextlib.contextmanager
def named_x_server(number):
    """An X server that can be told from another: yields its name for DISPLAY."""
    with x_server(number) as display, one_client(display):
        host.run("xprop", "-display", display, "-root", "-f", "NSBOX_NAME", "8s", "-set", "NSBOX_NAME",
                 name_of_display(number), check=True)
        yield display


@contextlib.contextmanager
def x_session(sshd, user, display):
    """A session with X11 forwarding: yields ask(), which runs one line of shell in it."""
    process = sshd.popen(user, "echo ready; bash -s 2>&1", opts=("-Y",), env={**os.environ, "DISPLAY": display},
                         bufsize=0)
    assert process.stdout.readline() == b"ready\n", process.stderr.read()

    def ask(line):
        process.stdin.write(f"{line}; echo end-of-answer\n".encode())
        answer = []
        for text in iter(process.stdout.readline, b"end-of-answer\n"):
            assert text, answer
            answer.append(text.decode().rstrip("\n"))
        return answer

    try:
        yield ask
    finally:
        close(process)


ASK_NAME = "xprop -root NSBOX_NAME"


def answer_of(number):
    return [f'NSBOX_NAME(STRING) = "{name_of_display(number)}"']


@pytest.mark.parametrize("users", [("alice", "alice"), ("alice", "bob"), ("root", "root")], ids="-".join)
def test_two_x11_sessions_at_once(boxed, sshd, baseline, users):
    """Two sessions, two X servers: in each box the display is :10, its client reaches the server of its own session
    with the cookie of its own session, before and after the other one's login."""
    with named_x_server(7) as one, named_x_server(8) as two:
        with x_session(sshd, users[0], one) as first:
            assert first("echo $DISPLAY") == ["localhost:10.0"]
            assert first(ASK_NAME) == answer_of(7)
            with x_session(sshd, users[1], two) as second:
                assert second("echo $DISPLAY") == ["localhost:10.0"]
                assert second(ASK_NAME) == answer_of(8)
                assert first(ASK_NAME) == answer_of(7)
                cookies = [ask("xauth list $DISPLAY").pop().split()[-1] for ask in (first, second)]
                assert all(re.fullmatch("[0-9a-f]{32}", cookie) for cookie in cookies) and cookies[0] != cookies[1]
            assert first(ASK_NAME) == answer_of(7)


def test_x11_cookie_of_another_session_is_refused(boxed, sshd, baseline):
    """The cookie is really asked for: with another one the display does not open."""
    with named_x_server(7) as display, x_session(sshd, "alice", display) as ask:
        wrong = "0" * 32
        ask(f"export XAUTHORITY=/tmp/other; xauth add $DISPLAY MIT-MAGIC-COOKIE-1 {wrong}")
        refused = "\n".join(ask(ASK_NAME))
        assert "NSBOX_NAME" not in refused and "unable to open display" in refused, refused


def test_x11_display_is_the_boxs(boxed, sshd, baseline):
    """The display's listener is in the box, its cookie not in the home, where other sessions would read it."""
    cookies = pathlib.Path("/home/alice/.Xauthority")
    assert not cookies.exists()
    with named_x_server(7) as display, x_session(sshd, "alice", display) as ask:
        assert not listening(6010)
        assert ask("echo $XAUTHORITY; stat -c '%U %a' $XAUTHORITY") == ["/run/user/2001/Xauthority", "alice 600"]
        assert not cookies.exists()
        with x_session(sshd, "bob", ":99") as other:  # has no server
            assert ask(ASK_NAME) == answer_of(7)
            assert "unable to open display" in "\n".join(other(ASK_NAME))


def test_x11_with_the_hosts_network(boxed, sshd, baseline):
    """With network = host the displays are counted as outside, and both sessions work as well."""
    boxed.nsbox("[profile all]\nusers = *\nnetwork = host\n")
    with named_x_server(7) as one, named_x_server(8) as two:
        with x_session(sshd, "alice", one) as first, x_session(sshd, "alice", two) as second:
            assert (first("echo $DISPLAY"), second("echo $DISPLAY")) == (["localhost:10.0"], ["localhost:11.0"])
            assert (first(ASK_NAME), second(ASK_NAME)) == (answer_of(7), answer_of(8))
