/* SPDX-License-Identifier: BSD-3-Clause */
#include "pam_nsbox/facts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <security/pam_modules.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fd-util.h"
#include "common/registry.h"
#include "common/service-table.h"
#include "common/string-util.h"

int facts_words(int argc, const char **argv, nsb_words *ret, nsb_error *error)
{
	nsb_words words = { .profile = "", .conf = "" };

	for (int i = 0; i < argc; i++) {
		const char *value;

		if (strcmp(argv[i], "open") == 0)
			words.open = true;
		else if (strcmp(argv[i], "close") == 0)
			words.close = true;
		else if (strcmp(argv[i], "debug") == 0)
			words.debug = true;
		else if ((value = nsb_after_prefix(argv[i], "profile=")) != NULL && *value != '\0')
			words.profile = value;
		else if ((value = nsb_after_prefix(argv[i], "conf=")) != NULL && *value == '/')
			words.conf = value;
		else
			return nsb_error_set(error, EINVAL,
					     "unknown word \"%s\" behind pam_nsbox.so in /etc/pam.d: open, close, "
					     "profile=NAME, conf=/FILE and debug are known",
					     argv[i]);
	}
	*ret = words;
	return 0;
}

static char *item(pam_handle_t *pamh, int type)
{
	const void *value = NULL;

	if (pam_get_item(pamh, type, &value) != PAM_SUCCESS || value == NULL)
		return (char *)"";
	return (char *)value;
}

int facts_gather(pam_handle_t *pamh, const nsb_words *words, nsb_verb verb, char *id, nsb_request *ret,
		 nsb_error *error)
{
	const char *cache = pam_getenv(pamh, "KRB5CCNAME");
	int r = nsb_id_make(id);

	if (r < 0)
		return nsb_error_set(error, r, "cannot make an id for the session: getrandom: %s", strerror(-r));
	*ret = (nsb_request){
		.verb = verb,
		.flags = words->debug ? NSB_REQUEST_DEBUG : 0,
		.id = id,
		.user = item(pamh, PAM_USER),
		.service = item(pamh, PAM_SERVICE),
		.tty = item(pamh, PAM_TTY),
		.rhost = item(pamh, PAM_RHOST),
		.krb5ccname = (char *)(cache != NULL ? cache : ""),
		.profile = (char *)words->profile,
		.conf = (char *)words->conf,
	};
	return ret->user[0] != '\0' ? 0 : nsb_error_set(error, EINVAL, "the application set no user name (PAM_USER)");
}

bool facts_boxed(void)
{
	NSB_CLOSE int fd =
		open("/run/host/container-manager", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	char text[16];

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0 && (st.st_mode & 022) == 0 &&
	       nsb_read_text(fd, text, sizeof(text)) > 0 && strcmp(text, "nsbox\n") == 0;
}

const char *facts_out_of_scope(const nsb_request *request)
{
	if (request->tty[0] == ':')
		return "graphical sessions are not boxed (PAM_TTY is a display)";
	if (nsb_service_traits(request->service) & NSB_SERVICE_NEVER)
		return "sessions of this service are not boxed";
	return NULL;
}

int facts_single_thread(nsb_error *error)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *entry;
	int n = 0;

	if (tasks == NULL)
		return nsb_error_set(error, errno, "cannot read /proc/self/task: is /proc mounted?");
	while ((entry = readdir(tasks)) != NULL)
		n += entry->d_name[0] != '.';
	closedir(tasks);
	if (n != 1)
		return nsb_error_set(error, EBUSY,
				     "the application has %d threads; only one with a single thread can be boxed", n);
	return 0;
}
