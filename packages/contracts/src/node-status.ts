import * as z from 'zod'
import { DeviceDatasets } from './dataset-description.ts'
import { DeploymentDescriptor, DeploymentReport } from './deployments.ts'
import { AttemptRef, Labels, Sha256, Slug, Timestamp, Uuid } from './ids.ts'
import { AttemptOutcome, deviceConditions, EvaluationDescriptor, RoundDescriptor } from './round.ts'

/** How far one shard of one attempt is, as the node sees it. */
export const ShardProgress = AttemptRef.extend({
  shard: z.int().nonnegative(),
  epoch: z.int().positive(),
  state: z.enum(['selecting', 'collecting', 'closing', 'summed']),
  selected: z.int().nonnegative(),
  accepted: z.int().nonnegative(),
  refused: z.int().nonnegative(),
})
export type ShardProgress = z.infer<typeof ShardProgress>

/** What a device said of itself at its last check-in, and whether it is there. */
export const DevicePresence = z.object({
  device: Uuid,
  online: z.boolean(),
  seenAt: Timestamp,
  agentVersion: z.string().max(40),
  frameworks: z.array(z.string().max(40)).max(8),
  datasets: z.array(z.object({ name: Slug, examples: z.int().nonnegative(), heldOut: z.boolean() })).max(64),
  conditions: z.array(z.enum(deviceConditions)).max(deviceConditions.length).optional(),
  /** sha256 of the certificate that it came with: once the newer is in use, the one before is good no more. */
  certificateSha256: Sha256.optional(),
})
export type DevicePresence = z.infer<typeof DevicePresence>

/** `POST /v1/regional-nodes/{id}/status`, every 5 s: renews leases, reports progress, presence and load. */
export const NodeStatusRequest = z.object({
  nodeVersion: z.string().max(40),
  /** host:port of this node's gRPC server, as devices reach it. */
  endpoint: z.string().max(255),
  /** Changes at every start of the process. */
  boot: Uuid,
  /** A draining node asks for no lease. */
  draining: z.boolean(),
  shards: z
    .array(
      z.object({
        shard: z.int().nonnegative(),
        epoch: z.int().positive(),
        devicesOnline: z.int().nonnegative(),
        evaluatorsOnline: z.int().nonnegative(),
      }),
    )
    .max(4096),
  progress: z.array(ShardProgress).max(4096),
  /** Everything the node still keeps something for; those no longer open come back as settled. */
  holding: z.array(AttemptRef).max(4096),
  holdingEvaluations: z.array(Uuid).max(4096),
  /** The directory is sent from this sequence number on. */
  directorySequence: z.int().nonnegative(),
  /** Devices whose presence changed since the last call that was answered; after a start, all of them, in pages. */
  presence: z.array(DevicePresence).max(200).optional(),
  /** How devices fare with deployed versions: what changed since the last call that was answered. */
  deploymentReports: z.array(DeploymentReport).max(500).optional(),
  /** What owners let out about data sets: what changed since the last call that was answered. */
  datasetDescriptions: z.array(DeviceDatasets).max(200).optional(),
  load: z.object({ rssBytes: z.int().nonnegative(), connections: z.int().nonnegative() }),
})
export type NodeStatusRequest = z.infer<typeof NodeStatusRequest>

/** A device as its region knows it. */
export const DirectoryDevice = z.object({
  device: Uuid,
  label: Slug,
  kind: z.enum(['trainer', 'evaluator']),
  groups: z.array(Slug),
  labels: Labels.optional(),
  /** sha256 of the certificate (DER), hex. */
  certificateSha256: Sha256,
  /** Of the certificate before, while the newer has not been used yet. Both are good. */
  previousCertificateSha256: Sha256.optional(),
  revoked: z.boolean(),
  sequence: z.int().positive(),
})
export type DirectoryDevice = z.infer<typeof DirectoryDevice>

export const NodeStatusAnswer = z.object({
  time: Timestamp,
  region: Slug,
  shardCount: z.int().positive(),
  /** Leases that this node holds now. A shard that is missing here is not leased by this node. */
  leases: z.array(
    z.object({
      shard: z.int().nonnegative(),
      epoch: z.int().positive(),
      /** From the moment the request was sent, on the node's monotonic clock. */
      leaseSeconds: z.number().positive(),
      /** Base64 of 32 bytes; new with every epoch. Seals what the node keeps of this shard at rest, and is kept in memory only. */
      logKey: z.string(),
    }),
  ),
  /** Endpoints of the shards that other nodes lease. */
  otherShards: z.array(z.object({ shard: z.int().nonnegative(), endpoint: z.string() })),
  attempts: z.array(RoundDescriptor),
  evaluations: z.array(EvaluationDescriptor),
  settled: z.array(AttemptRef.extend({ outcome: AttemptOutcome })),
  settledEvaluations: z.array(Uuid),
  /** Live deployments that concern the region: the level of which `model.released` is the edge. */
  deployments: z.array(DeploymentDescriptor).max(100).optional(),
  directory: z.object({
    devices: z.array(DirectoryDevice),
    /** Ask from here on next time. */
    sequence: z.int().nonnegative(),
    /** False when more follow at once. */
    complete: z.boolean(),
  }),
})
export type NodeStatusAnswer = z.infer<typeof NodeStatusAnswer>

export const leaseTimes = { leaseSeconds: 20, renewSeconds: 5, stopSeconds: 13 } as const

export const LogEntry = z.object({
  time: Timestamp,
  level: z.enum(['debug', 'info', 'warn', 'error']),
  message: z.string().max(2000),
  task: Uuid.optional(),
  round: z.int().nonnegative().optional(),
  attempt: z.int().positive().optional(),
  shard: z.int().nonnegative().optional(),
  device: Uuid.optional(),
  code: z.string().max(64).optional(),
  fields: z.record(z.string().max(64), z.union([z.string().max(500), z.number(), z.boolean()])).optional(),
})
export type LogEntry = z.infer<typeof LogEntry>

/** Of entries that a device wrote, not its node: in `fields`, with which part of the text it is. What they say is text, whatever is in it. */
export const deviceLogSource = 'device-log'
/** The end of a device's log that goes out with work that failed, UTF-8. */
export const mostLogTailBytes = 4096

/** `POST /v1/regional-nodes/{id}/logs`. */
export const NodeLogsRequest = z.object({ batch: Uuid, entries: z.array(LogEntry).min(1).max(500) })
export type NodeLogsRequest = z.infer<typeof NodeLogsRequest>
