/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/capability-table.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-util.h"
#include "common/string-util.h"

/* <linux/capability.h> of older systems */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif
#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

const nsb_capability nsb_capabilities[] = {
	/* number, name, kept, power, why */
	{ CAP_CHOWN, "cap_chown", true, false, "chown(1) by root of the box; terminals are given to users" },
	{ CAP_DAC_OVERRIDE, "cap_dac_override", true, false, "root of the box works on files of its users; sudo reads what only root may" },
	{ CAP_DAC_READ_SEARCH, "cap_dac_read_search", false, true, "open_by_handle_at(2) opens any file of a file system, also outside the tree" },
	{ CAP_FOWNER, "cap_fowner", true, false, "chmod(1) and utime by root of the box" },
	{ CAP_FSETID, "cap_fsetid", true, false, "set-group-ID bits stay when root of the box writes a file" },
	{ CAP_KILL, "cap_kill", true, false, "sudo and su pass signals to what they started; others are in other PID namespaces" },
	{ CAP_SETGID, "cap_setgid", true, false, "sudo, su, login, newgrp become somebody" },
	{ CAP_SETUID, "cap_setuid", true, false, "as cap_setgid" },
	{ CAP_SETPCAP, "cap_setpcap", true, false, "programs give up capabilities for good" },
	{ CAP_LINUX_IMMUTABLE, "cap_linux_immutable", false, false, "chattr +i on files of the host outlives the box" },
	{ CAP_NET_BIND_SERVICE, "cap_net_bind_service", true, false, "ports below 1024 of the box's own network" },
	{ CAP_NET_BROADCAST, "cap_net_broadcast", false, false, "unused by the kernel" },
	{ CAP_NET_ADMIN, "cap_net_admin", false, true, "routes, firewalls, and a large part of the kernel's code that is rarely looked at" },
	{ CAP_NET_RAW, "cap_net_raw", true, false, "ping(8) has it as a file capability and does not start without" },
	{ CAP_IPC_LOCK, "cap_ipc_lock", false, false, "locks memory past the limits" },
	{ CAP_IPC_OWNER, "cap_ipc_owner", false, false, "IPC objects of others" },
	{ CAP_SYS_MODULE, "cap_sys_module", false, true, "loads code into the kernel" },
	{ CAP_SYS_RAWIO, "cap_sys_rawio", false, true, "ports and memory of the hardware" },
	{ CAP_SYS_CHROOT, "cap_sys_chroot", true, false, "sshd, build tools; the tree outside cannot be reached by it" },
	{ CAP_SYS_PTRACE, "cap_sys_ptrace", false, true, "traces processes of other users, the application among them" },
	{ CAP_SYS_PACCT, "cap_sys_pacct", false, false, "accounting of the whole host" },
	{ CAP_SYS_ADMIN, "cap_sys_admin", false, true, "mounts, namespaces, and so much else that it is as good as root on the host" },
	{ CAP_SYS_BOOT, "cap_sys_boot", false, true, "reboots, loads another kernel" },
	{ CAP_SYS_NICE, "cap_sys_nice", false, false, "takes the CPUs from others" },
	{ CAP_SYS_RESOURCE, "cap_sys_resource", false, false, "raises limits, those of the kernel's tables among them" },
	{ CAP_SYS_TIME, "cap_sys_time", false, false, "sets the host's clock" },
	{ CAP_SYS_TTY_CONFIG, "cap_sys_tty_config", false, false, "hangs up and sets terminals of the host" },
	{ CAP_MKNOD, "cap_mknod", false, true, "device nodes, and by them raw disks" },
	{ CAP_LEASE, "cap_lease", false, false, "leases on files of others" },
	{ CAP_AUDIT_WRITE, "cap_audit_write", true, false, "sudo, su and login refuse to work if they cannot write their audit record" },
	{ CAP_AUDIT_CONTROL, "cap_audit_control", false, false, "switches auditing of the host off" },
	{ CAP_SETFCAP, "cap_setfcap", true, false, "packages with file capabilities are installed; no more than is in this set takes effect in a box" },
	{ CAP_MAC_OVERRIDE, "cap_mac_override", false, true, "passes by the host's security module" },
	{ CAP_MAC_ADMIN, "cap_mac_admin", false, true, "sets the host's security module" },
	{ CAP_SYSLOG, "cap_syslog", false, false, "the kernel's messages and addresses" },
	{ CAP_WAKE_ALARM, "cap_wake_alarm", false, false, "wakes the machine" },
	{ CAP_BLOCK_SUSPEND, "cap_block_suspend", false, false, "keeps the machine awake" },
	{ CAP_AUDIT_READ, "cap_audit_read", false, false, "the audit records of the host" },
	{ CAP_PERFMON, "cap_perfmon", false, true, "looks into other processes and the kernel" },
	{ CAP_BPF, "cap_bpf", false, true, "puts programs into the kernel" },
	{ CAP_CHECKPOINT_RESTORE, "cap_checkpoint_restore", false, false, "chooses process numbers, reads maps of others" },
};
const size_t nsb_n_capabilities = sizeof(nsb_capabilities) / sizeof(nsb_capabilities[0]);

