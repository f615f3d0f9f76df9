/**
 * What comes before a command line whose program is to find another file in the place of /etc/subuid and /etc/subgid;
 * nobody else does.
 */
export function withSubordinates(file: string): string[] {
  const script = [
    'mount --make-private "$(stat --format %m /etc/subuid)"',
    ...["subuid", "subgid"].map((name) => `mount --bind "${file}" /etc/${name}`),
    'exec "$@"',
  ];
  return ["unshare", "--mount", "--propagation", "unchanged", "sh", "-ec", script.join("\n"), "program"];
}
