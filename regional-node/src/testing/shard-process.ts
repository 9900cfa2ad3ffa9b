import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { ShardSummed } from '@tributary/contracts/events'
import type { RoundDescriptor } from '@tributary/contracts/round'
import type { ArmedFailpoint } from '../log/failpoint.ts'

/** What a shard's process is told at its start. */
export type ShardTask = {
  readonly folder: string
  readonly objects: string
  readonly logKey: string
  readonly descriptor: RoundDescriptor
  readonly foldUpdates: number
  readonly sumMemoryBytes: number
  readonly failpoint?: ArmedFailpoint
  /** Devices send in this order; all again and again until each has a receipt. */
  readonly devices: readonly number[]
}

/** What it says, a line each. */
export type ShardSaying =
  | { readonly kind: 'opened'; readonly as: string }
  | { readonly kind: 'receipt'; readonly device: number; readonly receipt: string }
  | { readonly kind: 'summed'; readonly event: ShardSummed }

export type ShardRun = {
  readonly said: ShardSaying[]
  readonly signal: NodeJS.Signals | null
  readonly code: number | null
}

/** Runs the inside of a node in a process of its own, until it ended or was killed. @param killAfterMillis a SIGKILL from outside */
export const runShard = async (task: ShardTask, killAfterMillis?: number): Promise<ShardRun> => {
  const program = fileURLToPath(new URL('./shard-program.ts', import.meta.url))
  const child: ChildProcess = spawn(process.execPath, [program, JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const said: ShardSaying[] = []
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  lines.on('line', line => said.push(JSON.parse(line) as ShardSaying))
  const late = setTimeout(() => child.kill('SIGKILL'), killAfterMillis ?? 30_000)
  const [[code, signal]] = await Promise.all([once(child, 'exit'), once(lines, 'close')])
  clearTimeout(late)
  return { said, signal: signal as NodeJS.Signals | null, code: code as number | null }
}

/** Receipts by device; a device that heard of one twice heard the same. */
export const receiptsOf = (runs: readonly ShardRun[]): Map<number, string> => {
  const receipts = new Map<number, string>()
  for (const saying of runs.flatMap(({ said }) => said)) {
    if (saying.kind !== 'receipt') continue
    assert.equal(receipts.get(saying.device) ?? saying.receipt, saying.receipt, `device ${saying.device}`)
    receipts.set(saying.device, saying.receipt)
  }
  return receipts
}
