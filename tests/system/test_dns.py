# SPDX-License-Identifier: BSD-3-Clause
"""dns: the name servers of a box, whatever its root has for a resolv.conf. All boxes here are made by real ssh and su logins."""
import os
import pathlib
import shutil

import pytest

from lib import ctl, host, refusal, resolver, share, syslog
from test_network_modes import LAB, lab  # noqa: F401  pylint: disable=unused-import
from test_roots import TREES, trees  # noqa: F401  pylint: disable=unused-import

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

ETC = "/etc/resolv.conf"
RESOLVED = pathlib.Path("/run/systemd/resolve")
STUB = "# managed by systemd-resolved\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch example.org\n"
SERVER = "192.0.2.53"  # in the namespace LAB
CAT = "grep -v '^#' /etc/resolv.conf"
RENEWED = 15  # s: the monitor looks every ten
# (lines of the profile, how its tree is made: None, or from the tree of test_roots)
ROOTS = {
    "host": ("", None),
    "curated": ("root = curated", None),
    "directory": ("root = {tree}", "directory"),
    "read-only": ("root = {tree}\nroot_readonly = yes", "directory"),
    "image": ("root = {tree}.squashfs\nroot_readonly = yes", "squashfs"),
    "overlay": ("root = {tree}\noverlay = ephemeral", "directory"),
    "layers": ("layers = {tree}\noverlay = ephemeral", "directory"),
}
LINKS = {
    "file": None,
    "absolute": "/run/systemd/resolve/stub-resolv.conf",
    "relative": "../run/systemd/resolve/stub-resolv.conf",
    "dangling": "/nowhere/resolv.conf",
    "beside": "resolv.conf.tail",
    "itself": "resolv.conf",
}


def put(path, kind, text="nameserver 203.0.113.1\n"):
    """A resolv.conf of that kind."""
    path = pathlib.Path(path)
    path.unlink(missing_ok=True)
    if LINKS[kind] is None:
        path.write_text(text)
        path.chmod(0o644)
    else:
        path.symlink_to(LINKS[kind])


@pytest.fixture
def boxed(conf):
    """boxed("lines"): everybody is boxed so; names of hosts come from DNS."""
    conf.pam("sshd", "su")
    conf.remove("/root/.bashrc")
    conf.file("/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n")
    conf.file(ETC, f"# mine\nnameserver {SERVER}\ndomain example.org\noptions timeout:1 attempts:2\n")

    def configure(*lines):
        conf.nsbox("[profile all]\nusers = *\n" + "".join(f"{line}\n" for line in lines))
        return conf
    yield configure


@pytest.fixture
def resolved():
    """The files of systemd-resolved, which forwards to SERVER."""
    RESOLVED.mkdir(parents=True)
    (RESOLVED / "stub-resolv.conf").write_text(STUB)
    (RESOLVED / "resolv.conf").write_text(f"nameserver {SERVER}\nsearch example.org\n")
    yield RESOLVED
    shutil.rmtree(RESOLVED.parent)


@pytest.fixture
def served(lab):  # noqa: F811
    host.run("ip", "-n", LAB, "address", "add", f"{SERVER}/24", "dev", "lab0", check=True)
    with resolver.serving(LAB, SERVER):
        yield


def sh(sshd, user, script):
    result = sshd.ssh(user, f"[ -e /run/host/container-manager ] || exit 99; {script}")
    assert result.rc == 0, (script, result)
    return result.out


def made(*servers, rest=("domain example.org", "options timeout:1 attempts:2")):
    return "".join(f"{line}\n" for line in (*(f"nameserver {server}" for server in servers), *rest))


def stamp(path):
    info = os.lstat(path)
    return info.st_ino, info.st_mode, info.st_mtime_ns, os.readlink(path) if os.path.islink(path) else pathlib.Path(path).read_bytes()


# -- it resolves --


