/* SPDX-License-Identifier: BSD-3-Clause */
/* The values of one profile, every key filled: from the profile, what it inherits, [defaults], or built in. */
#ifndef NSB_SETTINGS_H
#define NSB_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NSB_INFINITY	   INT64_MAX /* a count, size or duration without limit */
#define NSB_SUBID_COUNT	   65536     /* ids that a box with user_namespace = keep-id has */
#define NSB_WEIGHT_DEFAULT 100	     /* what the kernel gives to a group that says nothing */

/* Where something stands in the configuration. `file` is owned by the nsb_config it comes from; NULL: built in. */
typedef struct nsb_origin {
	const char *file;
	unsigned line; /* from 1 */
} nsb_origin;

typedef struct nsb_list {
	char **items;
	nsb_origin *origins; /* of each item */
	size_t n;
} nsb_list;

typedef enum nsb_share { NSB_SHARE_SESSION, NSB_SHARE_USER } nsb_share;
typedef enum nsb_on_change { NSB_ON_CHANGE_SEPARATE, NSB_ON_CHANGE_REFUSE } nsb_on_change;
typedef enum nsb_on_error { NSB_ON_ERROR_DENY, NSB_ON_ERROR_ALLOW } nsb_on_error;
typedef enum nsb_private_tmp { NSB_PRIVATE_TMP_SESSION, NSB_PRIVATE_TMP_NO } nsb_private_tmp;
typedef enum nsb_home { NSB_HOME_BIND, NSB_HOME_TMPFS, NSB_HOME_OVERLAY, NSB_HOME_NONE } nsb_home;
typedef enum nsb_sys { NSB_SYS_RO, NSB_SYS_NONE } nsb_sys;
typedef enum nsb_proc_subset { NSB_PROC_SUBSET_ALL, NSB_PROC_SUBSET_PID } nsb_proc_subset;
typedef enum nsb_devpts { NSB_DEVPTS_AUTO, NSB_DEVPTS_PRIVATE, NSB_DEVPTS_HOST } nsb_devpts;
typedef enum nsb_cgroup_manager {
	NSB_CGROUP_MANAGER_AUTO,
	NSB_CGROUP_MANAGER_CGROUPFS,
	NSB_CGROUP_MANAGER_SYSTEMD,
} nsb_cgroup_manager;
typedef enum nsb_root_kind {
	NSB_ROOT_HOST,
	NSB_ROOT_CURATED, /* a tree made for the box: programs of the host, little of /etc, one home */
	NSB_ROOT_TREE,	  /* a directory, or an image: which of them is seen when it is opened */
	NSB_ROOT_LAYERS,  /* directories upon each other */
} nsb_root_kind;
typedef enum nsb_account_files {
	NSB_ACCOUNT_FILES_ROOT,
	NSB_ACCOUNT_FILES_HOST,
	NSB_ACCOUNT_FILES_MINIMAL,
} nsb_account_files;
typedef enum nsb_seccomp { NSB_SECCOMP_OFF, NSB_SECCOMP_DEFAULT, NSB_SECCOMP_STRICT } nsb_seccomp;
typedef enum nsb_user_namespace { NSB_USER_NAMESPACE_NO, NSB_USER_NAMESPACE_KEEP_ID } nsb_user_namespace;
typedef enum nsb_forwarding { NSB_FORWARDING_CHECK, NSB_FORWARDING_SET } nsb_forwarding;

typedef struct nsb_settings {
	/* who, life */
	nsb_list users;
	nsb_list services;
	nsb_list from;
	char *inherits;	      /* NULL: nothing */
	int on_error;	      /* nsb_on_error */
	int share;	      /* nsb_share */
	int on_change;	      /* nsb_on_change */
	int64_t linger;	      /* milliseconds that a shared box outlives its last login; NSB_INFINITY: for good */
	int64_t stop_timeout; /* milliseconds; never NSB_INFINITY */
	/* view: templates still hold their % specifiers */
	char *hostname;
	char *domainname;    /* "": the host's */
	uint64_t namespaces; /* CLONE_NEW* of uts ipc mount pid cgroup; mount and pid always among them */
	char *root;	     /* "host", "curated", or the absolute path of a directory or an image */
	bool root_readonly;
	char *overlay;	      /* "no", "ephemeral", or an absolute directory that keeps what is written */
	int64_t overlay_size; /* of an ephemeral one: bytes; negative: hundredths of a percent of the memory */
	nsb_list layers;   /* each item "DIRECTORY" or "DIRECTORY:DIRECTORY", the uppermost first; none: root counts */
	int account_files; /* nsb_account_files */
	nsb_list bind, bind_ro, bind_optional; /* each item "SOURCE" or "SOURCE:TARGET" */
	nsb_list tmpfs;			       /* each item "TARGET" or "TARGET:OPTION,OPTION" */
	nsb_list mask;			       /* absolute paths */
	int private_tmp;		       /* nsb_private_tmp */
	int devpts;			       /* nsb_devpts */
	int home;			       /* nsb_home */
	/* of file systems in memory: bytes, or hundredths of a percent of the machine's memory if negative, always whole
	 * percents */
	int64_t home_size, tmp_size, shm_size, run_size;
	int sys;	      /* nsb_sys */
	int proc_subset;      /* nsb_proc_subset */
	nsb_list dev;	      /* plain paths of devices below /dev, perhaps with globs */
	int64_t sessions_max; /* of one user at a time; NSB_INFINITY: no limit */
	int64_t runtime_max;  /* milliseconds; NSB_INFINITY: no limit */
	/* limits of one box; NSB_INFINITY: no limit */
	int cgroup_manager;  /* nsb_cgroup_manager */
	char *cgroup_parent; /* relative path below each cgroup tree */
	int64_t pids_max;    /* processes and threads */
	/* bytes; negative: hundredths of a percent of the machine's memory (swap_max: of its swap) */
	int64_t memory_max, memory_high, swap_max;
	int64_t cpu_max;	       /* microseconds of CPU time in a second: 1500000 is "150%" */
	int64_t cpu_weight, io_weight; /* 1 to 10000; NSB_WEIGHT_DEFAULT: nothing is set */
	char *cpuset;		       /* "0-3,8"; "": all */
	nsb_list io_max;	       /* each item "DEVICE rbps=N wbps=N riops=N wiops=N", any of them, N a number */
	/* limits of all boxes of one user together */
	int64_t user_pids_max, user_memory_max, user_cpu_max;
	bool limits_optional; /* a limit whose controller is missing is left out */
	/* network */
	char *network;	       /* a word of network.h; the target of "join:" still has its specifiers */
	bool network_named;    /* the profile (or what it inherits) names the key itself */
	nsb_list network_pool; /* NETWORK/PREFIX */
	int64_t network_rate;  /* bits per second in each direction; NSB_INFINITY: no limit */
	int64_t network_connections; /* NSB_INFINITY: no limit */
	bool nat;
	int forwarding; /* nsb_forwarding */
	nsb_list dns;	/* "host", "none", or addresses */
	nsb_list publish, allow, deny;
	/* privilege */
	nsb_list capabilities; /* words of capability-table.h */
	bool no_new_privs;
	int seccomp;	    /* nsb_seccomp */
	int user_namespace; /* nsb_user_namespace */
	char *subid_pool;   /* "FIRST-LAST" or "subuid" */
	bool nested_namespaces;
	bool core;
} nsb_settings;

/* Frees what the list owns and makes it empty. */
void nsb_list_done(nsb_list *list);

/* Frees what `settings` owns and zeroes it; safe on a zeroed one. */
void nsb_settings_done(nsb_settings *settings);

#endif
