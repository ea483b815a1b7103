/* SPDX-License-Identifier: BSD-3-Clause */
#include "pam_nsbox/join.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/namespace-table.h"
#include "common/path-util.h"
#include "pam_nsbox/confine.h"
#include "pam_nsbox/membership.h"
#include "pam_nsbox/name-services.h"

/* Before the join: afterwards /proc/self/ns/pid is ENOENT for us. */
static int save_own(nsb_membership *m, uint64_t namespaces, nsb_error *error)
{
	struct stat here;

	/* from a user namespace none of them can be entered again */
	m->stays = namespaces & CLONE_NEWUSER;
	for (size_t i = 0; i < nsb_n_namespaces && !m->stays; i++) {
		char path[64];

		if ((namespaces & (uint64_t)nsb_namespaces[i].flag) == 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/ns/%s", nsb_namespaces[i].proc);
		if (membership_hold(&m->own[i].held, open(path, O_RDONLY | O_CLOEXEC)) < 0)
			return nsb_error_set(error, errno, "cannot open %s: %s", path, strerror(errno));
		m->own[i].flag = nsb_namespaces[i].flag;
	}
	if (getcwd(m->directory, sizeof(m->directory)) == NULL || m->directory[0] != '/' || stat(".", &here) < 0) {
		m->directory[0] = '\0';
		return 0;
	}
	m->directory_dev = here.st_dev;
	m->directory_ino = here.st_ino;
	return 0;
}

static int enter_cgroups(const nsb_answer *answer, nsb_error *error)
{
	for (size_t i = 0; i < answer->n_cgroups; i++)
		if (write(answer->cgroups[i], "0", 1) != 1)
			return nsb_error_set(error, errno, "cannot enter the box's cgroup: %s", strerror(errno));
	return 0;
}

static int leave_cgroups(char *const *way_back, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		int one = nsb_write_text_at(AT_FDCWD, way_back[i], "0");

		if (one < 0)
			r = one;
	}
	return r;
}

/* Goes to the directory of the name that we came from, in the tree that is "/" now: setns(2) moved us to "/", but su
 * without "-" wants to stay where it was. The name has no symbolic links (getcwd(3)), so none is followed. Where
 * another directory has that name here, it must be one that the user may enter. Otherwise "/" it is. */
static void restore_directory(const nsb_membership *m, uid_t uid, gid_t gid)
{
	NSB_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	NSB_CLOSE int there = -1;
	NSB_CLOSE int other = -1;
	int dumpable = prctl(PR_GET_DUMPABLE);
	struct stat st;

	if (m->directory[0] == '\0' || root < 0)
		return;
	there = nsb_path_open(root, m->directory, NSB_PATH_NO_SYMLINKS | NSB_PATH_DIRECTORY, NULL, NULL, NULL);
	if (there >= 0 && fstat(there, &st) == 0 && st.st_dev == m->directory_dev && st.st_ino == m->directory_ino &&
	    fchdir(there) == 0)
		return;
	setfsgid(gid);
	setfsuid(uid);
	other = nsb_path_open(root, m->directory, NSB_PATH_NO_SYMLINKS | NSB_PATH_DIRECTORY, NULL, NULL, NULL);
	if (other >= 0 && fchdir(other) < 0)
		other = nsb_close(other);
	setfsuid(geteuid());
	setfsgid(getegid());
	/* changing the ids has cleared it, prctl(2) */
	if (dumpable == 1)
		prctl(PR_SET_DUMPABLE, 1);
}

/* Whether a descriptor leads to the host's tree, or to its namespaces and groups, from wherever it is used. */
static bool leads_out(int fd)
{
	static const long kernel[] = { 0x6e736673 /* nsfs */, 0x27e0eb /* cgroup */, 0x63677270 /* cgroup2 */,
				       PROC_SUPER_MAGIC };
	struct statfs fs;
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) < 0)
		return false;
	if (S_ISDIR(st.st_mode) || (flags & O_PATH))
		return true;
	for (size_t i = 0; i < sizeof(kernel) / sizeof(kernel[0]); i++)
		if (fstatfs(fd, &fs) == 0 && fs.f_type == kernel[i])
			return true;
	return false;
}

