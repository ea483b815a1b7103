# SPDX-License-Identifier: BSD-3-Clause
# host: --vm
"""The AppArmor profiles (conf/apparmor), enforced: all that the product does goes on, and nothing of it is denied; what it has
no business to do is. The kernel of the machine has AppArmor on by itself."""
import contextlib
import re
import time

import pytest

from lib import apparmor, host, nsboxvm
from lib.nsboxvm import boxes, lines, seconds, started
from lib.vm import SOURCE


@pytest.fixture(scope="module")
def vm(bare_vm):
    bare_vm.install()
    bare_vm.shipped_stacks()
    bare_vm.run("systemctl daemon-reload && systemctl enable --now nsbox.service", check=True)
    apparmor.switch_on(bare_vm)
    apparmor.said(bare_vm)
    return bare_vm


@pytest.fixture
def conf(vm):
    yield from nsboxvm.configuration(vm)


@pytest.fixture(autouse=True)
def _nothing_is_denied(vm):
    """A test that has something denied reads it itself."""
    yield
    assert apparmor.said(vm) == []


@pytest.fixture(scope="module")
def tree(vm):
    """A root with a few programs, and an image of it."""
    vm.run("""set -e
        mkdir -p /srv/tree && cd /srv/tree && mkdir dev etc home mnt opt proc root run srv sys tmp usr var var/tmp var/log
        mkdir usr/bin usr/sbin usr/lib usr/lib64 && ln -s usr/bin usr/sbin usr/lib usr/lib64 . && chmod 1777 tmp var/tmp
        cp /etc/passwd /etc/group /etc/nsswitch.conf /etc/hosts etc/
        for name in bash sh cat id cp mv rm ln ls mkdir chmod chown mkfifo touch; do cp -L /usr/bin/$name usr/bin/; done
        for library in $(ldd usr/bin/* | grep -o '/[^ ]*\\.so[^ ]*' | sort -u) /lib/x86_64-linux-gnu/libnss_files.so.2; do
            mkdir -p .$(dirname $library); cp -L $library .$library
        done
        mkdir -p /var/lib/nsbox && mksquashfs /srv/tree /srv/tree.img -quiet -no-progress""", timeout=120, check=True)
    return vm


def gone(vm, timeout=30):
    host.wait_until(lambda: not boxes(vm), timeout=timeout, interval=0.3, what="no box left")


def pids(vm, entry):
    """{who: pid} of a box."""
    found = {"init": entry["init_pid"], "app": entry["members"][0]}
    for who, pattern in (("monitor", f"^nsbox-monitor {entry['id']} "), ("guard", f"^nsbox-monitor guard {entry['id']}")):
        found[who] = int(vm.run(f"pgrep -f '{pattern}'", check=True).out)
    return found


# -- who is confined --


def test_who_is_in_which_profile(vm, conf):
    """Each program in its own; the session in none; and what is denied is said, or this file shows nothing."""
    conf(network="loopback")
    with started(vm, "alice", "echo on; cat /proc/self/attr/apparmor/current") as session:
        assert lines(session, 2) == ["on", "unconfined"]
        (entry,) = boxes(vm)
        who = pids(vm, entry)
        assert {name: apparmor.label(vm, pid) for name, pid in who.items()} == {
            "init": "nsbox-init (enforce)", "monitor": "nsbox-monitor (enforce)", "guard": "nsbox-monitor (enforce)",
            "app": "unconfined"}
        holder = vm.run("systemctl show -P MainPID nsbox.service").out.strip()
        assert apparmor.label(vm, holder) == "nsbox-monitor (enforce)"
    gone(vm)
    assert vm.run("aa-exec -p nsbox-helper -- tee -a /etc/shadow </dev/null").rc != 0
    (denied,) = apparmor.said(vm)
    assert 'profile="nsbox-helper"' in denied and 'name="/etc/shadow"' in denied


# -- what goes on --


# Files of all kinds where a session has some, and the change of one that was there.
WORK = """id -un; cat /proc/1/comm; for place in ~ /tmp; do cd $place && echo a >w1 && echo b >>w1 && chmod 600 w1 && ln w1 w2 &&
mv w2 w3 && mkdir d && cp /bin/cat d/cat && d/cat w3 && mkfifo f && ln -s w1 l && ls -la >/dev/null && rm -r w1 w3 d f l; done
echo >>~/.profile && echo end"""
WORKED = "alice nsbox-init a b a b end".split()
# As root, where writing is in a tree of the box's own.
ROOTS_WORK = "cd /opt && echo a >r && chmod 4755 r && chown alice r && mkdir d && rm -r r d && touch /etc/hosts && echo end"

