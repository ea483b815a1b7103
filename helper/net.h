/* SPDX-License-Identifier: BSD-3-Clause */
/* What nsbox-net and who runs it agree about. */
#ifndef NSB_HELPER_NET_H
#define NSB_HELPER_NET_H

#define NSB_NET_FD_NAMESPACE 3 /* of the box, for `up` */

enum { NSB_NET_OK, NSB_NET_FAILED, NSB_NET_USAGE, NSB_NET_NAME_TAKEN, NSB_NET_PORT_TAKEN };

#endif
