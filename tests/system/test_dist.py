# SPDX-License-Identifier: BSD-3-Clause
# build: gcc
"""The tarball: its version, what is in it, that it is the same whoever makes it, and that the product is the same wherever it is
built of it. There is no network here."""
import hashlib
import os
import pathlib
import re
import shutil
import tarfile

import pytest

from lib import dist, host

# The first test that wants them waits for the tarball.
pytestmark = pytest.mark.timeout(1200)

# In the repository and not in the tarball: what services around a repository read.
OUTSIDE = (".ci/",)


# -- the version --


@pytest.fixture
def tree(tmp_path):
    """A small source tree: the script and what it stands beside."""
    directory = tmp_path / "tree"
    (directory / "m4").mkdir(parents=True)
    shutil.copy(dist.SOURCE / "m4/version.sh", directory / "m4")
    (directory / "configure.ac").write_text("")
    return directory


def version(tree, *arguments, check=True, **environment):
    result = host.run("m4/version.sh", *arguments, cwd=tree, check=check, env={"PATH": os.environ["PATH"], **environment})
    return result.out.rstrip("\n") if check else result


def base(tree):
    """The number that is written down in the script."""
    return re.search(r"^base=([0-9.]+)$", (tree / "m4/version.sh").read_text(), re.M)[1]


def repository(tree, *tags, after=0):
    dist.git(tree, "init", "-q")
    dist.commit(tree)
    for tag in tags:
        dist.git(tree, "tag", tag)
    for _ in range(after):
        dist.commit(tree, "--allow-empty")


@pytest.mark.parametrize("tags, after, expected", [
    (["v0.1.0"], 0, r"0\.1\.0"),
    (["v0.1.0"], 12, r"0\.1\.0\+12\.gHASH"),
    (["v1.2-rc1"], 0, r"1\.2~rc1"),
    (["v1.2-rc1"], 3, r"1\.2~rc1\+3\.gHASH"),
    (["nightly"], 1, r"BASE~dev2\.gHASH"),
    ([], 0, r"BASE~dev1\.gHASH"),
])
def test_version_of_a_clone(tags, after, expected, tree):
    """The tag's, or how far from it the commit is, whose hash is told; other tags are not looked at."""
    repository(tree, *tags, after=after)
    expected = expected.replace("HASH", dist.git(tree, "rev-parse", "--short=10", "HEAD")).replace("BASE", re.escape(base(tree)))
    assert re.fullmatch(expected, version(tree))


@pytest.mark.parametrize("how", ["changed", "new"])
def test_version_of_what_is_not_committed(how, tree):
    """A tree that is not what its commit is says so, also where the commit has a tag."""
    repository(tree, "v0.1.0")
    (tree / ("configure.ac" if how == "changed" else "new")).write_text("x")
    assert re.fullmatch(r"0\.1\.0\+0\.g[0-9a-f]{10}\.dirty", version(tree))


def test_version_of_a_tarball(tree):
    """The file counts, also in the repository of a distribution, which has tags of its own."""
    (tree / ".tarball-version").write_text("0.3.0+4.gabc\n")
    assert version(tree) == "0.3.0+4.gabc"
    repository(tree, "v7")
    assert version(tree) == "0.3.0+4.gabc"


def test_version_of_a_copy(tree):
    """Neither: what the script says; the repository that the copy happens to lie in is another's."""
    assert version(tree) == base(tree)
    repository(tree.parent, "v7")
    assert version(tree) == base(tree)


def test_version_without_git(tree, tmp_path):
    """A clone where git is not installed, or which has no commit, is a copy."""
    dist.git(tree, "init", "-q")
    assert version(tree) == base(tree)
    repository(tree, "v7")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "cat", "sed", "date"):
        (programs / name).symlink_to(shutil.which(name))
    assert version(tree, PATH=str(programs)) == base(tree)


