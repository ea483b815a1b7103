# SPDX-License-Identifier: BSD-3-Clause
# build: gcc
"""What is built and installed: exports, libraries, modes, hardening; DESTDIR, uninstall; configure's words; each way to
link the static programs, built by gcc and clang with warnings as errors, in a real box."""
import collections
import contextlib
import fcntl
import functools
import os
import pathlib
import re
import shutil
import stat

import pytest

from lib import host

SOURCE = "/cache/src"
BUILD = os.environ["NSBOX_BUILD"]
LIBEXEC = "/usr/libexec/nsbox"
BUS = f"{LIBEXEC}/nsbox-bus"
UNPACK = f"{LIBEXEC}/nsbox-unpack"
SECCOMP = f"{LIBEXEC}/nsbox-seccomp"
SUBID = f"{LIBEXEC}/nsbox-subid"
NET = f"{LIBEXEC}/nsbox-net"
ACCOUNT = f"{LIBEXEC}/nsbox-account"
STATIC = [f"{LIBEXEC}/nsbox-{name}" for name in ("helper", "init", "monitor")]
PROGRAMS = [*STATIC, "/usr/sbin/nsboxctl", BUS, UNPACK, SECCOMP, SUBID, NET, ACCOUNT]
UNITS = ["nsbox.service", "nsbox.slice"]
CONF = "/etc/security/nsbox.conf"
ENTRY_POINTS = {"pam_sm_acct_mgmt", "pam_sm_open_session", "pam_sm_close_session"}

# name: (arguments of configure, interpreter of the static programs?). musl is how BUILD is made.
VARIANTS = {
    "musl": (None, False),
    "glibc": (["--with-static=glibc"], False),
    "no": ([*(["CC=clang"] if host.full() else []), "--with-static=no"], True),
}


def module_path(destination=""):
    found = list(pathlib.Path(f"{destination}/").glob("usr/lib*/**/security/pam_nsbox.so"))
    found += list(pathlib.Path(f"{destination}/").glob("lib/*/security/pam_nsbox.so"))
    distinct = {os.path.realpath(path) for path in found}
    assert len(distinct) == 1, distinct
    return distinct.pop()


def installed():
    return [module_path(), *PROGRAMS]


def output(*command, **options):
    return host.run(*command, check=True, timeout=300, **options).out


@contextlib.contextmanager
def locked_directory(directory):
    """libtool relinks in the build directory at `make install`; other hosts do that too."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def make(directory, *arguments, check=True):
    with locked_directory(directory):
        return host.run("make", "-C", directory, *arguments, check=check, timeout=300)


@pytest.fixture
def tree(tmp_path):
    """A DESTDIR."""
    return tmp_path / "tree"


def files_below(directory):
    return {"/" + str(path.relative_to(directory)) for path in pathlib.Path(directory).rglob("*") if not path.is_dir()}


# -- what the binaries are --


def test_module_exports_the_three_entry_points_only():
    """libpam looks for these; any other symbol could collide with the application's."""
    lines = output("nm", "-D", "--defined-only", module_path()).splitlines()
    assert {line.split()[-1].split("@")[0] for line in lines} == ENTRY_POINTS


def needed(path):
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-d", path)))


def closure(path):
    """The names of everything that the loader brings in."""
    return {line.split()[0] for line in output("ldd", path).splitlines()} - {"linux-vdso.so.1"}


def test_libraries():
    """The module links libpam and libc only, the helper and the resident programs nothing, nsbox-account libc, which loads
    what name services need. libsystemd is nsbox-bus's alone, libarchive nsbox-unpack's, libseccomp nsbox-seccomp's,
    libsubid nsbox-subid's, libnl and libnftables nsbox-net's."""
    module, helper, init, monitor, ctl, bus, unpack, seccomp, subid, net, account = installed()
    assert needed(module) == {"libpam.so.0", "libc.so.6"}
    libpam = next(line.split()[2] for line in output("ldd", module).splitlines() if "libpam.so.0" in line)
    assert closure(module) == closure(libpam) | {"libpam.so.0"}
    assert needed(helper) == needed(init) == needed(monitor) == set()
    assert needed(account) == {"libc.so.6"}
    assert needed(ctl) <= {"libc.so.6", "libcrypt.so.1", "libjson-c.so.5"}
    assert needed(bus) == {"libsystemd.so.0", "libc.so.6"}
    assert needed(unpack) == {"libarchive.so.13", "libc.so.6"}
    assert needed(subid) == {"libsubid.so.4", "libc.so.6"}
    assert needed(seccomp) == {"libseccomp.so.2", "libc.so.6"}
    assert needed(net) == {"libnl-3.so.200", "libnftables.so.1", "libc.so.6"}


