/* gcc's own headers include this one where the system claims to be FreeBSD. */
