/* SPDX-License-Identifier: BSD-3-Clause */
#include "helper/bus-call.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/protocol.h"

#define BUS_ADDRESS	     "unix:path=/run/dbus/system_bus_socket"
#define PROPERTIES_INTERFACE "org.freedesktop.DBus.Properties"
#define CALL_PATIENCE	     2000 /* ms, one call */

/* Milliseconds that the next call may take; 0: none are left. */
static int64_t patience(const bus_connection *c)
{
	int64_t left = c->end - nsb_now();

	return left < 0 ? 0 : left < CALL_PATIENCE ? left : CALL_PATIENCE;
}

/* sd_bus_call() would wait 90 s for a bus that takes the connection and does not speak. */
static int wait_for_welcome(const bus_connection *c)
{
	int64_t end = nsb_now() + CALL_PATIENCE;

	for (;;) {
		int r = sd_bus_process(c->bus, NULL);

		if (r == 0)
			r = sd_bus_is_ready(c->bus);
		else if (r > 0)
			continue;
		if (r != 0)
			return r < 0 ? r : 0;
		if (nsb_now() >= end)
			return -ETIMEDOUT;
		r = sd_bus_wait(c->bus, (uint64_t)(end - nsb_now()) * 1000);
		if (r < 0 && r != -EINTR)
			return r;
	}
}

int bus_enter(bus_connection *c)
{
	int r = sd_bus_new(&c->bus);

	if (r >= 0)
		r = sd_bus_set_address(c->bus, BUS_ADDRESS);
	if (r >= 0)
		r = sd_bus_set_bus_client(c->bus, true);
	if (r >= 0)
		r = sd_bus_start(c->bus);
	if (r >= 0)
		r = wait_for_welcome(c);
	if (r < 0)
		return nsb_error_set(c->error, r,
				     "the system bus (" BUS_ADDRESS ") does not answer: %s; look at: "
				     "systemctl status dbus.socket dbus.service",
				     strerror(-r));
	return 0;
}

int bus_failed(const bus_connection *c, const bus_service *to, const char *call, int r, const sd_bus_error *told)
{
	const char *words = told != NULL && told->message != NULL ? told->message : strerror(-r);
	size_t length = strlen(words);

	/* ours goes on behind it */
	if (length > 0 && words[length - 1] == '.')
		length--;
	return nsb_error_set(c->error, r, "%s (%s, %s) %s: %.*s; look at: %s", to->title, to->name, call,
			     r == -ETIMEDOUT ? "does not answer" : "refuses", (int)length, words, to->mend);
}

int bus_new_call(const bus_connection *c, const bus_service *to, const char *call, sd_bus_message **ret)
{
	int r = sd_bus_message_new_method_call(c->bus, ret, to->name, to->path, to->interface, call);

	return r < 0 ? nsb_error_set(c->error, r, "cannot make a message: %s", strerror(-r)) : 0;
}

int bus_call(const bus_connection *c, const bus_service *to, const char *call, sd_bus_message *message,
	     sd_bus_error *told, sd_bus_message **ret_reply)
{
	BUS_CLEANUP_ERROR sd_bus_error own = SD_BUS_ERROR_NULL;
	int64_t limit = patience(c);
	int r = -ETIMEDOUT;

	if (told == NULL)
		told = &own;
	if (limit > 0)
		r = sd_bus_call(c->bus, message, (uint64_t)limit * 1000, told, ret_reply);
	if (sd_bus_error_has_name(told, "org.freedesktop.systemd1.NoSuchUnit"))
		r = -ESTALE;
	return r < 0 ? bus_failed(c, to, call, r, told) : 0;
}

int bus_get_property(const bus_connection *c, const bus_service *to, const char *path, const char *interface,
		     const char *property, const char *type, sd_bus_message **ret_reply)
{
	bus_service object = *to;
	BUS_CLEANUP_MESSAGE sd_bus_message *message = NULL;
	int r;

	object.path = path;
	object.interface = PROPERTIES_INTERFACE;
	r = bus_new_call(c, &object, "Get", &message);
	if (r < 0)
		return r;
	r = sd_bus_message_append(message, "ss", interface, property);
	if (r >= 0)
		r = bus_call(c, to, property, message, NULL, ret_reply);
	if (r >= 0)
		r = sd_bus_message_enter_container(*ret_reply, SD_BUS_TYPE_VARIANT, type);
	return r < 0 ? bus_failed(c, to, property, r, NULL) : 0;
}

int bus_get_string(const bus_connection *c, const bus_service *to, const char *path, const char *interface,
		   const char *property, char **ret)
{
	BUS_CLEANUP_MESSAGE sd_bus_message *reply = NULL;
	const char *text;
	int r = bus_get_property(c, to, path, interface, property, "s", &reply);

	if (r < 0)
		return r;
	r = sd_bus_message_read(reply, "s", &text);
	if (r < 0)
		return bus_failed(c, to, property, r, NULL);
	*ret = strdup(text);
	return *ret == NULL ? nsb_error_set(c->error, ENOMEM, "no memory") : 0;
}
