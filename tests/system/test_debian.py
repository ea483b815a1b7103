# SPDX-License-Identifier: BSD-3-Clause
# build: none
"""The Debian package: how it is built, what lintian says, what is in it; installed, upgraded, removed and purged, with and
without boxes that live; and its own test."""
import hashlib
import os
import pathlib
import re
import stat
import tarfile

import pytest

from lib import debpackage, host
from lib.ctl import boxes, ctl

pytestmark = pytest.mark.timeout(1200)  # the first test builds the package, or waits until somebody else has

NAME = debpackage.NAME
DOC = f"/usr/share/doc/{NAME}"
LIBEXEC = "/usr/libexec/nsbox"
CONF = "/etc/security/nsbox.conf"
PROFILE = "[profile all]\nusers = alice bob\nnetwork = loopback\n"
SOURCE = debpackage.SOURCE

# Where a package may leave something; and in there what is not its own but of those who install it.
PLACES = ("/etc", "/home", "/opt", "/root", "/run", "/srv", "/usr", "/var")
ELSEWHERE = ("/var/tmp", "/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/log", "/run/lock", str(SOURCE))


@pytest.fixture(scope="module")
def deb():
    return debpackage.deb()


def dpkg(*words, **options):
    return host.run("dpkg", *words, timeout=120, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, **options)


def is_installed():
    return host.run("dpkg-query", "-Wf", "${db:Status-Status}", NAME).out == "installed"


@pytest.fixture
def installed(deb):
    """The package, for this test. Whatever the test did to it, it is purged afterwards."""
    dpkg("-i", str(deb), check=True)
    yield deb
    dpkg("-P", NAME, check=True)


# -- how it is built --


def test_build_and_its_tests(deb):
    """With --full make check ran in the build, as an ordinary user, and nothing failed."""
    log = (deb.parent / "log").read_text()
    totals = {word: int(number) for word, number in re.findall(r"^# (\w+): +(\d+)$", log, re.M)}
    if host.full():
        assert totals["TOTAL"] > 40 and totals["FAIL"] == totals["ERROR"] == 0, totals
    else:
        assert not totals
    for part in ("manager systemd   nsbox-bus", "mkroot --from     nsbox-unpack", "system calls      nsbox-seccomp",
                 "subid_pool=subuid nsbox-subid", "veth, bridge      nsbox-net", "static programs   musl"):
        assert f"  {part}\n" in log, part


def test_lintian(deb):
    """Source, package and debug symbols: no error, warning or information that is not answered in the overrides, and no
    override without use."""
    (changes,) = deb.parent.glob("*.changes")
    result = host.run("runuser", "-u", "alice", "--", "env", "HOME=/var/tmp", "lintian", "--display-info",
                      "--fail-on=error,warning,info", str(changes), timeout=300)
    assert (result.rc, result.out, result.err) == (0, "", "")


def test_source_package(deb):
    """All of the source is in it but what is only for git; the caches of the tests are not."""
    (tarball,) = deb.parent.glob("*.tar.xz")
    with tarfile.open(tarball) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    wanted = set(debpackage.source_files()) - {".gitignore", ".gitattributes"}
    assert wanted - names == set()
    assert [name for name in names if name.startswith(".test-cache") or ".git/" in name] == []
    # a tarball of make dist has it too
    listed = set(re.findall(r"debian/[\w./-]+", (SOURCE / "Makefile.am").read_text()))
    assert listed == {name for name in debpackage.source_files() if name.startswith("debian/")}


def test_build_dependencies():
    """What README tells to install for a build is what the package asks for, or comes with every build of a package."""
    control = (SOURCE / "debian/control").read_text()
    asked = set(re.findall(r"[\w.+-]+", re.search(r"^Build-Depends:(.*?)^\w", control, re.S | re.M)[1]))
    always = {"gcc", "make", "libc6-dev", "autoconf", "automake", "libtool"}  # build-essential, debhelper
    line = re.search(r"^apt-get install (gcc .*)$", (SOURCE / "README.md").read_text(), re.M)[1]
    assert set(line.split()) - always - asked == set()
    assert debpackage.readme_lines()[1] == "dpkg-buildpackage -us -uc"


