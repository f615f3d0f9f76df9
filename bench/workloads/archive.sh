# tar and gzip of the C library's headers and Python's modules.
begin
tar -cf - /usr/include /usr/lib/python3.11/asyncio /usr/lib/python3.11/email 2>/dev/null | gzip -6 >out
tar -tzf out >/dev/null
end
