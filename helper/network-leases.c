/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Leases: /run/nsbox/leases has a symbolic link for each address that a box has, named by the address, saying the id. It counts
 * as long as that box has a record (boxes/ID/network), which is there from before anything is made until all is gone,
 * whoever cleans; another one is left from a crash and is taken over. So a choice looks at a few names, however many boxes
 * there are. One lock is held from the choice to the record.
 */
#include "helper/network-leases.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/protocol.h"
#include "common/registry.h"

#define SWEEP_TIME 2000 /* ms that logins may keep the lock before it is left for another time */

bool lease_is_taken(int boxes, int leases, const char *address)
{
	char id[NSB_ID_LENGTH + 2];
	ssize_t n = leases < 0 ? -1 : readlinkat(leases, address, id, sizeof(id) - 1);
	NSB_CLOSE int record = -1;

	if (n < 0)
		return leases >= 0 && errno != ENOENT; /* whatever it is, it is there */
	id[n] = '\0';
	record = nsb_registry_open_network(boxes, id);
	return record >= 0 || (record != -ENOENT && record != -EINVAL);
}

int lease_take(int leases, const char *address, const char *id)
{
	if (unlinkat(leases, address, 0) < 0 && errno != ENOENT)
		return -errno;
	return symlinkat(id, leases, address) < 0 ? -errno : 0;
}

void leases_give_back(int leases, const nsb_network_record *record)
{
	for (size_t i = 0; i < 2 && record->address[i].family != 0; i++) {
		char address[NSB_ADDRESS_SIZE], id[NSB_ID_LENGTH + 1];

		nsb_address_text(&record->address[i], address);
		if (readlinkat(leases, address, id, sizeof(id)) == NSB_ID_LENGTH &&
		    memcmp(id, record->id, NSB_ID_LENGTH) == 0)
			unlinkat(leases, address, 0);
	}
}

void leases_sweep(int boxes)
{
	NSB_CLOSE int lock = -1;
	int leases = nsb_registry_directory("leases", false, NULL);
	DIR *list = leases < 0 ? NULL : fdopendir(leases);
	const struct dirent *entry;

	if (list == NULL) {
		nsb_close(leases);
		return;
	}
	if (nsb_registry_lock_pool(boxes, NSB_POOL_ADDRESSES, nsb_now() + SWEEP_TIME, &lock) == 0)
		while ((entry = readdir(list)) != NULL)
			if (entry->d_name[0] != '.' && !lease_is_taken(boxes, dirfd(list), entry->d_name))
				unlinkat(dirfd(list), entry->d_name, 0);
	closedir(list);
}
