import ArgumentParser
internal import PipelineWorkload
internal import Platform

struct MakePipeline: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pipeline",
        abstract: "Write the packets and rows of a generated pipeline.",
        discussion: """
            Writes packets.ndjson, changes.ndjson (a change feed) and rows.sql (the same rows for \
            PostgreSQL) to an existing folder. The same arguments produce the same bytes.
            """)

    @Argument(help: "The output folder.")
    var folder: String

    @Option(help: "Number of creators; each has about 300 packets.")
    var creators = 10

    @Option(help: "Seed of the random numbers.")
    var seed: UInt64 = 7

    func validate() throws {
        guard (1...100_000).contains(creators) else {
            throw ValidationError("--creators takes 1 to 100,000")
        }
    }

    func run() throws {
        let pipeline = Pipeline(creators: creators, seed: seed)
        do throws(FileFailure) {
            let volume = try PosixVolume(root: folder)
            try volume.replace("packets.ndjson", with: Self.lines(pipeline.packets))
            try volume.replace(
                "changes.ndjson", with: Self.lines(pipeline.changes.map { Array($0.feedLine.utf8) })
            )
            try volume.replace(
                "rows.sql", with: Self.lines(pipeline.changes.map { Array($0.statement.utf8) }))
        } catch { throw BenchFailure(error.description) }
        writeLine("\(pipeline.packets.count) packets and \(pipeline.changes.count) row changes")
    }

    private static func lines(_ lines: [[UInt8]]) -> [UInt8] {
        lines.reduce(into: []) { $0 += $1 + [0x0A] }
    }
}
