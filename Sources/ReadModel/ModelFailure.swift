package import Platform

/// Why an operation on the read model failed.
package enum ModelFailure: Error, Sendable, CustomStringConvertible {
    /// The caller's data is at fault: the refused change is not applied, the rest is.
    case refused(ModelRefusal)
    /// The rows here are not the ones the source's changes were made to: only a new copy helps.
    case drifted(String)
    /// Another process writes it.
    case locked(String)
    /// There is no read model.
    case missing(String)
    /// A query took longer than allowed.
    case tooSlow
    case database(SQLiteFailure)
    case file(FileFailure)

    package var description: String {
        switch self {
        case .refused(let refusal): refusal.description
        case .drifted(let detail):
            "the read model has drifted from its source: \(detail). Rebuild it with "
                + "`stardust model sync --resync`"
        case .locked(let detail), .missing(let detail): detail
        case .tooSlow: "this took too long; ask for less"
        case .database(let failure) where failure.isOfFile:
            "\(failure). Replace it with a new copy: `stardust model sync --resync`; or, for a change "
                + "feed, remove the model's files and send the feed again"
        case .database(let failure): failure.description
        case .file(let failure): failure.description
        }
    }
}

/// A row change that was not applied: what is wrong with it, and where.
package struct ModelRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    package var code: Code
    package var table: String?
    package var column: String?
    /// The value as sent.
    package var value: String?
    package var detail: String

    package enum Code: String, CaseIterable, Hashable, Sendable {
        case notAChange = "not_a_change"
        case unknownTable = "unknown_table"
        case unknownColumn = "unknown_column"
        case wrongType = "wrong_type"
        case missingValue = "missing_value"
        case checkViolated = "check_violated"
        case notUnique = "not_unique"
        case rowNotFound = "row_not_found"
    }

    package init(
        _ code: Code, table: String? = nil, column: String? = nil, value: String? = nil,
        _ detail: String
    ) {
        (self.code, self.table, self.column) = (code, table, column)
        (self.value, self.detail) = (
            value.map { $0.shortened(to: 200) }, detail.shortened(to: 1000)
        )
    }

    package var description: String {
        let place = [table, column].compactMap(\.self).joined(separator: ".")
        let shown = value.map { " (\($0))" } ?? ""
        return (place.isEmpty ? "" : "\(place): ") + detail + shown
    }
}

extension String {
    /// The same, cut to `count` characters if it is longer.
    fileprivate func shortened(to count: Int) -> String {
        utf8.count > count && self.count > count ? String(prefix(count)) + "…" : self
    }
}
