# SPDX-License-Identifier: BSD-3-Clause
# build: gcc
# full: a build of its own, as that of test_debian.py
"""The RPM package, built of the tarball by Debian's rpm: what is in it, what it does when it is installed and removed. Its names of
packages are Fedora's, hence --nodeps."""
import os
import re
import shutil
import stat
import tarfile

import pytest

from lib import dist, host

# The first test that wants them waits for tarball and package.
pytestmark = pytest.mark.timeout(1200)

# As systemd-rpm-macros has them by name; what they do is that package's business.
MACROS = ("systemd_post", "systemd_preun", "systemd_postun")

# What brings a library that is looked for without a .pc file.
PACKAGES = {"crypt": "libxcrypt-devel", "pam": "pam-devel", "subid": "shadow-utils-subid-devel"}


def rpm(*arguments, check=True, **options):
    return host.run("rpm", *arguments, check=check, timeout=120, **options)


@pytest.fixture(scope="module")
def tarball(tmp_path_factory):
    directory = tmp_path_factory.mktemp("clone")
    return dist.make_tarball(dist.clone(directory))


@pytest.fixture(scope="module")
def spec(tarball):
    """The specification as it is in the tarball."""
    with tarfile.open(tarball) as archive:
        (name,) = [name for name in archive.getnames() if name.endswith(".spec")]
        text = archive.extractfile(name).read().decode()
    path = tarball.parent / "pam_nsbox.spec"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def built(tarball, tmp_path_factory):
    """{"src", "binary"}: the packages, with make check on the way."""
    place = tmp_path_factory.mktemp("rpmbuild")
    log = host.run("rpmbuild", "-ta", "--nodeps", "--define", f"_topdir {place}", tarball, timeout=900)
    assert log.rc == 0, (log.out + log.err)[-3000:]
    assert re.search(r"^# FAIL: +0$", log.out, re.M) and int(re.search(r"^# PASS: +(\d+)", log.out, re.M)[1]) > 40
    assert not re.search(r"^(warning|error): ", log.err, re.M), log.err
    (source,), (binary,) = place.glob("SRPMS/*.rpm"), place.glob("RPMS/*/*.rpm")
    return {"src": source, "binary": binary}


def query(package, *arguments):
    return rpm("-qp", *arguments, package).out


def plain_name(name):
    """As Fedora's rpm calls it: Debian's adds a version to the directory of licenses, and its dash compresses no manual."""
    return re.sub(r"(?<=/man\d)(/.*)\.gz$", r"\1", name.replace("/licenses/pam_nsbox-0.1.0", "/licenses/pam_nsbox"))


def test_names(built):
    """The version is the tarball's, and stands nowhere else."""
    assert query(built["binary"], "--qf", "%{NAME} %{VERSION} %{RELEASE} %{LICENSE}") == "pam_nsbox 0.1.0 1 BSD-3-Clause"
    assert built["src"].name == "pam_nsbox-0.1.0-1.src.rpm"
    assert set(query(built["src"], "-l").split()) == {"pam_nsbox-0.1.0.tar.xz", "pam_nsbox.spec"}
    assert not re.search(r"\d+\.\d+\.\d+", (dist.SOURCE / "packaging/rpm/pam_nsbox.spec.in").read_text())


def test_version_of_a_commit(spec):
    """rpm takes the version of a commit between two releases, and of one before the first."""
    for version in ("0.1.0+12.gabcdef0123", "0.1.0~dev99.gabcdef0123", "0.1.0+0.gabcdef0123.dirty"):
        text = (dist.SOURCE / "packaging/rpm/pam_nsbox.spec.in").read_text()
        spec.write_text(text.replace("@VERSION@", version).replace("@DATE@", "Tue Nov 14 2023"))
        told = host.run("rpmspec", "-q", "--qf", "%{NVR}", spec, check=True)
        assert told.out == f"pam_nsbox-{version}-1" and told.err == ""