VIEWS = {
    "host": [],
    "limits": ["pids_max = 77", "memory_max = 200M", "cpu_max = 70%", "user_pids_max = 200", "io_weight = 50"],
    "directory": ["root = /srv/tree"],
    "readonly": ["root = /srv/tree", "root_readonly = yes"],
    "image": ["root = /srv/tree.img"],
    "ephemeral": ["root = /srv/tree", "overlay = ephemeral"],
    "kept": ["root = /srv/tree", "overlay = /var/lib/nsbox/%u"],
    "image and overlay": ["root = /srv/tree.img", "overlay = /var/lib/nsbox/image-%u"],
    "curated": ["root = curated", "hostname = boxed"],
    "curated, minimal": ["root = curated", "account_files = minimal"],
    "minimal": ["account_files = minimal"],
    "home in memory": ["home = tmpfs"],
    "overlay on home": ["home = overlay"],
    "overlay on home, curated": ["root = curated", "home = overlay"],
    "keys": ["dev = /dev/fuse /dev/loop*", "bind_ro = /usr/share:/mnt", "tmpfs = /opt", "mask = /var/log", "proc_subset = pid",
             "sys = none", "private_tmp = no"],
    "host's terminals": ["devpts = host"],
}


@pytest.mark.parametrize("name", VIEWS)
def test_views(vm, conf, tree, name):  # pylint: disable=unused-argument
    """A session of ssh works, with files; once more, for what the first login has left, and for lo."""
    for network in ("host", "loopback"):
        conf(*VIEWS[name], network=network)
        result = vm.run(WORK, user="alice")
        assert result.out.split() == WORKED, result
    gone(vm)


@pytest.mark.parametrize("name", ["directory", "ephemeral", "kept", "image and overlay"])
def test_root_in_trees(vm, conf, tree, name):  # pylint: disable=unused-argument
    """Root in a box writes his tree: an overlay asks the profile of who has mounted it, capabilities among it."""
    conf(*VIEWS[name], users="root")
    result = vm.run(f"su - root -c '{ROOTS_WORK}'", timeout=60)
    assert result.out.split() == ["end"], result
    gone(vm)


def test_an_overlay_asks_the_builder(vm, conf):
    """Why there is a profile for it: denied to the builder, a file is denied to the user in the overlay, who is unconfined."""
    conf("home = overlay", "share = user", "linger = 1min")
    local = f"{apparmor.DIRECTORY}/local/nsbox-builder"
    with started(vm, "alice", "echo on") as session:
        assert lines(session, 1) == ["on"]
        vm.write(local, "audit deny /home/alice/secret w,\n")
        vm.run(f"apparmor_parser -r {apparmor.DIRECTORY}/nsbox", check=True)
        assert vm.run("echo a >other && echo end", user="alice").out == "end\n"
        assert vm.run("echo a >secret", user="alice").rc != 0
        denied = apparmor.said(vm)
        assert denied and all('profile="nsbox-builder"' in line and 'comm="bash"' in line for line in denied), denied
        vm.run(f"rm {local} && apparmor_parser -r {apparmor.DIRECTORY}/nsbox", check=True)
        assert vm.run("echo a >secret && echo end", user="alice").out == "end\n"
        vm.run(f"nsboxctl kill {boxes(vm)[0]['id']}", check=True)
    gone(vm)


def test_overlay_elsewhere(vm, conf, tree):  # pylint: disable=unused-argument
    """A directory that the profile does not know: refused, and the lines in local/ that its head names mend it."""
    vm.run("mkdir -p /srv/layers", check=True)
    conf("root = /srv/tree", "overlay = /srv/layers/%u")
    assert vm.run("echo in", user="alice").rc != 0
    assert any('profile="nsbox-helper"' in line and "/srv/layers/" in line for line in apparmor.said(vm))
    vm.run(f"grep -o '/srv/layers/ rw, /srv/layers/[*][*] rwk,' {apparmor.DIRECTORY}/nsbox "
           f">{apparmor.DIRECTORY}/local/nsbox-helper && "
           f"apparmor_parser -r {apparmor.DIRECTORY}/nsbox", check=True)
    assert vm.run(WORK, user="alice").out.split() == WORKED
    gone(vm)
    vm.run(f"rm {apparmor.DIRECTORY}/local/nsbox-helper && apparmor_parser -r {apparmor.DIRECTORY}/nsbox", check=True)


