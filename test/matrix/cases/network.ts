import type { Case } from "./case.js";

const server = (port: number, reply: string): string =>
  `sh -c 'while :; do echo ${reply} | nc -l -p ${port}; done'`;
const echo = `python3 -u -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 5000))
while True:
  d, a = s.recvfrom(100); s.sendto(d.upper(), a)'`;
const ask = `node -e 'const s = require("dgram").createSocket("udp4"); s.on("message", (m) => { console.log(String(m)); process.exit(); }); setInterval(() => s.send("ping", 15000, "127.0.0.1"), 200); setTimeout(() => process.exit(1), 8000)'`;

/** Networks and ports. */
export const network: readonly Case[] = [
  {
    title: "bridge: the interfaces",
    script: `run --rm $BB sh -c 'ls /sys/class/net; ip -o -4 address show eth0 | grep -c inet; ip route | grep -c default'`,
  },
  {
    title: "-p: TCP",
    quick: true,
    script: `up -p 127.0.0.1:18080:80 --name $N $BB ${server(80, "hello")}; until_ok bash -c 'cat < /dev/tcp/127.0.0.1/18080 2>/dev/null | grep hello' 2>/dev/null`,
  },
  { title: "-p: UDP both ways", script: `up -p 127.0.0.1:15000:5000/udp --name $N $DEB ${echo}; ${ask}` },
  {
    title: "two containers, one network, by name",
    script: `c network create $N-net >/dev/null; up --network $N-net --name $N $BB ${server(80, "by name")}; sleep 0.5; run --rm --network $N-net $BB sh -c "nc $N 80 < /dev/null"; c rm -f $N >/dev/null; c network rm $N-net >/dev/null; echo $?`,
  },
  {
    title: "--network none",
    quick: true,
    script: `run --rm --network none $BB sh -c 'ls /sys/class/net; ip route | wc -l'`,
  },
  {
    title: "--network host",
    script: `test "$(run --rm --network host $BB readlink /proc/self/ns/net)" = "$(readlink /proc/self/ns/net)"; echo $?; run --rm --network host $BB ip -o link | wc -l`,
  },
  {
    title: "--network container:",
    quick: true,
    script: `up --name $N $BB ${server(81, "same network")}; run --rm --network container:$N $BB sh -c 'until nc 127.0.0.1 81 < /dev/null 2>/dev/null; do sleep 0.1; done; hostname' | sed 's/^[0-9a-f]\\{12\\}$/ID/'`,
  },
  {
    title: "--dns, --dns-search, --add-host",
    script: `run --rm --dns 192.0.2.1 --dns-search example.test --add-host there:192.0.2.9 $BB sh -c 'grep -vE "^#|^$" /etc/resolv.conf; grep there /etc/hosts'`,
  },
  {
    title: "--ip, --mac-address",
    script: `c network create --subnet 10.99.0.0/24 $N-net >/dev/null; run --rm --network $N-net --ip 10.99.0.77 --mac-address 02:00:00:00:00:77 $BB sh -c 'ip -o -4 address show eth0 | grep -o 10.99.0.77; cat /sys/class/net/eth0/address'; c network rm $N-net >/dev/null`,
  },
  {
    title: "network connect and disconnect",
    lacks: { nerdctl: "no such command" },
    script: `c network create $N-net >/dev/null; up --name $N $BB sleep 100; c network connect $N-net $N; c exec $N ls /sys/class/net; c network disconnect $N-net $N; c exec $N ls /sys/class/net; c rm -f $N >/dev/null; c network rm $N-net >/dev/null`,
  },
  {
    title: "ping between containers",
    script: `up --name $N $BB sleep 100; a=$(c inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' $N); run --rm $BB ping -c 1 -W 3 $a | grep received`,
  },
];
