# SPDX-License-Identifier: BSD-3-Clause
"""What the pytest files share. Everything here runs as root in the throw-away host."""
