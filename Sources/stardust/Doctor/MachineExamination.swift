internal import CPlatform
internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import Platform
internal import StardustCore

/// The machine that the daemon runs on.
extension Examination {
    mutating func checkUserNamespace() {
        switch UserNamespace.obstacle {
        case nil: add(.ok(.userNamespace, "every user is seen as who they are"))
        case let obstacle?: add(.failure(.userNamespace, obstacle, UserNamespace.advice))
        }
    }

    mutating func checkFileSystem() {
        let kind = unsafe stardust_file_system(ledger)
        guard kind >= 0 else { return }
        let names: [Int64: String] = [
            0x6969: "NFS", 0x794C_7630: "overlay", 0x0102_1994: "tmpfs", 0xFF53_4D42: "CIFS",
            0xFE53_4D42: "SMB", 0x517B: "SMB", 0x6573_5546: "FUSE",
            0x00C3_6400: "Ceph", 0x0102_1997: "9p", 0x8584_58F6: "ramfs",
        ]
        guard let name = names[kind] else {
            return add(.ok(.fileSystem, "a local one"))
        }
        let reason =
            ["tmpfs", "ramfs"].contains(name)
            ? "it is gone after a restart" : "what it calls durable may not be"
        add(
            .warning(
                .fileSystem, "the ledger is on \(name): \(reason)",
                "keep it on a local file system, such as ext4 or XFS"))
    }

    /// Room for two segments, and for a week.
    mutating func checkSpace() {
        guard let free = DiskForecast.freeBytes(of: ledger) else { return }
        let running = status?["settings"]["segment_bytes"]["value"].number
        let own = configuration?.settings.segmentBytes ?? StorageLimits.segmentBytes
        let least = 2 * (running ?? own)
        let left = "\(Words.bytes(free)) left"
        let seconds = status?["disk"]["full_in_seconds"].number ?? ownForecast(free).map { Int($0) }
        let advice = "make room, or let segments leave for an archive (Backup.md)"
        guard free >= least else {
            return add(
                .failure(
                    .space, "\(left), less than two segments of \(Words.bytes(least / 2))", advice))
        }
        guard let seconds else {
            return add(.ok(.space, "\(left); nothing tells yet how the ledger grows"))
        }
        let text =
            "\(left), for \(Words.time(seconds: Double(seconds))) as it grew in the last 7 days"
        switch seconds {
        case ..<86_400: add(.failure(.space, text, advice))
        case ..<(14 * 86_400): add(.warning(.space, text, advice))
        default: add(.ok(.space, text))
        }
    }

    /// Seconds until the disk is full, from the files alone.
    private mutating func ownForecast(_ free: Int) -> Double? {
        guard status == nil, let volume else { return nil }
        let scratch: ScratchFolder
        let overlay: OverlayVolume
        do throws(FileFailure) {
            scratch = try ScratchFolder(
                in: String.environment("TMPDIR") ?? "/tmp", "stardust-doctor")
            overlay = OverlayVolume(lower: volume, upper: try PosixVolume(root: scratch.path))
        } catch {
            add(
                .warning(
                    .damage, "not looked for: \(error)", "set TMPDIR to a folder that is there"))
            return nil
        }
        defer { withExtendedLifetime(scratch) {} }
        do {
            let opened = try Ledger.open(overlay, isReadOnly: true)
            if let damage = opened.damage {
                add(.failure(.damage, "\(damage)", "run `stardust verify \(ledger)`"))
            }
            let growth = try DiskForecast.growth(
                opened.map, overhead: 0, leaves: false, now: .systemNow())
            return DiskForecast(freeBytes: free, bytesPerDay: growth).fullIn.map {
                $0 / .seconds(1)
            }
        } catch {
            add(.failure(.damage, "\(error)", "run `stardust verify \(ledger)`"))
            return nil
        }
    }

    mutating func checkDescriptors() {
        let least = 4096
        let (limit, whose) = daemonLimit ?? (SystemNeeds.descriptorsMax, "a process of this user")
        guard limit >= least else {
            return add(
                .warning(
                    .descriptors,
                    "\(whose) may have \(limit) descriptors, so few clients can connect",
                    "set LimitNOFILE=32768 in the unit"))
        }
        add(.ok(.descriptors, "\(whose) may have \(Words.count(limit))"))
    }

    private var daemonLimit: (Int, String)? {
        guard let holder = LedgerLock.holder(of: ledger),
            let text = ProcessFile.text("/proc/\(holder)/limits")
        else { return nil }
        let line = text.split(separator: "\n").first { $0.hasPrefix("Max open files") }
        let fields = line?.split(separator: " ") ?? []
        return fields.count > 3 ? Int(fields[3]).map { ($0, "the daemon") } : nil
    }

