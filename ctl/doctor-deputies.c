/* SPDX-License-Identifier: BSD-3-Clause */
/* Services of the host that do something for a user: by a socket that is in sight in the box, or for members of a group. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "common/string-util.h"
#include "ctl/doctor-boxed.h"
#include "ctl/profile-plan.h"
#include "ctl/profile-shows.h"

static const struct {
	const char *socket;
	finding_severity severity;
	const char *consequence;
} deputies[] = {
	{ "/run/docker.sock", FINDING_PROBLEM, "who may open it is root on the host" },
	{ "/run/containerd/containerd.sock", FINDING_PROBLEM, "who may open it is root on the host" },
	{ "/run/podman/podman.sock", FINDING_PROBLEM, "who may open it is root on the host" },
	{ "/run/libvirt/libvirt-sock", FINDING_PROBLEM, "who may open it reads and writes all disks of the host" },
	{ "/var/lib/lxd/unix.socket", FINDING_PROBLEM, "who may open it is root on the host" },
	{ "/var/snap/lxd/common/lxd/unix.socket", FINDING_PROBLEM, "who may open it is root on the host" },
	{ "/var/lib/incus/unix.socket", FINDING_PROBLEM, "who may open it is root on the host" },
	{ "/run/systemd/private", FINDING_PROBLEM, "who may open it starts units on the host" },
	{ "/run/dbus/system_bus_socket", FINDING_WARNING,
	  "services of the host do for the user what polkit(8) allows: pkexec, systemd-run, machinectl" },
	{ "/run/snapd.socket", FINDING_WARNING, "snapd installs and starts programs outside" },
};

/* Whether the permissions of the socket let the user in. */
static bool may_open(const struct stat *st, const nsb_session *account)
{
	if (st->st_uid == account->uid)
		return (st->st_mode & S_IWUSR) != 0;
	for (size_t i = 0; i < account->n_groups; i++)
		if (account->groups[i].gid == st->st_gid)
			return (st->st_mode & S_IWGRP) != 0;
	return (st->st_mode & S_IWOTH) != 0;
}

static void look_at_deputy(doctor *d, const boxed_list *users, size_t row)
{
	nsb_origin at = { 0 };
	struct stat st;
	crowd c = { 0 };

	if (stat(deputies[row].socket, &st) < 0)
		return;
	for (size_t i = 0; i < users->n; i++) {
		nsb_origin shown = { 0 };

		if (!may_open(&st, users->items[i].account) ||
		    !profile_shows(&users->items[i].settings, deputies[row].socket, &shown))
			continue;
		at = c.n == 0 ? shown : at;
		crowd_add(&c, &users->items[i]);
	}
	if (c.n > 0) {
		NSB_FREE char *where = doctor_origin(at.file != NULL ? at : c.first->profile->at),
			      *who = crowd_text(&c);
		NSB_FREE char *remedy =
			at.file != NULL ? nsb_format("remove that line, or take the users out of the socket's group")
					: nsb_format("write \"mask = %s\" into the profile", deputies[row].socket);

		doctor_find_new(d, deputies[row].severity, where,
				nsb_format("%s is in sight of %s in the box: %s", deputies[row].socket, who,
					   deputies[row].consequence),
				remedy);
	}
}

void deputies_look_at_known(doctor *d, const boxed_list *users)
{
	for (size_t i = 0; i < sizeof(deputies) / sizeof(deputies[0]); i++)
		look_at_deputy(d, users, i);
}

/* Sockets that no row above knows; /var/run is the old name of /run. */
static bool is_deputy(const char *path)
{
	path += nsb_path_below(path, "/var/run") ? strlen("/var") : 0;
	for (size_t i = 0; i < sizeof(deputies) / sizeof(deputies[0]); i++)
		if (strcmp(deputies[i].socket, path) == 0)
			return true;
	return false;
}

static void look_at_bind(doctor *d, const nsb_section *profile, const char *item, nsb_origin at)
{
	NSB_FREE char *source = strndup(item, strcspn(item, ":")), *where = doctor_origin(at);
	struct stat st;

	if (source == NULL || stat(source, &st) < 0 || !S_ISSOCK(st.st_mode) || is_deputy(source))
		return;
	doctor_find_new(
		d, FINDING_NOTE, where,
		nsb_format("profile %s binds the socket %s: what serves it works outside for whoever may open it",
			   profile->name, source),
		"nothing if that is meant; otherwise remove that line");
}

static void look_at_binds_of(void *argument, const nsb_section *profile, const nsb_settings *settings)
{
	const nsb_list *lists[] = { &settings->bind, &settings->bind_ro, &settings->bind_optional };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		for (size_t k = 0; k < lists[i]->n; k++)
			look_at_bind(argument, profile, lists[i]->items[k], lists[i]->origins[k]);
}

void deputies_look_at_binds(doctor *d, const boxed_list *users)
{
	(void)users;
	profiles_each(d->config, look_at_binds_of, d);
}

/* --- groups that are root by another name --- */

static const struct {
	const char *group, *consequence;
} groups[] = {
	{ "docker", "dockerd" },   { "lxd", "lxd" },	     { "incus-admin", "incus" },
	{ "libvirt", "libvirtd" }, { "disk", "a raw disk" },
};

static bool is_member(const nsb_session *account, const char *group)
{
	for (size_t i = 0; i < account->n_groups; i++)
		if (account->groups[i].name != NULL && strcmp(account->groups[i].name, group) == 0)
			return true;
	return false;
}

void deputies_look_at_groups(doctor *d, const boxed_list *users)
{
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		NSB_FREE char *remedy = NULL, *who = NULL;
		crowd c = { 0 };

		for (size_t k = 0; k < users->n; k++)
			if (is_member(users->items[k].account, groups[i].group))
				crowd_add(&c, &users->items[k]);
		if (c.n == 0)
			continue;
		who = crowd_text(&c);
		remedy = nsb_format("run: gpasswd -d %s %s", c.first->account->user, groups[i].group);
		doctor_find_new(
			d, FINDING_NOTE, "/etc/group",
			nsb_format(
				"%s is in the group %s: by %s the user is root on the host wherever a process of the "
				"user is outside",
				who, groups[i].group, groups[i].consequence),
			remedy);
	}
}
