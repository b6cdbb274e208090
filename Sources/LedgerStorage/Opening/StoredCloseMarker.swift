package import LedgerFormat
package import Platform

extension Volume {
    /// The close marker; nil if there is none. The finding says that it is damaged.
    package func closeMarker() throws(FileFailure) -> Result<CloseMarker?, Finding> {
        let content: [UInt8]
        do throws(FileFailure) { content = try self.content(of: LedgerLayout.closeMarker) } catch {
            guard error.isMissing else { throw error }
            return .success(nil)
        }
        guard let marker = CloseMarker(fileContent: content) else {
            let unknown = Finding.unknownFormat(
                content, CloseMarker.firstLine, file: LedgerLayout.closeMarker)
            return .failure(
                unknown
                    ?? Finding(
                        .closeMarkerDamaged, file: LedgerLayout.closeMarker,
                        "the close marker is damaged"))
        }
        return .success(marker)
    }
}
