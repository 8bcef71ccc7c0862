/*
 * Compiled into the build with sanitizers, as one of its CFLAGS. Here, not in the environment, which some tests clear:
 * memory that a process has when it exits or execs is no leak; a death by signal stays one; and what
 * is found is no exit status of ours.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:disable_coredump=0:handle_segv=0:exitcode=99";
}
