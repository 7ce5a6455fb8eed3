# 2 MB pages borrowed from the kernel. Sourced by what measures; needs root to borrow.

pages=/proc/sys/vm/nr_hugepages
reserved=0 # pages that are ours to give back

# reserve_pages N: as many as N wants and the machine does not have free. Fails with a sentence when they are not to be
# had; give_pages_back belongs into the EXIT trap.
reserve_pages() {
	local wanted=$1 before free
	free=$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages 2>/dev/null || echo 0)
	[ "$free" -lt "$wanted" ] || return 0
	if [ ! -w "$pages" ]; then
		echo "$wanted free 2 MB pages are wanted and only root can reserve them" >&2
		return 1
	fi
	before=$(cat "$pages")
	echo $((before + wanted - free)) >"$pages"
	reserved=$(($(cat "$pages") - before))
	if [ "$reserved" -ge $((wanted - free)) ]; then
		step "pages: $reserved of 2 MB reserved until the end"
		return
	fi
	give_pages_back
	echo "the kernel has no $wanted 2 MB pages in one piece each" >&2
	return 1
}

give_pages_back() {
	[ "$reserved" -gt 0 ] || return 0
	echo $(($(cat "$pages") - reserved)) >"$pages"
	echo "the $reserved pages of 2 MB are given back"
	reserved=0
}
