"""Programs that people run, on a mount: git, a build, a database."""

import os
import re

from harness import check, check_equal, drop_caches, make_tree, run, seeded

GIT_ENVIRONMENT = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
                   "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
                   "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org"}


def git(*arguments, cwd):
    return run("git", *arguments, cwd=cwd, env=GIT_ENVIRONMENT, timeout=240).stdout.decode()


def git_clones_packs_and_checks_thousands_of_objects(space):
    generator = seeded("git")
    origin = make_tree(space.path("origin"), 1500, generator, bytes_max=8 << 10)
    git("init", "-q", "-b", "main", cwd=origin)
    files = sorted(path for path in origin.rglob("file-*") if path.is_file())
    for commit in range(20):
        for path in generator.sample(files, 40):
            path.write_bytes(generator.randbytes(500))
        git("add", "-A", cwd=origin)
        git("commit", "-q", "-m", f"commit {commit}", cwd=origin)
    with space.cluster() as cluster:
        clone = cluster.mount / "clone"
        git("clone", "-q", "--no-hardlinks", origin, clone, cwd=cluster.mount)
        check_equal(git("status", "--porcelain", cwd=clone), "", "git status after the clone")
        git("fsck", "--full", "--strict", cwd=clone)

        for commit in range(3):
            (clone / f"new-{commit}").write_bytes(generator.randbytes(5000))
            git("add", "-A", cwd=clone)
            git("commit", "-q", "-m", f"here {commit}", cwd=clone)
        git("checkout", "-q", "-b", "other", "HEAD~10", cwd=clone)
        git("checkout", "-q", "main", cwd=clone)
        git("repack", "-q", "-a", "-d", "-f", cwd=clone)
        git("gc", "-q", "--prune=now", cwd=clone)
        cluster.restart_mounts_cold()
        git("fsck", "--full", "--strict", cwd=clone)
        check_equal(git("status", "--porcelain", cwd=clone), "", "git status at the end")
        objects = int(re.search(r"in-pack: (\d+)", git("count-objects", "-v", cwd=clone))[1])
        check(objects > 2000, f"the clone holds {objects} objects")
        local = git("clone", "-q", clone, space.path("back"), cwd=space.directory)
        check_equal(local, "", "git clone out of the mount")
        check_equal(git("rev-parse", "HEAD", cwd=space.path("back")),
                    git("rev-parse", "HEAD", cwd=clone), "the commit cloned back")


CONFIGURE = r"""#!/bin/sh
# What configure scripts do: compile and run little programs, write headers.
set -e
: "${CC:=cc}"
have() {
  printf '#include <%s>\nint main(void) { return 0; }\n' "$1" >conftest.c
  if $CC conftest.c -o conftest 2>conftest.log && ./conftest; then
    printf '#define HAVE_%s 1\n' "$(printf %s "$1" | tr 'a-z./' 'A-Z__')" >>config.h.tmp
  fi
  rm -f conftest conftest.c conftest.log
}
rm -f config.h.tmp
for header in stdio.h stdlib.h unistd.h sys/stat.h sys/mman.h no_such_header.h; do have "$header"; done
mv config.h.tmp config.h
sed -e "s|@CC@|$CC|" -e "s|@COUNT@|$(ls part_*.c | wc -l)|" Makefile.in >Makefile
"""

MAKEFILE = """CC = @CC@
PARTS = $(sort $(wildcard part_*.c))
all: program
%.o: %.c config.h parts.h
\t$(CC) -O1 -c $< -o $@ -MMD
libparts.a: $(PARTS:.c=.o)
\trm -f $@ && ar rcs $@ $^
program: main.o libparts.a
\t$(CC) main.o libparts.a -o $@
clean:
\trm -f *.o *.d libparts.a program
-include $(wildcard *.d)
"""