def interpreter(path):
    return "INTERP" in output("readelf", "-lW", path)


def test_static_programs():
    """--with-static=musl: no loader, so that the resident ones run in a root that has none, and the helper starts at once."""
    for path in STATIC:
        assert not interpreter(path)


def check_hardening(path):
    headers, segments, dynamic = (output("readelf", option, path) for option in ("-hW", "-lW", "-dW"))
    assert re.search(r"Type:\s+DYN", headers), f"{path} is not position-independent"
    assert "GNU_RELRO" in segments, f"{path} has no relro"
    assert re.search(r"GNU_STACK.* RW ", segments), f"{path}: executable stack"
    assert not re.search(r"LOAD.* RWE ", segments), f"{path}: writable code"
    assert re.search(r"BIND_NOW|FLAGS.*NOW", dynamic), f"{path} binds late"
    assert not re.search(r"TEXTREL|RPATH|RUNPATH", dynamic), dynamic


def test_hardening():
    """PIE, relro, now, no executable stack, no library path of its own: each installed binary."""
    for path in installed():
        check_hardening(path)


def test_stack_protector_and_fortify():
    """In the programs that use the C library of the host."""
    for path in (module_path(), ACCOUNT, BUS, UNPACK, "/usr/sbin/nsboxctl"):
        symbols = output("nm", "-D", path)
        assert "__stack_chk_fail" in symbols, path
        assert re.search(r"__\w+_chk@", symbols), path
    for path in STATIC:  # musl has no fortified calls
        assert "__stack_chk_fail" in output("nm", path), path


def test_no_fault_injection_and_no_sanitizer():
    """What is installed is not what tests/run builds to break it."""
    for path in installed():
        data = pathlib.Path(path).read_bytes()
        assert b"NSBOX_FAULT" not in data and b"__asan" not in data, path


# -- what is installed --


def unit_directory():
    return output("pkg-config", "--variable=systemdsystemunitdir", "systemd").strip()


def expected_files():
    documents = ["README.md", "SECURITY.md", "LICENSE", "nsbox.conf"]
    examples = os.listdir(f"{SOURCE}/conf/pam.d")
    return {
        "/etc/security/nsbox.conf",
        *PROGRAMS,
        *(f"{unit_directory()}/{unit}" for unit in UNITS),
        output("pkg-config", "--variable=completionsdir", "bash-completion").strip() + "/nsboxctl",
        *(f"/usr/share/man/man{page[-1]}/{page}" for page in os.listdir(f"{SOURCE}/man")),
        *(f"/usr/share/doc/pam_nsbox/{name}" for name in documents),
        *(f"/usr/share/doc/pam_nsbox/examples/pam.d/{name}" for name in examples),
        *(f"/usr/share/doc/pam_nsbox/examples/apparmor.d/{name}" for name in ("nsbox", "abstractions/base.d/nsbox")),
        *(f"/usr/share/doc/pam_nsbox/examples/pamtest/{name}" for name in os.listdir(f"{SOURCE}/conf/pamtest")),
        "/usr/share/nsbox/pamtest.conf",
        *(f"/usr/share/doc/pam_nsbox{name}" for name in files_below(f"{SOURCE}/conf") if name.startswith("/examples/")),
    }


def test_installed_files(tree):
    """make install DESTDIR= writes these files and no other, and leaves the host alone."""
    before = pathlib.Path(CONF).stat().st_mtime_ns
    make(BUILD, "install", f"DESTDIR={tree}")
    modules = {name for name in files_below(tree) if name.endswith("/security/pam_nsbox.so")}
    assert len(modules) == 1
    assert files_below(tree) - modules == expected_files()
    assert pathlib.Path(CONF).stat().st_mtime_ns == before


