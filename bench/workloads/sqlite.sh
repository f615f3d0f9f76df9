# 2,000 inserts into a database in a file, each a transaction of its own without waiting for the disk.
awk 'BEGIN { print "pragma synchronous=off; create table t(a, b);";
  for (i = 0; i < 2000; i++) printf "insert into t values(%d, \"value %d\");\n", i, i }' >statements
begin
sqlite3 base <statements
end
test "$(sqlite3 base 'select count(*) from t')" = 2000
