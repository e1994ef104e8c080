#!/usr/bin/env bash
# Runs tests as a user who owns nothing: not root, LC_ALL=C, no HOME, no cache, a tree to read only.
#     tests/harsh.sh [all | PYTEST ARGUMENT...]
set -euo pipefail
cd "$(dirname "$0")/.."
python="$PWD/.venv/bin/python"
many=(--numprocesses auto --maxprocesses 4 --dist worksteal -m "not slow and not torch")
# What reads and writes files, takes names and reads tables; `all` takes as long as the suite.
files=(tests/{store,index,client,curation} tests/report/test_{charts,sheet}.py
  tests/cli/test_keys_commands.py tests/service/test_{access,keys,uploads}.py
  tests/test_{images,labels,moves,names,options,refused,settings,sources,tables,temporary}.py)
if [ $# = 0 ]; then set -- "${many[@]}" "${files[@]}"
elif [ "$*" = all ]; then
  set -- "${many[@]}" "${files[@]}" tests/{backbones,cli,explaining,training,evaluation,report,service}
fi
plain=(env -u HOME -u XDG_CACHE_HOME LC_ALL=C PYTHONDONTWRITEBYTECODE=1 GINGHAM_CACHE=/proc/none
  "$python" -m pytest -p no:cacheprovider "$@")
[ "$(id -u)" = 0 ] || exec "${plain[@]}"
other=(setpriv --reuid=54321 --regid=54321 --clear-groups --no-new-privs)
if "${other[@]}" env "$python" -c "" 2>/dev/null; then exec "${other[@]}" "${plain[@]}"; fi
# The interpreter lies in a folder that only root may enter: for this process alone, open a way.
exec unshare --mount bash -euc '
  prefix=$1 held=$(mktemp -d); shift
  closed=$prefix
  while parent=$(dirname "$closed"); [ "$parent" != / ]; do closed=$parent; done
  mount --bind "$prefix" "$held"
  mount -t tmpfs -o mode=755 tmpfs "$closed"
  mkdir -p "$prefix"
  mount --move "$held" "$prefix"
  exec "$@"' - "$("$python" -c 'import sys; print(sys.base_prefix)')" "${other[@]}" "${plain[@]}"
