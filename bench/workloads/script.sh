# A shell script of 300 lines, each a pipeline.
i=0
while [ $i -lt 300 ]; do
  echo "echo line $i | tr a-z A-Z | sed s/LINE/l/ >>out"
  i=$((i + 1))
done >script
begin
sh ./script
end
test "$(wc -l <out)" = 300
