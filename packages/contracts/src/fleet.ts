import * as z from 'zod'
import { DatasetDescription } from './dataset-description.ts'
import { DisplayName, Labels, Sha256, Slug, Timestamp, Uuid } from './ids.ts'
import { deviceConditions } from './round.ts'

/** `POST /v1/regions`. */
export const CreateRegion = z.strictObject({
  region: Slug,
  name: DisplayName.optional(),
  shardCount: z.int().min(1).max(4096).default(1),
})
export type CreateRegion = z.infer<typeof CreateRegion>

/** `PUT /v1/regions/{region}`; what is absent stays. */
export const UpdateRegion = z.strictObject({
  name: DisplayName.optional(),
  /** Takes effect between rounds, never during one; null takes back a change that waits. */
  shardCount: z.int().min(1).max(4096).nullable().optional(),
  /** Tasks that run in the region at once; null: any number. */
  taskSlots: z.int().min(1).max(1000).nullable().optional(),
})
export type UpdateRegion = z.infer<typeof UpdateRegion>

export const RegionView = z.object({
  region: Slug,
  name: z.string(),
  shardCount: z.int(),
  /** A shard count that waits for the end of the round that runs. */
  pendingShardCount: z.int().nullable(),
  taskSlots: z.int().nullable(),
  devices: z.int(),
  shards: z.array(
    z.object({
      shard: z.int(),
      node: Uuid.nullable(),
      epoch: z.int(),
      leaseExpiresAt: Timestamp.nullable(),
      devicesOnline: z.int(),
      evaluatorsOnline: z.int(),
    }),
  ),
})
export type RegionView = z.infer<typeof RegionView>

/** `POST /v1/regional-nodes`: PKCS#10 in PEM, signed by the node's own key. */
export const RegisterNode = z.strictObject({
  region: Slug,
  name: Slug,
  csr: z.string().max(8192),
  /** Names and addresses of the server certificate. */
  hostnames: z.array(z.string().max(253)).min(1).max(16),
})
export type RegisterNode = z.infer<typeof RegisterNode>

/** Certificates in PEM. The common name is the id. */
export const Registered = z.object({ id: Uuid, certificate: z.string(), authority: z.string(), expiresAt: Timestamp })
export type Registered = z.infer<typeof Registered>

export const NodeView = z.object({
  id: Uuid,
  region: Slug,
  name: z.string(),
  endpoint: z.string().nullable(),
  version: z.string().nullable(),
  lastSeenAt: Timestamp.nullable(),
  revoked: z.boolean(),
  /** Whether it called within the time of a lease. */
  online: z.boolean(),
  /** As of its last call; null before the first. */
  load: z.object({ rssBytes: z.int(), connections: z.int(), draining: z.boolean() }).nullable(),
  certificateExpiresAt: Timestamp,
  createdAt: Timestamp,
  shards: z.array(z.object({ shard: z.int(), epoch: z.int() })),
})
export type NodeView = z.infer<typeof NodeView>

/** `POST /v1/devices`: registers a device and signs its certificate. */
export const RegisterDevice = z.strictObject({
  region: Slug,
  /** Stable name, unique in the federation; seeds derive from it. */
  label: Slug,
  kind: z.enum(['trainer', 'evaluator']).default('trainer'),
  groups: z.array(Slug).max(64).default([]),
  labels: Labels.default({}),
  csr: z.string().max(8192),
})
export type RegisterDevice = z.infer<typeof RegisterDevice>

/** `PUT /v1/devices/{device}`; what is absent stays. Tasks see it from their next round on. */
export const UpdateDevice = z.strictObject({
  groups: z.array(Slug).max(64).optional(),
  labels: Labels.optional(),
})
export type UpdateDevice = z.infer<typeof UpdateDevice>

/** What a device said of itself at its last check-in, as its node passed it on. */
export const DevicePresenceView = z.object({
  /** Derived: a device whose node is gone is offline when the node's lease has ended. */
  online: z.boolean(),
  lastSeenAt: Timestamp,
  node: Uuid,
  agentVersion: z.string(),
  frameworks: z.array(z.string()),
  datasets: z.array(z.object({ name: z.string(), examples: z.int(), heldOut: z.boolean() })),
  /** Those that held then. */
  conditions: z.array(z.enum(deviceConditions)),
})
export type DevicePresenceView = z.infer<typeof DevicePresenceView>

export const DeviceView = z.object({
  id: Uuid,
  region: Slug,
  shard: z.int(),
  label: z.string(),
  kind: z.enum(['trainer', 'evaluator']),
  groups: z.array(z.string()),
  labels: z.record(z.string(), z.string()),
  revoked: z.boolean(),
  certificateSha256: Sha256,
  certificateExpiresAt: Timestamp,
  createdAt: Timestamp,
  /** Null before the first check-in. */
  presence: DevicePresenceView.nullable(),
})
export type DeviceView = z.infer<typeof DeviceView>

/** `GET /v1/devices/{device}`. */
export const DeviceDetail = DeviceView.extend({
  /** What the owner lets out about the data sets beside name and counts; null where nothing is. */
  datasetDescriptions: z.object({ datasets: z.array(DatasetDescription), describedAt: Timestamp }).nullable(),
})
export type DeviceDetail = z.infer<typeof DeviceDetail>

/** One attempt that a device took part in. */
export const DeviceParticipation = z.object({
  task: Uuid,
  taskName: z.string(),
  round: z.int(),
  attempt: z.int(),
  verdict: z.string(),
  code: z.string().nullable(),
  detail: z.string().nullable(),
  examples: z.number().nullable(),
  bytes: z.number().nullable(),
  seconds: z.number().nullable(),
  settledAt: Timestamp.nullable(),
})
export type DeviceParticipation = z.infer<typeof DeviceParticipation>

/** `POST /v1/devices/{device}/commands`. */
export const SendCommand = z.strictObject({ kind: z.enum(['check-in', 'renew-certificate', 'send-status']) })
export type SendCommand = z.infer<typeof SendCommand>

export const CommandSent = z.object({ device: Uuid, kind: SendCommand.shape.kind, sentAt: Timestamp })
export type CommandSent = z.infer<typeof CommandSent>
