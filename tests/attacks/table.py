# SPDX-License-Identifier: BSD-3-Clause
"""THE table of attacks: ../system/test_attack_table.py makes each of them in each profile, and prints what stopped it.

A row of ATTEMPTS is tried by tests/attacks/attempt.c under its name, by alice and by root in the box. `user` and `root`
say which layers may stop it, and at least one of these must: that is measured, by leaving each of them out (layers_of() in
the test).
    ids      the kernel lets only root: without a box it fails as well, and root's attempt is the control
    box      namespaces, and what is mounted in them; `box` says which
    bound    the bounding set (capabilities = default)
    filter   the filter of system calls (seccomp = default, or strict)
`works` is what the kernel answers to who is let through. `but` has the cells in which the attack works, and the words of
SECURITY.md that say so. `absent`: errno by which this kernel says that it has not got what is attacked; then there is no
control, and the layers are not measured. `control`: where it works, if not on the host without a box.

A row of ELSEWHERE is a line of ATTACKS.md whose attempts are tests of their own.
"""
import collections
import contextlib
import os

from lib import host

from . import make_root

PLACE_OF_TREE = "/srv/attacks"  # closed, as nsbox.conf(5) asks for where root of the box writes
TREE = f"{PLACE_OF_TREE}/tree"
PROFILES = {
    "default": "",
    "curated": "root = curated\nbind_ro = /opt/attacks",
    "keep-id": f"user_namespace = keep-id\nroot = {TREE}\nhome = tmpfs",
    "strict": "seccomp = strict\ncapabilities = none\nno_new_privs = yes",
    "shared": "share = user",
}
# For the controls: without this or that layer.
WEAKENED = {
    "open": "capabilities = all\nseccomp = off\nnested_namespaces = yes",
    "no filter": "seccomp = off\nnested_namespaces = yes",
    "no bound": "capabilities = all",
    "keep-id open": f"user_namespace = keep-id\nroot = {TREE}\nhome = tmpfs\n"
                    "capabilities = all\nseccomp = off\nnested_namespaces = yes",
}
# A set-user-ID program makes alice root of her own box; where that has no effect, root himself logs in.
ROOT_LOGS_IN = ("curated", "strict")
IDENTITIES = ("user", "root")

LAYERS = {"ids": "only root may", "bound": "bounding set", "filter": "seccomp filter", "user namespace": "user namespace"}



@contextlib.contextmanager
def tree_of_keep_id():
    """The root of that profile, on a file system that every kernel can map the ids of."""
    image = f"{PLACE_OF_TREE}.ext4"
    os.mkdir(PLACE_OF_TREE)
    host.run("truncate", "-s", "64M", image, check=True)
    host.run("mkfs.ext4", "-q", "-m", "0", image, check=True)
    host.run("mount", "-o", "loop", image, PLACE_OF_TREE, check=True)
    os.chmod(PLACE_OF_TREE, 0o700)
    os.mkdir(TREE, 0o755)
    make_root(TREE)
    os.makedirs(f"{TREE}/run/host/nested/proc")  # for nested_namespaces = yes
    try:
        yield TREE
    finally:
        # a box that ends keeps it busy for a moment
        host.wait_until(lambda: host.run("umount", PLACE_OF_TREE).rc == 0, timeout=10, what=f"{PLACE_OF_TREE} is unmounted")
        os.rmdir(PLACE_OF_TREE)
        os.unlink(image)


Attempt = collections.namedtuple("Attempt", "line name user root box works but absent control")


def attempt(line, name, user="ids filter", root="bound filter", box="", works="OK", but=None, absent="", control="host"):
    return Attempt(line, name, user.split(), root.split(), box, works.split(), but or {}, absent.split(), control)


def cells(profiles, identities, sentence):
    return {(profile, identity): sentence for profile in profiles.split() for identity in identities.split()}


OWN_TREE = "mount namespace, pivot_root(2)"
VIEW = "what the box has mounted"
NOT_STRICT = "default curated keep-id shared"
ONLY_STRICT = "What only `seccomp = strict` takes away"
SHARED = "the sessions of a user in one box are one to the kernel"
HOST_FILES = "a set-user-ID program put anywhere on a file system that the host uses"
PAGES = "what each page of the memory is used for"
DEPUTIES = "What acts outside for a user still does"
GIVEN = "gives away what it can reach itself"

