import Foundation
import PipelineWorkload

/// Packets and rows as the engine's workers make them.
package enum Workload {
    /// Packets of a generated pipeline, about 300 for each creator.
    package static func packets(creators: Int) -> [[UInt8]] { Pipeline(creators: creators).packets }

    /// The lines of a body as one.
    package static func ndjson(_ packets: some Sequence<[UInt8]>) -> [UInt8] {
        Array(packets.joined(separator: [0x0A]))
    }
}

/// The system's sentence for an errno.
package func errorText(_ number: Int32) -> String { String(cString: strerror(number)) }
