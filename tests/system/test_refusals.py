# SPDX-License-Identifier: BSD-3-Clause
"""What cannot be boxed is refused: by su, sudo and the account hook, with one line of syslog that names the cause and one
reference for the user. The host stays as it is, and the next good login works."""
import glob
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import time

import pytest

from attacks import DEADLINE
from lib import baseline as picture
from lib import host, pamapp, syslog
from lib.refusal import (BOXED, LIBEXEC, SUDOERS, boxed, changed, line_of, lines, moved_away, reference, refused,
                         refused_by_sudo, replaced, su, sudo, unboxed)

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

CONF = "/etc/security/nsbox.conf"
BOXES = pathlib.Path("/run/nsbox/boxes")
PROBE = "account required pam_nsbox.so\nsession required pam_nsbox.so\nsession required pam_permit.so\n"


@pytest.fixture(autouse=True)
def _stacks(conf):
    conf.pam_all()
    conf.pam("probe", text=PROBE)
    conf.sudoers(SUDOERS)
    conf.nsbox(BOXED)


@pytest.fixture(scope="module")
def app():
    with pamapp.App() as one:
        yield one


def all_refuse(app, pattern, early=True, code=pamapp.PAM_SYSTEM_ERR):
    """su and sudo do not let in; a PAM application reads the codes that it should, and is as before. `early`: the
    account hook refuses as well."""
    since = syslog.mark()
    refused(su(), since, pattern)
    since = syslog.mark()
    refused_by_sudo(sudo(), since, pattern)
    since = syslog.mark()
    answer = app.do("open", "probe", "alice")
    assert answer["code"] == code and answer["changed"] == {}, answer
    assert re.search(pattern, line_of(reference("\n".join(answer["said"])), since))
    since = syslog.mark()
    answer = app.do("account", "probe", "alice")
    assert answer["code"] == (pamapp.PAM_PERM_DENIED if early else pamapp.PAM_SUCCESS) and answer["changed"] == {}, answer
    if early:
        assert re.search(pattern, line_of(reference("\n".join(answer["said"])), since))


def all_work(conf, app):
    """The next good login."""
    conf.nsbox(BOXED)
    boxed(su())
    assert sudo().out == "in\n"
    assert app.do("account", "probe", "alice")["code"] == pamapp.PAM_SUCCESS


# -- root = DIRECTORY --


ROOT = "/srv/root/tree"
NEEDED = ("proc", "dev", "sys", "run", "tmp")


@pytest.fixture
def root(conf):
    """A root that works; each test spoils it."""
    shutil.rmtree("/srv/root", ignore_errors=True)
    for name in (*NEEDED, "bin", "etc", "home/alice", "lib", "lib64", "usr", "sbin", "var/tmp"):
        os.makedirs(f"{ROOT}/{name}")
    shutil.copy("/bin/bash", f"{ROOT}/bin/bash")
    conf.nsbox(f"{BOXED}root = {ROOT}\nbind_ro = /usr /lib /lib64 /etc\n")
    yield pathlib.Path(ROOT)
    shutil.rmtree("/srv/root")


def test_good_root(root, baseline):
    """Or the tests below would show nothing."""
    boxed(su())


def test_root_missing(root, conf, app, baseline):
    shutil.rmtree(root)
    all_refuse(app, rf"{ROOT}.*\(stage check, ENOENT\)")
    all_work(conf, app)


def test_root_is_a_file(root, conf, app, baseline):
    shutil.rmtree(root)
    root.write_text("")
    all_refuse(app, rf"{ROOT}.* neither a directory nor an image of squashfs or erofs \(stage check, EINVAL\)")
    root.unlink()
    root.mkdir()
    all_work(conf, app)


@pytest.mark.parametrize("where", ["/srv/root", ROOT, f"{ROOT}/etc", f"{ROOT}/usr", f"{ROOT}/lib", f"{ROOT}/bin"])
@pytest.mark.parametrize("how", [{"uid": 2001}, {"mode": 0o775}, {"mode": 0o757}, {"mode": 0o1777}],
                         ids=["alice's", "group", "others", "sticky"])
def test_root_that_others_can_write(where, how, root, conf, app, baseline):
    """The application, as root, loads code and names from there. Any component of the path counts."""
    said = f"root {ROOT}: {where[len(ROOT):]}" if where.startswith(f"{ROOT}/") else where
    with changed(where, **how):
        all_refuse(app, rf"{said} can be changed by others than root \(owner \d+, mode \d+\): chown root and chmod go-w "
                        r"\(stage check, EPERM\)")
    boxed(su())


