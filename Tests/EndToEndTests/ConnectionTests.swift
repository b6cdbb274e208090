import DaemonTestSupport
import Foundation
import Platform
import TestSupport
import Testing

/// What a connection keeps, and what it gives back.
@Suite struct ConnectionTests {
    @Test func `a refused request with a body leaves the connection usable`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        for _ in 0..<3 {
            let refused = try client.request("GET", "/v1/packets?limit=many", Array("body".utf8))
            #expect(refused.status == 400 && refused.headers["connection"] != "close")
        }
        #expect(try client.get("/livez").status == 200)
    }

    @Test func `a connection that ends leaves no memory behind`() throws {
        let daemon = try Daemon()
        func connect(_ count: Int) throws {
            for _ in 0..<count {
                #expect(try HTTPClient(daemon.socket).get("/livez").status == 200)
            }
        }
        func resident() -> Int {
            ProcessMemory.residentBytes(ofProcess: String(daemon.pid))
        }
        try connect(2000)
        let before = resident()
        try connect(8000)
        // A kilobyte for each would be 8 MB.
        #expect(resident() - before < 2_000_000)
    }
}
