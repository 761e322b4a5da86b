# shellcheck shell=bash
# What packaging/quickstart and tests/run share. Sourced by bash with
# `set -euo pipefail`; expects ROOT, the top of the source tree.

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# The option's value, or the complaint that it lacks one.
value_of() { # OPTION COUNT [VALUE]
  [ "$2" -ge 2 ] || die "$1 needs a value"
  printf '%s' "$3"
}

# missing_packages WHEN...: those of packaging/dependencies.txt that are not installed.
missing_packages() {
  local when package rest
  while read -r when package rest; do
    case " $* " in
      *" $when "*)
        dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
          printf '%s\n' "$package"
        ;;
    esac
  done < <(grep -Ev '^ *(#|$)' "$ROOT/packaging/dependencies.txt")
}

# install_packages WHEN...: by apt, and only what is missing.
install_packages() {
  command -v apt-get >/dev/null || die "this needs Debian's apt-get"
  local missing
  mapfile -t missing < <(missing_packages "$@")
  if [ "${#missing[@]}" -eq 0 ]; then
    say "everything needed is installed"
    return
  fi
  [ "$(id -u)" -eq 0 ] || die "these packages are missing, run as root to install them: ${missing[*]}"
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# Ninja's output: a moving line on a terminal, one line every tenth otherwise;
# what a compiler has to say is always shown.
build_progress() {
  if [ -t 1 ]; then
    cat
    return
  fi
  awk '
    match($0, /^\[[0-9]+\/[0-9]+\] /) {
      split(substr($0, 2, RLENGTH - 3), part, "/")
      tenth = int(10 * part[1] / part[2])
      if (tenth != shown) { printf "%3d %%  %s\n", 10 * tenth, $0; fflush() }
      shown = tenth
      next
    }
    { print; fflush() }'
}

# configure DIR CMAKE-ARGUMENT...
configure() {
  local directory=$1 log
  shift
  mkdir -p "$directory"
  log=$directory/configure.log
  if ! cmake -S "$ROOT" -B "$directory" -G Ninja "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    die "cmake failed; all it said is in $log"
  fi
}

# build DIR [TARGET...]
build() {
  local directory=$1
  shift
  if [ -t 1 ]; then
    ninja -C "$directory" "$@"
  else
    ninja -C "$directory" "$@" | build_progress
  fi
}

# count_progress TOTAL WHAT: shows how many lines came in.
count_progress() {
  local terminal=0
  [ -t 1 ] && terminal=1
  awk -v total="$1" -v what="$2" -v terminal="$terminal" '
    function show(end) {
      printf "%s%d of %d %s%s", (terminal ? "\r" : ""), (NR < total ? NR : total), total, what, end
      fflush()
    }
    terminal && NR % 50 == 0 { show("") }
    !terminal && total >= 10 && NR % int(total / 5) == 0 && NR < total { show("\n") }
    END { show("\n") }'
}