def test_ways_in(vm, conf):
    """su, sudo, login on the console, cron. (ssh is everywhere else.)"""
    conf(network="loopback")
    for command in ("su alice -c", "su - alice -c", "sudo -u alice sh -c"):
        assert vm.run(f"{command} 'cat /proc/1/comm'").out == "nsbox-init\n", command
    console = vm.console()
    console.send("\r")
    console.expect("vm login: ")
    console.send("alice\r")
    console.expect("Password: ")
    console.send("alicepw\r")
    console.expect(r"alice@\w+:~\$ ")
    console.send("cat /proc/1/comm; exit\r")
    console.expect("nsbox-init")
    console.expect("vm login: ")
    console.close()
    vm.write("/etc/cron.d/boxed", "* * * * * alice cat /proc/1/comm >/home/alice/cron-was-here\n")
    host.wait_until(lambda: vm.run("cat /home/alice/cron-was-here").out == "nsbox-init\n", timeout=90, interval=1)
    vm.run("rm /etc/cron.d/boxed /home/alice/cron-was-here", check=True)
    gone(vm)


def test_notices(vm, conf):
    """That a limit is hit, and that its time is over, is told to the terminal of a session."""
    conf("pids_max = 40", "runtime_max = 25s")
    since = seconds(vm)
    vm.write("/home/alice/many", "(for i in $(seq 50); do sleep 100 & done)\n")
    text = vm.run("script -qec \"su alice -c 'sh /home/alice/many; sleep 1000'\" /dev/null", timeout=100).out
    gone(vm)
    assert "time (runtime_max) is over" in vm.journal(f"--since @{since} -t nsbox-helper")
    assert "nsbox: process limit 40 reached" in text and "nsbox: the session's time (runtime_max) is over" in text


@pytest.fixture
def tickets(vm):
    """su takes a Kerberos cache along."""
    vm.run("install -m 600 -o alice /etc/hostname /tmp/krb5cc_test && cp /etc/pam.d/su /root/su.before && "
           "echo KRB5CCNAME=FILE:/tmp/krb5cc_test >/etc/tickets && "
           "sed -i '1i session required pam_env.so envfile=/etc/tickets' /etc/pam.d/su", check=True)
    yield
    vm.run("mv /root/su.before /etc/pam.d/su; rm /etc/tickets /tmp/krb5cc_test", check=True)


def test_shared(vm, conf, tickets):  # pylint: disable=unused-argument
    """A login joins a box, with its Kerberos cache; the box lingers."""
    conf("share = user", "linger = 3s", "devpts = private", "sessions_max = 5", "user_pids_max = 100")
    with started(vm, "alice", "echo on") as session:
        assert lines(session, 1) == ["on"]
        (entry,) = boxes(vm)
        for _ in range(2):
            assert vm.run("su alice -c 'cat /tmp/krb5cc_test; echo $NSBOX_ID'").out.split() == ["vm", entry["id"]]
        assert vm.run("echo $NSBOX_ID", user="alice").out.strip() == entry["id"]
    assert boxes(vm)
    gone(vm)


def test_what_the_host_replaces(vm, conf):
    """Bound again into a live box: account files, which the kernel tells of at once, and /dev/log, which is looked at."""
    conf("account_files = minimal")
    with started(vm, "alice", "echo on; while read line; do grep -c ^somebody: /etc/passwd; logger -t from-box $line; done") as session:
        assert lines(session, 1) == ["on"]
        vm.run("useradd somebody && systemctl restart systemd-journald", check=True)
        try:
            def heard():
                session.stdin.write(b"still-heard\n")
                session.stdin.flush()
                return lines(session, 1) == ["0"] and "still-heard" in vm.journal("-t from-box")
            host.wait_until(heard, timeout=40, interval=1, what="/dev/log is bound again")
        finally:
            vm.run("userdel somebody")
    gone(vm)


