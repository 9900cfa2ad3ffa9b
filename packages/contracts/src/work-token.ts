import * as z from 'zod'
import { AttemptRef, Sha256, Uuid } from './ids.ts'

const common = {
  shard: z.int().nonnegative(),
  epoch: z.int().positive(),
  device: Uuid,
  /** sha256 of the client certificate (DER), hex: the token is worthless without its key. */
  certificateSha256: Sha256,
  /** Objects that the holder may pull. */
  objects: z.array(Sha256).max(8),
  exp: z.int(),
}

/** What a node mints at CheckIn and checks at every later call. */
export const WorkToken = z.discriminatedUnion('work', [
  AttemptRef.extend({ work: z.literal('training'), base: Sha256, maxBytes: z.int().positive(), ...common }),
  z.object({ work: z.literal('evaluation'), evaluation: Uuid, ...common }),
  /** To pull the files of a deployed version. */
  z.object({ work: z.literal('deployment'), deployment: Uuid, ...common }),
])
export type WorkToken = z.infer<typeof WorkToken>

/** The node's signed promise (compact JWS, ES256) that an update is durable. */
export const Receipt = AttemptRef.extend({
  region: z.string(),
  shard: z.int().nonnegative(),
  epoch: z.int().positive(),
  node: Uuid,
  device: Uuid,
  /** Of the update's body. */
  sha256: Sha256,
  weight: z.int().nonnegative(),
  iat: z.int(),
})
export type Receipt = z.infer<typeof Receipt>