_unshares = [attempt("12", f"{how}-{kind}", user="ids filter")
             for how in ("unshare", "clone3") for kind in ("mnt", "uts", "ipc", "pid", "net", "cgroup", "time")]
_nested = [attempt("12", name, user="filter", root="filter")
           for name in ["unshare-user", "clone3-user", "clone-user", "clone-user-and-all", "clone-user-64-bits",
                        *(f"nested-{kind}" for kind in ("user", "mnt", "uts", "ipc", "pid", "net", "cgroup", "time")),
                        "nested-mount", "nested-overlay", "nested-network"]]
_of_pid_1 = [attempt("9", f"{how}-init", user="ids filter", root="bound filter box", box="PID 1 is not dumpable")
             for how in ("ptrace", "memory", "proc-mem", "kcmp", "pidfd_getfd")]
_of_a_process = [attempt("9", f"{how}-host", user="box filter", root="box filter", box="PID namespace")
                 for how in ("ptrace", "memory", "proc-mem", "kcmp", "pidfd_getfd", "signal")]
# In a shared box alice's sessions are one, also to each other's ptrace(2); root has no CAP_SYS_PTRACE there.
_of_a_session = [attempt("9", f"{how}-other", user="box filter", root="box bound filter", box="PID namespace",
                         but=cells("shared", "user", SHARED))
                 for how in ("ptrace", "memory", "proc-mem", "kcmp", "pidfd_getfd")]
_ipc_of_the_host = [attempt("17", f"{kind}-host", user="box", root="box", box="network and IPC namespaces")
                    for kind in ("abstract", "shm", "queue", "sysv")]
_ipc_of_a_session = [attempt("17", f"{kind}-other", user="box", root="box", box="network and IPC namespaces", control="shared",
                             but=cells("shared", "user root", SHARED)) for kind in ("abstract", "shm", "queue", "sysv")]

