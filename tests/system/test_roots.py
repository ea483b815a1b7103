# SPDX-License-Identifier: BSD-3-Clause
"""Every kind of root: directory, image, layers, overlay, curated. All boxes here are made by real ssh and su logins."""
import os
import pathlib
import re
import shutil
import stat

import pexpect
import pytest

from lib import baseline as picture
from lib import host, syslog
from lib.trees import Trees

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

PROFILE = "[profile all]\nusers = *\nnetwork = loopback\n"
TREES = pathlib.Path("/srv/trees")
KEPT = pathlib.Path("/srv/kept")


@pytest.fixture
def boxed(conf):
    """Everybody is boxed; boxed.profile(lines) says how."""
    conf.pam("sshd", "su")
    conf.remove("/root/.bashrc")  # the machine's, whatever it does
    conf.nsbox(PROFILE)
    conf.profile = lambda *lines: conf.nsbox(PROFILE + "".join(f"{line}\n" for line in lines))
    yield conf


@pytest.fixture
def trees(conf):
    """lib/trees.py, below TREES."""
    TREES.mkdir(mode=0o755)
    conf.file("/etc/passwd", re.sub(r"^((?:alice|bob|root):.*:)[^:\n]*$", r"\1/bin/sh", pathlib.Path("/etc/passwd").read_text(),
                                    flags=re.M))
    yield Trees(TREES)
    shutil.rmtree(TREES)


@pytest.fixture
def kept():
    """A directory on a file system that an overlay can write to (the throw-away host's own is an overlay)."""
    KEPT.mkdir(mode=0o755)
    host.run("mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=400,mode=0755", "kept", str(KEPT), check=True)
    yield KEPT
    host.run("umount", str(KEPT), check=True)
    KEPT.rmdir()


def picture_of(tree):
    """Every name below, with kind, mode, owner, size or target, time."""
    found = {}
    for directory, names, files in os.walk(tree):
        for name in [*names, *files, "."]:
            path = os.path.join(directory, name)
            info = os.lstat(path)
            size = os.readlink(path) if stat.S_ISLNK(info.st_mode) else info.st_size
            found[path] = (info.st_mode, info.st_uid, info.st_gid, size, info.st_mtime_ns)
    return found


def loops():
    """The loop devices that show something below TREES."""
    return {name: file for name, file in picture.loop_devices().items() if file.startswith(str(TREES))}


def run(sshd, user, script, **options):
    start = syslog.mark()
    result = sshd.ssh(user, script, **options)
    assert result.rc == 0, (result, syslog.matching("refused|taken back", start))
    return result.out


def refused(sshd, user="alice", early=True):
    """The login is refused, `early`: in the account phase, so that sshd ends it; what the helper says why."""
    start = syslog.mark()
    result = sshd.ssh(user, "echo in")
    assert result.rc != 0 and (result.out == "" if early else result.out.startswith("Login refused")), result
    return syslog.wait_for("login of .* refused", start)


def as_root(script):
    return host.run("su", "-", "root", "-c", script)


# -- directory --


def test_directory_read_only(boxed, trees, sshd, baseline):
    tree = trees.make("plain", etc__mark="here\n")
    before = picture_of(tree)
    boxed.profile(f"root = {tree}", "root_readonly = yes")
    assert run(sshd, "alice", "cat /etc/mark; touch ~/kept /tmp/x /run/user/2001/x && echo written") == "here\nwritten\n"
    assert (pathlib.Path("/home/alice/kept").stat().st_uid) == 2001
    os.unlink("/home/alice/kept")
    result = as_root("touch /etc/mark; touch /bin/new; rm /bin/ls; mkdir /x; mount -o remount,bind /; id -u")
    assert result.out == "0\n" and result.err.count("Read-only file system") >= 4, result
    assert picture_of(tree) == before


