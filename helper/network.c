/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses and names of a box's own network, and the runs of nsbox-net. */
#include "helper/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "common/protocol.h"
#include "helper/net.h"
#include "helper/network-leases.h"
#include "helper/run-program.h"
#include "helper/share.h"
#include "helper/steps.h"

#define PROGRAM	     NSB_LIBEXECDIR "/nsbox-net"
#define MEND	     "install nsbox built with libnl and libnftables (configure --with-network), or write network = loopback"
#define ENDING	     1000  /* ms that a box needs to end, beside stop_timeout */
#define PATIENCE_MAX 4000  /* ms: well before the helper's deadline */
#define NEXT_LOOK    50	   /* ms */
#define DOWN_TIME    10000 /* ms for nsbox-net to clean: behind hundreds of others, perhaps */
#define NAMES_MAX    8	   /* names that may be taken, one after the other */

static bool wanted(const nsb_box *box)
{
	return box->plan.network != NULL;
}

/* ---- addresses ---- */

/* Addresses of the pool that boxes may have: neither the first nor, of IPv4, the last. Beyond 2^24 nobody needs to look. */
static uint64_t pool_size(const nsb_address *pool)
{
	unsigned bits = nsb_address_width(pool->family) - pool->prefix;

	if (bits > 24)
		bits = 24;
	return ((uint64_t)1 << bits) - 2;
}

/* Of the pools of one family the address that the user would have, or the next that is free. False: none is. */
static bool choose_address(nsb_box *box, int boxes, int leases, int family, nsb_address *ret)
{
	const nsb_network_record *record = box->plan.network;
	uint64_t size = 0, start;

	for (size_t i = 0; i < record->n_pools; i++)
		size += record->pools[i].family == family ? pool_size(&record->pools[i]) : 0;
	start = size == 0 ? 0 : box->session.uid % size;
	for (uint64_t tried = 0; tried < size; tried++) {
		uint64_t number = (start + tried) % size;
		char text[NSB_ADDRESS_SIZE];
		size_t i = 0;

		for (; record->pools[i].family != family || number >= pool_size(&record->pools[i]); i++)
			if (record->pools[i].family == family)
				number -= pool_size(&record->pools[i]);
		*ret = nsb_network_at(&record->pools[i], number + 1);
		nsb_address_text(ret, text);
		if (!lease_is_taken(boxes, leases, text))
			return true;
	}
	return false;
}

static bool has_pool(const nsb_network_record *record, int family)
{
	for (size_t i = 0; i < record->n_pools; i++)
		if (record->pools[i].family == family)
			return true;
	return false;
}

/* `leases`: -1 where nobody ever had one. */
static int choose_addresses(nsb_box *box, int boxes, int leases)
{
	static const int families[] = { AF_INET, AF_INET6 };
	nsb_network_record *record = box->plan.network;
	size_t n = 0;

	memset(record->address, 0, sizeof(record->address));
	for (size_t i = 0; i < 2; i++) {
		if (!has_pool(record, families[i]))
			continue;
		if (choose_address(box, boxes, leases, families[i], &record->address[n++]))
			continue;
		/* not a fault of the box: with on_error = allow the one too many would be one without a box */
		box->forbidden = true;
		return nsb_error_set(
			&box->error, EUSERS,
			"network_pool: boxes have all %s addresses of the pool: end some, or make it larger",
			families[i] == AF_INET ? "IPv4" : "IPv6");
	}
	return 0;
}

/* After a logout the box needs its time to end, and whoever comes back at once is to get in. */
static int64_t end_of_patience(const nsb_box *box)
{
	int64_t patience = box->plan.stop_timeout + ENDING;

	return nsb_now() + (patience < PATIENCE_MAX ? patience : PATIENCE_MAX);
}

static void wait_a_moment(nsb_box *box)
{
	box->error = (nsb_error){ .stage = box->error.stage };
	box->forbidden = false;
	nanosleep(&(struct timespec){ .tv_nsec = NEXT_LOOK * 1000L * 1000L }, NULL);
}

static int wait_for_addresses(nsb_box *box, int boxes, int leases)
{
	int64_t deadline = end_of_patience(box);
	int r;

	while ((r = choose_addresses(box, boxes, leases)) == -EUSERS && nsb_now() < deadline &&
	       !(box->plan.share && share_joinable(box)))
		wait_a_moment(box);
	/* then it joins, and needs none */
	return r == -EUSERS && box->plan.share && share_joinable(box) ? 0 : r;
}

/* ---- names ---- */