ATTEMPTS = [
    # -- processes --
    attempt("8", "exe-of-pid-1", root="bound box", box="PID 1 is not dumpable", works="ETXTBSY"),
    *_of_pid_1,
    *_of_a_process,
    *_of_a_session,
    attempt("9", "signal-other", user="box", root="box", box="PID namespace", but=cells("shared", "user root", SHARED)),
    attempt("9", "signal-by-number", user="box", root="box", box="PID namespace"),
    # -- namespaces and mounts --
    *_unshares,
    *_nested,
    attempt("12", "nested-cgroup2", user="filter box ids", root="filter box", box="no control groups mounted"),
    attempt("12", "nested-proc", user="filter box", root="filter box", box="/proc is covered in part"),
    attempt("12", "mount"),
    attempt("12", "fsopen"),
    attempt("12", "remount-root"),
    attempt("12", "setns-proc", user="ids", root="box bound", box="PID namespace"),
    attempt("12", "setns-pidfd", user="ids", root="box bound", box="PID namespace"),
    attempt("12", "given-namespace", user="ids box", root="bound box", box="mount namespace"),
    # -- control groups --
    attempt("13", "cgroup-files", user="ids", root="box", box=VIEW),
    attempt("13", "cgroup-mount"),
    # where there is no version 1 hierarchy none can be made
    attempt("13", "release_agent", absent="EPERM EBUSY ENOENT"),
    attempt("13", "nested-release_agent", user="ids filter", root="bound filter box", box="owned by root of the host",
            absent="EPERM EBUSY ENOENT EACCES"),
    # -- devices, handles, set-user-ID --
    attempt("14", "node", root="bound box", box="nodev"),
    attempt("14", "node-in-dev"),
    attempt("14", "disk", root="bound box", box="nodev"),
    attempt("14", "disk-in-dev"),
    attempt("14", "devices", user="ids box", root="box", box="/dev of the box"),
    attempt("14", "handle-of-own"),
    attempt("14", "handle-forged", works="OK ESTALE EOPNOTSUPP"),
    attempt("14", "setuid-copy", user="ids", root="box bound", box="nosuid",
            but=cells("default shared", "root", HOST_FILES)),
    attempt("14", "immutable"),
    # -- settings of the kernel --
    attempt("15", "core_pattern", user="ids", root="box", box="/proc/sys is read-only"),
    attempt("15", "kernel-helpers", user="ids", root="box", box="/proc/sys and /sys are read-only"),
    attempt("15", "sysrq", user="ids box", root="box", box="masked", absent="ENOENT"),
    attempt("15", "binfmt_misc"),
    attempt("15", "settings-proc", user="ids box", root="box", box="/proc/sys is read-only"),
    attempt("15", "settings-sys", user="ids box", root="box", box="/sys is read-only"),
    attempt("15", "rest-of-proc", user="ids box", root="box bound", box="read-only or masked"),
    attempt("15", "kernel-memory", user="ids box", root="box bound", box="masked"),
    attempt("15", "machine-pages", user="ids", but=cells("default curated strict shared", "root", PAGES)),
    attempt("15", "uncover-proc"),
    attempt("15", "init_module", works="ENOEXEC ENOSYS"),
    attempt("15", "finit_module", works="EINVAL ENOEXEC ENOSYS"),
    attempt("15", "delete_module", works="ENOENT ENOSYS"),
    attempt("15", "kexec_load", works="EINVAL ENOSYS"),
    attempt("15", "kexec_file_load", works="EINVAL EBADF ENOSYS"),
    attempt("15", "bpf"),
    attempt("15", "perf_event_open"),
    attempt("15", "userfaultfd"),
    attempt("15", "userfaultfd-own"),
    attempt("15", "io_uring_setup", user="filter", root="filter"),
    attempt("15", "swapon", works="EINVAL"),
    attempt("15", "reboot", works="EINVAL"),
    attempt("15", "clock-tick"),
    attempt("15", "sethostname"),
    attempt("15", "acct"),
    attempt("15", "quotactl", root="bound filter box", works="ESRCH", box="no file system with quotas in sight"),
    attempt("15", "iopl", works="OK ENOSYS"),
    attempt("15", "ioperm", works="OK ENOSYS"),
    attempt("15", "dmesg"),
    attempt("15", "console-level", works="EINVAL"),
    attempt("15", "nice"),
    attempt("15", "raise-limit", absent="EPERM"),
    attempt("15", "oom_score_adj", absent="EACCES"),
    attempt("15", "personality", but=cells(NOT_STRICT, "user root", ONLY_STRICT)),
    attempt("15", "modify_ldt", but=cells(NOT_STRICT, "user root", ONLY_STRICT)),
    attempt("16", "line-discipline", but=cells(NOT_STRICT, "user root", ONLY_STRICT)),
    attempt("16", "tiocsti", user="filter", root="filter"),
    attempt("16", "tiocsti-64-bits", user="filter", root="filter"),
    # -- IPC, keys, networks --
    *_ipc_of_the_host,
    *_ipc_of_a_session,
    attempt("17", "sniff-host", user="ids", root="box bound", box="network namespace"),
    attempt("17", "sniff-other", user="ids", root="box bound", box="network namespace",
            but=cells("shared", "root", SHARED), control="shared"),
    attempt("17", "key-of-another", user="filter", root="filter"),
    attempt("17", "user-keyring", user="filter", root="filter", works="OK EDQUOT"),
    attempt("17", "add_key", user="filter", root="filter", works="OK EDQUOT"),  # or so many are there already
    attempt("17", "request_key", user="filter", root="filter", works="OK ENOKEY EDQUOT"),
    attempt("17", "keyctl-32-bits", user="filter", root="filter", works="OK EDQUOT", absent="ENOSYS"),
    attempt("17", "keyctl-x32", user="filter", root="filter", absent="ENOSYS"),
    attempt("17", "change-link", works="ENODEV"),
    attempt("17", "netfilter", but=cells(NOT_STRICT, "user root", ONLY_STRICT)),
    attempt("17", "vsock", user="filter", root="filter"),
    attempt("17", "alg", user="filter", root="filter", absent="EAFNOSUPPORT"),
    attempt("17", "exotic-families"),
    # -- the host's tree --
    attempt("18", "dot-dot", user="box", root="box", box=OWN_TREE),
    attempt("18", "chroot", user="ids", root="box bound", box=OWN_TREE),
    attempt("18", "proc-root", user="box", root="box", box="PID namespace, a /proc of its own"),
    attempt("18", "below-mounts", user="box ids", root="box bound", box=OWN_TREE),
    attempt("18", "pivot_root"),
    attempt("18", "mount-on-host"),
    attempt("25", "given-directory", user="box", root="box", box="no socket in common",
            but={**cells("default strict shared", "user root", GIVEN), **cells("curated", "user", GIVEN)}),
    # -- deputies outside --
    *(attempt("19", name, user="box", root="box", box=VIEW)
      for name in ("system-bus", "user-bus", "user-manager", "system-manager", "docker", "tmux-server",
                   "screen-server", "emacs-server", "gpg-agent", "ssh-agent", "x-server")),
    attempt("19", "ssh-localhost", user="box", root="box", box="network namespace"),
    attempt("19", "control-master", user="box", root="box", box="a home of its own",
            but={**cells("default strict shared", "user root", DEPUTIES), **cells("curated", "user", DEPUTIES)}),
    # settimeofday(2): the time that it is now is another one at once, so it is not tried where it works. clock-tick
    # asks for the same right.
    attempt("15", "clock-set", works="OK ECANCELED"),
]

