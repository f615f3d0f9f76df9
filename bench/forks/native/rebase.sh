# git rebase --exec of 200 commits.
export HOME=$PWD
git init --quiet --initial-branch=main tree
cd tree
git config user.name a
git config user.email a@b
awk 'BEGIN {
  print "commit refs/heads/main\nmark :1\ncommitter a <a@b> 1700000000 +0000\ndata 1\nx";
  for (i = 0; i < 200; i++) printf "M 644 inline d%d/f%d\ndata <<E\nfile %d\nE\n\n", i % 20, i, i;
  for (c = 0; c < 200; c++) {
    printf "commit refs/heads/topic\ncommitter a <a@b> %d +0000\ndata 1\ny\n", 1700000001 + c;
    if (c == 0) print "from :1";
    printf "M 644 inline d%d/f%d\ndata <<E\nfile %d\nchange %d\nE\n\n", c % 20, c, c, c;
  }
  print "commit refs/heads/main\ncommitter a <a@b> 1700001000 +0000\ndata 1\nz\nfrom :1\nM 644 inline other\ndata 2\nz\n";
}' | git fast-import --quiet
git checkout --quiet topic
begin
git rebase --quiet --exec true main 2>/dev/null
end
test "$(git rev-list --count main..topic)" = 200