def test_version(installed):
    """Of the changelog, and of what it says of itself."""
    version = host.run("dpkg-parsechangelog", "-l", str(SOURCE / "debian/changelog"), "-S", "Version", check=True).out.strip()
    assert debpackage.field(installed, "Version") == version
    assert re.match(rf"nsboxctl {re.escape(version)}\b", ctl("--version").out)


# -- what is in it --


def files_below(directory, place):
    return {f"{place}/{path.relative_to(directory)}" for path in pathlib.Path(directory).rglob("*") if path.is_file()}


def expected_files():
    programs = ("helper", "init", "monitor", "bus", "unpack", "seccomp", "subid", "net", "account")
    return {
        CONF, "/usr/sbin/nsboxctl", *(f"{LIBEXEC}/nsbox-{name}" for name in programs),
        f"/lib/{os.uname().machine}-linux-gnu/security/pam_nsbox.so",
        *(f"/lib/systemd/system/nsbox.{kind}" for kind in ("service", "slice")),
        *(f"/usr/share/man/man{page[-1]}/{page}.gz" for page in os.listdir(SOURCE / "man")),
        *(f"{DOC}/{name}" for name in ("README.Debian", "README.md.gz", "SECURITY.md.gz", "changelog.gz", "copyright", "nsbox.conf.gz")),
        *(f"{DOC}/examples/apparmor.d/{name}" for name in ("nsbox", "abstractions/base.d/nsbox")),
        *files_below(SOURCE / "conf/pam.d", f"{DOC}/examples/pam.d"), *files_below(SOURCE / "conf/examples", f"{DOC}/examples"),
        *files_below(SOURCE / "conf/pamtest", f"{DOC}/examples/pamtest"), "/usr/share/nsbox/pamtest.conf",
        "/usr/share/bash-completion/completions/nsboxctl", f"/usr/share/lintian/overrides/{NAME}", "/usr/share/doc/pam_nsbox",
    }


def test_contents(deb, tmp_path):
    """These files and no other, root's, none of them with privileges or writable by others; the doc directory is found under
    the name that the manuals have."""
    rows = [line.split(None, 5) for line in host.run("dpkg-deb", "-c", str(deb), check=True).out.splitlines()]
    names = {row[5].split(" -> ")[0].lstrip(".") for row in rows if row[0][0] != "d"}
    assert names == expected_files()
    for mode, owner, *_ in rows:
        assert owner == "root/root" and "s" not in mode and (mode[8] == "-" or mode[0] == "l"), (mode, owner)
    host.run("dpkg-deb", "-x", str(deb), str(tmp_path), check=True)
    assert os.readlink(tmp_path / "usr/share/doc/pam_nsbox") == NAME
    assert (tmp_path / "etc/security/nsbox.conf.d").is_dir()


def test_fields(deb, tmp_path):
    """What is linked statically is named with its version, and every library; nsbox.conf is a conffile, and nothing else is;
    there is no profile for pam-auth-update."""
    version = host.run("dpkg-query", "-Wf", "${source:Version}", "musl-dev", check=True).out
    assert f"musl (= {version})" in debpackage.field(deb, "Static-Built-Using")
    depends = debpackage.field(deb, "Depends")
    for library in ("libarchive13", "libc6", "libjson-c5", "libnftables1", "libnl-3-200", "libpam0g", "libseccomp2",
                    "libsubid4", "libsystemd0"):
        assert re.search(rf"\b{library}\b", depends), library
    host.run("dpkg-deb", "-e", str(deb), str(tmp_path / "control"), check=True)
    assert (tmp_path / "control/conffiles").read_text().split() == [CONF]
    assert not [name for name in expected_files() if "pam-configs" in name]


# -- its life --


def look(path, info):
    """What counts of a file: its content in /etc and /run, elsewhere its size, for nobody writes there but packages."""
    kind = stat.S_IFMT(info.st_mode)
    if kind == stat.S_IFLNK:
        return os.readlink(path)
    if kind == stat.S_IFREG and path.startswith(("/etc/", "/run/")):
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    return info.st_size if kind == stat.S_IFREG else kind