/* Unicast, and locally administered: nobody's hardware. */
static int choose_names(nsb_network_record *record)
{
	char random[NSB_ID_LENGTH + 1];
	int r = nsb_id_make(random);

	if (r < 0)
		return r;
	snprintf(record->link, sizeof(record->link), "nsb-%s", random);
	if (getrandom(record->host_mac, 6, 0) != 6 || getrandom(record->box_mac, 6, 0) != 6)
		return -EIO;
	record->host_mac[0] = (unsigned char)((record->host_mac[0] & 0xfc) | 2);
	/* a bridge without an address of its own takes the lowest of its ports: not that of a box, which goes again */
	if (record->kind == NSB_NETWORK_BRIDGE)
		memcpy(record->host_mac, "\xfe\xff", 2);
	record->box_mac[0] = (unsigned char)((record->box_mac[0] & 0xfc) | 2);
	return 0;
}

static int fill_record(nsb_box *box)
{
	nsb_network_record *record = box->plan.network;
	int r = choose_names(record);

	memcpy(record->id, box->session.id, sizeof(record->id));
	return r < 0 ? nsb_error_set(&box->error, r, "cannot choose a name for the link: %s", strerror(-r)) : 0;
}

int network_choose(nsb_box *box, int *ret_lock)
{
	NSB_CLOSE int lock = -1;
	NSB_CLOSE int leases = -1;
	nsb_network_record *record = box->plan.network;
	int r;

	if (!wanted(box))
		return 0;
	leases = nsb_registry_directory("leases", true, &box->error);
	if (leases < 0)
		return leases;
	r = nsb_registry_lock_pool(box->boxes, NSB_POOL_ADDRESSES, box->deadline, &lock);
	if (r < 0)
		return nsb_error_set(&box->error, r, "cannot lock " NSB_RUNDIR "/users: %s", strerror(-r));
	r = choose_addresses(box, box->boxes, leases);
	if (r == 0)
		r = fill_record(box);
	for (size_t i = 0; r == 0 && i < 2 && record->address[i].family != 0; i++) {
		char address[NSB_ADDRESS_SIZE];

		nsb_address_text(&record->address[i], address);
		r = lease_take(leases, address, record->id);
		if (r < 0)
			nsb_error_set(&box->error, r, "cannot write " NSB_RUNDIR "/leases/%s: %s", address,
				      strerror(-r));
	}
	if (r == 0)
		*ret_lock = nsb_steal_fd(&lock);
	return r;
}

/* ---- runs of nsbox-net ---- */

/* 0; -EEXIST: the name of the link is taken; -EADDRINUSE: a port that it publishes is another box's. */
static int run(const char *verb, int record, int namespace, int64_t deadline, nsb_error *error)
{
	char *const arguments[] = { (char *)"nsbox-net", (char *)verb, NULL };
	const run_wish wish = { PROGRAM,       arguments,	deadline,     MEND,
				.program = -1, .input = record, .output = -1, .extra = namespace };
	char said[NSB_WORDS_SAID];
	int r = run_program(&wish, said, error);

	if (r <= 0)
		return r;
	return nsb_error_set(error,
			     r == NSB_NET_NAME_TAKEN   ? EEXIST
			     : r == NSB_NET_PORT_TAKEN ? EADDRINUSE
						       : EIO,
			     "%s", said[0] != '\0' ? said : PROGRAM " failed without a word");
}

/*
 * The record, locked: one run at a time, and none behind the last one. A renewal goes on when its monitor already cleans, and would
 * put in again what `down` has just taken out. nsbox-net has the descriptor as well, and so keeps the lock if we are killed.
 * -ENOENT: it is gone, or goes while we wait.
 */
static int open_record(int boxes, const char *id)
{
	NSB_CLOSE int record = nsb_registry_open_network(boxes, id);
	struct stat st;

	if (record < 0)
		return record;
	while (flock(record, LOCK_EX) < 0)
		if (errno != EINTR)
			return -errno;
	if (fstat(record, &st) < 0)
		return -errno;
	return st.st_nlink == 0 ? -ENOENT : nsb_steal_fd(&record);
}

static int run_on_entry(int boxes, const char *id, const char *verb, int namespace, int64_t deadline, nsb_error *error)
{
	NSB_CLOSE int record = open_record(boxes, id);

	if (record < 0)
		return record == -ENOENT && namespace < 0
			       ? 0
			       : nsb_error_set(error, record, "cannot read the network of the box %s: %s", id,
					       strerror(-record));
	return run(verb, record, namespace, deadline, error);
}

