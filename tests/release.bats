#!/usr/bin/env bats
# bats file_tags=around
# What is built and released: "make", "make install", "make uninstall" and "make dist".
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # backquotes of Markdown; a test is a subshell; helper.bash and "run" assign

load helper

unset MAKEFLAGS MFLAGS MAKELEVEL PREFIX DESTDIR MANDIR BASHDIR ZSHDIR FISHDIR

# from_here TARGET...: runs make, without building the program again.
from_here() { make -s -C "$here/.." -o daemonize "$@"; }

# files DIRECTORY: everything in it, with type and mode.
files() { find "$1" -mindepth 1 -printf '%y %m /%P\n' | LC_ALL=C sort -k 3; }

version() { sed -n 's/^#define VERSION "\(.*\)"/\1/p' "$here"/../{daemonize.c,src/*}; }

# Makes a repository of the sources as they are, committed or not, in $T/source, wherever these tests are run.
make_repository() {
	need git make
	export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' HOME=$T
	git init -q source
	cd source || return
	git --work-tree="$here/.." add -A
	git -c user.name=Somebody -c user.email=nobody@example.org commit -qm 'All of it'
	git reset -q --hard
	cd ..
}

unpack() {
	make_repository
	make -s -C source dist
	tar -xzf "source/daemonize-$(version).tar.gz"
	cd "daemonize-$(version)" || return
}

# ---- make ----

@test "a compiler needs the names of the sources, and nothing else" {
	need "${CC:-cc}"
	"${CC:-cc}" -o compiled "$here"/../daemonize.c "$here"/../src/*.c
	expect "$(./compiled --version)" "daemonize $(version)"
}

@test "make builds the program again when any of the sources is newer" {
	need "${CC:-cc}"
	cp -R "$here"/../{Makefile,daemonize.c,src} .
	make -s CFLAGS=-O0 daemonize
	make -q daemonize
	for file in daemonize.c src/*; do
		run -1 make -q -W "$file" daemonize
	done
}

# ---- make install ----

@test "install puts each file in its place, for everybody, whatever the umask" {
	umask 077
	from_here install DESTDIR="$T/stage" PREFIX=/usr
	expect "$(files stage)" "d 755 /usr
d 755 /usr/bin
f 755 /usr/bin/daemonize
d 755 /usr/share
d 755 /usr/share/bash-completion
d 755 /usr/share/bash-completion/completions
f 644 /usr/share/bash-completion/completions/daemonize
d 755 /usr/share/fish
d 755 /usr/share/fish/vendor_completions.d
f 644 /usr/share/fish/vendor_completions.d/daemonize.fish
d 755 /usr/share/man
d 755 /usr/share/man/man1
f 644 /usr/share/man/man1/daemonize.1
d 755 /usr/share/man/man7
f 644 /usr/share/man/man7/daemonize.7
d 755 /usr/share/zsh
d 755 /usr/share/zsh/site-functions
f 644 /usr/share/zsh/site-functions/_daemonize"
	cd stage/usr
	cmp bin/daemonize "$here/../daemonize"
	cmp share/man/man1/daemonize.1 "$here/../man/daemonize.1"
	cmp share/man/man7/daemonize.7 "$here/../man/daemonize.7"
	cmp share/bash-completion/completions/daemonize "$here/../completions/daemonize.bash"
	cmp share/zsh/site-functions/_daemonize "$here/../completions/_daemonize"
	cmp share/fish/vendor_completions.d/daemonize.fish "$here/../completions/daemonize.fish"
}

@test "install goes to /usr/local, unless told otherwise" {
	from_here install DESTDIR="$T/stage"
	[ -x stage/usr/local/bin/daemonize ]
	expect "$(find stage -type f ! -path 'stage/usr/local/*')" ""
	from_here install DESTDIR="$T/other" MANDIR=/man BASHDIR=/bash ZSHDIR=/zsh FISHDIR=/fish
	expect "$(find other -type f | LC_ALL=C sort | xargs)" "other/bash/daemonize other/fish/daemonize.fish \
other/man/man1/daemonize.1 other/man/man7/daemonize.7 other/usr/local/bin/daemonize other/zsh/_daemonize"
}

@test "install replaces a program that is running" {
	from_here install PREFIX="$T/installed"
	installed/bin/daemonize -f -p app.pid sleep 60 3>&- &
	own $!
	wait_until 10 test -s app.pid
	ln installed/bin/daemonize running
	from_here install PREFIX="$T/installed"
	[ ! installed/bin/daemonize -ef running ]
}

@test "uninstall removes what install put there, and nothing else" {
	mkdir -p installed/bin
	touch installed/bin/other
	for arguments in "PREFIX=$T/installed" "DESTDIR=$T/installed" \
		"PREFIX=$T/installed MANDIR=$T/installed/man BASHDIR=$T/installed/b ZSHDIR=$T/installed/z FISHDIR=$T/installed/f"; do
		# shellcheck disable=SC2086 # a list
		from_here install $arguments
		# shellcheck disable=SC2086
		from_here uninstall $arguments
		expect "$(find installed -type f)" installed/bin/other
	done
	from_here uninstall PREFIX="$T/installed"
}

# ---- make html ----

@test "html renders both pages, which refer to each other, and clean removes them" {
	need mandoc
	unpack
	make -s html
	grep -q 'href="daemonize.7.html"' man/daemonize.1.html
	grep -q 'href="daemonize.1.html"' man/daemonize.7.html
	for page in man/*.html; do
		[ -f "man/$(sed -n 's/.*rel="stylesheet" href="\([^"]*\)".*/\1/p' "$page")" ]
	done
	make -s clean
	expect "$(echo man/*)" "man/daemonize.1 man/daemonize.7 man/manual.css"
}

# ---- make dist ----

@test "dist makes the same bytes elsewhere, later, as another user, and with other settings" {
	make_repository
	git clone -q source nobody/source
	printf '[tar]\n\tumask = 077\n[core]\n\tautocrlf = true\n' >nobody/.gitconfig
	! is_root || chown -R nobody nobody
	make -s -C source dist
	need faketime
	(umask 077 && HOME=$T/nobody TZ=Asia/Tokyo LC_ALL=C.UTF-8 as_nobody faketime '+400 days' make -s -C nobody/source dist)
	cmp {source,nobody/source}/"daemonize-$(version).tar.gz"
}

@test "dist packs all that is committed, into a directory with the version in its name" {
	unpack
	expect "$(cd .. && tar -tzf "source/daemonize-$(version).tar.gz" | grep -v "^daemonize-$(version)/")" ""
	expect "$(find . -type f -printf '%P\n' | LC_ALL=C sort)" "$(git -C ../source ls-files | LC_ALL=C sort)"
	for file in LICENSE README.md CHANGELOG.md Makefile daemonize.c src/features.h man/daemonize.1 man/daemonize.7 completions/_daemonize \
		tests/setup tests/helper.bash; do
		[ -s "$file" ]
	done
	expect "$(find . -perm /022)" ""
}

@test "dist refuses to pack while a change is not committed" {
	make_repository
	echo >>source/README.md
	run ! make -s -C source dist
	expect "$output" "dist: not all is committed*"
	expect "$(ls source/*.gz 2>/dev/null)" ""
}

@test "what dist packs can be built and installed without git, and knows its version" {
	need "${CC:-cc}"
	unpack
	mkdir bin
	ln -s /bin/false bin/git
	PATH=$PWD/bin:$PATH make -s CFLAGS=-O0 install PREFIX="$T/installed"
	expect "$("$T/installed/bin/daemonize" --version)" "daemonize $(version)"
	"$T/installed/bin/daemonize" -p "$T/app.pid" sleep 60
	"$T/installed/bin/daemonize" --stop -p "$T/app.pid"
}

@test "what dist packs includes the tests, and they can be run" {
	unpack
	ln -s "$here/../daemonize" daemonize
	ln -s "$here/target" tests/target
	run bats -f '^an unknown long option is named$' tests/options.bats
	expect "$output" "1..1
ok 1 *"
}

@test "changelog, manual and README have the version of the program" {
	expect "$(daemonize --version)" "daemonize $(version)"
	expect "$(grep -m 1 '^## \[[0-9]' "$here/../CHANGELOG.md")" \
		"## \\[$(version)\\] - 20[0-9][0-9]-[01][0-9]-[0-3][0-9]"
	expect "$(grep -h '^\.Os' "$here"/../man/daemonize.[17] | uniq)" ".Os daemonize $(version)"
	expect "$(grep -o '`daemonize [0-9.]*`' "$here/../README.md")" "\`daemonize $(version)\`"
}

@test "the packages have the version of the program" {
	expect "$(head -n 1 "$here/../packaging/debian/changelog")" "daemonize-checked ($(version)-*"
	expect "$(grep '^Version:' "$here/../packaging/daemonize.spec")" "Version:* $(version)"
	expect "$(sed -n '/^%changelog/{n;p}' "$here/../packaging/daemonize.spec")" "* - $(version)-1"
}
