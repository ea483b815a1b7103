# SPDX-License-Identifier: BSD-3-Clause
"""The Debian package of this source tree, built as README says, once for all test files."""
import fcntl
import hashlib
import os
import pathlib
import re
import shutil

from . import host

SOURCE = pathlib.Path(os.environ["NSBOX_SOURCE"])
NAME = "libpam-nsbox"
CACHE = pathlib.Path("/cache")
KEPT = 3  # packages of so many trees
BUILD_OPTIONS = "parallel=2" if host.full() else "parallel=2 nocheck"


def readme_lines():
    """The commands behind `<!-- test: package -->`: [ready, build, install]."""
    block = re.search(r"^<!-- test: package -->\n```sh\n(.*?)^```", (SOURCE / "README.md").read_text(), re.S | re.M)[1]
    lines = block.splitlines()
    assert [line.split()[0] for line in lines] == ["apt-get", "dpkg-buildpackage", "apt-get"], lines
    return lines


def source_files():
    """What belongs to the source: the names that git has and will have, or, of a tarball, all."""
    listed = host.run("git", "-c", "safe.directory=*", "-C", str(SOURCE), "ls-files", "-co", "--exclude-standard")
    names = listed.out.splitlines() if listed.rc == 0 else [str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*")]
    return sorted({name for name in names if (SOURCE / name).is_file() and not name.startswith((".git/", ".test-cache/"))})


def _key(names):
    """Changes with whatever could change the package. (Tests written in Python are in its source, but are not run.)"""
    total = hashlib.sha256(host.run("dpkg-query", "-W", check=True).out.encode() + BUILD_OPTIONS.encode())
    for name in [*names, "tests/lib/debpackage.py"]:
        if not re.match(r"tests/(?!lib/debpackage).*\.py$", name):
            total.update(f"{name}\0".encode() + hashlib.sha256((SOURCE / name).read_bytes()).digest())
    return total.hexdigest()[:16]


def copy_source(target, names, owner):
    """A clean copy that belongs to `owner`, with a cache in it as tests/run makes one."""
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(SOURCE / name, target / name, follow_symlinks=False)
    (target / ".test-cache").mkdir()
    (target / ".test-cache/big").write_text("not part of the source\n")
    host.run("chown", "-R", f"{owner}:", str(target), check=True)


def _build(target, names):
    """As an ordinary user: what needs root cannot be among the tests of the build."""
    ready, build, _ = readme_lines()
    work = pathlib.Path("/var/tmp/package")
    shutil.rmtree(work, ignore_errors=True)
    (work / "tree").mkdir(parents=True)
    copy_source(work / "tree", names, "alice")
    host.run("chown", "alice:", str(work), check=True)
    options = {"cwd": str(work / "tree"), "timeout": 900}
    host.run("bash", "-ec", f"{ready} -y --simulate", check=True, **options)
    log = host.run("runuser", "-u", "alice", "--", "env", "-u", "CONFIG_SHELL", f"HOME={work}", f"DEB_BUILD_OPTIONS={BUILD_OPTIONS}",
                   "bash", "-ec", f"{build} 2>&1", **options)
    assert log.rc == 0, log.out[-5000:]
    staged = target.with_name(f"{target.name}.new")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    (staged / "log").write_text(log.out)
    for path in work.glob("*.*"):
        shutil.copy(path, staged)
    staged.rename(target)
    shutil.rmtree(work)


def directory():
    """Where the .deb, .dsc, .changes and the build's log are; built if it is not there."""
    names = source_files()
    target = CACHE / f"deb-{_key(names)}"
    with open(CACHE / "deb.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _build(target, names)
        os.utime(target)
        old = sorted((path for path in CACHE.glob("deb-????????????????") if path.is_dir()), key=lambda path: path.stat().st_mtime)
        for path in old[:-KEPT]:
            shutil.rmtree(path)
    return target


def deb():
    """The package itself."""
    (found,) = directory().glob(f"{NAME}_*.deb")
    return found


def field(path, name):
    return host.run("dpkg-deb", "-f", str(path), name, check=True).out.strip()


def newer(path, target):
    """The same package with a higher version, in the directory `target`: its path."""
    tree = target / "unpacked"
    host.run("dpkg-deb", "-R", str(path), str(tree), check=True)
    control = tree / "DEBIAN/control"
    version = field(path, "Version") + "+next"
    control.write_text(re.sub(r"^Version: .*", f"Version: {version}", control.read_text(), flags=re.M))
    made = target / f"{NAME}_{version}_all.deb"
    host.run("dpkg-deb", "--root-owner-group", "-Zgzip", "-b", str(tree), str(made), check=True)
    shutil.rmtree(tree)
    return made
