import Cleanup
import LedgerFormat
import ObjectStore
import Testing

/// Names of assets, wherever they stand in a text.
struct MentionTests {
    /// Whether a text mentions the file of a name in the folder `raw`.
    private static func mentions(_ text: String, _ name: String, beside: [String] = []) throws
        -> Bool
    {
        var inventory = AssetInventory([
            AssetInventory.AssetClass(
                url: try StoreURL("file:///srv/assets/raw"), kind: .raw,
                column: AssetColumn("videos.file_path")!)
        ])
        for name in [name] + beside {
            inventory.add(
                StoredAsset(key: name, bytes: 1, tag: "", changed: Timestamp(microseconds: 0)),
                of: 0)
        }
        inventory.seal()
        var found: Set<Int> = []
        Mention.all(in: LooseText.of(text.utf8), inventory.limits) { mention in
            found.formUnion(inventory.indices(of: mention))
        }
        return found.contains { inventory.key($0) == name }
    }

    @Test(arguments: [
        "/srv/assets/raw/x.mp4", "file:///srv/assets/raw/x.mp4", "file:/srv/assets/raw/x.mp4",
        "--input=/srv/assets/raw/x.mp4", "concat:/srv/assets/raw/x.mp4|/srv/assets/raw/z.mp4",
        "movie=/srv/assets/raw/x.mp4[v]", "/srv/assets/raw/x.mp4:12:3",
        "/srv/assets/raw/x.mp4#t=10",
        "file:///srv/assets/raw/x.mp4?x=1", "raw/x.mp4", "see raw/x.mp4.", "(raw/x.mp4)",
        "https://any.host/bucket/raw/x.mp4?versionId=1", "arn:aws:s3:::raw/x.mp4",
        #"{\"a\":\"\\/srv\\/raw\\/x.mp4\"}"#, #"{"a":"{\"b\":\"\\/raw\\/x.mp4\"}"}"#,
        "RAW/X.MP4", "raw%2Fx.mp4", "raw%252Fx%2Emp4", "ffmpeg -i 'raw/x.mp4' out.mp4",
        "a\traw/x.mp4\tb", "raw/x.mp4/", "raw/x.mp4!",
    ])
    func `a name is found whatever surrounds it`(text: String) throws {
        #expect(try Self.mentions(text, "x.mp4", beside: ["y.mp4", "My clip (1), new.mp4"]))
    }

    @Test(arguments: [
        "x.mp4", "raw/x.mp", "raw/x.mp45", "raw/xx.mp4", "other/x.mp4", "raw x.mp4", "",
    ])
    func `another name is not`(text: String) throws { #expect(try !Self.mentions(text, "x.mp4")) }

    @Test(arguments: [
        ("ffmpeg -i '/srv/raw/My clip (1).mp4' -y", "My clip (1).mp4"),
        ("read /srv/raw/a,b.mp4 now", "a,b.mp4"), ("it's raw/it's.mp4, see", "it's.mp4"),
        ("raw/a%252520b.mp4", "a%2520b.mp4"), ("raw/50%off%20x.mp4", "50%off x.mp4"),
        (#"{"p":"raw/caf\u00e9.mp4"}"#, "café.mp4"), ("raw/cafe\u{301}.mp4", "caf\u{e9}.mp4"),
        (#"raw/\ud83d\ude00.mp4"#, "😀.mp4"), ("raw/a=b&c?d#e.mp4", "a=b&c?d#e.mp4"),
        ("raw/\u{301}x.mp4", "\u{301}x.mp4"), ("see raw/.hidden.mp4", ".hidden.mp4"),
        ("raw/v1.2.3.tar.gz.", "v1.2.3.tar.gz"),
    ])
    func `names may have nearly anything in them`(text: String, name: String) throws {
        #expect(try Self.mentions(text, name))
    }

    @Test func `a name that texts cannot tell is protected`() throws {
        var inventory = AssetInventory([
            AssetInventory.AssetClass(
                url: try StoreURL("file:///srv/raw"), kind: .raw,
                column: AssetColumn("videos.file_path")!)
        ])
        inventory.add(
            StoredAsset(key: "a|b\"c.mp4", bytes: 1, tag: "", changed: Timestamp(microseconds: 0)),
            of: 0)
        inventory.seal()
        let verdict = RetentionRules().verdict(
            on: 0, of: inventory, now: .init(microseconds: 1 << 60))
        #expect(verdict == .stays(.named(.nobodyCouldTell)))
    }
}
