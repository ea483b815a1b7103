/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/capability-set.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BITS  64
#define WORDS 2 /* of 32 bits: _LINUX_CAPABILITY_U32S_3 */

int nsb_capabilities_get(nsb_capability_sets *ret)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct words[WORDS];

	if (syscall(SYS_capget, &head, words) < 0)
		return -errno;
	*ret = (nsb_capability_sets){ words[0].effective | (uint64_t)words[1].effective << 32,
				      words[0].permitted | (uint64_t)words[1].permitted << 32,
				      words[0].inheritable | (uint64_t)words[1].inheritable << 32 };
	return 0;
}

int nsb_capabilities_set(const nsb_capability_sets *sets)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct words[WORDS];

	for (int i = 0; i < WORDS; i++)
		words[i] = (struct __user_cap_data_struct){ (uint32_t)(sets->effective >> (32 * i)),
							    (uint32_t)(sets->permitted >> (32 * i)),
							    (uint32_t)(sets->inheritable >> (32 * i)) };
	return syscall(SYS_capset, &head, words) < 0 ? -errno : 0;
}

bool nsb_capabilities_are(const nsb_capability_sets *wanted)
{
	nsb_capability_sets have;

	if (nsb_capabilities_get(&have) < 0 || have.effective != wanted->effective ||
	    have.permitted != wanted->permitted || have.inheritable != wanted->inheritable)
		return false;
	for (unsigned long number = 0; number < BITS; number++) {
		bool may_be = wanted->permitted & wanted->inheritable & NSB_CAPABILITY(number);

		if (may_be && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, number, 0L, 0L) != 0)
			return false;
	}
	return true;
}

int nsb_ambient_clear(void)
{
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0L, 0L, 0L) < 0 ? -errno : 0;
}

int nsb_bounding_keep(uint64_t keep, unsigned *ret_which)
{
	for (unsigned long number = 0; number < BITS; number++) {
		int there = prctl(PR_CAPBSET_READ, number, 0L, 0L, 0L);

		*ret_which = (unsigned)number;
		if (there < 0 && errno == EINVAL && number > 0)
			return 0;
		if (there < 0)
			return -EIO;
		if (there == 0 || (keep & NSB_CAPABILITY(number)))
			continue;
		if (prctl(PR_CAPBSET_DROP, number, 0L, 0L, 0L) < 0)
			return -errno;
		if (prctl(PR_CAPBSET_READ, number, 0L, 0L, 0L) != 0)
			return -EIO;
	}
	return 0;
}

int nsb_capabilities_reduce(uint64_t keep)
{
	const nsb_capability_sets sets = { keep, keep, 0 };
	unsigned which;
	/* the bounding set first: it takes CAP_SETPCAP */
	int r = nsb_bounding_keep(keep, &which);

	if (r == 0)
		r = nsb_ambient_clear();
	return r == 0 ? nsb_capabilities_set(&sets) : r;
}
