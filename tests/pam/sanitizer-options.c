/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the programs of a sanitizer build (configure --enable-sanitizers) write what they find. The helper and what it
 * becomes have no environment and /dev/null for stderr, so the options are compiled in; tests/system/test_asan.py looks
 * for the files.
 */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
	return "log_path=/var/log/nsbox-sanitizer:log_exe_name=1:abort_on_error=0:detect_stack_use_after_return=1:"
	       "strict_string_checks=1:check_initialization_order=1";
}

const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1";
}
