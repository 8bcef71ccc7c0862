/*
 * The pidfile protocol of daemonize, as a model that is checked exhaustively: see "run".
 *
 * Launchers with their daemons, stoppers, and an adversary that kills at any step and gives PIDs
 * of the dead to strangers, share one pidfile. Each step is one system call, and what a function
 * of the program does stands under that function's name. Locks are POSIX record locks: they belong
 * to a process and a file, and go with any close of the file by that process.
 *
 * Claimed: two daemons never run; while one runs, the pidfile names it; no stranger is signalled;
 * everybody comes to an end; and if nobody interferes, exactly one of all starters is up in the end.
 *
 * With --restart the daemon is a keeper, which is no different here: it takes the lock before it forks, its exec
 * ends the start as any other does, and of its child, the command, the file knows nothing: a record lock is not
 * inherited. So it is keepers of whom two never run. The kernel kills the command of one that is killed only after the
 * lock has gone: for that moment it may run beside the next.
 *
 * The scene is set by -D: STARTERS, WAITERS (so many of them have -w), STOPPERS, KILLS, FAILURES
 * (of exec), CLOSERS (daemons that close all their fds), GHOSTS (daemons whose lock outlives them,
 * in a child that shares their fds), FOREIGN (the old pidfile is another user's, who has it open for
 * writing), IN_PLACE (the directory takes no new file), BLIND (each start is in a PID namespace of its
 * own), SAMEPID (where all daemons have the same PID). -DWITHOUT_... leaves out one protection.
 */
#ifndef STARTERS
#define STARTERS 3
#endif
#ifndef WAITERS
#define WAITERS 0
#endif
#ifndef STOPPERS
#define STOPPERS 0
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef FAILURES
#define FAILURES 0
#endif
#ifndef CLOSERS
#define CLOSERS 0
#endif
#ifndef GHOSTS
#define GHOSTS 0
#endif

/* The blind, and those in place, may lose to each other for ever, if the scheduler hates them: so often is enough here. */
#ifndef TRIES
#define TRIES 2
#endif

/* Each claim makes two at most: an empty one to lock, and the new one. */
#define FILES (2 * (STARTERS + 1 + STOPPERS + KILLS + FAILURES) + 1)

/* The file that another user has open, and the PID that this user would have signalled. */
#define FOREIGN_FILE 1
#define VICTIM STARTERS
#ifdef FOREIGN
#define LAUNCHERS (STARTERS - 1)
#else
#define LAUNCHERS STARTERS
#endif

#ifdef SAMEPID
#define NUMBER(p) 1
#else
#define NUMBER(p) (p)
#endif

/* Who holds a lock: a daemon by its PID, 1 to STARTERS; those who remove by numbers above. */
#define LAUNCHER(p) (STARTERS + (p))
#define STOPPER(p) (2 * STARTERS + (p))
#define OLD_OWNER (2 * STARTERS + STOPPERS + 1)
#define BIT(who) (1 << (who))

/* ---- The file system ---- */

byte path;		    /* the file that has the name; 0: none */
byte made;		    /* files, so far */
byte number[FILES + 1];	    /* what each says; 0: nothing */
bool trusted[FILES + 1];    /* it is ours or root's, and nobody else's */
byte write_lock[FILES + 1]; /* who has it, or 0 */
short read_lock[FILES + 1]; /* who has it, a bit each */

/* fcntl(2), F_SETLK: whether another's lock is in the way. */
#define conflict(who, file, mine) \
	((write_lock[file] && write_lock[file] != who) || \
		(mine == WRITE && (read_lock[file] & ~BIT(who))))
#define READ 0
#define WRITE 1

/* close(2) of any fd of the file, or the end of the process. */
inline drop_locks(who, file)
{
	write_lock[file] = (write_lock[file] == who -> 0 : write_lock[file]);
	read_lock[file] = read_lock[file] & ~BIT(who)
}

/* ---- Processes ---- */

bool alive[STARTERS + 1];      /* somebody has this PID: a daemon, or a stranger */
bool execed[STARTERS + 1];     /* it is the command */
bool stranger[STARTERS + 1];   /* it is neither, and began after the file was written */
bool bystander[STARTERS + 1];  /* it is neither, and was there before */
byte generation[STARTERS + 1]; /* a pidfd means only the process that it was opened for */
bool launching[STARTERS + 1];  /* its launcher lives */
bool retired[STARTERS + 1];    /* its launcher will not fork again: the PID can be reused */
bool lost[STARTERS + 1];       /* what comes through the status channel: STEP_PIDFILE_LOST */
byte running, ended, kills = KILLS, failures = FAILURES, closers = CLOSERS, ghosts = GHOSTS;

/* Needs a variable "each" in the process that calls it, as does what follows. */
inline end_process(p)
{
	for (each : 1 .. made) {
		drop_locks(p, each)
	}
	each = 0;
	end_but_not_its_locks(p)
}

inline end_but_not_its_locks(p)
{
	running = running - execed[p];
	execed[p] = false;
	stranger[p] = false;
	alive[p] = false
}

