/**
 * Round after round in the real local stack, with a small model, until memory shows whether it grows:
 *
 *   npm run soak -- [--rounds 200] [--hours 0] [--devices 3] [--regions 1] [--port-base 28000]
 *
 * Exit code 1 where the memory of a kind of process grows over the second half by more than 6 MiB and 8 % of its level, by the slope of its
 * lowest samples, or anything fails. A run of fewer than 100 rounds shows processes that are still warming up: it is printed, and not
 * judged.
 */
import { parseArgs } from 'node:util'
import { untilInterrupted } from '../start/interruption.ts'
import { memoryTrend } from './memory-trend.ts'
import { runSoak } from './run-soak.ts'

/** What a second half may add: less is within what the samples of a garbage collector scatter. */
const tolerated = { share: 0.08, bytes: 6 * 2 ** 20 } as const
const fewestJudged = 100
const MiB = 2 ** 20

const text = { type: 'string' } as const
const { values } = parseArgs({
  options: { rounds: text, hours: text, devices: text, regions: text, 'port-base': text },
})
const numbers = {
  rounds: Number(values.rounds ?? 200),
  hours: Number(values.hours ?? 0),
  devices: Number(values.devices ?? 3),
  regions: Number(values.regions ?? 1),
  portBase: Number(values['port-base'] ?? 28_000),
}
const { rounds, hours, devices, regions, portBase } = numbers
const isRight =
  [rounds, devices, regions, portBase].every(Number.isSafeInteger) && rounds >= 1 && hours >= 0 && hours <= 1000
if (!isRight) {
  process.stderr.write('usage: npm run soak -- [--rounds N] [--hours H] [--devices N] [--regions N] [--port-base N]\n')
  process.exitCode = 2
} else {
  using interruption = untilInterrupted()
  const tell = (line: string): void => void process.stdout.write(`${line}\n`)
  const result = await runSoak(numbers, tell, interruption.signal)
  const cell = (value: number): string => value.toFixed(1).padStart(12)
  tell(`\n${result.rounds} rounds in ${result.seconds.toFixed(0)} s; the second half by kind of process`)
  const columns = ['MiB', 'KiB a round', '±', 'MiB grown', 'in 1000']
  tell(`${'memory'.padEnd(28)}${columns.map(name => name.padStart(12)).join('')}`)
  const isJudged = result.rounds >= fewestJudged
  let grown = 0
  for (const [name, samples] of [...result.series].sort()) {
    const trend = memoryTrend(samples)
    if (trend === null) continue
    const { level, slope, slopeError, growth } = trend
    const grows = isJudged && growth > Math.max(tolerated.bytes, tolerated.share * level)
    if (grows) grown += 1
    const cells = [level / MiB, slope / 1024, slopeError / 1024, growth / MiB, (1000 * slope) / MiB].map(cell)
    tell(`${name.padEnd(28)}${cells.join('')}${grows ? '  GROWS' : ''}`)
  }
  if (!isJudged) tell(`growth is not judged: fewer than ${fewestJudged} rounds`)
  else {
    tell(
      `it grows where the second half adds more than ${tolerated.bytes / MiB} MiB and ${100 * tolerated.share} % of its level`,
    )
    tell(grown === 0 ? 'met: no memory grows' : `MISSED: memory of ${grown} grows`)
  }
  for (const fault of result.faults) tell(fault)
  if (grown > 0 || result.faults.length > 0) process.exitCode = 1
}
