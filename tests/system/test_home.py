# SPDX-License-Identifier: BSD-3-Clause
"""home = bind | tmpfs | overlay | none: what of the user's home is in the box, and what is left of it after logout."""
import contextlib
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import threading

import pytest

from lib import baseline as picture_of_host
from lib import host, syslog
from lib.refusal import BOXED, LIBEXEC, boxed, refused, su
from lib.sandbox import enough_of_a_tree, remove_tree

HOME = pathlib.Path("/home/alice")
TREE = "/srv/home-root"
ALICE = 2001
# where the profile's tree is its own, /usr is the host's
ROOTS = {"host": "", "directory": f"root = {TREE}\nbind_ro = /usr /etc\n"}


@pytest.fixture(params=ROOTS)
def profile(request, conf):
    """Everybody is boxed; profile(lines) says how, in either kind of root."""
    yield from _profile(request.param, conf)


@pytest.fixture
def on_host(conf):
    """The same with the host's tree only."""
    yield from _profile("host", conf)


def _profile(root, conf):
    conf.pam_all()
    if root == "directory":
        enough_of_a_tree(TREE)

    def write(lines):
        conf.nsbox(BOXED + ROOTS[root] + lines)
    write.root = root
    write.conf = conf
    yield write
    if root == "directory":
        remove_tree(TREE)


@pytest.fixture(autouse=True)
def _home():
    """A home with something in it, as it was afterwards."""
    before = set(os.listdir(HOME))
    (HOME / "thesis").write_text("thesis\n")
    (HOME / "drafts").mkdir()
    (HOME / "drafts/one").write_text("one\n")
    for path in (HOME / "thesis", HOME / "drafts", HOME / "drafts/one"):
        os.chown(path, ALICE, ALICE)
    yield
    for name in set(os.listdir(HOME)) - before:
        path = HOME / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def picture(top=HOME):
    """Everything in the home, with owner, mode and contents."""
    found = {}
    for directory, names, files in os.walk(top):
        for name in names + files:
            path = pathlib.Path(directory, name)
            st = path.lstat()
            found[str(path)] = (st.st_uid, st.st_mode, st.st_mtime_ns, path.read_bytes() if stat.S_ISREG(st.st_mode) else None)
    return found


def sh(script, user="alice"):
    """The output of a script in a box, which must succeed."""
    since = syslog.mark()
    result = su(user, f"test -e /run/host/container-manager || exit 99; {script}", timeout=60)
    assert result.rc == 0 and result.err == "", (script, result, syslog.lines_since(since))
    return result.out


def set_home(conf, home):
    lines = host.read("/etc/passwd").splitlines()
    conf.file("/etc/passwd", "".join(
        ":".join([*line.split(":")[:5], str(home), line.split(":")[6]]) + "\n" if line.startswith("alice:") else line + "\n"
        for line in lines))


# -- what is there, and what stays --


def test_bind(profile, baseline):
    """bind: the real home; what is written stays."""
    profile("home = bind\n")
    assert sh("cat ~/thesis; echo new >~/new") == "thesis\n"
    assert (HOME / "new").read_text() == "new\n"


def test_tmpfs(profile, baseline):
    """tmpfs: empty, the user's, mode 0700; gone at logout, and the real home is as it was."""
    profile("home = tmpfs\nhome_size = 8M\n")
    before = picture()
    out = sh("cd; pwd; ls -A; stat -c '%u %g %a' .; stat -f -c %T .; echo new >new; cat new; df -B1 --output=size . | tail -1")
    assert out.split() == ["/home/alice", "2001", "2001", "700", "tmpfs", "new", str(8 << 20)], out
    assert picture() == before
    assert sh("ls -A ~") == ""


def test_overlay(profile, baseline):
    """overlay: all of the home, with its owner and mode; what is written, changed, renamed or removed is gone at logout."""
    profile("home = overlay\n")
    os.chmod(HOME, 0o711)
    before = picture()
    out = sh("cd; stat -c '%u %g %a' .; cat thesis drafts/one; echo more >>thesis; rm -r drafts; mkdir drafts; ls -A drafts;"
             "mv thesis paper; cat paper; echo new >new; ln -s new link; chmod 600 new; ls")
    assert out.split() == ["2001", "2001", "711", "thesis", "one", "thesis", "more", "drafts", "link", "new", "paper"], out
    assert picture() == before
    assert sh("cat ~/thesis; ls ~/new ~/link 2>/dev/null || true") == "thesis\n"