/* The record as it would be, for who only asks. */
static int ask(nsb_box *box)
{
	NSB_CLOSE int file = memfd_create("nsbox-network", MFD_CLOEXEC);
	NSB_FREE char *text = NULL;
	int r = file < 0 ? -errno : nsb_network_record_format(box->plan.network, &text);

	if (r == 0)
		r = nsb_write_all(file, text, strlen(text));
	if (r == 0 && lseek(file, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? nsb_error_set(&box->error, r, "cannot write the network of the box: %s", strerror(-r))
		     : run("check", file, -1, box->deadline, &box->error);
}

static int check_program(nsb_error *error)
{
	struct stat st;

	if (stat(PROGRAM, &st) < 0)
		return nsb_error_set(error, errno, "network: nsbox-net is not installed (" PROGRAM ": %s): " MEND,
				     strerror(errno));
	if (!S_ISREG(st.st_mode) || !nsb_stat_trusted(&st) || (st.st_mode & S_IXUSR) == 0)
		return nsb_error_set(error, EPERM, PROGRAM " is not a program that only root can change");
	return 0;
}

int network_check(nsb_box *box)
{
	NSB_CLOSE int boxes = -1;
	NSB_CLOSE int leases = -1;
	int r;

	if (!wanted(box))
		return 0;
	r = check_program(&box->error);
	if (r < 0)
		return r;
	boxes = nsb_registry_open(false, NULL);
	if (boxes < 0 && boxes != -ENOENT)
		return nsb_error_set(&box->error, boxes, "cannot open the registry: %s", strerror(-boxes));
	leases = nsb_registry_directory("leases", false, NULL);
	if (leases < 0 && leases != -ENOENT)
		return nsb_error_set(&box->error, leases, "cannot open " NSB_RUNDIR "/leases: %s", strerror(-leases));
	r = wait_for_addresses(box, boxes, leases);
	/* a login asks when it counts, and one that joins a box has no address */
	if (r < 0 || box->request.verb == NSB_VERB_OPEN || box->plan.network->address[0].family == 0)
		return r;
	r = fill_record(box);
	return r < 0 ? r : ask(box);
}

/* ---- the step ---- */

static int open_namespace(nsb_box *box)
{
	char path[64];
	int fd;

	/* the builder is our child, so its number is nobody else's */
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)box->init_pid);
	fd = box->owned[USERNS_OWNED_NETWORK] >= 0 ? fcntl(box->owned[USERNS_OWNED_NETWORK], F_DUPFD_CLOEXEC, 3)
						   : open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? nsb_error_set(&box->error, errno, "cannot open the network namespace of the box: %s",
				      strerror(errno))
		      : fd;
}

/* Where the name of the link is taken, though it is a random one, there is another. */
static int up_by_some_name(nsb_box *box, int namespace)
{
	nsb_network_record *record = box->plan.network;
	int r = -EEXIST;

	for (int i = 0; r == -EEXIST && i < NAMES_MAX; i++) {
		box->error = (nsb_error){ .stage = box->error.stage };
		if (i > 0 && (r = choose_names(record)) == 0)
			r = nsb_registry_write_network(box->boxes, record, &box->error);
		else
			r = 0;
		if (r == 0)
			r = run_on_entry(box->boxes, record->id, "up", namespace, box->deadline, &box->error);
	}
	return r;
}

/* A port may still be that of a box which ends: whoever comes back at once is to get in. */
int network_step(nsb_box *box, const nsb_step *step)
{
	NSB_CLOSE int namespace = open_namespace(box);
	int64_t last = box->deadline - PATIENCE_MAX / 2, end = end_of_patience(box);
	int r;

	(void)step;
	if (namespace < 0)
		return namespace;
	while ((r = up_by_some_name(box, namespace)) == -EADDRINUSE && nsb_now() < end && nsb_now() < last)
		wait_a_moment(box);
	return r;
}

void network_undo(nsb_box *box, const nsb_step *step)
{
	nsb_error error = { 0 };

	(void)step;
	/* else the entry stays, and whoever sweeps tries again */
	box->network_left = network_remove(box->boxes, box->entry.id, &error) < 0;
}

int network_remove(int boxes, const char *id, nsb_error *error)
{
	NSB_FREE nsb_network_record *record = malloc(sizeof(*record));
	NSB_CLOSE int leases = -1;
	NSB_CLOSE int file = open_record(boxes, id);
	int r = record == NULL ? -ENOMEM : file < 0 ? file : nsb_registry_read_network(boxes, id, record);

	if (r == -ENOENT)
		return 0;
	if (r == -EBADMSG) /* not written by us, so nothing was made by it */
		return nsb_registry_remove_network(boxes, id);
	if (r == 0)
		r = run("down", file, -1, nsb_now() + DOWN_TIME, error);
	if (r < 0)
		return nsb_error_set(error, r, "cannot remove the network of the box %s: %s", id, strerror(-r));
	leases = nsb_registry_directory("leases", false, NULL);
	if (leases >= 0)
		leases_give_back(leases, record);
	return nsb_registry_remove_network(boxes, id);
}

int network_renew(int boxes, const char *id, nsb_error *error)
{
	return run_on_entry(boxes, id, "rules", -1, nsb_now() + DOWN_TIME, error);
}
