#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# m4/version.sh [--date] [DIRECTORY]
#
# Prints the version of the source tree DIRECTORY (default: the one with this script), in a form that dpkg and rpm sort
# rightly. configure.ac asks for it, and `make dist` whether it is still the same.
#
#   0.1.0                   the commit with the tag v0.1.0 (v0.1.0-rc1: 0.1.0~rc1)
#   0.1.0+7.g1a2b3c4d5e     7 commits after that tag
#   0.1.0~dev7.g1a2b3c4d5e  7 commits, and no tag before them: sorts before 0.1.0
#   ....dirty               as these, and something in the tree is not committed
#   0.1.0                   neither a tarball nor a clone: the number below
#
# In a tarball it is what `make dist` has written into .tarball-version, whatever repository the tarball was put into.
#
# --date prints instead what time the files of a tarball get, in seconds since 1970: SOURCE_DATE_EPOCH, or that of the last
# commit, or that of the tarball.
set -eu

# The release that is worked on.
base=0.1.0

what=version
if [ "${1-}" = --date ]; then
	what=date
	shift
fi
top=${1-$(dirname "$0")/..}

# Whoever may run this script as root may also have git read the clone that it is in.
in_clone() {
	git -c safe.directory='*' -C "$top" "$@"
}

# A directory of somebody else's repository is no clone of this one.
is_clone() {
	[ -e "$top/.git" ] && in_clone rev-parse -q --verify HEAD >/dev/null 2>&1
}

version_of_clone() {
	hash=g$(in_clone rev-parse --short=10 HEAD)
	if text=$(in_clone describe --tags --long --abbrev=10 --match 'v[0-9]*' 2>/dev/null); then
		tag=${text%-*-g*}
		commits=${text#"$tag-"}
		version=$(echo "${tag#v}" | sed 's/-/~/g')
		sign=+
	else
		version=$base sign="~dev"
		commits=$(in_clone rev-list --count HEAD)
	fi
	commits=${commits%%-*}
	dirty=
	[ -z "$(in_clone status --porcelain)" ] || dirty=.dirty
	[ "$sign$commits$dirty" = +0 ] || version=$version$sign$commits.$hash$dirty
}

print_version() {
	if [ -e "$top/.tarball-version" ]; then
		version=$(cat "$top/.tarball-version")
		from=$top/.tarball-version
	elif is_clone; then
		version_of_clone
		from="the tag of the last release"
	else
		version=$base from=$0
	fi
	case $version in
	[!0-9]* | *[!0-9A-Za-z.+~]* | '')
		echo "$from: \"$version\" is no version that dpkg and rpm take: a digit, then digits, letters and of .+~" >&2
		exit 1
		;;
	esac
	echo "$version"
}

print_date() {
	if [ -n "${SOURCE_DATE_EPOCH-}" ]; then
		echo "$SOURCE_DATE_EPOCH"
	elif [ -e "$top/.tarball-version" ]; then
		date -r "$top/.tarball-version" +%s
	elif is_clone; then
		in_clone log -1 --format=%ct
	else
		date -r "$top/configure.ac" +%s
	fi
}

"print_$what"