def test_none(profile, baseline):
    """none: nothing of the home."""
    profile("home = none\n")
    before = picture()
    out = sh("ls -A /home/alice 2>/dev/null; cat /home/alice/thesis 2>/dev/null; echo x 2>/dev/null >/home/alice/x; true")
    assert out == "", out
    assert picture() == before
    if profile.root == "host":
        assert sh("stat -c '%u %a' /home/alice; test -w /home/alice || echo no").split() == ["0", "555", "no"]
    else:
        assert sh("test -e /home/alice || echo no") == "no\n"


@pytest.mark.parametrize("home", ["bind", "tmpfs", "overlay", "none"])
def test_over_ssh(profile, sshd, baseline, home):
    """A login by ssh begins in the home as it is in the box."""
    profile(f"home = {home}\n")
    result = sshd.ssh("alice", "pwd; cat thesis; test -e /run/host/container-manager && echo boxed")
    words = result.out.split()
    assert words[-1] == "boxed", result
    assert ("thesis" in words) == (home in ("bind", "overlay")), result
    assert (words[0] == "/home/alice") == (home != "none" or profile.root == "host"), result


@pytest.mark.parametrize("home", ["tmpfs", "overlay"])
def test_full(profile, baseline, home):
    """The limit ends what is written with ENOSPC, in the box alone; a box of another login is not touched by it."""
    profile(f"home = {home}\nhome_size = 4M\n")
    before = os.statvfs("/home").f_bfree
    out = sh("cd; head -c 20M /dev/zero 2>/tmp/error >big; cat /tmp/error; rm -f big; echo small >small && cat small")
    assert "No space left on device" in out and out.endswith("small\n"), out
    assert not (HOME / "big").exists()
    assert abs(os.statvfs("/home").f_bfree - before) * os.statvfs("/home").f_frsize < 4 << 20


@pytest.mark.parametrize("home", ["tmpfs", "overlay", "none"])
def test_root_in_the_box(on_host, baseline, home):
    """What root in the box (by sudo) writes into the home of the user does not reach the host either."""
    on_host(f"home = {home}\n")
    on_host.conf.pam("sudo", variant="none")
    on_host.conf.sudoers("alice ALL=(ALL) NOPASSWD: ALL\n")
    before = picture()
    out = sh("sudo -n sh -c 'id -u; cd ~alice; echo root >rooted; echo root >>thesis; rm -f drafts/one' 2>/dev/null || true")
    assert out.split()[0] == "0", out
    assert picture() == before


@pytest.mark.parametrize("home", ["bind", "tmpfs", "overlay", "none"])
def test_flags(profile, baseline, home):
    """Every mount at the home and below it is nosuid and nodev, also one of the host's that is there without."""
    place = HOME / "mounted"
    place.mkdir()
    host.run("mount", "-t", "tmpfs", "dev,suid", str(place), check=True)
    (place / "inside").write_text("inside\n")
    try:
        profile(f"home = {home}\n")
        out = sh("cat /proc/self/mountinfo")
        mounts = [line.split() for line in out.splitlines() if line.split()[4].startswith("/home/alice")]
        own = [fields for fields in mounts if fields[4] == "/home/alice"]
        assert len(own) == {"bind": 0 if profile.root == "host" else 1, "overlay": 2, "tmpfs": 1}.get(
            home, 1 if profile.root == "host" else 0), mounts
        for fields in own:
            assert {"nosuid", "nodev"} <= set(fields[5].split(",")), fields
        if home == "bind":
            assert sh("cat ~/mounted/inside") == "inside\n"
            if profile.root == "directory":
                below, = [fields for fields in mounts if fields[4] == str(place)]
                assert {"nosuid", "nodev"} <= set(below[5].split(",")), below
        else:
            assert sh("cat ~/mounted/inside 2>/dev/null || true") == ""
    finally:
        host.run("umount", str(place), check=True)
        place.rmdir()


def test_overlay_keeps_permissions(on_host, baseline):
    """What the user may not read in the home he may not read in the overlay; what a group of his may write he may change;
    the owners stay."""
    theirs, closed, cellar = HOME / "theirs", HOME / "closed", HOME / "cellar"
    for path, owner, group, mode in ((theirs, 2002, 3001, 0o664), (closed, 0, 0, 0o600)):
        path.write_text("text\n")
        os.chown(path, owner, group)
        os.chmod(path, mode)
    cellar.mkdir(mode=0o700)
    (cellar / "wine").write_text("wine\n")
    on_host("home = overlay\n")
    before = picture()
    out = sh("cd; exec 2>&1; cat closed; cat cellar/wine; ls cellar; echo x >>closed; echo mine >>theirs; cat theirs;"
             "stat -c '%u %g %a' theirs closed cellar; mv closed away; stat -c '%u %a' away; cat away; rm -f away; rmdir cellar; true")
    assert "wine\n" not in out and out.count("Permission denied") >= 5, out
    assert "text\nmine\n2002 3001 664\n0 0 600\n0 0 700\n0 600\n" in out, out
    assert picture() == before


