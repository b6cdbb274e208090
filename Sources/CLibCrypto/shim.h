// OpenSSL as Stardust uses it: SHA-256 and Ed25519.
//
// OpenSSL 3.0 deprecated SHA256_Init/Update/Final in favour of EVP. But they are the only interface
// without an allocation per message, and each packet is two short messages. Docs/Decisions/0003 has
// the measurement.
#ifndef STARDUST_CLIBCRYPTO_H
#define STARDUST_CLIBCRYPTO_H
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#endif
