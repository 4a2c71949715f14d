#!/usr/bin/env bash
# Checks the Markdown files: every relative link leads to a file and every anchor to a heading, every
# `make` target exists, and every `tasker` command and option is one that the binary knows.
set -euo pipefail
cd "$(dirname "$0")/.."

faults=0
fault() {
  printf 'docs: %s\n' "$*" >&2
  faults=$((faults + 1))
}

mapfile -t files < <(git ls-files --cached --others --exclude-standard -- '*.md')
if ((${#files[@]} == 0)); then
  echo 'docs: there are no Markdown files'
  exit 0
fi

# --- links ---------------------------------------------------------------------------------------

# Prints "file<tab>target" for each link outside of code.
links() {
  perl -ne '
    if (/^\s*(```|~~~)/) { $code = !$code; next }
    next if $code;
    s/`[^`]*`//g;
    while (/\]\(([^()\s]*(?:\([^()\s]*\))?[^()\s]*)(?:\s+"[^"]*")?\)/g) { print "$ARGV\t$1\n" }
    $code = 0 if eof;
  ' "$@"
}

# Prints the anchors of the headings, made as code hosts make them.
anchors() {
  perl -CSD -ne '
    if (/^\s*(```|~~~)/) { $code = !$code; next }
    next if $code || !/^#{1,6}\s+(.*?)\s*#*\s*$/;
    my $slug = lc $1;
    $slug =~ s/\[([^\]]*)\]\([^)]*\)/$1/g;
    $slug =~ s/[^\w\- ]//g;
    $slug =~ s/ /-/g;
    my $n = $seen{$slug}++;
    print $n ? "$slug-$n" : $slug, "\n";
  ' "$1"
}

while IFS=$'\t' read -r file link; do
  [[ $link =~ ^[a-z][a-z0-9+.-]*: ]] && continue
  path=${link%%#*}
  anchor=
  [[ $link == *'#'* ]] && anchor=${link#*#}
  target=$file
  if [[ -n $path ]]; then
    target=$(dirname "$file")/$path
    if [[ $path == /* || ! -e $target ]]; then
      fault "$file: the link $link leads nowhere"
      continue
    fi
  fi
  if [[ -n $anchor && $target == *.md ]] && ! anchors "$target" | grep -qxF -- "$anchor"; then
    fault "$file: there is no heading for the link $link"
  fi
done < <(links "${files[@]}")

# --- commands ------------------------------------------------------------------------------------

# Prints "file<tab>command line" for each command in a shell block or in inline code.
commands() {
  perl -ne '
    if (/^\s*```(\w*)/) { $block = $block ? "" : ($1 || "text"); next }
    my @code = $block =~ /^(sh|bash|console|shell)$/ ? ($_) : $block ? () : /`([^`]+)`/g;
    for my $line (@code) {
      $line =~ s/\s+#\s.*//;
      for (split /&&|\|\|?|;|\$\(/, $line) {
        s/^\s*(\$\s+)?(sudo\s+)?([A-Z_]+=\S*\s+)*(\.?[\w\/.-]*\/)?//;
        s/^cargo run\b.*? -- /tasker / if /tasker/;
        print "$ARGV\t$_\n" if /^(tasker|make)\s/;
      }
    }
    $block = "" if eof;
  ' "$@" | sed 's/[[:space:]]*$//' | sort -u
}

targets=$(make --silent help | awk '{print $2}')
tasker=${TASKER_BINARY:-}
if [[ -z $tasker ]]; then
  tasker=$(cargo metadata --locked --no-deps --format-version 1 |
    sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/tasker
fi
[[ -x $tasker ]] || cargo build --quiet --locked --package tasker-cli --bin tasker

declare -A help_of
# Keeps the help text of a command; fails where the binary does not know it.
load_help() {
  [[ -n ${help_of[$1]:-} ]] && return 0
  local text
  # shellcheck disable=SC2086 # the words of a command are arguments
  text=$("$tasker" ${1#tasker} --help 2>/dev/null) || return 1
  help_of[$1]=$text
}

check_tasker() {
  local file=$1 line=$2 command=tasker word
  load_help tasker || { fault 'tasker --help does not run'; return; }
  for word in ${line#tasker }; do
    if [[ $word =~ ^(--[a-z][a-z-]*) ]]; then
      if [[ $word != --help && $word != --version ]] &&
        ! grep -qE -- "(^|[[:space:]])${BASH_REMATCH[1]}([[:space:]=]|$)" <<<"${help_of[$command]}"
      then
        fault "$file: $command knows no ${BASH_REMATCH[1]} (in: $line)"
      fi
    elif [[ $word =~ ^[a-z][a-z-]*$ ]] && grep -q '^Commands:' <<<"${help_of[$command]}"; then
      if ! load_help "$command $word"; then
        fault "$file: there is no command $command $word (in: $line)"
        return
      fi
      command="$command $word"
    fi
  done
}

set -f
while IFS=$'\t' read -r file line; do
  case $line in
    'make '*)
      for word in ${line#make }; do
        if [[ $word =~ ^[a-z][a-z0-9-]*$ ]] && ! grep -qx -- "$word" <<<"$targets"; then
          fault "$file: there is no target for \`$line\`"
        fi
      done
      ;;
    *) check_tasker "$file" "$line" ;;
  esac
done < <(commands "${files[@]}")

if ((faults > 0)); then
  exit 1
fi
echo "docs: ${#files[@]} Markdown files, all links and commands exist"