def test_root_by_a_users_symlink(root, conf, app, baseline):
    """A link on the way that alice could turn elsewhere."""
    os.symlink(ROOT, "/home/alice/tree")
    os.lchown("/home/alice/tree", 2001, 2001)
    conf.nsbox(f"{BOXED}root = /home/alice/tree\n")
    try:
        all_refuse(app, r"/home/alice.*\(stage check, E(PERM|LOOP)\)")
    finally:
        os.unlink("/home/alice/tree")
    all_work(conf, app)


@pytest.mark.parametrize("name", NEEDED)
def test_root_without_a_mount_point(name, root, conf, app, baseline):
    """The line says what to do, and doing it helps."""
    shutil.rmtree(root / name)
    all_refuse(app, rf"root {ROOT} has no /{name}: mkdir -m 755 {ROOT}/{name} \(stage check, ENOENT\)")
    host.run("mkdir", "-m", "755", f"{ROOT}/{name}", check=True)
    boxed(su())


@pytest.mark.parametrize("target", ["/etc", "/", "../../../..", "etc", "/nowhere"])
@pytest.mark.parametrize("name", NEEDED)
def test_root_with_a_link_as_mount_point(name, target, root, conf, app, baseline):
    """CVE-2015-1335: the mount would land somewhere else."""
    shutil.rmtree(root / name)
    os.symlink(target, root / name)
    all_refuse(app, rf"/{name} is a symbolic link where none may be \(stage check, ELOOP\)")


@pytest.mark.parametrize("name", NEEDED)
def test_root_with_a_file_as_mount_point(name, root, conf, app, baseline):
    shutil.rmtree(root / name)
    (root / name).write_text("")
    all_refuse(app, rf"/{name}\b.* not a directory.*\(stage check, ENOTDIR\)")


def no_shell(root):
    (root / "bin/bash").unlink()


def shell_not_executable(root):
    (root / "bin/bash").chmod(0o644)


def shell_is_a_directory(root):
    no_shell(root)
    (root / "bin/bash").mkdir()


def shell_is_a_fifo(root):
    no_shell(root)
    os.mkfifo(root / "bin/bash", 0o755)


def shell_links_out(root):
    no_shell(root)
    os.symlink("/nowhere/bash", root / "bin/bash")


@pytest.mark.parametrize("spoil", [no_shell, shell_not_executable, shell_is_a_directory, shell_is_a_fifo, shell_links_out])
def test_root_without_the_users_shell(spoil, root, conf, app, baseline):
    """Said before anything is built."""
    spoil(root)
    all_refuse(app, rf"the user's shell /bin/bash is not in the root {ROOT}: .*\(stage check, E[A-Z]+\)")
    all_work(conf, app)


def test_root_in_a_stranger_file_system(root, conf, app, baseline):
    """A root that is another mount (here of a tmpfs) is as good as any."""
    host.run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/srv/root", check=True)
    try:
        all_refuse(app, r"ENOENT")
    finally:
        host.run("umount", "/srv/root", check=True)
    boxed(su())


# -- other things of the plan --


@pytest.mark.parametrize("key", ["bind", "bind_ro"])
def test_source_of_a_bind_is_missing(key, conf, app, baseline):
    """File and line of the wish."""
    conf.nsbox(f"{BOXED}{key} = /nowhere/at/all:/mnt\n")
    all_refuse(app, rf"{CONF}:4: cannot bind /nowhere/at/all: it does not exist \(stage check, ENOENT\)")
    all_work(conf, app)


def test_source_of_a_bind_optional_is_missing(conf, baseline):
    conf.nsbox(f"{BOXED}bind_optional = /nowhere/at/all:/mnt\n")
    boxed(su())


def test_target_of_a_bind_is_missing(conf, app, baseline):
    """Said before anything is built, in the account hook too: sshd would stay connected without a session."""
    conf.nsbox(f"{BOXED}bind = /etc:/nowhere/at/all\n")
    all_refuse(app, r"nsbox.conf:\d+: /nowhere/at/all is missing in the root /: make it .*\(stage check, ENOENT\)")
    conf.nsbox(f"{BOXED}tmpfs = /nowhere\n")
    all_refuse(app, r"nsbox.conf:\d+: /nowhere is missing in the root /.*\(stage check, ENOENT\)")
    all_work(conf, app)


