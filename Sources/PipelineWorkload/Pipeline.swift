internal import LedgerFormat

/// What a pipeline's workers emit and write: lineage packets, parents before children, and the rows
/// that belong to them. The same seed produces the same bytes.
///
/// A creator has posts, a post has videos, and a video has analyses and clips. A clip is edited,
/// uploaded and scheduled. Each row has a packet, and each status change has another. A creator has
/// about 300 packets, averaging about 1.2 kB, and 350 row changes.
package struct Pipeline: Sendable {
    package private(set) var packets: [[UInt8]] = []
    package private(set) var changes: [RowChange] = []
    private var source: PipelineSource
    /// Packets emitted so far by each worker instance.
    private var sequenceNumbers: [String: Int] = [:]
    private var lsn: UInt64 = 0x100_0000

    /// Generates the pipelines of `creators` creators.
    package init(creators: Int, seed: UInt64 = 7) {
        source = PipelineSource(seed: seed)
        for number in 0..<creators { addCreator(number) }
    }

    /// A packet from which others are derived.
    private struct Origin {
        var stardustID: String
        var entityType: String
        var entityID: String
        /// The last node of its reasoning, in the form in which other packets cite it.
        var outcome: String?
    }

    /// What one worker decided, as nodes of a decision chain.
    private struct Reasoning {
        var nodes: PipelineValue
        var outcome: String
        var votes: PipelineValue
    }

    // MARK: The stages

    private mutating func addCreator(_ number: Int) {
        let (id, trace) = (source.uuid(), source.traceID())
        let platform = source.pick(PipelineSource.platforms)
        let name = "creator-\(seedName)-\(number)"
        insert(
            "creators",
            [
                "creator_id": .text(id), "platform": .text(platform), "username": .text(name),
                "profile_url": "https://\(platform).example/@\(name)",
                "created_at": .text(source.now()), "updated_at": .text(source.now()),
            ])
        let root = emit(
            "creators", id, "creator.registered", "scraper_worker", trace, [], ["profile"])
        for _ in 0..<source.number(in: 8...15) { addPost(id, platform, root) }
    }

    private var seedName: String { String(source.seed, radix: 36) }

    private mutating func addPost(_ creator: String, _ platform: String, _ root: Origin) {
        let (id, trace) = (source.uuid(), source.traceID())
        let handle = String(id.prefix(8))
        insert(
            "posts",
            [
                "post_id": .text(id), "creator_id": .text(creator),
                "platform_post_id": .text(handle), "url": "https://\(platform).example/p/\(handle)",
                "posted_at": source.chance(of: 10) ? .null : .text(source.now()),
                "downloaded_at": .text(source.now()),
                "raw_metadata": [
                    "likes": .integer(source.number(in: 0...900_000)), "tags": source.tags(3),
                    "lang": .text(source.pick(["en", "de", "ja"])),
                ],
            ])
        let post = emit(
            "posts", id, "post.downloaded", "scraper_worker", trace, [root], ["raw_payload"])
        for _ in 0..<(source.chance(of: 7) ? 2 : 1) { addVideo(id, trace, post) }
    }

    private mutating func addVideo(_ postID: String, _ trace: String, _ post: Origin) {
        let id = source.uuid()
        insert(
            "videos",
            [
                "video_id": .text(id), "post_id": .text(postID),
                "file_path": "gs://omniva-raw/\(id).mp4",
                "duration_seconds": .integer(source.number(in: 20...3600)),
                "resolution": .text(source.pick(["1920x1080", "3840x2160", "1080x1920"])),
                "checksum": .text(PipelineSource.digest(of: id)),
                "created_at": .text(source.now()),
            ])
        let video = emit(
            "videos", id, "video.normalized", "ingest_worker", trace, [post], ["media", "ffprobe"])
        var analysis = addAnalysis(id, trace, [video])
        if source.chance(of: 4) { analysis = addAnalysis(id, trace, [video, analysis]) }
        for _ in 0..<source.number(in: 2...5) { addClip(id, trace, video, analysis) }
    }

    private mutating func addAnalysis(
        _ videoID: String, _ trace: String, _ parents: [Origin]
    ) -> Origin {
        let id = source.uuid()
        insert(
            "analysis",
            [
                "analysis_id": .text(id), "video_id": .text(videoID),
                "transcript": .text(source.sentence(of: 40...110)), "keywords": source.tags(4),
                "virality_score": source.score(), "relevance_score": source.score(),
                "raw_ai_output": [
                    "model": "omni-7", "version": .integer(parents.count), "topics": source.tags(2),
                ],
                "created_at": .text(source.now()),
            ])
        return emit(
            "analysis", id, "analysis.completed", "analyzer", trace, parents,
            ["transcript", "raw_ai_output"], reasoning("active", citing: nil))
    }

    private mutating func addClip(
        _ videoID: String, _ trace: String, _ video: Origin, _ analysis: Origin
    ) {
        let id = source.uuid()
        let choice = reasoning("select", citing: analysis)
        let clip = emit(
            "clips", id, "clip.selected", "zenith", trace, [video, analysis], ["span"], choice)
        let start = source.number(in: 0...6_000_000)
        insert(
            "clips",
            [
                "clip_id": .text(id), "video_id": .text(videoID),
                "start_time": .tenThousandths(start),
                "end_time": .tenThousandths(start + source.number(in: 50_000...600_000)),
                "confidence": source.score(), "semantic_tags": source.tags(2),
                "pantheon_votes": choice.votes, "lattice_priority": source.score(),
                "metadata": ["stardust_id": .text(clip.stardustID)],
            ])
        log("zenith", "INFO", "clip selected", clip)
        if source.chance(of: 10, outOf: 14) { addEdit(id, trace, clip) }
    }

    private mutating func addEdit(_ clipID: String, _ trace: String, _ clip: Origin) {
        let id = source.uuid()
        var edit = emit(
            "edit_jobs", id, "edit.planned", "editor_worker", trace, [clip], ["plan"],
            reasoning("trim and caption", citing: clip))
        var row: [(name: String, value: PipelineValue)] = [
            ("edit_job_id", .text(id)), ("clip_id", .text(clipID)),
            (
                "operations",
                [
                    "trim": ["pad": .tenThousandths(2500)], "caption": ["style": "bold"],
                    "stardust_id": .text(edit.stardustID),
                ]
            ),
            ("ffmpeg_commands", ["ffmpeg -ss 1 -i source.mp4 clip.mp4"]),
            ("gpu_required", .boolean(source.chance(of: 2))),
            ("estimated_duration_seconds", .integer(source.number(in: 5...300))),
            ("created_at", .text(source.now())), ("status", "PENDING"),
        ]
        write("edit_jobs", row)
        // Some jobs are still pending when the pipeline ends.
        if source.chance(of: 12) { return }
        let hasFailed = source.chance(of: 10)
        for status in ["RUNNING", hasFailed ? "FAILED" : "DONE"] {
            row[row.count - 1].value = .text(status)
            write("edit_jobs", row, isUpdate: true)
            edit = emit(
                "edit_jobs", id, "edit.\(status.lowercased())", "editor_worker", trace, [edit],
                ["render_log"])
        }
        guard !hasFailed else { return log("editor_worker", "ERROR", "the render failed", edit) }
        addUpload(clipID, trace, clip, edit)
    }

    private mutating func addUpload(
        _ clipID: String, _ trace: String, _ clip: Origin, _ edit: Origin
    ) {
        let id = source.uuid()
        // Far in the future, so that it is still upcoming whenever a test runs.
        let isUpcoming = source.chance(of: 8)
        var row: [(name: String, value: PipelineValue)] = [
            ("upload_job_id", .text(id)), ("clip_id", .text(clipID)),
            ("title", .text(source.sentence(of: 3...8))),
            ("description", .text(source.sentence(of: 10...30))), ("keywords", source.tags(3)),
            ("scheduled_time", .text(isUpcoming ? source.farFuture() : source.now())),
            ("privacy_status", "private"), ("created_at", .text(source.now())),
            ("yt_video_id", .null), ("status", "PENDING"),
        ]
        write("upload_jobs", row)
        let planned = emit(
            "upload_jobs", id, "upload.planned", "publisher", trace, [edit], ["metadata"],
            reasoning("publish", citing: clip))
        let committed = addSchedule(clipID, trace, clip, planned, isUpcoming: isUpcoming)
        row[row.count - 1].value = isUpcoming ? "SCHEDULED" : "PUBLISHED"
        if !isUpcoming { row[row.count - 2].value = .text(String(id.suffix(11))) }
        write("upload_jobs", row, isUpdate: true)
        _ = emit(
            "upload_jobs", id, isUpcoming ? "upload.scheduled" : "upload.published", "publisher",
            trace, [planned, committed], ["receipt"])
    }

    private mutating func addSchedule(
        _ clipID: String, _ trace: String, _ clip: Origin, _ upload: Origin, isUpcoming: Bool
    ) -> Origin {
        let id = source.uuid()
        var row: [(name: String, value: PipelineValue)] = [
            ("schedule_id", .text(id)), ("clip_id", .text(clipID)),
            ("recommended_time", .text(source.now())),
            (
                "horizon_adjustments",
                [
                    "weights": ["recency": source.score(), "virality": source.score()],
                    "delta_minutes": .integer(source.number(in: -240...240)),
                ]
            ),
            ("final_scheduled_time", .null), ("status", "PENDING"),
        ]
        write("schedules", row)
        let plan = emit(
            "schedules", id, "schedule.recommended", "horizon", trace, [upload, clip],
            ["calendar"], reasoning("evening slot", citing: upload))
        row[row.count - 2].value = .text(isUpcoming ? source.farFuture() : source.now())
        row[row.count - 1].value = "COMMITTED"
        write("schedules", row, isUpdate: true)
        return emit(
            "schedules", id, "schedule.committed", "zenith", trace, [plan], ["commit"],
            reasoning("commit", citing: plan))
    }

    // MARK: Packets

    private mutating func emit(
        _ type: String, _ id: String, _ event: String, _ worker: String, _ trace: String,
        _ parents: [Origin], _ evidence: [String], _ reasoning: Reasoning? = nil
    ) -> Origin {
        let stardustID = source.uuid()
        let packet: PipelineValue = [
            "stardust_id": .text(stardustID), "entity_type": .text(type), "entity_id": .text(id),
            "lineage": [
                "trace_id": .text(trace), "event": .text(event), "_producer": producer(worker),
                "_meta_parents": .list(parents.map { parent($0, of: id) }),
                "evidence": .list(evidence.map { self.evidence($0, of: stardustID) }),
            ],
            "decision_chain": reasoning?.nodes ?? .null, "created_at": .text(source.now()),
        ]
        packets.append(Array(packet.json.utf8))
        return Origin(
            stardustID: stardustID, entityType: type, entityID: id,
            outcome: reasoning.map { "stardust:\(stardustID)#\($0.outcome)" })
    }

    /// The emitting worker, with a sequence number for its packets: a gap means a lost packet.
    private mutating func producer(_ worker: String) -> PipelineValue {
        let instance = "vm-\(source.number(in: 10...33))"
        let number = sequenceNumbers[worker + instance, default: 0]
        sequenceNumbers[worker + instance] = number + 1
        return [
            "worker": .text(worker), "version": "1.4.2", "instance": .text(instance),
            "seq": .integer(number),
        ]
    }

    private func parent(_ origin: Origin, of entity: String) -> PipelineValue {
        [
            "stardust_id": .text(origin.stardustID), "entity_type": .text(origin.entityType),
            "entity_id": .text(origin.entityID),
            "relation": origin.entityID == entity ? "revision_of" : "derived_from",
        ]
    }

    private func evidence(_ name: String, of stardustID: String) -> PipelineValue {
        let digest = PipelineSource.digest(of: stardustID + name)
        return [
            "id": .text(name), "digest": "sha256:\(digest)",
            "uri": "gs://omniva-evidence/\(digest.prefix(12))/\(name).json", "role": "input",
        ]
    }

    private mutating func reasoning(_ choice: String, citing origin: Origin?) -> Reasoning {
        let ids = (0..<3).map { _ in String(source.uuid().prefix(8)) }
        let votes: PipelineValue = [
            "muse": source.score(), "critic": source.score(), "oracle": source.score(),
        ]
        let alternatives = (0..<source.number(in: 0...3)).map { number -> PipelineValue in
            [
                "id": "alt-\(number)", "label": .text(source.sentence(of: 1...3)),
                "score": source.score(), "why_not": .text(source.sentence(of: 4...9)),
            ]
        }
        let nodes: PipelineValue = [
            [
                "id": .text(ids[0]), "kind": "observation", "agent": "lattice",
                "parents": .list((origin?.outcome).map { [.text($0)] } ?? []),
                "title": .text(source.sentence(of: 4...14)), "score": source.score(),
            ],
            [
                "id": .text(ids[1]), "kind": "vote",
                "agent": ["id": "pantheon", "type": "committee"],
                "parents": .list([.text(ids[0])]), "votes": votes, "score": source.score(),
            ],
            [
                "id": .text(ids[2]), "kind": "selection",
                "agent": .text(source.pick(PipelineSource.agents)),
                "parents": .list([.text(ids[1])]), "chosen": .text(choice),
                "alternatives": .list(alternatives),
                "rationale": .text(source.sentence(of: 8...40)), "confidence": source.score(),
                "status": "accepted",
            ],
        ]
        return Reasoning(nodes: nodes, outcome: ids[2], votes: votes)
    }

    // MARK: Rows

    private mutating func insert(_ table: String, _ row: PipelineValue) {
        guard case .object(let members) = row else { preconditionFailure("a row is an object") }
        write(table, members)
    }

    private mutating func write(
        _ table: String, _ row: [(name: String, value: PipelineValue)], isUpdate: Bool = false
    ) {
        lsn += UInt64(8 * source.number(in: 8...500))
        changes.append(
            RowChange(
                table: table, isUpdate: isUpdate, row: row, committedAt: source.time, lsn: lsn))
    }

    private mutating func log(
        _ worker: String, _ level: String, _ message: String, _ origin: Origin
    ) {
        insert(
            "logs",
            [
                "log_id": .text(source.uuid()), "source": .text(worker), "level": .text(level),
                "message": .text(message),
                "metadata": [
                    "stardust_id": .text(origin.stardustID),
                    "entity_type": .text(origin.entityType), "entity_id": .text(origin.entityID),
                ],
                "created_at": .text(source.now()),
            ])
    }
}
