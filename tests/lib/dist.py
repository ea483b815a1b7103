# SPDX-License-Identifier: BSD-3-Clause
"""Clones of the source tree, and tarballs made of them. Nothing here needs a repository around the tests."""
import contextlib
import os
import pathlib
import shutil

from lib import host

SOURCE = pathlib.Path("/cache/src")
DATE = 1700000000  # of the only commit

# What autoreconf and `make dist` add to what is in the repository.
GENERATED = {".tarball-version", "Makefile.in", "aclocal.m4", "configure", "packaging/rpm/pam_nsbox.spec"} | {
    f"build-aux/{name}" for name in ("ar-lib", "compile", "config.guess", "config.sub", "depcomp", "install-sh", "ltmain.sh",
                                     "missing", "test-driver")} | {
    f"m4/{name}.m4" for name in ("libtool", "ltoptions", "ltsugar", "ltversion", "lt~obsolete")}


def sources():
    """The names of the files of the source tree; those of a clone also if it is a tarball that is tested."""
    return set(pathlib.Path(f"{SOURCE}.files").read_text().splitlines()) - GENERATED


def git(directory, *arguments, date=DATE):
    """What git prints. Its owner's configuration is not asked."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
                   "GIT_COMMITTER_DATE": f"@{date} +0000", "GIT_AUTHOR_DATE": f"@{date} +0000"}
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "test", f"GIT_{role}_EMAIL": "test@example.org"}
    return host.run("git", *arguments, cwd=directory, env=environment, check=True).out.strip()


def commit(directory, *arguments, **options):
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "-m", "test", *arguments, **options)


def clone(directory, tag="v0.1.0"):
    """A repository with the source tree as its only commit."""
    for name in sources():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(SOURCE / name, directory / name, follow_symlinks=False)
    git(directory, "init", "-q")
    commit(directory)
    if tag:
        git(directory, "tag", tag)
    return directory


def make_tarball(directory, *prefix, **environment):
    """autoreconf, configure and make dist in a clone, started by the words `prefix`. Returns the path of the tarball."""
    for words in (["autoreconf", "-fi"], ["./configure"], ["make", "dist"]):
        host.run(*prefix, *words, cwd=directory, timeout=300, check=True, env={**os.environ, **environment})
    (found,) = directory.glob("pam_nsbox-*.tar.xz")
    return found


@contextlib.contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
