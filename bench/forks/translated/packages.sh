# dpkg -i of three packages with scripts.
member() {
  printf '%-16s%-12s%-6s%-6s%-8s%-10s`\n' $1 0 0 0 100644 $(stat -c %s $1)
  cat $1
  test $(($(stat -c %s $1) % 2)) = 0 || echo
}
echo 2.0 >debian-binary
number=0
while [ $number -lt 3 ]; do
  name=sample$number
  mkdir -p $name/control $name/data/usr/share/$name
  printf 'Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@b>\nDescription: sample\n' $name >$name/control/control
  printf '#!/bin/sh\ndate +%%s | sed s/1/2/ >/usr/share/%s.done\n' $name >$name/control/postinst
  chmod 755 $name/control/postinst
  head -c 100000 /dev/zero >$name/data/usr/share/$name/data
  tar -czf control.tar.gz -C $name/control .
  tar -czf data.tar.gz -C $name/data .
  {
    echo '!<arch>'
    member debian-binary
    member control.tar.gz
    member data.tar.gz
  } >$name.deb
  number=$((number + 1))
done
mkdir -p /var/lib/dpkg/info
touch /var/lib/dpkg/status
begin
dpkg -i sample?.deb >/dev/null
end
test -s /usr/share/sample2.done