@pytest.mark.parametrize("extra", ["", "user_namespace = keep-id", "root = curated"])
def test_resolves(boxed, baseline, served, sshd, extra):
    """By UDP, and by TCP where the answer says so; with the host's servers and with others."""
    for lines in ((), ("dns = 192.0.2.7 192.0.2.53",)):
        boxed(f"network = netns:{LAB}", *lines, extra)
        script = "getent ahostsv4 there.box.test | head -n 1; getent ahostsv4 large.box.test | head -n 1"
        out = sh(sshd, "alice", script)
        assert [line.split()[0] for line in out.splitlines()] == [resolver.ADDRESS] * 2, out
    assert host.run("su", "alice", "-c", "getent ahostsv4 there.box.test").out.startswith(resolver.ADDRESS)


def test_resolves_behind_the_stub(boxed, baseline, resolved, served, sshd):
    """A host that asks 127.0.0.53 has no server there for the box: it asks those behind it."""
    put(ETC, "absolute")
    boxed(f"network = netns:{LAB}")
    assert sh(sshd, "alice", CAT) == made(SERVER, rest=["search example.org"])
    assert sh(sshd, "alice", "getent ahostsv4 there.box.test").startswith(resolver.ADDRESS)


# -- what is in it --


def test_loopback_and_host_see_the_hosts(boxed, baseline, resolved, sshd):
    """As ever: the file, or what the link leads to."""
    for network in ("loopback", "host"):
        boxed(f"network = {network}")
        put(ETC, "file", "nameserver 127.0.0.1\n# mine\n")
        assert sh(sshd, "alice", f"cat {ETC}") == "nameserver 127.0.0.1\n# mine\n"
        put(ETC, "relative")
        assert sh(sshd, "alice", f"readlink {ETC}; cat {ETC}") == f"{LINKS['relative']}\n{STUB}"


def test_local_servers(boxed, baseline, lab, conf, sshd):  # noqa: F811
    """Local servers are left out. If none is left the login goes on, and syslog and explain say so."""
    boxed(f"network = netns:{LAB}")
    conf.file(ETC, "nameserver 127.0.0.1\nnameserver 192.0.2.8\nnameserver ::1\nsearch a\n")
    start = syslog.mark()
    assert sh(sshd, "alice", CAT) == made("192.0.2.8", rest=["search a"])
    assert not syslog.matching("names do not resolve", start)
    assert "names do not resolve" not in ctl.ctl("explain", "--user", "alice", "--service", "sshd").out
    conf.file(ETC, "nameserver 127.0.0.1\nsearch a\n")
    assert sh(sshd, "alice", CAT) == "search a\n"
    line = syslog.wait_for("names do not resolve", start)
    assert "in the box of alice" in line and "write dns = ADDRESS into profile all" in line, line
    assert len(syslog.matching("names do not resolve", start)) == 1
    out = ctl.ctl("explain", "--user", "alice", "--service", "sshd").out
    assert "names do not resolve in this box" in out and "dns = ADDRESS" in out, out
    assert "names do not resolve in this box" in ctl.ctl("check").err
    assert "names do not resolve in this box" in ctl.ctl("doctor").out


def test_hosts_without(boxed, baseline, lab, conf, sshd):  # noqa: F811
    """A host without a resolv.conf, or with something else in its place, keeps nobody out."""
    boxed(f"network = netns:{LAB}")
    conf.remove(ETC)
    start = syslog.mark()
    assert sh(sshd, "alice", f"[ -e {ETC} ] || echo none") == "none\n"
    syslog.wait_for("names do not resolve", start)
    for make in (os.mkfifo, lambda path: os.mknod(path, 0o20666, os.makedev(1, 3))):
        make(ETC)
        assert sh(sshd, "alice", "echo in") == "in\n"
        os.unlink(ETC)


def test_none(boxed, baseline, sshd):
    """dns = none: nobody is asked, whatever the network is."""
    for network in ("host", "loopback"):
        boxed(f"network = {network}", "dns = none")
        assert sh(sshd, "alice", f"{CAT}; cat {ETC}") == "# made by nsbox (dns = none)\n"


@pytest.fixture
def mapped(trees):  # noqa: F811
    """Trees on a file system whose owners can be mapped: the throw-away host's own is an overlay."""
    host.run("mount", "-t", "tmpfs", "-o", "size=64m,mode=0755", "trees", str(TREES), check=True)
    yield trees
    host.run("umount", "-l", str(TREES), check=True)  # boxes of an image may still be ending