def test_target_of_a_bind_in_a_bind(conf, app, baseline):
    """A mount point that an earlier line brings is not missing; one that it does not bring is found while building."""
    os.makedirs("/srv/data/sub", exist_ok=True)
    conf.nsbox(f"{BOXED}bind = /srv/data:/mnt\nbind = /etc:/mnt/sub\n")
    result = su(command="ls /mnt/sub/passwd")
    assert result.rc == 0 and "/mnt/sub/passwd" in result.out, result
    conf.nsbox(f"{BOXED}bind = /srv/data:/mnt\nbind = /etc:/mnt/other\n")
    all_refuse(app, r"/mnt/other is missing.*\(stage build, ENOENT\)", early=False)
    shutil.rmtree("/srv/data")
    all_work(conf, app)


def test_name_service_is_hidden(conf, app, baseline):
    """nsswitch.conf names a source that asks the network, and the profile has none."""
    conf.file("/etc/nsswitch.conf", "passwd: files nis\ngroup: files\n")
    all_refuse(app, r'nsswitch.conf names "nis" for passwd, which asks the network.*\(stage check, EHOSTUNREACH\)')
    conf.file("/etc/nsswitch.conf", "passwd: files\ngroup: files\n")
    all_work(conf, app)


# -- the configuration --


BAD_FILES = {
    "unknown key": (f"{BOXED}pids = 5\n", r":4: .*pids"),
    "bad value": (f"{BOXED}pids_max = many\n", r":4: .*many"),
    "repeated key": (f"{BOXED}pids_max = 5\npids_max = 6\n", r":5: .*pids_max"),
    "no section": ("users = *\n", r":1: "),
    "unknown section": ("[box all]\nusers = *\n", r":1: "),
    "profile twice": (f"{BOXED}[profile all]\nusers = *\n", r":4: .*all"),
    "inherits nobody": (f"{BOXED}inherits = nobody\n", r":4: .*nobody"),
    "inherits itself": (f"{BOXED}inherits = all\n", r":4: .*all"),
    "open quote": (f'{BOXED}hostname = "abc\n', r":4: "),
    "control character": (f"{BOXED}hostname = a\x01b\n", r":4: "),
    "NUL": (f"{BOXED}hostname = a\0b\n", r":4: "),
    "relative path": (f"{BOXED}bind = etc\n", r":4: .*etc"),
    "target of the box's own": (f"{BOXED}bind = /etc:/proc\n", r":4: .*/proc"),
    "no value": (f"{BOXED}hostname\n", r":4: "),
    "not text": (b"\x7fELF\x02\x01\x01" + bytes(range(256)), r":1: "),
    "many": ("".join(f"[profile p{i}]\nusers = *\nx = 1\n" for i in range(100)), r":3: .* \(and( \d+)? more.*\)"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_configuration(kind, conf, app, baseline):
    """File and line; nobody but root gets in."""
    text, pattern = BAD_FILES[kind]
    conf.nsbox(text)
    all_refuse(app, rf"{CONF}{pattern}.*\(stage configure, EBADMSG\)", code=pamapp.PAM_SERVICE_ERR)
    assert_root_gets_in(r"nsbox.conf:")
    all_work(conf, app)


def assert_root_gets_in(pattern):
    since = syslog.mark()
    unboxed(su("root"))
    line = syslog.wait_for(r"root is let in WITHOUT a box: ", since)
    assert line.startswith("authpriv.alert ") and re.search(pattern, line), line


def test_bad_dropin(conf, app, baseline):
    """As bad as the main file."""
    conf.dropin("10-students.conf", "[profile students]\nuser = @students\n")
    all_refuse(app, r"/etc/security/nsbox.conf.d/10-students.conf:2: .*user.*\(stage configure, EBADMSG\)",
               code=pamapp.PAM_SERVICE_ERR)
    conf.remove("/etc/security/nsbox.conf.d/10-students.conf")
    all_work(conf, app)


@pytest.mark.parametrize("options, pattern", [
    ({"uid": 2001}, "belongs to uid 2001, not to root"),
    ({"mode": 0o664}, r"group or others may write it \(mode 0664\)"),
    ({"mode": 0o646}, r"group or others may write it \(mode 0646\)"),
], ids=["alice's", "group", "others"])
@pytest.mark.parametrize("where", ["main", "drop-in", "conf="])
def test_configuration_that_others_can_write(where, options, pattern, conf, app, baseline):
    """Whoever can write it decides who is boxed. Root gets in to put it right."""
    path = {"main": CONF, "drop-in": "/etc/security/nsbox.conf.d/a.conf", "conf=": "/etc/other.conf"}[where]
    conf.file(path, BOXED.replace("profile all", "profile other"), **options)
    if where == "conf=":
        conf.pam_all(words=f"conf={path}")
        conf.pam("probe", text=PROBE.replace("pam_nsbox.so", f"pam_nsbox.so conf={path}"))
    all_refuse(app, rf"{path}:? .*{pattern}.*\(stage configure, EBADMSG\)", code=pamapp.PAM_SERVICE_ERR)
    assert_root_gets_in(pattern)
    conf.remove(path)
    conf.pam_all()
    conf.pam("probe", text=PROBE)
    all_work(conf, app)


def directory(path):
    os.mkdir(path)


def fifo(path):
    os.mkfifo(path, 0o644)


def users_link(path):
    pathlib.Path("/home/alice/mine.conf").write_text("[profile x]\n")
    os.symlink("/home/alice/mine.conf", path)


def loop(path):
    os.symlink(path, path)


def device(path):
    os.symlink("/dev/zero", path)


@pytest.mark.parametrize("make", [directory, fifo, users_link, loop, device])
def test_configuration_is_no_file(make, conf, app, baseline):
    """Refused at once, not waited for."""
    with moved_away(CONF):
        make(CONF)
        start = time.monotonic()
        all_refuse(app, rf"{CONF}.*\(stage configure, EBADMSG\)", code=pamapp.PAM_SERVICE_ERR)
        assert time.monotonic() - start < 3 * host.PATIENCE
        assert_root_gets_in("nsbox.conf")
    all_work(conf, app)


def test_dropin_directory_that_others_can_write(conf, app, baseline):
    conf.dropin("a.conf", "[profile other]\nusers = nobody\n")
    with changed("/etc/security/nsbox.conf.d", mode=0o777):
        all_refuse(app, r"nsbox.conf.d.*group or others may write it.*\(stage configure, EBADMSG\)",
                   code=pamapp.PAM_SERVICE_ERR)
    all_work(conf, app)


def test_root_with_broken_configuration_by_ssh(conf, sshd, baseline):
    """Root gets in over ssh, alice reads why not in a banner."""
    conf.nsbox("[profile all\n")
    since = syslog.mark()
    result = sshd.ssh("root", "echo in $NSBOX_ID")
    assert result.out == "in\n", result
    lines(r"^authpriv.alert .*root is let in WITHOUT a box", since, 1)
    since = syslog.mark()
    result = sshd.ssh("alice", "echo in", opts=("-o", "LogLevel=INFO"))
    assert result.rc == 255
    refused(result, since, r"nsbox.conf:1: ")
    conf.nsbox(BOXED)
    boxed(sshd.ssh("alice", "echo in $NSBOX_ID"))


def test_conf_file_missing(conf, app, baseline):
    """conf= names a file that is not there: not the same as no profile."""
    conf.pam_all(words="conf=/etc/nowhere.conf")
    conf.pam("probe", text=PROBE.replace("pam_nsbox.so", "pam_nsbox.so conf=/etc/nowhere.conf"))
    all_refuse(app, r"/etc/nowhere.conf.*\(stage configure, EBADMSG\)", code=pamapp.PAM_SERVICE_ERR)
    assert_root_gets_in("nowhere")


def test_unknown_profile(conf, app, baseline):
    """profile=NAME in the PAM stack, which the configuration does not have: it is wrong, and root gets in."""
    conf.pam_all(words="profile=nosuch")
    conf.pam("probe", text=PROBE.replace("pam_nsbox.so", "pam_nsbox.so profile=nosuch"))
    all_refuse(app, r"nosuch.*\(stage configure, ENOENT\)", code=pamapp.PAM_SERVICE_ERR)
    assert_root_gets_in("nosuch")
    conf.pam_all()
    conf.pam("probe", text=PROBE)
    all_work(conf, app)


@pytest.mark.parametrize("word", ["opne", "profile=", "conf=relative", "conf=", "open close nonsense"])
def test_unknown_word(word, conf, app, baseline):
    """A mistyped PAM line refuses, with a line that lists the words."""
    conf.pam("probe", text=PROBE.replace("pam_nsbox.so", f"pam_nsbox.so {word}"))
    since = syslog.mark()
    answer = app.do("open", "probe", "alice")
    assert answer["code"] == pamapp.PAM_SERVICE_ERR and answer["changed"] == {}
    assert app.do("account", "probe", "alice")["code"] == pamapp.PAM_PERM_DENIED
    # open, close and account
    lines(r"^authpriv.err .*unknown word \".*open, close, profile=NAME, conf=/FILE and debug", since, 3)


def test_unknown_user(conf, app, baseline):
    """A name that the name service does not know."""
    for user in ("nosuch", "root2", "9999"):
        since = syslog.mark()
        answer = app.do("open", "probe", user)
        assert answer["code"] == pamapp.PAM_SYSTEM_ERR and answer["changed"] == {}
        assert re.search(rf"does not know the user {user} \(stage request, ENOENT\)",
                         line_of(reference("\n".join(answer["said"])), since, user))
        assert app.do("account", "probe", user)["code"] == pamapp.PAM_PERM_DENIED


# -- the programs --


@pytest.mark.parametrize("name, stage", [("helper", "launch"), ("init", "check"), ("monitor", "check")])
def test_program_missing(name, stage, conf, app, baseline):
    """Half an uninstallation refuses."""
    with moved_away(f"{LIBEXEC}/nsbox-{name}"):
        all_refuse(app, rf"{LIBEXEC}/nsbox-{name}: No such file or directory.*\(stage {stage}, ENOENT\)")
    all_work(conf, app)


@pytest.mark.parametrize("name, stage", [("helper", "launch"), ("init", "check"), ("monitor", "check")])
def test_program_not_executable(name, stage, conf, app, baseline):
    with changed(f"{LIBEXEC}/nsbox-{name}", mode=0o644):
        all_refuse(app, rf"{LIBEXEC}/nsbox-{name}.*\(stage {stage}, E(ACCES|PERM)\)")
    all_work(conf, app)


@pytest.mark.parametrize("how", [{"uid": 2001}, {"mode": 0o775}, {"mode": 0o757}], ids=["alice's", "group", "others"])
@pytest.mark.parametrize("name", ["init", "monitor"])
def test_program_that_others_can_write(name, how, conf, app, baseline):
    """Runs as root: refused."""
    with changed(f"{LIBEXEC}/nsbox-{name}", **how):
        all_refuse(app, rf"{LIBEXEC}/nsbox-{name} is not a program that only root can change \(stage check, EPERM\)")
    all_work(conf, app)


@pytest.mark.parametrize("content, stage", [("#!/bin/true\n", "launch|check"), ("", "launch"), ("#!/bin/false\n", "launch"),
                                            ("#!/bin/sleep 30\n", "launch")])
def test_helper_is_something_else(content, stage, conf, app, baseline):
    """Ends without an answer, or never: refused within the deadline."""
    with replaced(f"{LIBEXEC}/nsbox-helper", content.encode()):
        since, start = syslog.mark(), time.monotonic()
        refused(su(), since, rf"\(stage ({stage}), E[A-Z]+\)")
        assert time.monotonic() - start < DEADLINE + 2 * host.PATIENCE
        for pid in host.find("sleep", " 30"):
            os.kill(pid, signal.SIGKILL)
    all_work(conf, app)


@pytest.mark.parametrize("name", ["init", "monitor"])
@pytest.mark.parametrize("program", ["/bin/true", "/bin/false", "text"])
def test_resident_program_is_something_else(name, program, conf, baseline):
    """A broken installation: nothing runs unboxed, nothing is left."""
    data = b"not a program" if program == "text" else pathlib.Path(program).read_bytes()
    with replaced(f"{LIBEXEC}/nsbox-{name}", data):
        result = su()
        assert result.rc != 0 and "in" not in result.out.split(), result
        reference(result.out + result.err)
    host.run(f"{LIBEXEC}/nsbox-helper", "gc", check=True)  # a monitor that does nothing has no guard either
    boxed(su())


# -- the host --


def test_cgroup_tree_is_read_only(conf, app, baseline):
    """As in an unprivileged container."""
    tree = str(host.cgroup_tree())
    host.run("mount", "-o", "remount,bind,ro", tree, check=True)
    try:
        all_refuse(app, rf"the cgroup tree {tree} cannot be written: .*\(stage check, EROFS\)")
    finally:
        host.run("mount", "-o", "remount,bind,rw", tree, check=True)
    all_work(conf, app)


@pytest.mark.parametrize("path", ["/run/nsbox", "/run/nsbox/boxes"])
@pytest.mark.parametrize("how", [{"uid": 2001}, {"mode": 0o777}], ids=["alice's", "others"])
def test_registry_that_others_can_write(path, how, conf, app, baseline):
    """/run/nsbox made in advance by somebody (CVE-2015-1331)."""
    boxed(su())
    picture.wait_equal(baseline)  # or the end of that box meets a registry that it does not trust
    with changed(path, **how):
        all_refuse(app, rf"{path}.*\(stage host, E[A-Z]+\)", early=False)
    all_work(conf, app)


@pytest.mark.parametrize("make", [lambda path: os.symlink("/home/alice", path), lambda path: pathlib.Path(path).touch()],
                         ids=["link", "file"])
def test_registry_is_no_directory(make, conf, app, baseline):
    boxed(su())
    picture.wait_equal(baseline)
    with moved_away("/run/nsbox"):
        make("/run/nsbox")
        all_refuse(app, r"/run/nsbox.*\(stage host, E[A-Z]+\)", early=False)
        assert os.listdir("/home/alice").count("boxes") == 0
    all_work(conf, app)


def test_run_is_full(conf, app, baseline):
    """No room for a registry entry: refused, and nothing half-made remains."""
    boxed(su())
    picture.wait_equal(baseline)
    host.run("mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=3,mode=700", "tmpfs", "/run/nsbox", check=True)
    try:
        all_refuse(app, r"\(stage host, ENOSPC\)", early=False)
        assert [name for name in os.listdir("/run/nsbox/boxes")] == [] if os.path.isdir("/run/nsbox/boxes") else True
    finally:
        host.run("umount", "/run/nsbox", check=True)
    all_work(conf, app)


def test_proc_of_application_is_missing(conf, baseline):
    """An application without /proc cannot be looked at: refused."""
    since = syslog.mark()
    result = host.run("unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /proc && su alice -c 'echo in'")
    assert "in" not in result.out.split() and result.rc != 0, result
    assert re.search("/proc", line_of(reference(result.out + result.err), since))
    boxed(su())


@pytest.fixture
def user_namespace():
    """Words that run a command as root of a user namespace with the host's ids: its /proc/sys/user is its own."""
    holder = subprocess.Popen(["unshare", "--user", "--mount", "--propagation", "unchanged", "sleep", "1000"])
    host.wait_until(lambda: host.comm(holder.pid) == "sleep")
    for name in ("uid_map", "gid_map"):
        pathlib.Path(f"/proc/{holder.pid}/{name}").write_text("0 0 65536\n")
    yield ["nsenter", "--target", str(holder.pid), "--user", "--mount"]
    holder.kill()
    holder.wait()


@pytest.mark.parametrize("kind", ["uts", "ipc", "mnt", "pid", "net", "cgroup"])
def test_limit_of_namespaces_is_reached(kind, user_namespace, baseline):
    """/proc/sys/user/max_*_namespaces. The line says so, and what was made so far is undone. (That of a user namespace:
    the machine's own is not touched.)"""
    ours = host.namespaces()["user"]
    script = f"""[ "$(readlink /proc/self/ns/user)" != "user:[{ours}]" ] || exit 99
        echo 0 >/proc/sys/user/max_{kind}_namespaces && exec su alice -c 'echo in'"""
    since = syslog.mark()
    result = host.run(*user_namespace, "sh", "-c", script)
    assert result.rc != 99
    refused(result, since, "cannot make the cgroup namespace: No space left on device" if kind == "cgroup" else
            r"cannot make the namespaces: No space left on device: a limit in /proc/sys/user/max_\*_namespaces is reached")
    boxed(su())


# -- limits of the caller (ATTACKS 11b) --


LIMITS = {
    "NOFILE": (resource.RLIMIT_NOFILE, 100, r"RLIMIT_NOFILE \(ulimit -n\) is 100, below 256"),
    "FSIZE": (resource.RLIMIT_FSIZE, 0, r"RLIMIT_FSIZE \(ulimit -f\) is 0, below"),
    "CPU": (resource.RLIMIT_CPU, 2, r"RLIMIT_CPU \(ulimit -t\) is 2, below 10"),
    "AS": (resource.RLIMIT_AS, 64 << 20, r"RLIMIT_AS \(ulimit -v\) is 67108864, below"),
    "DATA": (resource.RLIMIT_DATA, 16 << 20, r"RLIMIT_DATA \(ulimit -d\) is 16777216, below"),
    "STACK": (resource.RLIMIT_STACK, 256 << 10, r"RLIMIT_STACK \(ulimit -s\) is 262144, below"),
}


def limited(kind, soft, hard):
    """su with such a limit, which it hands down to all that it starts."""
    return su(preexec_fn=lambda: resource.setrlimit(kind, (soft, hard)))


def may_raise_limits():
    return bool(int(host.status("self")["CapEff"], 16) >> 24 & 1)  # CAP_SYS_RESOURCE


@pytest.mark.parametrize("name", LIMITS)
def test_hard_limit_of_the_caller(name, conf, baseline):
    """The helper raises it where it may (CAP_SYS_RESOURCE); else it says which one is too low, before anything is made."""
    kind, value, pattern = LIMITS[name]
    since = syslog.mark()
    result = limited(kind, value, value)
    if may_raise_limits():
        boxed(result)
    else:
        refused(result, since, rf"{pattern}.*\(stage lock_down, E[A-Z]+\)")
    boxed(su())


def test_words_of_an_early_refusal_are_never_lost(baseline):
    """The helper says no before it has read the question: the answer arrives all the same, every time."""
    kind, value, pattern = LIMITS["CPU"]
    for _ in range(host.count(300, 20)):
        since = syslog.mark()
        result = limited(kind, value, value)
        if not may_raise_limits():
            refused(result, since, pattern)


@pytest.mark.parametrize("name", LIMITS)
def test_soft_limit_of_the_caller(name, conf, baseline):
    """Whatever the caller has, the helper has what it needs; the limit of the session is left alone."""
    kind, value, _ = LIMITS[name]
    hard = resource.getrlimit(kind)[1]
    boxed(limited(kind, value, hard))


@pytest.mark.parametrize("value", [0, 1, 50])
def test_process_limit_of_the_caller(value, conf, baseline):
    """RLIMIT_NPROC does not bind root: the box is made; whether the user's first process fits is the kernel's answer."""
    result = limited(resource.RLIMIT_NPROC, value, value)
    if result.rc == 0:
        boxed(result)
    else:
        assert "Resource temporarily unavailable" in result.err or reference(result.err), result


@pytest.mark.parametrize("kind, values", [
    ("NOFILE", (*range(3, 24), 32, 64)), ("FSIZE", (0, 1, 100)), ("STACK", (0, 1 << 14, 1 << 16, 1 << 17)),
    ("AS", (1 << 20, 4 << 20, 8 << 20, 12 << 20, 16 << 20, 32 << 20)), ("DATA", (0, 1 << 16, 1 << 18, 1 << 20)),
])
def test_limits_at_which_nothing_works(kind, values, conf, baseline):
    """Wherever it breaks (su itself, the module, the exec of the helper, the helper): nobody is let in without a box."""
    for value in values:
        result = limited(getattr(resource, f"RLIMIT_{kind}"), value, value)
        assert result.rc != 0 or len(result.out.split()) == 2, (kind, value, result)
        assert "in\n" not in result.out, (kind, value, result)
    picture.wait_equal(baseline)
    boxed(su())


# -- on_error = allow --


ALLOWED = f"{BOXED}on_error = allow\nbind = /nowhere\n"


def state_files():
    return [path.read_text() for path in BOXES.glob("*/state")]


def test_on_error_allow(conf, app, baseline):
    """Let in, unboxed, with one LOG_ALERT line and no message; while it runs registry and nsboxctl list it as unboxed;
    the entry goes with it. By su, sudo, and the account hook."""
    conf.nsbox(ALLOWED)
    since = syslog.mark()
    process = subprocess.Popen(["su", "alice", "-c", "echo in $NSBOX_ID; exec cat"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"in\n"
    (state,) = state_files()
    assert re.search(r"^state unboxed$", state, re.M) and re.search(r"^user alice$", state, re.M)
    (member,) = [path.read_text() for path in BOXES.glob("*/members/*")]
    assert re.search(rf"^process {process.pid} \d+$", member, re.M) and re.search(r"^profile all$", state, re.M)
    assert "unboxed" in host.run("nsboxctl", "list", check=True).out
    (listed,) = json.loads(host.run("nsboxctl", "list", "--json", check=True).out)
    assert (listed["state"], listed["user"], listed["profile"]) == ("unboxed", "alice", "all")
    _, errors = process.communicate(timeout=10)
    assert errors == b""
    host.wait_until(lambda: not state_files(), what="the entry is gone")
    (line,) = lines("WITHOUT a box", since, 1)
    assert re.search(r"^authpriv.alert su\[\d+\] .*nsbox \w+: alice is let in WITHOUT a box "
                     rf"\(profile all, on_error=allow\): {CONF}:5: cannot bind /nowhere: it does not exist", line)
    assert sudo().out == "in\n"
    answer = app.do("account", "probe", "alice")
    assert answer["code"] == pamapp.PAM_SUCCESS and answer["changed"] == {}


def test_on_error_allow_closed_by_a_living_application(conf, baseline):
    """The entry goes when the session is closed; the application may live on. Nothing of the module stays in it."""
    conf.nsbox(ALLOWED)
    with pamapp.App() as one:
        assert one.do("hold", "probe", "alice") == {"code": pamapp.PAM_SUCCESS, "said": []}
        assert len(state_files()) == 1
        assert one.do("release") == {"code": pamapp.PAM_SUCCESS, "said": [], "changed": {}}
        host.wait_until(lambda: not state_files(), what="the entry is gone")


@pytest.mark.parametrize("name", ["app", "monitor", "guard"])
def test_on_error_allow_killed(name, conf, baseline):
    """The entry of an unboxed session does not outlive it, whoever is killed."""
    conf.nsbox(ALLOWED)
    process = subprocess.Popen(["su", "alice", "-c", "echo in; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"in\n"
    (state,) = state_files()
    pids = {"app": process.pid, "monitor": int(re.search(r"^monitor (\d+)", state, re.M).group(1)),
            "guard": [pid for pid in host.pids() if host.cmdline(pid).startswith("nsbox-monitor guard")][0]}
    os.kill(pids[name], signal.SIGKILL)
    if name == "monitor":
        host.wait_until(lambda: not state_files(), what="the guard has cleaned")
    process.communicate(timeout=10)
    picture.wait_equal(baseline)


def test_on_error_allow_by_ssh(conf, sshd, baseline):
    conf.nsbox(ALLOWED)
    since = syslog.mark()
    result = sshd.ssh("alice", "echo in $NSBOX_ID; who")
    assert result.rc == 0 and result.out.splitlines()[0] == "in", result
    lines(r"^authpriv.alert .*WITHOUT a box", since, 1)


def test_on_error_allow_is_not_for_a_bad_configuration(conf, app, baseline):
    """A file that cannot be read says on_error=allow to nobody."""
    conf.nsbox(ALLOWED + "nonsense\n")
    all_refuse(app, r"\(stage configure, EBADMSG\)", code=pamapp.PAM_SERVICE_ERR)


def test_on_error_allow_without_helper(conf, app, baseline):
    """Nor does it where the helper cannot even be asked."""
    conf.nsbox(ALLOWED)
    with moved_away(f"{LIBEXEC}/nsbox-helper"):
        all_refuse(app, r"\(stage launch, ENOENT\)")


@pytest.mark.parametrize("name", ["CPU", "AS"])
def test_on_error_allow_is_not_for_limits_of_the_caller(name, conf, baseline):
    """The caller of su chooses its limits: they must not open the way out of the box."""
    conf.nsbox(f"{BOXED}on_error = allow\n")
    if not may_raise_limits():
        since = syslog.mark()
        kind, value, pattern = LIMITS[name]
        refused(limited(kind, value, value), since, pattern)
    boxed(su())


# -- what is installed --


def installed():
    module = glob.glob("/usr/lib/*/security/pam_nsbox.so") + glob.glob("/lib/security/pam_nsbox.so")
    return [*glob.glob(f"{LIBEXEC}/*"), *module, "/usr/sbin/nsboxctl"]


def test_no_fault_injection_is_installed():
    """The text of helper/fault.h's file name is in none of the programs (test_faults.py finds it in its build), and the
    file does nothing."""
    assert len(installed()) >= 5
    for path in installed():
        assert b"nsbox-fault" not in pathlib.Path(path).read_bytes(), path
    fault = pathlib.Path("/run/nsbox-fault")
    fault.write_text("fail 3\n")
    try:
        boxed(su())
    finally:
        fault.unlink()
