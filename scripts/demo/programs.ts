/** A program that the demo runs, and what it has to print. */
export interface DemoProgram {
  readonly title: string;
  readonly command: readonly string[];
  readonly expected: string;
}

const python = `
import hashlib, subprocess, threading
digests = [None] * 8
def work(n):
    digests[n] = hashlib.sha256(bytes([n]) * 1000000).hexdigest()
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for t in threads: t.start()
for t in threads: t.join()
same = all(d == hashlib.sha256(bytes([n]) * 1000000).hexdigest() for n, d in enumerate(digests))
print("8 threads hashed 8 MB:", "right" if same else "wrong")
answer = subprocess.run(["tr", "a-z", "A-Z"], input="a subprocess answered\\n", capture_output=True, text=True)
print(answer.stdout, end="")
print("exit status of false:", subprocess.run(["false"]).returncode)
`;

const c = `
#include <stdio.h>
int main(void) {
  int primes = 0;
  for (int n = 2; n < 20000; n++) {
    int d = 2;
    while (d * d <= n && n % d) d++;
    primes += d * d > n;
  }
  printf("compiled here: %d primes below 20000\\n", primes);
}
`;

const redis = `
cd /tmp
redis-server --save "" --logfile /tmp/redis.log &
until redis-cli ping 2>/dev/null | grep -q PONG; do sleep 0.05; done
redis-cli set greeting "hello from redis"
redis-cli get greeting
yes "incr counter" | head -n 500 | redis-cli | tail -n 1
redis-cli bgsave
until redis-cli info persistence | grep -q rdb_bgsave_in_progress:0; do sleep 0.05; done
redis-cli info persistence | tr -d '\\r' | grep rdb_last_bgsave_status
redis-cli shutdown nosave
wait
`;

export const demoPrograms: readonly DemoProgram[] = [
  {
    title: "a shell pipeline",
    command: [
      "bash",
      "-c",
      "seq 1 20000 | shuf | sort -n | sed -n '5000~5000p' | tr '0-9' 'a-j' | paste -sd' '",
    ],
    expected: "faaa baaaa bfaaa caaaa\n",
  },
  {
    title: "python3 with threads and subprocesses",
    command: ["python3", "-c", python],
    expected: "8 threads hashed 8 MB: right\nA SUBPROCESS ANSWERED\nexit status of false: 1\n",
  },
  {
    title: "gcc compiling a program, and that program",
    command: ["bash", "-c", `cd /tmp && cat > p.c <<'end' && gcc -O2 -o p p.c && ./p\n${c}end\n`],
    expected: "compiled here: 2262 primes below 20000\n",
  },
  {
    title: "redis answering redis-cli, and saving in a forked child",
    command: ["bash", "-c", redis],
    expected: "OK\nhello from redis\n500\nBackground saving started\nrdb_last_bgsave_status:ok\n",
  },
];