def make_project(top, parts):
    top.mkdir()
    (top / "configure").write_text(CONFIGURE)
    (top / "configure").chmod(0o755)
    (top / "Makefile.in").write_text(MAKEFILE)
    (top / "parts.h").write_text("".join(f"long part_{n:03d}(void);\n" for n in range(parts)))
    for n in range(parts):
        (top / f"part_{n:03d}.c").write_text(
            '#include "config.h"\n#include "parts.h"\n'
            f"long part_{n:03d}(void) {{ long sum = 0; for (int i = 0; i < {n}; ++i) sum += i; return sum; }}\n")
    calls = " + ".join(f"part_{n:03d}()" for n in range(parts))
    (top / "main.c").write_text(
        '#include "config.h"\n#include "parts.h"\n#ifndef HAVE_STDIO_H\n#error no stdio\n#endif\n'
        "#ifdef HAVE_NO_SUCH_HEADER_H\n#error configure lies\n#endif\n"
        f'#include <stdio.h>\nint main(void) {{ printf("%ld\\n", {calls}); return 0; }}\n')


def a_configure_and_make_build_with_two_jobs_works(space):
    parts = 120
    expected = sum(n * (n - 1) // 2 for n in range(parts))
    with space.cluster() as cluster:
        project = cluster.mount / "project"
        make_project(project, parts)
        run("./configure", cwd=project)
        run("make", "-j2", cwd=project, timeout=240)
        check_equal(int(run(project / "program").stdout), expected, "what the program computes")

        again = run("make", "-j2", cwd=project).stdout
        check(b"part_" not in again, f"make found something to do again:\n{again.decode()}")
        with open(project / "part_007.c", "a") as source:
            source.write("/* changed */\n")
        changed = run("make", "-j2", cwd=project).stdout
        check(b"part_007.c" in changed and b"part_008.c" not in changed,
              f"make rebuilt other things than what changed:\n{changed.decode()}")
        cluster.restart_mounts_cold()
        check_equal(int(run(project / "program").stdout), expected, "the same after a restart")
        run("make", "clean", cwd=project)


def sqlite(database, script, timeout=240):
    return run("sqlite3", "-batch", "-bail", database, stdin=script.encode(), timeout=timeout).stdout.decode()


def sqlite_keeps_ten_thousand_rows(space, journal_mode):
    rows = 10_000
    with space.cluster() as cluster:
        database = cluster.mount / "rows.db"
        mode = sqlite(database, f"pragma journal_mode={journal_mode};\n").strip()
        check_equal(mode, journal_mode, "the journal mode that sqlite could use")
        sqlite(database, "create table rows (id integer primary key, body text);"
                         "create index by_body on rows (body);")
        # Many transactions, some undone.
        script = ["pragma synchronous=normal;"]
        for first in range(0, rows, 100):
            script.append("begin;")
            script += [f"insert into rows values ({row}, hex({row} * 7919) || printf('%.*c', {row % 300}, 'x'));"
                       for row in range(first, first + 100)]
            script.append("commit;")
            script.append(f"begin; update rows set body = 'lost' where id > {first}; rollback;")
        sqlite(database, "\n".join(script))
        check_equal(sqlite(database, "pragma integrity_check; select count(*), sum(id) from rows;"),
                    f"ok\n{rows}|{rows * (rows - 1) // 2}\n", "the database")
        cluster.restart_mounts_cold()
        drop_caches()
        check_equal(sqlite(database, "pragma integrity_check; select count(*) from rows where body = 'lost';"
                                     "select sum(length(body)) > 0 from rows;"),
                    "ok\n0\n1\n", "the database after a restart")
        sqlite(database, "delete from rows where id % 2; vacuum;")
        check_equal(sqlite(database, "pragma integrity_check; select count(*) from rows;"),
                    f"ok\n{rows // 2}\n", "the database after vacuum")


def sqlite_keeps_ten_thousand_rows_in_delete_mode(space):
    sqlite_keeps_ten_thousand_rows(space, "delete")


def sqlite_keeps_ten_thousand_rows_in_wal_mode(space):
    sqlite_keeps_ten_thousand_rows(space, "wal")