def test_directory_is_written_by_root(boxed, trees, sshd, baseline):
    """Without root_readonly root in the box writes to the tree; no device of it can be used."""
    tree = trees.make("plain")
    os.mknod(tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    boxed.profile(f"root = {tree}")
    result = as_root("touch /etc/new && echo x > /null")
    assert "Permission denied" in result.err and (tree / "etc/new").exists(), result


def test_host_read_only(boxed, sshd, baseline):
    boxed.profile("root_readonly = yes")
    result = as_root("touch /etc/x /usr/x /srv/x; touch ~/kept /tmp/x /run/x && echo written")
    assert result.out == "written\n" and result.err.count("Read-only file system") == 3, result
    os.unlink("/root/kept")
    assert run(sshd, "alice", "touch ~/kept && echo written") == "written\n"
    os.unlink("/home/alice/kept")


# -- images --


@pytest.mark.parametrize("kind", ["squashfs", "erofs"])
def test_image(boxed, trees, sshd, baseline, kind):
    """One loop device for all boxes of an image, gone with the last; nothing can be written, root neither."""
    image = getattr(trees, kind)(trees.make("plain", etc__mark="here\n"))
    boxed.profile(f"root = {image}")
    with sshd.session("alice"), sshd.session("bob"), sshd.session("alice"):
        assert list(loops().values()) == [str(image)]
        assert run(sshd, "alice", "cat /etc/mark; id; touch ~/kept && echo written").endswith(
            "here\nuid=2001(alice) gid=2001(alice) groups=2001(alice)\nwritten\n")
        os.unlink("/home/alice/kept")
        result = as_root("touch /etc/mark /new; mount -o remount,rw /; touch /new; id -u")
        assert result.out == "0\n" and result.err.count("Read-only file system") >= 3, result
        assert list(loops().values()) == [str(image)]
    host.wait_until(lambda: loops() == {}, what="the loop device is freed")


def test_image_replaced_and_deleted(boxed, trees, sshd, baseline):
    """Boxes that are there keep the old one."""
    old, new = (trees.squashfs(trees.make(name, etc__mark=f"{name}\n")) for name in ("old", "new"))
    image = TREES / "image"
    os.rename(old, image)
    boxed.profile(f"root = {image}")
    with sshd.session("alice", "sh") as session:
        os.rename(new, image)
        assert run(sshd, "alice", "cat /etc/mark") == "new\n"
        os.unlink(image)
        assert "image" in refused(sshd)
        session.stdin.write(b"cat /etc/mark; find /bin | sort | while read -r f; do cat $f > /dev/null 2>&1; done; echo done\n")
        session.stdin.flush()
        assert [session.stdout.readline() for _ in range(2)] == [b"old\n", b"done\n"]
    host.wait_until(lambda: loops() == {}, what="the loop devices are freed")


@pytest.mark.parametrize("kind", ["squashfs", "erofs"])
@pytest.mark.parametrize("what, expected", [
    ("half", "damaged: it says that it has"), ("empty", "neither a directory nor an image"), ("text", "neither a directory"),
    ("zeros", "cannot be mounted|damaged"), ("owner", "can be changed by others"), ("mode", "can be changed by others"),
    ("link", "belong|could have made|can be changed"), ("fifo", "neither a directory"),
])
def test_image_refused(boxed, trees, sshd, baseline, kind, what, expected):
    image = getattr(trees, kind)(trees.make("plain"))
    boxed.profile(f"root = {image}")
    data = image.read_bytes()
    if what == "half":
        image.write_bytes(data[:len(data) // 2])
    elif what == "empty":
        image.write_bytes(b"")
    elif what == "text":
        image.write_bytes(b"#!/bin/sh\necho no image\n" * 400)
    elif what == "zeros":
        # the part that says how long it is stays; all that it leads to is gone
        head = 96 if kind == "squashfs" else 1024 + 64
        image.write_bytes(data[:head] + bytes(len(data) - head))
    elif what == "owner":
        os.chown(image, 2002, 2002)
    elif what == "mode":
        image.chmod(0o664)
    elif what == "link":
        os.rename(image, f"{image}.other")
        os.symlink(f"{image}.other", image)
        os.lchown(image, 2002, 2002)
    elif what == "fifo":
        image.unlink()
        os.mkfifo(image)
    assert re.search(expected, refused(sshd)), what
    host.wait_until(lambda: loops() == {}, what="the loop device is freed")


def test_no_node_of_a_loop_device(boxed, trees, sshd, baseline):
    """A /dev that nobody fills."""
    boxed.profile(f"root = {trees.squashfs(trees.make('plain'))}")
    nodes = {path: os.stat(path).st_rdev for path in pathlib.Path("/dev").glob("loop[0-9]*")}
    for path in nodes:
        path.unlink()
    try:
        assert re.search(r"has a loop device free, but there is no /dev/loop\d+: make it", refused(sshd))
    finally:
        for path, number in nodes.items():
            os.mknod(path, stat.S_IFBLK | 0o660, number)
    assert run(sshd, "alice", "echo in") == "in\n"


# -- overlays --


def test_ephemeral(boxed, trees, sshd, baseline):
    tree = trees.make("plain", etc__mark="here\n")
    before = picture_of(tree)
    boxed.profile(f"root = {tree}", "overlay = ephemeral", "overlay_size = 4M")
    result = as_root("echo changed > /etc/mark; rm /bin/ls; mkdir -p /opt/new; cat /etc/mark; "
                     "dd if=/dev/zero of=/big bs=1024 count=8192 2>&1 | grep -c 'No space'; rm /big; touch /again && echo on")
    assert result.out == "changed\n1\non\n", result
    assert picture_of(tree) == before
    assert run(sshd, "alice", "cat /etc/mark; ls -d /opt 2>&1 || true") == "here\nls: /opt: No such file or directory\n"
    result = sshd.ssh("alice", "touch /etc/x; rm /bin/ls; echo x > /etc/mark")
    assert result.err.count("Permission denied") + result.err.count("can't") >= 3, result
    assert picture_of(tree) == before


def test_persistent(boxed, trees, kept, sshd, baseline):
    """What root writes in one box of a user is there in the next, and not in another user's."""
    tree = trees.make("plain", etc__mark="here\n")
    before = picture_of(tree)
    boxed.profile(f"root = {tree}", f"overlay = {kept}/%u")
    assert as_root("echo changed > /etc/mark; rm /bin/sort; touch /new").rc == 0
    assert as_root("cat /etc/mark; ls /new /bin/sort").out == "changed\n/new\n"
    assert run(sshd, "alice", "cat /etc/mark; ls /bin/sort") == "here\n/bin/sort\n"
    assert sorted(os.listdir(kept)) == ["alice", "root"] and sorted(os.listdir(kept / "root")) == ["lock", "upper", "work"]
    for name in ("root", "alice"):
        info = (kept / name).stat()
        assert (info.st_uid, stat.S_IMODE(info.st_mode)) == (0, 0o700)
    assert picture_of(tree) == before


def test_persistent_is_one_boxes(boxed, trees, kept, sshd, baseline):
    """A second box is refused, in the account phase; with share = user the second login joins the first box."""
    tree = trees.make("plain")
    boxed.profile(f"root = {tree}", f"overlay = {kept}/one")
    with sshd.session("alice"):
        for user in ("alice", "bob"):
            assert "another box has /srv/kept/one" in refused(sshd, user)
    host.wait_until(lambda: sshd.ssh("bob", "echo in").out == "in\n", what="bob gets in when alice is gone")
    boxed.profile(f"root = {tree}", f"overlay = {kept}/one", "share = user")
    with sshd.session("alice"):
        assert run(sshd, "alice", "touch /tmp/x; readlink /proc/self/ns/mnt")
        assert run(sshd, "alice", "ls /tmp/x") == "/tmp/x\n"
        assert "another box has /srv/kept/one" in refused(sshd, "bob")


def test_persistent_shared_by_terminals_of_one_kind(boxed, trees, kept, sshd, baseline):
    """A login that brings its terminal cannot join a box that has terminals of its own: with a kept overlay it is refused,
    before anything is made; with devpts = private it joins. Many first logins at once make one box and all get in."""
    tree = trees.make("plain")
    lines = (f"root = {tree}", f"overlay = {kept}/%u", "share = user")
    boxed.profile(*lines)
    with sshd.session("alice"):
        start = syslog.mark()
        child = host.spawn("su", "-", "alice", "-c", "echo in")
        child.expect(pexpect.EOF)
        child.close()
        assert child.before.startswith("Login refused"), child.before
        assert "(stage check, EBUSY)" in syslog.wait_for("which this session cannot share", start)
        assert run(sshd, "alice", "echo in") == "in\n"
    host.wait_until(lambda: sshd.ssh("alice", "echo in").out == "in\n", what="the box of before has ended")
    boxed.profile(*lines, "devpts = private")
    with sshd.session("alice"):
        child = host.spawn("su", "-", "alice", "-c", "echo in; echo $NSBOX_ID")
        child.expect(pexpect.EOF)
        child.close()
        assert child.before.startswith("in\r\n"), child.before
    boxed.profile(*lines)
    many = [sshd.popen("alice", "echo $NSBOX_ID; sleep 1") for _ in range(6)]
    ids = {process.communicate(timeout=30)[0] for process in many}
    assert len(ids) == 1 and ids.pop().strip(), ids


@pytest.mark.parametrize("what, expected", [
    ("parent", "there is no /srv/kept/a for b: mkdir"), ("owner", "must be root's alone"), ("mode", "must be root's alone"),
    ("parent-mode", "can be changed by others than root"), ("link", "Not a directory|symbolic link"),
    ("file", "Not a directory"), ("overlayfs", "is on overlayfs"), ("upper-link", "upper is not a directory of root's"),
    ("full", "No space left"), ("inside", "lie in each other"),
])
def test_persistent_refused(boxed, trees, kept, sshd, baseline, what, expected):
    tree = trees.make("plain")
    place = kept / "a"
    boxed.profile(f"root = {tree}", f"overlay = {place}")
    if what == "parent":
        boxed.profile(f"root = {tree}", f"overlay = {place}/b")
    elif what in ("owner", "mode", "upper-link"):
        place.mkdir(mode=0o755 if what == "mode" else 0o700)
        if what == "owner":
            os.chown(place, 2002, 2002)
        if what == "upper-link":
            os.symlink("/etc", place / "upper")
    elif what == "parent-mode":
        kept.chmod(0o777)
    elif what == "link":
        os.symlink("/etc", place)
    elif what == "file":
        place.write_text("")
    elif what == "overlayfs":
        boxed.profile(f"root = {tree}", "overlay = /srv/trees-upper")
    elif what == "full":
        for number in range(100000):
            try:
                os.mkdir(kept / f"d{number}")
            except OSError:
                break
    elif what == "inside":
        boxed.profile(f"root = {tree}", f"overlay = {tree}/etc/upper")
    before = picture_of(kept)
    assert re.search(expected, refused(sshd, early=what != "full")), what
    assert picture_of(kept) == before and not os.path.exists("/srv/trees-upper")


def test_full_disk_below_the_upper(boxed, trees, kept, sshd, baseline):
    """ENOSPC in the box; the next login gets in as long as nothing new is needed."""
    tree = trees.make("plain")
    boxed.profile(f"root = {tree}", f"overlay = {kept}/%u")
    result = as_root("dd if=/dev/zero of=/big bs=4096 count=4096 2>&1 | grep -c 'No space'")
    assert result.out == "1\n", result
    assert as_root("ls -d /big; rm /big; echo mended").out == "/big\nmended\n"


@pytest.mark.parametrize("kind", ["squashfs", "erofs"])
def test_overlay_on_an_image(boxed, trees, kept, sshd, baseline, kind):
    image = getattr(trees, kind)(trees.make("plain", etc__mark="here\n"))
    for overlay, second in (("ephemeral", "here\n"), (f"{kept}/%u", "changed\n")):
        boxed.profile(f"root = {image}", f"overlay = {overlay}")
        assert as_root("echo changed > /etc/mark; cat /etc/mark").out == "changed\n"
        assert as_root("cat /etc/mark").out == second
        host.wait_until(lambda: loops() == {}, what="the loop device is freed")


# -- what is promised of mounts --

KINDS = {
    "directory": ("root = {tree}",),
    "read-only": ("root = {tree}", "root_readonly = yes"),
    "squashfs": ("root = {squashfs}",),
    "erofs": ("root = {erofs}",),
    "ephemeral": ("root = {tree}", "overlay = ephemeral"),
    "kept": ("root = {tree}", "overlay = {kept}/%u"),
    "image-ephemeral": ("root = {squashfs}", "overlay = ephemeral"),
    "layers": ("layers = {tree}:{other}",),
    "layers-ephemeral": ("layers = {tree}:{other}", "overlay = ephemeral"),
}
WRITABLE = {"directory", "ephemeral", "kept", "image-ephemeral", "layers-ephemeral"}


@pytest.mark.parametrize("kind", KINDS)
def test_flags_of_mounts(boxed, trees, kept, sshd, baseline, kind):
    """nodev everywhere but in /dev, nosuid on all but the tree, the tree read-only where it is to be; also what is mounted in it
    (an overlay does not show that)."""
    tree = trees.make("plain")
    (tree / "below").mkdir()
    other = trees.make("other", bare=True)
    boxed.profile(*(line.format(tree=tree, other=other, kept=kept, squashfs=kind in ("squashfs", "image-ephemeral") and
                                trees.squashfs(tree), erofs=kind == "erofs" and trees.erofs(tree)) for line in KINDS[kind]),
                  f"bind = {other}:/below")
    lines = run(sshd, "alice", "cat /proc/self/mountinfo").splitlines()
    assert len(lines) > 15
    for line in lines:
        fields = line.split()
        point, options, source = fields[4], set(fields[5].split(",")), fields[3]
        assert "nodev" in options or point.startswith("/dev") or source == "/null", line
        assert "nosuid" in options or point == "/", line
        if point == "/":
            # of an image the file system itself is read-only, and so is an overlay without an upper layer
            assert ("ro" in options) == (kind not in WRITABLE), line
    assert as_root("touch /new && echo written").out == ("written\n" if kind in WRITABLE else "")


def test_mounts_below_a_directory(boxed, trees, sshd):
    """Another file system in the tree is shown, with the flags of the tree."""
    tree = trees.make("plain")
    (tree / "more").mkdir()
    host.run("mount", "-t", "tmpfs", "-o", "mode=0755", "more", str(tree / "more"), check=True)
    try:
        (tree / "more/mark").write_text("here\n")
        for more, flags in (("", {"nodev"}), ("root_readonly = yes", {"nodev", "ro"})):
            boxed.profile(f"root = {tree}", more)
            line, mark = run(sshd, "alice", "grep ' /more ' /proc/self/mountinfo; cat /more/mark").splitlines()
            assert flags <= set(line.split()[5].split(",")) and mark == "here", line
            assert ("ro" in flags) == ("Read-only" in as_root("touch /more/x").err)
    finally:
        host.wait_until(lambda: host.run("umount", str(tree / "more")).rc == 0, what="the tree's mount is unmounted")


# -- layers --


def test_layers(boxed, trees, kept, sshd, baseline):
    """Ten of them, the uppermost first; a whiteout hides; nothing is written without an overlay."""
    base = trees.make("base", etc__mark="base\n", etc__gone="gone\n")
    uppers = [trees.make(f"layer{number}", bare=True, top=kept) for number in range(9)]
    for number, tree in enumerate(uppers):
        (tree / "etc").mkdir()
        (tree / f"etc/layer{number}").write_text("")
    for number in (2, 5):
        (uppers[number] / "etc/mark").write_text(f"layer{number}\n")
    os.mknod(uppers[4] / "etc/gone", stat.S_IFCHR | 0o600, os.makedev(0, 0))
    boxed.profile("layers = " + ":".join(str(tree) for tree in [*uppers, base]))
    before = picture_of(TREES)
    out = run(sshd, "alice", "cat /etc/mark; ls /etc; id -un")
    assert out.split() == ["layer2", "group", *(f"layer{number}" for number in range(9)), "mark", "passwd", "alice"], out
    result = as_root("touch /etc/mark /new; id -u")
    assert result.out == "0\n" and result.err.count("Read-only file system") == 2, result
    boxed.profile("layers = " + ":".join(str(tree) for tree in [*uppers, base]), "overlay = ephemeral")
    assert as_root("echo new > /etc/mark; cat /etc/mark").out == "new\n"
    assert picture_of(TREES) == before


def test_many_layers(boxed, trees, kept, sshd, baseline):
    """More than one string of fsconfig(2) holds: whether or not the kernel can stack them for the check (Linux 6.5)."""
    base = trees.make("base")
    uppers = [trees.make(f"layer{number}", bare=True, top=kept) for number in range(40)]
    for number, tree in enumerate(uppers):
        (tree / f"mark{number}").write_text("")
    boxed.profile("layers = " + ":".join(str(tree) for tree in [*uppers, base]))
    assert run(sshd, "alice", "ls / | grep -c mark") == "40\n"
    assert as_root("touch /new").err.count("Read-only file system") == 1


def test_layers_refused(boxed, trees, sshd, baseline):
    base, other = trees.make("base"), trees.make("other", bare=True)
    boxed.profile(f"layers = {other}:{base}")
    other.chmod(0o777)
    assert "can be changed by others than root" in refused(sshd)
    boxed.profile(f"layers = {TREES}/missing:{base}")
    assert "cannot open /srv/trees/missing" in refused(sshd)
    boxed.profile(f"layers = {base}")
    assert "a single one is no stack" in refused(sshd)
    boxed.profile(f"layers = {other}:{base}", f"root = {base}")
    assert "the root is one or the other" in refused(sshd)
    boxed.profile("overlay = /srv/kept")
    assert "write ephemeral, or name a directory, an image or layers" in refused(sshd)
    boxed.profile(f"root = {base}", "overlay = ephemeral", "root_readonly = yes")
    assert "takes writes, root_readonly = yes refuses them" in refused(sshd)