def test_nsboxctl(vm, conf):
    """Every subcommand that runs the helper or goes into a box."""
    conf("pids_max = 60")
    assert vm.run("nsboxctl check").rc == 0
    assert vm.run("nsboxctl explain --user alice --service sshd").rc == 0
    profile = "nsbox-init\n"
    assert vm.run("nsboxctl run --user alice -- cat /proc/1/comm").out == profile
    with started(vm, "alice", "echo on") as session, started(vm, "root", "su alice -c 'echo on; cat'") as other:
        assert lines(session, 1) == lines(other, 1) == ["on"]
        assert len(boxes(vm)) == 2
        for entry in boxes(vm):
            assert vm.run(f"nsboxctl show {entry['id']}").rc == 0
            assert vm.run(f"nsboxctl enter {entry['id']} -- cat /proc/1/comm").out == profile
            for verb in ("freeze", "thaw"):
                assert vm.run(f"nsboxctl {verb} {entry['id']}").rc == 0
        assert vm.run("nsboxctl top --once").rc == 0
        for entry in boxes(vm):
            assert vm.run(f"nsboxctl kill {entry['id']}").rc == 0
    gone(vm)
    assert vm.run("nsboxctl gc").rc == 0


def test_mkroot(vm, conf, tree):  # pylint: disable=unused-argument
    """nsbox-unpack makes a tree of an archive; a login into it."""
    vm.run("cd /srv/tree && tar -czf /srv/tree.tar.gz . && nsboxctl mkroot /srv/unpacked --from /srv/tree.tar.gz", timeout=120,
           check=True)
    conf("root = /srv/unpacked")
    assert vm.run(WORK, user="alice").out.split() == WORKED
    gone(vm)
    vm.run("rm -r /srv/unpacked /srv/tree.tar.gz", check=True)


IDLE = "profile idle /usr/local/bin/idle { include <abstractions/base> /usr/local/bin/idle mr, }\n"


def test_confined_programs_in_a_box(vm, conf):
    """A program that has a profile of its own hears that the box ends: by abstractions/base.d."""
    conf(stop="30s")
    vm.write(f"{apparmor.DIRECTORY}/idle", f"include <tunables/global>\n{IDLE}")
    vm.run(f"cp /bin/sleep /usr/local/bin/idle && apparmor_parser -r {apparmor.DIRECTORY}/idle", check=True)
    since = seconds(vm)
    with started(vm, "alice", "setsid /usr/local/bin/idle 1000 >/dev/null 2>&1 </dev/null & echo on") as session:
        assert lines(session, 1) == ["on"]
        assert apparmor.label(vm, vm.run("pgrep -x idle").out.strip()) == "idle (enforce)"
    gone(vm, timeout=20)
    assert "ended after" in vm.journal(f"--since @{since} -t nsbox-helper")
    vm.run(f"apparmor_parser -R {apparmor.DIRECTORY}/idle && rm {apparmor.DIRECTORY}/idle", check=True)


# A profile for su, to which the manual adds what nsbox needs.
CONFINED = """profile confined-su /usr/bin/su flags=(attach_disconnected) {
    include <abstractions/base>
    include <abstractions/nameservice>
    include <abstractions/authentication>
    capability audit_write, capability chown, capability dac_override, capability dac_read_search, capability fowner,
    capability kill, capability setgid, capability setuid, capability sys_resource, capability sys_tty_config,
    signal peer=unconfined,
    unix,
    dbus,
    /usr/bin/su mr,
    /usr/bin/bash Ux,
    /etc/** r,
    /proc/** r,
    /dev/{tty*,pts/*} rw,
    /var/log/{btmp,lastlog,wtmp} rwk,
    /run/utmp rwk,
    /run/dbus/system_bus_socket rw,
    /tmp/ r,
    /home/ r,
    /home/** r,
%s
}
"""


def manual_rules():
    """The lines of nsbox-helper(8), APPARMOR."""
    text = (SOURCE / "man/nsbox-helper.8").read_text()
    block = re.search(r"^\.Bd -literal -offset indent -compact\n(/usr/libexec/nsbox/nsbox-helper Px,.*?)^\.Ed$", text, re.M | re.S)
    return block.group(1)


