internal import Foundation
internal import LedgerFormat

extension Digest {
    var databaseBlob: Data { Data(bytes) }
}

/// Whether the last system call of this thread failed for want of room.
var errnoIsNoSpace: Bool { [ENOSPC, EDQUOT, EFBIG].contains(errno) }