# with keep-id the host's /usr would have to be mapped, and a tree that root of the box writes is to be closed (test_keep_id.py)
@pytest.mark.parametrize("root, ids", [*((root, "no") for root in ROOTS),
                                       *((root, "keep-id") for root in ROOTS if root not in ("curated", "directory"))])
def test_roots(boxed, baseline, mapped, sshd, root, ids):
    """Every kind of root, whatever stands there: the box has the servers of the profile, nobody in it can change them, and
    nothing of the tree has changed."""
    lines, kind = ROOTS[root]
    for link in LINKS:
        tree = mapped.make(f"tree-{link}") if kind else None
        place = f"{tree}{ETC}" if kind else ETC
        put(place, link)
        before = stamp(place)
        if kind == "squashfs":
            mapped.squashfs(tree)
        boxed("network = loopback", "dns = 10.0.0.53 fd00::53", f"user_namespace = {ids}", lines.format(tree=tree))
        host_lines = [line for line in (made(rest=["domain example.org", "options timeout:1 attempts:2"]).splitlines())
                      if kind]  # of the host's own file, which is another one where the root is the host's
        wanted = made("10.0.0.53", "fd00::53", rest=host_lines)
        assert sh(sshd, "alice", f"{CAT}; echo x 2>/dev/null >{ETC} && echo written; true") == wanted, (root, link)
        result = host.run("su", "-", "root", "-c", f"echo x >{ETC}; {CAT}") if ids == "no" else None
        assert result is None or (result.rc, result.out, result.err.count("Read-only")) == (0, wanted, 1), (root, link, result)
        assert stamp(place) == before, (root, link)


@pytest.mark.parametrize("ids", ["no", "keep-id"])
def test_missing_in_the_root(boxed, baseline, mapped, sshd, ids):
    """A tree without the file: with servers of the profile's the login is refused by the account hook; the host's are left out
    with a warning. Nothing is made in it."""
    tree = mapped.make("bare-etc")
    keep = f"user_namespace = {ids}\nroot_readonly = yes"
    conf = boxed("network = loopback", "dns = 10.0.0.53", f"root = {tree}", keep)
    start = syslog.mark()
    result = sshd.ssh("alice", "echo ran")
    assert result.rc != 0 and "ran" not in result.out, result
    line = syslog.wait_for("login of alice refused", start)
    assert f"root {tree} has no {ETC}, which dns needs: touch {tree}{ETC}" in line, line
    assert "(stage check, ENOENT)" in line, line
    boxed("network = loopback", "dns = none", f"root = {tree}", keep)
    assert sh(sshd, "alice", f"[ -e {ETC} ] || echo none") == "none\n"
    assert not os.path.lexists(f"{tree}{ETC}")
    boxed("network = loopback", "dns = 10.0.0.53", f"layers = {tree}", "overlay = ephemeral", f"user_namespace = {ids}")
    start = syslog.mark()
    refusal.refused(refusal.su(), start, f"has no {ETC}, which dns needs: touch")
    conf.nsbox(f"[profile all]\nusers = *\nnetwork = loopback\ndns = 10.0.0.53\nroot = {tree}\n{keep}\n")
    (tree / "etc/resolv.conf").mkdir()
    start = syslog.mark()
    refusal.refused(refusal.su(), start, f"root {tree}: {ETC} is a directory: replace it by a file")


def test_missing_in_the_root_hosts_servers(boxed, baseline, lab, trees, sshd):  # noqa: F811
    tree = trees.make("bare-etc")
    boxed(f"network = netns:{LAB}", f"root = {tree}")
    start = syslog.mark()
    assert sh(sshd, "alice", f"[ -e {ETC} ] || echo none") == "none\n"
    assert f"{ETC} is missing in the root {tree}: make it (an empty file)" in syslog.wait_for("may not resolve", start)
    assert not os.path.lexists(f"{tree}{ETC}")


