# SPDX-License-Identifier: BSD-3-Clause
# host: --debs
"""nsboxctl mkroot: roots made of archives, packages and busybox; what hostile archives and hostile neighbours reach by it."""
import contextlib
import hashlib
import io
import os
import pathlib
import re
import shutil
import signal
import stat
import struct
import subprocess
import tarfile

import pexpect
import pytest

from lib import host
from lib.ctl import ctl
from lib.refusal import moved_away

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

PLACE = pathlib.Path("/srv/roots")
ROOT = PLACE / "new"
UNPACK = "/usr/libexec/nsbox/nsbox-unpack"
POINTS = ("dev", "proc", "sys", "run", "tmp", "var/tmp", "etc", "home", "root")
# what archives of enemies name, and the way to it; each name in directories that are large
WATCHED = ("/etc", "/srv", "/home")
LISTED = ("/", "/root", "/usr", "/usr/bin", "/usr/lib", "/var", "/var/tmp", "/opt", "/boot", "/tmp")


def picture():
    """Everything outside that a tree could spill into: {path: what changes with its content}."""
    found = {}
    for top in WATCHED:
        for directory, names, files in os.walk(top):
            for name in names + files:
                path = os.path.join(directory, name)
                with contextlib.suppress(FileNotFoundError):
                    info = os.lstat(path)
                    found[path] = (info.st_mode, info.st_uid, info.st_ino, info.st_size, info.st_mtime_ns, info.st_nlink)
    for directory in LISTED:
        for name in os.listdir(directory):
            if not name.startswith("pytest"):
                found.setdefault(os.path.join(directory, name), "there")
    return found


@pytest.fixture
def place():
    """A directory of root's, with nothing in it; whatever a test makes in it goes."""
    PLACE.mkdir(0o755)
    yield PLACE
    shutil.rmtree(PLACE)


@pytest.fixture
def unharmed(place, baseline):
    """The host is the same after; what a test did not keep in PLACE is not there."""
    before = picture()
    yield place
    after = picture()
    below = f"{PLACE}"
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert not {path for path in changed if not path.startswith(below)}


def nothing_made():
    """Neither the root nor the directory of work, nor a mount."""
    assert os.listdir(PLACE) == []
    assert str(PLACE) not in host.read("/proc/self/mountinfo")


def mkroot(*words, **options):
    return ctl("mkroot", *map(str, words), **{"timeout": 120, **options})


def made(*words, **options):
    result = mkroot(ROOT, *words, **options)
    assert (result.rc, result.out) == (0, f'{ROOT}: ready for "root = {ROOT}"\n'), result
    assert os.listdir(PLACE) == ["new"]
    info = ROOT.stat()
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (0, 0, 0o755)
    for name in POINTS:
        assert (ROOT / name).is_dir(), name
    assert stat.S_IMODE((ROOT / "tmp").stat().st_mode) == 0o1777
    return result


def refused(sentence, *words, **options):
    result = mkroot(ROOT, *words, **options)
    assert (result.rc, result.out) == (1, ""), result
    assert re.search(sentence, result.err), result.err
    assert re.fullmatch(r"[\x20-\x7e\n]*", result.err), result.err
    nothing_made()
    return result


def member(name, kind=tarfile.REGTYPE, data=b"", mode=0o755, link="", uid=0, gid=0, **more):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.size, info.uid, info.gid, info.mtime = kind, mode, link, len(data), uid, gid, 1e9
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


BASE = [member("bin", tarfile.DIRTYPE), member("etc", tarfile.DIRTYPE)]


def archive(tmp_path, *members, name="image.tar", mode="w", format=tarfile.PAX_FORMAT):
    path = tmp_path / name
    with tarfile.open(path, mode, format=format) as file:
        for info, data in [*BASE, *members]:
            file.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture(scope="module")
def busybox_tar(tmp_path_factory):
    """A whole root as an archive, made by tar(1), as a container's export is."""
    directory = tmp_path_factory.mktemp("export")
    result = ctl("mkroot", "/srv/exported", "--busybox")
    assert result.rc == 0, result
    os.chmod("/srv/exported/bin/busybox", 0o4755)
    os.link("/srv/exported/bin/busybox", "/srv/exported/bin/again")
    os.chown("/srv/exported/home", 2001, 2002)
    path = directory / "export.tar"
    host.run("tar", "-C", "/srv/exported", "-cf", path, ".", check=True)
    shutil.rmtree("/srv/exported")
    return path


@contextlib.contextmanager
def shells(**wanted):
    """Users with other shells than bash."""
    for user, shell in wanted.items():
        host.run("usermod", "-s", shell, user, check=True)
    try:
        yield
    finally:
        for user in wanted:
            host.run("usermod", "-s", "/bin/bash", user, check=True)


# -- usage --


@pytest.mark.parametrize("words, sentence", [
    ((), "the directory is missing"),
    (("/srv/x",), "one of --from, --debian and --busybox is needed"),
    (("/srv/x", "--debian", "--busybox"), "one of --from, --debian and --busybox is needed"),
    (("/srv/x", "--from", "-", "--busybox"), "one of --from, --debian and --busybox is needed"),
    (("/srv/x", "--busybox", "--mirror", "http://x"), "--mirror and --include are of --debian"),
    (("/srv/x", "--from", "-", "--include", "less"), "--mirror and --include are of --debian"),
    (("/srv/x", "--debian", "--max-size", "1G"), "--max-size is of --from"),
    (("/srv/x", "more", "--busybox"), "too many arguments"),
    (("/srv/x", "bookworm", "more", "--debian"), "too many arguments"),
])
def test_wrong_usage(words, sentence):
    result = mkroot(*words)
    assert (result.rc, result.out) == (2, "") and sentence in result.err and "usage: nsboxctl mkroot" in result.err