@pytest.mark.parametrize("home", ["tmpfs", "overlay", "none"])
def test_root_himself(on_host, baseline, home):
    """root's own login."""
    pathlib.Path("/root/planted").write_text("planted\n")
    on_host(f"home = {home}\n")
    out = sh("cat /root/planted 2>/dev/null; rm -f /root/planted; echo x 2>/dev/null >/root/new; true", user="root")
    assert out == ("planted\n" if home == "overlay" else ""), out
    assert pathlib.Path("/root/planted").read_text() == "planted\n" and not os.path.exists("/root/new")
    os.unlink("/root/planted")


@pytest.mark.parametrize("home", ["bind", "overlay"])
def test_reached_by_a_group(profile, elsewhere, baseline, home):
    """The way to the home is open to a group of the user's only: all of his groups count. Where he has no way to it, the
    login is refused."""
    (elsewhere / "thesis").write_text("thesis\n")
    os.chown(elsewhere.parent, 0, 3001)
    os.chmod(elsewhere.parent, 0o710)
    profile(f"home = {home}\n")
    assert sh(f"cat {elsewhere}/thesis") == "thesis\n"
    os.chmod(elsewhere.parent, 0o700)
    if home == "overlay" or profile.root == "directory":
        since = syslog.mark()
        refused(su(), since, "the home of alice: cannot open /srv/homes/alice: Permission denied")


def test_share(on_host, sshd, baseline):
    """Two logins of a user share one home in memory, and two users do not."""
    on_host("share = user\nhome = tmpfs\n")
    with sshd.session("alice"):
        assert sshd.ssh("alice", "echo one >one").rc == 0
        assert sshd.ssh("alice", "cat one").out == "one\n"
        assert sshd.ssh("bob", "ls -A").out == ""
    assert sshd.ssh("alice", "ls -A").out == ""


def test_mount_points_in_memory(on_host, baseline):
    """A bind below a home in memory finds a place made for it."""
    os.makedirs("/srv/course", exist_ok=True)
    pathlib.Path("/srv/course/sheet").write_text("sheet\n")
    on_host("home = tmpfs\nbind = /srv/course:%h/lab/course\n")
    assert sh("cat ~/lab/course/sheet") == "sheet\n"
    shutil.rmtree("/srv/course")


def test_mount_points_in_an_overlay(profile, baseline):
    """A bind below an overlay finds the place that is in the home."""
    os.makedirs("/srv/course", exist_ok=True)
    pathlib.Path("/srv/course/sheet").write_text("sheet\n")
    profile("home = overlay\nbind = /srv/course:%h/drafts\n")
    assert sh("cat ~/drafts/sheet; cat ~/thesis") == "sheet\nthesis\n"
    shutil.rmtree("/srv/course")


def test_bind_in_the_place_of_none(on_host, baseline):
    """With none another directory can take the place of the home."""
    os.makedirs("/srv/desk", exist_ok=True)
    pathlib.Path("/srv/desk/sheet").write_text("sheet\n")
    on_host("home = none\nbind = /srv/desk:%h\n")
    assert sh("ls ~") == "sheet\n"
    shutil.rmtree("/srv/desk")


# -- accounts --


@pytest.mark.parametrize("home", ["tmpfs", "overlay", "none"])
def test_no_home(profile, baseline, home):
    """An account whose home does not exist logs in as it would without the key; with a tree of its own tmpfs makes one."""
    set_home(profile.conf, "/home/nobody-here")
    profile(f"home = {home}\n")
    out = sh("test -d /home/nobody-here && echo there; true")
    assert out == ("there\n" if home == "tmpfs" and profile.root == "directory" else ""), out


@pytest.mark.parametrize("home", ["tmpfs", "overlay", "none"])
def test_home_of_the_system(on_host, baseline, home):
    """A home in which the system lives is never hidden: that login is refused."""
    for place in ("/usr/sbin", "/bin", "/etc", "/var", "/home"):
        set_home(on_host.conf, place)
        on_host(f"home = {home}\n")
        since = syslog.mark()
        refused(su(), since, rf"the home directory {place} is the system's")


# -- hostile homes --


