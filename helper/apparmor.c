/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The helper writes next to nothing on the host, and its AppArmor profile says so. In a box it writes whatever the box is made
 * of. And an overlay acts with the credentials of who mounted it, AppArmor's label among them: what the sessions write there
 * the kernel asks of the profile of the builder. Hence a profile of its own for who works in the tree of a box.
 */
#include "helper/apparmor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"

#define LABEL	  "/proc/self/attr/apparmor/current" /* Linux 5.8 */
#define HELPER	  "nsbox-helper"
#define BUILDER	  "nsbox-builder"
#define LABEL_MAX 256

/* "nsbox-helper (enforce)"; a longer label is another one, or several. */
static bool is_helper(const char *label)
{
	size_t length = strlen(HELPER);

	return strncmp(label, HELPER, length) == 0 && (label[length] == ' ' || label[length] == '\0');
}

int apparmor_become_builder(nsb_error *error)
{
	static const char change[] = "changeprofile " BUILDER;
	NSB_CLOSE int fd = open(LABEL, O_RDWR | O_CLOEXEC);
	char label[LABEL_MAX];
	/* a position that has moved is refused when it is written */
	ssize_t n = fd < 0 ? -1 : pread(fd, label, sizeof(label) - 1, 0);

	if (n < 0)
		return 0; /* a kernel without AppArmor; or another's profile, which has no such rule */
	label[n] = '\0';
	if (!is_helper(label))
		return 0;
	if (write(fd, change, strlen(change)) < 0)
		return nsb_error_set(error, errno,
				     "cannot change to the AppArmor profile " BUILDER ": %s: load it with " HELPER
				     " (apparmor_parser -r the file that has both)",
				     strerror(errno));
	return 0;
}