def test_where_debian_looks_for_modules():
    """The module is beside pam_unix.so."""
    directory = os.path.dirname(module_path())
    assert os.path.exists(f"{directory}/pam_unix.so")


def test_modes(tree):
    """Nothing is setuid, setgid, has capabilities or can be written by others than its owner."""
    make(BUILD, "install", f"DESTDIR={tree}")
    for path in pathlib.Path(tree).rglob("*"):
        info = path.lstat()
        assert not info.st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWGRP | stat.S_IWOTH), path
        assert not [name for name in os.listxattr(path) if name == "security.capability"], path
    assert stat.S_IMODE((tree / "etc/security/nsbox.conf").stat().st_mode) == 0o644


def test_nsbox_conf_is_never_overwritten(tree):
    """An administrator's file stays as it is, whatever is in it."""
    conf = tree / "etc/security/nsbox.conf"
    conf.parent.mkdir(parents=True)
    for text in ("[profile mine]\nusers = me\n", ""):
        conf.write_text(text)
        make(BUILD, "install", f"DESTDIR={tree}")
        assert conf.read_text() == text
    conf.unlink()
    make(BUILD, "install", f"DESTDIR={tree}")
    assert conf.read_bytes() == pathlib.Path(SOURCE, "conf/nsbox.conf").read_bytes()


def test_uninstall_with_destdir(tree):
    """Everything goes but a file that the administrator changed; the host's /etc/pam.d is not asked."""
    make(BUILD, "install", f"DESTDIR={tree}")
    make(BUILD, "uninstall", f"DESTDIR={tree}")
    assert files_below(tree) == set()
    make(BUILD, "install", f"DESTDIR={tree}")
    (tree / "etc/security/nsbox.conf").write_text("[profile mine]\nusers = me\n")
    make(BUILD, "uninstall", f"DESTDIR={tree}")
    assert files_below(tree) == {CONF}


@pytest.fixture
def reinstalled():
    """The other tests want what this one removes."""
    yield
    make(BUILD, "install")


def test_uninstall_refuses_while_pam_names_the_module(conf, reinstalled):
    """It says file:line and removes nothing, not even a page; lines that are commented out do not count."""
    everything = [module_path(), *expected_files()]
    conf.file("/etc/pam.d/nsbox-test", "auth required pam_unix.so\n# pam_nsbox.so\nsession required pam_nsbox.so\n")
    for words in ([], ["-k"], ["-j4"]):
        result = make(BUILD, "uninstall", *words, check=False)
        assert result.rc != 0
        assert "/etc/pam.d/nsbox-test:3:" in result.out
        assert "/etc/pam.d/nsbox-test:2:" not in result.out
        assert [path for path in everything if not os.path.exists(path)] == []
    conf.file("/etc/pam.d/nsbox-test", "auth required pam_unix.so\n# pam_nsbox.so\n")
    make(BUILD, "uninstall")
    assert [path for path in everything if os.path.exists(path)] == []


def test_uninstall_looks_at_pam_conf_too(conf, reinstalled):
    """/etc/pam.conf is read where there is no directory."""
    conf.file("/etc/pam.conf", "login session required pam_nsbox.so\n")
    result = make(BUILD, "uninstall", check=False)
    assert result.rc != 0 and "/etc/pam.conf:1:" in result.out
    assert os.path.exists(module_path())


# -- configure --


def write_cache(path, found):
    """What configure found out for BUILD, by the same compiler (most of its time is saved), but for `found`."""
    log = pathlib.Path(BUILD, "config.log").read_text()
    lines = re.findall(r"^(?:ac|am|lt|nsb|pkg)_cv_\w+=.*$", log, re.M)
    assert len(lines) > 50
    lines = [line for line in lines if not line.startswith("ac_cv_env_") and line.split("=")[0] not in found]
    lines += [f"{name}={value}" for name, value in found.items()]
    pathlib.Path(path).write_text("".join(f"{line}\n" for line in lines))


