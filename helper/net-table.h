/* SPDX-License-Identifier: BSD-3-Clause */
/* The fixed text of the tables, and the names in it that elements are made for. */
#ifndef NSB_HELPER_NET_TABLE_H
#define NSB_HELPER_NET_TABLE_H

/* Each makes its table and all that is in it, in one transaction; EEXIST where a table of that name exists. */
extern const char net_table_inet[], net_table_bridge[];

/* A set whose one element every box adds. Its name changes with the text of the tables, so that a program never puts boxes
 * into tables that another version of it has made. */
#define NET_TABLE_LAYOUT "layout_2"

#endif
