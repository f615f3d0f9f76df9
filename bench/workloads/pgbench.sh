# pgbench: 600 transactions of 4 clients.
programs=$(echo /usr/lib/postgresql/*/bin)
chown postgres .
as() { setpriv --reuid=postgres --regid=postgres --clear-groups env HOME=$PWD "$@"; }
as $programs/initdb -D base --no-sync -A trust >/dev/null 2>&1
as $programs/pg_ctl -D base -o "-k $PWD -h '' -F" -l log -w start >/dev/null
as $programs/pgbench -h $PWD -i -q postgres >/dev/null 2>&1
begin
as $programs/pgbench -h $PWD -c 4 -j 2 -t 150 postgres >/dev/null 2>&1
end
as $programs/pg_ctl -D base -m fast -w stop >/dev/null