static uint64_t bit(const nsb_capability *capability)
{
	return 1ULL << capability->number;
}

const nsb_capability *nsb_capability_find(const char *name)
{
	for (size_t i = 0; i < nsb_n_capabilities; i++)
		if (strcasecmp(nsb_capabilities[i].name, name) == 0)
			return &nsb_capabilities[i];
	return NULL;
}

uint64_t nsb_capability_powers(void)
{
	uint64_t set = 0;

	for (size_t i = 0; i < nsb_n_capabilities; i++)
		set |= nsb_capabilities[i].power ? bit(&nsb_capabilities[i]) : 0;
	return set;
}

static bool is_base(const char *word)
{
	return strcmp(word, "default") == 0 || strcmp(word, "all") == 0 || strcmp(word, "none") == 0;
}

int nsb_check_capability(const char *word, nsb_error *error)
{
	if (is_base(word))
		return 0;
	if (word[0] != '+' && word[0] != '-')
		return nsb_error_set(error, EINVAL,
				     "\"%.64s\" is none of default, all, none, +cap_NAME (keeps it too), -cap_NAME "
				     "(takes it away)",
				     word);
	if (nsb_capability_find(word + 1) == NULL)
		return nsb_error_set(error, EINVAL, "there is no capability \"%.64s\": capabilities(7) has their names",
				     word + 1);
	return 0;
}

static uint64_t base_set(const char *word)
{
	uint64_t set = 0;

	if (strcmp(word, "all") == 0)
		return UINT64_MAX;
	for (size_t i = 0; i < nsb_n_capabilities && strcmp(word, "default") == 0; i++)
		set |= nsb_capabilities[i].kept ? bit(&nsb_capabilities[i]) : 0;
	return set;
}

uint64_t nsb_capability_set(const nsb_list *words)
{
	uint64_t set = base_set("default");

	for (size_t i = 0; i < words->n; i++) {
		const char *word = words->items[i];
		const nsb_capability *found = is_base(word) ? NULL : nsb_capability_find(word + 1);

		if (is_base(word))
			set = base_set(word);
		else if (found != NULL)
			set = word[0] == '+' ? set | bit(found) : set & ~bit(found);
	}
	return set;
}

char *nsb_capability_text(uint64_t set)
{
	char *text = NULL;
	size_t size;
	FILE *out;

	if (set == UINT64_MAX || set == 0)
		return strdup(set == 0 ? "none" : "all");
	out = open_memstream(&text, &size);
	if (out == NULL)
		return NULL;
	for (size_t i = 0, n = 0; i < nsb_n_capabilities; i++)
		if (set & bit(&nsb_capabilities[i]))
			fprintf(out, "%s%s", n++ > 0 ? " " : "", nsb_capabilities[i].name);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
