/* SPDX-License-Identifier: BSD-3-Clause */
/* What a root directory lacks that sessions want: none of it is a reason to refuse, all of it is found out late. */
#ifndef NSB_CTL_LACKS_H
#define NSB_CTL_LACKS_H

#include <stdbool.h>

#include "common/session.h"
#include "common/settings.h"
#include "ctl/sample.h"

/* Takes one sentence, not yet printable. */
typedef void lacks_tell(void *argument, const char *sentence);

/* What any session may want of the tree: account files, the loader of its shell, terminal descriptions, and with `sshd`
 * the sftp server that sshd_config names. A tree that others than root can write is not looked at: check_root() has the
 * sentence for that. */
void lacks_of_tree(const char *root, bool sshd, lacks_tell *tell, void *argument);

/* The same for the root of a profile, and the shells of all the accounts that the profile is for; but not that of `tried`
 * (may be NULL), which check_root() has looked at. A root whose name depends on the session is not looked at. */
void lacks_of_profile(const nsb_settings *settings, const samples *accounts, const nsb_session *tried, lacks_tell *tell,
		      void *argument);

#endif