def test_files(built):
    """All that `make install` installs, each with the kind that it has for rpm."""
    names = {plain_name(name) for name in query(built["binary"], "-l").split()}
    for name in ("/usr/lib64/security/pam_nsbox.so", "/usr/sbin/nsboxctl", "/usr/lib/systemd/system/nsbox.service",
                 "/usr/lib/systemd/system/nsbox.slice", "/usr/libexec/nsbox/nsbox-helper", "/usr/libexec/nsbox/nsbox-init",
                 "/usr/libexec/nsbox/nsbox-monitor", "/usr/libexec/nsbox/nsbox-bus", "/usr/libexec/nsbox/nsbox-unpack",
                 "/usr/libexec/nsbox/nsbox-seccomp", "/usr/libexec/nsbox/nsbox-subid", "/usr/libexec/nsbox/nsbox-net",
                 "/usr/libexec/nsbox/nsbox-account",
                 "/usr/share/man/man8/pam_nsbox.8", "/usr/share/man/man5/nsbox.conf.5",
                 "/usr/share/doc/pam_nsbox/README.rpm.md", "/usr/share/doc/pam_nsbox/examples/pam.d/sshd",
                 "/usr/share/licenses/pam_nsbox/LICENSE", "/etc/security/nsbox.conf.d"):
        assert name in names, name
    assert set(query(built["binary"], "-c").split()) == {"/etc/security/nsbox.conf"}
    rows = query(built["binary"], "--qf", "[%{FILENAMES} %{FILEFLAGS:fflags}.\n]").splitlines()
    flags = {plain_name(name): kind for name, kind in map(str.split, rows)}
    assert flags["/etc/security/nsbox.conf"] == "cn."  # configuration, noreplace
    assert flags["/usr/share/licenses/pam_nsbox/LICENSE"] == "l." and flags["/usr/share/doc/pam_nsbox/README.md"] == "d."
    assert not [name for name in names if name.startswith("/etc/pam.d") or name.endswith(".la") or "wants" in name]
    rows = query(built["binary"], "--qf", "[%{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEMODES:octal} %{FILENAMES}\n]").splitlines()
    for owner, mode, name in map(str.split, rows):
        assert owner == "root:root", name
        assert stat.S_ISLNK(int(mode, 8)) or not int(mode, 8) & 0o6022, name


# -- what Fedora has by these names --


def test_build_requires(spec):
    """Each library that configure looks for is asked for, by the name of its .pc file, or of Fedora's package if it has none."""
    text = (dist.SOURCE / "configure.ac").read_text()
    asked = set(re.findall(r"^BuildRequires: +(\S+)", spec.read_text(), re.M))
    for module in re.findall(r"PKG_CHECK_MODULES\(\[\w+\], \[([\w.+-]+)", text):
        assert f"pkgconfig({module})" in asked, module
    for library in re.findall(r"AC_CHECK_LIB\(\[(\w+)\]", text):
        assert PACKAGES[library] in asked, library
    assert {"gcc", "make", "glibc-static", "systemd-rpm-macros", "mandoc"} <= asked
    assert not [name for name in asked if re.search(r"-dev$|^lib.*\d-dev|autoconf|automake|libtool", name)]


def test_what_systemd_is_told(spec):
    """With the macros of systemd: preset, disable, reload, each for the service, and the refusal comes before."""
    words = [word for name in MACROS for word in ("--define", f"{name}() echo {name} %{{?*}}")]
    text = host.run("rpmspec", "-P", *words, spec, check=True).out
    for name in MACROS:
        assert f"\necho {name} nsbox.service\n" in text
    assert text.index("exit 1") < text.index("echo systemd_preun")
    plain = host.run("rpmspec", "-P", spec, check=True).out
    assert "systemd_p" not in plain and "\n%post\n" in plain


# -- install and remove --


@pytest.fixture
def root(built, tmp_path):
    """A tree of its own with the package installed in it, with what its scripts run."""
    tree = tmp_path / "root"
    for name in ("/bin/sh", "/bin/grep", "/usr/bin/tr"):
        libraries = re.findall(r"(/\S+) \(0x", host.run("ldd", name, check=True).out)
        for path in [name, *libraries]:
            (tree / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tree / path[1:])
    (tree / "etc/pam.d").mkdir(parents=True)
    rpm("--root", tree, "--initdb")
    rpm("--root", tree, "-i", "--nodeps", built["binary"])
    return tree


def test_it_is_the_product(root):
    """The programs run; PID 1 needs no library in any tree; the service starts what is there."""
    assert host.run(root / "usr/sbin/nsboxctl", "--version", check=True).out == "nsboxctl 0.1.0\n"
    for name in ("nsbox-init", "nsbox-monitor"):
        assert "INTERP" not in host.run("readelf", "-lW", root / "usr/libexec/nsbox" / name, check=True).out
    service = (root / "usr/lib/systemd/system/nsbox.service").read_text()
    assert "ExecStart=/usr/libexec/nsbox/nsbox-helper delegate\n" in service
    assert (root / "etc/security/nsbox.conf").read_bytes() == (dist.SOURCE / "conf/nsbox.conf").read_bytes()