    mutating func checkClock() {
        guard stardust_clock_is_synchronised() != 0 else {
            return add(
                .warning(
                    .clock, "nothing keeps the machine's clock right",
                    "install chrony or systemd-timesyncd; entries have the clock's time"))
        }
        if let warning = status?["clock_warning"].text {
            return add(.failure(.clock, warning, "set the clock"))
        }
        add(.ok(.clock, "synchronised"))
    }

    // MARK: The unit

    /// Lines of drop-ins that take protection away.
    mutating func checkUnit() {
        let folders = ["/etc", "/run", "/usr/local/lib", "/usr/lib"].flatMap { parent in
            ["stardust.service.d", "stardust@.service.d"].map { "\(parent)/systemd/system/\($0)" }
        }
        var (files, loosened) = (0, [String]())
        for folder in folders {
            guard let volume = try? PosixVolume(root: folder), let names = try? volume.list("")
            else {
                continue
            }
            for name in names.sorted() where name.hasSuffix(".conf") {
                files += 1
                let text = String(decoding: (try? volume.content(of: name)) ?? [], as: UTF8.self)
                for line in text.split(separator: "\n") where UnitLine.loosens(line) {
                    loosened.append("\(folder)/\(name): \(line)")
                }
            }
        }
        guard loosened.isEmpty else {
            return add(
                .warning(
                    .unit, loosened.joined(separator: "; "),
                    "leave out what is not needed; stardust-network.conf has what a network needs"))
        }
        add(
            .ok(
                .unit,
                files == 0
                    ? "no drop-ins"
                    : "\(Words.count(files, "drop-in", "drop-ins")), nothing loosened"))
    }
}

/// One line of a unit.
enum UnitLine {
    /// Settings whose only sharp value is one of these.
    private static let sharp: [String: Set<String>] = [
        "NoNewPrivileges": ["yes"], "ProtectSystem": ["strict"], "ProtectHome": ["yes", "tmpfs"],
        "PrivateTmp": ["yes"], "PrivateDevices": ["yes"], "ProtectClock": ["yes"],
        "ProtectControlGroups": ["yes"], "ProtectHostname": ["yes"], "ProtectKernelLogs": ["yes"],
        "ProtectKernelModules": ["yes"], "ProtectKernelTunables": ["yes"],
        "LockPersonality": ["yes"], "MemoryDenyWriteExecute": ["yes"], "RestrictRealtime": ["yes"],
        "RestrictNamespaces": ["yes"], "RestrictSUIDSGID": ["yes"], "UMask": ["0077"],
        "LimitCORE": ["0"], "CapabilityBoundingSet": [""], "AmbientCapabilities": [""],
        "SystemCallArchitectures": ["native"], "User": ["stardust"], "PrivateUsers": ["no"],
        "DynamicUser": ["no"], "PrivateMounts": ["yes"], "DevicePolicy": ["closed"],
        "ProtectProc": ["invisible"], "RemoveIPC": ["yes"], "ReadWritePaths": [""],
        "RootDirectory": [""], "ExecStart": [], "ExecStartPre": [], "SupplementaryGroups": [""],
    ]
    /// Settings that lose everything by an empty value.
    private static let lists: Set = ["SystemCallFilter", "RestrictAddressFamilies"]

    static func loosens(_ line: Substring) -> Bool {
        guard let equals = line.firstIndex(of: "=") else { return false }
        let name = String(line[..<equals].filter { !$0.isWhitespace })
        let value = line[line.index(after: equals)...].lowercased()
            .trimmingPrefix(while: \.isWhitespace)
            .reversed().drop(while: \.isWhitespace).reversed().map(String.init).joined()
        if lists.contains(name) { return value.isEmpty }
        let yes: Set<String> = ["true", "on", "1"]
        let no: Set<String> = ["false", "off", "0"]
        guard let allowed = sharp[name] else { return false }
        if allowed.contains(value) { return false }
        if allowed.contains("yes"), yes.contains(value) { return false }
        if allowed.contains("no"), no.contains(value) { return false }
        return true
    }
}

/// Whether this process sees other users as who they are.
enum UserNamespace {
    static let advice =
        "run the daemon outside of user namespaces: no PrivateUsers=, no unprivileged container"

    /// Why roles and entries would have wrong users; nil if they have not.
    static var obstacle: String? {
        guard let text = ProcessFile.text("/proc/self/uid_map") else { return nil }
        let fields = text.split { $0 == " " || $0 == "\n" }
        return fields == ["0", "0", "4294967295"]
            ? nil
            : "this process is in a user namespace, where other users read as 65534: roles and the "
                + "entries' users would be wrong"
    }
}
