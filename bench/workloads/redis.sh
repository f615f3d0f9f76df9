# redis-benchmark: 20,000 SET and 20,000 GET of 20 clients, then 100,000 of each pipelined by 16.
redis-server --port 6379 --save '' >/dev/null &
server=$!
until redis-cli ping >/dev/null 2>&1; do sleep 0.1; done
begin
redis-benchmark -q -c 20 -n 20000 -t set,get >/dev/null
redis-benchmark -q -c 20 -n 100000 -P 16 -t set,get >/dev/null
end
kill $server
wait $server || true