/* Whoever runs is the one that the file names. */
inline check_truth()
{
	for (each : 1 .. STARTERS) {
		assert(!execed[each] || (path && number[path] == NUMBER(each)))
	}
	each = 0
}

/* ---- What several do ---- */

#if defined(BLIND)
#define pidfile_number_runs(n) false
#elif defined(WITHOUT_AGE)
#define pidfile_number_runs(n) (n && alive[n])
#else
#define pidfile_number_runs(n) (n && alive[n] && !stranger[n])
#endif

#define one_of(set) (set & 2 -> 1 : (set & 4 -> 2 : (set & 8 -> 3 : 4)))

/*
 * Sets `file`, what it `said`, `owner`, and whether that is `believed`; no owner: 0. "changing" means
 * to look again. One that has not the file open, because it is dead or has got its PID since, is no
 * more than a name for who keeps the lock.
 */
inline pidfile_look_settled()
{
	do
	:: atomic { file = path; owner = 0; said = 0; believed = true; if :: file == 0 -> break :: else fi };
		said = number[file];
		atomic {
			if
			:: write_lock[file] /* changing */
			:: !write_lock[file] && read_lock[file] ->
				owner = one_of(read_lock[file]);
#ifndef WITHOUT_OPEN_CHECK
				believed = execed[owner];
#endif
				if
				:: execed[owner] || !alive[owner] || stranger[owner] -> break
				:: else /* changing */
				fi
			:: else ->
				owner = (pidfile_number_runs(said) -> said : 0);
				believed = trusted[file];
				break
			fi
		}
	od
}

/* Removes the file if it still says what it said of the one that is gone. */
inline pidfile_remove(who, said)
{
	file = path;
	if
	:: file == 0
	:: else ->
		d_step {
			removes = !conflict(who, file, WRITE);
#ifdef WITHOUT_REMOVAL_LOCK
			removes = true;
#else
			write_lock[file] = (removes -> who : write_lock[file])
#endif
		};
#ifndef WITHOUT_REMOVAL_COMPARE
		removes = removes && path == file;
#endif
#ifndef WITHOUT_REMOVAL_NUMBER
		removes = removes && number[file] == said;
#endif
		if
		:: removes -> d_step { path = 0; check_truth() }
		:: else
		fi;
		d_step { drop_locks(who, file) }
	fi
}

/* ---- The daemon-to-be, and the daemon ---- */

/* A new file, which has no name yet or the pidfile's. */
inline make_file(file)
{
	made++;
	assert(made <= FILES);
	file = made;
	trusted[file] = true
}

proctype daemon(byte me)
{
	byte file, second, each, born = generation[me];

	{
		skip;
pidfile_open_locked:
		file = path;
		if
		:: file == 0 ->
			atomic { /* O_CREAT | O_EXCL */
				if
				:: path -> goto pidfile_open_locked
				:: else -> make_file(file); path = file
				fi
			}
		:: else
		fi;
#ifndef WITHOUT_WRITE_LOCK
		atomic {
			if
			:: conflict(me, file, WRITE) -> goto pidfile_lost
			:: else -> write_lock[file] = me
			fi
		};
#endif
#ifndef WITHOUT_COMPARE
		if
		:: path != file -> d_step { drop_locks(me, file) }; goto pidfile_open_locked
		:: else
		fi;
#endif

pidfile_take:
#ifndef WITHOUT_JUDGING
		second = number[file];
		if
		:: second != me && pidfile_number_runs(second) -> goto pidfile_lost
		:: else
		fi;
#endif

#ifndef IN_PLACE
pidfile_replace:
		d_step { make_file(second); number[second] = NUMBER(me) };
#ifndef WITHOUT_LOCK_BEFORE_NAME
		read_lock[second] = read_lock[second] | BIT(me);
#endif
		d_step { path = second; check_truth() }; /* rename(2) */
		d_step { drop_locks(me, file) };	 /* the close of the old file */
#ifdef WITHOUT_LOCK_BEFORE_NAME
		atomic {
			!conflict(me, second, READ) ->
			read_lock[second] = read_lock[second] | BIT(me)
		};
#endif
#else
pidfile_rewrite:
		d_step { number[file] = NUMBER(me); trusted[file] = true; check_truth() };
		second = path; /* open(2), for reading only */
		d_step { drop_locks(me, file) }; /* the close of the writable fd */
#ifndef WITHOUT_READ_LOCK
		atomic {
			if
			:: conflict(me, second, READ) -> goto pidfile_lost /* or a little later */
			:: !conflict(me, second, READ) ->
				read_lock[second] = read_lock[second] | BIT(me)
			fi
		};
#endif
#ifndef WITHOUT_SECOND_COMPARE
		if
		:: second != file || path != second -> goto pidfile_lost
		:: else
		fi;
#endif
#ifndef WITHOUT_READ_BACK
		if
		:: number[second] != NUMBER(me) -> goto pidfile_lost
		:: else
		fi;
#endif
#ifndef WITHOUT_OTHERS_LOCK
		if
		:: write_lock[second] || (read_lock[second] & ~BIT(me)) -> goto pidfile_lost
		:: else
		fi;
#endif
#endif

execute_command:
		skip;
		if
		:: d_step { failures -> failures--; end_process(me) }
		:: d_step {
			execed[me] = true;
			running++;
			assert(running == 1);
			check_truth()
		}
		fi;
		if
		:: d_step { closers -> closers--; drop_locks(me, second) } /* it closes all its fds */
		:: d_step { ghosts -> ghosts--; end_but_not_its_locks(me) }
		:: skip
		fi;
end_runs:
		false;

pidfile_lost:
		skip;
		d_step { lost[me] = true; end_process(me) }
	} unless { !alive[me] || generation[me] != born }
}