@pytest.fixture
def elsewhere(conf):
    """A home that can be renamed, and a directory of root's that nothing may reach."""
    home, treasure = pathlib.Path("/srv/homes/alice"), pathlib.Path("/srv/treasure")
    home.mkdir(parents=True)
    treasure.mkdir(mode=0o700)
    (treasure / "secret").write_text("secret\n")
    os.chown(home, ALICE, ALICE)
    set_home(conf, home)
    os.makedirs(f"{TREE}/srv/homes", exist_ok=True)
    before = picture(treasure)
    yield home
    assert picture(treasure) == before
    shutil.rmtree(home.parent)
    shutil.rmtree(treasure)
    shutil.rmtree(f"{TREE}/srv", ignore_errors=True)


def link_to(path, target):
    os.symlink(target, path)
    os.chown(path, ALICE, ALICE, follow_symlinks=False)


HOSTILE = {
    "link to root's": lambda path: link_to(path, "/srv/treasure"),
    "link to itself": lambda path: link_to(path, "alice"),
    "fifo": os.mkfifo,
    "file": lambda path: path.write_text("x"),
}
# what a hostile home must not give
PROBE = "cat {0}/secret; echo x >{0}/planted; echo in"


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("home", ["bind", "tmpfs", "overlay", "none"])
def test_something_else_in_its_place(profile, elsewhere, baseline, home, what):
    """No home but a link, a FIFO, a file: the login ends at once, in or refused, and nothing of the host's is reached."""
    elsewhere.rmdir()
    HOSTILE[what](elsewhere)
    profile(f"home = {home}\n")
    result = su("alice", PROBE.format(elsewhere), timeout=10)
    assert "secret\n" not in result.out and ("in\n" in result.out) != ("Login refused" in result.err), result
    elsewhere.unlink()


@pytest.mark.parametrize("home", ["bind", "tmpfs", "overlay"])
def test_exchanged_meanwhile(profile, elsewhere, baseline, home):
    """The home is exchanged with a link to root's again and again while logins are made: each is refused or right."""
    profile(f"home = {home}\n")
    ended = threading.Event()
    aside, link = elsewhere.with_name("alice.aside"), elsewhere.with_name("alice.link")
    link_to(link, "/srv/treasure")

    def exchange():
        while not ended.is_set():
            os.rename(elsewhere, aside)
            os.rename(link, elsewhere)
            os.rename(elsewhere, link)
            os.rename(aside, elsewhere)
    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        for _ in range(host.count(200, 25)):
            result = su("alice", PROBE.format(elsewhere))
            assert "secret\n" not in result.out, result
    finally:
        ended.set()
        thread.join()
    assert elsewhere.is_dir() and link.is_symlink()


@pytest.mark.parametrize("mark,value", [("opaque", b"y"), ("redirect", b"/srv/treasure/secret"), ("redirect", b"other"),
                                        ("metacopy", b"")])
def test_marks_of_overlays_in_the_home(on_host, elsewhere, baseline, mark, value):
    """What an overlay reads as its marks leads nowhere where it stands in the home. Only root can write such, and a FUSE server
    can show them."""
    host.run("mount", "-t", "tmpfs", "marked", str(elsewhere), check=True)
    try:
        os.chown(elsewhere, ALICE, ALICE)
        for name in ("victim", "other"):
            (elsewhere / name).write_text(f"{name}\n")
            (elsewhere / f"{name}s").mkdir()
            (elsewhere / f"{name}s/inside").write_text(f"{name}\n")
        os.setxattr(elsewhere / "victim", f"trusted.overlay.{mark}", value)
        os.setxattr(elsewhere / "victims", f"trusted.overlay.{mark}", value)
        on_host("home = overlay\n")
        result = su("alice", "cat ~/victim ~/victims/inside; cat ~/other; echo in")
        assert "secret" not in result.out and result.out.endswith("other\nin\n"), result
        assert result.out.count("other") == 1, result
    finally:
        host.run("umount", str(elsewhere), check=True)


# -- file systems --


