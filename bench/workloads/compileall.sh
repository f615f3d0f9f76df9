# python3 -m compileall of a part of the standard library.
mkdir modules
cp -r /usr/lib/python3.11/asyncio /usr/lib/python3.11/email /usr/lib/python3.11/json /usr/lib/python3.11/unittest modules
find modules -name __pycache__ -exec rm -r {} +
begin
python3 -m compileall -q -j 2 modules
end
