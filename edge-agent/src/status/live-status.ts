import { AttemptRef } from '@tributary/contracts/ids'
import * as z from 'zod'

/** What an agent that runs says of itself to whoever owns the device. */
export const LiveStatus = z.object({
  device: z.string(),
  version: z.string(),
  processId: z.int(),
  startedAt: z.iso.datetime(),
  training: z.object({ attempt: AttemptRef, dataset: z.string(), progress: z.number() }).nullable(),
  evaluation: z.object({ evaluation: z.string(), dataset: z.string() }).nullable(),
  node: z.object({
    endpoint: z.string(),
    /** Last check-in that the node answered; null before the first. */
    answeredAt: z.iso.datetime().nullable(),
    /** Why the last one failed; null where it did not. */
    fault: z.string().nullable(),
  }),
  /** How far this device's clock is off; null where it is not, or nobody has told a time. */
  clock: z.string().nullable(),
  broker: z.object({ url: z.string(), connected: z.boolean() }),
  certificateUntil: z.iso.datetime(),
  bytesToday: z.object({ down: z.number(), up: z.number() }),
  /** Updates that are kept until their round is settled. */
  keptUpdates: z.int(),
  /** The rule by which the owner's policy refused the last work that was offered; null where it took it. */
  refusedBy: z.string().nullable(),
})
export type LiveStatus = z.infer<typeof LiveStatus>

export const statusSocketName = 'agent.sock'
