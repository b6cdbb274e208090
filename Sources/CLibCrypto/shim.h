// OpenSSL as Stardust uses it: SHA-256 and Ed25519.
//
// SHA256_Init/Update/Final are marked deprecated since OpenSSL 3.0 in favour of EVP, but they are
// the only interface without an allocation per message, and a packet is two short messages.
// Docs/Decisions/0003 has the measurement.
#ifndef STARDUST_CLIBCRYPTO_H
#define STARDUST_CLIBCRYPTO_H
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#endif