def test_profiles_own_bind(boxed, baseline, conf, sshd):
    """A line of the profile's that puts something there comes last."""
    conf.file("/etc/resolv.other", "nameserver 10.9.9.9\n")
    boxed("network = loopback", "dns = 10.0.0.53", f"bind_ro = /etc/resolv.other:{ETC}")
    assert sh(sshd, "alice", f"cat {ETC}") == "nameserver 10.9.9.9\n"


def test_words(boxed, baseline):
    """host and none beside other words."""
    for words, bad in (("host 10.0.0.1", "host"), ("10.0.0.1 none", "none"), ("none host", "none")):
        boxed("network = loopback", f"dns = {words}")
        start = syslog.mark()
        refusal.refused(refusal.su(), start, f'nsbox.conf:4: dns: "{bad}" stands alone')
        assert f'dns: "{bad}" stands alone' in ctl.ctl("check").out + ctl.ctl("check").err


# -- when the host's changes --


def _rename(path, text):
    pathlib.Path(f"{path}.new").write_text(text)
    os.rename(f"{path}.new", path)


def _write(path, text):
    pathlib.Path(path).write_text(text)


def wait_for(session, wanted):
    host.wait_until(lambda: session.ask(CAT) == wanted, timeout=RENEWED, what=f"{wanted!r}")


@pytest.mark.some(1)  # half a minute each
@pytest.mark.parametrize("extra", ["", "root = curated", "user_namespace = keep-id"])
def test_renewed(boxed, baseline, lab, sshd, extra):  # noqa: F811
    """A box that lives gets what the host puts there, by a new file or into the old one."""
    boxed(f"network = netns:{LAB}", extra)
    with share.ssh(sshd) as session:
        assert session.ask(CAT) == made(SERVER)
        for number, change in enumerate((_rename, _write, _rename)):
            change(ETC, f"nameserver 192.0.2.{60 + number}\nnameserver 127.0.0.1\nsearch b\n")
            wait_for(session, made(f"192.0.2.{60 + number}", rest=["search b"]))
            assert session.ask(f"grep -c ' {ETC} ' /proc/self/mountinfo") == "1\n"


def test_renewed_behind_the_stub(boxed, baseline, resolved, lab, sshd):  # noqa: F811
    """systemd-resolved learns of other servers, and replaces its file."""
    put(ETC, "relative")
    boxed(f"network = netns:{LAB}")
    with share.ssh(sshd) as session:
        assert session.ask(CAT) == made(SERVER, rest=["search example.org"])
        _rename(resolved / "resolv.conf", "nameserver 192.0.2.61\n")
        wait_for(session, made("192.0.2.61", rest=[]))


def test_renewed_named(boxed, baseline, sshd):
    """Servers of the profile stay; the host's search list goes along. A link in the place of the file, too, is covered again."""
    boxed("network = loopback", "dns = 10.0.0.53")
    with share.ssh(sshd) as session:
        _rename(ETC, "nameserver 192.0.2.60\nsearch b\n")
        wait_for(session, made("10.0.0.53", rest=["search b"]))
        put(ETC, "dangling")
        wait_for(session, made("10.0.0.53", rest=[]))


def test_renewal_is_not_led_astray(boxed, baseline, lab, sshd):  # noqa: F811
    """Root in the box puts a link, a FIFO and a directory where the helper writes: nothing outside is written."""
    conf = boxed(f"network = netns:{LAB}")
    conf.file("/etc/victim", "as it was\n")
    start = syslog.mark()
    for number, trap in enumerate(("ln -s /etc/victim", "mkfifo", "mkdir -p")):
        with share.ssh(sshd, "root") as session:
            session.ask(f"rm -f /run/host/resolv.conf; {trap} /run/host/resolv.conf")
            _rename(ETC, f"nameserver 192.0.2.{70 + number}\n")
            if trap.startswith("mkdir"):
                syslog.wait_for("cannot replace /run/host/resolv.conf", start, timeout=RENEWED)
            else:
                wait_for(session, made(f"192.0.2.{70 + number}", rest=[]))
    assert pathlib.Path("/etc/victim").read_text() == "as it was\n"
