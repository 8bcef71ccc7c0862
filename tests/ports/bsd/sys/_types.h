/* gcc's own headers want one where they are told that the system is FreeBSD. */
