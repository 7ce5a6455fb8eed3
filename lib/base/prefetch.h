// Asking for a cache line ahead of its use.
//
// gcc takes __builtin_prefetch for something without effect: a function that does nothing else is
// pure to it, and calls of it are thrown away, as are loops that only prefetch. The empty asm is
// the effect that keeps them.
#pragma once

// To be read.
static inline void sg_prefetch(const void *at)
{
	__builtin_prefetch(at);
	__asm__ volatile("");
}

// To be written.
static inline void sg_prefetch_write(const void *at)
{
	__builtin_prefetch(at, 1);
	__asm__ volatile("");
}
