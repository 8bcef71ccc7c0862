#!/usr/bin/env bats
# What "make packages" has made, in $PACKAGES: each package is installed, used and removed, in a world of its own.
# shellcheck disable=SC2016,SC2154 # inner shells; helper.bash and "run" assign

load ../helper
load ../world

# A world with Debian's own daemonize, which the tests need, and with the packages in $T.
new_place() {
	cp "$PACKAGES"/daemonize-checked[-_][0-9]*.{deb,rpm} .
	new_world
	inside rm /usr/local/bin/daemonize /usr/local/bin/target
	rm bin/*
}

everything() { inside find /etc /usr | sort; }

# installed FILE SOURCE: anybody can read it, and it is that file of the sources.
installed() {
	expect "$(inside stat -c '%A %U' "$1")" '-rw-r--r-- root'
	inside cat "$1" | if [[ $1 == *.gz ]]; then gzip -d; else cat; fi | cmp - "$here/../$2"
}

# works ZSH_DIRECTORY: checks what has been installed: the program, and what comes with it.
works() {
	local page

	for page in "$here"/../man/*.[1-8]; do
		page=${page##*/}
		installed "/usr/share/man/man${page##*.}/$page.gz" "man/$page"
	done
	installed /usr/share/bash-completion/completions/daemonize completions/daemonize.bash
	installed /usr/share/fish/vendor_completions.d/daemonize.fish completions/daemonize.fish
	installed "$1/_daemonize" completions/_daemonize

	expect "$(inside daemonize --version)" "daemonize $(sed -n 's/^#define VERSION "\(.*\)"/\1/p' "$here"/../{daemonize.c,src/*})"
	inside daemonize -p /run/app.pid sleep 600
	expect "$(inside daemonize --status -p /run/app.pid)" "running (pid $(inside cat /run/app.pid))"
	inside daemonize --stop -p /run/app.pid
	run -3 inside daemonize --status -p /run/app.pid
}

# hardened: checks what the packager's flags are for.
hardened() {
	inside cat /usr/bin/daemonize >program
	{ readelf -hldW program && nm -D program; } >elf
	for sign in 'Type: *DYN' GNU_RELRO BIND_NOW __stack_chk_fail '_chk@'; do
		grep -q "$sign" elf
	done
}

@test "the deb installs what works, hardened, and leaves nothing when it is removed" {
	new_place
	inside dpkg --purge daemonize
	everything >before
	inside dpkg --path-include='*' --install "$T"/daemonize-checked_*.deb
	works /usr/share/zsh/vendor-completions
	hardened
	inside dpkg --purge daemonize-checked
	everything | diff before -
}

@test "the deb takes the place of the package daemonize, and makes no other package miss anything" {
	new_place
	inside dpkg --install "$T"/daemonize-checked_*.deb
	expect "$(inside dpkg-query -W -f '${Package} ${db:Status-Status} ' 'daemonize*')" \
		'daemonize not-installed daemonize-checked installed '
	expect "$(inside daemonize --version)" 'daemonize *'
	inside apt-get check
}

@test "bash, fish and zsh find what the deb has for them" {
	new_place
	inside dpkg --install "$T"/daemonize-checked_*.deb
	expect "$(inside bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader daemonize; complete -p daemonize')" \
		'complete -F * daemonize'
	expect "$(inside fish -c 'complete -C "daemonize --stat"')" '--status*'
	expect "$(inside zsh -fc 'autoload -Uz compinit && compinit -u -D && echo $_comps[daemonize]')" _daemonize
}

@test "the rpm installs what works, hardened, and leaves nothing when it is removed" {
	new_place
	inside dpkg --purge daemonize
	inside mkdir -p /usr/share/licenses # which belongs to a package of Fedora's
	everything >before
	inside rpm --force-debian -i --nodeps "$T"/daemonize-checked-*.rpm
	works /usr/share/zsh/site-functions
	hardened
	inside rpm --force-debian -e daemonize-checked
	everything | diff before -
}
