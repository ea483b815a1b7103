# SPDX-License-Identifier: BSD-3-Clause
"""account_files: whose names are in a box. The user's own read as outside; with minimal there is nobody else's."""
import contextlib
import os
import pathlib
import re
import shutil
import sys

import pexpect
import pytest

from lib import host, share, syslog
from test_box_view import PROBE

pytestmark = pytest.mark.one_in(2)  # lib/sample.py

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "pam"))
from test_pamtester import NameService, compile_program  # noqa: E402  pylint: disable=wrong-import-position

PROFILE = "[profile all]\nusers = *\n"
MINIMAL = "account_files = minimal\n"
# What the user asks about himself. A group without a name makes id -Gn fail.
SELF = "id; id -un; id -gn; id -Gn 2>/dev/null; whoami; ls -ld ~ | cut -d' ' -f3,4; echo ~; cd; pwd"
FILES = ("passwd", "group", "shadow", "gshadow", "subuid", "subgid", "nsswitch.conf", "passwd-", "group-", "shadow-")


@pytest.fixture
def boxed(conf):
    """boxed("key = value\\n") boxes everybody so, at every service."""
    conf.pam_all()
    conf.remove("/root/.bashrc")

    def configure(lines=MINIMAL, network="loopback"):
        conf.nsbox(f"{PROFILE}network = {network}\n{lines}")
        return conf
    configure()
    return configure


