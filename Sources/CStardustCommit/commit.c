#include "CStardustCommit.h"

#ifndef STARDUST_COMMIT
#define STARDUST_COMMIT "unknown"
#endif

const char *stardust_commit(void) { return STARDUST_COMMIT; }