/* su hands the descriptors of its caller down to the shell: a directory among them would lead out of the box. Closed at
 * exec only, since the application may need it. `list`: the host's /proc/self/fd, which the box's /proc does not have.
 */
static void close_ways_out(DIR *list)
{
	const struct dirent *entry;

	while ((entry = readdir(list)) != NULL) {
		int fd = entry->d_name[0] == '.' ? -1 : atoi(entry->d_name);

		if (fd >= 0 && leads_out(fd))
			fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
}

static int prove_inside(const nsb_answer *answer, nsb_error *error)
{
	NSB_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || nsb_mount_id(root) != answer->root_mount || answer->root_mount == 0)
		return nsb_error_set(error, EPERM, "after the join \"/\" is not the root of the box");
	return 0;
}

static int go_back(nsb_membership *m, nsb_error *error);

/* Tells the helper, and waits until the monitor has the box in hand. */
static int confirm(int socket, nsb_error *error)
{
	int r = nsb_say(socket, NSB_SAY_JOINED);

	if (r == 0)
		r = nsb_hear(socket, nsb_now() + NSB_MODULE_DEADLINE, NSB_SAY_COMMITTED);
	return r < 0 ? nsb_error_set(error, r, "the box has no monitor: %s", strerror(-r)) : 0;
}

/* All or nothing. */
static int enter_namespaces(const nsb_answer *answer, nsb_error *error)
{
	int flags = (int)(answer->namespaces & UINT32_MAX);

	if (answer->namespaces & NSB_OWN_CGROUP_NAMESPACE)
		flags &= ~CLONE_NEWCGROUP;
	if (setns(answer->init, flags) < 0)
		return nsb_error_set(error, errno, "cannot join the box: %s%s", strerror(errno),
				     errno == EPERM ? " (the application needs CAP_SYS_ADMIN, CAP_SYS_CHROOT and "
						      "CAP_SYS_PTRACE)"
						    : "");
	return 0;
}

/* The one namespace that may be made here: it holds nobody, so it can be left as it was entered. */
static int begin_cgroup_namespace(const nsb_answer *answer, nsb_error *error)
{
	if (!(answer->namespaces & NSB_OWN_CGROUP_NAMESPACE) || unshare(CLONE_NEWCGROUP) == 0)
		return 0;
	return nsb_error_set(error, errno, "cannot make a cgroup namespace: %s", strerror(errno));
}

/* The box is the monitor's already, so it is told: what was taken upon itself stays, the session does not. */
static void take_back(nsb_membership *m, const nsb_answer *answer, int socket)
{
	nsb_error ignored = { 0 };

	m->way_back = answer->way_back;
	m->n_way_back = answer->n_way_back;
	go_back(m, &ignored);
	m->way_back = NULL;
	m->n_way_back = 0;
	nsb_say(socket, NSB_SAY_LEAVE);
}