/* ---- The launcher ---- */

proctype launcher(byte me; bool waits)
{
	byte file, owner, said, each, tries = TRIES;
	bool removes, believed;

	{
		skip;
settle_pidfile:
		pidfile_look_settled();
		if
		:: owner && waits ->
end_await_owner:
			(!alive[owner] || stranger[owner]);
			goto settle_pidfile
		:: owner && !waits -> goto refused
		:: else
		fi;

launch:
		atomic { lost[me] = false; alive[me] = true; generation[me]++; run daemon(me) };
		/* The end of the status channel. */
		(execed[me] || !alive[me] || lost[me]);
		if
#if defined(BLIND) || defined(IN_PLACE)
		:: lost[me] && tries -> tries--; goto settle_pidfile
		:: lost[me] && !tries -> goto refused
#else
		:: lost[me] -> goto settle_pidfile
#endif
		:: !lost[me] && !execed[me] -> pidfile_remove(LAUNCHER(me), me) /* clear_up() */
		:: else /* up */
		fi;
refused:
		skip
	} unless { !launching[me] };
	atomic {
		if
		:: launching[me] -> launching[me] = false
		:: else -> /* killed: what it had locked is free */
			if
			:: file -> drop_locks(LAUNCHER(me), file)
			:: else
			fi
		fi;
		retired[me] = true;
		ended++
	}
}

/* ---- --stop ---- */

proctype control_stop(byte me)
{
	byte file, owner, target, said, pinned, each;
	bool removes, believed;

	/* target_find() */
	pidfile_look_settled();
	if
	:: owner ->
		target = owner;
		pinned = generation[target]; /* process_watch(): a pidfd */
#ifndef WITHOUT_SECOND_LOOK
		pidfile_look_settled();
#endif
		if
		:: owner == target && believed ->
			d_step { /* process_signal(): SIGTERM, at once deadly */
				if
				:: alive[target] && generation[target] == pinned ->
					assert(!stranger[target] && !bystander[target]);
					end_process(target)
				:: else
				fi;
				owner = 0
			}
		:: else /* by now it is another's, or is not to be believed */
		fi
	:: else
	fi;
	/* target_finish() */
	if
	:: !owner -> pidfile_remove(STOPPER(me), said)
	:: else
	fi;
	ended++
}

/* ---- The user whose the file was, and who has it open for writing still ---- */

#ifdef FOREIGN
proctype old_owner()
{
	number[FOREIGN_FILE] = NUMBER(VICTIM);
	if
	:: d_step { !conflict(OLD_OWNER, FOREIGN_FILE, WRITE) -> write_lock[FOREIGN_FILE] = OLD_OWNER };
		d_step { drop_locks(OLD_OWNER, FOREIGN_FILE) }
	:: skip
	fi
}
#endif

/* ---- The adversary: SIGKILL to whom it likes, and PIDs that are used again ---- */

proctype adversary()
{
	byte p, each;

	do
	:: atomic {
		kills ->
		select(p : 1 .. STARTERS);
		if
		:: d_step { alive[p] && !stranger[p] -> kills--; end_process(p) }
		:: d_step { launching[p] -> kills--; launching[p] = false }
		:: d_step {
			retired[p] && !alive[p] && generation[p] ->
			kills--;
			alive[p] = true;
			stranger[p] = true;
			generation[p]++
		}
		:: else
		fi;
		p = 0
	}
	:: break
	od
}

init {
	byte p;

	atomic {
#ifdef FOREIGN
		made = FOREIGN_FILE;
		path = FOREIGN_FILE;
		alive[VICTIM] = true;
		bystander[VICTIM] = true;
		run old_owner();
#endif
		for (p : 1 .. LAUNCHERS) {
			launching[p] = true;
			run launcher(p, p <= WAITERS)
		}
#if STOPPERS
		for (p : 1 .. STOPPERS) {
			run control_stop(p)
		}
#endif
#if KILLS
		run adversary();
#endif
	}
#if !WAITERS
	/* Nobody waits for ever. */
	ended == LAUNCHERS + STOPPERS;
#if !STOPPERS && !KILLS && !FAILURES && !GHOSTS && !defined(BLIND) && !defined(IN_PLACE)
	assert(running == 1);
#endif
#endif
}
