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

#define SG_SERVICE_DROP_NUMBER(symbol) [SG_DROP_##symbol] = SG_SERVICE_DROP_##symbol,
#define SG_SERVICE_DROP_REASON(symbol) [SG_SERVICE_DROP_##symbol] = SG_DROP_##symbol,

const uint8_t sg_service_drop_numbers[SG_DROP_COUNT] = {
	SG_SERVICE_DROP_LIST(SG_SERVICE_DROP_NUMBER)};

const uint8_t sg_service_drop_reasons[SG_SERVICE_DROP_COUNT] = {
	SG_SERVICE_DROP_LIST(SG_SERVICE_DROP_REASON)};