@pytest.mark.parametrize("text", ["", "abc", "1.0-1", "1.0 2", "1:2", "1.0\n2.0"])
def test_version_that_packages_would_not_take(text, tree):
    """One sentence, and nothing that could be taken for a version."""
    (tree / ".tarball-version").write_text(text)
    result = version(tree, check=False)
    assert result.rc == 1 and result.out == ""
    assert ".tarball-version" in result.err and "is no version that dpkg and rpm take" in result.err


def test_configure_is_not_made_without_a_version(tmp_path):
    """autoconf does not go on when the script fails."""
    for name in ("configure.ac", "m4/version.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(dist.SOURCE / name, tmp_path / name)
    (tmp_path / ".tarball-version").write_text("")
    result = host.run("autoconf", cwd=tmp_path, timeout=60)
    assert result.rc != 0 and "m4/version.sh printed no version" in result.err


def dpkg_compares(left, right):
    return next(sign for word, sign in (("lt", -1), ("eq", 0), ("gt", 1))
                if host.run("dpkg", "--compare-versions", left, word, right).rc == 0)


def rpm_compares(left, right):
    return int(host.run("rpm", "--eval", f'%{{lua:print(rpm.vercmp("{left}", "{right}"))}}', check=True).out)


@pytest.mark.parametrize("compare", [dpkg_compares, rpm_compares])
def test_versions_sort(compare):
    """What is later is higher, for both kinds of packages."""
    versions = ["0.1.0~dev9.gffffffffff", "0.1.0~dev99.g0000000000", "0.1.0~rc1", "0.1.0~rc1+3.gfaaaaaaaaa", "0.1.0~rc2", "0.1.0",
                "0.1.0+0.g1111111111.dirty", "0.1.0+9.gffffffffff", "0.1.0+10.g0000000000", "0.1.1", "0.2.0", "0.10.0"]
    for i, left in enumerate(versions):
        for j, right in enumerate(versions):
            assert compare(left, right) == (i > j) - (i < j), (left, right)


def test_date(tree):
    """Of SOURCE_DATE_EPOCH, else of the tarball, else of the last commit."""
    os.utime(tree / "configure.ac", (5, 5))
    assert version(tree, "--date") == "5"
    repository(tree)
    assert version(tree, "--date") == str(dist.DATE)
    (tree / ".tarball-version").write_text("1\n")
    os.utime(tree / ".tarball-version", (7, 7))
    assert version(tree, "--date") == "7"
    assert version(tree, "--date", SOURCE_DATE_EPOCH="11") == "11"


# -- the tarball --


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("dist")


@pytest.fixture(scope="module")
def released(place):
    """The clone of a release, and its tarball."""
    directory = place / "clone"
    directory.mkdir()
    return dist.clone(directory), dist.make_tarball(directory)


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


@pytest.mark.full("minutes, for what nobody breaks by the way")
def test_same_tarball(released, place):
    """Another directory, time, user, umask, locale, time zone, number of threads, order of files: the same bytes."""
    host.run("localedef", "-i", "tr_TR", "-f", "UTF-8", "tr_TR.UTF-8", check=True)
    place.chmod(0o755)
    place.parent.chmod(0o755)
    place.parent.parent.chmod(0o755)
    directory = place / "another" / "place"
    with dist.umask(0o077):
        directory.mkdir(parents=True)
        for name in sorted(dist.sources(), key=lambda name: name[::-1]):
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(dist.SOURCE / name, directory / name, follow_symlinks=False)
            if not (directory / name).is_symlink():
                (directory / name).chmod((dist.SOURCE / name).stat().st_mode & 0o700)
        shutil.copytree(released[0] / ".git", directory / ".git")
        host.run("chown", "-R", "alice:", directory.parent, check=True)
        second = dist.make_tarball(directory, "runuser", "-u", "alice", "--", LC_ALL="tr_TR.UTF-8", TZ="Asia/Kathmandu",
                                   XZ_DEFAULTS="--threads=0 --block-size=100KiB", XZ_OPT="-0",
                                   TAR_OPTIONS="--sparse --totals", HOME="/home/alice")
    assert second.stat().st_uid != released[1].stat().st_uid and second.stat().st_mode != released[1].stat().st_mode
    assert second.name == released[1].name == "pam_nsbox-0.1.0.tar.xz"
    assert digest(second) == digest(released[1])


def test_what_is_in_it(released):
    """Every file of the repository, what autotools make, and nothing else: what tests, manuals and packages need is there.
    One date, the commit's; nobody's account; the modes that git knows."""
    with tarfile.open(released[1]) as archive:
        members = archive.getmembers()
    found = {member.name.removeprefix("pam_nsbox-0.1.0/") for member in members if not member.isdir()}
    assert found - dist.GENERATED == {name for name in dist.sources() if not name.startswith(OUTSIDE)}
    assert found & dist.GENERATED == dist.GENERATED
    assert {member.mtime for member in members} == {dist.DATE}
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "", "")}
    assert {member.mode for member in members if not member.issym()} == {0o755, 0o644}
    for member in members:
        name = member.name.removeprefix("pam_nsbox-0.1.0/")
        if name in found - dist.GENERATED:
            source = dist.SOURCE / name
            assert member.issym() == source.is_symlink(), name
            assert member.issym() or bool(member.mode & 0o100) == os.access(source, os.X_OK), name
    with tarfile.open(released[1]) as archive:
        assert archive.extractfile("pam_nsbox-0.1.0/.tarball-version").read() == b"0.1.0\n"


