import type { Case } from "./case.js";

/** Counts visits in redis, keeps each in PostgreSQL, and says both numbers. */
const application = `
import http.server, os, socketserver, time
import psycopg2, redis
cache = redis.Redis(host="cache")
def patiently(make):
    for attempt in range(900):
        try:
            return make()
        except Exception:
            time.sleep(0.1)
    return make()
database = patiently(lambda: psycopg2.connect(host="db", user="postgres", dbname="postgres"))
database.autocommit = True
patiently(cache.ping)
cursor = database.cursor()
cursor.execute("create table if not exists visits (number integer)")
class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        number = cache.incr("visits")
        cursor.execute("insert into visits values (%s)", (number,))
        cursor.execute("select count(*), sum(number) from visits")
        rows, total = cursor.fetchone()
        body = f"{number} {rows} {total}\\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        print("served", self.path, flush=True)
http.server.HTTPServer(("", 8000), Web).serve_forever()
`;

const project = `services:
  db:
    image: $APP
    runtime: $R
    user: postgres
    command: ["sh", "-c", "PATH=$$PATH:$$(echo /usr/lib/postgresql/*/bin); initdb -D /tmp/db -A trust >/dev/null && echo host all all all trust >>/tmp/db/pg_hba.conf && exec postgres -D /tmp/db -c listen_addresses='*' -c unix_socket_directories=/tmp"]
  cache:
    image: $APP
    runtime: $R
    command: ["redis-server", "--save", "", "--bind", "0.0.0.0", "--protected-mode", "no"]
  web:
    image: $APP
    runtime: $R
    command: ["python3", "-u", "/app.py"]
    depends_on: [db, cache]
    ports: ["127.0.0.1:18090:8000"]
    volumes: ["./app.py:/app.py:ro"]
`;

const dependent = `services:
  first:
    image: $BB
    runtime: $R
    command: ["sh", "-c", "sleep 1; echo made >/data/first; exec sleep 1000"]
    healthcheck: { test: ["CMD", "test", "-e", "/data/first"], interval: 300ms, timeout: 10s, retries: 100 }
    volumes: ["data:/data"]
    stop_grace_period: 1s
  once:
    image: $BB
    runtime: $R
    command: ["true"]
  after:
    image: $BB
    runtime: $R
    command: ["sh", "-c", "echo after $$(cat /data/first); exec sleep 1000"]
    depends_on: { first: { condition: service_healthy } }
    volumes: ["data:/data"]
    stop_grace_period: 1s
  last:
    image: $BB
    runtime: $R
    command: ["sh", "-c", "echo last; exec sleep 1000"]
    depends_on: { once: { condition: service_completed_successfully } }
    stop_grace_period: 1s
  extra:
    image: $BB
    runtime: $R
    command: ["sleep", "1000"]
    profiles: [extra]
volumes:
  data: {}
`;

const setUp = `
cat >$D/app.py <<'END'
${application}
END
cat >$D/compose.yaml <<'END'
${project}
END
p() { c compose --project-name tinecase --file $D/compose.yaml "$@"; }
ask() { node -e 'process.exitCode = 1; require("node:http").get("http://127.0.0.1:18090/page", (r) => r.on("data", (d) => { process.exitCode = 0; process.stdout.write(d); })).on("error", () => {})'; }
export -f p ask
trap 'p down --volumes >/dev/null 2>&1' EXIT
export APP R
`;

/** A project of several services, by `docker compose` and `nerdctl compose`. */
export const compose: readonly Case[] = [
  {
    title: "web, PostgreSQL and redis serve requests",
    limit: 300_000,
    script: `${setUp}
p up --detach >$D/up 2>&1; echo $?
until_ok ask || until_ok ask || until_ok ask || until_ok ask || { tail -5 $D/up; p logs 2>&1 | tail -20; }
for i in $(seq 20); do ask >$D/last; done; cat $D/last
p exec -T web sh -c 'echo in web; exit 5'; echo $?
p logs web 2>/dev/null | grep -c 'served /page'
p ps --quiet | wc -l
p stop cache >/dev/null 2>&1; echo $?; p start cache >/dev/null 2>&1; echo $?
until_ok ask
p down >/dev/null 2>&1; echo $?; p ps --quiet | wc -l`,
  },
  {
    title: "dependencies on health and on an end, profiles, scaling, one-off programs, volumes",
    clients: ["docker"],
    limit: 200_000,
    script: `cat >$D/compose.yaml <<'END'
${dependent}
END
p() { c compose --project-name tinecase --file $D/compose.yaml "$@"; }
trap 'p --profile extra down --volumes >/dev/null 2>&1' EXIT
export BB R
count() { p ps --quiet "$@" | wc -l; }
p up --detach >/dev/null 2>&1; echo $?; p ps --services | sort
p logs --no-log-prefix after last; p exec -T after sh -c 'cat /data/first; exit 6'; echo $?
p up --detach --scale after=3 >/dev/null 2>&1; count after; p up --detach --scale after=1 >/dev/null 2>&1; count after
p restart --timeout 1 after >/dev/null 2>&1; echo $?; p exec -T after cat /data/first
p run --rm --no-deps --env A=b after sh -c 'echo one-off $A; exit 7' 2>/dev/null; echo $?
p pause after >/dev/null 2>&1; p ps --format '{{.Service}} {{.State}}' | sort; p unpause after >/dev/null 2>&1
p cp $D/compose.yaml after:/tmp/copied >/dev/null 2>&1; p exec -T after wc -l /tmp/copied
p --profile extra up --detach >/dev/null 2>&1; count extra; p kill extra >/dev/null 2>&1; p ps --all --format '{{.ExitCode}}' extra
p down --timeout 1 >/dev/null 2>&1; count; c volume ls --quiet | grep -c tinecase
p --profile extra down --volumes >/dev/null 2>&1; c volume ls --quiet | grep -c tinecase; c network ls | grep -c tinecase`,
  },
];
