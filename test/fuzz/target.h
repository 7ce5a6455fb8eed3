// What every fuzz target is: a function that may be given any bytes at all. clang's
// -fsanitize=fuzzer looks for it by this name; replay.c calls it with the files of
// test/fuzz/corpus.
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
