import { resolve } from 'node:path'
import { stateFolderOf } from '../../../settings/state-folder.ts'
import { type LedgerEntry, readLedger } from '../../../status/ledger.ts'
import type { LiveStatus } from '../../../status/live-status.ts'
import { readLiveStatus } from '../../../status/read-live-status.ts'
import { table } from '../../output.ts'
import { UsageError } from '../../usage-error.ts'
import { CommandError, type Surroundings } from '../agent-command.ts'
import { program } from '../program.ts'
import { readOptions } from '../read-options.ts'

const usage = `Shows what the agent of this device is doing, and what it has sent.

  ${program} status [--state-dir folder] [--last 20] [--json]

  --last n   entries of the ledger, newest last; 0 for all of them. default 20
  --json     one JSON object: { running, totals, sent }
`

/** What was sent, counted over the whole ledger. */
type Totals = { updates: number; updateBytes: number; evaluations: number; failures: number; since: string | null }

/** The command `status`. Throws UsageError, CommandError. */
export const status = async (line: readonly string[], surroundings: Surroundings): Promise<number> => {
  const { folder, environment, output } = surroundings
  const given = readOptions(line, {
    'state-dir': { type: 'string' },
    last: { type: 'string' },
    json: { type: 'boolean' },
  })
  if (given.help) {
    output.out(usage)
    return 0
  }
  const last = Number(given.last ?? 20)
  if (!Number.isInteger(last) || last < 0) throw new UsageError('--last takes a whole number')
  const stateDir = resolve(folder, given['state-dir'] ?? stateFolderOf(environment))
  const running = await readLiveStatus(stateDir).catch((cause: Error) => {
    throw new CommandError(`The agent of ${stateDir} cannot be asked (${cause.message}). Ask as its user.`, { cause })
  })
  const { totals, sent } = await readSent(stateDir, last)
  if (given.json) output.out(`${JSON.stringify({ running: running ?? null, totals, sent }, null, 2)}\n`)
  else output.out(`${describeRunning(running, stateDir)}\n${describeSent(totals, sent)}`)
  return 0
}

const readSent = async (stateDir: string, last: number): Promise<{ totals: Totals; sent: LedgerEntry[] }> => {
  const totals: Totals = { updates: 0, updateBytes: 0, evaluations: 0, failures: 0, since: null }
  const sent: LedgerEntry[] = []
  for await (const entry of readLedger(stateDir)) {
    totals.since ??= entry.time
    if (entry.kind === 'update') {
      totals.updates += 1
      totals.updateBytes += entry.bytes ?? 0
    } else if (entry.kind === 'evaluation') totals.evaluations += 1
    else if (entry.kind === 'failure') totals.failures += 1
    sent.push(entry)
    if (last > 0 && sent.length > last) sent.shift()
  }
  return { totals, sent }
}

const describeRunning = (running: LiveStatus | undefined, stateDir: string): string => {
  if (running === undefined) return `No agent runs with ${stateDir}.\n`
  const { training, evaluation, node, clock, broker, bytesToday } = running
  const doing = [
    training &&
      `trains ${training.dataset}, ${Math.round(training.progress * 100)} % of ${attemptOf(training.attempt)}`,
    evaluation && `evaluates ${evaluation.dataset}`,
  ].filter(text => text !== null)
  return table([
    ['device', running.device],
    ['agent', `${running.version}, process ${running.processId}, since ${running.startedAt}`],
    ['does', doing.join('; ') || 'waits for work'],
    ['node', `${node.endpoint}, ${node.answeredAt === null ? 'no answer yet' : `answered at ${node.answeredAt}`}`],
    ...(node.fault === null ? [] : [['', `last check-in failed: ${node.fault}`]]),
    ...(clock === null ? [] : [['clock', clock]]),
    ['broker', `${broker.url}, ${broker.connected ? 'connected' : 'not connected'}`],
    ['certificate', `good until ${running.certificateUntil}`],
    ['today', `${bytesToday.down} bytes down, ${bytesToday.up} bytes up`],
    ['kept', `${running.keptUpdates} updates until their round is settled`],
    ...(running.refusedBy === null ? [] : [['policy', `refused the last work by ${running.refusedBy}`]]),
  ])
}

const describeSent = ({ since, ...totals }: Totals, sent: readonly LedgerEntry[]): string => {
  if (since === null) return 'Nothing was sent yet.\n'
  const { updates, updateBytes, evaluations, failures } = totals
  const head = `Sent since ${since}: ${updates} updates (${updateBytes} bytes), ${evaluations} evaluations, ${failures} failures\n`
  return head + table(sent.map(entry => [entry.time, entry.kind, whatOf(entry), entry.verdict ?? '']))
}

const whatOf = (entry: LedgerEntry): string => {
  const { task, round, attempt, evaluation, bytes, examples, metrics, detail } = entry
  return [
    task && attemptOf({ task, round: round ?? 0, attempt: attempt ?? 0 }),
    evaluation,
    bytes !== undefined && `${bytes} bytes`,
    examples !== undefined && `${examples} examples`,
    metrics && `metrics: ${metrics.join(' ') || 'none'}`,
    detail,
  ]
    .filter(part => typeof part === 'string')
    .join(', ')
}

const attemptOf = ({ task, round, attempt }: { task: string; round: number; attempt: number }): string =>
  `${task} round ${round}.${attempt}`