QUICK = "--disable-dependency-tracking"  # half of the time, where nothing is built


def configure(directory, *arguments, environment=None, found=None, check=False):
    """found: {cache variable: what configure is to find}"""
    os.makedirs(directory, exist_ok=True)
    if not any(word.startswith("CC=") for word in arguments):
        write_cache(f"{directory}/cache", found or {})
        arguments = (*arguments, f"--cache-file={directory}/cache")
    return host.run(f"{SOURCE}/configure", *arguments, cwd=directory, timeout=120, check=check,
                    env={**os.environ, **(environment or {})})


NO_PKG_CONFIG = {"PKG_CONFIG_LIBDIR": "/nonexistent"}
NO_LIBSYSTEMD = {**NO_PKG_CONFIG, "JSONC_CFLAGS": " ", "JSONC_LIBS": "-ljson-c"}
# Debian package: what is missing, told by environment, by configure's cache and with these arguments
MISSING = [
    ("libjson-c-dev", NO_PKG_CONFIG, {}, []),
    ("libpam0g-dev", {}, {"ac_cv_header_security_pam_modules_h": "no"}, []),
    ("libpam0g-dev", {}, {"ac_cv_lib_pam_pam_syslog": "no"}, []),
    ("libsystemd-dev", NO_LIBSYSTEMD, {}, ["--with-systemd=yes"]),
    ("libarchive-dev", NO_LIBSYSTEMD, {}, ["--with-systemd=no", "--with-libarchive=yes"]),
    ("libsubid-dev", {}, {"ac_cv_lib_subid_subid_get_uid_ranges": "no"}, ["--with-subid=yes"]),
    ("libnl-3-dev", NO_LIBSYSTEMD, {}, ["--with-systemd=no", "--with-libarchive=no", "--with-seccomp=no",
                                              "--with-network=yes"]),
    ("libseccomp-dev", NO_LIBSYSTEMD, {}, ["--with-systemd=no", "--with-libarchive=no", "--with-seccomp=yes"]),
    ("musl-tools", {}, {"ac_cv_path_MUSL_GCC": ""}, ["--with-static=musl"]),
]


@pytest.mark.parametrize("package, environment, found, arguments", MISSING)
def test_configure_names_the_missing_package(package, environment, found, arguments, tmp_path):
    """What is missing is told by the name under which Debian has it."""
    result = configure(tmp_path, QUICK, *arguments, environment=environment, found=found)
    assert result.rc != 0
    assert f"apt-get install {package}" in result.err


@pytest.mark.parametrize("argument", ["--with-static=dietlibc", "--with-systemd=maybe", "--with-libarchive=maybe",
                                      "--enable-sanitizers=thread", "--with-apparmor=maybe"])
def test_configure_refuses_unknown_words(argument, tmp_path):
    """A typo must not silently build something else."""
    result = configure(tmp_path, QUICK, argument)
    assert result.rc != 0 and argument.split("=")[1] in result.err


# Each run of configure is for several tests: the name of the run, what it gets.
RUNS = {
    "other places": ({}, ["--prefix=/opt/nsbox", "--sysconfdir=/opt/etc", "--with-pamdir=/opt/pam", "--with-systemdsystemunitdir=/opt/units",
                          "--with-bashcompletiondir=/opt/completions", "--with-apparmor=/opt/aa"]),
    "usual places": ({}, ["--prefix=/usr", "--sysconfdir=/etc", "--without-apparmor"]),
    "none": ({}, ["--prefix=/usr", "--sysconfdir=/etc", "--with-systemdsystemunitdir=no", "--without-bashcompletiondir",
                  "--with-apparmor"]),
    "not found": ({"environment": NO_LIBSYSTEMD, "found": {"ac_cv_lib_subid_subid_get_uid_ranges": "no"}}, []),
    "not wanted": ({}, ["--without-systemd", "--without-libarchive", "--without-subid", "--without-seccomp", "--without-network"]),
}

Configured = collections.namedtuple("Configured", "directory summary plan")


