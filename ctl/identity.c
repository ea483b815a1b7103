/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/identity.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/string-util.h"
#include "ctl/command.h"

static void __attribute__((noreturn)) fail(int status, const char *what)
{
	fprintf(stderr, "nsboxctl: %s: %s\n", what, strerror(errno));
	_exit(status);
}

static void set_groups(const nsb_session *user)
{
	NSB_FREE gid_t *gids = calloc(user->n_groups + 1, sizeof(*gids));

	if (gids == NULL)
		fail(COMMAND_PROBLEM, "groups");
	for (size_t i = 0; i < user->n_groups; i++)
		gids[i] = user->groups[i].gid;
	if (setgroups(user->n_groups, gids) < 0)
		fail(COMMAND_PROBLEM, "cannot set the user's groups");
}

static void become(const nsb_session *user)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	set_groups(user);
	if (setresgid(user->gid, user->gid, user->gid) < 0 || setresuid(user->uid, user->uid, user->uid) < 0)
		fail(COMMAND_PROBLEM, "cannot become the user");
	errno = EPERM;
	if (getresuid(&r, &e, &s) < 0 || r != user->uid || e != user->uid || s != user->uid ||
	    getresgid(&rg, &eg, &sg) < 0 || rg != user->gid || eg != user->gid || sg != user->gid)
		fail(COMMAND_PROBLEM, "the ids are not the user's");
	if (user->uid != 0 && setresuid(0, 0, 0) == 0)
		fail(COMMAND_PROBLEM, "root can be had back");
}

/* After the last change of ids, which clears it: prctl(2). In a PID namespace of its own getppid(2) says 0 always, so
 * whether nsboxctl lived when it was set is asked of the pidfd. */
static void follow(int parent)
{
	struct pollfd gone = { .fd = parent, .events = POLLIN };

	if (prctl(PR_SET_PDEATHSIG, SIGHUP) < 0 || poll(&gone, 1, 0) != 0)
		_exit(COMMAND_PROBLEM);
	close(parent);
}

static void set(const char *name, const char *value)
{
	if (setenv(name, value, 1) < 0)
		fail(COMMAND_PROBLEM, "environment");
}

/* What a login has. */
static void fresh_environment(const nsb_session *user)
{
	/* the strings stay where they are when the list of them is cleared */
	const char *term = getenv("TERM"), *lang = getenv("LANG");

	clearenv();
	set("HOME", user->home);
	set("USER", user->user);
	set("LOGNAME", user->user);
	set("SHELL", user->shell);
	set("PATH", user->uid == 0 ? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
				   : "/usr/local/bin:/usr/bin:/bin");
	if (!nsb_str_empty(term))
		set("TERM", term);
	if (!nsb_str_empty(lang))
		set("LANG", lang);
}

static void set_environment(const identity *who)
{
	if (!who->as_caller)
		fresh_environment(who->user);
	set("NSBOX_ID", who->id);
	for (size_t i = 0; i < who->n_environment; i++) {
		if (strchr(who->environment[i], '=') == NULL)
			unsetenv(who->environment[i]);
		else if (putenv(who->environment[i]) != 0)
			fail(COMMAND_PROBLEM, "environment");
	}
}

static void execute(const identity *who)
{
	const char *shell = who->user->shell, *slash = strrchr(shell, '/');
	const char *program = who->command[0] != NULL ? who->command[0] : shell;
	NSB_FREE char *login = nsb_format("-%s", slash != NULL ? slash + 1 : shell);

	if (who->command[0] != NULL)
		execvp(program, who->command);
	else
		execv(program, (char *[]){ login, NULL });
	fail(errno == ENOENT ? COMMAND_NOT_FOUND : COMMAND_NOT_EXECUTABLE, program);
}

void identity_exec(const identity *who, int parent)
{
	become(who->user);
	/* ---- the user from here on ---- */
	follow(parent);
	umask(022);
	if (!who->as_caller && chdir(who->user->home) < 0 && chdir("/") < 0)
		fail(COMMAND_PROBLEM, "/");
	set_environment(who);
	execute(who);
	_exit(COMMAND_NOT_EXECUTABLE);
}
