# 50 command substitutions.
begin
number=0
while [ $number -lt 50 ]; do
  number=$(echo $((number + 1)))
done
end