@pytest.fixture(scope="module")
def configured(tmp_path_factory):
    """configured(name of a run): its directory, what it said, what `make install` would do."""
    @functools.cache
    def run(name):
        directory = tmp_path_factory.mktemp("configured")
        surroundings, arguments = RUNS[name]
        result = configure(directory, QUICK, *arguments, **surroundings, check=True)
        return Configured(directory, result.out, output("make", "-n", "install", "DESTDIR=/d", cwd=directory))
    return run


def test_configure_places(configured):
    """--with-pamdir and the prefixes reach the installation; the summary says so."""
    places = configured("other places")
    assert "/opt/pam/pam_nsbox.so" in places.summary and "/opt/etc/security/nsbox.conf" in places.summary
    assert "/opt/pam" in places.plan and "/opt/nsbox/libexec/nsbox" in places.plan


# the line of the summary, the program: what it says where the library is not found, and where it is not wanted
LEFT_OUT = {
    ("manager systemd", "nsbox-bus"): ("libsystemd was not found   (Debian: libsystemd-dev)", "(--with-systemd=no)"),
    ("mkroot --from", "nsbox-unpack"): ("libarchive was not found   (Debian: libarchive-dev)", "(--with-libarchive=no)"),
    ("subid_pool=subuid", "nsbox-subid"): ("libsubid was not found   (Debian: libsubid-dev)", "(--with-subid=no)"),
    ("system calls", "nsbox-seccomp"): ("libseccomp was not found, profiles need seccomp = off   (Debian: libseccomp-dev)",
                                        "(--with-seccomp=no): profiles need seccomp = off"),
    ("veth, bridge", "nsbox-net"): ("no libnl-3 or libnftables   (Debian: libnl-3-dev libnftables-dev)",
                                    "(--with-network=no): network = veth and bridge are refused"),
}


@pytest.mark.parametrize("line, program", LEFT_OUT)
def test_configure_without_a_library(line, program, configured):
    """What the library is for is left out, which the summary says, and why."""
    not_found, not_wanted = LEFT_OUT[line, program]
    for run, words in (("not found", f"not built: {not_found}"), ("not wanted", f"not built {not_wanted}")):
        assert re.search(rf"^  {line} +{re.escape(words)}$", configured(run).summary, re.M), run
        assert "nsbox-helper" in configured(run).plan and program not in configured(run).plan
    assert program in configured("usual places").plan


@pytest.mark.full("a run of configure each")
@pytest.mark.parametrize("word, program", [
    ("--without-libarchive", "nsbox-unpack"), ("--without-subid", "nsbox-subid"), ("--without-seccomp", "nsbox-seccomp"),
    ("--without-network", "nsbox-net"), ("--without-systemd", "nsbox-bus")])
def test_configure_leaves_out_one(word, program, tmp_path):
    """One library that is not wanted takes its own program with it, and no other's."""
    configure(tmp_path, QUICK, word, check=True)
    plan = output("make", "-n", "install", "DESTDIR=/d", cwd=tmp_path)
    assert {other for _, other in LEFT_OUT if other not in plan} == {program}


def test_configure_units(configured):
    """--with-systemdsystemunitdir is where the units go, and "no" leaves them out, as does a build without libsystemd."""
    assert "/opt/units" in configured("other places").plan
    assert "nsbox-bus" in configured("none").plan and "nsbox.service" not in configured("none").plan
    for run in ("not found", "not wanted"):
        assert re.search(r"^  units of systemd +no$", configured(run).summary, re.M)
        assert "nsbox.service" not in configured(run).plan


def test_configure_completion(configured):
    """--with-bashcompletiondir is where the completion goes, "no" leaves it out; it looks where the configuration is."""
    places, none = configured("other places"), configured("none")
    assert "/opt/completions" in places.plan
    output("make", "ctl/completion/nsboxctl", cwd=places.directory)
    text = pathlib.Path(places.directory, "ctl/completion/nsboxctl").read_text()
    assert '"/opt/etc"/security/nsbox.conf.d/*.conf' in text and "@" not in re.sub(r"@\"|\[@\]", "", text)
    assert re.search(r"^  bash completion +no$", none.summary, re.M)
    assert "completion/nsboxctl" not in output("make", "-n", "install-data-am", "DESTDIR=/d", cwd=none.directory)