Elsewhere = collections.namedtuple("Elsewhere", "line name tests")

_PATHS, _ROOTS, _UPPERS = "test_attack_paths.py", "test_attack_roots.py", "test_attack_uppers.py"
_HELPER, _KERNEL, _LIFE = "test_attack_helper.py", "test_attack_kernel.py", "test_attack_life.py"
_GROUPS, _FLOOD, _COUNTED = "test_attack_limits_cgroup.py", "test_attack_limits_flood.py", "test_attack_limits_shared.py"
_SHARED, _DEPUTIES, _TERMINALS = "test_share_attacks.py", "test_attack_deputies.py", "test_attack_terminals.py"


def elsewhere(line, name, *files):
    """files: (FILE, "test_a test_b"), below tests/system or with a directory."""
    return Elsewhere(line, name, [f"{file if '/' in file else 'system/' + file}::{test}" for file, tests in files
                                  for test in tests.split()])


ELSEWHERE = [
    elsewhere("1", "links in the root",
        (_PATHS, "test_mount_point_is_a_link test_other_name_is_a_link test_link_that_a_user_owns"),
        (_ROOTS, "test_mount_point_is_a_link test_other_name_is_a_link test_link_that_a_user_owns "
                 "test_alias_of_a_curated_root")),
    elsewhere("2", "directory and link exchanged",
        (_PATHS, "test_rename_race test_rename_race_of_the_home"),
        (_ROOTS, "test_rename_race_below_home test_rename_race_of_the_home test_rename_race_in_the_tree")),
    elsewhere("3", "false /dev/null, terminals, /proc",
        (_PATHS, "test_false_null test_null_replaced_inside test_false_terminals test_false_proc_of_files "
                 "test_false_proc_mounted"),
        (_ROOTS, "test_false_null test_false_proc")),
    elsewhere("4", "FIFOs",
        (_PATHS, "test_fifo_below_home test_fifo_as_home test_credential_cache test_fifo_in_home_over_ssh"),
        (_ROOTS, "test_fifo_in_the_tree test_fifo_below_home test_fifo_as_home"),
        (_UPPERS, "test_fifos_wait_in_the_directory test_fifo_in_upper")),
    elsewhere("5", "links that wait",
        (_PATHS, "test_link_waits_in_home test_links_wait_in_tmp test_runtime_directory_made_in_advance"),
        (_ROOTS, "test_link_waits_in_home test_links_wait_in_tmp"),
        (_UPPERS, "test_links_wait_in_the_directory test_links_wait_in_work test_links_wait_in_upper")),
    elsewhere("6", "home field, leaked directories",
        (_PATHS, "test_home_field test_home_field_in_paths test_empty_home_field "
                 "test_home_behind_a_leaked_descriptor test_working_directory_in_the_old_tree"),
        (_ROOTS, "test_home_field test_working_directory_in_the_old_tree")),
    elsewhere("7", "trojan in the tree",
        (_ROOTS, "test_trojan_in_the_tree test_user_plants_nothing"),
        (_UPPERS, "test_trojan_in_upper")),
    elsewhere("9", "loop over /proc while others log in",
        (_KERNEL, "test_peek_from_inside test_peek_from_outside test_join_by_an_outsider"),
        (_SHARED, "test_peek_while_others_join test_root_peeks_while_others_join")),
    elsewhere("10", "the helper run by a user",
        (_HELPER, "test_user_runs_the_helper test_user_runs_the_helper_in_a_hostile_way test_socket_of_a_user "
                  "test_fuzzed_requests")),
    elsewhere("11", "names",
        ("pam/test_pamtester.py", "test_user_name test_user_name_that_is_refused test_user_name_in_a_path "
                                  "test_user_name_in_the_configuration test_group_name test_user_name_with_su")),
    elsewhere("11b", "su and sudo from a hostile shell",
        (_HELPER, "test_callers_environment test_callers_limits test_signal_loop test_stop_and_go test_cgroup_kill "
                  "test_callers_state test_ignored_signals test_caller_gone_at_once")),
    elsewhere("13", "control groups as root, by accomplices",
        (_GROUPS, "test_user_tries_everything test_root_sees_no_group test_descriptors_from_outside "
                  "test_moved_from_outside test_descriptor_of_a_box_passed_out_and_in")),
    elsewhere("14", "nodes and set-user-ID of the tree",
        (_ROOTS, "test_nodes_are_dead test_nothing_of_roots_for_a_user")),
    elsewhere("15", "a handler of core dumps",
        ("test_attack_calls.py", "test_core_limit"),
        ("vm/test_core_dumps.py", "test_unboxed test_boxed test_a_user_who_sets_the_limit test_sudo")),
    elsewhere("16", "input into the outer terminal",
        (_TERMINALS, "test_input_into_the_outer_terminal test_without_the_filter"),
        ("test_attack_calls.py", "test_terminal_injection test_outer_terminal"),
        (_SHARED, "test_terminal_of_a_joined_session")),
    elsewhere("17", "IPC of the host and of another box",
        (_KERNEL, "test_ipc_of_the_host test_ipc_of_another_box")),
    elsewhere("18", "ways out of a chroot",
        (_KERNEL, "test_root_tries_to_get_out test_root_gets_out_of_a_chroot test_user_tries_to_get_out "
                  "test_mounts_of_root_stay_inside test_no_second_root"),
        (_ROOTS, "test_root_tries_to_get_out test_mounts_of_root_stay_inside")),
    elsewhere("19", "deputies outside",
        (_DEPUTIES, "test_crontab test_at test_tmux_server test_ssh_rc test_files_of_deputies"),
        ("test_users.py", "test_at test_crontab test_user_services test_ssh_to_the_same_host "
                          "test_sockets_of_services"),
        ("vm/test_systemd.py", "test_managers_are_out_of_reach")),
    elsewhere("20", "floods",
        (_FLOOD, "test_flood test_numbers_wrap test_tmpfs_sizes"),
        ("vm/test_attacks.py", "test_memory")),
    elsewhere("21", "PID 1 and who does not want to end",
        (_LIFE, "test_user_attacks_pid_1 test_root_in_the_box_attacks_pid_1 test_who_stays test_everything_stopped "
                "test_stopped_application"),
        (_SHARED, "test_everything_stopped test_who_does_not_want_to_end")),
    elsewhere("22", "a namespace passed out",
        (_DEPUTIES, "test_namespace_passed_out")),
    elsewhere("23", "killed at every stage",
        ("test_crash.py", "test_kill_while_opening test_kill_at_random_moments test_kill_while_running "
                          "test_connect_and_drop"),
        ("test_faults.py", "test_every_step"),
        ("test_crash_share.py", "test_killed_while_joining"),
        (_SHARED, "test_connect_and_drop test_clients_that_vanish")),
    elsewhere("24", "shared limits used up",
        (_COUNTED, "test_used_up test_all_used_up_at_once test_terminals_of_one_connection"),
        ("vm/test_attacks.py", "test_terminals")),
    elsewhere("25", "descriptors",
        (_LIFE, "test_descriptors_of_su test_descriptors_of_sudo test_descriptors_over_ssh test_descriptors_of_cron "
                "test_descriptors_of_sshds_child test_descriptors_by_sftp"),
        (_SHARED, "test_descriptors_of_joined_sessions")),
    elsewhere("26", "odd sessions",
        ("test_ssh.py", "test_sftp test_force_command test_connection_without_a_command test_root_is_boxed_too"),
        ("test_ssh_forwarding.py", "test_local_forwarding_leads_into_the_box test_remote_forwarding_opens_in_the_box"),
        ("test_su.py", "test_su_in_a_box_stays_in_it"),
        ("pam/test_libpamtest.py", "test_open_without_close test_close_without_open test_open_twice "
                                   "test_threaded_application_is_refused")),
]
LINES = [str(number) for number in range(1, 27)] + ["11b"]
