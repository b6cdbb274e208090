// PostgreSQL's client library.
#ifndef STARDUST_CLIBPQ_H
#define STARDUST_CLIBPQ_H
#include <libpq-fe.h>
#endif