def picture():
    """{path: (mode, owner, group, what is in it)} of this host."""
    found, queue = {}, list(PLACES)
    while queue:
        for entry in os.scandir(queue.pop()):
            path = entry.path
            if path in ELSEWHERE:
                continue
            info = entry.stat(follow_symlinks=False)
            found[path] = (oct(info.st_mode), info.st_uid, info.st_gid, look(path, info))
            if entry.is_dir(follow_symlinks=False):
                queue.append(path)
    return found


def difference(before, after):
    return sorted(item for item in before.items() ^ after.items())


def test_install_upgrade_remove_purge(deb, tmp_path):
    """Installed as README says. A higher version changes no file of the administrator's, and may be taken back. Removed, the
    configuration is left, and is taken up again; purged, the host is as it was."""
    before = picture()
    newer = debpackage.newer(deb, tmp_path)
    line = debpackage.readme_lines()[2].replace("../", f"{deb.parent}/")
    result = host.run("bash", "-ec", f"{line} -y", timeout=120, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    assert result.rc == 0 and is_installed(), result
    assert [name for name in expected_files() if not os.path.lexists(name)] == []
    # what the administrator wrote stays
    with open(CONF, "a", encoding="utf-8") as file:
        file.write("# mine\n")
    mine = pathlib.Path("/etc/security/nsbox.conf.d/mine.conf")
    mine.write_text(PROFILE)
    for path in (newer, deb):
        dpkg("-i", str(path), check=True)
        assert host.run("dpkg-query", "-Wf", "${Version}", NAME).out == debpackage.field(path, "Version")
        assert pathlib.Path(CONF).read_text().endswith("# mine\n") and mine.exists()
        assert ctl("check").rc == 0
    dpkg("-r", NAME, check=True)
    left = {path for path in set(picture()) - set(before) if "/systemd/" not in path}
    assert left == {CONF, "/etc/security/nsbox.conf.d", str(mine)}
    dpkg("-i", str(deb), check=True)
    assert pathlib.Path(CONF).read_text().endswith("# mine\n")
    dpkg("-P", NAME, check=True)
    assert difference(before, picture()) == []


def test_boxes_leave_nothing_to_purge(deb, conf):
    """Of a package whose boxes have lived, nothing of /run and of the control groups is left."""
    before, groups = picture(), control_groups()
    dpkg("-i", str(deb), check=True)
    conf.nsbox(PROFILE)
    assert ctl("run", "--user", "alice", "--", "true").rc == 0
    host.wait_until(lambda: not boxes(), what="no box")
    assert os.path.isdir("/run/nsbox") and control_groups() != groups
    conf.restore()
    dpkg("-P", NAME, check=True)
    assert difference(before, picture()) == [] and control_groups() == groups


def control_groups():
    return sorted(str(path) for path in pathlib.Path("/sys/fs/cgroup").rglob("nsbox*"))


# -- when it may not be removed --


def assert_refused(result, *words):
    """One sentence of ours, and the package is as it was."""
    ours = [line for line in result.err.splitlines() if line.startswith(f"{NAME} is not removed")]
    assert result.rc != 0 and len(ours) == 1, result
    for word in words:
        assert word in ours[0], (word, ours)
    assert is_installed() and host.run("dpkg", "--verify", NAME).out in ("", f"??5?????? c {CONF}\n")


def test_removal_is_refused_while_pam_names_the_module(installed, conf):
    """The sentence names the files; lines that are commented out do not count; an upgrade is not asked."""
    conf.file("/etc/pam.d/nsbox-test", "auth required pam_unix.so\nsession required pam_nsbox.so\n")
    conf.file("/etc/pam.d/nsbox-other", "# session required pam_nsbox.so\n")
    conf.file("/etc/pam.conf", "login session required pam_nsbox.so\n")
    for words in (["-r"], ["-P"]):
        result = dpkg(*words, NAME)
        assert_refused(result, "/etc/pam.d/nsbox-test", "/etc/pam.conf")
        assert "nsbox-other" not in result.err
    assert dpkg("-i", str(installed)).rc == 0
    conf.file("/etc/pam.conf", "# login session required pam_nsbox.so\n")
    assert_refused(dpkg("-r", NAME), "/etc/pam.d/nsbox-test")
    conf.file("/etc/pam.d/nsbox-test", "auth required pam_unix.so\n")
    assert dpkg("-r", NAME).rc == 0


def test_live_boxes(installed, conf, sshd, baseline, tmp_path):
    """An upgrade leaves a live box alone: its session goes on, is entered, is joined and ends cleanly. Removal is refused and
    names the box, until it has ended."""
    newer = debpackage.newer(installed, tmp_path)
    conf.nsbox(f"{PROFILE}share = user\n")
    conf.pam("sshd")
    with sshd.session("alice"):
        (box,) = boxes()
        dpkg("-i", str(newer), check=True)
        assert boxes() == [box]
        assert ctl("enter", box["id"], "--", "id", "-un").out == "alice\n"
        assert sshd.ssh("alice", "echo $NSBOX_ID").out.strip() == box["id"]
        assert sshd.ssh("bob", "echo $NSBOX_ID").out.strip() not in ("", box["id"])
        host.wait_until(lambda: len(boxes()) == 1, what="the box of bob has ended")
        conf.pam("sshd", variant="none")
        for words in (["-r"], ["-P"]):
            assert_refused(dpkg(*words, NAME), f"({box['id']} of alice)", "nsboxctl kill ID")
        assert boxes() == [box]
    host.wait_until(lambda: not boxes(), what="no box")
    dpkg("-r", NAME, check=True)
    assert not os.path.exists("/run/nsbox")
    assert sshd.ssh("alice", "id -un").out == "alice\n"


def test_removal_from_a_box_is_refused(installed, conf):
    """There nobody can tell which boxes live."""
    conf.nsbox("[profile all]\nusers = root\nnetwork = loopback\n")
    result = ctl("run", "--user", "root", "--", "dpkg", "-r", NAME, timeout=60)
    assert_refused(result, "nsboxctl cannot tell")
    host.wait_until(lambda: not boxes(), what="no box")


def test_removal_without_its_libraries(installed, conf):
    """A package that could not be configured can be removed all the same."""
    (library,) = pathlib.Path("/lib").glob("*/libjson-c.so.5.*.*")
    away = library.with_name("away")
    library.rename(away)
    try:
        assert ctl("--version").rc != 0
        assert dpkg("-r", NAME).rc == 0
    finally:
        away.rename(library)


def test_session_without_a_box_does_not_hold_it(installed, conf, baseline):
    """A login that was let in unboxed (on_error = allow) lives on without the package."""
    conf.nsbox(f"{PROFILE}root = /srv/not-there\non_error = allow\n")
    conf.pam("su")
    child = host.spawn("su", "alice")
    child.expect(r"\$ ")
    assert [box["state"] for box in boxes()] == ["unboxed"]
    conf.pam("su", variant="none")
    assert dpkg("-r", NAME).rc == 0
    child.sendline("echo still $((40 + 2)); exit")
    child.expect("still 42")
    child.wait()
    child.close()
    assert child.exitstatus == 0


# -- its own test --


def paths():
    """What is in the host but for what a stock login makes, and useradd."""
    return {path for path in picture() if not re.match(r"/run/(nsbox|sshd|motd|user)|/etc/(passwd|group|g?shadow|sub[ug]id)-", path)}


def test_autopkgtest(installed, baseline):
    """debian/tests/login, as autopkgtest runs it: it passes, says where it is, and leaves nothing behind; every test named
    there is a program."""
    control = (SOURCE / "debian/tests/control").read_text()
    names = re.search(r"^Tests: (.*)", control, re.M)[1].split()
    assert names == ["login"] and os.access(SOURCE / "debian/tests/login", os.X_OK)
    before = paths()
    result = host.run(str(SOURCE / "debian/tests/login"), timeout=120)
    assert result.rc == 0 and result.out.endswith("--- ok\n"), result
    assert paths() - before == set()
    assert host.run("getent", "passwd", "nsbox-demo").rc != 0 and not os.listdir("/etc/security/nsbox.conf.d")
