# configure and make of a small package made with autoconf and automake.
cat >configure.ac <<'END'
AC_INIT([sample], [1.0])
AM_INIT_AUTOMAKE([foreign])
AC_PROG_CC
AC_CHECK_HEADERS([unistd.h fcntl.h sys/socket.h sys/mman.h locale.h nosuch.h])
AC_CHECK_FUNCS([fork mmap select poll epoll_create strlcpy setlocale nosuch])
AC_CHECK_SIZEOF([long])
AC_TYPE_SIZE_T
AC_CONFIG_HEADERS([config.h])
AC_CONFIG_FILES([Makefile])
AC_OUTPUT
END
echo 'bin_PROGRAMS = sample' >Makefile.am
printf 'sample_SOURCES = main.c' >>Makefile.am
echo '#include "config.h"
int f0(int);
int main(void) { return f0(1) != 1; }' >main.c
i=0
while [ $i -lt 12 ]; do
  echo "int f$i(int a) { return a; }" >f$i.c
  printf ' f%s.c' $i >>Makefile.am
  i=$((i + 1))
done
echo >>Makefile.am
autoreconf --install >/dev/null 2>&1
begin
./configure >/dev/null
make -j2 >/dev/null
end
./sample