def test_only_root():
    result = host.run("runuser", "-u", "alice", "--", "/usr/sbin/nsboxctl", "mkroot", "/home/alice/x", "--busybox")
    assert (result.rc, result.out) == (1, "") and "only root may do this" in result.err


@pytest.mark.parametrize("words, sentence", [
    (("--debian", "/srv/y"), r'"/srv/y" is no name of a suite; the directory comes first'),
    (("--debian", "-", "--"), r'"-" is no name of a suite'),
    (("--debian", "--include", "--hook=x"), r"--include --hook=x: names of packages"),
    (("--debian", "--include", "less;id"), r"--include less;id: names of packages"),
    (("--debian", "--mirror=-x:"), r"--mirror -x:: a URL is needed"),
    (("--debian", "--mirror", "nowhere"), r"--mirror nowhere: a URL is needed"),
    (("--from", "/etc"), r"/etc is a directory: a tar archive is needed"),
    (("--from", "/nowhere"), r"cannot read /nowhere: No such file"),
    (("--from", "/dev/null", "--max-size", "much"), r"--max-size much: a size like"),
    (("--from", "/dev/null", "--max-size", "50%"), r"--max-size 50%: a size like"),
])
def test_bad_values(unharmed, words, sentence):
    """Said before anything is made."""
    refused(sentence, *words)


def test_not_in_a_box(conf, baseline):
    conf.nsbox("[profile all]\nusers = *\nnetwork = loopback\n")
    result = ctl("run", "--user", "root", "--", "nsboxctl", "mkroot", "/srv/x", "--busybox")
    assert result.rc == 1 and "inside of a box" in result.err


# -- the place --


def test_place_exists_and_is_empty(unharmed):
    """An empty directory is replaced, whosever it was."""
    ROOT.mkdir(0o777)
    os.chown(ROOT, 2001, 2001)
    made("--busybox")


@pytest.mark.parametrize("prepare, sentence", [
    (lambda: (ROOT.mkdir(), (ROOT / "x").touch()), "is not empty"),
    (lambda: ROOT.touch(), "exists and is not a directory"),
    (lambda: ROOT.symlink_to("/srv"), "exists and is not a directory"),
    (lambda: ROOT.symlink_to("/nowhere"), "exists and is not a directory"),
    (lambda: os.mkfifo(ROOT), "exists and is not a directory"),
])
def test_place_is_taken(unharmed, prepare, sentence):
    """What is there stays."""
    prepare()
    before = picture()
    result = mkroot(ROOT, "--busybox")
    assert result.rc == 1 and sentence in result.err, result
    assert picture() == before


def test_place_is_a_mount_point(unharmed):
    ROOT.mkdir()
    host.run("mount", "-t", "tmpfs", "tmpfs", ROOT, check=True)
    try:
        result = mkroot(ROOT, "--busybox")
    finally:
        host.run("umount", ROOT, check=True)
    assert result.rc == 1 and "is a mount point: name a directory in it" in result.err
    assert os.listdir(PLACE) == ["new"] and os.listdir(ROOT) == []


@pytest.fixture
def alices_link():
    link = pathlib.Path("/home/alice/link")
    link.symlink_to("/srv/roots")
    yield
    link.unlink()


@pytest.mark.parametrize("path, sentence", [
    ("/", "/ is the host's own root"),
    ("/srv/roots/../x", 'without ".."'),
    ("/srv/roots/none/x", "there is no /srv/roots/none: mkdir -p /srv/roots/none"),
    ("/srv/roots/" + "n" * 256, "too long a name"),
    ("/tmp/x", "/tmp can be changed by others than root"),
    ("/home/alice/x", "/home/alice can be changed by others than root"),
    ("/home/alice/link/x", "/home/alice can be changed by others than root"),
])
def test_place_that_cannot_be(alices_link, unharmed, path, sentence):
    """Above all: where somebody else could exchange what is made."""
    result = mkroot(path, "--busybox")
    assert result.rc == 1 and sentence in result.err, result
    nothing_made()


def test_place_below_a_trusted_link(unharmed):
    """Root's own links are followed, as everywhere."""
    (PLACE / "link").symlink_to("/srv/roots")
    try:
        result = mkroot(PLACE / "link/new/", "--busybox")
    finally:
        (PLACE / "link").unlink()
    assert result.rc == 0 and (ROOT / "bin/sh").exists()


def test_place_is_relative(unharmed):
    result = mkroot("new", "--busybox", cwd=PLACE)
    assert result.rc == 0 and result.out.startswith(f"{ROOT}: ready"), result


# -- busybox --


