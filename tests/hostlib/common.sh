# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What tests/host, hostlib/layer and hostlib/enter share. Nothing here runs when sourced.

die() {
	echo "tests/host: $*" >&2
	exit 125
}

# One mistaken mount in the machine's own namespace breaks every program on it, so this
# stands before the first mount of each script. $1: what the starting process saw.
assert_new_mount_namespace() {
	local now
	now=$(readlink /proc/self/ns/mnt) || die "cannot read my mount namespace"
	[ -n "$1" ] && [ "$now" != "$1" ] || die "still in the mount namespace $now: nothing mounted"
}

# Prints each place where a file system with real files is mounted, parents first. An overlay
# over / shows what lies *under* another mount, so each of them needs an overlay of its own.
real_mounts() {
	local place rest fstype
	while read -r _ _ _ _ place rest; do
		printf -v place %b "${place//\\/\\0}"
		rest=${rest#* - }
		fstype=${rest%% *}
		case $place in
		/proc | /proc/* | /sys | /sys/* | /dev | /dev/* | /run | /run/* | /tmp | /tmp/* | /var/tmp | /var/tmp/*) continue ;;
		*[,:\\]*) continue ;; # overlay's option syntax has no place for them
		esac
		case $place:$fstype in
		/:*) ;; # a live system's root is a tmpfs
		*:proc | *:sysfs | *:devtmpfs | *:devpts | *:tmpfs | *:ramfs | *:rootfs | *:autofs | *:mqueue | \
			*:hugetlbfs | *:cgroup | *:cgroup2 | *:bpf | *:configfs | *:debugfs | *:tracefs | *:securityfs | \
			*:pstore | *:efivarfs | *:binfmt_misc | *:nsfs | *:rpc_pipefs | *:nfsd) continue ;;
		esac
		echo "$place"
	done </proc/self/mountinfo | sort -u
}

# Overlays over the real file systems $4 (asked for before the first mount of our own): $1 new
# root, $2 where upper and work directories go, $3 (may be empty) a tree of read-only uppers
# that lies between.
overlay_everything() {
	local root=$1 space=$2 layer=$3 place name lower
	for place in $4; do
		name=${place//\//=}
		lower=$place
		[ -z "$layer" ] || [ ! -d "$layer/upper$name" ] || lower=$layer/upper$name:$place
		if [ -d "$place" ]; then
			mkdir -p "$space/upper$name" "$space/work$name"
			mount -t overlay -o "index=off,lowerdir=$lower,upperdir=$space/upper$name,workdir=$space/work$name" \
				"nsbox-test" "$root$place" || die "no overlay over $place"
		else # a container engine's single files, such as /etc/resolv.conf
			cat "$place" >"$root$place"
		fi
	done
}

# The names in a list of packages, one per line.
package_names() {
	sed 's/#.*//; s/[[:space:]]*$//; /^$/d' "$@"
}

# Another host that ends at the same time may clear the loop device that mount(8) wants to share. $1 image, $2 where.
mount_layer() {
	local try
	for try in 1 2 3 4 5; do
		mount -o loop,ro "$1" "$2" 2>/dev/null && return
		sleep 0.1
	done
	mount -o loop,ro "$1" "$2" || die "cannot mount $1"
}

# The tools that are started in the new root must not find the resolver's file gone with the machine's /run.
keep_resolver() {
	local file
	file=$(readlink -f /etc/resolv.conf) || return 0
	case $file in
	/run/*)
		mkdir -p "$1$(dirname "$file")"
		cat "$file" >"$1$file"
		;;
	esac
}

# A /dev of our own: the machine's has its terminals and its disks.
make_dev() {
	local dev=$1 name kind major minor mode
	mount -t tmpfs -o mode=755,nosuid tmpfs "$dev" || die "no /dev"
	while read -r name kind major minor mode; do
		mkdir -p "$(dirname "$dev/$name")"
		mknod -m "$mode" "$dev/$name" "$kind" "$major" "$minor" || die "no /dev/$name"
	done <<-END
		null c 1 3 666
		zero c 1 5 666
		full c 1 7 666
		random c 1 8 666
		urandom c 1 9 666
		kmsg c 1 11 644
		tty c 5 0 666
		fuse c 10 229 666
		net/tun c 10 200 666
		loop-control c 10 237 660
	END
	# the machine's are shared by all hosts on it
	for ((i = 0; i < 64; i++)); do
		mknod -m 660 "$dev/loop$i" b 7 $i || die "no /dev/loop$i"
	done
	chgrp tty "$dev/tty"
	ln -s /proc/self/fd "$dev/fd"
	ln -s /proc/self/fd/0 "$dev/stdin"
	ln -s /proc/self/fd/1 "$dev/stdout"
	ln -s /proc/self/fd/2 "$dev/stderr"
	mkdir "$dev/pts" "$dev/shm" "$dev/mqueue"
	ln -s pts/ptmx "$dev/ptmx"
	mount -t devpts -o newinstance,nosuid,noexec,gid=5,mode=620,ptmxmode=666 devpts "$dev/pts" || die "no devpts"
	mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$dev/shm" || die "no /dev/shm"
	mount -t mqueue -o nosuid,nodev,noexec mqueue "$dev/mqueue" || die "no /dev/mqueue"
}

# The file systems that are made at boot. The caller is in PID and network namespaces of its own.
mount_fresh() {
	local root=$1
	mount -t proc -o nosuid,nodev,noexec proc "$root/proc" || die "no /proc"
	mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/sys" || die "no /sys"
	make_dev "$root/dev"
	mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs "$root/run" || die "no /run"
	mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$root/tmp" || die "no /tmp"
	mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$root/var/tmp" || die "no /var/tmp"
	mkdir -m 1777 "$root/run/lock"
	mkdir -m 755 "$root/run/sshd" "$root/run/user"
	install -m 664 -o root -g utmp /dev/null "$root/run/utmp"
}

# The mounts made so far are private, so this cannot be seen from outside.
enter_root() {
	cd "$1" && pivot_root . . && umount -l . && cd / || die "pivot_root into $1 failed"
}
