import { join } from 'node:path'
import { SumKeeper } from '../aggregation/sum-keeper.ts'
import { verifyFile } from '../aggregation/verify-file.ts'
import { makeFolder } from '../log/durable-files.ts'
import { LogCorruptError } from '../log/log-corrupt-error.ts'
import type { LogKey } from '../log/log-key.ts'
import { UpdateSpool } from '../log/update-spool.ts'
import type { AttemptContext } from './attempt-context.ts'
import { AttemptLog, type Opening } from './attempt-log.ts'
import type { AcceptedUpdate } from './attempt-records.ts'
import { ShardRound } from './round/shard-round.ts'
import type { ShardState } from './round/shard-state.ts'

/** An accepted update whose body lies in the spool. */
export type SpooledUpdate = Pick<AcceptedUpdate, 'device' | 'sha256' | 'bytes' | 'weight'> & { readonly number: number }

/** Where an attempt lives: its folder, a name that no other attempt of the shard has, and the key of the lease. */
export type AttemptHome = { readonly folder: string; readonly name: string; readonly key: LogKey }

/** What an attempt is made of. */
export type OpenedAttempt = AttemptHome & {
  readonly machine: ShardRound
  readonly log: AttemptLog
  readonly spool: UpdateSpool
  readonly sums: SumKeeper
  /** Accepted updates that are not in a sum file on record, in the order of their records. */
  readonly spooled: readonly SpooledUpdate[]
}

/**
 * Opens an attempt's folder, durably: a new log for `opening`, or the state of the log that is there.
 * @throws LogCorruptError when what the log promises is not there
 * @throws LogEmptyError where there is neither log nor opening
 * @throws NoRoomError
 */
export const openAttempt = async (
  home: AttemptHome,
  context: Pick<AttemptContext, 'onDiskFailure' | 'spoolRoom' | 'sumMemory' | 'limits'>,
  opening?: Opening,
): Promise<OpenedAttempt> => {
  const { folder, name, key } = home
  const { onDiskFailure: onFailure, spoolRoom, sumMemory, limits } = context
  await makeFolder(folder)
  let machine: ShardRound | undefined
  let spooled: SpooledUpdate[] = []
  const log = await AttemptLog.open(
    folder,
    { key, name, onFailure, room: spoolRoom.account() },
    opening,
    ({ descriptor, plan }) => {
      machine = new ShardRound(descriptor, plan, limits.fold)
    },
    (number, record) => {
      machine?.replay(number, record)
      if (record.kind === 'accepted' && record.weight > 0) spooled.push({ number, ...record })
      if (record.kind === 'folded') spooled = spooled.filter(update => update.number > record.through)
    },
  )
  let spool: UpdateSpool | undefined
  let sums: SumKeeper | undefined
  try {
    if (machine === undefined) throw new LogCorruptError('the log has no beginning')
    const spoolOptions = { key, budget: spoolRoom, reservedBytes: limits.reservedBytes }
    spool = await UpdateSpool.open(join(folder, 'spool'), spoolOptions)
    sums = new SumKeeper({ folder, key, spoolRoom, sumMemory })
    await verifyPromises(machine.state, spool, sums, spooled)
    return { ...home, machine, log, spool, sums, spooled }
  } catch (error) {
    spool?.forget()
    sums?.[Symbol.dispose]()
    await log.close()
    throw error
  }
}

/**
 * Proves that everything a receipt promised is on the disk: the newest sum file, and the bodies of the updates since. Removes what
 * nobody needs.
 * @throws LogCorruptError
 */
const verifyPromises = async (
  state: ShardState,
  spool: UpdateSpool,
  sums: SumKeeper,
  spooled: readonly SpooledUpdate[],
): Promise<void> => {
  const { folded, summed } = state
  await sums.keepOnly(summed === undefined ? folded?.sum.file : undefined)
  if (summed !== undefined) return spool.removeAll()
  // A crash between the record of a fold and its drop leaves bodies behind that nobody needs.
  const needed = new Set(spooled.map(({ device }) => device))
  await spool.keepOnly(device => needed.has(device) || state.awaits(device))
  if (folded !== undefined) await sums.verify(folded.sum)
  for (const { device, sha256, bytes } of spooled) {
    if ((await spool.received(device, sha256)) !== bytes) {
      throw new LogCorruptError(`the body of the accepted update of ${device} is not there`)
    }
    await verifyFile(spool.body(device, sha256, bytes), sha256)
  }
}
