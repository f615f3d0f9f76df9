# A shell script of 500 stages, in pipelines of five.
line=0
while [ $line -lt 100 ]; do
  echo "echo line $line | tr a-z A-Z | sed s/LINE/l/ | cat | head -n 1 >>out"
  line=$((line + 1))
done >script
begin
sh ./script
end
test "$(wc -l <out)" = 100
