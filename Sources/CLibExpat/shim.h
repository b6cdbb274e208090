// The XML parser.
#ifndef STARDUST_CLIBEXPAT_H
#define STARDUST_CLIBEXPAT_H
#include <expat.h>
#endif
