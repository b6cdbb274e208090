import Cleanup
import ObjectStore
import Testing

@Suite("names of assets")
struct AssetURITests {
    @Test(
        "are one, however they are spelled",
        arguments: [
            [
                "gs://omniva-raw/a/b c.mp4", "GS://omniva-raw/a/b%20c.mp4",
                "gcs://omniva-raw/a/b c.mp4",
                "https://storage.googleapis.com/omniva-raw/a/b%20c.mp4",
                "https://omniva-raw.storage.googleapis.com/a/b%20c.mp4?x=1",
                "HTTPS://Storage.Cloud.Google.com/omniva-raw/a/b%20c.mp4#t=3",
                "gs://omniva-raw/a/B%20C.MP4", "gs://omniva-raw/a/b%2520c.mp4",
            ],
            [
                "s3://my.bucket/x/y.mp4", "s3a://my.bucket/x/y.mp4",
                "https://my.bucket.s3.amazonaws.com/x/y.mp4",
                "https://my.bucket.s3.eu-central-1.amazonaws.com/x/y.mp4",
                "https://s3.amazonaws.com/my.bucket/x/y.mp4",
                "https://s3-us-west-2.amazonaws.com/my.bucket/x/y.mp4",
                "https://storage.example:9000/my.bucket/x/y.mp4",
            ],
            [
                "file:///var/assets/a.mp4", "/var/assets/a.mp4",
                "file://localhost/var/assets/a.mp4",
                "/var//assets/./old/../a.mp4",
            ],
        ])
    func aliases(_ names: [String]) {
        let read = names.map { AssetURI($0, endpoints: ["storage.example:9000"])?.loose }
        #expect(Set(read).count == 1 && read[0] != nil, "\(read)")
    }

    @Test(
        "are none of these",
        arguments: [
            "", "/", "a/b", "gs://", "gs://bucket", "gs://bucket/", "ftp://x/y",
            "https://x.example/a/b",
        ])
    func others(_ text: String) { #expect(AssetURI(text) == nil) }
}
