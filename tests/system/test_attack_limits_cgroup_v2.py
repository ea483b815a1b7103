# SPDX-License-Identifier: BSD-3-Clause
# host: --cgroup=v2
# alone: no other host mounts control groups meanwhile
"""Line 13 where there is one cgroup2 tree and no other: the tests of test_attack_limits_cgroup.py."""
from test_attack_limits_cgroup import *  # noqa: F401,F403
