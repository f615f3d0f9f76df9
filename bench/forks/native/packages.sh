# dpkg -i of ten packages with scripts, apt-get install of ten more from a local repository.
mkdir repository
number=0
while [ $number -lt 20 ]; do
  name=sample$number
  mkdir -p $name/DEBIAN $name/usr/share/$name
  printf 'Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@b>\nDescription: sample\n' $name >$name/DEBIAN/control
  for script in preinst postinst; do
    printf '#!/bin/sh\nset -e\ntest -n "$1" && date +%%s | sed s/1/2/ >/usr/share/%s.%s\n' $name $script >$name/DEBIAN/$script
    chmod 755 $name/DEBIAN/$script
  done
  head -c 100000 /dev/zero >$name/usr/share/$name/data
  dpkg-deb --build $name repository/$name.deb >/dev/null
  {
    cat $name/DEBIAN/control
    echo "Filename: ./$name.deb"
    echo "Size: $(stat -c %s repository/$name.deb)"
    echo "SHA256: $(sha256sum <repository/$name.deb | cut -d ' ' -f 1)"
    echo
  } >>repository/Packages
  number=$((number + 1))
done
echo "deb [trusted=yes] file:$PWD/repository ./" >sources.list
apt() {
  apt-get -qq -o APT::Sandbox::User=root -o Dir::Etc::SourceList=$PWD/sources.list -o Dir::Etc::SourceParts=- "$@" >log 2>&1
}
begin
dpkg -i repository/sample?.deb >/dev/null 2>&1
apt update
apt install --yes sample10 sample11 sample12 sample13 sample14 sample15 sample16 sample17 sample18 sample19
end
test "$(dpkg -l | grep -c '^ii  sample')" = 20
