// The commit that the program was built from. A target of its own, so that a new commit compiles
// this file again and nothing else.
#ifndef STARDUST_COMMIT_H
#define STARDUST_COMMIT_H

/// The commit, "-dirty" behind it if the tree differed from it; "unknown" if the build did not say.
const char *stardust_commit(void);
#endif
