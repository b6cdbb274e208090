import ArgumentParser

struct Emit: AsyncParsableCommand {
    func run() async throws {}
}
