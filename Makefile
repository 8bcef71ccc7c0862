.POSIX:

CC = cc
CFLAGS = -O2 -g
PREFIX = /usr/local
MANDIR = $(PREFIX)/share/man
BASHDIR = $(PREFIX)/share/bash-completion/completions
ZSHDIR = $(PREFIX)/share/zsh/site-functions
FISHDIR = $(PREFIX)/share/fish/vendor_completions.d
JOBS = 8
TESTS = tests

# Apart from CFLAGS, so that a packager's do not drop them; before CFLAGS, so that those can override them.
WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-qual \
	-Wcast-align -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wwrite-strings -Wundef -Wvla -Wformat=2 -Wswitch-enum -Wnull-dereference \
	-Wdouble-promotion
# Compiled together, all of them each time: "cc -o daemonize daemonize.c src/*.c" does as well.
SOURCES = daemonize.c src/*.c
HEADERS = src/*.h
COMPILE = $(CC) -std=c11 $(WARNINGS) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)
TOOLS = tests/target tests/racer
# As few pages as possible, since a start has to touch each.
STATIC = -static -Os -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
	-Wl,--gc-sections -Wl,-z,noseparate-code
BENCH = tests/bench/bench tests/bench/first tests/bench/floor tests/bench/floor-static \
	tests/bench/static
TORTURE = tests/torture/idle tests/torture/oldkernel tests/torture/race tests/torture/static \
	tests/torture/sweep

all: daemonize

daemonize: $(SOURCES) $(HEADERS)
	$(COMPILE) -o $@ $(SOURCES)

# With no libc to load at run time, and code and data in fewer pages, a start takes half the time.
static:
	rm -f daemonize
	$(MAKE) CC=musl-gcc LDFLAGS='$(STATIC)' daemonize

tests/target: tests/target.c
	$(COMPILE) -o $@ tests/target.c

tests/racer: tests/racer.c
	$(COMPILE) -o $@ tests/racer.c

tests/torture/idle: tests/torture/idle.c
	$(COMPILE) -static -o $@ tests/torture/idle.c

tests/torture/oldkernel: tests/torture/oldkernel.c
	$(COMPILE) -o $@ tests/torture/oldkernel.c

tests/torture/race: tests/torture/race.c tests/torture/lab.c tests/torture/lab.h
	$(COMPILE) -o $@ tests/torture/race.c tests/torture/lab.c

tests/torture/static: $(SOURCES) $(HEADERS)
	$$(command -v musl-gcc || echo $(CC)) -std=c11 $(CFLAGS) -static -o $@ $(SOURCES)

tests/torture/sweep: tests/torture/sweep.c tests/torture/inject.c tests/torture/inject.h \
	tests/torture/lab.c tests/torture/lab.h tests/torture/state.c tests/torture/state.h
	$(COMPILE) -o $@ tests/torture/sweep.c tests/torture/inject.c tests/torture/lab.c \
		tests/torture/state.c

# DAEMONIZE=program tests another one, TESTS=tests/fds.bats only a part; ROUNDS=300 races longer.
check: daemonize $(TOOLS)
	bats $$(command -v parallel >/dev/null && echo --jobs $(JOBS)) $(TESTS)

# gcc, clang and tcc, to the letter of the standard. TESTS=tests/fds.bats tests what they build.
check-compilers:
	JOBS=$(JOBS) tests/ports/compilers

# As root, fifteen minutes: builds without /proc, pidfds, a subreaper and whatever else only Linux has.
check-fallbacks: tests/racer
	CC='$(CC)' JOBS=$(JOBS) tests/ports/fallbacks

# As root, fifteen minutes; says what it needs. PORTS="i386 s390x" tests only those,
# PORTS="debian-bullseye debian-sid old-kernel old-engine" others.
check-ports: tests/racer
	JOBS=$(JOBS) tests/ports/run

# Needs python3 and its venv, and downloads a cross-compiler, 100 MB. It compiles and links, but runs nothing.
cross:
	tests/ports/cross

# x86-64 Linux with glibc, two minutes. FULL=1 leaves nothing out; ROUNDS=300 races longer.
torture: daemonize $(TORTURE)
	tests/torture/run

# Needs valgrind, and libc's symbols for it. WATCHED='tests/race.bats' runs other tests under it.
WATCHED = tests/control.bats tests/detach.bats tests/exec.bats tests/fds.bats tests/identity.bats \
	tests/loggers.bats tests/options.bats tests/signals.bats

valgrind: daemonize $(TOOLS)
	JOBS=$(JOBS) tests/valgrind ./daemonize $(WATCHED)

# Needs gcc, on Linux. tests/coverage/unreached must list each line that is not reached, with the reason.
coverage: $(TOOLS)
	JOBS=$(JOBS) tests/coverage/run

# Linux, an hour: can the tests fail? WORDS='hard link' takes only the mutants with this in their words.
mutants: $(TOOLS) $(TORTURE)
	tests/mutants/run $${WORDS:+"$$WORDS"}

# Needs clang and its libFuzzer. SECONDS=600 feeds each target for that long.
tests/fuzz/fuzz: tests/fuzz/fuzz.c $(SOURCES) $(HEADERS)
	clang -std=c11 $(WARNINGS) -O1 -g -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -Wl,--wrap=exit,--wrap=read -o $@ tests/fuzz/fuzz.c src/*.c

fuzz: tests/fuzz/fuzz
	tests/fuzz/run $(SECONDS)

tests/bench/bench: tests/bench/bench.c tests/bench/first.h
	$(COMPILE) -o $@ tests/bench/bench.c

tests/bench/first: tests/bench/first.c tests/bench/first.h
	$(CC) -std=c11 -O2 -static -nostdlib -o $@ tests/bench/first.c

tests/bench/floor: tests/bench/floor.c
	$(COMPILE) -o $@ tests/bench/floor.c

# Both with the flags of "make static".
tests/bench/floor-static: tests/bench/floor.c
	musl-gcc -std=c11 $(CFLAGS) $(STATIC) -o $@ tests/bench/floor.c

tests/bench/static: $(SOURCES) $(HEADERS)
	musl-gcc -std=c11 $(CFLAGS) $(STATIC) -o $@ $(SOURCES)

# As root, on x86-64 Linux, with musl-gcc; peers take part if they are installed. Some minutes.
bench: daemonize $(BENCH)
	tests/bench/bench | tee tests/bench/table
	tests/pictures/chart <tests/bench/table >tests/pictures/speed.svg

# Needs spin. Checks the pidfile's protocol, in every order of its steps.
model:
	tests/model/run

lint:
	@.ci/lint

# So that everybody can use it, whatever the umask.
install: daemonize
	umask 022 && mkdir -p $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man7 \
		$(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR)
	install -m 755 daemonize $(DESTDIR)$(PREFIX)/bin
	install -m 644 man/daemonize.1 $(DESTDIR)$(MANDIR)/man1
	install -m 644 man/daemonize.7 $(DESTDIR)$(MANDIR)/man7
	install -m 644 completions/daemonize.bash $(DESTDIR)$(BASHDIR)/daemonize
	install -m 644 completions/_daemonize $(DESTDIR)$(ZSHDIR)
	install -m 644 completions/daemonize.fish $(DESTDIR)$(FISHDIR)

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/daemonize $(DESTDIR)$(MANDIR)/man1/daemonize.1 \
		$(DESTDIR)$(MANDIR)/man7/daemonize.7 $(DESTDIR)$(BASHDIR)/daemonize $(DESTDIR)$(ZSHDIR)/_daemonize \
		$(DESTDIR)$(FISHDIR)/daemonize.fish

# The manual for a browser, into man/. Needs mandoc.
html:
	cd man && for page in daemonize.1 daemonize.7; do \
		mandoc -T html -O man=%N.%S.html,style=manual.css,toc $$page >$$page.html || exit; \
	done

# What is committed, in the same bytes no matter who packs it, and when.
dist:
	@git diff --quiet HEAD || { echo 'dist: not all is committed' >&2; exit 1; }
	name=daemonize-$$(sed -n 's/^#define VERSION "\(.*\)"/\1/p' $(SOURCES) $(HEADERS)) && \
		git -c tar.umask=0022 -c core.autocrlf=false archive --prefix=$$name/ -o $$name.tar HEAD && \
		gzip -9nf $$name.tar

# The same plus static programs for Linux and SHA256SUMS, in released/. Needs what "make cross" does.
release:
	tests/ports/release

# A deb and an rpm, in released/. Needs debhelper, lintian, rpm and rpmlint; as root, it installs and tries them.
packages:
	JOBS=$(JOBS) tests/ports/packages

clean:
	rm -f daemonize $(TOOLS) $(BENCH) $(TORTURE) tests/bench/table tests/fuzz/fuzz \
		daemonize-*.tar.gz man/*.html
	rm -rf released tests/ports/zig tests/ports/debian-*