def test_name_that_lies(released):
    """After another commit, or a change, the tarball would not be what configure has called it."""
    directory, tarball = released
    before = digest(tarball)
    (directory / "scratch").write_text("")
    try:
        result = host.run("make", "dist", cwd=directory, timeout=60)
    finally:
        (directory / "scratch").unlink()
    assert result.rc != 0
    assert re.search(r"^The source is 0\.1\.0\+0\.g\w+\.dirty, but configure saw 0\.1\.0: run autoreconf -fi", result.err, re.M)
    assert digest(tarball) == before


# -- what is built of it --


def build(tarball, directory):
    """As README says. Returns the source and the DESTDIR."""
    directory.mkdir(parents=True)
    host.run("tar", "-xf", tarball, "-C", directory, check=True)
    (source,) = directory.iterdir()
    for words in (["./configure", "--prefix=/usr", "--sysconfdir=/etc", "--localstatedir=/var", "--with-static=musl"],
                  ["make", "-j2"], ["make", "install", f"DESTDIR={directory}/tree"]):
        host.run(*words, cwd=source, timeout=600, check=True)
    return source, directory / "tree"


def contents(tree):
    return {str(path.relative_to(tree)): digest(path) for path in tree.rglob("*") if path.is_file()}


def test_builds_and_installs_the_same(released, place):
    """./configure && make && make install of the tarball, with --full twice: the same bytes in every file that is installed, with
    debugging information. And a tree that has been built gives the tarball once more."""
    one, first = build(released[1], place / "one")
    if host.full():
        _, second = build(released[1], place / "a" / "longer" / "way")
        assert contents(first) == contents(second)
    programs = [name for name in contents(first) if "/libexec/nsbox/" in name or name.endswith((".so", "sbin/nsboxctl"))]
    assert len(programs) == 11, programs
    assert ".debug_info" in host.run("readelf", "-SW", first / "usr/sbin/nsboxctl", check=True).out
    told = host.run(first / "usr/sbin/nsboxctl", "--version", check=True).out
    assert told == "nsboxctl 0.1.0\n"
    if host.full():
        checked = host.run("make", "-j2", "check", cwd=one, timeout=600)
        assert checked.rc == 0, checked.out[-2000:]
        assert int(re.search(r"^# PASS: +(\d+)", checked.out, re.M)[1]) > 40
    host.run("make", "dist", cwd=one, timeout=120, check=True)
    assert digest(one / "pam_nsbox-0.1.0.tar.xz") == digest(released[1])