def is_installed(tree):
    return rpm("--root", tree, "-q", "pam_nsbox", check=False).rc == 0


def erase(tree):
    """The status, and what is said beside rpm's own words (Debian's has an opinion on its use)."""
    result = rpm("--root", tree, "-e", "--nodeps", "pam_nsbox", check=False)
    return result.rc, [line for line in result.err.splitlines() if not line.startswith(("rpm: ", "error: "))]


def test_erased(root):
    """Nothing of it stays, in a tree whose PAM files do not name the module, or in a comment only."""
    assert is_installed(root) and (root / "usr/lib64/security/pam_nsbox.so").exists()
    (root / "etc/pam.d/sshd").write_text("#%PAM-1.0\n# session required pam_nsbox.so open\nsession required pam_unix.so\n")
    assert erase(root) == (0, [])
    assert not is_installed(root)
    assert [path for path in root.rglob("*nsbox*") if not path.is_dir()] == []


@pytest.mark.parametrize("names", [["/etc/pam.d/sshd"], ["/etc/pam.d/su", "/etc/pam.d/sudo"], ["/etc/pam.conf"]])
def test_not_erased_while_pam_names_it(names, root):
    """One sentence that names the files; everything is still there. Without the lines it goes."""
    for name in names:
        (root / name[1:]).write_text("#%PAM-1.0\nsession required pam_nsbox.so open\n")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*nsbox*")}
    status, lines = erase(root)
    assert status != 0 and len(lines) == 1
    assert lines[0] == (f"pam_nsbox stays installed: pam_nsbox.so is named in {' '.join(names)}; "
                    "take these lines out first, or nobody can log in.")
    assert is_installed(root) and {path: path.stat().st_mtime_ns for path in root.rglob("*nsbox*")} == before
    for name in names:
        (root / name[1:]).unlink()
    assert erase(root) == (0, []) and not is_installed(root)


def test_link_of_authselect(root):
    """A file that authselect has put there is a link to one of its own: that is read."""
    (root / "etc/authselect").mkdir()
    (root / "etc/authselect/postlogin").write_text("session required pam_nsbox.so open\n")
    (root / "etc/pam.d/postlogin").symlink_to("/etc/authselect/postlogin")
    status, lines = erase(root)
    assert status != 0 and " is named in /etc/pam.d/postlogin; " in lines[0] and is_installed(root)


def test_upgrade(built, root):
    """Not refused, whoever names the module; the administrator's configuration stays, the new one lies beside it if it differs."""
    (root / "etc/pam.d/sshd").write_text("session required pam_nsbox.so open\n")
    (root / "etc/security/nsbox.conf").write_text("[profile mine]\nusers = me\n")
    (root / "etc/security/nsbox.conf.d/mine.conf").write_text("# mine\n")
    result = rpm("--root", root, "-U", "--nodeps", "--replacepkgs", built["binary"], check=False)
    assert result.rc == 0, result.err
    assert (root / "etc/security/nsbox.conf").read_text() == "[profile mine]\nusers = me\n"
    assert (root / "etc/security/nsbox.conf.d/mine.conf").exists() and is_installed(root)


def test_preun_on_the_host(built, conf):
    """The script by itself, on a host whose own /etc/pam.d has the module: 0 is the erasure of the last, 1 an upgrade."""
    script = re.search(r"^preuninstall scriptlet .*?:\n(.*?)(?=^\w+ scriptlet|\Z)", query(built["binary"], "--scripts"), re.S | re.M)[1]
    assert os.listdir("/etc/pam.d") and host.run("sh", "-c", script, "preun", "0").rc == 0
    conf.file("/etc/pam.d/nsbox-test", "session required pam_nsbox.so\n")
    result = host.run("sh", "-c", script, "preun", "0")
    assert result.rc == 1 and " is named in /etc/pam.d/nsbox-test; " in result.err
    assert host.run("sh", "-c", script, "preun", "1").rc == 0


def test_readme_names_what_is_there():
    """The file for packagers is about this package: its service, its module, its lines as README has them."""
    text = (dist.SOURCE / "packaging/rpm/README.md").read_text()
    readme = (dist.SOURCE / "README.md").read_text()
    for line in ("sed -i '1i session required pam_nsbox.so close' /etc/pam.d/$service",
                 "echo 'session required pam_nsbox.so open' >>/etc/pam.d/$service"):
        assert line in text and line in readme
    assert "authselect create-profile" in text
