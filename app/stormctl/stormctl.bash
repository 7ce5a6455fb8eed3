# Completes stormctl's command line in bash. `stormctl complete` has the candidates: verbs, options and their values, and
# the names of services and backends as the daemon knows them at that moment.

_stormctl() {
	local line=${COMP_LINE:0:COMP_POINT} words cur
	# By blanks alone, because COMP_WORDS is also split at the colons of addresses.
	read -ra words <<<"$line"
	[[ $line != *[[:blank:]] ]] || words+=('')
	cur=${words[-1]}
	case ${words[-2]} in
	-f | --file | -s | --socket)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		compopt -o filenames
		return
		;;
	esac
	mapfile -t COMPREPLY < <("${words[0]}" complete -- "${words[@]:1}" 2>/dev/null)
	# What stands before the last colon is a word of its own for readline, and is not replaced.
	[[ $cur != *:* ]] || COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}")
}

complete -F _stormctl stormctl