def test_confined_application(vm, conf):
    """An application that is confined itself, by a profile with the rules that the manual names."""
    conf(network="loopback")
    path = f"{apparmor.DIRECTORY}/confined-su"
    vm.write(path, "abi <abi/3.0>,\ninclude <tunables/global>\n" + CONFINED % manual_rules())
    vm.run(f"apparmor_parser -r {path}", check=True)
    try:
        assert vm.run("su alice -c 'cat /proc/1/comm'").out == "nsbox-init\n"
        with started(vm, "root", "su alice -c 'echo on; cat'") as session:
            assert lines(session, 1) == ["on"]
            (entry,) = boxes(vm)
            assert apparmor.label(vm, entry["members"][0]) == "confined-su (enforce)"
            assert apparmor.label(vm, pids(vm, entry)["monitor"]) == "nsbox-monitor (enforce)"
        gone(vm)
    finally:
        vm.run(f"apparmor_parser -R {path}; rm {path}")


# -- PID 1 dies with the monitor --


@pytest.mark.parametrize("stopped", [False, True], ids=["", "stopped"])
def test_death_signal(vm, conf, stopped):
    """A change of profile clears the parent death signal; PID 1 sets it after that. The life pipe is kept open here by
    somebody else, so it tells nobody, the guard neither: it is the signal that kills."""
    conf(network="loopback")
    with started(vm, "alice", "sleep 1000 >/dev/null 2>&1 & echo on") as session:
        assert lines(session, 1) == ["on"]
        (entry,) = boxes(vm)
        who = pids(vm, entry)
        number = vm.run(f"tr '\\0' '\\n' </proc/{who['monitor']}/cmdline | sed -n 8p", check=True).out.strip()
        script = f"""exec 9>/proc/{who['monitor']}/fd/{number}; readlink /proc/$$/fd/9
            {f"kill -STOP {who['init']}" if stopped else ":"}
            kill -9 {who['monitor']}
            for i in $(seq 50); do grep -qs '^State:.[^Z]' /proc/{who['init']}/status || break; sleep 0.1; done
            grep -s '^State:.[^Z]' /proc/{who['init']}/status; test -e /proc/{who['guard']} && echo guarded"""
        result = vm.run(script)
        pipe, rest = result.out.split("\n", 1)
        assert pipe.startswith("pipe:") and rest == "guarded\n", result
        session.wait(30)
    gone(vm)


CRASHES = ["monitor", "init", "guard", "app", "app monitor", "monitor init", "app init", "app guard", "app monitor init",
           "monitor guard", "app monitor guard init"]


@pytest.mark.parametrize("victims", CRASHES)
def test_crash(vm, conf, victims):
    """kill -9 of any of them, at once: the box and all in it go, and nothing is left (the fixture looks)."""
    conf(network="loopback")
    with started(vm, "alice", "setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo on") as session:
        assert lines(session, 1) == ["on"]
        (entry,) = boxes(vm)
        numbers = " ".join(str(pids(vm, entry)[name]) for name in victims.split())
        vm.run(f"kill -STOP {numbers}; kill -9 {numbers}", check=True)
        if victims == "guard":
            session.stdin.write(b"still\n")
            session.stdin.flush()
            assert lines(session, 1) == ["still"]
            session.stdin.close()
        session.wait(30)
    if "monitor" in victims and "guard" in victims:
        vm.run("nsboxctl gc", check=True)
    gone(vm)
    host.wait_until(lambda: vm.run("pgrep -u alice sleep").rc != 0, timeout=10, what="no process of the session")


# -- what does not --


EVERYWHERE = ("load a module", "trace PID 1", "open a raw socket", "open a packet socket", "start a shell", "set the clock")
FILES = ("write /etc/shadow", "write a job of cron", "write nsboxctl")
MACHINE = ("write to /boot", "write core_pattern", "write sysrq-trigger", "read the disk")
KEYS = ("write authorized_keys", "read a host key", "read a key of root")
ALL = (*EVERYWHERE, *FILES, *MACHINE, *KEYS, "mount")
# The builder works in the tree of the box, unpack where the administrator says.
DENIED = {"nsbox-helper": ALL, "nsbox-monitor": ALL, "nsbox-init": ALL, "nsbox-builder": EVERYWHERE,
          "nsbox-unpack": (*EVERYWHERE, *MACHINE, *KEYS, "mount")}