@pytest.mark.parametrize("run, directory, summary", [
    ("usual places", "/usr/share/doc/pam_nsbox/examples/apparmor.d", "an example (--with-apparmor=yes: loaded at boot)"),
    ("none", "/etc/apparmor.d", "/etc/apparmor.d"),
    ("other places", "/opt/aa", "/opt/aa"),
])
def test_configure_apparmor(run, directory, summary, configured):
    """The profiles go where they are asked for, which the summary says; nobody's host enforces them unasked."""
    assert re.search(rf"^  AppArmor profiles +{re.escape(summary)}$", configured(run).summary, re.M)
    plan = output("make", "-n", "install-apparmorDATA", "install-data-local", "DESTDIR=/d", cwd=configured(run).directory)
    assert f"/d{directory}'" in plan.replace('"', "'") and f"/d{directory}/abstractions/base.d/nsbox" in plan.replace('"', "")


def test_units_name_what_is_installed(tree):
    """The service starts the helper where it is, keeps the sessions alive, and is enabled by nobody but the administrator."""
    make(BUILD, "install", f"DESTDIR={tree}")
    text = pathlib.Path(f"{tree}{unit_directory()}/nsbox.service").read_text()
    assert f"ExecStart={LIBEXEC}/nsbox-helper delegate\n" in text and "@" not in text
    for line in ("KillMode=process", "SendSIGKILL=no", "Delegate=yes", "Slice=nsbox.slice", "TasksMax=infinity"):
        assert f"\n{line}\n" in text
    assert not [path for path in pathlib.Path(tree).rglob("*.wants/*")]
    result = host.run("systemd-analyze", "verify", "--man=no", f"{tree}{unit_directory()}/nsbox.service",
                      f"{tree}{unit_directory()}/nsbox.slice", env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})
    assert [line for line in result.err.splitlines() if "nsbox" in line] == [], result.err


# -- each way to link, in a real box --


def build_variant(name):
    """Incremental: /cache is kept. -Werror only now: configure's own tests would fail of it."""
    arguments, _ = VARIANTS[name]
    if arguments is None:
        return BUILD
    directory = f"/cache/build-variant-{name}"
    os.makedirs(directory, exist_ok=True)
    with locked_directory(directory):
        stamp = pathlib.Path(directory, ".arguments")
        if not stamp.exists() or stamp.read_text() != str(arguments):
            for path in pathlib.Path(directory).iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            configure(directory, "--prefix=/usr", "--sysconfdir=/etc", "--localstatedir=/var", *arguments, check=True)
            stamp.write_text(str(arguments))
        # no test is run: only their programs are compiled, and that with --full
        done = host.run("make", "-C", directory, "-j2", "CFLAGS=-g -O2 -Werror", *(["check", "TESTS="] if host.full() else []),
                        timeout=600, env={**os.environ, "PATH": f"/usr/lib/ccache:{os.environ['PATH']}"})
        assert done.rc == 0, (done.out + done.err)[-3000:]
        assert "warning:" not in done.err
    return directory


@pytest.mark.some(1)  # each is a build
@pytest.mark.timeout(600)
@pytest.mark.parametrize("variant", VARIANTS)
def test_variant_without_warnings_and_in_a_box(variant, conf, baseline, reinstalled):
    """Without a warning in product and tests (clang: as tests/run builds it with sanitizers, in --full here too); with each of
    the three a stock su is boxed and all is clean after."""
    directory = build_variant(variant)
    make(directory, "install")
    dynamic = VARIANTS[variant][1]
    for path in installed():
        check_hardening(path)
    for path in STATIC:
        assert interpreter(path) == dynamic
        assert needed(path) == ({"libc.so.6"} if dynamic else set())
    conf.nsbox("[profile all]\nusers = *\nnetwork = loopback\nhostname = variant-%u\n")
    conf.pam("su")
    seen = output("su", "alice", "-c", "cat /proc/1/comm; hostname; id -un; readlink /proc/self/ns/pid").splitlines()
    assert seen[:3] == ["nsbox-init", "variant-alice", "alice"]
    assert seen[3] != os.readlink("/proc/self/ns/pid")
