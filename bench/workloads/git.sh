# git status and git log -p on a tree of 2,000 files with 60 commits.
export HOME=$PWD GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
git init --quiet tree
cd tree
git config user.name a
git config user.email a@b
awk 'BEGIN {
  print "commit refs/heads/master\ncommitter a <a@b> 1700000000 +0000\ndata 1\nx";
  for (i = 0; i < 2000; i++) printf "M 644 inline d%d/f%d\ndata <<E\nfile %d\nE\n\n", i % 50, i, i;
  for (c = 0; c < 60; c++) {
    printf "commit refs/heads/master\ncommitter a <a@b> %d +0000\ndata 1\ny\n", 1700000001 + c;
    for (i = c; i < 2000; i += 60) printf "M 644 inline d%d/f%d\ndata <<E\nfile %d\nchange %d\nE\n\n", i % 50, i, i, c;
  }
}' | git fast-import --quiet
git reset --quiet --hard
begin
git status --short
git log -p >/dev/null
end
