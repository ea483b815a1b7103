/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/image.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd-util.h"
#include "helper/new-mount-api.h"

#define TRIES	   16	/* for a free loop device, while others take theirs */
#define HEAD_SIZE  2048 /* bytes of an image that are looked at */
#define LOOP_FLAGS (LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR)

typedef struct loop_config loop_config;
typedef struct loop_info64 loop_info64;

static uint64_t le64(const char *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

static uint32_t le32(const char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

/* Kernel sources fs/squashfs/squashfs_fs.h, fs/erofs/erofs_fs.h. */
static uint64_t squashfs_bytes(const char *head)
{
	return le64(head + 40);
}

static uint64_t erofs_bytes(const char *head)
{
	unsigned block = (unsigned char)head[1024 + 12];

	return block > 16 ? UINT64_MAX : (uint64_t)le32(head + 1024 + 36) << block;
}

static const struct {
	const char *type;
	size_t at; /* of the magic number */
	uint32_t magic;
	uint64_t (*bytes)(const char *head); /* that the file must have at least */
} types[] = {
	{ "squashfs", 0, 0x73717368, squashfs_bytes },
	{ "erofs", 1024, 0xe0f5e1e2, erofs_bytes },
};

/* The type of the image, or NULL with a sentence. */
static const char *look(int fd, const char *name, nsb_error *error)
{
	char head[HEAD_SIZE] = { 0 };
	struct stat st;

	if (fstat(fd, &st) < 0 || pread(fd, head, sizeof(head), 0) < 0) {
		nsb_error_set(error, errno, "%s: cannot be read: %s", name, strerror(errno));
		return NULL;
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		uint64_t wanted;

		if (le32(head + types[i].at) != types[i].magic)
			continue;
		wanted = types[i].bytes(head);
		if (wanted > (uint64_t)st.st_size) {
			nsb_error_set(error, EINVAL,
				      "%s: the %s image is damaged: it says that it has %llu bytes, the file has %lld: "
				      "copy it again",
				      name, types[i].type, (unsigned long long)wanted, (long long)st.st_size);
			return NULL;
		}
		return types[i].type;
	}
	nsb_error_set(error, EINVAL, "%s: neither a directory nor an image of squashfs or erofs", name);
	return NULL;
}

/* What an O_PATH descriptor is on, for reading. */
static int open_for_reading(int file, const char *name, nsb_error *error)
{
	char proc[64];
	int fd;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", file);
	fd = open(proc, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? nsb_error_set(error, errno, "%s: cannot be read: %s", name, strerror(errno)) : fd;
}

int image_check(int file, const char *name, nsb_error *error)
{
	NSB_CLOSE int fd = open_for_reading(file, name, error);

	if (fd < 0)
		return fd;
	return look(fd, name, error) == NULL ? -error->err : 0;
}

/* Whether the loop device shows the whole of this file, read-only, and goes with its last user. */
static bool shows(int loop, const struct stat *image)
{
	loop_info64 info;

	return ioctl(loop, LOOP_GET_STATUS64, &info) == 0 && info.lo_device == image->st_dev &&
	       info.lo_inode == image->st_ino && info.lo_offset == 0 && info.lo_sizelimit == 0 &&
	       (info.lo_flags & (LOOP_FLAGS | LO_FLAGS_PARTSCAN)) == LOOP_FLAGS;
}

static int open_loop(long number, char *path, size_t size)
{
	int fd;

	snprintf(path, size, "/dev/loop%ld", number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* One that shows the image already: while it is open here, it stays. -ENOENT if there is none. */
static int find_loop(const struct stat *image, char *path, size_t size)
{
	DIR *blocks = opendir("/sys/block");
	const struct dirent *entry;
	int found = -ENOENT;

	while (blocks != NULL && found < 0 && (entry = readdir(blocks)) != NULL) {
		char backing[64], *end;
		long number;
		int fd;

		if (strncmp(entry->d_name, "loop", 4) != 0 || entry->d_name[4] < '0' || entry->d_name[4] > '9')
			continue;
		number = strtol(entry->d_name + 4, &end, 10);
		/* free ones have no such directory, and opening a device is dear */
		snprintf(backing, sizeof(backing), "/sys/block/loop%ld/loop", number);
		if (*end != '\0' || access(backing, F_OK) < 0)
			continue;
		fd = open_loop(number, path, size);
		if (fd >= 0 && shows(fd, image))
			found = fd;
		else if (fd >= 0)
			close(fd);
	}
	if (blocks != NULL)
		closedir(blocks);
	return found;
}

static int make_loop(int control, int image, char *path, size_t size)
{
	loop_config config = { .fd = (uint32_t)image, .info = { .lo_flags = LOOP_FLAGS } };
	int r = -EBUSY;

	for (int i = 0; i < TRIES && r == -EBUSY; i++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		int fd = number < 0 ? -errno : open_loop(number, path, size);

		if (fd < 0)
			return fd;
		if (ioctl(fd, LOOP_CONFIGURE, &config) == 0)
			return fd;
		r = -errno; /* EBUSY: another process was faster */
		close(fd);
	}
	return r;
}

/* The loop device of the image, open; its path in `path`. */
static int get_loop(int image, const char *name, char *path, size_t size, nsb_error *error)
{
	NSB_CLOSE int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct stat st;
	int loop;

	if (control < 0)
		return nsb_error_set(error, errno, "%s: /dev/loop-control: %s (modprobe loop)", name, strerror(errno));
	if (fstat(image, &st) < 0)
		return -errno;
	/* Two logins at once must not make two devices. Only root can open this file, so nobody else can hold it. */
	if (flock(control, LOCK_EX) < 0)
		return nsb_error_set(error, errno, "%s: cannot lock /dev/loop-control: %s", name, strerror(errno));
	loop = find_loop(&st, path, size);
	if (loop == -ENOENT)
		loop = make_loop(control, image, path, size);
	if (loop == -ENOENT)
		return nsb_error_set(error, loop,
				     "%s: the kernel has a loop device free, but there is no %s: make it (mknod), "
				     "or mount a devtmpfs on /dev",
				     name, path);
	return loop < 0 ? nsb_error_set(error, loop, "%s: cannot have a loop device: %s", name, strerror(-loop)) : loop;
}

static int mount_loop(const char *type, const char *device, const char *name, nsb_error *error)
{
	NSB_CLOSE int fs = sys_fsopen(type, FSOPEN_CLOEXEC);
	int mount;

	if (fs < 0)
		return nsb_error_set(error, errno, "%s: this kernel has no %s: %s", name, type, strerror(errno));
	if (sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", device, 0) < 0 ||
	    sys_fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
	    sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return nsb_error_set(error, errno, "%s: the %s image cannot be mounted: %s%s", name, type,
				     strerror(errno),
				     errno == EINVAL || errno == EIO
					     ? " (it is damaged, or made with what this kernel does not know, as a "
					       "compression: see dmesg)"
					     : "");
	mount = sys_fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
	return mount < 0 ? nsb_error_set(error, errno, "%s: the %s image cannot be mounted: %s", name, type,
					 strerror(errno))
			 : mount;
}

int image_mount(int file, const char *name, nsb_error *error)
{
	NSB_CLOSE int fd = open_for_reading(file, name, error);
	NSB_CLOSE int loop = -1;
	const char *type;
	char device[32];

	if (fd < 0)
		return fd;
	type = look(fd, name, error);
	if (type == NULL)
		return -error->err;
	loop = get_loop(fd, name, device, sizeof(device), error);
	/* the mount holds the device from here on */
	return loop < 0 ? loop : mount_loop(type, device, name, error);
}
