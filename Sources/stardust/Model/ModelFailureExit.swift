import ArgumentParser
internal import ReadModel

extension Failure {
    init(_ failure: ModelFailure) {
        let exit: ExitCode =
            switch failure {
            case .refused: .badInput
            case .drifted: .no
            case .locked: .locked
            case .missing: .cannotOpenInput
            case .tooSlow: .unreachable
            case .database, .file: .inputOutput
            }
        self.init(exit, failure.description)
    }
}