int join_become_root(const uid_t uids[3], const gid_t gids[3], nsb_error *error)
{
	const uid_t same = (uid_t)-1;
	uid_t r, e, s;
	gid_t rg, eg, sg;

	/* by number: the C library's calls would signal the threads */
	if (syscall(SYS_setresgid, gids[0] == 0 ? 0 : same, gids[1] == 0 ? 0 : same, gids[2] == 0 ? 0 : same) < 0 ||
	    syscall(SYS_setresuid, uids[0] == 0 ? 0 : same, uids[1] == 0 ? 0 : same, uids[2] == 0 ? 0 : same) < 0)
		return nsb_error_set(error, errno, "cannot become root of the box: %s", strerror(errno));
	if (getresuid(&r, &e, &s) < 0 || getresgid(&rg, &eg, &sg) < 0 || (r == 0) != (uids[0] == 0) ||
	    (e == 0) != (uids[1] == 0) || (s == 0) != (uids[2] == 0) || (rg == 0) < (gids[0] == 0) ||
	    (eg == 0) < (gids[1] == 0) || (sg == 0) < (gids[2] == 0))
		return nsb_error_set(error, EPERM, "the ids in the box are not root's of the box");
	/* what it holds in memory is the host's: nobody in there may look, root of the box neither */
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_GET_DUMPABLE) != 0)
		return nsb_error_set(error, EPERM, "cannot make the application undumpable");
	return 0;
}

/* A box with a user namespace of its own. */
static int enter_for_good(nsb_membership *m, const nsb_answer *answer, const nsb_filter *filter, int socket,
			  nsb_error *error)
{
	uid_t uids[3];
	gid_t gids[3];
	int r = enter_cgroups(answer, error);

	if (r == 0 && (getresuid(&uids[0], &uids[1], &uids[2]) < 0 || getresgid(&gids[0], &gids[1], &gids[2]) < 0))
		r = -errno;
	if (r == 0)
		r = confirm(socket, error);
	if (r < 0) {
		membership_see_end(socket, error);
		leave_cgroups(answer->way_back, answer->n_way_back);
		return r;
	}
	/* ---- the box is the monitor's: it is told if anything fails ---- */
	r = begin_cgroup_namespace(answer, error);
	if (r == 0)
		r = confine_resources(&answer->confinement, error);
	if (r == 0)
		r = enter_namespaces(answer, error);
	if (r < 0)
		leave_cgroups(answer->way_back, answer->n_way_back);
	/* ---- inside, for good ---- */
	if (r == 0)
		r = join_become_root(uids, gids, error);
	if (r == 0)
		r = prove_inside(answer, error);
	if (r == 0) {
		restore_directory(m, (uid_t)answer->uid, (gid_t)answer->gid);
		r = confine_privileges(&answer->confinement, filter, error);
	}
	if (r < 0)
		nsb_say(socket, NSB_SAY_LEAVE);
	return r;
}

static int enter(nsb_membership *m, const nsb_answer *answer, const nsb_filter *filter, int socket, nsb_error *error)
{
	int r = enter_cgroups(answer, error);

	if (r == 0)
		r = enter_namespaces(answer, error);
	if (r < 0) {
		membership_see_end(socket, error);
		/* setns is all or nothing, so only the cgroup is to be taken back */
		leave_cgroups(answer->way_back, answer->n_way_back);
		return r;
	}
	/* ---- inside. What follows must go back by itself if it fails ---- */
	r = prove_inside(answer, error);
	if (r == 0)
		r = begin_cgroup_namespace(answer, error);
	if (r == 0) {
		restore_directory(m, (uid_t)answer->uid, (gid_t)answer->gid);
		r = confirm(socket, error);
	}
	if (r < 0)
		membership_see_end(socket, error);
	/* ---- nothing that follows can be taken back ---- */
	if (r == 0)
		r = confine_self(&answer->confinement, filter, error);
	if (r < 0)
		take_back(m, answer, socket);
	return r;
}

