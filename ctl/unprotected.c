/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/unprotected.h"

#include <stddef.h>

#include "common/string-util.h"

/* By how the sentence begins; those of plan_warnings(), which test_doctor.py compares. */
static const unprotected_row rows[] = {
	{ "root in the box is root on the host's files and kernel", FINDING_NOTE, "write capabilities = default",
	  true },
	{ "root in the box is root on the files of the host", FINDING_NOTE,
	  "write user_namespace = keep-id where users become root in a box", false },
	{ "root in the box is root on the user's files", FINDING_NOTE,
	  "keep secrets out of that root, for root of the box reads them", false },
	{ "root in the box has ", FINDING_WARNING, "write capabilities = default", true },
	{ "a crash starts the host's handler", FINDING_WARNING, "write core = no", true },
	{ "files of the host that the user may read", FINDING_NOTE, "write root = curated, or name a root directory",
	  false },
	{ "the host's /usr and the listed files of /etc", FINDING_NOTE, "name a root directory (nsboxctl mkroot)",
	  false },
	{ "what root in the box writes to the tree is kept", FINDING_NOTE,
	  "write overlay = ephemeral, root_readonly = yes, or a directory with %u in overlay", false },
	{ "names of accounts are in sight", FINDING_NOTE, "name a root directory that has account files of its own",
	  false },
	{ "no system call is filtered", FINDING_WARNING, "write seccomp = default", false },
	{ "user namespaces can be made", FINDING_NOTE, "write nested_namespaces = no, unless they work with containers",
	  false },
	{ "root in the box can mount a /proc", FINDING_WARNING,
	  "write user_namespace = keep-id, or keep users from becoming root by no_new_privs = yes", false },
	{ "the terminal is shared with the host", FINDING_WARNING,
	  "write seccomp = default, or use su --pty and use_pty of sudoers(5)", false },
	{ "the network is the host's", FINDING_NOTE, "write network = loopback if users need none", false },
	{ "the network is a bridge of the host", FINDING_NOTE, "write network = veth, unless users are to be on that network",
	  false },
	{ "the network is that of a namespace of the host", FINDING_NOTE,
	  "write network = loopback, or veth if users need the network", false },
	{ "the network is that of another box", FINDING_NOTE,
	  "write network = loopback, or veth if users need the network", false },
	{ "shared memory, semaphores and message queues are the host's", FINDING_NOTE, "write ipc into namespaces",
	  false },
	{ "devices of the host are open", FINDING_NOTE, "remove lines of dev that users do not need", false },
	{ "the user's sessions in this box see", FINDING_NOTE, "write share = session", false },
	{ "/tmp and /var/tmp are shared", FINDING_NOTE, "write private_tmp = session", false },
	{ "files that the user leaves in the home", FINDING_NOTE,
	  "write home = tmpfs, overlay or none where users need no files of their own", false },
	/* the last one takes all */
	{ "", FINDING_NOTE, "SECURITY.md and nsbox.conf(5) say which key changes that", false },
};

const unprotected_row *unprotected_find(const char *sentence)
{
	const unprotected_row *row = rows;

	while (nsb_after_prefix(sentence, row->begins) == NULL)
		row++;
	return row;
}
