# ./configure and make of GNU hello.
tar -xzf /usr/src/hello_*.orig.tar.gz
cd hello-*
begin
./configure >/dev/null 2>&1
make >/dev/null 2>&1
end
test "$(./hello)" = 'Hello, world!'
