import StardustCore
import Testing

/// What is told of the disk and of the archive process.
@Suite struct HealthTests {
    @Test func `a disk is full when what is left is used up, and never if nothing grows`() {
        func days(_ free: Int, _ growth: Double?) -> Double? {
            DiskForecast(freeBytes: free, bytesPerDay: growth).fullIn.map { $0 / .seconds(86_400) }
        }
        #expect(days(1000, 100) == 10)
        #expect(days(0, 100) == 0)
        #expect(days(1000, 0) == nil && days(1000, nil) == nil)
        // Nobody plans for longer than a thousand years.
        #expect(days(1 << 50, 1) == nil)
    }

    @Test func `whoever serves the archive's socket can neither break metrics nor add others`() {
        let said = """
            # HELP stardust_archive_lag_seconds anything
            stardust_archive_lag_seconds{store="s3://a"} 1.5
            stardust_archive_lag_seconds{store="x
            stardust_archive_lag_seconds{store="a\\"} 1
            stardust_archive_lag_seconds{store="b"} NaN
            stardust_archive_lag_seconds{other="b"} 1
            stardust_archive_pending_bytes{store="s3://a"} 1e3
            stardust_drill_age_seconds +Inf
            stardust_read_only 0
            """
        let lines = ArchiveMetrics(said).text.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(
            lines == [
                "stardust_archive_lag_seconds{store=\"s3://a\"} 1.5",
                "stardust_archive_pending_bytes{store=\"s3://a\"} 1e3",
                "stardust_drill_age_seconds +Inf",
            ])
        #expect(ArchiveMetrics("").text == "")
    }
}
