/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/fd-util.h"
#include "common/path-util.h"
#include "common/resolv-text.h"

#define HOST_FILE "/etc/resolv.conf"
#define TEXT_MAX  65536 /* bytes; real ones have some hundred */

/* The caller frees *ret. */
static int read_host(int host, const char *name, char **ret)
{
	NSB_CLOSE int path = nsb_path_open(host, name, 0, NULL, NULL, NULL);
	NSB_CLOSE int fd = -1;
	NSB_FREE char *text = malloc(TEXT_MAX);
	struct stat st;
	char proc[64];
	ssize_t n;

	if (text == NULL)
		return -ENOMEM;
	if (path < 0)
		return path;
	if (fstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", path);
	fd = open(proc, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	n = fd < 0 ? -errno : nsb_read_text(fd, text, TEXT_MAX);
	if (n < 0)
		return (int)n;
	*ret = nsb_steal_pointer(&text);
	return 0;
}

int resolver_text(int host, const char *servers, char **ret, size_t *ret_servers)
{
	NSB_FREE char *text = NULL;
	NSB_FREE char *behind = NULL;
	int r = read_host(host, HOST_FILE, &text);

	if (r == 0 && nsb_resolv_is_stub(text))
		r = read_host(host, NSB_RESOLV_BEHIND_STUB, &behind);
	if (r == -ENOMEM)
		return r;
	*ret = nsb_resolv_text(behind != NULL ? behind : text != NULL ? text : "", servers, ret_servers);
	return *ret == NULL ? -ENOMEM : 0;
}