def test_busybox(unharmed):
    """All its names, the files of /etc, and modes that do not depend on the umask."""
    result = host.run("sh", "-c", f"umask 077; nsboxctl mkroot {ROOT} --busybox", check=True)
    assert [line for line in result.err.splitlines() if "sftp" not in line] == []
    names = host.run("busybox", "--list-full", check=True).out.split()
    for name in names:
        if "/" in name:
            assert (ROOT / name).resolve() == ROOT / "bin/busybox", name
    assert len(names) > 200
    passwd = (ROOT / "etc/passwd").read_text()
    assert [line.split(":")[0] for line in passwd.splitlines()] == ["root", "nobody"]
    for path in ROOT.rglob("*"):
        info = path.lstat()
        assert info.st_uid == 0 and (stat.S_ISLNK(info.st_mode) or stat.S_IMODE(info.st_mode) in (
            0o755, 0o644, 0o1777, 0o700)), path
    output = host.run("chroot", ROOT, "/bin/sh", "-lc", "id -un; env | grep ^PATH; ls -d /tmp", check=True).out
    assert output.startswith("root\nPATH=/usr/local/bin:") and output.endswith("/tmp\n")


def test_busybox_that_is_not_static(unharmed):
    """One with libraries would not run in there; none is told with the package."""
    os.rename("/bin/busybox", "/bin/busybox.away")
    try:
        refused("this host has no busybox: .*apt-get install busybox-static", "--busybox")
        shutil.copy("/bin/true", "/bin/busybox")
        refused("the busybox of this host needs libraries: .*busybox-static", "--busybox")
    finally:
        os.rename("/bin/busybox.away", "/bin/busybox")


def test_user_logs_in(conf, sshd, place, baseline):
    """ssh into a box whose root was made so, with a busybox shell."""
    made("--busybox")
    conf.nsbox(f"[profile jail]\nusers = carol\nnetwork = loopback\nroot = {ROOT}\n")
    conf.pam("sshd")
    with shells(carol="/bin/sh"):
        result = sshd.ssh("carol", "echo $0; readlink /proc/$$/exe; ls /; cat /etc/nsswitch.conf; echo id=$NSBOX_ID")
    assert result.rc == 0, result
    assert "/bin/busybox" in result.out and "passwd: files" in result.out and re.search(r"^id=\w", result.out, re.M)
    assert not {"srv", "boot", "opt"} & set(result.out.split())


# -- archives as they should be --


def tree_of(root):
    """{path: kind, owner, mode, content}"""
    found = {}
    for path in sorted(root.rglob("*")):
        info = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(root))] = (stat.S_IFMT(info.st_mode), info.st_uid, info.st_gid,
                                              stat.S_IMODE(info.st_mode), content)
    return found


@pytest.mark.parametrize("compress", [None, ["gzip", "-c"], ["xz", "-c"], ["zstd", "-c"]], ids=["plain", "gzip", "xz", "zstd"])
@pytest.mark.parametrize("how", ["file", "stdin"])
def test_from(unharmed, busybox_tar, tmp_path, compress, how):
    """Whatever tar(1) makes of it is what comes out: owners, modes, links; plain and compressed, from a file and a pipe."""
    path = busybox_tar
    if compress:
        path = tmp_path / "image"
        path.write_bytes(subprocess.run([*compress, busybox_tar], check=True, capture_output=True).stdout)
    if how == "file":
        result = made("--from", path)
    else:
        result = host.run("bash", "-c", f"set -o pipefail; cat {path} | nsboxctl mkroot {ROOT} --from -")
        assert result.rc == 0, result
    assert "warning: 1 program of the archive set-uid" in result.err
    expected = tmp_path / "expected"
    expected.mkdir()
    host.run("tar", "-C", expected, "-xpf", busybox_tar, "--numeric-owner", check=True)
    assert tree_of(ROOT) == tree_of(expected)
    assert (ROOT / "bin/busybox").stat().st_ino == (ROOT / "bin/again").stat().st_ino
    assert stat.S_IMODE((ROOT / "bin/busybox").stat().st_mode) == 0o4755
    assert (ROOT / "home").stat().st_uid == 2001


def test_from_writer_does_not_die_of_padding(unharmed, busybox_tar):
    """Whoever writes into the pipe writes more than the end mark."""
    script = f"set -o pipefail; (cat {busybox_tar}; head -c 3000000 /dev/zero) | nsboxctl mkroot {ROOT} --from -"
    assert host.run("bash", "-c", script).rc == 0


def test_from_makes_what_is_missing(unharmed, tmp_path):
    """Mount points, and /etc/hosts and its like as empty files; what is there stays as it is."""
    made("--from", archive(tmp_path, member("etc/hosts", data=b"mine\n", mode=0o600),
                           member("etc/resolv.conf", tarfile.SYMTYPE, link="/run/resolv.conf")))
    assert (ROOT / "etc/hosts").read_text() == "mine\n"
    assert os.readlink(ROOT / "etc/resolv.conf") == "/run/resolv.conf"
    assert (ROOT / "etc/hostname").read_text() == ""


def test_from_file_capabilities(unharmed, tmp_path):
    """As the image has them, and no other attribute."""
    program = tmp_path / "tree/bin/ping"
    program.parent.mkdir(parents=True)
    shutil.copy("/bin/true", program)
    capability = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
    os.setxattr(program, "security.capability", capability)
    os.setxattr(program, "trusted.overlay.opaque", b"y")
    path = tmp_path / "image.tar"
    host.run("tar", "-C", tmp_path / "tree", "--xattrs", "--xattrs-include=*", "-cf", path, ".", check=True)
    result = made("--from", path)
    assert os.getxattr(ROOT / "bin/ping", "security.capability") == capability
    assert "trusted.overlay.opaque" not in os.listxattr(ROOT / "bin/ping")
    assert "1 program of the archive" in result.err


