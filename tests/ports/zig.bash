# For the scripts beside it: Zig from PyPI, as a cross-compiler, in tests/ports/zig. Sets "zig", a command.
#   ZIG=/usr/bin/zig    uses another one
# Needs: python3 with its venv, on Linux, 100 MB to download and 1 GB on disk.
# shellcheck shell=bash

zig_version=0.17.0 zig_directory=$PWD/tests/ports/zig
zig_venv=$zig_directory/ziglang-$zig_version
# shellcheck disable=SC2034 # for the script that sources this
zig=${ZIG:-$zig_venv/bin/python -m ziglang}
export ZIG_GLOBAL_CACHE_DIR=$zig_directory/cache ZIG_LOCAL_CACHE_DIR=$zig_directory/cache

if [ -z "${ZIG-}" ] && ! "$zig_venv/bin/python" -m ziglang version >"$T/log" 2>&1 &&
	! { python3 -m venv "$zig_venv" && "$zig_venv/bin/pip" install "ziglang==$zig_version"; } >"$T/log" 2>&1; then
	cat "$T/log"
	wrong "not ok: ziglang $zig_version cannot be installed"
	sum_up
fi
