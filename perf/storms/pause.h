// Holding threads still: a storm that is held is over at once, whatever it was in the middle of,
// and goes on later. Quiet and stormy slices can so take turns many times a second.
#pragma once

// The threads that there are now are never held. Before the others start.
void sg_pause_open(void);

// Holds all other threads, from where they are; returns when they stand still. Until the release
// nobody may wait for any of them, nor for a lock that one may have: allocate nothing.
void sg_pause_hold(void);
void sg_pause_release(void);

// How long they were held in all, in ms. For threads that can be held.
double sg_pause_held_ms(void);
