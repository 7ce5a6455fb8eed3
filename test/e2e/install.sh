#!/usr/bin/env bash
# `meson install`: programs, manual pages, completion, the systemd unit and a configuration, which is kept where there is
# one already. The pages are well-formed and say what the programs do.
. "$(dirname "$0")/lib/story.sh"

node host
root=$lab_dir/root
option() {
	meson introspect "$build" --buildoptions | jq -r --arg name "$1" '.[] | select(.name == $name).value'
}
install_all() {
	meson install -C "$build" --no-rebuild --destdir "$root" >"$lab_dir/install.log"
}
prefix=$(option prefix)
etc=$(option sysconfdir)
[[ $etc == /* ]] || etc=$prefix/$etc

ninja -C "$build" conf/stormgate.conf.5 >/dev/null
install_all
for file in bin/stormctl sbin/stormgate share/man/man1/stormctl.1 share/man/man5/stormgate.conf.5 \
	share/man/man8/stormgate.8 share/bash-completion/completions/stormctl lib/systemd/system/stormgate.service; do
	[ -s "$root$prefix/$file" ] || fail "$prefix/$file is not installed"
done
expect "stormctl's version" "$("$root$prefix/bin/stormctl" --version)" "stormctl $(meson introspect "$build" --projectinfo | jq -r .version)"

# The unit starts what is there.
unit=$root$prefix/lib/systemd/system/stormgate.service
grep -o '[^= ]*/stormgate\(\.conf\)\?\( \|$\)' "$unit" | tr -d ' ' | sort -u | mapfile -t paths
expect "paths in the unit" "${#paths[@]}" 2
for path in "${paths[@]}"; do
	[ -e "$root$path" ] || fail "the unit names $path, which is not installed"
done
exits 0 "$root$prefix/sbin/stormgate" -c "$root$etc/stormgate/stormgate.conf" --check

# What the operator has written stays.
echo '# mine' >"$root$etc/stormgate/stormgate.conf"
install_all
expect "the configuration" "$(cat "$root$etc/stormgate/stormgate.conf")" '# mine'

for page in man1/stormctl.1 man5/stormgate.conf.5 man8/stormgate.8; do
	exits 0 mandoc -T lint -W warning "$root$prefix/share/man/$page"
done
# Each line of the commented file can be read in its page, whatever roff thinks of it.
squeeze() {
	tr -s '[:blank:]' ' ' | sed 's/^ //; s/ $//' | sort -u
}
mandoc -T ascii "$root$prefix/share/man/man5/stormgate.conf.5" | squeeze >"$lab_dir/page"
squeeze <"$top/conf/stormgate.conf" >"$lab_dir/file"
expect "lines that stormgate.conf(5) lacks" "$(comm -23 "$lab_dir/file" "$lab_dir/page")" ''
for option in $("$root$prefix/sbin/stormgate" --help | grep -o -- '--[a-z]*' | sort -u); do
	grep -q -- "Fl ${option#-}\b" "$root$prefix/share/man/man8/stormgate.8" || fail "stormgate(8) lacks $option"
done

expect "the completion" "$(bash -euc '. "$1"; complete -p stormctl' - "$root$prefix/share/bash-completion/completions/stormctl")" \
	'complete -F _stormctl stormctl'