int join_box(nsb_answer *answer, int socket, bool from_caller, nsb_membership **ret, nsb_error *error)
{
	DIR *list = from_caller ? opendir("/proc/self/fd") : NULL;
	nsb_membership *m = membership_new();
	nsb_filter filter = { 0 };
	nsb_held line, init;
	int r = m == NULL || (from_caller && list == NULL) ? -ENOMEM : membership_watch_forks();

	error->stage = NSB_STAGE_JOIN;
	if (r == 0)
		r = membership_hold(&line, socket);
	if (r == 0)
		r = membership_hold(&init, answer->init);
	if (r == 0)
		r = save_own(m, answer->namespaces, error);
	if (r == 0)
		r = confine_check(&answer->confinement, error);
	if (r == 0)
		r = confine_load(answer->confinement.filter, &filter, error);
	if (r == 0 && (answer->namespaces & NSB_OTHER_TREE))
		name_services_load();
	if (r == 0)
		r = m->stays ? enter_for_good(m, answer, &filter, socket, error)
			     : enter(m, answer, &filter, socket, error);
	free(filter.program);
	if (r == 0 && list != NULL)
		close_ways_out(list);
	if (list != NULL)
		closedir(list);
	if (r < 0) {
		if (m != NULL)
			join_forget(m);
		return nsb_error_set(error, r, "cannot join the box: %s", strerror(-r));
	}
	m->socket = line;
	m->init = init;
	answer->init = -1;
	m->way_back = nsb_steal_pointer(&answer->way_back);
	m->n_way_back = answer->n_way_back;
	/* no descriptor of a cgroup outlives the join: it would be a way out of the limit */
	for (size_t i = 0; i < answer->n_cgroups; i++)
		answer->cgroups[i] = nsb_close(answer->cgroups[i]);
	answer->confinement.filter = nsb_close(answer->confinement.filter);
	membership_enlist(m);
	*ret = m;
	return 0;
}

int join_nothing(int socket, nsb_membership **ret)
{
	nsb_membership *m = membership_new();
	nsb_error ignored = { 0 };
	nsb_held line;
	int r = m == NULL ? -ENOMEM : membership_watch_forks();

	if (r == 0)
		r = membership_hold(&line, socket);
	if (r == 0)
		r = confirm(socket, &ignored);
	if (r < 0) {
		if (m != NULL)
			join_forget(m);
		return r;
	}
	m->socket = line;
	membership_enlist(m);
	*ret = m;
	return 0;
}

static int check_own(const nsb_membership *m, nsb_error *error)
{
	for (size_t i = 0; i < NSB_JOIN_NAMESPACES; i++)
		if (m->own[i].flag != 0 && !membership_holds(&m->own[i].held))
			return nsb_error_set(
				error, EBADF,
				"the application closed a descriptor of the module: it stays in the box, which "
				"ends with it");
	return 0;
}

static int go_back(nsb_membership *m, nsb_error *error)
{
	int r = 0;

	for (size_t i = 0; i < NSB_JOIN_NAMESPACES; i++)
		if (m->own[i].flag != 0 && setns(m->own[i].held.fd, m->own[i].flag) < 0)
			r = nsb_error_set(error, errno, "cannot return to the host's %s namespace: %s",
					  nsb_namespaces[i].key, strerror(errno));
	/* these name files of the host, so the mount namespace comes first */
	if (leave_cgroups(m->way_back, m->n_way_back) < 0 && r == 0)
		r = nsb_error_set(error, EIO, "cannot return to the cgroup of before (%s)",
				  m->n_way_back > 0 ? m->way_back[0] : "");
	restore_directory(m, geteuid(), getegid());
	return r;
}

/* The monitor is gone, and cannot end the box: PID 1 is killed from here. The guard removes the rest. */
static void end_without_monitor(const nsb_membership *m)
{
	if (membership_holds(&m->init))
		syscall(SYS_pidfd_send_signal, m->init.fd, SIGKILL, NULL, 0);
}

int join_leave(nsb_membership *membership, nsb_error *error)
{
	int r = check_own(membership, error);

	error->stage = NSB_STAGE_JOIN;
	if (r == 0) {
		r = membership->stays ? 0 : go_back(membership, error);
		/* Told even if the way back failed: the session is over. */
		if (!membership_holds(&membership->socket) || nsb_say(membership->socket.fd, NSB_SAY_LEAVE) < 0)
			end_without_monitor(membership);
	}
	join_forget(membership);
	return r;
}
