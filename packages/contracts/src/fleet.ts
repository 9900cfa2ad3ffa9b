import * as z from 'zod'
import { DisplayName, Sha256, Slug, Timestamp, Uuid } from './ids.ts'

/** `POST /v1/regions`. */
export const CreateRegion = z.strictObject({
  region: Slug,
  name: DisplayName.optional(),
  shardCount: z.int().min(1).max(4096).default(1),
})
export type CreateRegion = z.infer<typeof CreateRegion>

export const RegionView = z.object({
  region: Slug,
  name: z.string(),
  shardCount: z.int(),
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
  csr: z.string().max(8192),
})
export type RegisterDevice = z.infer<typeof RegisterDevice>

export const DeviceView = z.object({
  id: Uuid,
  region: Slug,
  shard: z.int(),
  label: z.string(),
  kind: z.enum(['trainer', 'evaluator']),
  groups: z.array(z.string()),
  revoked: z.boolean(),
  certificateSha256: Sha256,
  createdAt: Timestamp,
})
export type DeviceView = z.infer<typeof DeviceView>