@pytest.fixture
def python(vm):
    """local/ lets the profiles read what Python reads, and nothing more."""
    program = vm.run("readlink -f /usr/bin/python3", check=True).out.strip()
    for profile in apparmor.PROFILES:
        vm.write(f"{apparmor.DIRECTORY}/local/{profile}",
                 f"{program} mr,\n/usr/local/lib/probe.py r,\n/usr/share/zoneinfo/** r,\n/ r,\n")
    vm.run(f"mkdir -p /root/.ssh && touch /root/.ssh/id_probe && apparmor_parser -r {apparmor.DIRECTORY}/nsbox", check=True)
    yield
    vm.run(f"rm {apparmor.DIRECTORY}/local/nsbox-* /boot/probe /etc/cron.d/probe; "
           f"apparmor_parser -r {apparmor.DIRECTORY}/nsbox", check=True)


def test_what_is_denied(vm, python):  # pylint: disable=unused-argument
    """Root under each profile tries it; root under none can, or this shows nothing."""
    assert apparmor.probe(vm, None) == dict.fromkeys(ALL, "")
    assert apparmor.said(vm) == []
    for profile, denied in DENIED.items():
        found = apparmor.probe(vm, profile)
        assert {name for name, word in found.items() if word in ("EACCES", "EPERM")} == set(denied), (profile, found)
        told = apparmor.said(vm)
        assert len(told) >= len(denied) and all(f'profile="{profile}"' in line for line in told), told


# -- the profiles change under live boxes --


@contextlib.contextmanager
def replaced(vm, option):
    """The profiles loaded otherwise: "-C" in complain mode; "-R" not at all."""
    vm.run(f"apparmor_parser {option} {apparmor.DIRECTORY}/nsbox", check=True)
    yield
    vm.run(f"apparmor_parser -r {apparmor.DIRECTORY}/nsbox", check=True)
    assert apparmor.modes(vm) == dict.fromkeys(apparmor.PROFILES, "enforce")


def test_complain_mode(vm, conf, tree):  # pylint: disable=unused-argument
    """It lets everything pass and says so: here there is nothing to say."""
    with replaced(vm, "-r -C"):
        assert set(apparmor.modes(vm).values()) == {"complain"}
        for name in ("host", "limits", "kept", "curated, minimal", "overlay on home"):
            conf(*VIEWS[name])
            assert vm.run(WORK, user="alice").out.split() == WORKED
            gone(vm)


def test_unloaded(vm, conf):
    """Boxes that are there go on and end as ever; new logins are as without AppArmor. And the other way round."""
    conf(network="loopback")
    begin = time.monotonic()
    with started(vm, "alice", "echo on") as one:
        assert lines(one, 1) == ["on"]
        with replaced(vm, "-R"):
            assert vm.run("id -un", user="alice").out == "alice\n"
            with started(vm, "alice", "echo on") as other:
                assert lines(other, 1) == ["on"]
                one.stdin.write(b"still\n")
                one.stdin.flush()
                assert lines(one, 1) == ["still"]
                vm.run(f"apparmor_parser -r {apparmor.DIRECTORY}/nsbox", check=True)
                assert vm.run("id -un", user="alice").out == "alice\n"
    gone(vm)
    assert time.monotonic() - begin < 120


def test_half_loaded(vm, conf):
    """Without the builder's profile nobody is boxed by the helper's: refused, and how to mend it is said."""
    conf(network="loopback")
    vm.run("printf nsbox-builder >/sys/kernel/security/apparmor/.remove", check=True)
    since = seconds(vm)
    assert vm.run("echo in", user="alice").rc != 0
    assert re.search(r"login of alice refused: cannot change to the AppArmor profile nsbox-builder: .*: load it .*"
                     r"\(stage build, ENOENT\)", vm.journal(f"--since @{since}"))
    assert all("change_profile" in line for line in apparmor.said(vm))
    vm.run(f"apparmor_parser -r {apparmor.DIRECTORY}/nsbox", check=True)
    assert vm.run("echo in", user="alice").out == "in\n"
    gone(vm)


def test_keep_id(tree, conf):
    """The helper writes maps and makes namespaces, the builder becomes root of the box; an overlay on mapped layers."""
    conf("user_namespace = keep-id", "root = /srv/tree", "overlay = ephemeral", network="loopback")
    with started(tree, "alice", "id -u; head -1 /proc/self/uid_map 2>/dev/null || cat /proc/self/uid_map; ls -ldn /etc; touch ~/kept && echo kept") as session:
        uid, first, *_ = lines(session, 2)
        assert uid == "2001" and first.split()[0] == "0" and int(first.split()[1]) >= 1879048192
        assert apparmor.label(tree, boxes(tree)[0]["init_pid"]) == "nsbox-init (enforce)"
    gone(tree)