@contextlib.contextmanager
def closed_to_root(path):
    """The home behind a FUSE server of the user's: root gets EACCES, as from NFS with root_squash."""
    source = pathlib.Path("/srv/behind")
    source.mkdir()
    os.chown(source, ALICE, ALICE)
    (source / "thesis").write_text("from afar\n")
    os.chown(source / "thesis", ALICE, ALICE)
    server = subprocess.Popen(["bindfs", "-f", "--no-allow-other", str(source), str(path)], user=ALICE, group=ALICE, extra_groups=[],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        host.wait_until(lambda: f" {path} " in host.read("/proc/self/mountinfo") or server.poll() is not None,
                        what="bindfs has mounted")
        assert server.poll() is None, server.stderr.read()
        with pytest.raises(PermissionError):
            os.listdir(path)
        yield source, server
    finally:
        server.send_signal(signal.SIGCONT)
        host.run("umount", "-l", str(path))
        server.terminate()
        server.wait(10 * host.PATIENCE)
        shutil.rmtree(source)


@pytest.mark.parametrize("home", ["bind", "tmpfs", "overlay", "none"])
def test_closed_to_root(profile, elsewhere, baseline, home):
    """A home that root may not even look at is found with the user's rights."""
    with closed_to_root(elsewhere) as (source, _):
        profile(f"home = {home}\n")
        before = picture(source)
        out = sh("cd /; {{ cat {0}/thesis; echo new >{0}/new; cat {0}/new; }} 2>/dev/null; true".format(elsewhere))
        assert out == {"bind": "from afar\nnew\n", "overlay": "from afar\nnew\n", "tmpfs": "new\n", "none": ""}[home], out
        assert (source / "new").exists() == (home == "bind")
        if home != "bind":
            assert picture(source) == before


@pytest.mark.parametrize("home", ["bind", "tmpfs", "overlay"])
def test_does_not_answer(profile, elsewhere, baseline, home):
    """A server of the user's that answers nothing costs him his login, in the time that every login has; nothing is left
    that waits for it, and other users log in meanwhile."""
    with closed_to_root(elsewhere) as (_, server):
        profile(f"home = {home}\n")
        server.send_signal(signal.SIGSTOP)
        before = picture_of_host.take_settled()
        result = su("alice", "cd /; echo in", timeout=60)
        assert result.rc == 0 or "Login refused" in result.err, result
        boxed(su("bob"))
        picture_of_host.wait_equal(before, timeout=10)


@pytest.mark.parametrize("home", ["bind", "tmpfs", "overlay"])
def test_autofs(profile, baseline, home):
    """A home that automount(8) mounts when it is asked for is there at the login."""
    source = pathlib.Path("/srv/export/alice")
    source.mkdir(parents=True)
    (source / "thesis").write_text("mounted\n")
    os.chown(source, ALICE, ALICE)
    if not os.path.exists("/dev/autofs"):
        os.mknod("/dev/autofs", 0o600 | stat.S_IFCHR, os.makedev(10, 235))
    profile.conf.file("/etc/auto.probe", "* -fstype=bind :/srv/export/&\n")
    profile.conf.file("/etc/auto.master", "/net/homes /etc/auto.probe --timeout=60\n")
    set_home(profile.conf, "/net/homes/alice")
    if profile.root == "directory":
        os.makedirs(f"{TREE}/net/homes", exist_ok=True)
    daemon = subprocess.Popen(["automount", "-f"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        host.wait_until(lambda: " - autofs " in host.read("/proc/self/mountinfo"), what="automount has mounted")
        profile(f"home = {home}\n")
        out = sh("cat ~/thesis 2>/dev/null; echo new >~/new; cat ~/new")
        assert out == ("new\n" if home == "tmpfs" else "mounted\nnew\n"), out
        assert (source / "new").exists() == (home == "bind")
        host.run("umount", "/net/homes/alice")
    finally:
        daemon.terminate()
        daemon.wait(20 * host.PATIENCE)
        shutil.rmtree("/srv/export")
        host.run("rmdir", "-p", "/net/homes")


def test_not_under_an_overlay(on_host, baseline):
    """A file system that cannot be under an overlay refuses the login with a sentence that says how to mend it."""
    deep = pathlib.Path("/srv/deep")
    deep.mkdir()
    host.run("mount", "-t", "tmpfs", "deep", str(deep), check=True)
    lower = "a"
    for name in ("a", "b", "c", "upper1", "upper2", "work1", "work2"):
        (deep / name).mkdir()
    for number, target in ((1, "b"), (2, "c")):  # an overlay of an overlay is as deep as the kernel goes
        host.run("mount", "-t", "overlay", "o", "-o", f"lowerdir={deep}/{lower},upperdir={deep}/upper{number},"
                 f"workdir={deep}/work{number}", str(deep / target), check=True)
        lower = target
    os.chown(deep / "c", ALICE, ALICE)
    try:
        set_home(on_host.conf, deep / "c")
        on_host("home = overlay\n")
        since = syslog.mark()
        refused(su(), since, "the file system of /srv/deep/c cannot be under an overlay .*: write home = bind or home = tmpfs")
        on_host("home = tmpfs\n")
        boxed(su())
    finally:
        host.run("umount", "-l", "-R", str(deep))
        deep.rmdir()


def test_helper_is_there():
    """These tests are of the installed helper."""
    assert os.path.exists(f"{LIBEXEC}/nsbox-helper")
