import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// The daemon behind a proxy.
@Suite struct ProxyTests {
    @Test(.needs(Repository.has("/usr/sbin/nginx"), "nginx is not installed"))
    func `many lines pass through nginx as the document configures it`() throws {
        let daemon = try Daemon()
        let folder = daemon.folder.path
        let location = try DocumentTests.blocks("nginx", in: "Docs/Emitting.md")[0]
            .replacing("/run/stardust/stardust.sock", with: daemon.socket)
        #expect(location.contains(daemon.socket))
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map {
            "\($0)_temp_path \(folder)/\($0);"
        }.joined(separator: " ")
        let file = try daemon.folder.file(
            "nginx.conf",
            Array(
                """
                \(Repository.isRoot ? "user root;" : "") daemon off; pid \(folder)/nginx.pid; worker_processes 1;
                error_log stderr notice;
                events {}
                http { access_log off; \(temporary)
                server { listen unix:\(folder)/proxy.sock;
                \(location)
                } }
                """.utf8))
        let nginx = try Background(["-c", file, "-p", folder], program: "/usr/sbin/nginx")
        try nginx.waitFor("start worker process")
        let packets = 20_000
        let client = try HTTPClient(folder + "/proxy.sock")
        let answer = try client.request(
            "POST", "/v1/packets?receipts=end", Sample.body(0..<packets),
            type: "application/x-ndjson")
        #expect(answer.status == 200 && answer.lines.count == packets)
        #expect(answer.lines.allSatisfy { $0.contains("\"position\":") })
        #expect(
            try HTTPClient(daemon.socket).get("/v1/status").json["ledger_size"] as? Int == packets)
        nginx.stop()
    }
}