@pytest.fixture
def tree():
    """A root of its own with accounts of its own: there is nobody of the host but root."""
    top = pathlib.Path("/srv/tree")
    for name in ("usr", "proc", "sys", "dev", "run", "tmp", "var/tmp", "var/log", "home", "root"):
        (top / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (top / name).symlink_to(f"usr/{name}")
    host.run("cp", "-a", "/etc", str(top / "etc"), check=True)
    (top / "etc/passwd").write_text("root:x:0:0::/root:/bin/bash\ntreeman:x:4001:4001::/:/bin/sh\n")
    (top / "etc/group").write_text("root:x:0:\ntreemen:x:4001:\n")
    (top / "etc/shadow").write_text("root:*:::::::\ntreeman:*:::::::\n")
    for name in ("passwd-", "group-", "shadow-"):
        (top / "etc" / name).write_text("treeman:x:4001:4001::/:/bin/sh\n")
    host.run("mount", "--bind", "/usr", str(top / "usr"), check=True)
    yield top
    host.run("umount", str(top / "usr"), check=True)
    shutil.rmtree(top)


@pytest.fixture
def dave(conf):
    """The daemon's user, whom no file knows, and a library of the C library that asks it."""
    library = compile_program("libnss_nsbtest", "-shared", "-fPIC")
    conf.file("/lib/x86_64-linux-gnu/libnss_nsbtest.so.2", pathlib.Path(library).read_bytes(), mode=0o755)
    conf.file("/etc/nsswitch.conf",
              "passwd: files nsbtest\ngroup: files nsbtest\nshadow: files\nhosts: files\nsudoers: files\n")
    home = pathlib.Path("/home/dave")
    made = not home.exists()
    home.mkdir(exist_ok=True)
    os.chown(home, 5001, 5001)
    service = NameService()
    yield service
    service.stop()
    if made:
        shutil.rmtree(home)


def stamp():
    """The host's files: what they are, and what is in them."""
    found = {}
    for name in FILES:
        with contextlib.suppress(FileNotFoundError):
            info = os.stat(f"/etc/{name}")
            found[name] = (info.st_ino, info.st_mode, info.st_uid, info.st_gid, pathlib.Path(f"/etc/{name}").read_bytes())
    return found


@pytest.fixture(autouse=True)
def unchanged():
    before = stamp()
    yield
    assert {name: content[4] for name, content in stamp().items()} == \
        {name: content[4] for name, content in before.items()}


def sh(sshd, user, script, **options):
    result = sshd.ssh(user, f"[ -e /run/host/container-manager ] || exit 99; {script}", **options)
    assert result.rc == 0, (script, result)
    return result.out


def outside(user, script):
    """The same without a box."""
    return host.run("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "env", "-i", f"HOME=/home/{user}",
                    "PATH=/usr/bin:/bin", "bash", "-c", script, check=True).out


def refused(sshd, user="alice"):
    start = syslog.mark()
    result = sshd.ssh(user, "echo ran")
    assert result.rc != 0 and "ran" not in result.out, result
    return syslog.wait_for(rf"nsbox \w+: login of {user} refused: ", start)


# -- minimal: the user --


def test_the_user_is_as_outside(boxed, sshd, baseline):
    """id, whoami, ls and ~ say of the user what they say outside."""
    for user in ("alice", "carol"):
        assert sh(sshd, user, SELF) == outside(user, SELF)
        assert sh(sshd, user, f"getent passwd {user}") == outside(user, f"getent passwd {user}")


SESSIONS = {
    "su": lambda user: ("su", user, "-c", SELF),
    "su -": lambda user: ("su", "-", user, "-c", SELF),
    "sudo": lambda user: ("sudo", "-u", user, "bash", "-c", SELF),
}


@pytest.mark.parametrize("name", ["su", "su -", "sudo"])
def test_the_user_of_su_and_sudo(boxed, sshd, baseline, name):
    """So do sessions that others open for the user."""
    result = host.run(*SESSIONS[name]("alice"), env={"PATH": os.environ["PATH"], "HOME": "/home/alice"})
    assert (result.rc, result.out) == (0, outside("alice", SELF)), result
    hidden = "getent passwd bob || echo nobody"
    assert host.run(*SESSIONS[name]("alice")[:-1], hidden).out == "nobody\n"


def test_the_user_of_cron(boxed, conf, baseline):
    assert share.cron_job(conf, "alice", "id; id bob >/dev/null 2>\\&1 || echo no bob") == \
        outside("alice", "id") + "no bob\n"


def test_root_session(boxed, sshd, baseline):
    """Root's own session: root is root, and has the groups of root."""
    assert sh(sshd, "root", "id; whoami; echo ~") == host.run("bash", "-c", "id; whoami; echo ~").out
    assert sh(sshd, "root", "getent passwd | cut -d: -f1").split() == ["root", "nobody"]


def test_files_of_the_box(boxed, sshd, baseline):
    """Root, the user, nobody, the user's groups, and no more; nobody's password hash but the own."""
    assert sh(sshd, "alice", "getent passwd | cut -d: -f1,3") == "root:0\nalice:2001\nnobody:65534\n"
    assert sh(sshd, "alice", "cut -d: -f1 /etc/passwd").split() == ["root", "alice", "nobody"]
    groups = sh(sshd, "alice", "cut -d: -f1 /etc/group").split()
    assert set(groups) == {"root", "tty", "nogroup"} | set(outside("alice", "id -Gn").split())
    assert sh(sshd, "alice", "stat -c %a:%U:%g /etc/shadow; cat /etc/shadow || true").strip() == \
        f"640:root:{os.stat('/etc/shadow').st_gid}"


def test_a_user_with_many_groups(boxed, conf, sshd, baseline):
    """500 groups: each is there, by name and as a right."""
    text = pathlib.Path("/etc/group").read_text()
    conf.file("/etc/group", text + "".join(f"crowd{number}:x:{20000 + number}:alice,bob\n" for number in range(500)))
    assert sh(sshd, "alice", SELF) == outside("alice", SELF)
    assert len(sh(sshd, "alice", "id -G").split()) >= 501
    assert sh(sshd, "alice", "getent group crowd499") == "crowd499:x:20499:alice\n"


# -- minimal: the others --


OTHERS = """
ls -ln /home | awk '$9 == "bob" {print $3, $4}'
ls -l /home | awk '$9 == "bob" {print $3, $4}'
echo ~bob
getent passwd bob || echo none
getent passwd 2002 || echo none
getent group bob 2002 || echo none
getent shadow bob || echo none
id bob 2>/dev/null || echo none
grep -rsl bob /etc/passwd* /etc/group* /etc/shadow* /etc/gshadow* /etc/subuid* /etc/subgid* || echo none
for s in files nsbtest systemd sss winbind ldap; do getent -s $s passwd bob; done; echo end
"""


@pytest.mark.parametrize("user", ["alice", "root"])
def test_others_have_no_name(boxed, conf, sshd, baseline, user):
    """By name, by number, in lists, from files and by other sources: bob is 2002 and nothing else."""
    for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid"):
        conf.file(f"/etc/{name}-", "bob:x:2002:2002::/:/bin/sh\n", mode=0o644)
    for name in ("subuid", "subgid"):
        conf.file(f"/etc/{name}", f"bob:100000:65536\n{user}:165536:65536\n0:1:1\n2001:2:1\n")
    number = {"alice": 2001, "root": 0}[user]
    text = sh(sshd, user, OTHERS)
    assert text.split("\n") == ["2002 2002", "2002 2002", "~bob", *["none"] * 6, "end", ""], text
    assert sh(sshd, user, "cat /etc/subuid /etc/subgid").split() == \
        [f"{user}:165536:65536", "0:1:1" if number == 0 else "2001:2:1"] * 2
    assert outside("bob", "getent passwd bob").startswith("bob:")


def test_lists_are_empty(boxed, sshd, baseline):
    """Caches and lists of accounts of other programs are not in sight."""
    made = [pathlib.Path(name) for name in ("/var/lib/sss/mc", "/var/lib/AccountsService/users", "/etc/userdb",
                                            "/var/lib/systemd/linger", "/var/lib/extrausers", "/var/cache/nscd")]
    before = [path for path in made if path.exists()]
    try:
        for path in made:
            path.mkdir(parents=True, exist_ok=True)
            (path / "bob").write_text("bob")
        pathlib.Path("/var/log/wtmp.1").write_text("bob")
        places = " ".join(str(path) for path in made)
        assert sh(sshd, "alice", f"ls -R {places} 2>/dev/null | grep -c bob || true; cat /var/log/wtmp.1") == "0\n"
        assert sh(sshd, "root", f"ls -R {places} 2>/dev/null | grep -c bob || true; cat /var/log/wtmp.1") == "0\n"
    finally:
        pathlib.Path("/var/log/wtmp.1").unlink()
        for path in made:
            (path / "bob").unlink()
            if path not in before:
                host.run("rmdir", "-p", str(path))


def test_not_even_root_writes_them(boxed, sshd, baseline):
    """Read-only for root in the box; programs that change accounts fail there, and the host's files stay."""
    before = stamp()
    for name in ("passwd", "group", "shadow", "nsswitch.conf", "gshadow"):
        result = sshd.ssh("root", f"echo mallory:x:0:0::/:/bin/sh >>/etc/{name}")
        assert "Read-only file system" in result.err, (name, result)
    for command in ("useradd mallory", "usermod -c x root", "groupadd mallory", "mv /etc/passwd /etc/x",
                    "rm -f /etc/passwd", "echo alice:x | chpasswd"):
        assert sshd.ssh("root", command).rc != 0, command
    assert stamp() == before
    for name in (".pwd.lock", "passwd.lock", "group.lock", "shadow.lock", "gshadow.lock", "subuid.lock", "subgid.lock"):
        assert name == ".pwd.lock" or not os.path.exists(f"/etc/{name}")


def test_names_of_hosts_still_resolve(boxed, conf, sshd, baseline):
    """The other lines of nsswitch.conf hold."""
    conf.file("/etc/hosts", pathlib.Path("/etc/hosts").read_text() + "192.0.2.9 some-machine\n")
    conf.file("/etc/nsswitch.conf", "passwd: files systemd\n group: files\nhosts: files\nservices: files\n")
    assert sh(sshd, "alice", "getent hosts some-machine; getent services ssh/tcp").split() == \
        ["192.0.2.9", "some-machine", "ssh", "22/tcp"]
    assert sh(sshd, "alice", "cat /etc/nsswitch.conf") == "hosts: files\nservices: files\n" + "".join(
        f"{name}: files\n" for name in ("passwd", "group", "shadow", "gshadow", "initgroups", "netgroup"))


# -- minimal: sudo, su and passwd in the box --


@contextlib.contextmanager
def terminal(sshd, user):
    child = sshd.spawn(user, "TERM=dumb", "bash", "--norc", "--noprofile")
    child.expect(r"\$ ")
    yield child
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()


def test_sudo_in_the_box(boxed, conf, sshd, baseline):
    """With her own password alice becomes root in the box, also by a rule for a group; bob she cannot become, for there
    is none. With NOPASSWD the account phase alone lets her through."""
    conf.sudoers("%alice ALL=(ALL) ALL\ncarol ALL=(ALL) NOPASSWD: ALL\n")
    with terminal(sshd, "alice") as child:
        child.sendline("sudo -k; sudo sh -c 'id -un; echo $NSBOX''_ID.'")
        child.expect("password for alice: ")
        child.sendline("alicepw")
        child.expect("root\r\n")
        child.sendline("sudo -u bob id")
        child.expect("unknown user")
    assert sh(sshd, "carol", "sudo id -un; sudo -i id -un") == "root\nroot\n"


def test_su_in_the_box(boxed, sshd, baseline):
    """su to root by password: the hash is not there, so no password is right. Root himself becomes the user and root."""
    with terminal(sshd, "alice") as child:
        child.sendline("LC_ALL=C su -c 'echo i-am-''root'")
        child.expect("Password: ")
        child.sendline("whatever")
        child.expect("Authentication failure")
    assert sh(sshd, "root", "su root -c whoami; su - nobody -s /bin/sh -c whoami") == "root\nnobody\n"
    with terminal(sshd, "alice") as child:
        child.sendline("LC_ALL=C su alice -c whoami")
        child.expect("Password: ")
        child.sendline("alicepw")
        child.expect("alice\r\n")


def test_passwd_in_the_box(boxed, sshd, baseline):
    """passwd(1) says that it cannot, and the password stays."""
    before = stamp()
    result = sshd.ssh("alice", "LC_ALL=C passwd", input="alicepw\nquite-Another-7\nquite-Another-7\n")
    assert result.rc != 0 and "password unchanged" in result.err, result
    assert stamp() == before


# -- minimal: who is known elsewhere --


def test_a_user_of_a_directory_service(boxed, conf, sshd, dave, baseline):
    """Known to a daemon only: as outside, and nothing in the box asks the daemon, nor can."""
    expected = "uid=5001(dave) gid=5001(dave) groups=5001(dave),5100(directory)\n"
    dave.asked.clear()
    assert sh(sshd, "dave", "id") == expected
    assert sh(sshd, "dave", "id dave; getent passwd dave 5001; id -Gn; whoami; ls /run/nslcd 2>/dev/null; cd; pwd") == \
        expected + "dave:x:5001:5001::/home/dave:/bin/bash\n" * 2 + "dave directory\ndave\n/home/dave\n"
    assert host.run("su", "dave", "-c", "id").out == expected
    inside = [question for question, namespace in dave.asked if namespace != host.namespaces()["pid"]]
    assert inside == []
    conf.sudoers("dave ALL=(ALL) NOPASSWD: ALL\n")
    assert sh(sshd, "dave", "sudo id -un") == "root\n"


def test_a_user_of_a_directory_service_in_a_tree(boxed, sshd, dave, tree, baseline):
    """The tree knows nobody of the daemon's, and has not its library: id gives the names."""
    boxed(f"{MINIMAL}root = {tree}\n")
    (tree / "etc/nsswitch.conf").write_text("passwd: files nsbtest\ngroup: files nsbtest\n")
    assert sh(sshd, "dave", "id; whoami; getent passwd treeman || echo none; cat /etc/passwd- /etc/group-") == \
        "uid=5001(dave) gid=5001(dave) groups=5001(dave),5100(directory)\ndave\nnone\n"
    assert sh(sshd, "dave", "ls -l /home | tail -1").split()[2:4] == ["dave", "dave"]


def test_a_group_without_a_name(boxed, sshd, dave, baseline):
    """The user stays in it, which by its number alone the files could not say."""
    dave.ANSWERS = {**dave.ANSWERS, "initgroups dave": "5001 5100 5200"}
    assert sh(sshd, "dave", "id -G; id -Gn; id").splitlines() == \
        ["5001 5100 5200", "dave directory 5200",
         "uid=5001(dave) gid=5001(dave) groups=5001(dave),5100(directory),5200(5200)"]
    dave.ANSWERS = {**dave.ANSWERS, "gid 5001": "", "group dave": ""}
    assert sh(sshd, "dave", "id") == "uid=5001(dave) gid=5001 groups=5001,5100(directory),5200(5200)\n"


def test_a_name_service_that_the_box_hides(boxed, conf, app_refusal, baseline):
    """Where nsswitch.conf names what is hidden, minimal lets in and root does not."""
    conf.file("/etc/nsswitch.conf", "passwd: files nis\ngroup: files nis\n")
    boxed(MINIMAL)
    assert app_refusal() is None
    boxed("account_files = root\n")
    assert '"nis" for passwd' in app_refusal()


@pytest.fixture
def app_refusal():
    """Why su to alice is refused; None if it is not."""
    def look():
        start = syslog.mark()
        if host.run("su", "alice", "-c", "true").rc == 0:
            return None
        return syslog.wait_for("of alice refused", start)
    return look


def test_an_account_that_no_file_can_hold(boxed, sshd, dave, baseline):
    dave.ANSWERS = {**dave.ANSWERS, "passwd dave": "dave:*:5001:5001::/home/da\1ve:/bin/bash"}
    assert "home directory of this account has characters" in refused(sshd, "dave")


# -- what the host changes meanwhile --


def test_the_host_changes_its_accounts(boxed, sshd, baseline):
    """useradd(8) and passwd(1) on the host take the mounts of the box away, without hindrance: soon they are there again, and
    the box goes on seeing its own."""
    before = sh(sshd, "alice", "cat /etc/passwd /etc/group")
    with sshd.master("alice") as opts:
        assert sh(sshd, "alice", "cat /etc/passwd /etc/group", opts=opts) == before
        copies = {name: pathlib.Path(f"/etc/{name}").read_bytes() for name in FILES if os.path.exists(f"/etc/{name}")}
        assert host.run("useradd", "newcomer").rc == 0
        try:
            assert "newcomer" in pathlib.Path("/etc/passwd").read_text()
            host.wait_until(lambda: sh(sshd, "alice", "cat /etc/passwd /etc/group", opts=opts) == before, timeout=3,
                            what="the box has its own files again")
            host.wait_until(lambda: "newcomer" not in sh(
                sshd, "alice", "cat /etc/passwd* /etc/group* /etc/sub* /etc/nsswitch.conf; getent passwd newcomer || true",
                opts=opts), timeout=3, what="no list has the newcomer")
        finally:
            host.run("userdel", "newcomer")
            for name, data in copies.items():
                pathlib.Path(f"/etc/{name}").write_bytes(data)
        host.wait_until(lambda: sh(sshd, "alice", "cat /etc/passwd /etc/group", opts=opts) == before, timeout=3)


def test_a_tree_whose_files_are_replaced(boxed, sshd, tree, baseline):
    """The same where the files of the box's root are replaced."""
    boxed(f"{MINIMAL}root = {tree}\n")
    with sshd.master("alice") as opts:
        before = sh(sshd, "alice", "cat /etc/passwd", opts=opts)
        (tree / "etc/new").write_text("mallory:x:0:0::/:/bin/sh\n")
        os.rename(tree / "etc/new", tree / "etc/passwd")
        host.wait_until(lambda: sh(sshd, "alice", "cat /etc/passwd", opts=opts) == before, timeout=3,
                        what="the box has its own file again")


# -- shared boxes --


def test_shared_box(boxed, sshd, baseline):
    """Logins of one user find one box; when the user's groups have changed it is another box, in which they hold."""
    boxed(MINIMAL + "share = user\nlinger = 30s\n")
    group = pathlib.Path("/etc/group")
    text = group.read_text()
    first = {sh(sshd, "alice", "echo $NSBOX_ID"), host.run("su", "alice", "-c", "echo $NSBOX_ID").out}
    assert len(first) == 1
    try:
        group.write_text(text + "later:x:20001:alice\n")
        assert sh(sshd, "alice", "id -Gn").split() == outside("alice", "id -Gn").split()
        assert "later" in sh(sshd, "alice", "id -Gn").split()
        assert {sh(sshd, "alice", "echo $NSBOX_ID")}.isdisjoint(first)
        boxed(MINIMAL + "share = user\nlinger = 30s\non_change = refuse\n")
        sh(sshd, "alice", "true")
        group.write_text(text)
        assert "refused" in refused(sshd)
    finally:
        group.write_text(text)
        host.run("nsboxctl", "kill", "--user", "alice")
    share.wait_gone(timeout=10)


# -- host --


def test_the_hosts_files_in_a_tree(boxed, sshd, tree, baseline):
    """account_files = host: names of the host in another root, read-only; root: those of the tree."""
    boxed(f"account_files = host\nroot = {tree}\n")
    assert sh(sshd, "alice", SELF) == outside("alice", SELF)
    assert sh(sshd, "alice", "cat /etc/passwd /etc/group") == \
        pathlib.Path("/etc/passwd").read_text() + pathlib.Path("/etc/group").read_text()
    assert "Read-only" in sshd.ssh("root", "echo >>/etc/passwd").err
    boxed(f"account_files = root\nroot = {tree}\n")
    assert sh(sshd, "alice", "cat /etc/passwd") == (tree / "etc/passwd").read_text()


def test_the_hosts_new_file_arrives(boxed, sshd, tree, baseline):
    """What useradd(8) puts in the place of the host's file, a box that lives sees as well."""
    boxed(f"account_files = host\nroot = {tree}\n")
    copies = {name: pathlib.Path(f"/etc/{name}").read_bytes() for name in FILES if os.path.exists(f"/etc/{name}")}
    with sshd.master("alice") as opts:
        sh(sshd, "alice", "true", opts=opts)
        host.run("useradd", "newcomer", check=True)
        try:
            host.wait_until(lambda: "newcomer" in sh(sshd, "alice", "getent passwd newcomer || true", opts=opts),
                            timeout=15, what="the newcomer is known in the box")
        finally:
            host.run("userdel", "newcomer")
            for name, data in copies.items():
                pathlib.Path(f"/etc/{name}").write_bytes(data)


# -- trees that are not as they should be --


@pytest.mark.parametrize("kind", ["host", "minimal"])
def test_a_tree_without_the_files(boxed, sshd, tree, baseline, kind):
    """Refused in the account hook, with the line that makes the file; empty ones will do."""
    boxed(f"account_files = {kind}\nroot = {tree}\n")
    os.unlink(tree / "etc/passwd")
    assert f"root {tree} has no /etc/passwd, which account_files needs: touch {tree}/etc/passwd" in \
        refused(sshd)
    assert f"which account_files needs: touch {tree}/etc/passwd" in host.run("nsboxctl", "check").err
    (tree / "etc/passwd").write_text("")
    (tree / "etc/group").write_text("")
    for name in FILES[2:]:
        (tree / "etc" / name).unlink(missing_ok=True)
    assert sh(sshd, "alice", "id") == outside("alice", "id")


@pytest.mark.parametrize("kind", ["host", "minimal"])
def test_files_that_the_profile_covers(boxed, sshd, tree, baseline, kind):
    """The profile's own line is the last: what it puts over /etc covers the files as well, and the login is possible."""
    boxed(f"account_files = {kind}\nroot = {tree}\ntmpfs = /etc\n")
    assert sh(sshd, "alice", "ls /etc; id -u") == "2001\n"


@pytest.mark.parametrize("trap", ["link out", "link to host", "fifo", "directory", "dangling", "device"])
@pytest.mark.parametrize("name", ["passwd", "shadow", "nsswitch.conf"])
def test_traps_in_a_tree(boxed, sshd, tree, baseline, name, trap):
    """A file of the tree that is something else: a closed failure, or the right mount within the tree."""
    boxed(f"{MINIMAL}root = {tree}\n")
    path, before, start = tree / "etc" / name, stamp(), syslog.mark()
    path.unlink()
    if trap == "link out":
        path.symlink_to(f"../../../../../../etc/{name}")
    elif trap == "link to host":
        path.symlink_to(f"/run/host-{name}")
    elif trap == "dangling":
        path.symlink_to("/nowhere")
    elif trap == "fifo":
        os.mkfifo(path)
    elif trap == "directory":
        path.mkdir()
    else:
        os.mknod(path, 0o20666, os.makedev(1, 5))
    result = sshd.ssh("alice", "id; getent passwd bob; getent passwd treeman", timeout=20)
    why = [] if result.out else [syslog.wait_for("of alice refused", start)]
    # in the account hook, before a session is there
    if why:
        assert "account" in why[0] and result.out == "", (why, result)
    else:
        assert result.out == outside("alice", "id"), result
    assert stamp() == before
