# 10,000 requests for a page of nginx by ab, 10 at a time on kept connections.
mkdir data
echo page >data/index.html
cat >configuration <<END
daemon off; pid $PWD/pid; error_log $PWD/errors; worker_processes 1; user root; events {}
http { access_log off; keepalive_requests 100000; client_body_temp_path $PWD/b; proxy_temp_path $PWD/p;
fastcgi_temp_path $PWD/f; uwsgi_temp_path $PWD/u; scgi_temp_path $PWD/s;
server { listen 127.0.0.1:8080; root $PWD/data; } }
END
nginx -c $PWD/configuration 2>/dev/null &
server=$!
until ab -q -n 1 http://127.0.0.1:8080/ >/dev/null 2>&1; do sleep 0.1; done
begin
ab -q -k -c 10 -n 10000 http://127.0.0.1:8080/ >report
end
grep -q 'Failed requests: *0' report
kill $server
wait $server || true
