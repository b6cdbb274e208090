/// A table whose rows come from elsewhere, while one connection lasts: it is in no file. SQLite
/// compares every row again, so it may return extra rows.
package protocol VirtualTable: AnyObject {
    var name: String { get }
    /// A `CREATE TABLE` statement with the columns.
    var declaration: String { get }
    /// Chooses a way to find the rows that constraints ask for.
    func plan(_ constraints: [VirtualConstraint]) -> VirtualPlan
    func open() -> any VirtualCursor
}

/// A walk over the rows of a virtual table, in the order of their row ids.
package protocol VirtualCursor: AnyObject {
    /// Begins with the rows of a plan: goes to the first.
    func begin(_ plan: Int32, _ arguments: [VirtualArgument]) throws(VirtualFailure)
    /// Goes to the next row.
    func next() throws(VirtualFailure)
    /// The id of the row in hand; nil at the end.
    var rowID: Int64? { get }
    func value(_ column: Int32) throws(VirtualFailure) -> ModelValue
}

/// Why a virtual table has no next row.
package enum VirtualFailure: Error {
    case cannotRead, damaged, timeIsOver
}

/// What a column is compared with, in a way that a plan can use.
package struct VirtualConstraint: Sendable {
    package enum Comparison: Sendable {
        /// Equal, and texts byte by byte.
        case equal
        /// Not above, or below; not below, or above.
        case atMost, atLeast
    }

    /// -1 is the row id.
    package var column: Int32
    package var comparison: Comparison
}

/// How the rows are found, and what that costs.
package struct VirtualPlan: Sendable {
    /// For the cursor.
    package var number: Int32
    /// Places of the constraints whose values the cursor is given, in this order.
    package var arguments: [Int]
    package var cost: Double
    package var rows: Int64
    /// Columns that have the row id.
    package var orderedBy: Set<Int32>

    package init(
        _ number: Int32, _ arguments: [Int], cost: Double, rows: Int64, orderedBy: Set<Int32>
    ) {
        (self.number, self.arguments, self.cost) = (number, arguments, cost)
        (self.rows, self.orderedBy) = (rows, orderedBy)
    }
}

/// A value that a constraint compares with.
package struct VirtualArgument: Sendable {
    package var text: String?
    /// Nil for what is not a number.
    package var number: Double?

    package init(text: String?, number: Double?) { (self.text, self.number) = (text, number) }
}
