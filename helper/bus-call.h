/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls over the system bus with bounded patience, and one sentence for whatever goes wrong. See sd_bus_call(3). All
 * functions return 0 or a negative errno with words in the connection's error. */
#ifndef NSB_BUS_CALL_H
#define NSB_BUS_CALL_H

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "common/error.h"

/* Who is asked, and where an administrator looks when there is no answer. */
typedef struct bus_service {
	const char *name, *path, *interface, *title, *mend;
} bus_service;

typedef struct bus_connection {
	sd_bus *bus;
	int64_t end; /* of all patience, by nsb_now() */
	nsb_error *error;
} bus_connection;

#define BUS_CLEANUP_ERROR   __attribute__((cleanup(sd_bus_error_free)))
#define BUS_CLEANUP_MESSAGE __attribute__((cleanup(sd_bus_message_unrefp)))
/* not sd_bus_flush_close_unrefp(): that waits for a bus which may be the one that does not answer */
#define BUS_CLEANUP_BUS __attribute__((cleanup(sd_bus_close_unrefp)))

/* Connects and waits for the welcome, at most 2 s. The caller owns c->bus, also after a failure. */
int bus_enter(bus_connection *c);

/* Writes the sentence that `call` (a method or a property) failed with r, unless there is one. Returns the negative
 * errno. `told` may be NULL. */
int bus_failed(const bus_connection *c, const bus_service *to, const char *call, int r, const sd_bus_error *told);

/* A message without arguments yet. */
int bus_new_call(const bus_connection *c, const bus_service *to, const char *call, sd_bus_message **ret);

/* Sends and waits, at most 2 s and not beyond c->end. `call` is for the sentence; `told` (may be NULL) gets the error
 * by its D-Bus name. -ESTALE: systemd has no such unit (any more), a case of its own for whoever undoes. */
int bus_call(const bus_connection *c, const bus_service *to, const char *call, sd_bus_message *message,
	     sd_bus_error *told, sd_bus_message **ret_reply);

/* Asks for one property of type `type`: the reply, entered, so that what is read next is the value. */
int bus_get_property(const bus_connection *c, const bus_service *to, const char *path, const char *interface,
		     const char *property, const char *type, sd_bus_message **ret_reply);

/* The same for a string; the caller frees. */
int bus_get_string(const bus_connection *c, const bus_service *to, const char *path, const char *interface,
		   const char *property, char **ret);

#endif