def test_from_names_of_all_kinds(unharmed, tmp_path):
    """Bytes that are no text, newlines, escapes, long names, UTF-8."""
    names = ["bin/a\nb", "bin/\x1b[31mred", "bin/\udcff\udcfe", "bin/" + "l" * 255, "bin/ünïcödé", "bin/ ", "bin/-rf",
             "/".join(["d" * 200] * 15) + "/f"]
    for number, format in enumerate((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)):
        # pax has no words for names that are no text but "BINARY", which tarfile writes
        path = archive(tmp_path, *[member(name, data=b"x") for name in names], name=f"{number}.tar", format=format)
        made("--from", path)
        for name in names:
            assert (ROOT / name).read_bytes() == b"x"
        shutil.rmtree(ROOT)


def test_from_thousands_of_members(unharmed, tmp_path):
    """A large image; removed again where it fails at its very end."""
    many = [member(f"usr/{i // 100}/{i}", data=b"x" * (i % 50)) for i in range(host.count(60000, 12000))]
    made("--from", archive(tmp_path, *many))
    assert sum(1 for _ in (ROOT / "usr").rglob("*")) >= len(many)
    shutil.rmtree(ROOT)
    refused("/passwd", "--from", archive(tmp_path, *many, member("../passwd")))


def test_from_devices_and_channels_are_left_out(unharmed, tmp_path):
    """Counted and said; nothing of their kind is in the tree."""
    result = made("--from", archive(
        tmp_path, member("dev", tarfile.DIRTYPE), member("dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3),
        member("dev/sda", tarfile.BLKTYPE, devmajor=8, devminor=0), member("run/fifo", tarfile.FIFOTYPE),
        member("etc/after", data=b"x")))
    assert "left out: 2 device nodes, 1 FIFO or socket; a box has a /dev of its own" in result.err
    assert (ROOT / "etc/after").read_text() == "x"
    assert not [path for path in ROOT.rglob("*") if not (path.is_symlink() or path.is_dir() or path.is_file())]


# -- archives of enemies --


OUT = "/srv/roots-outside"

HOSTILE = {
    "absolute": ([member("/etc/nsbox-evil", data=b"x")], "has an absolute name"),
    "absolute twice": ([member("//srv/roots-outside", data=b"x")], "has an absolute name"),
    "dot dot": ([member("../evil", data=b"x")], r'has ".." in its name'),
    "dot dot inside": ([member("bin/../../../etc/nsbox-evil", data=b"x")], r'has ".." in its name'),
    "dot dot last": ([member("bin/..", tarfile.DIRTYPE)], r'has ".." in its name'),
    "link then file": ([member("a", tarfile.SYMTYPE, link="/etc"), member("a/nsbox-evil", data=b"x")], "a/nsbox-evil"),
    "relative link then file": ([member("a", tarfile.SYMTYPE, link="../../../../etc"), member("a/nsbox-evil", data=b"x")],
                                "a/nsbox-evil"),
    "chain of links": ([member("a", tarfile.SYMTYPE, link=".."), member("b", tarfile.SYMTYPE, link="a/.."),
                        member("b/nsbox-evil", data=b"x")], "b/nsbox-evil"),
    "link then directory": ([member("a", tarfile.SYMTYPE, link="/etc"), member("a/nsbox-evil", tarfile.DIRTYPE)],
                            "a/nsbox-evil"),
    "link then link": ([member("a", tarfile.SYMTYPE, link="/etc"), member("a/nsbox-evil", tarfile.SYMTYPE, link="x")],
                       "a/nsbox-evil"),
    "hard link out": ([member("a", tarfile.LNKTYPE, link="/etc/shadow")], "hard link to something that has an absolute name"),
    "hard link dots": ([member("a", tarfile.LNKTYPE, link="../../../etc/shadow")], r'hard link to something that has ".."'),
    "hard link through a link": ([member("a", tarfile.SYMTYPE, link="/etc"), member("b", tarfile.LNKTYPE, link="a/shadow")],
                                 "the member b cannot be made"),
    "hard link to nothing": ([member("b", tarfile.LNKTYPE, link="etc/nothing")], "the member b cannot be made"),
    "escapes in the name": ([member("../\x1b]0;owned\x07\n\u202e", data=b"x")], r"\\x1b\]0;owned\\x07\\x0a\\xe2\\x80\\xae"),
    "owner beyond": ([member("etc/a", uid=2**40)], "the member etc/a has an owner"),
    "owner that wraps to root": ([member("etc/a", mode=0o4755, uid=2**32)], "the member etc/a has an owner"),
    "group minus one": ([member("etc/a", gid=2**32 - 1)], "the member etc/a has an owner"),
    "too deep": ([member("/".join(["d"] * 129), data=b"x")], "a name of too many directories"),
    "too long": ([member("/".join(["d" * 250] * 20), data=b"x")], "too long a name"),
    "mount point is a link": ([member("dev", tarfile.SYMTYPE, link="/etc")], "/dev is not a directory"),
    "tmp is a file": ([member("tmp", data=b"")], "/tmp is not a directory"),
    "top is a file": ([member(".", data=b"x")], "the member ."),
    "top is a link": ([member("./", tarfile.SYMTYPE, link="/etc")], "."),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile(unharmed, tmp_path, case):
    """The whole archive is refused, nothing is written anywhere, and what is said cannot reach the terminal as a command."""
    members, sentence = HOSTILE[case]
    refused(sentence, "--from", archive(tmp_path, *members))


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_in_gnu_format(unharmed, tmp_path, case):
    members, sentence = HOSTILE[case]
    refused(sentence, "--from", archive(tmp_path, *members, format=tarfile.GNU_FORMAT))


def test_links_out_stay_what_they_are(unharmed, tmp_path):
    """A link to a place outside is a text: in the box it means the box's."""
    made("--from", archive(tmp_path, member("etc/mtab", tarfile.SYMTYPE, link="/proc/mounts"),
                           member("bin/up", tarfile.SYMTYPE, link="../../../../etc/shadow")))
    assert os.readlink(ROOT / "etc/mtab") == "/proc/mounts"
    assert os.readlink(ROOT / "bin/up") == "../../../../etc/shadow"


def test_link_replaced_by_file(unharmed, tmp_path):
    """The last of several members with one name counts; the file that the link points to does not change."""
    made("--from", archive(tmp_path, member("etc/x", tarfile.SYMTYPE, link="/etc/passwd"), member("etc/x", data=b"mine")))
    assert (ROOT / "etc/x").read_text() == "mine" and not (ROOT / "etc/x").is_symlink()


def test_top_of_the_archive_gives_nobody_the_tree(unharmed, tmp_path):
    """Owner and mode of "./" are the stranger's; the root is root's, and until then in a directory that is root's."""
    made("--from", archive(tmp_path, member("./", tarfile.DIRTYPE, mode=0o6777, uid=2001, gid=2001)))


def test_group_of_an_acl_gets_no_more(unharmed, tmp_path):
    """The mode's middle digit is the mask of an ACL, which is not kept: it must not become the group's right."""
    file = tmp_path / "tree/etc/secret"
    file.parent.mkdir(parents=True)
    file.write_text("x")
    file.chmod(0o600)
    if host.run("setfacl", "-m", "u:2001:rw,g::-", file).rc != 0:
        pytest.fail("no ACLs here")
    path = tmp_path / "image.tar"
    host.run("tar", "-C", tmp_path / "tree", "--acls", "-cf", path, ".", check=True)
    made("--from", path)
    assert stat.S_IMODE((ROOT / "etc/secret").stat().st_mode) == 0o600
    assert host.run("getfacl", "-cn", ROOT / "etc/secret", check=True).out.split() == ["user::rw-", "group::---", "other::---"]


def test_not_an_archive(unharmed, tmp_path):
    """Garbage, nothing, something else, a compressed nothing, what "docker save" writes."""
    garbage = tmp_path / "garbage"
    for data in (b"", b"x", os.urandom(100000), pathlib.Path("/bin/true").read_bytes(), b"\x1f\x8b" + os.urandom(5000),
                 b"\xfd7zXZ\0" + os.urandom(5000), b"\x28\xb5\x2f\xfd" + os.urandom(5000)):
        garbage.write_bytes(data)
        refused("this is no tar archive|the archive cannot be read", "--from", garbage)
    garbage.write_bytes(bytes(10240))
    refused("the archive holds nothing|no tar archive", "--from", garbage)
    with tarfile.open(garbage, "w") as file:
        for name in ("manifest.json", "abc/layer.tar"):
            file.addfile(*[part if number == 0 else io.BytesIO(part) for number, part in enumerate(member(name, data=b"{}"))])
    refused('the new tree holds no root: .*"docker export".*not "save"', "--from", garbage)


def test_cut_off(unharmed, busybox_tar, tmp_path):
    """Wherever it is cut, also between two members, where it looks like a whole one; plain and compressed."""
    whole = archive(tmp_path, *[member(f"usr/{i}", data=bytes(700)) for i in range(6)]).read_bytes()
    path = tmp_path / "cut"
    for length in range(512, len(whole.rstrip(b"\0")), 512):
        path.write_bytes(whole[:length])
        refused("cut off|cannot be read|Truncated", "--from", path)
    path.write_bytes(whole[:7000])
    refused("cut off|cannot be read|Truncated", "--from", path)
    for program in ("gzip", "xz", "zstd"):
        data = subprocess.run([program, "-c", busybox_tar], check=True, capture_output=True).stdout
        path.write_bytes(data[:len(data) // 2])
        refused("cannot be read", "--from", path)


def number_field(value):
    return b"\x80" + value.to_bytes(11, "big")


def test_sizes_that_are_lies(unharmed, tmp_path):
    """A header that claims exabytes, or less than nothing, before some bytes of data."""
    for size in (b"77777777777\0", number_field(2**62), number_field(2**63 - 1), b"\xff" * 12):
        info, _ = member("usr/big")
        block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
        block[124:136] = size
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        path = tmp_path / "lie"
        path.write_bytes(bytes(block) + bytes(3000))
        refused("cannot be read|cannot be made|full|no tar archive", "--from", path)


def test_sparse_exabyte(unharmed, tmp_path):
    """A map of holes: it costs nothing or is refused."""
    info, data = member("usr/sparse", data=b"0\n")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "usr/sparse",
                        "GNU.sparse.realsize": str(2**62)}
    result = mkroot(ROOT, "--from", archive(tmp_path, (info, data.ljust(512, b"\0"))))
    assert result.rc in (0, 1)
    if result.rc == 1:
        nothing_made()


def test_max_size(unharmed, tmp_path):
    """Data and members count; a bomb is stopped where it begins to hurt."""
    bomb = tmp_path / "bomb.tar.gz"
    with tarfile.open(bomb, "w:gz", compresslevel=1) as file:
        for info, data in [*BASE, member("usr/zeros", data=bytes(64 << 20))]:
            file.addfile(info, io.BytesIO(data))
    refused(r"holds more than --max-size allows \(8388608 bytes", "--from", bomb, "--max-size", "8M")
    made("--from", bomb, "--max-size", "80M")
    shutil.rmtree(ROOT)
    many = archive(tmp_path, *[member(f"usr/{i}") for i in range(1500)])
    refused("holds more than --max-size", "--from", many, "--max-size", "1M")


@contextlib.contextmanager
def small_disk(options):
    host.run("mount", "-t", "tmpfs", "-o", options, "tmpfs", PLACE, check=True)
    try:
        yield
    finally:
        host.run("umount", PLACE, check=True)


@pytest.mark.parametrize("options", ["size=4m,mode=755", "nr_inodes=50,mode=755"])
def test_full_disk(place, tmp_path, options):
    """No space, no inodes: one sentence, and the half-made tree is gone."""
    path = archive(tmp_path, *[member(f"usr/{i}", data=bytes(100000)) for i in range(100)])
    with small_disk(options):
        result = mkroot(ROOT, "--from", path)
        assert result.rc == 1 and "the file system is full" in result.err, result
        assert os.listdir(PLACE) == []


def test_full_disk_for_busybox(place):
    with small_disk("size=64k,mode=755"):
        result = mkroot(ROOT, "--busybox")
        assert result.rc == 1 and "No space left" in result.err, result
        assert os.listdir(PLACE) == []


# -- what it runs as --


def feeding(*words):
    """mkroot with an archive that does not come to its end."""
    return host.end_with_test(subprocess.Popen(["nsboxctl", "mkroot", str(ROOT), "--from", "-", *words],
                                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE))


def begun(process, tmp_path):
    """Feeds the beginning of an archive; the pid of nsbox-unpack when a member is there."""
    data = archive(tmp_path, member("usr/first", data=b"x"), member("usr/second", data=bytes(1 << 20))).read_bytes()
    process.stdin.write(data[:100000])
    process.stdin.flush()
    host.wait_until(lambda: list(PLACE.glob(".nsboxctl-mkroot.*/root/usr/first")), what="the first member")
    (pid,) = host.find("nsbox-unpack")
    return pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signal_in_the_middle(unharmed, tmp_path, number):
    """Nothing remains: no tree, no process. Also while the work of removing is done."""
    process = feeding()
    begun(process, tmp_path)
    process.send_signal(number)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number or process.returncode == 128 + signal.SIGINT, err
    assert b"nothing was made" in err
    nothing_made()


def test_ctrl_c_on_a_terminal(unharmed, tmp_path):
    """It reaches all of the foreground group at once."""
    os.mkfifo(tmp_path / "pipe")
    child = host.spawn("nsboxctl", "mkroot", str(ROOT), "--from", str(tmp_path / "pipe"))
    with open(tmp_path / "pipe", "wb") as pipe:
        pipe.write(archive(tmp_path, member("usr/x", data=bytes(1 << 20))).read_bytes()[:60000])
        pipe.flush()
        host.wait_until(lambda: list(PLACE.glob(".nsboxctl-mkroot.*/root/usr")), what="a member")
        child.sendintr()
        child.expect("nothing was made")
        child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 128 + signal.SIGINT
    nothing_made()


def test_killed_unpacker(unharmed, tmp_path):
    process = feeding()
    pid = begun(process, tmp_path)
    os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1 and b"nsbox-unpack was ended by signal 9: nothing was made" in err
    nothing_made()


def test_killed_nsboxctl(unharmed, tmp_path):
    """kill -9 leaves the directory of work, as the manual says, but no process; the next run is not disturbed by it."""
    process = feeding()
    pid = begun(process, tmp_path)
    process.kill()
    process.wait(10)
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()
    host.wait_until(lambda: not host.alive(pid), what="nsbox-unpack is gone")
    (left,) = os.listdir(PLACE)
    assert left.startswith(".nsboxctl-mkroot.") and stat.S_IMODE((PLACE / left).stat().st_mode) == 0o700
    shutil.rmtree(PLACE / left)
    made("--busybox")


def test_unpacker_is_enclosed(unharmed, tmp_path):
    """What a hole in the library would have: no capability but those for owners and modes, no privileges to gain, no tree
    but its own, no descriptor of anything else, no environment; and the half-made tree is out of others' reach."""
    os.environ["NSBOX_SECRET"] = "x"
    process = feeding()
    del os.environ["NSBOX_SECRET"]
    pid = begun(process, tmp_path)
    status = host.status(pid)
    kept = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 31
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert int(status[name], 16) == kept, name
    assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0 and status["NoNewPrivs"].strip() == "1"
    assert os.listdir(f"/proc/{pid}/root/") == ["root"]
    assert os.readlink(f"/proc/{pid}/cwd").endswith("/root")
    assert all(target.startswith(f"{PLACE}/.") for fd, target in host.descriptors(pid).items() if fd > 2)
    assert b"NSBOX_SECRET" not in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    assert host.namespaces(pid)["mnt"] != host.namespaces()["mnt"] and host.namespaces(pid)["pid"] != host.namespaces()["pid"]
    (work,) = PLACE.glob(".nsboxctl-mkroot.*")
    assert stat.S_IMODE(work.stat().st_mode) == 0o700 and work.stat().st_uid == 0
    assert host.run("runuser", "-u", "mallory", "--", "ls", work / "root").rc != 0
    process.terminate()
    process.communicate(timeout=20)
    nothing_made()


def test_target_taken_meanwhile(unharmed, tmp_path):
    """Whoever makes something at the place keeps it."""
    process = feeding()
    begun(process, tmp_path)
    ROOT.mkdir()
    (ROOT / "mine").touch()
    data = archive(tmp_path, member("usr/first", data=b"x"), member("usr/second", data=bytes(1 << 20))).read_bytes()
    _, err = process.communicate(data[100000:], timeout=20)
    assert process.returncode == 1 and b"cannot be moved to" in err
    assert os.listdir(PLACE) == ["new"] and os.listdir(ROOT) == ["mine"]


def test_without_nsbox_unpack(unharmed, busybox_tar):
    os.rename(UNPACK, UNPACK + ".away")
    try:
        refused("--from needs .*nsbox-unpack, which this nsbox was built without: install libarchive", "--from", busybox_tar)
    finally:
        os.rename(UNPACK + ".away", UNPACK)


def test_terminal_is_no_archive(unharmed):
    child = host.spawn("nsboxctl", "mkroot", str(ROOT), "--from", "-")
    child.expect("standard input is a terminal")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1
    nothing_made()


# -- Debian --


@pytest.mark.timeout(600)
def test_debian(conf, place, baseline):
    """mmdebstrap for real, of packages that are here: a Debian in which a user works."""
    result = made("--debian", "bookworm", "--mirror", "deb [trusted=yes] copy:/debs ./", "--include", "less", timeout=500)
    assert "unsandboxed" not in result.err
    assert (ROOT / "usr/bin/less").exists() and "bookworm" in (ROOT / "etc/os-release").read_text()
    assert not [line for line in result.err.splitlines() if "warning:" in line and "sftp" not in line]
    conf.nsbox(f"[profile jail]\nusers = alice\nnetwork = loopback\nroot = {ROOT}\n")
    result = ctl("run", "--user", "alice", "--", "/bin/bash", "-c", "cat /etc/debian_version; ls -d /srv/roots; id -u")
    assert re.match(r"12\.\d+\n2001\n", result.out), result
    assert [line for line in ctl("check").err.splitlines() if "sftp" not in line and "pam" not in line] == []


@pytest.fixture
def mirror(place):
    """The packages that are here in the form that debootstrap wants: dists/SUITE, unsigned. Its URL."""
    top = pathlib.Path("/srv/mirror")
    lists = top / "dists/bookworm/main/binary-amd64"
    lists.mkdir(parents=True)
    for path in pathlib.Path("/debs").glob("*.deb"):
        (top / path.name).symlink_to(path)
    data = pathlib.Path("/debs/Packages").read_bytes()
    (lists / "Packages").write_bytes(data)
    (lists.parents[1] / "Release").write_text(
        "Origin: test\nSuite: bookworm\nCodename: bookworm\nComponents: main\nArchitectures: amd64\nSHA256:\n"
        f" {hashlib.sha256(data).hexdigest()} {len(data)} main/binary-amd64/Packages\n")
    # a mirror without a signature is taken by who has no keys
    with moved_away("/usr/bin/mmdebstrap"), moved_away("/usr/share/keyrings/debian-archive-keyring.gpg"):
        yield f"file://{top}"
    shutil.rmtree(top)


@pytest.mark.full("a minute, and mmdebstrap is what most hosts have")
@pytest.mark.timeout(600)
def test_debian_by_debootstrap(conf, mirror, baseline):
    """debootstrap for real, where there is no mmdebstrap; one that fails; one that is interrupted."""
    words = ("--debian", "bookworm", "--mirror", mirror)
    refused("debootstrap failed with status", *words, "--include", "no-such-package", timeout=250)
    process = host.end_with_test(subprocess.Popen(["nsboxctl", "mkroot", str(ROOT), *words],
                                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    host.wait_until(lambda: list(PLACE.glob(".nsboxctl-mkroot.*/root/var/lib/dpkg/info/*.list")), timeout=120,
                    what="packages are installed")
    process.send_signal(signal.SIGINT)
    assert process.wait(60 * host.PATIENCE) == 128 + signal.SIGINT
    nothing_made()
    assert not host.find("debootstrap") and not host.find("dpkg")
    made(*words, "--include", "less", timeout=500)
    assert (ROOT / "usr/bin/less").exists() and "bookworm" in (ROOT / "etc/os-release").read_text()
    conf.nsbox(f"[profile jail]\nusers = alice\nnetwork = loopback\nroot = {ROOT}\n")
    result = ctl("run", "--user", "alice", "--", "/bin/bash", "-c", "cat /etc/debian_version; id -u")
    assert re.match(r"12\.\d+\n2001\n", result.out), result


@pytest.mark.timeout(300)
def test_debian_that_fails(unharmed):
    """A package that is not there: its words, and nothing remains, no mount either."""
    refused("mmdebstrap failed with status", "--debian", "bookworm", "--mirror", "deb [trusted=yes] copy:/debs ./",
            "--include", "no-such-package", timeout=250)


@pytest.mark.timeout(300)
def test_debian_interrupted(unharmed):
    """Ctrl-C while packages are installed, with the mounts of mmdebstrap in the tree."""
    process = host.end_with_test(subprocess.Popen(
        ["nsboxctl", "mkroot", str(ROOT), "--debian", "bookworm", "--mirror", "deb [trusted=yes] copy:/debs ./"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    host.wait_until(lambda: list(PLACE.glob(".nsboxctl-mkroot.*/root/var/lib/dpkg/info/*.list")), timeout=120,
                    what="packages are installed")
    process.send_signal(signal.SIGINT)
    assert process.wait(60 * host.PATIENCE) == 128 + signal.SIGINT
    nothing_made()
    assert not host.find("mmdebstrap") and not host.find("dpkg")


def test_debian_default_suite_and_no_program(unharmed):
    """The host's own suite is asked for; without a program the sentence names one."""
    programs = [path for path in ("/usr/bin/mmdebstrap", "/usr/sbin/debootstrap") if os.path.exists(path)]
    for path in programs:
        os.rename(path, path + ".away")
    try:
        refused("--debian needs mmdebstrap or debootstrap: apt-get install mmdebstrap", "--debian")
    finally:
        for path in programs:
            os.rename(path + ".away", path)


# -- check --


@pytest.fixture
def jail(conf, place):
    """check's warnings about a profile with the new root."""
    made("--busybox")

    def look(users="bob", more=""):
        text = f"[profile jail]\nusers = {users}\nnetwork = host\nroot = {ROOT}\n{more}"
        result = ctl("check", conf.file("/srv/check.conf", text))
        assert result.rc == 0, result
        return [line.split("profile jail: ")[1] for line in result.err.splitlines() if "check.conf:1: warning" in line]

    return look


def test_check_files(jail):
    """The files that give names."""
    for name in ("passwd", "group", "nsswitch.conf"):
        (ROOT / "etc" / name).unlink()
        assert [line for line in jail() if f"has no /etc/{name}:" in line]


def test_check_shells(jail):
    """Of all accounts that the profile is for, each shell once, and who has it; those who may not log in do not count."""
    with shells(bob="/bin/zsh", carol="/bin/zsh", mallory="/usr/sbin/nologin"):
        found = jail("alice bob carol mallory")
    told = [line for line in found if "the shell of" in line or "the user's shell" in line]
    assert len(told) == 2, found
    assert "/bin/bash" in told[0]
    assert f"the root {ROOT} has no /bin/zsh, the shell of bob and 1 more: their logins are refused" in told[1]


def test_check_loader_and_terminals(jail):
    """A shell with shared libraries in a root without a loader; terminfo is asked for only where programs have such."""
    assert not [line for line in jail() if "terminfo" in line]
    (ROOT / "bin/sh").unlink()
    shutil.copy("/bin/bash", ROOT / "bin/sh")
    shutil.copy("/bin/bash", ROOT / "bin/bash")
    found = "\n".join(jail())
    assert re.search(r"has /bin/bash, but not /lib64/ld-linux-x86-64.so.2, which that needs to run", found)
    assert "has no terminfo: editors and pagers do not know the terminal" in found
    (ROOT / "usr/share/terminfo").mkdir(parents=True)
    (ROOT / "lib64").mkdir()
    (ROOT / "lib64/ld-linux-x86-64.so.2").touch()
    found = "\n".join(jail())
    assert "ld-linux" not in found and "terminfo" not in found


def test_check_sftp(jail, conf):
    """Where sshd runs a program for sftp, and the profile is for sshd."""
    named = "has no /usr/lib/openssh/sftp-server, which sshd_config names"
    assert [line for line in jail() if named in line]
    assert not [line for line in jail(more="services = login su\n") if named in line]
    assert not [line for line in jail(more="services = * !sshd\n") if named in line]
    (ROOT / "usr/lib/openssh").mkdir(parents=True)
    (ROOT / "usr/lib/openssh/sftp-server").touch()
    assert not [line for line in jail() if named in line]
    shutil.rmtree(ROOT / "usr/lib")
    conf.file("/etc/ssh/sshd_config", "# Subsystem sftp /x\nSubsystem\tsftp internal-sftp\n")
    assert not [line for line in jail() if "sftp" in line]
    conf.file("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nPort 22\n")
    conf.file("/etc/ssh/sshd_config.d/x.conf", "subsystem sftp  /opt/sftp -e\n")
    assert [line for line in jail() if "has no /opt/sftp, which" in line]


def test_check_looks_into_an_image(jail, conf):
    """The same of an image, with nothing mounted afterwards."""
    (ROOT / "etc/group").unlink()
    image = f"{ROOT}.squashfs"
    host.run("mksquashfs", str(ROOT), image, "-quiet", "-no-progress", check=True)
    try:
        text = f"[profile jail]\nusers = bob\nnetwork = host\nroot = {image}\n"
        result = ctl("check", conf.file("/srv/check.conf", text))
        assert result.rc == 0 and f"the root {image} has no /etc/group:" in result.err, result
        os.truncate(image, 4096)
        assert "is damaged" in ctl("check", "/srv/check.conf").err
    finally:
        os.unlink(image)


def test_check_says_nothing_of_the_host(conf):
    """root = host lacks nothing, and a root whose name depends on the user is not looked at."""
    for root in ("host", "/srv/%u"):
        text = f"[profile a]\nusers = *\nnetwork = host\nroot = {root}\n"
        result = ctl("check", conf.file("/srv/check.conf", text))
        assert " has no /" not in result.err
