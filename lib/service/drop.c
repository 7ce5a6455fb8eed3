// Texts of the drop reasons, see drop.h.
#include "service/drop.h"

static const struct {
	const char *name;
	const char *meaning;
} reasons[SG_DROP_COUNT] = {
#define SG_DROP_TEXT(symbol, name, meaning) [SG_DROP_##symbol] = {name, meaning},
	SG_DROP_LIST(SG_DROP_TEXT)
#undef SG_DROP_TEXT
};

const char *sg_drop_name(enum sg_drop drop)
{
	return reasons[drop].name;
}

const char *sg_drop_meaning(enum sg_drop drop)
{
	return reasons[drop].meaning;
}
