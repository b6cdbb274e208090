internal import Glibc
internal import LedgerFormat

/// A file that is only read, wherever its bytes are.
package protocol ReadOnlyFile: VolumeFile {}

extension ReadOnlyFile {
    package func permissions() throws(FileFailure) -> UInt32 { 0o400 }
    package func isPrivate() throws(FileFailure) -> Bool { true }
    package func linkCount() throws(FileFailure) -> Int { 1 }
    package func lock() throws(FileFailure) {}
    package func syncData() throws(FileFailure) {}
    package func sync() throws(FileFailure) {}
    package func dropCache() throws(FileFailure) {}

    package func readCached(
        into buffer: inout [UInt8], _ range: Range<Int>, at offset: Int
    ) throws(FileFailure) -> Int? { nil }

    package func write(_ bytes: Span<UInt8>, at offset: Int) throws(FileFailure) {
        throw FileFailure(.write, path, errorNumber: EROFS)
    }

    package func allocate(_ size: Int) throws(FileFailure) {
        throw FileFailure(.allocate, path, errorNumber: EROFS)
    }

    package func truncate(to size: Int) throws(FileFailure) {
        throw FileFailure(.truncate, path, errorNumber: EROFS)
    }
}
