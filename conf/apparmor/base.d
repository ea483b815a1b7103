# SPDX-License-Identifier: BSD-3-Clause
# Installed as abstractions/base.d/nsbox: for programs in a box that have AppArmor profiles of their own (man, on Debian).
# At the end of the box PID 1 tells them so; without this they are killed when stop_timeout is over.
  signal (receive) peer=nsbox-init,
# /proc of the applications that brought the sessions
  ptrace (readby) peer=nsbox-helper,
