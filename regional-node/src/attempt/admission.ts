import {
  Codec,
  type UpdateHeader,
  UpdateKind,
  type Verdict,
  VerdictCode,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { Sha256 } from '@tributary/contracts/ids'
import type { WorkToken } from '@tributary/contracts/work-token'
import { updateWeight } from '@tributary/learning/update/weight'
import { isPassing } from '../aggregation/worker-failures.ts'
import type { LeaseTable } from '../central/lease-table.ts'
import type { KnownDevice } from '../devices/device-directory.ts'
import { readMetrics } from '../grpc/metrics-from-wire.ts'
import { verdicts } from '../grpc/verdicts.ts'
import type { NodeIdentity } from '../identity/node-identity.ts'
import type { Receipts } from '../identity/receipts.ts'
import type { WorkTokens } from '../identity/work-tokens.ts'
import type { UpdateVerdict } from '../kernels/spooled-body.ts'
import type { Budget } from '../log/budget.ts'
import type { DiskRoom } from '../log/disk-room.ts'
import { isNoRoom, NoRoomError } from '../log/no-room-error.ts'
import type { SpoolWriter } from '../log/waiting-body.ts'
import type { Answer } from './round/round-effect.ts'
import type { Report } from './round/shard-state.ts'
import type { SettledMemory } from './settled-memory.ts'
import type { ShardAttempt } from './shard-attempt.ts'
import type { ShardAttempts } from './shard-attempts.ts'
import type { UploadSlots } from './upload-slots.ts'

export type AdmissionContext = {
  readonly identity: NodeIdentity
  readonly receipts: Receipts
  readonly tokens: WorkTokens
  readonly leases: LeaseTable
  readonly attempts: ShardAttempts
  readonly settled: SettledMemory
  readonly slots: UploadSlots
  /** Bytes that running uploads may declare together. */
  readonly uploadBytes: Budget
  readonly uploads: Budget
  readonly room: DiskRoom
  readonly now: () => number
}

/** The answer to an upload, with the durable prefix from which it may resume. */
export type Admitted = { readonly verdict: Verdict; readonly receivedBytes: number }

type TrainingToken = Extract<WorkToken, { work: 'training' }>
type Chunks = AsyncIterable<Uint8Array>

const busyMillis = 1000
const fullMillis = 10_000
const longestUpdateSeconds = 1e9

const refused = (verdict: Verdict, receivedBytes = 0): Admitted => ({ verdict, receivedBytes })

/**
 * Admits an update, in the order of DESIGN section 8 and no other: certificate (the caller authenticated `device`) → token →
 * shard, attempt, epoch → declared size → byte budget → spool → length and sha256 → names, shapes, finite values, range,
 * norm → log, fsync → added to the sum → receipt.
 * @param chunks the body from `header.offset` on; rejects when the connection is lost or stands still
 */
export const admitUpdate = async (
  context: AdmissionContext,
  device: KnownDevice,
  header: UpdateHeader,
  chunks: (signal: AbortSignal) => Chunks,
): Promise<Admitted> => {
  const token = await readTrainingToken(context.tokens, header.token, device)
  if (token === null) return refused(verdicts.unauthorised())
  const place = await findAttempt(context, token, header.sha256)
  if ('verdict' in place) {
    if (place.verdict.code === VerdictCode.LATE) context.attempts.find(token, token.shard)?.noteLate(device.device)
    return refused(place.verdict)
  }
  const { attempt } = place
  const fault = headerFault(header, token)
  if (fault !== null) {
    attempt.noteFault(device.device, { code: fault.errorCode || 'BODY_INVALID', detail: fault.detail })
    return refused(fault)
  }
  const most = Math.min(token.maxBytes, attempt.maxUpdateBytes ?? token.maxBytes)
  if (header.totalBytes > BigInt(most)) return refused(verdicts.tooBig(most))
  const run = (signal: AbortSignal) => upload(context, attempt, device, token, header, chunks(signal), signal)
  return (await context.slots.run(device.device, run)) ?? refused(verdicts.retryAfter(busyMillis, 'The node drains.'))
}

/** The token's claims where it is a valid one of this very device and certificate. */
export const readTrainingToken = async (
  tokens: WorkTokens,
  text: string,
  { device, certificateSha256 }: KnownDevice,
): Promise<TrainingToken | null> => {
  const token = await tokens.read(text)
  if (token?.work !== 'training') return null
  return token.device === device && token.certificateSha256 === certificateSha256 ? token : null
}

/**
 * The live attempt that a token is for, or the verdict where there is none, or where this body has its verdict already.
 * @param sha256 of the body that is asked for
 */
export const findAttempt = async (
  { leases, attempts, settled }: Pick<AdmissionContext, 'leases' | 'attempts' | 'settled'>,
  token: TrainingToken,
  sha256: string,
): Promise<{ attempt: ShardAttempt } | { verdict: Verdict }> => {
  const { shard, epoch, device } = token
  const leased = leases.epochOf(shard)
  if (leased === undefined) return { verdict: verdicts.wrongShard(leases.endpointOf(shard)) }
  if (leased !== epoch) {
    const outcome = settled.outcomeOf(token)
    return { verdict: outcome === undefined ? verdicts.wrongEpoch() : verdicts.settled(outcome) }
  }
  if (!leases.holds(shard, epoch)) return { verdict: verdicts.retryAfter(busyMillis, 'The lease is being renewed.') }
  const attempt = attempts.find(token, shard)
  if (attempt === undefined) return { verdict: verdicts.settled(settled.outcomeOf(token)) }
  const part = await attempt.partOf(device)
  return part === 'awaited' ? { attempt } : { verdict: await verdictOf(part, attempt, device, sha256) }
}

/** What a device is told that may not send, or whose update was not taken just now. */
const verdictOf = async (answer: Answer, attempt: ShardAttempt, device: string, sha256: string): Promise<Verdict> => {
  switch (answer) {
    case 'reported':
      return verdictAgain(await attempt.reportOf(device), sha256)
    case 'stranger':
      return verdicts.wrongAttempt()
    case 'late':
      return verdicts.late()
    case 'full':
      return verdicts.full(fullMillis)
    case 'wait':
    case 'awaited':
    case 'counted':
    case 'work':
    case 'nothing':
      return verdicts.retryAfter(busyMillis, 'The attempt is being prepared, or the lease renewed.')
  }
}

const verdictAgain = (report: Report | undefined, sha256: string): Verdict => {
  if (report === undefined) return verdicts.retryAfter(busyMillis, 'The attempt is being prepared.')
  if (report.verdict === 'failed') return verdicts.declined()
  if (report.sha256 !== sha256) return verdicts.conflict()
  return report.verdict === 'accepted'
    ? verdicts.already(report.receipt)
    : verdicts.invalid(report.code, report.detail, report.tensor)
}

const headerFault = (header: UpdateHeader, { base }: TrainingToken): Verdict | null => {
  if (header.kind !== UpdateKind.DELTA) return verdicts.invalid('KIND_UNSUPPORTED')
  if (header.codec !== Codec.NONE) return verdicts.invalid('CODEC_UNSUPPORTED')
  if (header.baseSha256 !== base) return verdicts.wrongBase()
  if (!Sha256.safeParse(header.sha256).success) {
    return verdicts.invalid('BODY_INVALID', 'sha256 must be 64 lower-case hex digits.')
  }
  if (!(header.trainSeconds >= 0 && header.trainSeconds <= longestUpdateSeconds)) {
    return verdicts.invalid('BODY_INVALID', 'train_seconds must be a non-negative number.')
  }
  if (header.examples > BigInt(Number.MAX_SAFE_INTEGER)) {
    return verdicts.invalid('BODY_INVALID', 'examples must be below 2^53.')
  }
  const metrics = readMetrics(header.metrics, header.examples)
  return metrics.ok ? null : verdicts.invalid('BODY_INVALID', metrics.detail)
}

const upload = async (
  context: AdmissionContext,
  attempt: ShardAttempt,
  device: KnownDevice,
  token: TrainingToken,
  header: UpdateHeader,
  chunks: Chunks,
  signal: AbortSignal,
): Promise<Admitted> => {
  const total = Number(header.totalBytes)
  using slot = context.uploads.take(1)
  // One update that is larger than the whole budget runs alone.
  using bytes = slot && context.uploadBytes.take(Math.min(total, context.uploadBytes.most))
  const { spool } = attempt
  const received = await spool.received(device.device, header.sha256)
  if (bytes === null) return refused(verdicts.retryAfter(busyMillis, 'Too many uploads run. Wait.'), received)
  if (header.offset !== BigInt(received)) {
    return refused(verdicts.retryAfter(1, `The upload goes on from byte ${received}.`), received)
  }
  const spooled = await receive(context, attempt, device.device, header, total, chunks, signal)
  if (spooled !== null) return spooled
  // The body took its time: what was true before it may not be true any more.
  const place = await findAttempt(context, token, header.sha256)
  if ('verdict' in place) return refused(place.verdict, total)
  const invalid = await check(attempt, device, header, total, signal)
  if (invalid !== null) return invalid
  return refused(await commit(context, attempt, device, token, header, total), total)
}

/** Spools the body; null once it is durable as a whole. */
const receive = async (
  { attempts, room }: AdmissionContext,
  attempt: ShardAttempt,
  device: string,
  header: UpdateHeader,
  total: number,
  chunks: Chunks,
  signal: AbortSignal,
): Promise<Admitted | null> => {
  const { spool } = attempt
  let writer: SpoolWriter
  try {
    writer = await spool.append(device, header.sha256, total)
  } catch (error) {
    if (!isNoRoom(error)) throw error
    room.noteFull(error)
    // Updates that are in a sum file need no room any more.
    attempts.relieve()
    return refused(verdicts.full(fullMillis))
  }
  await using _ = writer
  const refuseFull = async (error: unknown): Promise<Admitted> => {
    room.noteFull(error)
    await spool.remove(device)
    attempts.relieve()
    return refused(verdicts.full(fullMillis))
  }
  let isWrong = false
  try {
    for await (const chunk of chunks) {
      signal.throwIfAborted()
      if (writer.length + chunk.byteLength > total) {
        isWrong = true
        break
      }
      await writer.write(chunk)
    }
    if (writer.length !== total) isWrong = true
  } catch (error) {
    if (isNoRoom(error)) return refuseFull(error)
    // The connection is gone: what came stays, for the upload to resume.
    await writer.sync()
    throw error
  }
  if (isWrong) return refuseBody(attempt, device, header, 'LENGTH_MISMATCH')
  try {
    await writer.sync()
  } catch (error) {
    // Small bodies are written only now. A sync that failed is another thing, whatever its code.
    if (error instanceof NoRoomError) return refuseFull(error)
    throw error
  }
  return null
}

/** A body that is not the one that was announced goes; the device may send again. */
const refuseBody = async (
  attempt: ShardAttempt,
  device: string,
  header: UpdateHeader,
  code: 'LENGTH_MISMATCH' | 'CHECKSUM_MISMATCH',
): Promise<Admitted> => {
  await attempt.spool.remove(device)
  // Part of the body is of an earlier call: what the disk kept of it may be what is wrong, not the device.
  if (header.offset > 0n) return refused(verdicts.retryAfter(1, 'The bytes that were kept are damaged: begin anew.'))
  const verdict = verdicts.invalid(code)
  attempt.noteFault(device, { code, detail: verdict.detail })
  return refused(verdict)
}

/** Checks length and sha256 of the body, then the body against manifest and rule; null where nothing is wrong. */
const check = async (
  attempt: ShardAttempt,
  { device, label }: KnownDevice,
  header: UpdateHeader,
  bytes: number,
  signal: AbortSignal,
): Promise<Admitted | null> => {
  const { sha256 } = header
  let found: UpdateVerdict | undefined
  try {
    found = await attempt.check(device, sha256, bytes, signal)
  } catch (error) {
    if (!isPassing(error)) throw error
    return refused(verdicts.retryAfter(busyMillis, 'Too many updates are being checked. Wait.'), bytes)
  }
  if (found === undefined) return refused(verdicts.retryAfter(busyMillis, 'The attempt is being prepared.'), bytes)
  if (found.ok) return null
  const { code, tensor, detail } = found
  if (code === 'LENGTH_MISMATCH' || code === 'CHECKSUM_MISMATCH') return refuseBody(attempt, device, header, code)
  const answer = await attempt.refuse({ device, label, sha256, bytes, code, tensor: tensor ?? '', detail })
  return refused(await verdictOf(answer, attempt, device, sha256), bytes)
}

const commit = async (
  { identity, receipts, now }: AdmissionContext,
  attempt: ShardAttempt,
  { label }: KnownDevice,
  token: TrainingToken,
  header: UpdateHeader,
  bytes: number,
): Promise<Verdict> => {
  const { device, task, round, attempt: number, shard, epoch } = token
  const { sha256, trainSeconds: seconds } = header
  const { state } = attempt
  const examples = Number(header.examples)
  const weight = updateWeight(examples, state.descriptor.sum)
  const metrics = readMetrics(header.metrics, header.examples)
  const { region } = state.plan
  const node = identity.id
  const iat = Math.floor(now() / 1000)
  const ref = { task, round, attempt: number }
  const receipt = receipts.sign({ ...ref, region, shard, epoch, node, device, sha256, weight, iat })
  const contribution = { sha256, bytes, examples, weight, seconds, metrics: metrics.ok ? metrics.sums : {}, receipt }
  const answer = await attempt.accept({ device, label, ...contribution })
  return answer === 'counted' ? verdicts.accepted(receipt) : verdictOf(answer, attempt, device, sha256)
}
