#!/usr/bin/env bats
# bats file_tags=around
# Debian's cron, in a world of its own, where a minute lasts a second.
# shellcheck disable=SC2030,SC2031,SC2154 # a test is a subshell; helper.bash and "run" assign

load helper
load world

# run_cron LINE...: runs these lines of /etc/crontab; one more counts the minutes. Mail goes to $T/pub/mail.
run_cron() {
	need cron faketime
	[ -n "${world-}" ] || new_world
	inside sh -c 'rm -rf /etc/cron.d/* /var/spool/cron/crontabs/*'
	printf '%s\n' "$@" "* * * * * root echo >>$T/pub/minutes" | write_inside /etc/crontab
	printf '#!/bin/sh\ncat >>%s\n' "$T/pub/mail" | write_inside /usr/sbin/sendmail 755
	install -m 666 /dev/null pub/mail
	boot_cron
}

boot_cron() {
	inside faketime -f '@2026-01-01 00:00:55 x60' cron -f 3>&- >>cron.log 2>&1 &
}

minutes() { wc -l <pub/minutes; }

has_been_minutes() { [ "$(minutes)" -ge "$1" ]; }

# minutes_pass NUMBER
minutes_pass() {
	touch pub/minutes
	wait_until 20 has_been_minutes $(($(minutes) + $1))
}

# runs [PIDFILE]: just one target runs, the pidfile's; sets pid.
runs() {
	pid=$(inside daemonize --status -p "${1-/run/app.pid}" | tr -cd 0-9)
	[ -n "$pid" ] && expect "$(inside pgrep -x target)" "$pid"
}

runs_again() { runs && [ "$pid" != "$first" ]; }

has_mail() { grep -q "$1" pub/mail; }

@test "a crontab line starts a daemon, lets it run, and restarts it after a crash, without mail" {
	run_cron "* * * * * root /usr/local/bin/daemonize --ok-if-running -p /run/app.pid -- /usr/local/bin/target dump $report"
	wait_until 20 runs && runs
	first=$pid
	minutes_pass 3
	runs
	expect "$pid" "$first"
	inside kill -KILL "$first"
	wait_until 20 runs_again
	minutes_pass 1
	runs_again
	expect "$(cat pub/mail)" ""
}

@test "cron mails the one-line message of a failed start" {
	run_cron '* * * * * root /usr/local/bin/daemonize --ok-if-running -p /run/app.pid /nosuch/app'
	wait_until 20 has_mail "^daemonize: cannot find '/nosuch/app'"
	expect "$(sed '1,/^$/d; /^From:/,$d' pub/mail)" "daemonize: *"
	run -3 inside daemonize --status -p /run/app.pid
}

@test "a user's own crontab keeps the user's daemon alive" {
	new_world
	inside sh -c 'echo "joe:x:4321:4321::/home/joe:/bin/sh" >>/etc/passwd
		echo "joe:*:20000::::::" >>/etc/shadow; echo "joe:x:4321:" >>/etc/group
		install -d -o joe -g joe /home/joe && ln -s /usr/local/bin/target /home/joe'
	run_cron
	printf "* * * * * /usr/local/bin/daemonize --ok-if-running -p \$HOME/app.pid \$HOME/target dump %s\n" "$report" >joes
	inside crontab -u joe "$T/joes"
	minutes_pass 3
	runs /home/joe/app.pid
	expect "$(field uid) $(field cwd)" "4321* /"
	expect "$(cat pub/mail)" ""
}

@test "an @reboot line starts the daemon at boot, but not when cron restarts" {
	run_cron "@reboot root /usr/local/bin/daemonize -p /run/app.pid /usr/local/bin/target dump $report"
	wait_until 20 runs && runs
	inside kill -KILL "$pid" "$(inside cat /run/crond.pid)"
	wait $! || true
	boot_cron
	minutes_pass 2
	run -1 inside daemonize --status -p /run/app.pid
	expect "$(cat pub/mail)" ""
}
